//! The signature of a robot's URL ("加签", custom robot documentation).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The `sign` parameter, already percent-encoded: base64(HMAC-SHA256(key = secret, "<timestamp>\n<secret>")).
pub fn sign(secret: &str, timestamp_ms: i64) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{timestamp_ms}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes()).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// `url` with `timestamp` and `sign` appended. The wall clock must be right: the robot tolerates one hour.
pub fn signed_url(url: &str, secret: &str, timestamp_ms: i64) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}timestamp={timestamp_ms}&sign={}", sign(secret, timestamp_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both were computed with another program from the definition.
    #[test]
    fn worked_vectors() {
        assert_eq!(sign("this is secret", 1577262236757), "hmPWwU%2B7lVdm3ZZz0r9tSfx0L4Q26jWOZr9%2BGs6EZQM%3D");
        assert_eq!(sign("SECexample0123456789", 1700000000000), "figG6qqCA%2FlRh0hsGCW2zNtNV5znkAFut5BI0zKhqnQ%3D");
    }

    #[test]
    fn a_url_keeps_its_token() {
        let url = signed_url("https://h/robot/send?access_token=t", "this is secret", 1577262236757);
        assert!(url.starts_with("https://h/robot/send?access_token=t&timestamp=1577262236757&sign=hmPWwU%2B"), "{url}");
        assert!(signed_url("http://h/x", "s", 1).starts_with("http://h/x?timestamp=1&sign="));
    }
}
