//! What is listed → what is scraped.

use promql::relabel::{Action, Draft, Rule};

use super::*;

/// Addresses and the labels they share.
type Listed<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

fn job(relabel: Vec<Rule>, groups: &[Listed<'_>]) -> Job {
    let own = |text: &&str| (*text).to_owned();
    let groups = groups.iter().map(|(targets, labels)| Group {
        targets: targets.iter().map(own).collect(),
        labels: labels.iter().map(|(name, value)| (own(name), own(value))).collect(),
    });
    Job { name: "j".into(), discovery: Discovery { groups: groups.collect(), files: Vec::new(), relabel }, ..Job::default() }
}

fn rule(action: Action, sources: &[&str], regex: &str, target: &str) -> Rule {
    let source_labels = sources.iter().map(|&name| name.to_owned()).collect();
    let target_label = (!target.is_empty()).then(|| target.to_owned());
    Rule::new(Draft { source_labels, regex: Some(regex.to_owned()), target_label, action, ..Draft::default() }).unwrap()
}

fn shown(job: Job) -> Vec<String> {
    of(&Arc::new(job), &[]).targets.iter().map(|target| format!("{} {}", target.labels, target.url)).collect()
}

#[test]
fn a_target_has_its_address_as_instance_and_no_port_is_added() {
    let job = job(vec![], &[(&["h:1", "plain", "[::1]:2"], &[("env", "x")])]);
    assert_eq!(
        shown(job),
        [
            "{env=\"x\", instance=\"h:1\", job=\"j\"} http://h:1/metrics",
            "{env=\"x\", instance=\"plain\", job=\"j\"} http://plain/metrics",
            "{env=\"x\", instance=\"[::1]:2\", job=\"j\"} http://[::1]:2/metrics",
        ]
    );
}

#[test]
fn relabelling_may_change_what_is_fetched() {
    let rules = vec![
        rule(Action::Replace, &["__address__"], "(.*)", "__param_target"),
        rule(Action::Replace, &["__param_target"], "(.*)", "instance"),
        Rule::new(Draft { target_label: Some("__address__".into()), replacement: Some("prober:9115".into()), ..Draft::default() }).unwrap(),
        rule(Action::Replace, &["path"], "(.+)", "__metrics_path__"),
        rule(Action::Replace, &["tls"], "(.+)", "__scheme__"),
        rule(Action::LabelDrop, &[], "path|tls", ""),
    ];
    let mut job = job(rules, &[(&["a b:1"], &[("path", "/p"), ("tls", "https"), ("job", "own")])]);
    job.params = [("module".to_owned(), vec!["m1".to_owned(), "m2".to_owned()])].into();
    assert_eq!(shown(job), ["{instance=\"a b:1\", job=\"own\"} https://prober:9115/p?module=m1&module=m2&target=a+b%3A1"]);
}

#[test]
fn what_is_dropped_refused_or_listed_twice_is_counted() {
    let rules = vec![
        rule(Action::Drop, &["__address__"], "gone.*", ""),
        rule(Action::Replace, &["bad"], "(.+)", "__scrape_interval__"),
        rule(Action::Replace, &["slow"], "(.+)", "__scrape_timeout__"),
        rule(Action::Replace, &["moved"], "(.+)", "__address__"),
    ];
    let groups: &[Listed<'_>] = &[
        (&["a:1", "a:1", "gone:1"], &[]),
        (&["b:1"], &[("bad", "soon")]),
        (&["c:1"], &[("slow", "2m")]),
        (&["d:1"], &[("moved", "d:1/path")]),
        (&["e:99999"], &[]),
    ];
    let found = of(&Arc::new(job(rules, groups)), &[]);
    assert_eq!((found.targets.len(), found.dropped), (1, 1));
    let refused: Vec<String> = found.refused.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    assert_eq!(
        refused,
        [
            "b:1: __scrape_interval__ is \"soon\"; expected a duration above zero",
            "c:1: the scrape timeout is longer than the scrape interval",
            "d:1: \"d:1/path\" is not a valid address",
            "e:99999: no URL: invalid port number",
        ]
    );
}

#[test]
fn a_job_over_its_target_limit_is_told_to_each_target() {
    let mut job = job(vec![], &[(&["a:1", "b:1"], &[])]);
    job.limits.targets = 1;
    assert!(of(&Arc::new(job.clone()), &[]).targets.iter().all(|target| target.over_limit == Some((2, 1))));
    job.limits.targets = 2;
    assert!(of(&Arc::new(job), &[]).targets.iter().all(|target| target.over_limit.is_none()));
}
