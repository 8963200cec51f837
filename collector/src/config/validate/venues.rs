//! `venues`: which exist, their symbols, how they are published.

use std::collections::BTreeSet;
use std::time::Duration;

use diagnostics::yaml::{Spanned, place_of};
use diagnostics::{Diagnostic, Text};
use marketdata::{Exchange, MarketType, VenueKind};

use super::super::{CaptureConfig, ListingConfig, Login, ProxyConfig, VenueConfig, proxy, written};
use super::Reader;

const EXCHANGES: [Exchange; 3] = [Exchange::Binance, Exchange::Okx, Exchange::Deribit];
const MARKETS: [MarketType; 2] = [MarketType::Spot, MarketType::Perpetual];
/// Published levels of a side.
const DEPTH: (u32, u32) = (1, 1_000);

/// Bytes a capture may take by default, and at least.
const CAPTURE_DEFAULT: u64 = 1_000_000_000;
const CAPTURE_MIN: u64 = 1 << 20;

// === impl Reader ===

impl Reader<'_> {
    /// Reading a list costs a request of some megabytes.
    pub(super) fn listing(&mut self, written: written::Instruments) -> ListingConfig {
        let (default, limits) = (ListingConfig::default(), (Duration::from_secs(1), Duration::from_hours(24)));
        ListingConfig {
            interval: self.duration(written.listing_interval, default.interval, limits),
            cleanup_interval: self.duration(written.cleanup_interval, default.cleanup_interval, limits),
        }
    }

    pub(super) fn venues(&mut self, written: Option<Spanned<Vec<written::Venue>>>, listing: ListingConfig) -> Vec<VenueConfig> {
        let place = written.as_ref().map(place_of);
        let venues = written.map(|venues| venues.value).unwrap_or_default();
        if venues.is_empty() {
            let message = Text::new("no venue is configured: there is nothing to collect", "没有配置任何交易所：无事可做");
            let mut found = Diagnostic::error("E505", message).in_file(self.file);
            found.place = place;
            found.hint = Some(Text::new(
                "venues: [{name: binance, market: spot, symbols: [BTC-USDT]}]",
                "例如 venues: [{name: binance, market: spot, symbols: [BTC-USDT]}]",
            ));
            self.findings.push(found);
        }
        let mut seen = BTreeSet::new();
        let read = venues.into_iter().filter_map(|venue| self.venue(venue, &mut seen));
        read.map(|venue| VenueConfig { listing, ..venue }).collect()
    }

    fn venue(&mut self, mut venue: written::Venue, seen: &mut BTreeSet<(Exchange, MarketType)>) -> Option<VenueConfig> {
        let exchange = self.word(&venue.name, ("venue", "交易所"), &EXCHANGES.map(|one| (one.as_str(), one)));
        let market_type = self.word(&venue.market, ("market", "市场"), &MARKETS.map(|one| (one.as_str(), one)));
        let symbols = self.symbols(&venue.symbols);
        let written = venue.publication();
        let depth_place = venue.depth.as_ref().map(place_of);
        let depth = self.number(venue.depth, 100, DEPTH);
        let (output, overrides) = self.outputs(&symbols, written, venue.overrides);
        let fusion = self.fusion(venue.fusion);
        let ws_url = self.url(venue.ws_url, &["ws://", "wss://"]);
        let rest_url = self.url(venue.rest_url, &["http://", "https://"]);
        let proxy = self.proxy(venue.proxy, venue.proxy_auth);
        let capture = venue.capture.map(|capture| {
            let max_bytes = self.size(capture.max_bytes, CAPTURE_DEFAULT, CAPTURE_MIN);
            CaptureConfig { dir: capture.dir.value.into(), max_bytes }
        });
        let (exchange, market_type) = (exchange?, market_type?);
        let kinds = VenueKind::ALL.map(|kind| (kind.exchange(), kind.market_type()));
        let kind = VenueKind::ALL.into_iter().find(|kind| (kind.exchange(), kind.market_type()) == (exchange, market_type));
        if let (Some(kind), Some(place)) = (kind, depth_place)
            && depth as usize > kind.deepest()
        {
            let most = kind.deepest();
            let message =
                Text::new(format!("the venue tells {most} levels a side, not {depth}"), format!("该交易所每侧只提供 {most} 档，而非 {depth}"));
            self.error(place, Diagnostic::error("E502", message).expected(Text::new(format!("1 to {most}"), format!("1 到 {most}"))));
        }
        if kind.is_none() {
            let (name, market) = (exchange.as_str(), market_type.as_str());
            let known = kinds.map(|(exchange, market)| format!("{} {}", exchange.as_str(), market.as_str())).join(", ");
            let message = Text::new(format!("`{name}` `{market}` cannot be collected"), format!("无法采集 `{name}` `{market}`"));
            let expected = Text::new(format!("one of: {known}"), format!("以下之一：{known}"));
            self.error(place_of(&venue.name), Diagnostic::error("E503", message).expected(expected));
            return None;
        }
        if !seen.insert((exchange, market_type)) {
            let message = Text::new("this venue and market is configured twice", "该交易所与市场重复配置");
            let hint = Text::new("put all its symbols into one entry", "请把所有交易对写进同一项");
            self.error(place_of(&venue.name), Diagnostic::error("E504", message).hint(hint));
            return None;
        }
        let depth = u16::try_from(depth).unwrap_or(u16::MAX);
        let (trades, ca_file) = (venue.trades.unwrap_or(true), venue.ca_file.map(Into::into));
        let listing = ListingConfig::default();
        Some(VenueConfig {
            exchange,
            market_type,
            symbols,
            ws_url,
            rest_url,
            depth,
            output,
            overrides,
            fusion,
            trades,
            proxy,
            ca_file,
            capture,
            listing,
        })
    }

    /// The venue's own proxy, `none`, or that of the environment.
    fn proxy(&mut self, written: Option<Spanned<String>>, auth: Option<written::ProxyAuth>) -> ProxyConfig {
        let login = auth.and_then(|auth| self.login(auth));
        let Some(written) = written else { return ProxyConfig { login, ..ProxyConfig::of_environment(self.environment) } };
        if written.value == "none" {
            return ProxyConfig::default();
        }
        let shown = proxy::without_login(&written.value);
        if !proxy::is_proxy(&written.value) {
            let message = Text::new(format!("`{shown}` is not a proxy"), format!("`{shown}` 不是代理"));
            let list = proxy::SCHEMES.map(|scheme| format!("`{scheme}host:port`")).join(" / ");
            self.error(place_of(&written), Diagnostic::error("E501", message).expected(Text::same(format!("`none` / {list}"))));
        } else if written.value.contains('@') {
            let message = Text::new("the login of a proxy does not belong into this file", "代理的登录不应写在此文件中");
            let hint = Text::new(
                "proxy_auth: {file: PATH} or {env: NAME}, of user:password",
                "请用 proxy_auth: {file: 路径} 或 {env: 变量名}，内容为 user:password",
            );
            self.error(place_of(&written), Diagnostic::error("E501", message).hint(hint));
        }
        ProxyConfig::all(&written.value, login)
    }

    fn login(&mut self, auth: written::ProxyAuth) -> Option<Login> {
        if let Some(file) = auth.file {
            return Some(Login::File(file.value.into()));
        }
        let name = auth.env?;
        let login = self.environment.get(&name.value).map(|text| Login::Text(text.to_owned()));
        if login.is_none() {
            let message = Text::new(format!("environment variable `{}` is not set", name.value), format!("环境变量 `{}` 未设置", name.value));
            self.error(place_of(&name), Diagnostic::error("E501", message).expected(Text::same("user:password")));
        }
        login
    }

    fn symbols(&mut self, written: &Spanned<Vec<Spanned<String>>>) -> Vec<String> {
        if written.value.is_empty() {
            self.error(place_of(written), Diagnostic::error("E505", Text::new("no symbol is listed", "没有列出任何交易对")));
        }
        let mut symbols: Vec<String> = Vec::new();
        for symbol in &written.value {
            if !is_symbol(&symbol.value) {
                let message = Text::new(format!("`{}` is not a symbol", symbol.value), format!("`{}` 不是交易对", symbol.value));
                let expected = Text::new("`BASE-QUOTE` in capitals, as `BTC-USDT`", "大写的 `BASE-QUOTE`，例如 `BTC-USDT`");
                self.error(place_of(symbol), Diagnostic::error("E501", message).expected(expected));
            } else if symbols.contains(&symbol.value) {
                let message = Text::new(format!("symbol `{}` is listed twice", symbol.value), format!("交易对 `{}` 重复", symbol.value));
                self.error(place_of(symbol), Diagnostic::error("E504", message));
            } else {
                symbols.push(symbol.value.clone());
            }
        }
        symbols
    }

    fn url(&mut self, written: Option<Spanned<String>>, schemes: &[&str]) -> Option<String> {
        let written = written?;
        let host = schemes.iter().find_map(|scheme| written.value.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
            let message = Text::new(format!("`{}` is not a base URL", written.value), format!("`{}` 不是基础 URL", written.value));
            let list = schemes.iter().map(|scheme| format!("`{scheme}host[:port]`")).collect::<Vec<_>>().join(" / ");
            self.error(place_of(&written), Diagnostic::error("E501", message).expected(Text::same(list)));
        }
        Some(written.value.trim_end_matches('/').to_owned())
    }
}

/// `BASE-QUOTE`, each of letters and digits; letters that have a case are upper-case (names need not be ASCII).
fn is_symbol(text: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() && !c.is_lowercase());
    text.split_once('-').is_some_and(|(base, quote)| word(base) && word(quote))
}
