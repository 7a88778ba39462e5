//! The certificate authorities that this host trusts, as OpenSSL would find them: `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` are honoured. Read once; those who renew them restart the program.

use std::sync::Arc;

use tokio::{sync::OnceCell, task::spawn_blocking};
use tokio_rustls::rustls::RootCertStore;

/// The trust anchors of the system. Reads hundreds of files the first time.
pub(super) async fn of_system() -> Arc<RootCertStore> {
    let read = || {
        let mut anchors = RootCertStore::empty();
        anchors.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(anchors)
    };
    let read =
        || async { spawn_blocking(read).await.unwrap_or_else(|_| RootCertStore::empty().into()) };
    Arc::clone(OF_SYSTEM.get_or_init(read).await)
}

static OF_SYSTEM: OnceCell<Arc<RootCertStore>> = OnceCell::const_new();
