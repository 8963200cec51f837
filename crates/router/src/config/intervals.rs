//! `time_intervals` and its deprecated twin `mute_time_intervals`.

use std::collections::BTreeMap;

use diagnostics::Text;
use diagnostics::yaml::place_of;
use jiff::tz::TimeZone;

use super::check::deprecated;
use super::findings::{Findings, hint};
use super::scalars::Word;
use super::written::{self, Interval, NamedInterval};
use crate::interval::{TimeInterval, field};

/// All intervals by name.
pub(super) fn all(written: &written::Config, findings: &mut Findings) -> BTreeMap<String, Vec<TimeInterval>> {
    if let Some(old) = &written.mute_time_intervals {
        deprecated(findings, place_of(old), "mute_time_intervals", "time_intervals");
    }
    let old = written.mute_time_intervals.iter().flat_map(|old| &old.value);
    let mut out = BTreeMap::new();
    for named in written.time_intervals.iter().chain(old) {
        let alternatives = named.time_intervals.iter().map(|one| interval(one, findings)).collect();
        check_name(named, out.contains_key(&named.name.value), findings);
        out.insert(named.name.value.clone(), alternatives);
    }
    out
}

fn check_name(named: &NamedInterval, taken: bool, findings: &mut Findings) {
    let place = place_of(&named.name);
    if named.name.value.is_empty() {
        findings.error("E208", place, Text::new("a time interval's name is empty", "时间段名称为空"));
    } else if taken {
        let message = Text::new(format!("time interval `{}` is defined twice", named.name.value), format!("时间段 `{}` 重复定义", named.name.value));
        findings.error("E207", place, message);
    }
}

fn interval(written: &Interval, findings: &mut Findings) -> TimeInterval {
    let times = written.times.iter().filter_map(|times| span_of_day(times, findings)).collect();
    TimeInterval {
        times,
        weekdays: each(&written.weekdays, field::weekdays, findings),
        days_of_month: each(&written.days_of_month, field::days_of_month, findings),
        months: each(&written.months, field::months, findings),
        years: each(&written.years, field::years, findings),
        zone: written.location.as_ref().map_or(Some(TimeZone::UTC), |name| zone(name, findings)),
    }
}

fn span_of_day(times: &written::Times, findings: &mut Findings) -> Option<(u32, u32)> {
    let start = parsed(&times.start_time, field::time_of_day, findings);
    let end = parsed(&times.end_time, field::time_of_day, findings);
    let (start, end) = (start?, end?);
    if start >= end {
        let message = Text::new("start_time must be before end_time", "start_time 必须早于 end_time");
        hint(
            findings.error("E218", place_of(&times.end_time), message),
            "for a span over midnight write two: until 24:00 and from 00:00",
            "跨零点的时段请拆成两段：到 24:00 和从 00:00 起",
        );
        return None;
    }
    Some((start, end))
}

fn each<T>(words: &[Word], read: fn(&str) -> Result<T, Text>, findings: &mut Findings) -> Vec<T> {
    words.iter().filter_map(|word| parsed(word, read, findings)).collect()
}

fn parsed<T>(word: &Word, read: fn(&str) -> Result<T, Text>, findings: &mut Findings) -> Option<T> {
    match read(&word.value) {
        Ok(value) => Some(value),
        Err(message) => {
            findings.error("E218", place_of(word), message);
            None
        }
    }
}

fn zone(name: &Word, findings: &mut Findings) -> Option<TimeZone> {
    crate::interval::zone(&name.value).unwrap_or_else(|_| {
        let message = Text::new(format!("unknown time zone `{}`", name.value), format!("未知的时区 `{}`", name.value));
        hint(findings.error("E223", place_of(name), message), "write an IANA name as `Asia/Shanghai`", "请写 IANA 名称，如 `Asia/Shanghai`");
        Some(TimeZone::UTC)
    })
}
