//! One TLS configuration for all: ring as provider, Mozilla's roots compiled in (a container may have none of its own).

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// The configuration; also makes ring the process's provider, which the HTTP and NATS clients ask for.
pub(super) fn client_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    // A second call finds it installed, which is what was wanted.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
