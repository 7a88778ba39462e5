//! What is remarkable about an MX set and about the addresses of an exchanger, as one resolver tells
//! it: two closed sets.
//!
//! Read from lookups, and from the MTA-STS policy in force; what a sender makes of it is the verdict's business, and how
//! it is said that of `explain`.

use smallvec::SmallVec;

use super::{
    Decided, ExchangerFacts, Facts, Lookup, LookupStatus, MtaSts, MxLookup, OwnHost, RecordType,
    Route,
};
use crate::name::{Destination, Exchanger, ExchangerName, Host};

/// Exchangers of one domain that are probed, best first. Senders give up sooner (Postfix after five
/// addresses), and a domain with its verdicts is to have no more than 40 series.
pub const MAX_EXCHANGERS: usize = 8;

/// One thing that is remarkable about the MX set of a domain. In the order of how much they matter.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DomainFinding {
    /// A target is the host that sends: mail for the domain would come back to it (RFC 5321 §5.1).
    SelfLoop,
    /// A sole null MX: the domain takes no mail (RFC 7505).
    Null,
    /// Of a target nobody knows an address, because a lookup fails.
    UnresolvableTarget,
    /// A target has neither an A nor an AAAA record.
    NoAddressTarget,
    /// The MTA-STS policy in force names exchangers, and a target is not among them (RFC 8461 §4.1).
    UnlistedTarget,
    /// A null MX stands beside others, which RFC 7505 §3 forbids.
    NullMixed,
    /// A target spells an IP address (RFC 5321 §5.1 wants a host name).
    IpLiteralTarget,
    /// A listed target is an alias, which RFC 2181 §10.3 forbids.
    CnameTarget,
    /// A target is listed more than once.
    Duplicate,
    /// More exchangers than are probed, [`MAX_EXCHANGERS`].
    TooMany,
    /// No MX record: the domain is its own exchanger (RFC 5321 §5.1).
    Implicit,
}

impl DomainFinding {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::SelfLoop,
        Self::Null,
        Self::UnresolvableTarget,
        Self::NoAddressTarget,
        Self::UnlistedTarget,
        Self::NullMixed,
        Self::IpLiteralTarget,
        Self::CnameTarget,
        Self::Duplicate,
        Self::TooMany,
        Self::Implicit,
    ];

    /// Value of the `finding` label of `mx_domain_finding`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::SelfLoop => "self_loop",
            Self::Null => "null",
            Self::UnresolvableTarget => "unresolvable_target",
            Self::NoAddressTarget => "no_address_target",
            Self::UnlistedTarget => "unlisted_target",
            Self::NullMixed => "null_mixed",
            Self::IpLiteralTarget => "ip_literal_target",
            Self::CnameTarget => "cname_target",
            Self::Duplicate => "duplicate",
            Self::TooMany => "too_many",
            Self::Implicit => "implicit",
        }
    }
}

/// One thing that is remarkable about the address lookups of an exchanger.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ExchangerFinding {
    /// A is answered, AAAA with SERVFAIL, be it that DNSSEC validation fails (RFC 4074 §4.3).
    AaaaServfailAOk,
    /// A is answered, AAAA never is (RFC 4074 §4.1).
    AaaaTimeoutAOk,
    /// A is answered, AAAA with a response code that refuses the question (RFC 4074 §4.3).
    AaaaRefusedAOk,
    /// A is answered, and AAAA says that there is no such name (RFC 4074 §4.2): a cache that
    /// believes it loses the A record as well.
    AaaaNxdomainAOk,
    /// A is answered, AAAA with what is no answer to it (RFC 4074 §4.4).
    AaaaMalformedAOk,
    /// AAAA is answered, and A fails or is denied with NXDOMAIN: whoever needs IPv4 gets nothing
    /// although the name exists.
    AFailedAaaaOk,
    /// Both fail, so there is no address.
    BothFailed,
    /// The answer to AAAA holds no record, and beside it an A record that A itself does not give:
    /// some senders connect to that.
    StrayAInAdditional,
}

impl ExchangerFinding {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AaaaServfailAOk,
        Self::AaaaTimeoutAOk,
        Self::AaaaRefusedAOk,
        Self::AaaaNxdomainAOk,
        Self::AaaaMalformedAOk,
        Self::AFailedAaaaOk,
        Self::BothFailed,
        Self::StrayAInAdditional,
    ];

    /// Value of the `finding` label of `mx_exchanger_finding`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AaaaServfailAOk => "aaaa_servfail_a_ok",
            Self::AaaaTimeoutAOk => "aaaa_timeout_a_ok",
            Self::AaaaRefusedAOk => "aaaa_refused_a_ok",
            Self::AaaaNxdomainAOk => "aaaa_nxdomain_a_ok",
            Self::AaaaMalformedAOk => "aaaa_malformed_a_ok",
            Self::AFailedAaaaOk => "a_failed_aaaa_ok",
            Self::BothFailed => "both_failed",
            Self::StrayAInAdditional => "stray_a_in_additional",
        }
    }

    /// What the two statuses come to; nothing where addresses are to be had as they should, nor
    /// where there are none to be had from anybody.
    pub const fn of_statuses(a: LookupStatus, aaaa: LookupStatus) -> Option<Self> {
        use LookupStatus::{
            Bogus, Formerr, Malformed, NetworkError, Nodata, Noerror, Notimp, Nxdomain, Refused,
            Servfail, Timeout,
        };
        match (a, aaaa) {
            (Noerror, Servfail | Bogus) => Some(Self::AaaaServfailAOk),
            (Noerror, Timeout | NetworkError) => Some(Self::AaaaTimeoutAOk),
            (Noerror, Refused | Notimp | Formerr) => Some(Self::AaaaRefusedAOk),
            (Noerror, Nxdomain) => Some(Self::AaaaNxdomainAOk),
            (Noerror, Malformed) => Some(Self::AaaaMalformedAOk),
            (Noerror | Nodata, _) | (Nxdomain, Nodata | Nxdomain) => None,
            (_, Noerror) => Some(Self::AFailedAaaaOk),
            (failed, other) if !failed.answered() && !other.answered() => Some(Self::BothFailed),
            _ => None,
        }
    }
}

/// The address lookups of an exchanger through one resolver; neither for a fixed address.
#[derive(Clone, Copy, Debug, Default)]
pub struct AddressPair<'a> {
    /// A.
    pub a: Option<&'a Lookup>,
    /// AAAA.
    pub aaaa: Option<&'a Lookup>,
}

impl<'a> AddressPair<'a> {
    /// Those through each resolver, in the order of the lookups.
    pub fn by_resolver(exchanger: &'a ExchangerFacts) -> SmallVec<[(&'a str, Self); 1]> {
        let mut pairs: SmallVec<[(&str, Self); 1]> = SmallVec::new();
        for lookup in &*exchanger.lookups {
            let resolver = &*lookup.resolver;
            let place = pairs.iter().position(|(name, _)| *name == resolver);
            let place = place.unwrap_or_else(|| {
                pairs.push((resolver, Self::default()));
                pairs.len() - 1
            });
            match lookup.rtype {
                RecordType::A => pairs[place].1.a = Some(lookup),
                RecordType::Aaaa => pairs[place].1.aaaa = Some(lookup),
                _ => {}
            }
        }
        pairs
    }

    /// Both, A first.
    pub fn lookups(self) -> impl Iterator<Item = &'a Lookup> {
        self.a.into_iter().chain(self.aaaa)
    }

    /// What they came to.
    pub fn decided(self) -> DecidedPair<'a> {
        let both_asked = self.a.is_some_and(Lookup::asked) && self.aaaa.is_some_and(Lookup::asked);
        let (a, aaaa) = (self.a.map(Lookup::decided), self.aaaa.map(Lookup::decided));
        DecidedPair { a, aaaa, both_asked }
    }

    /// What is remarkable about them: one by the statuses, and a stray A record.
    pub fn findings(self) -> impl Iterator<Item = ExchangerFinding> {
        self.decided().findings()
    }
}

/// What the address lookups of an exchanger through one resolver came to: every scrape asks for all that
/// is remarkable about it.
#[derive(Clone, Copy, Debug)]
pub struct DecidedPair<'a> {
    a: Option<Decided<'a>>,
    aaaa: Option<Decided<'a>>,
    /// One that did not get its turn tells nothing of the exchanger.
    both_asked: bool,
}

impl<'a> DecidedPair<'a> {
    fn both(self) -> Option<(Decided<'a>, Decided<'a>)> {
        self.a.zip(self.aaaa).filter(|_| self.both_asked)
    }

    fn each(self) -> impl Iterator<Item = Decided<'a>> {
        self.a.into_iter().chain(self.aaaa)
    }

    /// What is remarkable about them: one by the statuses, and a stray A record.
    pub fn findings(self) -> impl Iterator<Item = ExchangerFinding> {
        let both = self.both();
        let by_status =
            both.and_then(|(a, aaaa)| ExchangerFinding::of_statuses(a.status, aaaa.status));
        let stray = both.filter(|(a, aaaa)| stray(*a, *aaaa));
        by_status.into_iter().chain(stray.map(|_| ExchangerFinding::StrayAInAdditional))
    }

    /// What it is as the target of an MX record.
    pub fn target(self, exchanger: &Exchanger, own: Option<&OwnHost>) -> Target {
        let mut target = Target::default();
        let names_it = |own: &OwnHost| match &exchanger.host {
            Host::Name(name) => own.names.contains(name),
            Host::Address(address) => own.addresses.contains(address),
        };
        let leads_to_it = |own: &OwnHost| {
            self.each().flat_map(Decided::addresses).any(|found| own.addresses.contains(&found))
        };
        target.own = own.is_some_and(|own| names_it(own) || leads_to_it(own));
        let mut decisive = self.each().filter_map(|decided| decided.exchange);
        target.alias = decisive.any(|exchange| !exchange.further.cname_chain.is_empty());
        if let Some((a, aaaa)) = self.both()
            && self.each().flat_map(Decided::addresses).next().is_none()
        {
            let answered = a.status.answered() && aaaa.status.answered();
            (target.no_address, target.unresolvable) = (answered, !answered);
        }
        target
    }
}

/// A is answered without the address that stands beside the empty answer to AAAA.
fn stray(a: Decided<'_>, aaaa: Decided<'_>) -> bool {
    let Some(exchange) = aaaa.exchange else { return false };
    let empty = exchange.status.answered() && exchange.records.is_empty();
    let mut beside = exchange.further.stray_addresses.iter().filter(|address| address.is_ipv4());
    empty && a.status.answered() && beside.any(|stray| a.addresses().all(|own| own != *stray))
}

/// What one resolver makes of a host as the target of an MX record. It is the same for every domain
/// that lists the host.
#[expect(clippy::struct_excessive_bools, reason = "each holds or not, whatever the others do")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Target {
    alias: bool,
    no_address: bool,
    own: bool,
    unresolvable: bool,
}

impl Target {
    /// What is remarkable about an MX set that lists it.
    pub fn findings(self) -> impl Iterator<Item = DomainFinding> {
        held([
            (self.own, DomainFinding::SelfLoop),
            (self.unresolvable, DomainFinding::UnresolvableTarget),
            (self.no_address, DomainFinding::NoAddressTarget),
            (self.alias, DomainFinding::CnameTarget),
        ])
    }
}

/// What is remarkable about an MX set, the gravest first, with the MTA-STS policy that is in force.
/// `target` gives what the same resolver makes
/// of a host, where that was looked up.
pub fn of_route(
    route: &Route,
    policy: Option<&MtaSts>,
    target: impl Fn(&ExchangerName) -> Option<Target>,
) -> Vec<DomainFinding> {
    let known = |name| target(name).into_iter().flat_map(Target::findings);
    let mut findings: Vec<DomainFinding> = match route {
        Route::NoDomain | Route::Unknown => Vec::new(),
        Route::Null => vec![DomainFinding::Null],
        Route::Implicit { exchanger } => {
            // The domain stands for itself, and may be an alias (RFC 5321 §5.1).
            let own = known(exchanger).filter(|finding| *finding != DomainFinding::CnameTarget);
            own.chain([DomainFinding::Implicit]).collect()
        }
        Route::Mx { targets, null_mixed, duplicate } => {
            let literal = targets.iter().any(|target| target.exchanger.spells_address());
            let of_set = held([
                (*null_mixed, DomainFinding::NullMixed),
                (literal, DomainFinding::IpLiteralTarget),
                (*duplicate, DomainFinding::Duplicate),
                (targets.len() > MAX_EXCHANGERS, DomainFinding::TooMany),
            ]);
            let probed = targets.iter().take(MAX_EXCHANGERS);
            of_set.chain(probed.flat_map(|target| known(&target.exchanger))).collect()
        }
    };
    let left_out =
        |policy: &MtaSts| route.targets().iter().any(|target| policy.leaves_out(&target.exchanger));
    if policy.is_some_and(left_out) {
        findings.push(DomainFinding::UnlistedTarget);
    }
    findings.sort_unstable();
    findings.dedup();
    findings
}

fn held<const N: usize>(
    findings: [(bool, DomainFinding); N],
) -> impl Iterator<Item = DomainFinding> {
    findings.into_iter().filter_map(|(holds, finding)| holds.then_some(finding))
}

impl Facts {
    /// What is remarkable about the MX set as one resolver gives it.
    pub fn domain_findings(&self, answer: &MxLookup) -> Vec<DomainFinding> {
        of_route(&answer.route, self.mta_sts.as_ref(), |name| {
            self.target(name, &answer.lookup.resolver)
        })
    }

    /// The host that sends or, where that is not known, the one that looked.
    pub fn this_host(&self) -> Option<&OwnHost> {
        self.own_host.as_ref().or(self.observer.as_ref())
    }

    /// What a resolver makes of a host as an MX target, where it was looked up.
    pub fn target(&self, name: &ExchangerName, resolver: &str) -> Option<Target> {
        let Destination::Domain(_) = self.destination else { return None };
        let named = |exchanger: &&std::sync::Arc<ExchangerFacts>| match &exchanger.exchanger.host {
            Host::Name(host) => host == name,
            Host::Address(_) => false,
        };
        let exchanger = self.exchangers.iter().find(named)?;
        let pairs = AddressPair::by_resolver(exchanger);
        let (_, pair) = pairs.into_iter().find(|(of, _)| *of == resolver)?;
        Some(pair.decided().target(&exchanger.exchanger, self.this_host()))
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use jiff::Timestamp;

    use super::*;
    use crate::facts::{Exchange, MxTarget, Record, StsMode, StsStatus, Transport};

    const STATUSES: [LookupStatus; 11] = [
        LookupStatus::Noerror,
        LookupStatus::Nodata,
        LookupStatus::Nxdomain,
        LookupStatus::Servfail,
        LookupStatus::Bogus,
        LookupStatus::Timeout,
        LookupStatus::NetworkError,
        LookupStatus::Refused,
        LookupStatus::Notimp,
        LookupStatus::Formerr,
        LookupStatus::Malformed,
    ];

    #[test]
    fn every_two_statuses_come_to_one_finding_or_none() {
        // Rows A, columns AAAA, both in the order of STATUSES.
        let words = [
            ("s", ExchangerFinding::AaaaServfailAOk),
            ("t", ExchangerFinding::AaaaTimeoutAOk),
            ("r", ExchangerFinding::AaaaRefusedAOk),
            ("x", ExchangerFinding::AaaaNxdomainAOk),
            ("m", ExchangerFinding::AaaaMalformedAOk),
            ("4", ExchangerFinding::AFailedAaaaOk),
            ("b", ExchangerFinding::BothFailed),
        ];
        let table = [
            ". . x s s t t r r r m",
            ". . . . . . . . . . .",
            "4 . . . . . . . . . .",
            "4 . . b b b b b b b b",
            "4 . . b b b b b b b b",
            "4 . . b b b b b b b b",
            "4 . . b b b b b b b b",
            "4 . . b b b b b b b b",
            "4 . . b b b b b b b b",
            "4 . . b b b b b b b b",
            "4 . . b b b b b b b b",
        ];
        for (a, row) in STATUSES.into_iter().zip(table) {
            let cells: Vec<&str> = row.split(' ').collect();
            assert_eq!(cells.len(), STATUSES.len());
            for (aaaa, cell) in STATUSES.into_iter().zip(cells) {
                let want = words.iter().find(|(word, _)| *word == cell).map(|(_, f)| *f);
                assert_eq!(ExchangerFinding::of_statuses(a, aaaa), want, "{a:?} {aaaa:?}");
            }
        }
    }

    #[test]
    fn every_finding_has_a_label_of_its_own() {
        let domain = DomainFinding::ALL.map(DomainFinding::label);
        let exchanger = ExchangerFinding::ALL.map(ExchangerFinding::label);
        for labels in [&domain[..], &exchanger[..]] {
            let distinct: std::collections::BTreeSet<_> = labels.iter().collect();
            assert_eq!(distinct.len(), labels.len());
        }
        assert!(DomainFinding::ALL.is_sorted(), "the gravest comes first");
    }

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn lookup(resolver: &str, rtype: RecordType, status: LookupStatus, list: &[&str]) -> Lookup {
        let server = ([192, 0, 2, 53], 53).into();
        let records = addresses(list).into_iter().map(Record::Address).collect();
        let exchange = Exchange { records, ..Exchange::empty(server, Transport::Udp, status) };
        Lookup::new(resolver.into(), rtype, "mx.example.com".into(), vec![exchange])
    }

    fn host(lookups: Vec<Lookup>) -> ExchangerFacts {
        let host = Host::Name(ExchangerName::parse("mx.example.com").unwrap());
        let exchanger = Exchanger { host, port: 25 };
        let lookups = lookups.into();
        ExchangerFacts { lookups, ..ExchangerFacts::unobserved(exchanger, Timestamp::UNIX_EPOCH) }
    }

    fn pair(a: (LookupStatus, &[&str]), aaaa: (LookupStatus, &[&str])) -> ExchangerFacts {
        host(vec![
            lookup("lan", RecordType::A, a.0, a.1),
            lookup("lan", RecordType::Aaaa, aaaa.0, aaaa.1),
        ])
    }

    fn findings(host: &ExchangerFacts) -> Vec<ExchangerFinding> {
        AddressPair::by_resolver(host).into_iter().flat_map(|(_, pair)| pair.findings()).collect()
    }

    #[test]
    fn an_a_record_beside_an_empty_answer_is_stray_unless_a_gives_it_too() {
        use LookupStatus::{Nodata, Noerror, Servfail};
        let own: &[&str] = &["192.0.2.1"];
        for (a, aaaa, beside, stray) in [
            ((Noerror, own), Nodata, &["192.0.2.9"][..], true),
            ((Noerror, own), Nodata, &["192.0.2.1", "192.0.2.9"], true),
            ((Noerror, own), Nodata, &["192.0.2.1"], false),
            ((Noerror, own), Nodata, &["2001:db8::9"], false),
            ((Nodata, &[]), Nodata, &["192.0.2.9"], true),
            // Nobody knows what A would have said.
            ((Servfail, &[]), Nodata, &["192.0.2.9"], false),
            ((Noerror, own), Servfail, &["192.0.2.9"], false),
        ] {
            let mut host = pair(a, (aaaa, &[]));
            let lookups = Arc::make_mut(&mut host.lookups);
            lookups[1].exchanges[0].further.get_mut().stray_addresses = addresses(beside);
            let found = findings(&host).contains(&ExchangerFinding::StrayAInAdditional);
            assert_eq!(found, stray, "{a:?} {aaaa:?} {beside:?}");
        }
    }

    #[test]
    fn a_lookup_that_did_not_get_its_turn_tells_nothing_of_the_exchanger() {
        use LookupStatus::{Noerror, Timeout};
        let mut host = pair((Noerror, &["192.0.2.1"]), (Timeout, &[]));
        assert_eq!(findings(&host), [ExchangerFinding::AaaaTimeoutAOk]);
        Arc::make_mut(&mut host.lookups)[1].exchanges = [].into();
        assert_eq!(findings(&host), []);
        Arc::make_mut(&mut host.lookups)[0].exchanges = [].into();
        assert_eq!(findings(&host), []);
        let (_, both) = AddressPair::by_resolver(&host)[0];
        assert_eq!(both.decided().target(&host.exchanger, None), Target::default());
    }

    #[test]
    fn lookups_are_paired_by_resolver_whatever_their_order() {
        let mut host = pair((LookupStatus::Noerror, &["192.0.2.1"]), (LookupStatus::Servfail, &[]));
        let other = lookup("public", RecordType::Aaaa, LookupStatus::Nodata, &[]);
        host.lookups = host.lookups.iter().cloned().chain([other]).collect();
        Arc::make_mut(&mut host.lookups).swap(0, 2);
        let pairs = AddressPair::by_resolver(&host);
        let shown: Vec<_> =
            pairs.iter().map(|(name, pair)| (*name, pair.lookups().count())).collect();
        assert_eq!(shown, [("public", 1), ("lan", 2)]);
        assert_eq!(findings(&host), [ExchangerFinding::AaaaServfailAOk]);
    }

    fn named(list: &[&str]) -> Route {
        let target = |name: &&str| MxTarget {
            preference: 10,
            exchanger: ExchangerName::parse(name).unwrap(),
        };
        let targets = list.iter().map(target).collect();
        Route::Mx { targets, null_mixed: false, duplicate: false }
    }

    #[test]
    fn a_route_has_the_findings_of_its_targets() {
        use LookupStatus::{Nodata, Noerror, Nxdomain, Servfail};
        let own = OwnHost {
            names: vec![ExchangerName::parse("relay.example.org").unwrap()],
            addresses: addresses(&["192.0.2.25"]),
        };
        let own_by_name = OwnHost {
            names: vec![ExchangerName::parse("mx.example.com").unwrap()],
            ..OwnHost::default()
        };
        let well = pair((Noerror, &["192.0.2.1"]), (Nodata, &[]));
        let mut alias = well.clone();
        Arc::make_mut(&mut alias.lookups)[0].exchanges[0].further.get_mut().cname_chain =
            vec!["mx.example.com".into()];
        let exchanger = ExchangerName::parse("mx.example.com").unwrap();
        let (listed, implicit) = (named(&["mx.example.com"]), Route::Implicit { exchanger });
        let all = [
            (&listed, well.clone(), None, "", ""),
            (&listed, alias.clone(), None, "cname_target", ""),
            (&implicit, alias, None, "implicit", ""),
            (&listed, pair((Nodata, &[]), (Nxdomain, &[])), None, "no_address_target", ""),
            (&listed, pair((Nxdomain, &[]), (Servfail, &[])), None, "unresolvable_target", ""),
            (&implicit, pair((Nodata, &[]), (Nodata, &[])), None, "no_address_target", "implicit"),
            (&listed, pair((Servfail, &[]), (Noerror, &["2001:db8::1"])), None, "", ""),
            (&listed, pair((Noerror, &["192.0.2.25"]), (Nodata, &[])), Some(&own), "self_loop", ""),
            (&listed, well.clone(), Some(&own), "", ""),
            (&listed, well, Some(&own_by_name), "self_loop", ""),
        ];
        for (route, host, own, first, second) in all {
            let (_, pair) = AddressPair::by_resolver(&host)[0];
            let target = pair.decided().target(&host.exchanger, own);
            let found =
                of_route(route, None, |_| Some(target)).into_iter().map(DomainFinding::label);
            let want: Vec<_> = [first, second].into_iter().filter(|f| !f.is_empty()).collect();
            assert_eq!(found.collect::<Vec<_>>(), want, "{route:?} {host:?}");
        }
    }

    #[test]
    fn a_set_has_findings_of_its_own() {
        let many: Vec<String> =
            (0..=MAX_EXCHANGERS).map(|n| format!("mx{n}.example.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let spelt = String::from("192.0.2.1").try_into().unwrap();
        let literal = vec![MxTarget { preference: 1, exchanger: spelt }];
        let odd = Route::Mx { targets: literal, null_mixed: true, duplicate: true };
        for (route, want) in [
            (Route::NoDomain, &[][..]),
            (Route::Unknown, &[]),
            (Route::Null, &["null"]),
            (named(&many[1..]), &[]),
            (named(&many), &["too_many"]),
            (odd, &["null_mixed", "ip_literal_target", "duplicate"]),
        ] {
            let found: Vec<_> =
                of_route(&route, None, |_| None).into_iter().map(DomainFinding::label).collect();
            assert_eq!(found, want, "{route:?}");
        }
    }

    #[test]
    fn a_policy_that_names_exchangers_is_to_name_all() {
        let policy = |mode, mx: &str| MtaSts {
            mode,
            mx: vec![mx.to_owned()],
            ..MtaSts::without_policy(StsStatus::Valid, None)
        };
        let implicit = ExchangerName::parse("example.com").unwrap();
        let implicit = Route::Implicit { exchanger: implicit };
        for (route, policy, found) in [
            (&named(&["mx.example.com"]), policy(StsMode::Enforce, "*.example.com"), false),
            (&named(&["mx.example.com"]), policy(StsMode::Enforce, "example.com"), true),
            (&named(&["mx.example.com"]), policy(StsMode::Testing, "example.com"), true),
            (&named(&["mx.example.com"]), policy(StsMode::None, "example.com"), false),
            (&implicit, policy(StsMode::Enforce, "example.com"), false),
            (&implicit, policy(StsMode::Enforce, "*.example.com"), true),
            (&Route::Unknown, policy(StsMode::Enforce, "*.example.com"), false),
        ] {
            let findings = of_route(route, Some(&policy), |_| None);
            let has = findings.contains(&DomainFinding::UnlistedTarget);
            assert_eq!(has, found, "{route:?} {policy:?}");
        }
    }

    #[test]
    fn a_domain_goes_by_the_lookups_of_the_same_resolver() {
        use LookupStatus::{Nodata, Noerror};
        let host = host(vec![
            lookup("lan", RecordType::A, Noerror, &["192.0.2.1"]),
            lookup("lan", RecordType::Aaaa, Nodata, &[]),
            lookup("public", RecordType::A, Nodata, &[]),
            lookup("public", RecordType::Aaaa, Nodata, &[]),
        ]);
        let answer = |resolver| MxLookup {
            lookup: lookup(resolver, RecordType::Mx, Noerror, &[]),
            route: named(&["mx.example.com"]),
        };
        let destination = Destination::parse("example.com").unwrap();
        let answers = vec![answer("lan"), answer("public")];
        let facts =
            Facts::observed(destination, Timestamp::UNIX_EPOCH, answers, vec![Arc::new(host)]);
        let found: Vec<_> = facts.mx.iter().map(|mx| facts.domain_findings(mx)).collect();
        assert_eq!(found, [vec![], vec![DomainFinding::NoAddressTarget]]);
    }
}
