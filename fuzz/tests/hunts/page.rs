//! Pages of metrics: any bytes a target may answer with.
use fuzz::{Bound, Target, shape};
use promql::exposition::{Entry, Format, Limits, ParseError, parse};

use crate::{hunt, seeds};

const WORDS: &[&str] = &[
    "# HELP ",
    "# TYPE ",
    "# UNIT ",
    "# EOF\n",
    "counter",
    "gauge",
    "histogram",
    "_total",
    "_bucket",
    "le=\"",
    "{",
    "}",
    "\"",
    "\\\\",
    "\\n",
    "\n",
    ",",
    "=",
    " ",
    "\t",
    "NaN",
    "+Inf",
    "-Inf",
    "1.5",
    "1700000000123",
    " # {a=\"b\"} 1",
    "{\"a.b\"}",
    "币",
    "\u{0}",
    "__name__",
];

type Told = (String, u64, Option<i64>);

/// Every sample, and the error that ends them.
fn read(page: &[u8], format: Format) -> (Vec<Told>, usize, Option<ParseError>) {
    let (mut samples, mut labels) = (Vec::new(), 0);
    let entries = match parse(page, format, &Limits { samples: 200, labels: 16, ..Limits::default() }) {
        Ok(entries) => entries,
        Err(error) => return (samples, labels, Some(error)),
    };
    for entry in entries {
        match entry {
            Ok(Entry::Sample(sample)) => {
                labels += sample.to_labels().len();
                samples.push((sample.key.to_owned(), sample.value.to_bits(), sample.t_ms));
            }
            Ok(_) => {}
            Err(error) => return (samples, labels, Some(error)),
        }
    }
    (samples, labels, None)
}

/// Who expects the keys of this page reads it as who expects nothing.
fn read_again(page: &[u8], format: Format, first: &[Told]) {
    let Ok(mut parser) = parse(page, format, &Limits { samples: 200, labels: 16, ..Limits::default() }) else { return };
    for (key, bits, t_ms) in first {
        let expected = parser.sample_of(key).map(|(value, t_ms)| (value.to_bits(), t_ms));
        let found = expected.unwrap_or_else(|| {
            let sample = parser.by_ref().find_map(|entry| if let Ok(Entry::Sample(sample)) = entry { Some(sample) } else { None }).unwrap();
            (sample.value.to_bits(), sample.t_ms)
        });
        assert_eq!(found, (*bits, *t_ms), "{key}");
    }
}

#[test]
fn exposition() {
    for format in [Format::Text, Format::OpenMetrics] {
        let run = |page: &[u8]| {
            let (samples, labels, error) = read(page, format);
            assert!(samples.len() <= page.split(|byte| *byte == b'\n').count());
            read_again(page, format, &samples);
            shape(error.map(|error| error.reason.to_string()).unwrap_or_default().as_str(), &[samples.len(), labels])
        };
        let seeds = seeds(&[
            "# HELP a What it is\n# TYPE a gauge\na{b=\"c\",d=\"e f\"} 1.5\na 2 1700000000123\n# EOF\n",
            "h_bucket{le=\"0.5\"} 3\nh_bucket{le=\"+Inf\"} 7 # {trace=\"x\"} 0.7 1700000000.5\nh_sum 1e3\nh_count 7\n# EOF\n",
            "{\"utf.8\",\"l.b\"=\"\\\"q\\\" \\\\ \\n\"} NaN\n a\t{ b = \"c\" , } -Inf\n",
        ]);
        hunt(&Target { name: "exposition", seeds, words: WORDS, memory: Bound { base: 64 << 10, each: 64 }, run: &run }, 10_000);
    }
}
