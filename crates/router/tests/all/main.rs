//! The router from outside: configurations, timing, death at any point, messages, the real amtool. Cases are files in the directories beside this one.
#![cfg(test)]

mod amtool;
mod configurations;
mod engine;
mod golden;
mod kill_anywhere;
mod messages;
mod scenarios;
mod simulation;
