//! The fake proxies and the TLS front, used as a client would use them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use venue_sim::CancellationToken;
use venue_sim::proxy::{Manner, ProxyConfig, ProxyKind, RunningProxy, run_proxy};
use venue_sim::tls::{Certificate, TlsConfig, TlsFront, run_tls_front};

use crate::support::SOON;

/// A server that answers every byte with the next one.
async fn counter() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(byte) = stream.read_u8().await {
                    stream.write_u8(byte + 1).await.unwrap();
                }
            });
        }
    });
    address
}

async fn proxy(config: ProxyConfig) -> RunningProxy {
    run_proxy(config, CancellationToken::new()).await.unwrap()
}

/// Says something and reads what comes, nothing when the other side goes or is silent for this long.
async fn exchange_within(stream: &mut TcpStream, bytes: &[u8], patience: Duration) -> Vec<u8> {
    stream.write_all(bytes).await.unwrap();
    let mut answer = vec![0; 512];
    let length = tokio::time::timeout(patience, stream.read(&mut answer)).await.map_or(0, Result::unwrap_or_default);
    answer.truncate(length);
    answer
}

async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    exchange_within(stream, bytes, SOON).await
}

async fn connect_head(proxy: &RunningProxy, target: &str, more: &str) -> (TcpStream, String) {
    connect_head_within(proxy, target, (more, SOON)).await
}

async fn connect_head_within(proxy: &RunningProxy, target: &str, (more, patience): (&str, Duration)) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{more}\r\n");
    let answer = exchange_within(&mut stream, head.as_bytes(), patience).await;
    (stream, String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn connect_opens_a_tunnel_by_name_and_wants_its_password() {
    let target = counter().await;
    let proxy = proxy(ProxyConfig::new(ProxyKind::HttpConnect).guarded("mole", "dig").route("venue.example:443", target)).await;
    assert!(connect_head(&proxy, "venue.example:443", "").await.1.starts_with("HTTP/1.1 407"));
    let (mut tunnel, answer) = connect_head(&proxy, "venue.example:443", "Proxy-Authorization: Basic bW9sZTpkaWc=\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(exchange(&mut tunnel, &[7]).await, [8]);
    let seen = proxy.seen();
    assert_eq!((seen.asked, seen.open, seen.denied), (vec!["venue.example:443".to_owned()], 1, 1));
    assert_eq!(proxy.url(), format!("http://mole:dig@{}", proxy.address()));
}

#[tokio::test]
async fn a_proxy_fails_in_the_ways_it_is_told() {
    let target = counter().await.to_string();
    let proxy = proxy(ProxyConfig::new(ProxyKind::HttpConnect)).await;
    for (manner, beginning) in [
        (Manner::Refuse, "HTTP/1.1 403"),
        (Manner::Unreachable, "HTTP/1.1 502"),
        (Manner::Stall, ""),
        (Manner::HangUp, ""),
        (Manner::Babble, "220 mail"),
        (Manner::Forward, "HTTP/1.1 200"),
    ] {
        proxy.behave(manner);
        let patience = if matches!(manner, Manner::Stall) { Duration::from_millis(400) } else { SOON };
        let answer = connect_head_within(&proxy, &target, ("", patience)).await.1;
        assert!(answer.starts_with(beginning) && answer.is_empty() == beginning.is_empty(), "{manner:?}: {answer}");
    }
    assert!(connect_head(&proxy, "nobody.example:443", "").await.1.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn socks_opens_a_tunnel_by_name_and_wants_its_password() {
    let target = counter().await;
    let proxy = proxy(ProxyConfig::new(ProxyKind::Socks5).guarded("mole", "dig").route("venue.example:443", target)).await;
    let request = [&[5, 1, 0, 3, 13][..], b"venue.example", &[1, 187]].concat();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut stream, &[5, 1, 0]).await, [5, 255]);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut stream, &[5, 2, 0, 2]).await, [5, 2]);
    assert_eq!(exchange(&mut stream, b"\x01\x04mole\x03dug").await, [1, 1]);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut stream, &[5, 2, 0, 2]).await, [5, 2]);
    assert_eq!(exchange(&mut stream, b"\x01\x04mole\x03dig").await, [1, 0]);
    assert_eq!(exchange(&mut stream, &request).await[..2], [5, 0]);
    assert_eq!(exchange(&mut stream, &[41]).await, [42]);
    assert_eq!((proxy.seen().asked, proxy.seen().denied), (vec!["venue.example:443".to_owned()], 2));
}

#[tokio::test]
async fn socks_refuses_with_its_codes() {
    let target = counter().await;
    let proxy = proxy(ProxyConfig::new(ProxyKind::Socks5)).await;
    let SocketAddr::V4(target) = target else { panic!("{target}") };
    let request = [&[5, 1, 0, 1][..], &target.ip().octets(), &target.port().to_be_bytes()].concat();
    for (manner, code) in [(Manner::Refuse, Some(2)), (Manner::Unreachable, Some(4)), (Manner::HangUp, None), (Manner::Forward, Some(0))] {
        proxy.behave(manner);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(exchange(&mut stream, &[5, 1, 0]).await, [5, 0]);
        assert_eq!(exchange(&mut stream, &request).await.get(1).copied(), code, "{manner:?}");
    }
}

async fn handshake(front: &TlsFront, name: &'static str) -> Result<u8, String> {
    handshake_within(front, name, SOON).await
}

async fn handshake_within(front: &TlsFront, name: &'static str, patience: Duration) -> Result<u8, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(front.authority_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let stream = TcpStream::connect(front.address()).await.unwrap();
    let handshake = connector.connect(ServerName::try_from(name).unwrap(), stream);
    let mut stream = tokio::time::timeout(patience, handshake).await.map_err(|_| "timeout")?.map_err(|error| error.to_string())?;
    stream.write_u8(1).await.unwrap();
    Ok(tokio::time::timeout(SOON, stream.read_u8()).await.unwrap().unwrap())
}

#[tokio::test]
async fn a_tls_front_is_trusted_by_its_authority_for_its_names_only() {
    let target = counter().await;
    let front = async |certificate| {
        let config = TlsConfig::new(&["localhost", "127.0.0.1"], target).showing(certificate);
        run_tls_front(config, CancellationToken::new()).await.unwrap()
    };
    let good = front(Certificate::Good).await;
    assert_eq!(handshake(&good, "localhost").await, Ok(2));
    assert_eq!(handshake(&good, "127.0.0.1").await, Ok(2));
    assert!(handshake(&good, "venue.example").await.unwrap_err().contains("not valid for name"));
    assert!(handshake(&front(Certificate::Expired).await, "localhost").await.unwrap_err().contains("expired"));
    assert_eq!(handshake_within(&front(Certificate::Stalled).await, "localhost", Duration::from_secs(2)).await.unwrap_err(), "timeout");
}
