//! What only Binance does: its control messages, its REST answers.

pub(super) mod rest;
pub(super) mod talk;
