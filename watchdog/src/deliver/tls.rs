//! TLS settings of receivers: bundled roots by default, else what `tls_config` says.

use std::path::Path;
use std::sync::Arc;

use router::config::TlsConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use super::secret;

/// The configuration that most receivers share: the bundled roots.
pub(super) fn bundled_roots() -> ClientConfig {
    ClientConfig::builder().with_root_certificates(bundled()).with_no_client_auth()
}

/// What a `tls_config` asks for.
pub(crate) fn configured(tls: &TlsConfig, base: &Path) -> Result<ClientConfig, String> {
    let roots = match &tls.ca {
        Some(source) => roots_of(&secret::read(source, base)?)?,
        None => bundled(),
    };
    let builder = ClientConfig::builder_with_protocol_versions(&versions(tls)?);
    let builder = match &tls.server_name {
        _ if tls.insecure_skip_verify => builder.dangerous().with_custom_certificate_verifier(Arc::new(TakeAny(Arc::new(ring::default_provider())))),
        Some(name) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Named::new(name, roots)?)),
        None => builder.with_root_certificates(roots),
    };
    match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(&secret::read(cert, base)?)?;
            let key = PrivateKeyDer::from_pem_slice(secret::read(key, base)?.as_bytes()).map_err(|error| format!("client key: {error}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| format!("client certificate: {error}"))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// The versions between `min_version` and `max_version` that we speak.
fn versions(tls: &TlsConfig) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let spoken = [("TLS13", &rustls::version::TLS13), ("TLS12", &rustls::version::TLS12)];
    let within = |name: &str| tls.min_version.as_deref().is_none_or(|min| min <= name) && tls.max_version.as_deref().is_none_or(|max| name <= max);
    let versions: Vec<_> = spoken.into_iter().filter(|(name, _)| within(name)).map(|(_, version)| version).collect();
    if versions.is_empty() { Err("tls_config: TLS 1.2 and 1.3 are spoken, and neither is allowed".to_owned()) } else { Ok(versions) }
}

fn bundled() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn roots_of(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| format!("ca: {error}"))?;
    }
    Ok(roots)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.map_err(|error| format!("certificate: {error}"))
}

/// `server_name`: the certificate is checked against this name, whatever the URL says. The handshake still asks for the URL's host.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Named {
    fn new(name: &str, roots: RootCertStore) -> Result<Self, String> {
        let name = ServerName::try_from(name.to_owned()).map_err(|error| format!("server_name: {error}"))?;
        let verifier = WebPkiServerVerifier::builder(Arc::new(roots)).build().map_err(|error| format!("ca: {error}"))?;
        Ok(Self { name, verifier })
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// `insecure_skip_verify: true`: the operator asked for it, by that name.
#[derive(Debug)]
struct TakeAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakeAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_between_the_bounds_that_we_speak() {
        let count = |min: Option<&str>, max: Option<&str>| {
            let tls = TlsConfig { min_version: min.map(str::to_owned), max_version: max.map(str::to_owned), ..TlsConfig::default() };
            versions(&tls).map_or(0, |versions| versions.len())
        };
        assert_eq!((count(None, None), count(Some("TLS10"), None), count(Some("TLS13"), None), count(None, Some("TLS12"))), (2, 2, 1, 1));
        assert_eq!(count(None, Some("TLS11")), 0);
    }

    #[test]
    fn a_name_to_check_against_must_be_one() {
        let named = |name: &str| configured(&TlsConfig { server_name: Some(name.to_owned()), ..TlsConfig::default() }, Path::new("")).is_ok();
        assert!(named("md-1.internal") && !named("not a name"));
    }
}
