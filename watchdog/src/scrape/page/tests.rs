//! Pages of one target after each other: what becomes of their series.

use std::collections::BTreeMap;

use promql::relabel::{Action, Draft, Rule};

use super::*;
use crate::config::job::{Job, Limits as JobLimits};

/// A reader and what its numbers stand for, as the rule engine keeps it.
struct Stage {
    reader: Reader,
    known: BTreeMap<u32, String>,
}

fn target(job: Job) -> Arc<Target> {
    let labels = Labels::from_pairs([("job", "c"), ("instance", "h:1")]);
    let (interval, timeout) = (job.interval, job.timeout);
    Arc::new(Target {
        job: Arc::new(job),
        labels,
        discovered: Labels::default(),
        url: "http://h:1/metrics".into(),
        interval,
        timeout,
        over_limit: None,
    })
}

fn rule(action: Action, sources: &[&str], regex: &str, (target, replacement): (Option<&str>, Option<&str>)) -> Rule {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let source_labels = sources.iter().map(|&name| name.to_owned()).collect();
    let draft =
        Draft { source_labels, regex: Some(regex.to_owned()), target_label: own(target), replacement: own(replacement), action, ..Draft::default() };
    Rule::new(draft).unwrap()
}

// === impl Stage ===

impl Stage {
    fn new(job: Job) -> Self {
        Self { reader: Reader::new(target(job), 1), known: BTreeMap::new() }
    }

    /// Samples of a page that counts (those with a time of their own as `value@time`), then what ended, as `-series`; or the reason why it is none.
    fn page(&mut self, text: &str) -> Result<Vec<String>, &'static str> {
        self.reader.read(text.as_bytes(), Format::Text).map_err(|error| error.as_str())?;
        let page = self.reader.accept();
        Ok(self.told(page))
    }

    fn told(&mut self, page: Page) -> Vec<String> {
        self.known.extend(page.learned.iter().map(|(number, labels)| (*number, labels.to_string())));
        let known = |number: &u32| self.known[number].clone();
        let scraped = page.samples.iter().map(|(number, value)| format!("{} {value}", known(number)));
        let stamped = page.stamped.iter().map(|(number, sample)| format!("{} {}@{}", known(number), sample.v, sample.t_ms));
        let ended = page.stale.iter().map(|number| format!("-{}", known(number)));
        scraped.chain(stamped).chain(ended).collect()
    }
}

#[test]
fn target_labels_win_and_the_pages_are_kept_as_exported() {
    let page = "m{job=\"x\",exported_job=\"y\"} 1\n";
    assert_eq!(Stage::new(Job::default()).page(page).unwrap(), ["m{exported_exported_job=\"x\", exported_job=\"y\", instance=\"h:1\", job=\"c\"} 1"]);
    let honest = Job { honor_labels: true, ..Job::default() };
    assert_eq!(Stage::new(honest).page(page).unwrap(), ["m{exported_job=\"y\", instance=\"h:1\", job=\"x\"} 1"]);
}

#[test]
fn a_series_is_learnt_once_and_ends_when_it_vanishes() {
    let mut stage = Stage::new(Job::default());
    let (a, b) = ("{instance=\"h:1\", job=\"c\"}", "{instance=\"h:1\", job=\"c\", x=\"1\"}");
    assert_eq!(stage.page("# TYPE a gauge\na 1\nb{x=\"1\"} 2\n").unwrap(), [format!("a{a} 1"), format!("b{b} 2")]);
    assert_eq!(stage.reader.counts(), Counts { scraped: 2, kept: 2, added: 2 });
    assert_eq!(stage.page("a 3\nb{x=\"1\"} 4\n").unwrap(), [format!("a{a} 3"), format!("b{b} 4")]);
    assert_eq!(stage.reader.counts(), Counts { scraped: 2, kept: 2, added: 0 });
    assert_eq!(stage.page("b{x=\"1\"} 5\n").unwrap(), [format!("b{b} 5"), format!("-a{a}")]);
    assert_eq!(stage.page("a 6\nb{x=\"1\"} 7\n").unwrap(), [format!("a{a} 6"), format!("b{b} 7")]);
}

#[test]
fn a_name_that_begins_another_is_not_taken_for_it() {
    let mut stage = Stage::new(Job::default());
    let read = |stage: &mut Stage, page: &str| stage.page(page).unwrap();
    read(&mut stage, "up_total 1\nx 2\n");
    let a = "instance=\"h:1\", job=\"c\"";
    for (page, want) in [
        ("up_total{a=\"1\"} 3\nx 2\n", format!("up_total{{a=\"1\", {a}}} 3")),
        ("up_total {a=\"2\"} 3\nx 2\n", format!("up_total{{a=\"2\", {a}}} 3")),
        ("up_total_more 3\nx 2\n", format!("up_total_more{{{a}}} 3")),
        ("up_total\t3\nx 2\n", format!("up_total{{{a}}} 3")),
        ("up_total  3\nx 2\n", format!("up_total{{{a}}} 3")),
    ] {
        assert_eq!(read(&mut stage, page)[0], want);
        read(&mut stage, "up_total 1\nx 2\n");
    }
}

#[test]
fn times_of_the_page_count_unless_they_are_not_honored() {
    let page = "m 1 1000\nn 2\n";
    let series = |name: &str| format!("{name}{{instance=\"h:1\", job=\"c\"}}");
    let mut stage = Stage::new(Job::default());
    assert_eq!(stage.page(page).unwrap(), [format!("{} 2", series("n")), format!("{} 1@1000", series("m"))]);
    assert_eq!(stage.page("").unwrap(), [format!("-{}", series("n"))], "who states times gets no marker");
    let mut stage = Stage::new(Job { track_timestamps_staleness: true, ..Job::default() });
    stage.page(page).unwrap();
    assert_eq!(stage.page("").unwrap().len(), 2, "but where that is asked for");
    let mut stage = Stage::new(Job { honor_timestamps: false, ..Job::default() });
    assert_eq!(stage.page(page).unwrap(), [format!("{} 1", series("m")), format!("{} 2", series("n"))]);
}

#[test]
fn relabelling_changes_and_drops_series_of_a_page() {
    let rules = vec![
        rule(Action::Drop, &["__name__"], "go_.*", (None, None)),
        rule(Action::Replace, &["x"], "(.*)", (Some("y"), Some("z$1"))),
        rule(Action::LabelDrop, &[], "x", (None, None)),
    ];
    let mut stage = Stage::new(Job { metric_relabel: rules, ..Job::default() });
    for added in [1, 0] {
        assert_eq!(stage.page("go_a 1\nb{x=\"1\"} 2\n").unwrap(), ["b{instance=\"h:1\", job=\"c\", y=\"z1\"} 2"]);
        assert_eq!(stage.reader.counts(), Counts { scraped: 2, kept: 1, added });
    }
    let nameless = vec![rule(Action::LabelDrop, &[], "__name__", (None, None))];
    assert_eq!(Stage::new(Job { metric_relabel: nameless, ..Job::default() }).page("a 1\n"), Err("not_exposition"));
}

#[test]
fn each_limit_fails_the_whole_page_and_nothing_ends() {
    let limits = JobLimits { body_size: 60, samples: 2, labels: 4, label_name_length: 8, label_value_length: 5, targets: 0 };
    let drop_c = vec![rule(Action::Drop, &["__name__"], "c", (None, None))];
    let mut stage = Stage::new(Job { limits, metric_relabel: drop_c, ..Job::default() });
    let good = "a 1\nb 2\nc 3\n";
    assert_eq!(stage.page(good).unwrap().len(), 2, "what relabelling drops does not count");
    for (page, want) in [
        ("a 1\nb 2\nd 3\n", "sample_limit"),
        ("a{x=\"1\"} 1\n", "ok"),
        ("a{x=\"1\",y=\"2\"} 1\n", "label_limit"),
        ("a{long_name=\"1\"} 1\n", "label_name_length_limit"),
        ("a{x=\"123456\"} 1\n", "label_value_length_limit"),
        ("metric 1\n", "label_value_length_limit"),
        ("# a comment that is longer than what the limit of this test allows\n", "not_exposition"),
        ("<html>502</html>\n", "not_exposition"),
        ("a 1\nb", "not_exposition"),
    ] {
        assert_eq!(stage.page(page).err().unwrap_or("ok"), want, "{page}");
    }
    let left = stage.page(good).unwrap();
    assert_eq!(left.iter().filter(|line| line.starts_with('-')).count(), 1, "only that of the good page in between ended: {left:?}");
}

#[test]
fn a_failure_ends_the_page_once_and_the_report_with_the_target() {
    let mut stage = Stage::new(Job::default());
    stage.reader.read(b"a 1\n", Format::Text).unwrap();
    let mut page = stage.reader.accept();
    stage.reader.report(&mut page, 1.0, 0.5);
    let first = stage.told(page);
    assert_eq!(first.len(), 6);
    assert_eq!(first[1], "up{instance=\"h:1\", job=\"c\"} 1");
    let ended = stage.reader.ended();
    assert_eq!(stage.told(ended), ["-a{instance=\"h:1\", job=\"c\"}"]);
    let last = stage.reader.last();
    assert!(last.last);
    assert_eq!(stage.told(last).len(), 5, "the report's series end with the target");
}

#[test]
fn other_settings_learn_anew_and_take_the_place_of_the_old() {
    let mut stage = Stage::new(Job::default());
    stage.page("a 1\n").unwrap();
    let mut page = Page::default();
    stage.reader.report(&mut page, 1.0, 0.5);
    stage.told(page);
    stage.reader.set_target(target(Job { interval: std::time::Duration::from_secs(3), ..Job::default() }), 2);
    stage.reader.read(b"a 2\n", Format::Text).unwrap();
    assert_eq!(stage.reader.accept().learned, [], "another interval changes no series");
    stage.reader.set_target(target(Job { honor_labels: true, ..Job::default() }), 3);
    stage.reader.read(b"a 2\n", Format::Text).unwrap();
    let page = stage.reader.accept();
    assert_eq!((page.replaces, page.learned.len()), (Some(1), 1));
}

#[test]
fn streams_of_market_data_are_told_to_the_page() {
    let mut stage = Stage::new(Job::default());
    stage.page("collector_stream_last_data_timestamp_seconds{exchange=\"b\",symbol=\"S\",kind=\"trade\"} 1.5\n").unwrap();
    stage.page("collector_stream_last_data_timestamp_seconds{exchange=\"b\",symbol=\"S\",kind=\"trade\"} 2.5\n").unwrap();
    let streams = stage.reader.streams();
    assert_eq!((streams.len(), streams[0].symbol.as_str(), streams[0].last_ms), (1, "S", 2500));
    stage.page("").unwrap();
    assert!(stage.reader.streams().is_empty());
}
