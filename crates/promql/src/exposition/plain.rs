//! The plain line, which nearly every line of a page is: `name value` or `name{label="value",…} value`, one blank, no escape, no time. Read in one go over the
//! bytes; whatever else stands there is left to the reader of any line, which also finds the words for what is wrong.
//! Must not know: pages, counts of samples.
use super::cursor::{LABEL_NAME_PART, METRIC_NAME_PART, is_part};
use super::{Limits, SampleLine, number};
use crate::labels::METRIC_NAME;

/// The sample of a plain line at the start of `rest`, and the line's bytes with its line feed.
///
/// `names` is room for the label names, kept for its memory.
#[inline]
pub(super) fn plain_line<'a>(rest: &'a str, limits: &Limits, names: &mut Vec<&'a str>) -> Option<(SampleLine<'a>, usize)> {
    let bytes = rest.as_bytes();
    let name_end = name_end(bytes, 0, METRIC_NAME_PART)?;
    let mut at = name_end;
    if *bytes.get(at)? == b'{' {
        at = labels_end(rest, at + 1, limits, names)?;
    }
    if name_end > limits.label_value_bytes || *bytes.get(at)? != b' ' {
        return None;
    }
    let (value, line_end) = number::at_line_end(rest, at + 1)?;
    let sample = SampleLine { key: rest.get(..at)?, value, t_ms: None, raw_name: rest.get(..name_end)? };
    Some((sample, line_end + 1))
}

/// The byte behind the closing brace of the labels whose first begins at `at`.
#[inline]
fn labels_end<'a>(rest: &'a str, mut at: usize, limits: &Limits, names: &mut Vec<&'a str>) -> Option<usize> {
    let bytes = rest.as_bytes();
    names.clear();
    loop {
        let name_end = name_end(bytes, at, LABEL_NAME_PART)?;
        let name = rest.get(at..name_end)?;
        if bytes.get(name_end..name_end + 2)? != b"=\"" || name.len() > limits.label_name_bytes || name == METRIC_NAME || names.contains(&name) {
            return None;
        }
        names.push(name);
        let value_end = value_end(bytes, name_end + 2)?;
        if names.len() >= limits.labels || value_end - (name_end + 2) > limits.label_value_bytes {
            return None;
        }
        at = value_end + 2;
        match *bytes.get(value_end + 1)? {
            b',' => {}
            b'}' => return Some(at),
            _ => return None,
        }
    }
}

/// The byte behind the name that begins at `at`; none when there is no name.
#[inline]
fn name_end(bytes: &[u8], at: usize, part: u8) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let length = rest.iter().position(|byte| !is_part(*byte, part))?;
    (!rest.first()?.is_ascii_digit() && length > 0).then_some(at + length)
}

/// The closing quote of the value that begins at `at`; none when an escape or a line feed stands before it.
#[inline]
fn value_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Eight bytes at a time: values are short, and a call of a search costs more than it finds.
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        let found = equal(word, b'"') | equal(word, b'\\') | equal(word, b'\n');
        if found != 0 {
            at += found.trailing_zeros() as usize / 8;
            return (*bytes.get(at)? == b'"').then_some(at);
        }
        at += 8;
    }
    let length = bytes.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'))?;
    (*bytes.get(at + length)? == b'"').then_some(at + length)
}

/// The highest bit of every byte of `word` that is `byte`; above the first of them others may be set too.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let differs = word ^ (LOW * u64::from(byte));
    differs.wrapping_sub(LOW) & !differs & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exposition::{Entry, Format, ParseError, parse};

    /// The line as the reader of any line reads it: a blank more takes it off this way, and means nothing in the text format.
    fn any_line(line: &str) -> Option<Result<Entry<'_>, ParseError>> {
        parse(line.as_bytes(), Format::Text, &small()).unwrap().next()
    }

    fn small() -> Limits {
        Limits { labels: 4, label_name_bytes: 6, label_value_bytes: 20, ..Limits::default() }
    }

    #[test]
    fn plain_lines_are_read() {
        for (line, key, value) in [
            ("a 1\n", "a", 1.0),
            ("a:b{c=\"d\"} 1.5\n", "a:b{c=\"d\"}", 1.5),
            ("a{b=\"\",c=\"币 ,}=\"} -2e3\nb 1\n", "a{b=\"\",c=\"币 ,}=\"}", -2000.0),
            ("a{b=\"sixteen bytes ok\"} +Inf\n", "a{b=\"sixteen bytes ok\"}", f64::INFINITY),
        ] {
            let (sample, bytes) = plain_line(line, &small(), &mut Vec::new()).unwrap();
            assert_eq!((sample.key, sample.value, sample.raw_name), (key, value, key.split('{').next().unwrap()));
            assert_eq!(bytes, line.find('\n').unwrap() + 1);
        }
    }

    #[test]
    fn what_is_not_plain_is_left_alone() {
        for line in [
            "a 1",
            "a  1\n",
            "a 1 2\n",
            "a 1 \n",
            "a\t1\n",
            "1a 1\n",
            " a 1\n",
            "a {b=\"c\"} 1\n",
            "a{} 1\n",
            "a{b=\"c\",} 1\n",
            "a{b=\"c\"}1\n",
            "a{b =\"c\"} 1\n",
            "a{b:c=\"d\"} 1\n",
            "a{b=\"\\n\"} 1\n",
            "a{b=\"c\n\"} 1\n",
            "a{b=\"c\",b=\"d\"} 1\n",
            "a{__name__=\"c\"} 1\n",
            "{\"a\"} 1\n",
            "a{b=\"twenty-one bytes long\"} 1\n",
            "a{toolong=\"1\"} 1\n",
            "a{b=\"1\",c=\"1\",d=\"1\",e=\"1\"} 1\n",
            "a x\n",
            "a \n",
            "a 1\r\n",
            "# TYPE a gauge\n",
            "",
        ] {
            assert_eq!(plain_line(line, &small(), &mut Vec::new()).map(|(sample, _)| sample), None, "{line}");
        }
    }

    proptest! {
        /// What is read here is read alike by the reader of any line.
        #[test]
        fn plain_is_a_short_cut_and_no_other_way(parts in prop::collection::vec(prop::sample::select(
            &["a", "b1", "{", "}", "\"", "=\"", "\",", "\"} ", "\\", "\n", " ", ",", "=", "1", ".5", "-7e2", "NaN", "币", "_", ":", "longer_than_eight"][..]), 0..14),
            tail in prop::sample::select(&["\n", " 1\n", "\"} 1\n", ""][..])) {
            let line = parts.concat() + tail;
            if let Some((sample, bytes)) = plain_line(&line, &small(), &mut Vec::new()) {
                let longer = format!(" {}", &line[..bytes]);
                let Some(Ok(Entry::Sample(other))) = any_line(&longer) else { return Err(TestCaseError::fail(format!("only plain: {line:?}"))) };
                prop_assert_eq!((sample.key, sample.raw_name, sample.value.to_bits(), sample.t_ms), (other.key, other.raw_name, other.value.to_bits(), other.t_ms));
            }
        }
    }
}
