//! Every way to a host, and every way to fail on it, over real sockets: own listeners play the venue, the proxies and their troubles.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::{Login, ProxyConfig, VenueConfig};
use crate::feed::link::WebSockets;
use crate::feed::network::{Connector, Rest, RestFailure};
use crate::feed::rest::HttpClient;
use crate::metrics::Gauge;

fn venue() -> VenueConfig {
    let text = "venues: [{name: binance, market: spot, symbols: [A-B]}]";
    crate::config::load("c", text, &crate::config::Environment::default()).config.unwrap().venues.remove(0)
}

fn through(url: String) -> VenueConfig {
    VenueConfig { proxy: ProxyConfig { http: Some(url.clone()), https: Some(url), ..ProxyConfig::default() }, ..venue() }
}

/// Why a WebSocket did not open.
async fn failure(venue: &VenueConfig, url: &str) -> (Hop, Cause, String) {
    let connector = WebSockets::new(Dialer::new(venue).unwrap());
    let error = connector.connect(url.to_owned()).await.err().expect("it fails");
    (error.hop, error.cause, error.message)
}

async fn fails(venue: &VenueConfig, url: &str, hop: Hop, cause: Cause) {
    let (failed, why, message) = failure(venue, url).await;
    assert_eq!((failed, why), (hop, cause), "{message}");
    println!("{hop} {cause}: {message}");
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port where nobody listens.
async fn closed() -> u16 {
    listener().await.1
}

/// A peer that reads something and answers this to everybody, whatever it was asked.
async fn peer(answer: &'static [u8]) -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _asked = stream.read(&mut [0; 2_048]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
    });
    port
}

/// What a venue says on an open connection: to a WebSocket its handshake and `hello`, to a GET a packed `{}`.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut asked = vec![0; 4_096];
    let length = stream.read(&mut asked).await.unwrap();
    let text = String::from_utf8_lossy(&asked[..length]).into_owned();
    let Some(key) = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")) else {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, b"{}").unwrap();
        let packed = packed.finish().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nX-MBX-USED-WEIGHT-1M: 7\r\nContent-Length: {}\r\n\r\n", packed.len());
        // The client may ask again.
        while stream.write_all(&[head.as_bytes(), &packed].concat()).await.is_ok() && stream.read(&mut asked).await.is_ok_and(|length| length > 0) {}
        return;
    };
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.trim().as_bytes());
    let head = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), b"\x81\x05hello"].concat()).await.unwrap();
    let _closed = stream.read(&mut asked).await;
}

/// How a venue's certificate is made.
struct Certificate {
    name: &'static str,
    years: (i32, i32),
}

const GOOD: Certificate = Certificate { name: "localhost", years: (2020, 2090) };

/// A venue over TLS; its port and the file of its authority.
async fn encrypted_venue(certificate: Certificate, dir: &std::path::Path) -> (u16, PathBuf) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let file = dir.join("ca.pem");
    std::fs::write(&file, authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(authority, key);
    let own_key = rcgen::KeyPair::generate().unwrap();
    let mut own = rcgen::CertificateParams::new(vec![certificate.name.to_owned()]).unwrap();
    (own.not_before, own.not_after) = (rcgen::date_time_ymd(certificate.years.0, 1, 1), rcgen::date_time_ymd(certificate.years.1, 1, 1));
    let own = own.signed_by(&own_key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap();
    let (listener, port) = listener().await;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not like the certificate goes away.
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            });
        }
    });
    (port, file)
}

/// Opens a WebSocket and waits for its greeting.
async fn greeted(venue: &VenueConfig, url: String) {
    let connector = WebSockets::new(Dialer::new(venue).unwrap());
    let mut link = connector.connect(url).await.unwrap_or_else(|error| panic!("{error}"));
    let greeting = std::future::poll_fn(|context| link.poll(context).map(|wire| format!("{wire:?}"))).await;
    assert_eq!(greeting, r#"Text("hello")"#);
    link.close().await;
}

/// An HTTP proxy that wants this `Proxy-Authorization`, if any, and sends what it gets for any name to this port; or answers this status.
async fn connect_proxy(wants: Option<&'static str>, answer: Result<u16, &'static str>) -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut asked = vec![0; 4_096];
            let length = client.read(&mut asked).await.unwrap();
            let text = String::from_utf8_lossy(&asked[..length]).to_lowercase();
            assert!(text.starts_with("connect venue.example:"), "{text}");
            let allowed = wants.is_none_or(|wanted| text.contains(&format!("proxy-authorization: {wanted}").to_lowercase()));
            match answer {
                _ if !allowed => client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await.unwrap(),
                Err(status) => client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.unwrap(),
                Ok(port) => {
                    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                    let mut venue = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
                    tokio::spawn(async move { copy_bidirectional(&mut client, &mut venue).await });
                }
            }
        }
    });
    port
}

/// A SOCKS5 proxy: the login it wants, the reply code it gives, and where it leads (RFC 1928, 1929).
async fn socks_proxy(login: Option<&'static [u8]>, reply: u8, leads_to: u16) -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = [0; 2];
            client.read_exact(&mut head).await.unwrap();
            let mut methods = vec![0; usize::from(head[1])];
            client.read_exact(&mut methods).await.unwrap();
            if let Some(login) = login {
                if !methods.contains(&2) {
                    client.write_all(&[5, 0xff]).await.unwrap();
                    continue;
                }
                client.write_all(&[5, 2]).await.unwrap();
                let mut given = vec![0; login.len()];
                client.read_exact(&mut given).await.unwrap();
                client.write_all(&[1, u8::from(given != login)]).await.unwrap();
                if given != login {
                    continue;
                }
            } else {
                client.write_all(&[5, 0]).await.unwrap();
            }
            let mut asked = [0; 5];
            client.read_exact(&mut asked).await.unwrap();
            assert_eq!(asked[3], 3, "the name itself is sent");
            let mut rest = vec![0; usize::from(asked[4]) + 2];
            client.read_exact(&mut rest).await.unwrap();
            assert!(rest.starts_with(b"venue.example"));
            client.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            if reply == 0 {
                let mut venue = TcpStream::connect((Ipv4Addr::LOCALHOST, leads_to)).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut venue).await });
            }
        }
    });
    port
}

async fn plain_venue() -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

#[tokio::test]
async fn a_failed_connection_names_its_hop_and_its_reason() {
    let direct = venue();
    fails(&direct, "ws:///nowhere", Hop::Url, Cause::BadUrl).await;
    fails(&direct, "ws://name.invalid/", Hop::Dns, Cause::NameNotFound).await;
    fails(&direct, &format!("ws://127.0.0.1:{}/", closed().await), Hop::Tcp, Cause::Refused).await;
    fails(&direct, &format!("wss://localhost:{}/", peer(b"I am no TLS server\r\n").await), Hop::Tls, Cause::Protocol).await;
    let forbidden = peer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    fails(&direct, &format!("ws://127.0.0.1:{forbidden}/"), Hop::Handshake, Cause::Status).await;
}

#[tokio::test]
async fn a_certificate_is_believed_when_its_authority_is_trusted_and_else_the_reason_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (port, ca_file) = encrypted_venue(GOOD, dir.path()).await;
    let trusting = VenueConfig { ca_file: Some(ca_file.clone()), ..venue() };
    greeted(&trusting, format!("wss://localhost:{port}/")).await;
    fails(&venue(), &format!("wss://localhost:{port}/"), Hop::Tls, Cause::CertificateUnknownIssuer).await;
    fails(&trusting, &format!("wss://127.0.0.1:{port}/"), Hop::Tls, Cause::CertificateWrongName).await;
    for (years, cause) in [((2020, 2021), Cause::CertificateExpired), ((2089, 2090), Cause::CertificateNotYetValid)] {
        let (port, ca_file) = encrypted_venue(Certificate { name: "localhost", years }, dir.path()).await;
        fails(&VenueConfig { ca_file: Some(ca_file), ..venue() }, &format!("wss://localhost:{port}/"), Hop::Tls, cause).await;
    }
    std::fs::write(&ca_file, "nothing").unwrap();
    assert!(Dialer::new(&trusting).unwrap_err().contains("ca_file"));
}

#[tokio::test]
async fn an_http_proxy_leads_on_or_the_reason_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (port, ca_file) = encrypted_venue(Certificate { name: "venue.example", ..GOOD }, dir.path()).await;
    let url = "wss://venue.example:9443/stream";
    // "me:pass:word" in base64.
    let proxy = connect_proxy(Some("Basic bWU6cGFzczp3b3Jk"), Ok(port)).await;
    let plain = VenueConfig { ca_file: Some(ca_file), ..through(format!("http://127.0.0.1:{proxy}")) };
    fails(&plain, url, Hop::Proxy, Cause::AuthRequired).await;
    let file = dir.path().join("login");
    std::fs::write(&file, "me:pass:word\n").unwrap();
    let with_login = VenueConfig { proxy: ProxyConfig { login: Some(Login::File(file)), ..plain.proxy.clone() }, ..plain };
    greeted(&with_login, url.to_owned()).await;
    for (status, cause) in [("403 Forbidden", Cause::Forbidden), ("502 Bad Gateway", Cause::TargetUnreachable), ("418 Teapot", Cause::Status)] {
        let proxy = connect_proxy(None, Err(status)).await;
        fails(&through(format!("http://127.0.0.1:{proxy}")), url, Hop::Proxy, cause).await;
    }
    let (_, _, message) = failure(&through(format!("http://me:secret@127.0.0.1:{}", closed().await)), url).await;
    assert!(message.contains("not reached") && !message.contains("secret"), "{message}");
    fails(&through(format!("http://127.0.0.1:{}", peer(b"SSH-2.0-x\r\n\r\n").await)), url, Hop::Proxy, Cause::Protocol).await;
}

#[tokio::test]
async fn a_socks_proxy_leads_on_or_the_reason_is_told() {
    let venue_port = plain_venue().await;
    let url = "ws://venue.example/stream";
    let open = socks_proxy(None, 0, venue_port).await;
    greeted(&through(format!("socks5h://127.0.0.1:{open}")), url.to_owned()).await;
    fails(&through(format!("socks5://127.0.0.1:{open}")), url, Hop::Dns, Cause::NameNotFound).await;
    let locked = socks_proxy(Some(b"\x01\x02me\x04p@ss"), 0, venue_port).await;
    greeted(&through(format!("socks5h://me:p%40ss@127.0.0.1:{locked}")), url.to_owned()).await;
    fails(&through(format!("socks5h://127.0.0.1:{locked}")), url, Hop::Proxy, Cause::AuthRequired).await;
    fails(&through(format!("socks5h://me:xxxx@127.0.0.1:{locked}")), url, Hop::Proxy, Cause::AuthRequired).await;
    for (reply, cause) in [(2, Cause::Forbidden), (4, Cause::TargetUnreachable), (5, Cause::TargetUnreachable)] {
        let proxy = socks_proxy(None, reply, venue_port).await;
        fails(&through(format!("socks5h://127.0.0.1:{proxy}")), url, Hop::Proxy, cause).await;
    }
    fails(&through(format!("socks5h://127.0.0.1:{}", closed().await)), url, Hop::Proxy, Cause::Refused).await;
}

#[tokio::test]
async fn hosts_of_no_proxy_are_reached_directly() {
    let venue_port = plain_venue().await;
    let mut config = through(format!("http://127.0.0.1:{}", closed().await));
    config.proxy.no = "localhost, 10.0.0.0/8".to_owned();
    greeted(&config, format!("ws://localhost:{venue_port}/")).await;
}

#[test]
fn rest_goes_the_same_way_in_few_connections_that_are_used_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let dir = tempfile::tempdir().unwrap();
        let (port, ca_file) = encrypted_venue(GOOD, dir.path()).await;
        let open = Gauge::default();
        let client = |venue: &VenueConfig| HttpClient::new(Dialer::new(venue).unwrap(), open.clone());
        let trusting = client(&VenueConfig { ca_file: Some(ca_file), ..venue() });
        let url = format!("https://localhost:{port}/api/v3/depth?symbol=A");
        let reply = trusting.get(url.clone(), 100).await.unwrap();
        assert_eq!((reply.status, reply.body.as_str(), reply.used_weight), (200, "{}", Some(7)));
        assert_eq!(trusting.get(url.clone(), 100).await.unwrap().body, "{}");
        assert_eq!(open.get().to_string(), "1");
        trusting.close_idle();
        while open.get() > 0.0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(trusting.get(url.clone(), 100).await.unwrap().body, "{}", "on a new one");
        assert_eq!(trusting.get(url.clone(), 1).await, Err(RestFailure::TooLong(1)));
        drop(trusting);
        while open.get() > 0.0 {
            tokio::task::yield_now().await;
        }
        let failed = client(&venue()).get(url, 100).await.unwrap_err();
        assert!(matches!(&failed, RestFailure::Connect(error) if error.cause == Cause::CertificateUnknownIssuer), "{failed:?}");
    });
}

#[tokio::test]
async fn the_first_address_that_answers_wins_and_both_families_have_their_turn() {
    let venue_port = plain_venue().await;
    let dead = SocketAddr::from(([127, 0, 0, 1], closed().await));
    let good = SocketAddr::from(([127, 0, 0, 1], venue_port));
    // Packets to this network go nowhere (RFC 5737), so its attempt hangs, or fails at once where there is no route.
    let silent = SocketAddr::from(([192, 0, 2, 1], 9));
    let begun = std::time::Instant::now();
    assert_eq!(open_tcp([dead, silent, good].into()).await.unwrap().peer_addr().unwrap(), good);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let [v6, v4]: [Vec<SocketAddr>; 2] = ["[::1]:", "1.1.1.1:"].map(|host| (1..=6).map(|port| format!("{host}{port}").parse().unwrap()).collect());
    let ordered: Vec<SocketAddr> = interleaved(v6.iter().chain(&v4).copied()).into();
    assert_eq!(ordered, [v6[0], v4[0], v6[1], v4[1], v6[2], v4[2], v6[3], v4[3]]);
}
