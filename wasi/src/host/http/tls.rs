//! Private connections: whom they trust, and what went wrong with them.

use super::error::{ErrorCode, TlsAlert};
use ampoule::sync::OnceLock;
use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;

/// The protocols that a server may choose from, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Trusts the roots that Mozilla trusts.
pub fn default_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    CONFIG.get_or_init(|| config(&[]).expect("without roots of others nothing can be wrong")).clone()
}

/// Trusts these roots besides.
///
/// # Errors
/// What is no certificate.
pub fn config(roots: &[CertificateDer<'_>]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in roots {
        store.add(root.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

/// Whether the server has chosen HTTP/2.
pub fn is_http2(protocol: Option<&[u8]>) -> bool {
    protocol == Some(PROTOCOLS[0])
}

/// What a handshake has failed with.
pub fn error_of(error: &io::Error) -> ErrorCode {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) else {
        return ErrorCode::ConnectionTerminated;
    };
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => ErrorCode::TlsCertificateError,
        rustls::Error::AlertReceived(alert) => ErrorCode::TlsAlertReceived(alert_of(*alert)),
        _ => ErrorCode::TlsProtocolError,
    }
}

fn alert_of(alert: AlertDescription) -> TlsAlert {
    TlsAlert { alert_id: Some(alert.into()), alert_message: alert.as_str() }
}
