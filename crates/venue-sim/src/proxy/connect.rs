//! HTTP CONNECT: the head of the request, the password, the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Manner, ProxyConfig, Shared, Verdict, dial};

/// Longest head of a request.
const HEAD_MAX: usize = 8 * 1024;

/// Hears the request and answers it; the way to the target, if it was opened.
pub(super) async fn greet(client: &mut TcpStream, config: &ProxyConfig, shared: &Shared) -> Option<TcpStream> {
    let head = head(client).await?;
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let verdict = if method != "CONNECT" {
        Err(Verdict::Refused)
    } else if !is_allowed(&head, config) {
        shared.with(|seen| seen.denied += 1);
        Err(Verdict::Denied)
    } else {
        match dial(target, config, shared).await {
            Some(outcome) => outcome,
            None if shared.manner() == Manner::Babble => {
                drop(client.write_all(b"220 mail.example ESMTP\r\n").await);
                return None;
            }
            None => return None,
        }
    };
    let answer = match verdict.as_ref().map_or_else(|verdict| *verdict, |_| Verdict::Open) {
        Verdict::Open => "HTTP/1.1 200 Connection established\r\n\r\n",
        Verdict::Refused => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        Verdict::Unreachable => "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        Verdict::Denied => "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"venue-sim\"\r\nContent-Length: 0\r\n\r\n",
    };
    client.write_all(answer.as_bytes()).await.ok()?;
    verdict.ok()
}

/// The head, byte by byte, so that nothing behind it is taken.
async fn head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_MAX {
            return None;
        }
        head.push(client.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

fn is_allowed(head: &str, config: &ProxyConfig) -> bool {
    let Some((user, password)) = &config.credentials else { return true };
    let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let sent = head.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization")));
    sent.is_some_and(|(_, value)| value.trim() == wanted)
}
