//! How a real server knows us and we know it: nkeys, JWTs, TLS with an authority of our own, certificates that are wrong.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, date_time_ymd};
use serde_json::{Value, json};

use crate::feed::{Feed, config};
use crate::server::Server;

/// Records are delivered and acknowledged to a sink with this configuration of `nats`.
async fn delivers(url: &str, nats: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::start(&config(dir.path(), url, nats));
    feed.run(500, Duration::from_millis(400)).await;
    feed.until_delivered().await;
    assert!(feed.metric("collector_nats_acks_total", "") > 0.0, "{}", feed.figures());
    feed.stop().await;
}

/// What `collector tap` says with this configuration of `nats`: its exit code and standard error.
fn tap(dir: &Path, nats: &str) -> (Option<i32>, String) {
    std::fs::write(dir.join("collector.yml"), format!("venues: [{{name: binance, market: spot, symbols: [A-B]}}]\nnats:\n{nats}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
    let output = command.current_dir(dir).env_clear().args(["tap", "nobody.speaks", "--count", "1"]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A JWT as NATS has them.
fn token(signer: &KeyPair, subject: &KeyPair, name: &str, nats: &Value) -> String {
    let claims = json!({"jti": name, "iat": 1_700_000_000, "iss": signer.public_key(), "sub": subject.public_key(), "name": name, "nats": nats});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(&claims));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_user_with_an_nkey_is_let_in_and_another_is_not() {
    let (dir, key, stranger) = (tempfile::tempdir().unwrap(), KeyPair::new_user(), KeyPair::new_user());
    let Some(server) = Server::configured(dir.path(), &format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key())) else { return };
    let file = |name: &str, key: &KeyPair| {
        let path = dir.path().join(name);
        std::fs::write(&path, key.seed().unwrap()).unwrap();
        path.display().to_string()
    };
    delivers(&server.url(), &format!("  nkey_file: '{}'", file("user.nk", &key))).await;
    let (code, said) = tap(dir.path(), &format!("  url: '{}'\n  nkey_file: '{}'\n", server.url(), file("stranger.nk", &stranger)));
    assert!(code == Some(69) && said.contains("Authorization Violation"), "{code:?} {said}");
    assert!(!said.contains(&stranger.seed().unwrap()), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_user_with_a_jwt_of_an_account_is_let_in_and_a_forged_one_is_not() {
    let (dir, operator, account, user) = (tempfile::tempdir().unwrap(), KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let system = KeyPair::new_account();
    let limits = json!({"subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1, "payload": -1, "wildcards": true,
                        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1});
    let operator_jwt = token(&operator, &operator, "O", &json!({"type": "operator", "version": 2, "system_account": system.public_key()}));
    let account_jwt = token(&operator, &account, "A", &json!({"type": "account", "version": 2, "limits": limits}));
    let system_limits = json!({"subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1, "payload": -1, "wildcards": true});
    let system_jwt = token(&operator, &system, "SYS", &json!({"type": "account", "version": 2, "limits": system_limits}));
    let text = format!(
        "operator: {operator_jwt}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_jwt}, {}: {system_jwt} }}\n",
        system.public_key(),
        account.public_key(),
        system.public_key()
    );
    let Some(server) = Server::configured(dir.path(), &text) else { return };
    let credentials = |name: &str, signer: &KeyPair| {
        let jwt = token(signer, &user, "U", &json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}));
        let path = dir.path().join(name);
        let lines =
            ["-----BEGIN NATS USER JWT-----", &jwt, "------END NATS USER JWT------", "", "-----BEGIN USER NKEY SEED-----", &user.seed().unwrap()]
                .join("\n");
        std::fs::write(&path, format!("{lines}\n------END USER NKEY SEED------\n")).unwrap();
        path.display().to_string()
    };
    delivers(&server.url(), &format!("  credentials_file: '{}'", credentials("user.creds", &account))).await;
    let (code, said) =
        tap(dir.path(), &format!("  url: '{}'\n  credentials_file: '{}'\n", server.url(), credentials("forged.creds", &KeyPair::new_account())));
    assert!(code == Some(69) && said.contains("Authorization Violation"), "{code:?} {said}");
    assert!(!said.contains(&user.seed().unwrap()) && !said.contains("eyJ"), "{said}");
}

/// An authority, with files of what it signs in a directory.
struct Authority<'a> {
    dir: &'a Path,
    issuer: Issuer<'static, rcgen::KeyPair>,
}

impl<'a> Authority<'a> {
    fn new(dir: &'a Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "an authority of our own");
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(dir.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate: `<file>.pem` and `<file>.key`.
    fn sign(&self, file: &str, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let (mut params, key) = (CertificateParams::new(vec![name.to_owned()]).unwrap(), rcgen::KeyPair::generate().unwrap());
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        std::fs::write(self.dir.join(format!("{file}.pem")), params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(self.dir.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    /// A server that shows this certificate.
    fn server(&self, file: &str, more: &str) -> Option<Server> {
        let dir = self.dir.display();
        Server::configured(self.dir, &format!("tls {{ cert_file: '{dir}/{file}.pem', key_file: '{dir}/{file}.key' {more} }}"))
    }

    /// Configuration of `nats` for it.
    fn nats(&self, server: &Server, more: &str) -> String {
        format!("  url: tls://localhost:{}\n  ca_file: '{}/ca.pem'\n{more}", server.port, self.dir.display())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_is_trusted_by_our_own_authority_and_by_nothing_less() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    authority.sign("good", "localhost", |_| {});
    authority.sign("elsewhere", "nats.example", |_| {});
    authority.sign("expired", "localhost", |params| (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1)));
    let Some(server) = authority.server("good", "") else { return };
    delivers(&format!("tls://localhost:{}", server.port), &format!("  ca_file: '{}/ca.pem'", dir.path().display())).await;
    // A server that demands TLS gets it, whatever the URL says.
    delivers(&format!("nats://localhost:{}", server.port), &format!("  ca_file: '{}/ca.pem'", dir.path().display())).await;
    let (code, said) = tap(dir.path(), &format!("  url: tls://localhost:{}\n", server.port));
    assert!(code == Some(69) && said.contains("UnknownIssuer"), "{code:?} {said}");
    drop(server);
    for (certificate, why) in [("elsewhere", "not valid for name \"localhost\""), ("expired", "certificate expired")] {
        let server = authority.server(certificate, "").unwrap();
        let (code, said) = tap(dir.path(), &authority.nats(&server, ""));
        assert!(code == Some(69) && said.contains(why), "{certificate}: {code:?} {said}");
    }
    let server = Server::start(false).unwrap();
    let (code, said) = tap(dir.path(), &authority.nats(&server, ""));
    assert!(code == Some(69) && said.contains("TLS"), "a server without TLS: {code:?} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_verifies_clients_is_shown_our_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    authority.sign("good", "localhost", |_| {});
    authority.sign("client", "collector", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let Some(server) = authority.server("good", &format!(", ca_file: '{}/ca.pem', verify: true", dir.path().display())) else { return };
    let files = |key: &str| format!("  cert_file: '{0}/client.pem'\n  key_file: '{0}/{key}.key'\n", dir.path().display());
    delivers(&format!("tls://localhost:{}", server.port), &format!("  ca_file: '{}/ca.pem'\n{}", dir.path().display(), files("client"))).await;
    let (code, said) = tap(dir.path(), &authority.nats(&server, ""));
    assert!(code == Some(69) && said.to_lowercase().contains("certificate"), "no certificate of ours: {code:?} {said}");
    let (code, said) = tap(dir.path(), &authority.nats(&server, &files("good")));
    assert!(code == Some(69) && said.contains("client.pem"), "a key that is not the certificate's: {code:?} {said}");
}
