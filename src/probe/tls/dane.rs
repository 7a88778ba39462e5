//! Which TLSA records a chain of certificates matches (RFC 7671 §5, RFC 7672 §3), as an SMTP client
//! checks it: pure.
//!
//! Usages PKIX-TA and PKIX-EE match nothing, for SMTP has no use for them (RFC 7672 §3.1.3). The leaf
//! is a trust anchor (DANE-TA) only when it signed itself. A trust anchor may be left out of the chain
//! where the record holds it whole (`2 0 0`), not where it holds its bare key (`2 1 0`).

use std::{cell::RefCell, sync::Arc};

use ring::digest;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};

use crate::{
    facts::{TlsaFacts, TlsaRecord, TlsaStatus},
    name::Host,
};

/// What DANE wants the chain of a server to be like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expected {
    /// The records that count for somebody: those of every resolver that proves any.
    records: Vec<TlsaRecord>,
    /// The names that a trust anchor may vouch for: the host and its TLSA base domains.
    names: Vec<String>,
}

impl Expected {
    /// What the records of a host come to; `None` where none counts.
    pub fn new(host: &Host, tlsa: &[Arc<TlsaFacts>]) -> Option<Self> {
        let mut records: Vec<TlsaRecord> = Vec::new();
        let mut names = vec![host.to_string()];
        for facts in tlsa.iter().filter(|facts| facts.status == TlsaStatus::Secure) {
            records.extend(facts.usable().cloned());
            names.push(facts.base.to_string());
        }
        // Name servers turn their answers, and resolvers may give the same.
        records.sort_unstable();
        records.dedup();
        names.sort_unstable();
        names.dedup();
        (!records.is_empty()).then_some(Self { records, names })
    }

    /// The records that a chain matches at this time.
    pub(super) fn matched_by(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Vec<TlsaRecord> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        matching(&self.records, chain, &names, now)
    }

    /// The trust anchors that the records hold whole, and a server may leave out.
    pub(super) fn anchors(&self) -> impl Iterator<Item = CertificateDer<'_>> {
        let whole = self.records.iter().filter(|record| holds_whole(record));
        whole.map(|record| CertificateDer::from(&*record.data))
    }
}

/// The records that a chain matches, in their order. The `chain` is as the server sent it, the leaf first;
/// what is no certificate matches nothing. With usage DANE-TA the leaf must be valid for one
/// of the `names`, which are host names: the TLSA base domain and those that led to it
/// (RFC 7672 §3.2.2), and every certificate on the way must be valid `now`. Usage DANE-EE asks for
/// neither (§3.1.1).
fn matching(
    records: &[TlsaRecord],
    chain: &[CertificateDer<'_>],
    names: &[&str],
    now: UnixTime,
) -> Vec<TlsaRecord> {
    let Some((leaf, above)) = chain.split_first() else { return Vec::new() };
    let above = &above[..above.len().min(MOST_ABOVE)];
    let path = Path { leaf, above, names, now, tried: RefCell::default() };
    let usable = records.iter().filter(|record| record.usable());
    let matches = |record: &&TlsaRecord| match record.usage {
        TlsaRecord::DANE_EE => describes(record, leaf),
        _ => path.leads_to(record),
    };
    usable.filter(matches).cloned().collect()
}

/// Trust anchors to which a way is looked for in one session: a stranger's chain and records may lead to
/// many, each of which costs up to a hundred signatures.
const MOST_ANCHORS: usize = 4;

/// Certificates above the leaf that are looked at; as webpki, which builds no longer paths.
const MOST_ABOVE: usize = 7;

/// Whether a record is about this certificate, by what the record selects of it.
fn describes(record: &TlsaRecord, certificate: &[u8]) -> bool {
    let read = X509Certificate::from_der(certificate).ok();
    let selected = match (record.selector, &read) {
        (0, _) => certificate,
        (1, Some((_, read))) => read.public_key().raw,
        _ => return false,
    };
    let digest = |algorithm| digest::digest(algorithm, selected).as_ref() == &*record.data;
    match record.matching {
        0 => *selected == *record.data,
        1 => digest(&digest::SHA256),
        2 => digest(&digest::SHA512),
        _ => false,
    }
}

/// Whether a record is the certificate itself rather than a part or a digest of it.
fn holds_whole(record: &TlsaRecord) -> bool {
    (record.selector, record.matching) == (0, 0)
}

/// What is to lead to a trust anchor.
struct Path<'a> {
    leaf: &'a CertificateDer<'a>,
    above: &'a [CertificateDer<'a>],
    names: &'a [&'a str],
    now: UnixTime,
    /// The trust anchors that were tried, and whether there is a way.
    tried: RefCell<Vec<(Vec<u8>, bool)>>,
}

impl Path<'_> {
    /// Whether the chain leads to a trust anchor that the record is about.
    fn leads_to(&self, record: &TlsaRecord) -> bool {
        if !self.leaf_is_named() {
            return false;
        }
        if describes(record, self.leaf) && self.leaf_is_its_own_anchor() {
            return true;
        }
        let mut sent = self.above.iter().filter(|anchor| describes(record, anchor));
        // Where the record is the certificate itself, the server may leave it out.
        let in_record = || CertificateDer::from(&*record.data);
        sent.any(|anchor| self.leads_up_to(anchor))
            || (holds_whole(record) && self.leads_up_to(&in_record()))
    }

    /// Whether signatures and dates are in order from the leaf up to this anchor; no for one too many.
    fn leads_up_to(&self, anchor: &CertificateDer<'_>) -> bool {
        let mut tried = self.tried.borrow_mut();
        if let Some((_, way)) = tried.iter().find(|(known, _)| known[..] == anchor[..]) {
            return *way;
        }
        let way = tried.len() < MOST_ANCHORS && self.verifies(anchor);
        tried.push((anchor.to_vec(), way));
        way
    }

    /// The same, looked at. The dates of the anchor count, too, as they do for OpenSSL.
    fn verifies(&self, anchor: &CertificateDer<'_>) -> bool {
        let (Ok(leaf), Ok(anchored)) =
            (EndEntityCert::try_from(self.leaf), anchor_from_trusted_cert(anchor))
        else {
            return false;
        };
        let usage = KeyUsage::server_auth();
        let (anchors, above) = (&[anchored], self.above);
        let algorithms = ALL_VERIFICATION_ALGS;
        let verified =
            leaf.verify_for_usage(algorithms, anchors, above, self.now, usage, None, None);
        self.in_date(anchor) && verified.is_ok()
    }

    /// Whether the leaf signed itself. Most such certificates say that they are an authority, which
    /// webpki takes for no server's.
    fn leaf_is_its_own_anchor(&self) -> bool {
        let Ok((_, read)) = X509Certificate::from_der(self.leaf) else { return false };
        let Ok(leaf) = EndEntityCert::try_from(self.leaf) else { return false };
        let signed = |algorithm: &&_| {
            let (text, signature) = (read.tbs_certificate.as_ref(), &*read.signature_value.data);
            leaf.verify_signature(*algorithm, text, signature).is_ok()
        };
        self.in_date(self.leaf) && ALL_VERIFICATION_ALGS.iter().any(signed)
    }

    fn in_date(&self, certificate: &[u8]) -> bool {
        let seconds = i64::try_from(self.now.as_secs()).ok();
        let now = seconds.and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
        let read = X509Certificate::from_der(certificate).ok();
        read.zip(now).is_some_and(|((_, read), now)| read.validity().is_valid_at(now))
    }

    /// The common name counts only without any name of a host among the alternative names
    /// (RFC 7672 §3.2.3).
    fn leaf_is_named(&self) -> bool {
        let Ok(leaf) = EndEntityCert::try_from(self.leaf) else { return false };
        if leaf.valid_dns_names().next().is_some() {
            let mut names =
                self.names.iter().copied().filter_map(|name| ServerName::try_from(name).ok());
            return names.any(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok());
        }
        let Ok((_, read)) = X509Certificate::from_der(self.leaf) else { return false };
        let common = read.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        common.into_iter().any(|common| self.names.iter().any(|name| covers(common, name)))
    }
}

/// Whether a name in a certificate is this host name, or has a `*` for its first label.
fn covers(presented: &str, name: &str) -> bool {
    match presented.strip_prefix("*.") {
        Some(parent) => {
            name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
        }
        None => presented.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
        PublicKeyData, date_time_ymd,
    };
    use tokio_rustls::rustls::{RootCertStore, crypto::ring};

    use super::{super::chains::Chains, *};

    const NAME: &str = "mx.example.test";

    /// Within the dates that the tests give certificates.
    fn now() -> UnixTime {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_780_000_000))
    }

    /// A certificate with its key, which may sign others.
    struct Made {
        certificate: Certificate,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Made {
        fn der(&self) -> CertificateDer<'static> {
            self.certificate.der().clone()
        }

        fn key(&self) -> Vec<u8> {
            self.issuer.key().subject_public_key_info()
        }
    }

    fn dated(mut params: CertificateParams, common: &str, years: (i32, i32)) -> CertificateParams {
        params.distinguished_name.push(DnType::CommonName, common);
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        params
    }

    fn authority(common: &str, by: Option<&Made>, years: (i32, i32)) -> Made {
        let mut params = dated(CertificateParams::new(Vec::new()).unwrap(), common, years);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        made(params, by)
    }

    fn leaf(names: &[&str], common: &str, by: Option<&Made>, years: (i32, i32)) -> Made {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        made(dated(CertificateParams::new(names).unwrap(), common, years), by)
    }

    fn made(params: CertificateParams, by: Option<&Made>) -> Made {
        let key = KeyPair::generate().unwrap();
        let certificate = match by {
            Some(by) => params.signed_by(&key, &by.issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        Made { certificate, issuer: Issuer::new(params, key) }
    }

    /// The records about a certificate with this usage: every selector and matching type.
    fn records(usage: u8, of: &Made) -> Vec<TlsaRecord> {
        let mut records = Vec::new();
        for (selector, selected) in [(0, of.der().to_vec()), (1, of.key())] {
            let sha256 = digest::digest(&digest::SHA256, &selected);
            let sha512 = digest::digest(&digest::SHA512, &selected);
            for (matching, data) in [(0, &*selected), (1, sha256.as_ref()), (2, sha512.as_ref())] {
                records.push(TlsaRecord::new(usage, selector, matching, data).unwrap());
            }
        }
        records
    }

    const VALID: (i32, i32) = (2020, 2100);
    const EXPIRED: (i32, i32) = (2020, 2021);
    const NOT_YET: (i32, i32) = (2099, 2100);

    /// A root, an authority below it, and the certificate of a server.
    fn hierarchy() -> (Made, Made, Made) {
        let root = authority("root", None, VALID);
        let middle = authority("middle", Some(&root), VALID);
        let server = leaf(&[NAME], "server", Some(&middle), VALID);
        (root, middle, server)
    }

    fn chain<const N: usize>(of: [&Made; N]) -> Vec<CertificateDer<'static>> {
        of.iter().map(|made| made.der()).collect()
    }

    /// How many of the six records of a certificate the chain matches.
    fn matched(usage: u8, of: &Made, sent: &[CertificateDer<'_>], name: &str) -> usize {
        let records = records(usage, of);
        let found = matching(&records, sent, &[name], now());
        let expected = Arc::new(Expected { records, names: vec![name.to_owned()] });
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let chains = Chains::new(RootCertStore::empty().into(), algorithms);
        let first = chains.judge(sent, Some(&expected), now());
        let remembered = chains.judge(sent, Some(&expected), now());
        assert_eq!([first.matched, remembered.matched], [Some(found.clone()), Some(found.clone())]);
        found.len()
    }

    #[test]
    fn every_selector_and_matching_type_is_matched_by_usage() {
        let (root, middle, server) = hierarchy();
        let sent = chain([&server, &middle, &root]);
        let stranger = authority("root", None, VALID);
        for (usage, of, want) in [
            (3, &server, 6),
            (3, &middle, 0),
            (3, &root, 0),
            (2, &root, 6),
            // An authority in the middle is as good an anchor.
            (2, &middle, 6),
            // The certificate of the server signs nothing.
            (2, &server, 0),
            (2, &stranger, 0),
            (0, &root, 0),
            (1, &server, 0),
        ] {
            assert_eq!(matched(usage, of, &sent, NAME), want, "{usage} {:?}", of.der());
        }
        assert_eq!(matched(3, &server, &[], NAME), 0);
    }

    #[test]
    fn an_anchor_that_was_left_out_counts_where_the_record_holds_it() {
        let (root, middle, server) = hierarchy();
        let found = matching(&records(2, &root), &chain([&server, &middle]), &[NAME], now());
        let kinds: Vec<_> = found.iter().map(|found| (found.selector, found.matching)).collect();
        assert_eq!(kinds, [(0, 0)]);
        assert_eq!(matched(2, &root, &chain([&server]), NAME), 0, "nothing leads there");
    }

    #[test]
    fn a_stranger_cannot_have_ways_to_any_number_of_anchors_looked_for() {
        let (root, middle, server) = hierarchy();
        let whole = |of: &Made| TlsaRecord::new(TlsaRecord::DANE_TA, 0, 0, &of.der()).unwrap();
        let others: Vec<_> = (0..MOST_ANCHORS)
            .map(|n| whole(&authority(&format!("other {n}"), None, VALID)))
            .collect();
        let sent = chain([&server, &middle]);
        let looked_for = |records: &[TlsaRecord]| matching(records, &sent, &[NAME], now()).len();
        assert_eq!(looked_for(&[&others[1..], &[whole(&root)]].concat()), 1);
        assert_eq!(looked_for(&[&others[..], &[whole(&root)]].concat()), 0, "one too many");
        assert_eq!(looked_for(&[whole(&root), whole(&root)]), 2, "it was looked for already");
    }

    #[test]
    fn a_path_must_be_signed_from_the_leaf_up() {
        let (root, middle, _) = hierarchy();
        // Says that it is signed by the same name.
        let other = authority("middle", None, VALID);
        let forged = leaf(&[NAME], "server", Some(&other), VALID);
        let sent = chain([&forged, &middle, &root]);
        assert_eq!((matched(2, &root, &sent, NAME), matched(2, &middle, &sent, NAME)), (0, 0));
        // A server is no authority, be it signed by one.
        let server = leaf(&[NAME], "middle", Some(&root), VALID);
        let forged = leaf(&[NAME], "server", Some(&server), VALID);
        assert_eq!(matched(2, &root, &chain([&forged, &server, &root]), NAME), 0);
    }

    #[test]
    fn dates_count_for_an_anchor_alone() {
        let (root, middle, _) = hierarchy();
        for years in [EXPIRED, NOT_YET] {
            let server = leaf(&[NAME], "server", Some(&middle), years);
            let sent = chain([&server, &middle, &root]);
            assert_eq!((matched(2, &root, &sent, NAME), matched(3, &server, &sent, NAME)), (0, 6));
            let old = authority("old", Some(&root), years);
            let server = leaf(&[NAME], "server", Some(&old), VALID);
            let sent = chain([&server, &old, &root]);
            assert_eq!((matched(2, &root, &sent, NAME), matched(2, &old, &sent, NAME)), (0, 0));
            assert_eq!(matched(3, &server, &sent, NAME), 6);
        }
    }

    #[test]
    fn names_count_for_an_anchor_alone() {
        let root = authority("root", None, VALID);
        for (names, common, asked, want) in [
            (&[NAME][..], "server", NAME, 6),
            (&[NAME], "server", "MX.Example.Test", 6),
            (&[NAME], "server", "mx2.example.test", 0),
            (&["other.test", NAME], "server", NAME, 6),
            (&["*.example.test"], "server", NAME, 6),
            (&["*.example.test"], "server", "a.mx.example.test", 0),
            // The common name counts where there is no other.
            (&[], NAME, NAME, 6),
            (&[], "*.example.test", NAME, 6),
            (&[], "*.example.test", "example.test", 0),
            (&[], "other.test", NAME, 0),
            (&["other.test"], NAME, NAME, 0),
        ] {
            let server = leaf(names, common, Some(&root), VALID);
            let sent = chain([&server, &root]);
            assert_eq!(matched(2, &root, &sent, asked), want, "{names:?} {common} {asked}");
            assert_eq!(matched(3, &server, &sent, asked), 6, "{names:?} {common} {asked}");
        }
        let server = leaf(&["example.test"], "server", Some(&root), VALID);
        let sent = chain([&server, &root]);
        let names = [NAME, "example.test", "not a name"];
        assert_eq!(matching(&records(2, &root), &sent, &names, now()).len(), 6, "any of them");
    }

    #[test]
    fn a_leaf_that_signed_itself_is_an_anchor() {
        let mut params = dated(CertificateParams::new(vec![NAME.to_owned()]).unwrap(), "a", VALID);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        for own in [leaf(&[NAME], "server", None, VALID), made(params, None)] {
            assert_eq!(matched(2, &own, &chain([&own]), NAME), 6);
            assert_eq!(matched(2, &own, &chain([&own]), "mx2.example.test"), 0);
            assert_eq!(matched(3, &own, &chain([&own]), "mx2.example.test"), 6);
        }
        let old = leaf(&[NAME], "server", None, EXPIRED);
        assert_eq!(
            (matched(2, &old, &chain([&old]), NAME), matched(3, &old, &chain([&old]), NAME)),
            (0, 6)
        );
    }

    #[test]
    fn while_keys_roll_over_one_record_matches() {
        let (_, middle, server) = hierarchy();
        let next = leaf(&[NAME], "server", Some(&middle), VALID);
        let spki = |of: &Made| records(3, of).swap_remove(4);
        let published = [spki(&next), spki(&server)];
        let sent = chain([&server, &middle]);
        assert_eq!(matching(&published, &sent, &[NAME], now()), [spki(&server)]);
        assert_eq!(matching(&published[..1], &sent, &[NAME], now()), []);
    }

    /// Runs OpenSSL, where there is one.
    fn openssl(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let mut command = Command::new("openssl");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().ok()?;
        child.stdin.take()?.write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}");
        Some(output.stdout)
    }

    #[test]
    fn the_digest_of_a_key_is_that_of_openssl() {
        let own = leaf(&[NAME], "server", None, VALID);
        let certificate = own.certificate.pem();
        let Some(key) = openssl(&["x509", "-noout", "-pubkey"], certificate.as_bytes()) else {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "openssl is missing");
            return;
        };
        let key = openssl(&["pkey", "-pubin", "-outform", "DER"], &key).unwrap();
        let digest = openssl(&["dgst", "-sha256", "-binary"], &key).unwrap();
        let record = TlsaRecord::new(3, 1, 1, &digest).unwrap();
        let found = matching(std::slice::from_ref(&record), &chain([&own]), &[NAME], now());
        assert_eq!(found, [record]);
    }

    proptest! {
        #[test]
        fn what_is_no_certificate_breaks_nothing(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
            usage in 0_u8..5, selector in 0_u8..3, matching_type in 0_u8..4,
            data in prop::collection::vec(any::<u8>(), 0..100),
            place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let record = TlsaRecord::new(usage, selector, matching_type, &data).unwrap();
            let garbage: Vec<_> = sent.into_iter().map(CertificateDer::from).collect();
            matching(std::slice::from_ref(&record), &garbage, &[NAME], now());
            // One that is nearly right goes further.
            let own = leaf(&[NAME], "server", None, VALID);
            let mut broken = own.der().to_vec();
            let place = place.index(broken.len());
            broken[place] = byte;
            broken.truncate(cut.index(broken.len()) + 1);
            let mut all = records(2, &own);
            all.extend(records(3, &own));
            all.push(TlsaRecord::new(2, 0, 0, &broken).unwrap());
            let sent = [CertificateDer::from(broken), own.der()];
            matching(&all, &sent, &[NAME], now());
            matching(&all, &[own.der(), sent[0].clone()], &[NAME], now());
        }
    }
}
