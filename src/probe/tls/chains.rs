//! The chains that servers show, each read and checked once while somebody holds what was read: an
//! exchanger shows the same round after round, and thousands of one provider show one.
//!
//! Remembered is what depends on the chain, the authorities trusted here, TLSA records and the time.
//! Whether the name of the server fits is looked at each time, and whether it has the key is for the
//! handshake to find out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use tokio_rustls::rustls::{
    RootCertStore,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, UnixTime},
};

use super::{certificate, dane::Expected, lasting::Lasting, pkix};
use crate::facts::{Certificate, Pkix, TlsaRecord};

/// Chains in use, and the authorities that they are held against.
#[derive(Debug)]
pub(super) struct Chains {
    anchors: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    known: Mutex<Known>,
}

/// What came of a chain.
#[derive(Debug)]
pub(super) struct Judged {
    /// As facts: the same ones where somebody still holds them.
    pub(super) facts: Arc<[Certificate]>,
    /// What PKIX makes of it for a server of whatever name.
    pub(super) path: Pkix,
    /// The records that it matches; `None` where none were expected.
    pub(super) matched: Option<Vec<TlsaRecord>>,
}

impl Chains {
    pub(super) fn new(anchors: Arc<RootCertStore>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { anchors, algorithms, known: Mutex::default() }
    }

    /// Judges a chain as it was shown, the server's own certificate first, at this time.
    pub(super) fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        dane: Option<&Arc<Expected>>,
        now: UnixTime,
    ) -> Judged {
        let digest = digest(chain);
        // Not locked while signatures are checked: others shake hands meanwhile.
        let known = self.known().get(&digest);
        let (facts, mut entry) = known.unwrap_or_else(|| {
            let facts: Arc<_> = chain.iter().take(LONGEST).map(certificate::read).collect();
            let facts_again = Arc::downgrade(&facts);
            (facts, Entry { facts: facts_again, path: None, matched: Vec::new() })
        });
        // Of those that are not kept the dates are not known.
        let cut_off = (chain.len() > facts.len()).then_some(None);
        let dates = || facts.iter().flat_map(validity).chain(cut_off);
        let mut news = false;
        let path = entry.path.as_ref().and_then(|path| path.at(now)).unwrap_or_else(|| {
            news = true;
            let path = pkix::path(chain, &self.anchors, self.algorithms, now);
            entry.path = Some(Lasting::new(path, dates(), now));
            path
        });
        let matched = dane.map(|expected| {
            entry.matched(expected, now).unwrap_or_else(|| {
                news = true;
                let records = expected.matched_by(chain, now);
                let anchors: Vec<_> =
                    expected.anchors().map(|der| certificate::read(&der)).collect();
                let dates = dates().chain(anchors.iter().flat_map(validity));
                entry.note(expected, Lasting::new(records.clone(), dates, now));
                records
            })
        });
        if news {
            self.known().keep(digest, entry);
        }
        Judged { facts, path, matched }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chains by their digest.
#[derive(Debug, Default)]
struct Known {
    chains: HashMap<[u8; 32], Entry>,
    /// With so many it is time to drop those that nobody holds any more.
    many: usize,
}

impl Known {
    fn get(&self, digest: &[u8; 32]) -> Option<(Arc<[Certificate]>, Entry)> {
        let entry = self.chains.get(digest)?;
        Some((entry.facts.upgrade()?, entry.clone()))
    }

    fn keep(&mut self, digest: [u8; 32], entry: Entry) {
        if self.chains.len() >= self.many {
            self.chains.retain(|_, entry| entry.facts.strong_count() > 0);
            self.many = (2 * self.chains.len()).max(FEW);
        }
        self.chains.insert(digest, entry);
    }
}

/// What is remembered of a chain.
#[derive(Clone, Debug)]
struct Entry {
    facts: Weak<[Certificate]>,
    path: Option<Lasting<Pkix>>,
    /// For those who asked last: hosts with one certificate have TLSA records of their own.
    matched: Vec<Arc<Matched>>,
}

/// The records that a chain matches, of those expected.
#[derive(Debug)]
struct Matched {
    expected: Arc<Expected>,
    records: Lasting<Vec<TlsaRecord>>,
}

impl Entry {
    fn matched(&self, expected: &Arc<Expected>, now: UnixTime) -> Option<Vec<TlsaRecord>> {
        self.matched.iter().find(|known| known.expected == *expected)?.records.at(now)
    }

    fn note(&mut self, expected: &Arc<Expected>, records: Lasting<Vec<TlsaRecord>>) {
        self.matched.retain(|known| known.expected != *expected);
        let too_many = (self.matched.len() + 1).saturating_sub(MOST_EXPECTED);
        self.matched.drain(..too_many);
        self.matched.push(Arc::new(Matched { expected: Arc::clone(expected), records }));
    }
}

/// What a chain is known by: each certificate octet for octet, in the order shown.
fn digest(chain: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut all = Context::new(&SHA256);
    for certificate in chain {
        all.update(&certificate.len().to_be_bytes());
        all.update(certificate);
    }
    all.finish().as_ref().try_into().unwrap_or_default()
}

fn validity(certificate: &Certificate) -> [Option<Timestamp>; 2] {
    [certificate.not_before, certificate.not_after]
}

/// Certificates of a chain that are kept; real ones have two or three.
const LONGEST: usize = 10;

/// Expectations of one chain that are remembered: a domain has hardly more exchangers.
const MOST_EXPECTED: usize = 8;

/// Entries that are not worth a look whether they could go.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
    };
    use tokio_rustls::rustls::crypto::ring;

    use super::*;
    use crate::{
        facts::{TlsaFacts, TlsaStatus},
        name::{ExchangerName, Host},
    };

    /// 2026-01-01 and 2027-01-01.
    const VALID: (u64, u64) = (1_767_225_600, 1_798_761_600);

    fn at(second: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(second))
    }

    fn shown(name: &str) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec![name.into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn trusting(anchors: &[CertificateDer<'static>]) -> Chains {
        let mut store = RootCertStore::empty();
        for anchor in anchors {
            store.add(anchor.clone()).unwrap();
        }
        Chains::new(store.into(), ring::default_provider().signature_verification_algorithms)
    }

    /// What one record that holds a whole certificate makes a host's chain expected to be.
    fn expected(host: &str, usage: u8, whole: &CertificateDer<'_>) -> Arc<Expected> {
        let host = ExchangerName::parse(host).unwrap();
        let tlsa = TlsaFacts {
            resolver: "lan".into(),
            status: TlsaStatus::Secure,
            base: host.clone(),
            records: vec![TlsaRecord::new(usage, 0, 0, whole).unwrap()],
            lookups: Vec::new(),
        };
        Expected::new(&Host::Name(host), &[tlsa.into()]).unwrap().into()
    }

    /// Puts something in place of what was found, to be known again.
    fn mark(chains: &Chains, now: UnixTime) {
        for entry in chains.known().chains.values_mut() {
            let dates = [Some(Timestamp::from_second(0).unwrap())].into_iter();
            let path = Lasting::new(Pkix::Other, dates, now);
            entry.path = Some(path);
        }
    }

    #[test]
    fn a_chain_that_somebody_holds_is_not_looked_at_again() {
        let (one, two) = (shown("mx1.example.com"), shown("mx2.example.com"));
        let (chains, now) = (trusting(std::slice::from_ref(&one)), at(VALID.0));
        let judge = |chain: &[CertificateDer<'_>]| chains.judge(chain, None, now);
        let first = judge(std::slice::from_ref(&one));
        assert_eq!(first.path, Pkix::Trusted);
        mark(&chains, now);
        let again = judge(std::slice::from_ref(&one));
        assert!(Arc::ptr_eq(&first.facts, &again.facts));
        assert_eq!(again.path, Pkix::Other);
        // Another, one in front, one behind.
        assert_eq!(judge(std::slice::from_ref(&two)).path, Pkix::SelfSigned);
        assert_eq!(judge(&[two.clone(), one.clone()]).path, Pkix::SelfSigned);
        let longer = judge(&[one.clone(), two]);
        assert_eq!((longer.path, longer.facts.len()), (Pkix::Trusted, 2));
        drop((first, again));
        assert_eq!(judge(&[one]).path, Pkix::Trusted, "nobody held it");
    }

    #[test]
    fn a_chain_that_is_remembered_is_valid_from_the_right_second_to_the_right_second() {
        let own = shown("mx1.example.com");
        let chains = trusting(std::slice::from_ref(&own));
        let mut held = Vec::new();
        for (second, want) in [
            (VALID.0 - 1, Pkix::NotYetValid),
            (VALID.0, Pkix::Trusted),
            (VALID.0 + 1, Pkix::Trusted),
            (VALID.1, Pkix::Trusted),
            (VALID.1 + 1, Pkix::Expired),
            (VALID.1, Pkix::Trusted),
            (VALID.0 - 1, Pkix::NotYetValid),
        ] {
            let judged = chains.judge(std::slice::from_ref(&own), None, at(second));
            assert_eq!(judged.path, want, "{second}");
            held.push(judged);
        }
    }

    #[test]
    fn what_has_dates_that_cannot_be_read_is_looked_at_each_time() {
        let own = shown("mx1.example.com");
        let (chains, now) = (trusting(std::slice::from_ref(&own)), at(VALID.0));
        let broken = CertificateDer::from(vec![0x30, 3, 1, 1, 1]);
        let mut long = vec![own.clone()];
        long.extend((0..LONGEST).map(|_| own.clone()));
        for chain in [vec![own, broken], long] {
            let held = chains.judge(&chain, None, now);
            let known = chains.known().get(&digest(&chain)).unwrap().1;
            assert!(known.path.unwrap().at(now).is_none(), "{held:?}");
        }
    }

    #[test]
    fn records_expected_are_matched_once_for_each_host() {
        let chain = [shown("*.example.com")];
        let (chains, now) = (trusting(&[]), at(VALID.0));
        let hosts: Vec<_> = (0..=MOST_EXPECTED).map(|n| format!("mx{n}.example.com")).collect();
        let other = shown("*.example.com");
        let mut held = Vec::new();
        for _ in 0..2 {
            for host in &hosts {
                for (whole, want) in [(&chain[0], 1), (&other, 0)] {
                    let expected = expected(host, TlsaRecord::DANE_EE, whole);
                    let judged = chains.judge(&chain, Some(&expected), now);
                    assert_eq!(judged.matched.as_ref().map(Vec::len), Some(want));
                    held.push(judged);
                }
            }
        }
        let (_, known) = chains.known().get(&digest(&chain)).unwrap();
        assert_eq!(known.matched.len(), MOST_EXPECTED);
        let last = expected(&hosts[MOST_EXPECTED], TlsaRecord::DANE_EE, &other);
        assert_eq!(known.matched(&last, now), Some(Vec::new()));
        assert_eq!(chains.judge(&chain, None, now).matched, None);
    }

    #[test]
    fn an_authority_that_ends_before_the_chain_is_told_in_time() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        let root = params.self_signed(&key).unwrap().der().clone();
        let by_root = Issuer::new(params, key);
        let own = CertificateParams::new(vec!["mx1.example.com".into()]).unwrap();
        let own = own.signed_by(&KeyPair::generate().unwrap(), &by_root).unwrap().der().clone();
        let expected = expected("mx1.example.com", TlsaRecord::DANE_TA, &root);
        let chains = trusting(&[]);
        let mut held = Vec::new();
        // It is in the record alone.
        for (second, want) in [(VALID.1, 1), (VALID.1 + 1, 0), (VALID.0, 1), (VALID.0 - 1, 0)] {
            let judged = chains.judge(std::slice::from_ref(&own), Some(&expected), at(second));
            assert_eq!(judged.matched.as_ref().map(Vec::len), Some(want), "{second}");
            held.push(judged);
        }
    }

    #[test]
    fn chains_that_nobody_holds_are_forgotten() {
        let chains = trusting(&[]);
        let number = |number: u32| [CertificateDer::from(number.to_be_bytes().to_vec())];
        let held: Vec<_> = (0..500).map(|n| chains.judge(&number(n), None, at(0))).collect();
        for n in 500..5_000 {
            chains.judge(&number(n), None, at(0));
        }
        assert!(chains.known().chains.len() <= 2 * held.len());
        drop(held);
        for n in 0..1_000 {
            chains.judge(&number(n), None, at(0));
        }
        assert!(chains.known().chains.len() <= FEW);
    }
}
