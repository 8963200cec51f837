//! Configurations good and bad, as an operator writes them.

use std::collections::BTreeSet;

use diagnostics::{Lang, render};
use marketdata::{Priority, Publication, RecordKind};

use super::*;

fn load_with(text: &str, environment: &[(&str, &str)]) -> Loaded {
    load("collector.yml", text, &environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn sound(text: &str, environment: &[(&str, &str)]) -> Config {
    let loaded = load_with(text, environment);
    loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.findings))
}

const SMALL: &str = "venues: [{name: binance, market: spot, symbols: [BTC-USDT]}]\n";

#[test]
fn a_venue_is_all_that_is_needed() {
    let config = sound(SMALL, &[]);
    let venue = &config.venues[0];
    assert_eq!((venue.depth, venue.trades), (100, true));
    assert_eq!(venue.output, marketdata::Output::DEFAULT);
    assert_eq!(venue.output.previews.iter().collect::<Vec<_>>(), [RecordKind::Event], "events, and no other preview");
    assert_eq!(config.recorder.as_ref().map(|recorder| recorder.max_total), Some(256_000_000), "the recorder is the default without NATS");
    assert_eq!((config.http.health.port(), config.http.metrics.port()), (8087, 9092));
    assert!(config.http.health.ip().is_loopback() && config.http.metrics.ip().is_loopback());
}

#[test]
fn a_symbol_may_differ_from_its_venue_in_what_leaves() {
    let text = "venues:\n  - name: binance\n    market: spot\n    symbols: [BTC-USDT, ETH-USDT, PEPE-USDT]\n    publish: 250ms\n    large_trade: 100000\n    \
        previews: [event, ofi]\n    overrides:\n      - {symbols: [BTC-USDT], publish: every, delta: every}\n      \
        - {symbols: [PEPE-USDT], delta: 1s, previews: [], large_trade: 0, priority: low}\n    fusion: {ofi: 1, cvd: -0.5, half_life: 5m, warm_up: 30s}\n";
    let config = sound(text, &[]);
    let venue = &config.venues[0];
    let (btc, eth, pepe) = (venue.output_of("BTC-USDT"), venue.output_of("ETH-USDT"), venue.output_of("PEPE-USDT"));
    assert_eq!((btc.book, btc.delta), (Publication::EveryUpdate, Some(Publication::EveryUpdate)));
    assert_eq!((btc.large_trade, btc.previews, btc.priority), (eth.large_trade, eth.previews, Priority::Normal), "the rest is the venue's");
    assert_eq!((eth.book, eth.delta, eth.large_trade), (Publication::Conflated(Duration::from_millis(250)), None, Some(100_000)));
    assert_eq!((pepe.book, pepe.delta), (eth.book, Some(Publication::Conflated(Duration::from_secs(1)))));
    assert_eq!((pepe.large_trade, pepe.previews.iter().count(), pepe.priority), (None, 0, Priority::Low));
    assert_eq!((venue.fusion.ofi, venue.fusion.cvd, venue.fusion.half_life.as_secs(), venue.fusion.warm_up), (1.0, -0.5, 300, 30));
    let bad = "venues:\n  - name: binance\n    market: spot\n    symbols: [A-B]\n    delta: soon\n    previews: [ofy]\n    priority: high\n    fusion: {ofi: 1e9}\n    \
        overrides: [{symbols: [C-D]}, {symbols: [A-B]}, {symbols: [A-B]}]\n";
    let found: Vec<(&str, usize)> = load_with(bad, &[]).findings.iter().map(|finding| (finding.code, finding.place.unwrap().line)).collect();
    assert_eq!(found, [("E501", 5), ("E503", 6), ("E503", 7), ("E502", 8), ("E503", 9), ("E504", 9)]);
}

#[test]
fn with_nats_the_recorder_is_off_unless_asked_for() {
    let nats = format!("{SMALL}nats: {{url: 'nats://a:4222, nats://b:4222'}}\n");
    let config = sound(&nats, &[]);
    assert_eq!(config.nats.unwrap().access.urls, ["nats://a:4222", "nats://b:4222"]);
    assert_eq!(config.recorder, None);
    assert_eq!(config.spool, SpoolConfig::default());
    assert!(sound(&format!("{nats}recorder: {{dir: x}}\n"), &[]).recorder.is_some());
}

#[test]
fn how_nats_knows_us_is_given_whole_and_once_and_never_shown() {
    let with = |more: &str| format!("{SMALL}nats: {{{more}}}\n");
    let access = |more: &str| sound(&with(&format!("url: 'tls://me:secret@a', {more}")), &[]).nats.unwrap().access;
    let all = access("ca_file: ca, cert_file: c, key_file: k, nkey_file: n");
    assert_eq!((all.certificate.clone(), all.login.clone()), (Some(("c".into(), "k".into())), Some(LoginFile::Nkey("n".into()))));
    assert!(!format!("{all:?}").contains("secret"), "{all:?}");
    assert_eq!(access("credentials_file: u").login, Some(LoginFile::Credentials("u".into())));
    for bad in [
        "url: 'tls://a', cert_file: c",
        "url: 'tls://a', key_file: k",
        "url: 'tls://a', nkey_file: n, credentials_file: u",
        "url: 'http://me:secret@a'",
    ] {
        let findings = load_with(&with(bad), &[]).findings;
        assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["E501"], "{bad}");
        assert!(!format!("{findings:?}").contains("secret"), "{findings:?}");
    }
}

#[test]
fn all_semantic_errors_come_at_once_with_their_places() {
    let text = "lang: fr\nvenues:\n  - name: binanse\n    market: spott\n    symbols: [btc-usdt, ETH-USDT, ETH-USDT]\n    depth: 0\n    publish: 5\n    ws_url: stream.binance.com\n\
        http: {health: ':8087', health_grace: soon}\nrecorder: {max_total: 1B}\nlog: {level: loud}\nshutdown: {deadline: 0s}\n";
    let found: Vec<(&str, usize, usize)> =
        load_with(text, &[]).findings.iter().map(|finding| (finding.code, finding.place.unwrap().line, finding.place.unwrap().column)).collect();
    let expected = [
        ("E503", 1, 7),
        ("E503", 3, 11),
        ("E503", 4, 13),
        ("E501", 5, 15),
        ("E504", 5, 35),
        ("E502", 6, 12),
        ("E501", 7, 14),
        ("E501", 8, 13),
        ("E501", 9, 16),
        ("E501", 9, 39),
        ("E502", 10, 23),
        ("E503", 11, 14),
        ("E502", 12, 22),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_error_is_shown_with_caret_expectation_and_hint_in_both_languages() {
    let text = "venues: [{name: binanse, market: spot, symbols: [BTC-USDT]}]\n";
    let loaded = load_with(text, &[]);
    let shown = |lang| render(&loaded.findings[0], Some(text), lang, diagnostics::Format::Text);
    let english = shown(Lang::En);
    assert!(english.starts_with("collector.yml:1:17: error[E503]: unknown venue `binanse`\n"), "{english}");
    assert!(english.contains("^^^^^^^") && english.contains("did you mean `binance`?"), "{english}");
    assert!(shown(Lang::Zh).contains("未知的交易所 `binanse`"), "{}", shown(Lang::Zh));
}

#[test]
fn nothing_to_collect_and_nowhere_to_put_it_are_errors() {
    let codes = |text: &str| load_with(text, &[]).findings.iter().map(|finding| finding.code).collect::<Vec<_>>();
    assert_eq!(codes(""), ["E505"]);
    assert_eq!(codes("venues: []\n"), ["E505"]);
    assert_eq!(codes(&format!("{SMALL}recorder: {{enabled: false}}\n")), ["E505"]);
    assert_eq!(codes("venues: [{name: deribit, market: spot, symbols: [A-B]}]"), ["E503"]);
    assert_eq!(codes(&SMALL.replace("}]", "}, {name: binance, market: spot, symbols: [A-B]}]")), ["E504"]);
}

#[test]
fn an_unknown_key_is_an_error() {
    let loaded = load_with("venue: []\n", &[]);
    assert!(loaded.config.is_none() && loaded.findings.iter().any(|finding| finding.code == "E002"));
}

#[test]
fn the_old_variables_win_over_the_file_in_the_old_order() {
    let text = format!("{SMALL}http: {{health: '0.0.0.0:1'}}\n");
    let environment = [
        ("MARKETPRISM_NATS_URL", "nats://first:4222"),
        ("NATS_URL", "nats://second:4222"),
        ("HEALTH_CHECK_PORT", "8090"),
        ("METRICS_PORT", "9093"),
        ("HEALTH_GRACE_SECONDS", "7"),
        ("LOG_LEVEL", "WARNING"),
        ("MARKETPRISM_LOG_JSON", "true"),
        ("COLLECTOR_ENABLE_HTTP", "1"),
    ];
    let loaded = load_with(&text, &environment);
    let config = loaded.config.unwrap();
    assert_eq!(config.nats.unwrap().access.urls, ["nats://first:4222"]);
    assert_eq!((config.http.health.to_string(), config.http.metrics.port()), ("0.0.0.0:8090".to_owned(), 9093));
    assert_eq!(config.http.health_grace, Duration::from_secs(7));
    assert_eq!((config.log.filter.as_str(), config.log.format), ("warn", LogFormat::Json));
    let warnings: Vec<(&str, &str)> = loaded.findings.iter().map(|finding| (finding.code, finding.message.en.as_str())).collect();
    assert_eq!(
        warnings,
        [
            ("W502", "environment variable `HEALTH_CHECK_PORT` is set and wins over this value"),
            ("W501", "environment variable `NATS_URL` has no effect"),
        ]
    );
}

#[test]
fn no_old_variable_is_silently_ignored() {
    for row in environment::TABLE {
        for name in row.names() {
            let value = if name == "COLLECTOR_ENABLE_HTTP" { "0" } else { "! !" };
            let loaded = load_with(SMALL, &[(&name, value)]);
            // A list of hosts cannot be wrong.
            let named = name.eq_ignore_ascii_case("no_proxy") || loaded.findings.iter().any(|finding| finding.message.en.contains(&name));
            assert!(named, "{name} is neither honoured nor named");
        }
    }
}

#[test]
fn every_variable_that_sets_a_key_has_an_effect() {
    let plain = sound(SMALL, &[]);
    for row in environment::TABLE {
        let environment::Fate::Sets(key) = row.fate else { continue };
        let value = match key {
            "nats.url" => "nats://n:4222",
            "log.level" => "debug",
            "log.format" => "1",
            "recorder.save_concurrency" => "3",
            key if key.ends_with(".emergency") => "123456",
            _ => "77",
        };
        assert_ne!(sound(SMALL, &[(row.name, value)]), plain, "{}", row.name);
    }
}

#[test]
fn proxies_come_from_the_environment_or_the_venue_and_no_login_is_shown() {
    let environment = [("HTTPS_PROXY", "socks5h://me:secret@p:1080"), ("http_proxy", "q:3128"), ("NO_PROXY", "local"), ("LOGIN", "me:secret")];
    let of_venue = |more: &str| sound(&SMALL.replace("}]", &format!("{more}}}]")), &environment).venues[0].proxy.clone();
    let from_environment = of_venue("");
    assert_eq!(from_environment.http.as_deref(), Some("q:3128"));
    assert_eq!((from_environment.https.as_deref(), from_environment.no.as_str()), (Some("socks5h://me:secret@p:1080"), "local"));
    assert_eq!(of_venue(", proxy: none"), ProxyConfig::default());
    let own = of_venue(", proxy: 'http://h:1', proxy_auth: {env: LOGIN}");
    assert_eq!((own.https.as_deref(), own.login.clone()), (Some("http://h:1"), Some(Login::Text("me:secret".to_owned()))));
    assert!(!format!("{from_environment:?} {own:?}").contains("secret"));
    let refused = load_with(
        &SMALL.replace("}]", ", proxy: 'ftp://me:secret@h'}, {name: binance, market: perpetual, symbols: [A-B], proxy: 'http://me:secret@h:1'}]"),
        &[],
    );
    let found: Vec<&str> = refused.findings.iter().map(|finding| finding.message.en.as_str()).collect();
    assert_eq!(found, ["`ftp://h` is not a proxy", "the login of a proxy does not belong into this file"]);
}

#[test]
fn every_code_that_is_used_is_explained_and_no_other() {
    let sources = [
        include_str!("environment.rs"),
        include_str!("validate.rs"),
        include_str!("validate/venues.rs"),
        include_str!("validate/sinks.rs"),
        include_str!("validate/delivery.rs"),
        include_str!("validate/buffers.rs"),
        include_str!("validate/service.rs"),
        include_str!("../cli.rs"),
        include_str!("../run.rs"),
        include_str!("../http/ports.rs"),
    ];
    let used: BTreeSet<&str> = sources.iter().flat_map(|text| text.split('"')).filter(|word| is_code(word)).collect();
    assert_eq!(used, CODES.iter().map(|(code, ..)| *code).collect());
}

fn is_code(word: &str) -> bool {
    word.len() == 4 && word.starts_with(['E', 'W']) && word[1..].bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn pressure_has_defaults_takes_pairs_and_wants_them_in_order() {
    assert_eq!(sound(SMALL, &[]).pressure, PressureConfig::default());
    let text = format!("{SMALL}pressure: {{memory: {{soft: 8MB, hard: 12MB}}, sockets: {{soft: 10, hard: 20}}, dwell: 2s, gc_interval: 0s}}\n");
    let expected = PressureConfig {
        memory: Some(Limits { soft: 8_000_000, hard: 12_000_000 }),
        descriptors: None,
        sockets: Some(Limits { soft: 10, hard: 20 }),
        dwell: Duration::from_secs(2),
        gc_interval: None,
    };
    assert_eq!(sound(&text, &[]).pressure, expected);
    let wrong = format!("{SMALL}pressure:\n  memory: {{soft: 12MB, hard: 8MB}}\n  descriptors: {{soft: 5, hard: 5}}\n  sockets: {{soft: 5}}\n");
    let found = load_with(&wrong, &[]).findings;
    assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["E003"], "{found:#?}");
    let wrong = wrong.replace("  sockets: {soft: 5}\n", "");
    let places: Vec<_> = load_with(&wrong, &[]).findings.iter().map(|finding| (finding.code, finding.place.unwrap().line)).collect();
    assert_eq!(places, [("E502", 3), ("E502", 4)]);
}

#[test]
fn a_venue_is_not_asked_for_more_levels_than_it_tells() {
    let depth = |venue: &str, depth: u32| format!("venues: [{{{venue}, symbols: [A-B], depth: {depth}}}]\n");
    let okx = "name: okx, market: spot";
    assert_eq!(sound(&depth(okx, 400), &[]).venues[0].depth, 400);
    let found = load_with(&depth(okx, 401), &[]).findings;
    assert_eq!(found.iter().map(|finding| (finding.code, finding.place.unwrap().column)).collect::<Vec<_>>(), [("E502", 59)]);
    assert_eq!(sound(&depth("name: deribit, market: perpetual", 1_000), &[]).venues[0].depth, 1_000);
}

#[test]
fn instrument_lists_are_read_again_as_often_as_is_said() {
    assert_eq!(sound(SMALL, &[]).venues[0].listing, ListingConfig::default());
    let config = sound(&format!("{SMALL}instruments: {{listing_interval: 90s, cleanup_interval: 2m}}\n"), &[]);
    let expected = ListingConfig { interval: Duration::from_secs(90), cleanup_interval: Duration::from_mins(2) };
    assert_eq!(config.venues[0].listing, expected);
    let codes = load_with(&format!("{SMALL}instruments: {{listing_interval: 0s}}\n"), &[]).findings;
    assert_eq!(codes.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["E502"]);
}
