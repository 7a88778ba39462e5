//! The chains that servers show, each read once: thousands of exchangers of one provider show the
//! same, every minute.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use ring::digest::{Context, SHA256};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::certificate;
use crate::facts::Certificate;

/// Chains in use.
#[derive(Debug, Default)]
pub(super) struct Chains {
    known: Mutex<HashMap<[u8; 32], Weak<[Certificate]>>>,
}

impl Chains {
    /// The chain as facts: the same ones where somebody still holds them.
    pub(super) fn read(&self, chain: &[CertificateDer<'_>]) -> Arc<[Certificate]> {
        let mut all = Context::new(&SHA256);
        for certificate in chain {
            all.update(&certificate.len().to_be_bytes());
            all.update(certificate);
        }
        let key: [u8; 32] = all.finish().as_ref().try_into().unwrap_or_default();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.get(&key).and_then(Weak::upgrade) {
            return same;
        }
        // Growing is what makes it due: then what nobody holds any more goes first.
        if known.len() == known.capacity() {
            known.retain(|_, chain| chain.strong_count() > 0);
        }
        let read: Arc<[Certificate]> = chain.iter().take(LONGEST).map(certificate::read).collect();
        known.insert(key, Arc::downgrade(&read));
        read
    }
}

/// Certificates of a chain that are kept; real ones have two or three.
const LONGEST: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> Vec<CertificateDer<'static>> {
        let made = rcgen::generate_simple_self_signed(vec![name.into()]).unwrap();
        vec![made.cert.der().clone()]
    }

    #[test]
    fn a_chain_that_somebody_holds_is_not_read_again() {
        let chains = Chains::default();
        let (one, two) = (shown("mx1.example.com"), shown("mx2.example.com"));
        let first = chains.read(&one);
        assert!(Arc::ptr_eq(&first, &chains.read(&one)));
        assert_ne!(first, chains.read(&two));
        assert_eq!(chains.read(&[one, two].concat()).len(), 2);
    }

    #[test]
    fn chains_that_nobody_holds_are_forgotten() {
        let chains = Chains::default();
        for number in 0_u32..2_000 {
            chains.read(&[number.to_be_bytes().to_vec().into()]);
        }
        assert!(chains.known.lock().unwrap().len() < 100);
    }
}
