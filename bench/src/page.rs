//! A target to scrape: a page of 1,000 sample lines whose values move.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::Result;

/// Sample lines on the page.
pub(crate) const LINES: usize = 1_000;

/// Serves the page on a free loopback port until the process ends; returns the address.
pub(crate) fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for (scrape, stream) in listener.incoming().flatten().enumerate() {
            thread::spawn(move || answer(stream, scrape));
        }
    });
    Ok(address)
}

/// Answers requests on one connection, which the scraper may keep.
fn answer(mut stream: TcpStream, mut scrape: usize) -> Option<()> {
    let mut request = [0u8; 4096];
    loop {
        let mut have = 0;
        while !request.get(..have)?.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(request.get_mut(have..)?).ok()? {
                0 => return None,
                more => have += more,
            }
        }
        let body = text(scrape);
        scrape += 1;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
    }
}

/// Half gauges, half counters, over 50 symbols.
pub(crate) fn text(scrape: usize) -> String {
    let mut body = String::with_capacity(LINES * 90);
    for family in 0..LINES / 50 {
        let kind = if family % 2 == 0 { "gauge" } else { "counter" };
        let suffix = if family % 2 == 0 { "" } else { "_total" };
        let _ = writeln!(body, "# HELP bench_family_{family}{suffix} one of the families\n# TYPE bench_family_{family}{suffix} {kind}");
        for symbol in 0..50 {
            let value = scrape * 7 + symbol * family;
            let _ = writeln!(body, "bench_family_{family}{suffix}{{exchange=\"binance\",market_type=\"spot\",symbol=\"SYM{symbol}-USDT\"}} {value}");
        }
    }
    body
}
