//! barter-data keeping the books of the bench's venue: `barter-books HOST:PORT BTCUSDT …`.
//!
//! The library's own parts do the work (WebSocket stream, parser, transformer with its sequence check, order book); only the address is ours, which the
//! library does not let one choose. Its stream builder would add an unbounded queue between stream and books; here the books read the stream directly.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};

use barter_data::books::OrderBook;
use barter_data::event::MarketEvent;
use barter_data::exchange::binance::book::l2::BinanceOrderBookL2Snapshot;
use barter_data::exchange::binance::spot::BinanceSpot;
use barter_data::exchange::binance::spot::l2::BinanceSpotOrderBooksL2Transformer;
use barter_data::exchange::binance::BinanceWsStream;
use barter_data::subscription::Map;
use barter_data::subscription::book::OrderBooksL2;
use barter_data::transformer::ExchangeTransformer;
use barter_instrument::exchange::ExchangeId;
use barter_integration::protocol::websocket::{WsMessage, connect};
use barter_integration::subscription::SubscriptionId;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;

type Error = Box<dyn std::error::Error>;
type Books = BinanceWsStream<BinanceSpotOrderBooksL2Transformer<usize>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("HOST:PORT is missing")?;
    let symbols: Vec<String> = arguments.collect();
    let mut socket = connect(format!("ws://{address}/ws")).await?;
    let streams: Vec<String> = symbols.iter().map(|symbol| format!("\"{}@depth@100ms\"", symbol.to_lowercase())).collect();
    let subscribe = format!("{{\"method\":\"SUBSCRIBE\",\"params\":[{}],\"id\":1}}", streams.join(","));
    socket.send(WsMessage::text(subscribe)).await?;
    let _acknowledged = socket.next().await.ok_or("closed")??;

    let (mut snapshots, mut instruments) = (Vec::new(), Vec::new());
    for (key, symbol) in symbols.iter().enumerate() {
        let url = format!("http://{address}/api/v3/depth?symbol={symbol}&limit=100");
        let snapshot: BinanceOrderBookL2Snapshot = reqwest::get(url).await?.json().await?;
        snapshots.push(MarketEvent::from((ExchangeId::BinanceSpot, key, snapshot)));
        instruments.push((SubscriptionId::from(format!("@depth@100ms|{symbol}")), key));
    }
    let (answers, _never_sent) = mpsc::unbounded_channel();
    let map: Map<usize> = instruments.into_iter().collect();
    let transformer =
        <BinanceSpotOrderBooksL2Transformer<usize> as ExchangeTransformer<BinanceSpot, usize, OrderBooksL2>>::init(map, &snapshots, answers).await?;
    let (_sink, stream) = socket.split();
    let mut events = Books::new(stream, transformer, VecDeque::from_iter(snapshots.into_iter().map(Ok)));
    let mut books: HashMap<usize, OrderBook> = HashMap::new();
    while let Some(event) = events.next().await {
        let event = event?;
        books.entry(event.instrument).or_default().update(&event.kind);
    }
    Ok(())
}
