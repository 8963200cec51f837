//! A page line by line: limits, positions, the end of the body. Must not know: the grammar of a line.
use memchr::{memchr, memrchr};

use super::error::{Fault, ParseError, Reason, quoted};
use super::line::{Line, line};
use super::number;
use super::plain::plain_line;
use super::series_text::SeriesReader;
use super::{Entry, Format, Limits};

/// The entries of a page, in order; after an error there are no more.
#[derive(Debug)]
pub struct Parser<'a> {
    page: &'a str,
    /// First byte of the next line.
    at: usize,
    /// Number of the line last read, from 1.
    line: usize,
    samples: usize,
    done: bool,
    reader: SeriesReader<'a>,
}

/// The entries of `body`, a decoded response in `format`.
///
/// # Errors
/// At once: a body over [`Limits::body_bytes`] or not UTF-8. While iterating: the first line that is no exposition or is over a limit, a last line
/// without a line feed, an OpenMetrics page without `# EOF`. A page with an error should be dropped whole.
pub fn parse<'a>(body: &'a [u8], format: Format, limits: &Limits) -> Result<Parser<'a>, ParseError> {
    if body.len() > limits.body_bytes {
        return Err(ParseError { line: 1, column: 1, reason: Reason::BodyTooLarge { found: body.len(), limit: limits.body_bytes } });
    }
    let page = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    Ok(Parser { page, at: 0, line: 0, samples: 0, done: false, reader: SeriesReader::new(format, *limits) })
}

impl<'a> Parser<'a> {
    /// How many lines were read.
    pub fn lines(&self) -> usize {
        self.line
    }

    /// Value and time of the next line if it begins with the series text `key` and holds nothing else beyond them; otherwise nothing is read and
    /// [`next`](Iterator::next) reads the line. For a reader who expects the page to be like its last version: `key` is a
    /// [`SampleLine::key`](super::SampleLine::key) that was read with the same format and limits, so that its labels need not be read again.
    pub fn sample_of(&mut self, key: &str) -> Option<(f64, Option<i64>)> {
        let rest = self.page.get(self.at..).filter(|_| !self.done)?.strip_prefix(key)?;
        let line = rest.get(..memchr(b'\n', rest.as_bytes())?)?;
        // A `{` here, after a bare name and a blank, is no number: the line is then read in full.
        let (value, time) = split_blank(line.strip_prefix(' ')?);
        let value = number::float(value)?;
        let t_ms = match (time, self.reader.format) {
            (None, _) => None,
            (Some(time), Format::Text) => Some(number::milliseconds(time)?),
            (Some(time), Format::OpenMetrics) => Some(number::seconds(time)?),
        };
        if self.samples >= self.reader.limits.samples {
            return None;
        }
        self.samples += 1;
        self.line += 1;
        self.at += key.len() + line.len() + 1;
        Some((value, t_ms))
    }

    /// The next line if it is a plain one; otherwise nothing is read.
    #[inline]
    fn plain(&mut self) -> Option<Entry<'a>> {
        if self.samples >= self.reader.limits.samples {
            return None;
        }
        let (sample, bytes) = plain_line(self.page.get(self.at..)?, &self.reader.limits, &mut self.reader.names)?;
        self.samples += 1;
        self.line += 1;
        self.at += bytes;
        Some(Entry::Sample(sample))
    }

    fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        if let Some(entry) = self.plain() {
            return Ok(Some(entry));
        }
        while let Some(text) = self.next_line()? {
            match line(text, &mut self.reader).map_err(|fault| self.placed(text, fault))? {
                Line::Nothing => {}
                Line::End => return self.end_mark(),
                Line::Entry(entry) => {
                    let is_sample = matches!(entry, Entry::Sample(_));
                    self.samples += usize::from(is_sample);
                    let limit = self.reader.limits.samples;
                    if is_sample && self.samples > limit {
                        return Err(self.placed(text, Fault::new(0, Reason::TooManySamples { limit })));
                    }
                    return Ok(Some(entry));
                }
            }
        }
        match self.reader.format {
            Format::Text => Ok(None),
            Format::OpenMetrics => Err(ParseError { line: self.line + 1, column: 1, reason: Reason::MissingEof }),
        }
    }

    /// The next line without its line feed.
    fn next_line(&mut self) -> Result<Option<&'a str>, ParseError> {
        let rest = self.page.get(self.at..).unwrap_or("");
        if rest.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let Some(bytes) = memchr(b'\n', rest.as_bytes()) else {
            self.at = self.page.len();
            // OpenMetrics leaves the line feed after its end mark free in practice (Prometheus takes both).
            let is_end_mark = self.reader.format == Format::OpenMetrics && rest == "# EOF";
            // What is wrong with the line itself says more than that it is cut: an HTML page without a last line feed is reported as what it is.
            let fault = line(rest, &mut self.reader).err().unwrap_or(Fault::new(rest.len(), Reason::Truncated));
            return if is_end_mark { Ok(Some(rest)) } else { Err(self.placed(rest, fault)) };
        };
        self.at += bytes + 1;
        Ok(rest.get(..bytes))
    }

    fn end_mark(&self) -> Result<Option<Entry<'a>>, ParseError> {
        match self.page.get(self.at..) {
            None | Some("") => Ok(None),
            Some(rest) => Err(ParseError { line: self.line + 1, column: 1, reason: Reason::AfterEof { found: quoted(rest) } }),
        }
    }

    fn placed(&self, text: &str, fault: Fault) -> ParseError {
        let (at, reason) = fault.into_parts();
        let column = text.get(..at).map_or(at, |before| before.chars().count()) + 1;
        ParseError { line: self.line, column, reason }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let entry = self.next_entry().transpose();
        self.done = !matches!(entry, Some(Ok(_)));
        entry
    }
}

/// The text before the first blank, and the text behind it.
fn split_blank(text: &str) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == b' ') {
        Some(at) => (text.get(..at).unwrap_or(text), text.get(at + 1..)),
        None => (text, None),
    }
}

fn not_utf8(body: &[u8], valid: usize) -> ParseError {
    let before = body.get(..valid).unwrap_or(body);
    let line_start = memrchr(b'\n', before).map_or(0, |at| at + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or(before)).chars().count() + 1;
    ParseError { line, column, reason: Reason::NotUtf8 }
}
