//! TLS configuration: ring as provider, Mozilla's roots compiled in (a container may have none of its own), and a venue's own authorities beside them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use thiserror::Error;

use super::network::{Cause, ConnectError, Hop};

/// Why a venue's authorities cannot be used.
#[derive(Debug, Error)]
pub(crate) enum AuthorityError {
    /// The file cannot be read, or holds no certificate in PEM form.
    #[error("no certificate in PEM form: {0}")]
    Unreadable(String),
    /// A certificate in it is not one that can sign others.
    #[error("certificate {0} is not usable: {1}")]
    Unusable(usize, rustls::Error),
    /// Our own certificate or its key.
    #[error("{file}: {error}")]
    Identity {
        /// Which file.
        file: String,
        /// What is wrong with it.
        error: String,
    },
    /// The provider lacks what is needed.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

/// The configuration, with the authorities of `ca_file` besides the compiled-in ones; also makes ring the process's provider, which the NATS
/// client asks for.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, AuthorityError> {
    client_config_as(ca_file, None)
}

/// The same with our own certificate chain and its key, in PEM form, for a server that asks who we are.
pub(crate) fn client_config_as(ca_file: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>, AuthorityError> {
    // A second call finds it installed, which is what was wanted.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = ca_file {
        add(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    let Some((certificate, key)) = identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let wrong = |file: &Path, error: &dyn std::fmt::Display| AuthorityError::Identity { file: file.display().to_string(), error: error.to_string() };
    let chain =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|error| wrong(certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    builder.with_client_auth_cert(chain, secret).map(Arc::new).map_err(|error| wrong(certificate, &error))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), AuthorityError> {
    let unreadable = |error: rustls::pki_types::pem::Error| AuthorityError::Unreadable(error.to_string());
    let mut count = 0;
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        count += 1;
        roots.add(certificate.map_err(unreadable)?).map_err(|error| AuthorityError::Unusable(count, error))?;
    }
    if count == 0 { Err(AuthorityError::Unreadable("the file holds none".to_owned())) } else { Ok(()) }
}

/// What a failed agreement means; rustls reports it as an I/O error that carries its own.
pub(super) fn failure(error: &io::Error) -> ConnectError {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return ConnectError::io(Hop::Tls, error);
    };
    ConnectError::new(Hop::Tls, cause(tls), tls)
}

fn cause(error: &rustls::Error) -> Cause {
    let rustls::Error::InvalidCertificate(certificate) = error else { return Cause::Protocol };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Cause::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Cause::CertificateNotYetValid,
        CertificateError::UnknownIssuer => Cause::CertificateUnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Cause::CertificateWrongName,
        _ => Cause::CertificateInvalid,
    }
}
