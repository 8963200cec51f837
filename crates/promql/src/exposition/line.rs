//! One line: a sample with value, time and exemplar, or a comment with a meaning. Must not know: pages, counts of lines.
use super::cursor::{Colon, Cursor};
use super::error::{Fault, Reason, quoted};
use super::series_text::{Owner, SeriesReader, unescape, unescape_help};
use super::{Entry, Format, MetricKind, SampleLine, number};

/// What a line is.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// Something a reader wants.
    Entry(Entry<'a>),
    /// A blank line or a plain comment (text format).
    Nothing,
    /// `# EOF` (OpenMetrics).
    End,
}

/// Reads one line of either format, its line feed taken off.
pub(super) fn line<'a>(text: &'a str, reader: &mut SeriesReader<'a>) -> Result<Line<'a>, Fault> {
    let mut cursor = Cursor::new(text);
    let format = reader.format;
    if format == Format::Text {
        cursor.blanks();
        if cursor.peek().is_none() {
            return Ok(Line::Nothing);
        }
    }
    match (cursor.peek(), format) {
        (Some(b'#'), Format::Text) => text_comment(&mut cursor),
        (Some(b'#'), Format::OpenMetrics) => open_metrics_comment(&mut cursor),
        _ => sample(&mut cursor, reader).map(|sample| Line::Entry(Entry::Sample(sample))),
    }
}

/// `name{labels} value [time]`, in OpenMetrics with an exemplar after it.
fn sample<'a>(cursor: &mut Cursor<'a>, reader: &mut SeriesReader<'a>) -> Result<SampleLine<'a>, Fault> {
    let series = reader.series(cursor)?;
    let format = reader.format;
    let may_touch = series.braced && format == Format::Text;
    if !separator(cursor, format) && !may_touch {
        return Err(cursor.fault("a blank and the value, or \"{\""));
    }
    let value = value(cursor)?;
    let mut t_ms = None;
    let mut more = separator(cursor, format);
    if more && !cursor.rest().is_empty() && !(format == Format::OpenMetrics && cursor.peek() == Some(b'#')) {
        t_ms = Some(timestamp(cursor, format)?);
        more = separator(cursor, format);
    }
    match format {
        Format::OpenMetrics if more => exemplar(cursor, reader)?,
        _ if cursor.rest().is_empty() => {}
        _ => return Err(cursor.fault("the end of the line after the time stamp")),
    }
    Ok(SampleLine { key: series.key, value, t_ms, raw_name: series.raw_name })
}

fn value(cursor: &mut Cursor<'_>) -> Result<f64, Fault> {
    let at = cursor.at();
    let word = cursor.word();
    number::float(word).ok_or_else(|| Fault::new(at, Reason::BadNumber { found: quoted(word) }))
}

fn timestamp(cursor: &mut Cursor<'_>, format: Format) -> Result<i64, Fault> {
    let at = cursor.at();
    let word = cursor.word();
    let (time, unit) = match format {
        Format::Text => (number::milliseconds(word), "milliseconds"),
        Format::OpenMetrics => (number::seconds(word), "seconds"),
    };
    time.ok_or_else(|| Fault::new(at, Reason::BadTimestamp { found: quoted(word), unit }))
}

/// `# {labels} value [time]`: checked and passed over, since rules cannot ask for exemplars.
fn exemplar<'a>(cursor: &mut Cursor<'a>, reader: &mut SeriesReader<'a>) -> Result<(), Fault> {
    if !cursor.take(b'#') || !cursor.take(b' ') || cursor.peek() != Some(b'{') {
        return Err(cursor.fault("an exemplar \"# {labels} value\" or the end of the line"));
    }
    reader.labels(cursor, Owner::Exemplar, "")?;
    if !cursor.take(b' ') {
        return Err(cursor.fault("a blank and the exemplar's value"));
    }
    value(cursor)?;
    if cursor.take(b' ') {
        timestamp(cursor, Format::OpenMetrics)?;
    }
    if cursor.rest().is_empty() { Ok(()) } else { Err(cursor.fault("the end of the line after the exemplar")) }
}

/// Steps over what separates the parts of a line: blanks in the text format, exactly one space in OpenMetrics.
fn separator(cursor: &mut Cursor<'_>, format: Format) -> bool {
    match format {
        Format::Text => cursor.blanks() > 0,
        Format::OpenMetrics => cursor.take(b' '),
    }
}

/// `# HELP` and `# TYPE`; every other comment means nothing.
fn text_comment<'a>(cursor: &mut Cursor<'a>) -> Result<Line<'a>, Fault> {
    cursor.take(b'#');
    if cursor.blanks() == 0 {
        return Ok(Line::Nothing);
    }
    let keyword = cursor.word();
    if !matches!(keyword, "HELP" | "TYPE") || cursor.blanks() == 0 {
        return Ok(Line::Nothing);
    }
    let family = unescape(family(cursor)?);
    // One blank separates; further ones belong to the help text.
    if !cursor.rest().is_empty() && !cursor.take(b' ') && !cursor.take(b'\t') {
        return Err(cursor.fault("a blank after the metric name"));
    }
    if keyword == "HELP" {
        return Ok(Line::Entry(Entry::Help { family, text: unescape_help(cursor.rest()) }));
    }
    let kind = kind(cursor, cursor.rest().trim_matches([' ', '\t']), Format::Text)?;
    Ok(Line::Entry(Entry::Type { family, kind }))
}

/// `# HELP`, `# TYPE`, `# UNIT` and `# EOF`; OpenMetrics has no other comments.
fn open_metrics_comment<'a>(cursor: &mut Cursor<'a>) -> Result<Line<'a>, Fault> {
    const EXPECTED: &str = "\"# HELP\", \"# TYPE\", \"# UNIT\" or \"# EOF\"";
    let start = cursor.clone();
    cursor.take(b'#');
    if !cursor.take(b' ') {
        return Err(start.fault(EXPECTED));
    }
    let keyword = cursor.word();
    if keyword == "EOF" && cursor.rest().is_empty() {
        return Ok(Line::End);
    }
    if !matches!(keyword, "HELP" | "TYPE" | "UNIT") || !cursor.take(b' ') {
        return Err(start.fault(EXPECTED));
    }
    let raw_family = family(cursor)?;
    if !cursor.take(b' ') {
        return Err(cursor.fault("a space after the metric name"));
    }
    let family = unescape(raw_family);
    let rest = cursor.rest();
    Ok(Line::Entry(match keyword {
        "HELP" => Entry::Help { family, text: unescape(rest) },
        "TYPE" => Entry::Type { family, kind: kind(cursor, rest, Format::OpenMetrics)? },
        _ => {
            let stem = raw_family.strip_suffix(rest);
            if !rest.is_empty() && !stem.is_some_and(|stem| stem.ends_with('_')) {
                return Err(cursor.fault("a unit that is the end of the metric name after \"_\""));
            }
            Entry::Unit { family, unit: rest }
        }
    }))
}

fn family<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    const EXPECTED: &str = "a metric name";
    if cursor.peek() == Some(b'"') {
        return cursor.quoted(EXPECTED);
    }
    let name = cursor.name(Colon::Allowed);
    if name.is_empty() { Err(cursor.fault(EXPECTED)) } else { Ok(name) }
}

fn kind(cursor: &Cursor<'_>, word: &str, format: Format) -> Result<MetricKind, Fault> {
    let expected = match format {
        Format::Text => "counter, gauge, histogram, summary or untyped",
        Format::OpenMetrics => "counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown",
    };
    MetricKind::of_word(word, format).ok_or_else(|| cursor.fault(expected))
}
