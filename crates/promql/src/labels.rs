//! Label sets and matchers, as Prometheus orders and compares them (sorted by name, empty value means absent).
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use regex::Regex;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// A sorted label set in one allocation, cheap to clone. No name occurs twice and no value is empty.
///
/// The text is `count`, then per label `length name length value`; every number is written as ASCII digits of base 64 (see [`push_number`]), so the
/// whole is valid UTF-8, equal sets are equal texts, and a series costs its characters plus about two bytes a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// The labels of a set in order of name.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a str,
    left: usize,
}

/// A set that is being packed, to be looked up or kept: a look-up needs no memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Packer(String);

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, fully anchored
    Regex,
    /// `!~`, fully anchored
    NotRegex,
}

/// One label matcher; a label that is absent has the value `""`.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Label name, `__name__` for the metric name.
    pub name: Box<str>,
    /// Operator.
    pub op: MatchOp,
    /// The text as written: a value, or a pattern in RE2 syntax.
    pub value: Box<str>,
    pattern: Option<Regex>,
}

// === impl Matcher ===

impl Matcher {
    /// A matcher; `pattern` is the compiled, fully anchored pattern of the regex operators.
    pub fn new(name: &str, op: MatchOp, value: &str, pattern: Option<Regex>) -> Self {
        Self { name: name.into(), op, value: value.into(), pattern }
    }

    /// Whether a label with this value (`""` when absent) matches.
    pub fn matches(&self, value: &str) -> bool {
        let by_pattern = || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(value));
        match self.op {
            MatchOp::Equal => *self.value == *value,
            MatchOp::NotEqual => *self.value != *value,
            MatchOp::Regex => by_pattern(),
            MatchOp::NotRegex => !by_pattern(),
        }
    }
}

// === impl Labels ===

impl Labels {
    /// A label set from pairs in any order; a later pair of the same name wins; empty values are dropped.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        // The sort is stable: after the reversal the last pair of a name comes first, and that one stays.
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        pairs.dedup_by(|later, kept| later.0.as_ref() == kept.0.as_ref());
        pairs.retain(|(_, value)| !value.as_ref().is_empty());
        Self::pack(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
    }

    /// Packs pairs that are sorted, unique by name and not empty.
    fn pack<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let count = pairs.clone().count();
        if count == 0 {
            return Self::default();
        }
        let bytes: usize = pairs.clone().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut text = String::with_capacity(bytes + 2);
        push_number(&mut text, count);
        for part in pairs.flat_map(|(name, value)| [name, value]) {
            push_number(&mut text, part.len());
            text.push_str(part);
        }
        Self(text.into())
    }

    /// The value of `name`, if present.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Texts of other lengths are unequal without a look at them, which finding the place in the order of names would take.
        self.iter().find_map(|(have, value)| (have == name).then_some(value))
    }

    /// The metric name, `""` if there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// Name and value of each label, in order of name.
    pub fn iter(&self) -> Iter<'_> {
        let (left, rest) = take_number(&self.0);
        Iter { rest, left }
    }

    /// The set as one text, equal for equal sets: for keys on disk.
    pub fn packed(&self) -> &str {
        &self.0
    }

    /// The set of a [`packed`](Self::packed) text; none when it is not one.
    pub fn from_packed(text: &str) -> Option<Self> {
        let labels = Self(text.into());
        let sound = labels.iter().zip(labels.iter().skip(1)).all(|(a, b)| a.0 < b.0) && labels.iter().all(|(_, value)| !value.is_empty());
        // A text that was packed so is packed so again.
        (sound && Self::pack(labels.iter()) == labels).then_some(labels)
    }

    /// How many labels.
    pub fn len(&self) -> usize {
        take_number(&self.0).0
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels stand behind the metric name, and their packed text; none when another label comes first.
    pub(crate) fn behind_name(&self) -> Option<(usize, &str)> {
        let mut iter = self.iter();
        iter.next().filter(|(name, _)| *name == METRIC_NAME)?;
        Some((iter.left, iter.rest))
    }

    /// The name of the first label in which the sets differ, when both have it and this one has the lesser value.
    pub(crate) fn less_by<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let (mut own, mut others) = (self.iter(), other.iter());
        own.pass_common(&mut others);
        let ((name, value), (other_name, other_value)) = own.zip(others).find(|(own, other)| own != other)?;
        (name == other_name && value < other_value).then_some(name)
    }

    /// Bytes of text this set holds, for memory accounts.
    pub fn text_bytes(&self) -> usize {
        self.0.len()
    }

    /// A 64-bit FNV-1a hash of the set, the same in every process and version: for grids, shards and file names, never as proof of equality.
    pub fn fingerprint(&self) -> u64 {
        self.0.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// This set with `name` set to `value` (removed when `value` is empty).
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::from_pairs(self.iter().chain([(name, value)]))
    }

    /// This set with only the labels that `keep` names true.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut packer = Packer::default();
        packer.pack(self, keep);
        packer.to_labels()
    }

    /// This set without the metric name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        if self.get(METRIC_NAME).is_none() { self.clone() } else { self.filtered(|name| name != METRIC_NAME) }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from(""))
    }
}

impl Ord for Labels {
    /// By the first label that differs, name before value, as Prometheus compares sets.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (self.iter(), other.iter());
        a.pass_common(&mut b);
        a.cmp(b)
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Labels {
    /// `name{a="b", c="d"}` as Prometheus prints a series: values quoted as Go does, names outside `[a-zA-Z0-9_:]` quoted too; `{}` when empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let bare = is_metric_name(name);
        if bare {
            f.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        f.write_str("{")?;
        let mut separator = "";
        if !bare && !name.is_empty() {
            go_quote(f, name)?;
            separator = ", ";
        }
        for (label, value) in self.iter().filter(|(label, _)| *label != METRIC_NAME) {
            f.write_str(separator)?;
            separator = ", ";
            if is_label_name(label) {
                f.write_str(label)?;
            } else {
                go_quote(f, label)?;
            }
            f.write_str("=")?;
            go_quote(f, value)?;
        }
        f.write_str("}")
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

// === impl Packer ===

impl Packer {
    /// Packs the labels of `labels` that `keep` names true; the packed text.
    pub(crate) fn pack(&mut self, labels: &Labels, keep: impl Fn(&str) -> bool) -> &str {
        self.0.clear();
        let (mut rest, mut kept) = (labels.iter(), 0);
        loop {
            let before = rest.rest;
            let Some((name, _)) = rest.next() else { break };
            if keep(name) {
                kept += 1;
                // As it is packed there.
                self.0.push_str(before.get(..before.len() - rest.rest.len()).unwrap_or(""));
            }
        }
        if kept > 0 {
            let mut at = 0;
            while kept >= 64 {
                self.0.insert(at, digit(kept, 64));
                (kept, at) = (kept / 64, at + 1);
            }
            self.0.insert(at, digit(kept, 0));
        }
        &self.0
    }

    /// Whether `labels` is the set last packed.
    pub(crate) fn is(&self, labels: &Labels) -> bool {
        self.0 == *labels.0
    }

    /// The set last packed.
    pub(crate) fn to_labels(&self) -> Labels {
        Labels(self.0.as_str().into())
    }
}

// === impl Iter ===

impl Iter<'_> {
    /// Passes over the labels that both begin with. They are packed alike, so only their lengths are read.
    fn pass_common(&mut self, other: &mut Self) {
        let same = common_bytes(self.rest.as_bytes(), other.rest.as_bytes());
        let (mut left, mut end) = (self.left.min(other.left), 0);
        while left > 0 {
            let past_name = past_text(self.rest, end);
            let past_value = past_text(self.rest, past_name);
            if past_value > same {
                break;
            }
            end = past_value;
            left -= 1;
        }
        let passed = self.left.min(other.left) - left;
        for iter in [self, other] {
            iter.left -= passed;
            iter.rest = iter.rest.get(end..).unwrap_or("");
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (name, rest) = take_text(self.rest);
        let (value, rest) = take_text(rest);
        self.rest = rest;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Whether `name` may stand unquoted as a metric name: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, |byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':'))
}

/// Whether `name` may stand unquoted as a label name: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_label_name(name: &str) -> bool {
    is_name(name, |byte| byte.is_ascii_alphabetic() || byte == b'_')
}

fn is_name(name: &str, start: impl Fn(u8) -> bool) -> bool {
    name.bytes().next().is_some_and(&start) && name.bytes().all(|byte| start(byte) || byte.is_ascii_digit())
}

/// Appends `number` in base 64, least digit first; each digit is one ASCII byte, `0x40..` when another follows and `0x00..0x40` when it is the last.
fn push_number(text: &mut String, mut number: usize) {
    while number >= 64 {
        text.push(digit(number, 64));
        number /= 64;
    }
    text.push(digit(number, 0));
}

fn digit(number: usize, mark: u8) -> char {
    char::from(u8::try_from(number % 64).unwrap_or(0) | mark)
}

/// The number at the start of `text` and what follows; 0 for an empty text.
fn take_number(text: &str) -> (usize, &str) {
    // Nearly all are of one digit.
    if let Some(&byte) = text.as_bytes().first()
        && byte < 64
    {
        return (byte.into(), text.get(1..).unwrap_or(""));
    }
    take_long_number(text)
}

fn take_long_number(text: &str) -> (usize, &str) {
    let (mut number, mut shift) = (0, 0);
    for (at, byte) in text.bytes().enumerate() {
        number |= usize::from(byte % 64) << shift;
        if byte < 64 || shift >= 30 {
            return (number, text.get(at + 1..).unwrap_or(""));
        }
        shift += 6;
    }
    (number, "")
}

/// The length-led text at the start of `text` and what follows.
fn take_text(text: &str) -> (&str, &str) {
    let (bytes, rest) = take_number(text);
    rest.split_at_checked(bytes).unwrap_or((rest, ""))
}

/// The byte behind the length-led text that begins at byte `at`.
fn past_text(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or("");
    let (bytes, after) = take_number(rest);
    (at + (rest.len() - after.len())).saturating_add(bytes)
}

/// How many bytes both begin with, to within eight.
fn common_bytes(a: &[u8], b: &[u8]) -> usize {
    let (a, b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    8 * a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Writes `text` as Go's `strconv.Quote` does: printable characters stay, the rest are `\n`-like, `\x`, `\u` or `\U` escapes.
///
/// # Errors
/// Those of `f`.
pub fn go_quote(f: &mut impl fmt::Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\x07' => f.write_str("\\a")?,
            '\x08' => f.write_str("\\b")?,
            '\x0b' => f.write_str("\\v")?,
            '\x0c' => f.write_str("\\f")?,
            ' '..='~' => f.write_char(c)?,
            '\0'..='\x7f' => write!(f, "\\x{:02x}", u32::from(c))?,
            _ if is_printable(c) => f.write_char(c)?,
            '\u{80}'..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => write!(f, "\\U{:08x}", u32::from(c))?,
        }
    }
    f.write_char('"')
}

/// Whether a non-ASCII character is a letter, mark, number, punctuation or symbol. The standard library tells it only by what it escapes, and it
/// escapes a combining mark only at the start of a text: hence the letter before it.
fn is_printable(c: char) -> bool {
    let mut buffer = [b'x', 0, 0, 0, 0];
    let bytes = 1 + buffer.get_mut(1..).map_or(0, |rest| c.encode_utf8(rest).len());
    let pair = buffer.get(..bytes).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("");
    pair.escape_debug().nth(1) != Some('\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sets_are_sorted_unique_and_without_empty_values() {
        let set = Labels::from_pairs([("b", "2"), ("a", "old"), ("c", ""), ("a", "1")]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!(set, Labels::from_pairs([("a", "1"), ("b", "2")]));
        assert_eq!((set.get("a"), set.get("aa"), set.get("c")), (Some("1"), None, None));
        assert_eq!(set.with("a", "").iter().collect::<Vec<_>>(), [("b", "2")]);
    }

    #[test]
    fn a_later_empty_value_removes_an_earlier_one() {
        assert!(Labels::from_pairs([("a", "1"), ("a", "")]).is_empty());
    }

    #[test]
    fn a_series_prints_as_prometheus_prints_it() {
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[], "{}"),
            (&[(METRIC_NAME, "up")], "up"),
            (&[(METRIC_NAME, "up"), ("b", "2"), ("a", "1")], r#"up{a="1", b="2"}"#),
            (&[("a", "1")], r#"{a="1"}"#),
            (&[(METRIC_NAME, "a.b"), ("c.d", "1")], r#"{"a.b", "c.d"="1"}"#),
            (&[("a", "it's \"x\"\\\n\t\u{1}")], r#"{a="it's \"x\"\\\n\t\x01"}"#),
            (&[("a", "币 ü e\u{301}")], "{a=\"币 ü e\u{301}\"}"),
            (&[("a", "\u{a0}\u{200b}\u{e0001}")], r#"{a="\u00a0\u200b\U000e0001"}"#),
        ];
        for (pairs, want) in cases {
            assert_eq!(Labels::from_pairs(pairs.iter().copied()).to_string(), want);
        }
    }

    #[test]
    fn sets_order_by_label_not_by_packed_text() {
        let long_name = Labels::from_pairs([("aaaa", "1")]);
        let short_name = Labels::from_pairs([("b", "1")]);
        let two = Labels::from_pairs([("aaaa", "1"), ("b", "1")]);
        let mut sets = [short_name.clone(), two.clone(), Labels::default(), long_name.clone()];
        sets.sort();
        assert_eq!(sets, [Labels::default(), long_name, two, short_name]);
    }

    #[test]
    fn texts_of_any_length_are_kept() {
        for bytes in [1, 63, 64, 65, 4095, 4096, 4097, 300_000] {
            let (name, value) = ("n".repeat(bytes), "v".repeat(bytes));
            let set = Labels::from_pairs([(name.as_str(), value.as_str()), ("z", "1")]);
            assert_eq!(set.iter().collect::<Vec<_>>(), [(name.as_str(), value.as_str()), ("z", "1")]);
        }
    }

    #[test]
    fn a_packed_text_that_is_no_set_is_refused() {
        let set = Labels::from_pairs([("a", "1"), ("b", "2")]);
        assert_eq!(Labels::from_packed(set.packed()), Some(set));
        for text in ["\u{1}", "\u{1}\u{1}a", "\u{1}\u{1}a\u{0}", "\u{2}\u{1}b\u{1}1\u{1}a\u{1}1", "\u{1}\u{1}a\u{1}1x", "\u{0}"] {
            assert_eq!(Labels::from_packed(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_fingerprint_never_changes() {
        assert_eq!(Labels::default().fingerprint(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Labels::from_pairs([(METRIC_NAME, "up"), ("job", "x")]).fingerprint(), 0xa743_5538_92c4_a106);
    }

    proptest! {
        #[test]
        fn packing_keeps_every_pair(pairs in prop::collection::btree_map(".{0,80}", ".{1,100}", 0..8), probe in ".{0,3}") {
            let set = Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            prop_assert_eq!(set.len(), pairs.len());
            prop_assert!(set.iter().eq(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
            prop_assert_eq!(set.get(&probe), pairs.get(&probe).map(String::as_str));
            for (name, value) in &pairs {
                prop_assert_eq!(set.get(name), Some(value.as_str()));
            }
        }

        #[test]
        fn sets_order_as_their_pairs(a in prop::collection::btree_map("[ab]{0,3}", "[ab]{1,3}", 0..4), b in prop::collection::btree_map("[ab]{0,3}", "[ab]{1,3}", 0..4)) {
            let set = |pairs: &std::collections::BTreeMap<String, String>| Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            prop_assert_eq!(set(&a).cmp(&set(&b)), a.iter().cmp(b.iter()));
        }
    }
}
