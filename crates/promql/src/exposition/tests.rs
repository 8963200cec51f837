//! Tests of both formats: tables of pages, the `prometheus-parse` package as oracle, and properties.
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::labels::Labels;

fn samples(page: &str, format: Format) -> Result<Vec<(String, f64, Option<i64>)>, ParseError> {
    let mut found = Vec::new();
    for entry in parse(page.as_bytes(), format, &Limits::default())? {
        if let Entry::Sample(sample) = entry? {
            found.push((sample.to_labels().to_string(), sample.value, sample.t_ms));
        }
    }
    Ok(found)
}

fn error(page: &str, format: Format) -> String {
    samples(page, format).map_or_else(|error| error.to_string(), |found| format!("accepted: {found:?}"))
}

/// One sample line and the series, value and time it must give.
const TEXT_LINES: &[(&str, &str, f64, Option<i64>)] = &[
    ("queue_depth 3", "queue_depth", 3.0, None),
    ("queue_depth{} 3", "queue_depth", 3.0, None),
    ("job:depth:max5m{a=\"1\"} 2.5e3", "job:depth:max5m{a=\"1\"}", 2500.0, None),
    ("  \t depth\t 3 \t 1700000000123  ", "depth", 3.0, Some(1_700_000_000_123)),
    ("depth { a = \"1\" , b=\"2\" , } 3", "depth{a=\"1\", b=\"2\"}", 3.0, None),
    ("depth{a=\"1\"}3", "depth{a=\"1\"}", 3.0, None),
    ("depth{a=\"\"} 3", "depth", 3.0, None),
    ("depth{a=\"x,y=z}{\"} 3", "depth{a=\"x,y=z}{\"}", 3.0, None),
    (r#"depth{a="say \"hi\"\\\n",b="\q"} 3"#, r#"depth{a="say \"hi\"\\\n", b="\\q"}"#, 3.0, None),
    (r#"{"cpu.load",a="1"} 3"#, r#"{"cpu.load", a="1"}"#, 3.0, None),
    (r#"{a="1","cpu.load"} 3"#, r#"{"cpu.load", a="1"}"#, 3.0, None),
    (r#"{"depth"} 3"#, "depth", 3.0, None),
    (r#"depth{"host.name"="币",b="2"} 3"#, r#"depth{b="2", "host.name"="币"}"#, 3.0, None),
    ("depth +Inf", "depth", f64::INFINITY, None),
    ("depth -inf 5", "depth", f64::NEG_INFINITY, Some(5)),
];

#[test]
fn text_lines_become_their_samples() {
    for (line, series, value, t_ms) in TEXT_LINES {
        assert_eq!(samples(&format!("{line}\n"), Format::Text), Ok(vec![((*series).to_owned(), *value, *t_ms)]), "{line}");
    }
}

#[test]
fn a_page_gives_metadata_and_samples_in_order() {
    let page = "# HELP depth How \\\"deep\\\" \\\\ it\\n is\n# TYPE depth  gauge\n\n#comment\n# HELP\n# TYPES are not types\ndepth 1\n# TYPE \"a b\" untyped\n# HELP lone\n";
    let entries: Vec<_> = parse(page.as_bytes(), Format::Text, &Limits::default()).unwrap().collect::<Result<_, _>>().unwrap();
    let kind = |family: &'static str, kind| Entry::Type { family: family.into(), kind };
    assert_eq!(entries[0], Entry::Help { family: "depth".into(), text: "How \\\"deep\\\" \\ it\n is".into() });
    assert_eq!(entries[1], kind("depth", MetricKind::Gauge));
    assert!(matches!(&entries[2], Entry::Sample(sample) if sample.key == "depth"));
    assert_eq!(entries[3..], [kind("a b", MetricKind::Unknown), Entry::Help { family: "lone".into(), text: "".into() }]);
}

#[test]
fn open_metrics_pages_are_read_with_exemplars_passed_over() {
    let page = "# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n# HELP wait_seconds How \\\"long\\\"\n\
        wait_seconds_bucket{le=\"+Inf\"} 3 # {trace=\"a }\"} 0.5 1700000000.25\nwait_seconds_sum 1.5 1700000000.5\n\
        {\"wait.x\",a=\"1\"} 2 -1 # {} 1\n# EOF\n";
    let want = [
        ("wait_seconds_bucket{le=\"+Inf\"}".to_owned(), 3.0, None),
        ("wait_seconds_sum".to_owned(), 1.5, Some(1_700_000_000_500)),
        ("{\"wait.x\", a=\"1\"}".to_owned(), 2.0, Some(-1000)),
    ];
    assert_eq!(samples(page, Format::OpenMetrics), Ok(want.to_vec()));
    assert_eq!(samples(page.trim_end(), Format::OpenMetrics), Ok(want.to_vec()), "the last line feed may be missing");
}

#[test]
fn what_is_no_text_page_is_refused_with_its_place() {
    let number = "expected a number (decimal, NaN, +Inf, -Inf) that a 64-bit float holds, found";
    let cut = "the body ends within a line: it is truncated (the last line must end with a line feed)";
    let cases: &[(&str, &str)] = &[
        ("<html><body>502</body></html>\n", "line 1, column 1: expected a metric name, \"{\" or \"#\", found \"<html><body>502</body></html>\""),
        ("<html>", "line 1, column 1: expected a metric name, \"{\" or \"#\", found \"<html>\""),
        ("a 1\nb 2", &format!("line 2, column 4: {cut}")),
        ("a 1\nb{x=\"1", "line 2, column 5: expected a closing quote on this line, found \"\\\"1\""),
        ("a 1\n{\"error\": 5}\n", "line 2, column 9: expected \"=\" after the label name, found \": 5}\""),
        ("a\n", "line 1, column 2: expected a blank and the value, or \"{\", found end of line"),
        ("a \n", &format!("line 1, column 3: {number} end of line")),
        ("a 0x1p3\n", &format!("line 1, column 3: {number} \"0x1p3\"")),
        ("a 1_0\n", &format!("line 1, column 3: {number} \"1_0\"")),
        ("a 1\r\n", &format!("line 1, column 3: {number} \"1\\r\"")),
        ("über 1\n", "line 1, column 1: expected a metric name, \"{\" or \"#\", found \"über 1\""),
        ("a{ü=\"1\"} 1\n", "line 1, column 3: expected a label name, a quoted name or \"}\", found \"ü=\\\"1\\\"} 1\""),
        ("a{币=\"1\"} 1\n", "line 1, column 3: expected a label name, a quoted name or \"}\", found \"币=\\\"1\\\"} 1\""),
        ("a{b=\"币\" c=\"1\"} 1\n", "line 1, column 9: expected \",\" or \"}\", found \"c=\\\"1\\\"} 1\""),
        ("a{b='1'} 1\n", "line 1, column 5: expected a label value in double quotes, found \"'1'} 1\""),
        ("a{,} 1\n", "line 1, column 3: expected a label name, a quoted name or \"}\", found \",} 1\""),
        ("a{b=\"1\",b=\"2\"} 1\n", "line 1, column 9: label \"b\" stands twice in this sample"),
        ("a{__name__=\"b\"} 1\n", "line 1, column 3: label \"__name__\" stands twice in this sample"),
        ("a{\"b\"} 1\n", "line 1, column 3: expected one metric name, not empty, found \"\\\"b\\\"\""),
        ("{\"\"} 1\n", "line 1, column 2: expected one metric name, not empty, found \"\\\"\\\"\""),
        ("{b=\"1\"} 1\n", "line 1, column 1: expected a metric name before or, quoted, within the braces, found \"{b=\\\"1\\\"}\""),
        ("{} 1\n", "line 1, column 1: expected a metric name before or, quoted, within the braces, found \"{}\""),
        ("a{\"\"=\"1\"} 1\n", "line 1, column 3: expected a label name, not empty, found \"\\\"\\\"\""),
        ("a 1 1.5\n", "line 1, column 5: expected a time stamp in milliseconds, found \"1.5\""),
        ("a 1 -5\n", "line 1, column 5: expected a time stamp in milliseconds, found \"-5\""),
        ("a 1 5 6\n", "line 1, column 7: expected the end of the line after the time stamp, found \"6\""),
        ("a 1 # {b=\"1\"} 1\n", "line 1, column 5: expected a time stamp in milliseconds, found \"#\""),
        ("# TYPE a thing\n", "line 1, column 10: expected counter, gauge, histogram, summary or untyped, found \"thing\""),
        ("# TYPE 1a gauge\n", "line 1, column 8: expected a metric name, found \"1a gauge\""),
        ("# HELP a{b\n", "line 1, column 9: expected a blank after the metric name, found \"{b\""),
    ];
    for (page, want) in cases {
        assert_eq!(error(page, Format::Text), *want, "{page:?}");
    }
}

#[test]
fn what_is_no_open_metrics_page_is_refused_with_its_place() {
    let comments = "expected \"# HELP\", \"# TYPE\", \"# UNIT\" or \"# EOF\", found";
    let cases: &[(&str, &str)] = &[
        ("", "line 1, column 1: the body ends without \"# EOF\": it is truncated"),
        ("a 1\n", "line 2, column 1: the body ends without \"# EOF\": it is truncated"),
        ("a 1", "line 1, column 4: the body ends within a line: it is truncated (the last line must end with a line feed)"),
        ("a 1\n# EOF\nb 1\n", "line 3, column 1: expected the end of the body after \"# EOF\", found \"b 1\""),
        ("\n# EOF\n", "line 1, column 1: expected a metric name, \"{\" or \"#\", found end of line"),
        (" a 1\n# EOF\n", "line 1, column 1: expected a metric name, \"{\" or \"#\", found \" a 1\""),
        ("a{ b=\"1\"} 1\n# EOF\n", "line 1, column 3: expected a label name, a quoted name or \"}\", found \" b=\\\"1\\\"} 1\""),
        ("a{b=\"1\"}1\n# EOF\n", "line 1, column 9: expected a blank and the value, or \"{\", found \"1\""),
        ("# just saying\n# EOF\n", &format!("line 1, column 1: {comments} \"# just saying\"")),
        ("#EOF\n", &format!("line 1, column 1: {comments} \"#EOF\"")),
        (
            "# TYPE a untyped\n",
            "line 1, column 10: expected counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown, found \"untyped\"",
        ),
        ("# UNIT a_bytes seconds\n", "line 1, column 16: expected a unit that is the end of the metric name after \"_\", found \"seconds\""),
        ("# UNIT seconds seconds\n", "line 1, column 16: expected a unit that is the end of the metric name after \"_\", found \"seconds\""),
        ("a 1 NaN\n", "line 1, column 5: expected a time stamp in seconds, found \"NaN\""),
        ("a 1 2 3\n", "line 1, column 7: expected an exemplar \"# {labels} value\" or the end of the line, found \"3\""),
        ("a 1 # {b=\"1\"}\n", "line 1, column 14: expected a blank and the exemplar's value, found end of line"),
        ("a 1 # {b} 1\n", "line 1, column 9: expected \"=\" after the label name, found \"} 1\""),
        ("a 1 # {\"b\"} 1\n", "line 1, column 11: expected \"=\" after the label name, found \"} 1\""),
        ("a 1 # {b=\"1\"} 1 2 3\n", "line 1, column 18: expected the end of the line after the exemplar, found \" 3\""),
    ];
    for (page, want) in cases {
        assert_eq!(error(page, Format::OpenMetrics), *want, "{page:?}");
    }
}

#[test]
fn an_empty_text_page_is_a_page_without_samples() {
    assert_eq!(samples("", Format::Text), Ok(vec![]));
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_place() {
    let error = parse(b"a 1\nb{c=\"\xe5\xb8\x81\xff\"} 1\n", Format::Text, &Limits::default()).unwrap_err();
    assert_eq!(error, ParseError { line: 2, column: 7, reason: Reason::NotUtf8 });
}

#[test]
fn each_limit_has_its_own_error() {
    let limits = Limits { body_bytes: 40, samples: 2, labels: 3, label_name_bytes: 4, label_value_bytes: 5 };
    let cases: &[(&str, Option<&str>)] = &[
        ("depth{a=\"1\",name=\"12345\"} 1\nb 2\n", None),
        ("depth 1\ndepth 2\ndepth 3\n", Some("sample_limit")),
        ("depth{a=\"1\",b=\"2\",c=\"3\"} 1\n", Some("label_limit")),
        ("depth{names=\"1\"} 1\n", Some("label_name_length_limit")),
        ("depth{a=\"123456\"} 1\n", Some("label_value_length_limit")),
        ("depths 1\n", Some("label_value_length_limit")),
        ("{\"depths\"} 1\n", Some("label_value_length_limit")),
        ("# HELP depth a help text that is too long\n", Some("body_size_limit")),
    ];
    for (page, want) in cases {
        let outcome = parse(page.as_bytes(), Format::Text, &limits).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        assert_eq!(outcome.err().map(|error| error.reason.as_str()), *want, "{page}");
    }
}

#[test]
fn a_scraped_nan_is_never_the_stale_marker() {
    let found = samples("a NaN\n", Format::Text).unwrap();
    assert!(found[0].1.is_nan() && !crate::is_stale(found[0].1));
}

#[test]
fn after_an_error_there_are_no_more_entries() {
    let mut entries = parse(b"a 1\n?\nb 1\n", Format::Text, &Limits::default()).unwrap();
    assert!(entries.next().unwrap().is_ok() && entries.next().unwrap().is_err());
    assert_eq!(entries.next(), None);
}

#[test]
fn formats_are_told_by_content_type() {
    for (header, want) in [
        ("text/plain; version=0.0.4; charset=utf-8", Some(Format::Text)),
        ("TEXT/PLAIN", Some(Format::Text)),
        ("application/openmetrics-text; version=1.0.0", Some(Format::OpenMetrics)),
        ("text/html; charset=utf-8", None),
        ("application/json", None),
        ("", None),
    ] {
        assert_eq!(Format::from_content_type(header).ok(), want, "{header}");
    }
}

/// The part of the format that `prometheus-parse` reads rightly: no `:`, no `,`, `=`, `}` or escape in values, no blanks in braces, no histograms.
#[test]
fn the_oracle_agrees_on_its_good_subset() {
    let mut page = String::from("# HELP depth How deep\n# TYPE depth gauge\n# TYPE sent_total counter\n");
    for at in 0..200_i32 {
        let value = [f64::from(at) * 1.25, f64::INFINITY, f64::NEG_INFINITY, 1e-9 * f64::from(at)][usize::try_from(at).unwrap() % 4];
        writeln!(
            page,
            "depth{{venue=\"v{}\",symbol=\"币 {at}/x;\"}} {value} {}\nsent_total{{n=\"{at}\"}} {at}",
            at % 3,
            1_700_000_000_000_i64 + i64::from(at)
        )
        .unwrap();
    }
    let oracle = prometheus_parse::Scrape::parse(page.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let theirs: Vec<_> = oracle
        .samples
        .iter()
        .map(|sample| {
            let value = match sample.value {
                prometheus_parse::Value::Counter(value) | prometheus_parse::Value::Gauge(value) | prometheus_parse::Value::Untyped(value) => value,
                ref other => panic!("not flat: {other:?}"),
            };
            let pairs = sample.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
            let labels = Labels::from_pairs(pairs.chain([("__name__".to_owned(), sample.metric.clone())]));
            (labels.to_string(), value, labels.get("venue").map(|_| sample.timestamp.timestamp_millis()))
        })
        .collect();
    assert_eq!(theirs.len(), 400);
    assert_eq!(samples(&page, Format::Text).unwrap(), theirs);
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let name = prop_oneof!["[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", "\\PC{1,6}"];
    let label = prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,8}", "\\PC{1,6}"];
    (name, prop::collection::vec((label, ".{0,12}|[\\\\\"n\n,={}#]{0,6}"), 0..5))
        .prop_map(|(name, pairs)| Labels::from_pairs(pairs.into_iter().chain([("__name__".to_owned(), name)])))
}

/// Lines that begin alike and mean different things.
const LINES: [&str; 16] = [
    "a 1\n",
    "a 2 1700000000123\n",
    "a NaN\n",
    "a{b=\"1\"} 3\n",
    "a {b=\"1\"} 4\n",
    "a{b=\"1\"}5\n",
    "a  6\n",
    "a\t7\n",
    "ab 8\n",
    "a{b=\"1\"} 1.5 \n",
    "a 1 # {x=\"y\"} 1\n",
    "a 1.5e3 1.25\n",
    "# TYPE a gauge\n",
    "a x\n",
    "a 1\r\n",
    "a 123456789012345678\n",
];

/// Key, bits of the value and time of a sample.
type Told = (String, u64, Option<i64>);

/// Every sample of a page and the error that ends it.
fn all(page: &str, format: Format) -> Vec<Result<Told, ParseError>> {
    let entries = parse(page.as_bytes(), format, &Limits::default()).unwrap();
    let samples = entries.filter_map(|entry| match entry {
        Ok(Entry::Sample(sample)) => Some(Ok((sample.key.to_owned(), sample.value.to_bits(), sample.t_ms))),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    samples.collect()
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(page in "(.|\n){0,200}") {
        for format in [Format::Text, Format::OpenMetrics] {
            let _ = samples(&page, format);
        }
    }

    #[test]
    fn any_mix_of_the_grammars_parts_is_read_without_a_panic(parts in prop::collection::vec(prop::sample::select(
        &["a", "{", "}", "\"", "\\", "\n", " ", "\t", ",", "=", "1", "NaN", "#", "HELP", "TYPE", "UNIT", "EOF", "币", "_", "\0", "\"b\"", "gauge"][..]), 0..40)) {
        for format in [Format::Text, Format::OpenMetrics] {
            let _ = samples(&parts.concat(), format);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_give_no_more_than_they_hold(body in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in [Format::Text, Format::OpenMetrics] {
            let entries = parse(&body, format, &Limits::default()).into_iter().flatten().count();
            prop_assert!(entries <= body.split(|byte| *byte == b'\n').count());
        }
    }

    /// A reader who expects the keys of the last page reads the next one as a reader who expects nothing.
    #[test]
    fn an_expected_key_changes_nothing_but_the_speed(
        pages in prop::collection::vec(prop::collection::vec(prop::sample::select(&LINES[..]), 0..8), 2), format in prop::sample::select(&[Format::Text, Format::OpenMetrics][..])
    ) {
        let [last, next] = [0, 1].map(|at| pages[at].concat() + if format == Format::OpenMetrics { "# EOF\n" } else { "" });
        let keys: Vec<String> = all(&last, format).into_iter().flatten().map(|(key, ..)| key).collect();
        let mut parser = parse(next.as_bytes(), format, &Limits::default()).unwrap();
        let mut found = Vec::new();
        let mut keys = keys.iter();
        let mut expected = keys.next();
        loop {
            if let Some((value, t_ms)) = expected.and_then(|key| parser.sample_of(key)) {
                found.push(Ok((expected.cloned().unwrap_or_default(), value.to_bits(), t_ms)));
                expected = keys.next();
                continue;
            }
            match parser.next() {
                None => break,
                Some(Ok(Entry::Sample(sample))) => {
                    found.push(Ok((sample.key.to_owned(), sample.value.to_bits(), sample.t_ms)));
                    expected = keys.next();
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => found.push(Err(error)),
            }
        }
        prop_assert_eq!(found, all(&next, format));
    }

    #[test]
    fn what_is_rendered_is_read_again(set in prop::collection::vec((any_labels(), any::<f64>(), prop::option::of(0..4_000_000_000_000_i64)), 0..6), help in ".{0,20}") {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut page = String::new();
            write_metadata(&mut page, format, ("a b", MetricKind::Unknown), &help).unwrap();
            for (labels, value, t_ms) in &set {
                write_sample(&mut page, format, labels, (*value, *t_ms)).unwrap();
            }
            if format == Format::OpenMetrics {
                page += "# EOF\n";
            }
            let entries: Vec<_> = parse(page.as_bytes(), format, &Limits::default()).unwrap().collect::<Result<_, _>>().map_err(|error| TestCaseError::fail(format!("{error} in {page:?}")))?;
            prop_assert_eq!(&entries[0], &Entry::Help { family: "a b".into(), text: help.as_str().into() });
            prop_assert_eq!(entries.len(), set.len() + 2);
            for (entry, (labels, value, t_ms)) in entries[2..].iter().zip(&set) {
                let Entry::Sample(sample) = entry else { return Err(TestCaseError::fail("not a sample")) };
                prop_assert_eq!(&sample.to_labels(), labels);
                prop_assert!(sample.value.to_bits() == value.to_bits() || (sample.value.is_nan() && value.is_nan()));
                // OpenMetrics states seconds as a float: the last millisecond may be lost to it, as in Prometheus.
                let error_ms = i64::from(format == Format::OpenMetrics);
                prop_assert!(sample.t_ms.zip(*t_ms).map_or(sample.t_ms == *t_ms, |(got, want)| (got - want).abs() <= error_ms));
            }
        }
    }
}
