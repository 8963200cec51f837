//! SOCKS5: the method, the password, the request (RFC 1928, RFC 1929).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Manner, ProxyConfig, Shared, Verdict, dial};

const VERSION: u8 = 5;
const NO_PASSWORD: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// Hears the request and answers it; the way to the target, if it was opened.
pub(super) async fn greet(client: &mut TcpStream, config: &ProxyConfig, shared: &Shared) -> Option<TcpStream> {
    authenticate(client, config, shared).await?;
    let [version, command, _reserved] = bytes(client).await?;
    let target = target(client).await?;
    if version != VERSION || command != CONNECT {
        answer(client, 7).await?;
        return None;
    }
    let outcome = match dial(&target, config, shared).await {
        Some(outcome) => outcome,
        None if shared.manner() == Manner::Babble => {
            drop(client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
            return None;
        }
        None => return None,
    };
    let code = match outcome.as_ref().map_or_else(|verdict| *verdict, |_| Verdict::Open) {
        Verdict::Open => 0,
        Verdict::Refused | Verdict::Denied => 2,
        Verdict::Unreachable => 4,
    };
    answer(client, code).await?;
    outcome.ok()
}

async fn authenticate(client: &mut TcpStream, config: &ProxyConfig, shared: &Shared) -> Option<()> {
    let [version, count] = bytes(client).await?;
    let methods = take(client, count).await?;
    let wanted = if config.credentials.is_some() { PASSWORD } else { NO_PASSWORD };
    if version != VERSION || !methods.contains(&wanted) {
        shared.with(|seen| seen.denied += 1);
        client.write_all(&[VERSION, NO_METHOD]).await.ok()?;
        return None;
    }
    client.write_all(&[VERSION, wanted]).await.ok()?;
    let Some((user, password)) = &config.credentials else { return Some(()) };
    let [_version, length] = bytes(client).await?;
    let sent_user = take(client, length).await?;
    let [length] = bytes(client).await?;
    let sent_password = take(client, length).await?;
    let right = sent_user == user.as_bytes() && sent_password == password.as_bytes();
    client.write_all(&[1, u8::from(!right)]).await.ok()?;
    if !right {
        shared.with(|seen| seen.denied += 1);
    }
    right.then_some(())
}

/// The target of a request, `host:port`.
async fn target(client: &mut TcpStream) -> Option<String> {
    let [kind] = bytes(client).await?;
    let host = match kind {
        1 => {
            let octets: [u8; 4] = bytes(client).await?;
            return Some(SocketAddr::from((Ipv4Addr::from(octets), port(client).await?)).to_string());
        }
        4 => {
            let octets: [u8; 16] = bytes(client).await?;
            return Some(SocketAddr::from((Ipv6Addr::from(octets), port(client).await?)).to_string());
        }
        3 => {
            let [length] = bytes(client).await?;
            String::from_utf8(take(client, length).await?).ok()?
        }
        _ => return None,
    };
    Some(format!("{host}:{}", port(client).await?))
}

async fn port(client: &mut TcpStream) -> Option<u16> {
    client.read_u16().await.ok()
}

async fn answer(client: &mut TcpStream, code: u8) -> Option<()> {
    client.write_all(&[VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()
}

async fn bytes<const N: usize>(client: &mut TcpStream) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn take(client: &mut TcpStream, length: u8) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::from(length)];
    client.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
