//! The certificate authorities that this host trusts, as OpenSSL would find them: `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` are honoured. Read once; those who renew them restart the program.

use std::sync::Arc;

use tokio::{sync::OnceCell, task::spawn_blocking};
use tokio_rustls::rustls::RootCertStore;

/// The trust anchors of the system. Reads hundreds of files the first time.
pub(crate) async fn of_system() -> Arc<RootCertStore> {
    let read = || async { spawn_blocking(read).await.unwrap_or_default() };
    Arc::clone(&OF_SYSTEM.get_or_init(read).await.anchors)
}

/// Why hardly any certificate will be trusted, if that is so: a mistake of this host's that would be
/// laid at everybody else's door.
pub async fn trouble() -> Option<String> {
    of_system().await;
    OF_SYSTEM.get().and_then(|read| read.trouble.clone())
}

/// What was found.
#[derive(Debug)]
struct Read {
    anchors: Arc<RootCertStore>,
    trouble: Option<String>,
}

impl Default for Read {
    fn default() -> Self {
        Self { anchors: RootCertStore::empty().into(), trouble: None }
    }
}

fn read() -> Read {
    let found = rustls_native_certs::load_native_certs();
    let mut anchors = RootCertStore::empty();
    let (usable, _) = anchors.add_parsable_certificates(found.certs);
    let trouble = (usable == 0).then(|| {
        let set = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(|name| {
            std::env::var_os(name).map(|value| format!("{name}={}", value.display()))
        });
        let place = set.collect::<Vec<_>>().join(" ");
        let place =
            if place.is_empty() { "the trust store of this host".to_owned() } else { place };
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        format!("no certificate authority is trusted: {place} holds none{why}")
    });
    Read { anchors: anchors.into(), trouble }
}

static OF_SYSTEM: OnceCell<Read> = OnceCell::const_new();
