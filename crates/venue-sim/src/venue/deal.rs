//! A trade before any venue has put it into words.

/// One taker order met the book at one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deal {
    /// Symbol, as the venue writes it.
    pub symbol: String,
    /// Price.
    pub price: String,
    /// Quantity of all fills.
    pub quantity: String,
    /// Trade ids and their quantities.
    pub fills: Vec<(u64, String)>,
    /// The update of the book that it made.
    pub update_id: u64,
    /// The buyer was the maker.
    pub buyer_is_maker: bool,
    /// When, ms.
    pub ms: i64,
}
