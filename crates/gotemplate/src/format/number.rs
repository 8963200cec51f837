//! Numbers as Go's `strconv` writes them.

/// `strconv.FormatFloat(v, verb, precision, 64)` for the verbs `e E f g G`; no precision means the fewest digits that read back as `v`.
pub fn float(v: f64, verb: char, precision: Option<usize>) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match verb {
        'e' | 'E' => with_case(exponent_form(v, precision), verb),
        'g' | 'G' => with_case(general_form(v, precision), verb),
        _ => match precision {
            Some(digits) => format!("{v:.digits$}"),
            None => format!("{v}"),
        },
    }
}

/// `%.<digits>g`: significant digits, trailing zeros removed.
pub fn general(v: f64, digits: usize) -> String {
    float(v, 'g', Some(digits))
}

fn with_case(text: String, verb: char) -> String {
    if verb.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text }
}

/// `d.ddde±dd`.
fn exponent_form(v: f64, precision: Option<usize>) -> String {
    let written = match precision {
        Some(digits) => format!("{v:.digits$e}"),
        None => format!("{v:e}"),
    };
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// The exponent form when the decimal exponent is below −4 or not below the precision (for the shortest form six), else plain.
fn general_form(v: f64, precision: Option<usize>) -> String {
    let digits = precision.map(|p| p.max(1));
    let scientific = exponent_form(v, digits.map(|d| d - 1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let limit = i32::try_from(digits.unwrap_or(SHORTEST_LIMIT)).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.abs());
    }
    match digits {
        None => format!("{v}"),
        Some(digits) => {
            let decimals = usize::try_from(i32::try_from(digits).unwrap_or(i32::MAX).saturating_sub(1).saturating_sub(exponent)).unwrap_or(0);
            without_trailing_zeros(&format!("{v:.decimals$}")).to_owned()
        }
    }
}

/// For the shortest form Go decides between plain and exponent form as if six digits had been asked for.
const SHORTEST_LIMIT: usize = 6;

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
