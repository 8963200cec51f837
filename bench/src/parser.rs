//! What reading a page of metrics costs: a page that is new, the same series again as a scrape reads them, and the `prometheus-parse` crate beside them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use promql::exposition::{Entry, Format, Limits, parse};
use promql::series::{Kept, ScrapeCache, StampedBy};

use crate::page;

/// Each way is measured for about so long.
const LENGTH: Duration = Duration::from_secs(2);
/// Pages whose values differ, read in turn.
const PAGES: usize = 16;

/// Prints lines a second of each way.
pub(crate) fn run() -> Result<()> {
    let pages: Vec<String> = (0..PAGES).map(page::text).collect();
    let bytes = pages.first().map_or(0, String::len);
    println!("parser: pages of {} sample lines, {bytes} bytes, one core; the best of five rounds of {} ms", page::LINES, LENGTH.as_millis() / 5);
    println!("  {:<44} {:>16} {:>10}", "", "million lines/s", "ns a line");
    let first = measure(&pages, read_new)?;
    print("a page that is new", first);
    let mut cache = ScrapeCache::new(0);
    print("the same series again, as a scrape reads them", measure(&pages, |page| read_known(&mut cache, page))?);
    let peer = measure(&pages, read_by_peer)?;
    print("prometheus-parse 0.2", peer);
    println!("  a page that is new takes {:.2} of the peer's time", peer / first);
    Ok(())
}

fn print(title: &str, lines_a_second: f64) {
    println!("  {title:<44} {:>16.2} {:>10.0}", lines_a_second / 1e6, 1e9 / lines_a_second);
}

/// Sample lines a second in the best of five rounds: what a round lost to other programs on the machine is not the reader's.
fn measure(pages: &[String], mut read: impl FnMut(&str) -> Result<usize>) -> Result<f64> {
    let mut best = 0.0_f64;
    for _ in 0..5 {
        let (start, mut lines) = (Instant::now(), 0);
        while start.elapsed() < LENGTH / 5 {
            for page in pages {
                let found = read(black_box(page))?;
                anyhow::ensure!(found == page::LINES, "{found} samples were read of {}", page::LINES);
                lines += found;
            }
        }
        best = best.max(lines as f64 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn read_new(page: &str) -> Result<usize> {
    let mut samples = 0;
    for entry in parse(page.as_bytes(), Format::Text, &Limits::default())? {
        if let Entry::Sample(sample) = entry? {
            black_box(sample);
            samples += 1;
        }
    }
    Ok(samples)
}

/// As the watchdog reads a page: a line that is expected is not read beyond its value.
fn read_known(cache: &mut ScrapeCache, page: &str) -> Result<usize> {
    cache.begin();
    let mut parser = parse(page.as_bytes(), Format::Text, &Limits::default())?;
    let mut samples = 0;
    loop {
        if let Some(value) = cache.expected().and_then(|key| parser.sample_of(key)) {
            black_box((cache.see_expected(StampedBy::Scrape), value));
            samples += 1;
            continue;
        }
        match parser.next() {
            None => break,
            Some(Ok(Entry::Sample(sample))) => {
                let known = cache.see(sample.key, StampedBy::Scrape);
                black_box((known.unwrap_or_else(|| cache.learn(sample.key, Kept::Series, StampedBy::Scrape)), sample.value));
                samples += 1;
            }
            Some(entry) => _ = entry?,
        }
    }
    black_box(cache.finish());
    Ok(samples)
}

fn read_by_peer(page: &str) -> Result<usize> {
    let scrape = prometheus_parse::Scrape::parse(page.lines().map(|line| Ok(line.to_owned()))).context("the peer refuses the page")?;
    Ok(black_box(scrape).samples.len())
}
