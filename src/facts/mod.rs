//! What was observed: plain data, closed label sets, no opinion.
//!
//! `probe` writes these values, everything else only reads them; they are also the `facts` object
//! of the JSON that `check --json` prints. Nothing here does I/O or judges. Durations are seconds
//! in JSON; times are RFC 3339 in UTC.

mod agreement;
pub mod authority;
mod elapsed;
mod exchange;
mod finding;
mod lines;
mod lookup;
mod mta_sts;
mod own_host;
mod refusal;
mod resolver;
mod route;
mod seconds;
mod seldom;
mod session;
mod stage;
mod tls;
mod tls_report;
mod tls_rpt;
mod tlsa;
mod transaction;
mod vantage;
pub mod zone_findings;

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub use self::{
    agreement::agree,
    authority::{Missing, NameServer, Step, Zone},
    elapsed::Elapsed,
    exchange::{Exchange, ExtendedError, Further, MAX_RECORDS, Records, Transport, last_tries},
    finding::{AddressPair, DomainFinding, ExchangerFinding, MAX_EXCHANGERS, Target, of_route},
    lines::Lines,
    lookup::{Decided, Earlier, Lookup, LookupStatus, Record, RecordType},
    mta_sts::{MAX_PATTERNS, MtaSts, StsFailure, StsMode, StsPolicy, StsStatus},
    own_host::OwnHost,
    refusal::RecipientClass,
    resolver::{ResolverFacts, ServerFacts},
    route::{MxLookup, MxTarget, Route},
    seldom::Seldom,
    session::{AuthMechanism, Class, EnhancedCode, Failure, Reason, Reply, Session, Stage},
    stage::{Heard, StageFact},
    tls::{Certificate, Pkix, Tls, TlsVersion},
    tls_report::TlsFailure,
    tls_rpt::{MAX_RUA, TlsRpt, TlsRptStatus},
    tlsa::{TlsaFacts, TlsaRecord, TlsaStatus},
    transaction::Transaction,
    vantage::{FamilyVantage, Vantage, Way},
};
use crate::name::{Destination, Exchanger};

/// The version of the JSON form of these facts; it grows when a field changes its meaning.
pub const FACTS_VERSION: u32 = 1;

/// Everything known about one destination: its route and the exchangers on it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Facts {
    /// The destination as configured.
    pub destination: Destination,
    /// When the route was looked up.
    pub observed_at: Timestamp,
    /// The route as each resolver gives it, the primary resolver first; empty for a smart host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mx: Vec<MxLookup>,
    /// Every exchanger on the primary route, most preferred first, then those that only other
    /// resolvers name.
    pub exchangers: Vec<Arc<ExchangerFacts>>,
    /// MTA-STS of the domain (RFC 8461); absent when nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mta_sts: Option<MtaSts>,
    /// Where the domain wants reports about TLS (RFC 8460); absent when nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_rpt: Option<TlsRpt>,
    /// The host that sends, where it may be an exchanger of the domain itself; absent when nobody
    /// looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_host: Option<OwnHost>,
    /// The host that looked, which may be an exchanger, too. No verdict goes by it: such a server
    /// delivers that mail locally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observer: Option<OwnHost>,
    /// Senders get the addresses in the order they are listed in. What DNS really answered has no
    /// such order: resolvers rotate it (RFC 1794).
    #[serde(default, skip_serializing_if = "is_false")]
    pub answers_in_order: bool,
}

impl Facts {
    /// What a look at route and exchangers gives; nothing is known about policies.
    pub fn observed(
        destination: Destination,
        observed_at: Timestamp,
        mx: Vec<MxLookup>,
        exchangers: Vec<Arc<ExchangerFacts>>,
    ) -> Self {
        Self {
            destination,
            observed_at,
            mx,
            exchangers,
            mta_sts: None,
            tls_rpt: None,
            own_host: None,
            observer: None,
            answers_in_order: false,
        }
    }

    /// The same with what a look at the domain's policies found, where there was one.
    #[must_use]
    pub fn with_policies(self, policies: Option<&DomainPolicies>) -> Self {
        let Some(DomainPolicies { mta_sts, tls_rpt }) = policies else { return self };
        Self { mta_sts: Some(mta_sts.clone()), tls_rpt: Some(tls_rpt.clone()), ..self }
    }

    /// The same without what these resolvers said or failed to say.
    pub fn without(&self, resolvers: &[Arc<str>]) -> Cow<'_, Self> {
        if resolvers.is_empty() {
            return Cow::Borrowed(self);
        }
        let others = |resolver: &Arc<str>| !resolvers.contains(resolver);
        let mut facts = self.clone();
        facts.mx.retain(|answer| others(&answer.lookup.resolver));
        for exchanger in &mut facts.exchangers {
            ExchangerFacts::retain_resolvers(exchanger, others);
        }
        Cow::Owned(facts)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What one look at the policies of a mail domain found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DomainPolicies {
    /// How TLS is required.
    pub mta_sts: MtaSts,
    /// Where reports about that go.
    pub tls_rpt: TlsRpt,
}

/// IPv4 or IPv6: which record type named the address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// From an A record.
    Ipv4,
    /// From an AAAA record.
    Ipv6,
}

impl Family {
    /// Both, in the order they are shown.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// Value of the `family` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The record type that names addresses of this family.
    pub const fn record_type(self) -> RecordType {
        match self {
            Self::Ipv4 => RecordType::A,
            Self::Ipv6 => RecordType::Aaaa,
        }
    }
}

/// The addresses of one exchanger, of which mostly there is one.
pub type Addresses = SmallVec<[IpAddr; 1]>;

/// The sessions with them.
pub type Sessions = SmallVec<[Arc<Session>; 1]>;

/// One exchanger: its address lookups and the sessions with its addresses.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExchangerFacts {
    /// Host and port.
    pub exchanger: Exchanger,
    /// When something of this was last learned.
    pub observed_at: Timestamp,
    /// A and AAAA through every resolver, the primary first; empty for a fixed address.
    pub lookups: Arc<[Lookup]>,
    /// Every distinct address, in ascending order, whether probed or not. While no resolver
    /// answers about a family, those found before: what DNS says now stands in `lookups`.
    pub addresses: Addresses,
    /// The newest session with each address that was probed. A session may be older than this
    /// round when its address is being left alone for a while.
    pub sessions: Sessions,
    /// The TLSA records of its port (RFC 7672 §2.2) through each resolver whose AD bit is trusted and
    /// that gives an address; empty when nobody looked.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub tlsa: Box<[Arc<TlsaFacts>]>,
}

impl ExchangerFacts {
    /// One of which nothing is known yet.
    pub fn unobserved(exchanger: Exchanger, observed_at: Timestamp) -> Self {
        Self {
            exchanger,
            observed_at,
            lookups: Arc::default(),
            addresses: Addresses::new(),
            sessions: Sessions::new(),
            tlsa: Box::default(),
        }
    }

    /// Forgets what other resolvers said than those that are `kept`. Nothing is copied where there is
    /// nothing to forget.
    pub fn retain_resolvers(shared: &mut Arc<Self>, kept: impl Fn(&Arc<str>) -> bool) {
        let said = shared.lookups.iter().map(|lookup| &lookup.resolver);
        if said.chain(shared.tlsa.iter().map(|tlsa| &tlsa.resolver)).all(&kept) {
            return;
        }
        let own = Arc::make_mut(shared);
        let lookups = own.lookups.iter().filter(|lookup| kept(&lookup.resolver));
        own.lookups = lookups.cloned().collect();
        let tlsa = own.tlsa.iter().filter(|tlsa| kept(&tlsa.resolver));
        own.tlsa = tlsa.cloned().collect();
    }

    /// Those of its addresses, and those of its TLSA records.
    pub fn all_lookups(&self) -> impl Iterator<Item = &Lookup> {
        self.lookups.iter().chain(self.tlsa.iter().flat_map(|tlsa| &tlsa.lookups))
    }

    /// The TLSA records through one resolver.
    pub fn tlsa_through(&self, resolver: &str) -> Option<&Arc<TlsaFacts>> {
        self.tlsa.iter().find(|tlsa| *tlsa.resolver == *resolver)
    }

    /// The addresses of one family.
    pub fn addresses_of(&self, family: Family) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().copied().filter(move |&a| Family::of(a) == family)
    }

    /// The sessions of one family.
    pub fn sessions_of(&self, family: Family) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.iter().filter(move |s| s.family() == family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_resolver_said_is_forgotten_with_it() {
        let name = crate::name::ExchangerName::parse("mx.example.test").unwrap();
        let exchanger = Exchanger { host: crate::name::Host::Name(name.clone()), port: 25 };
        let [lan, isp] = ["lan", "isp"].map(Arc::<str>::from);
        let lookup = |resolver: &Arc<str>| {
            Lookup::new(Arc::clone(resolver), RecordType::A, "mx.example.test".into(), Vec::new())
        };
        let tlsa = |resolver: &Arc<str>| {
            let (resolver, status) = (Arc::clone(resolver), TlsaStatus::Absent);
            let (base, records, lookups) = (name.clone(), Vec::new(), Vec::new());
            Arc::new(TlsaFacts { resolver, status, base, records, lookups })
        };
        let mut facts = Arc::new(ExchangerFacts {
            lookups: [&lan, &isp].map(lookup).into(),
            tlsa: [&lan, &isp].map(tlsa).into(),
            ..ExchangerFacts::unobserved(exchanger, Timestamp::UNIX_EPOCH)
        });
        let before = Arc::clone(&facts);
        ExchangerFacts::retain_resolvers(&mut facts, |_| true);
        assert!(Arc::ptr_eq(&before, &facts), "nothing to forget");
        ExchangerFacts::retain_resolvers(&mut facts, |resolver| *resolver == isp);
        assert_eq!(facts.lookups.iter().map(|l| &l.resolver).collect::<Vec<_>>(), [&isp]);
        assert_eq!(facts.tlsa.iter().map(|t| &t.resolver).collect::<Vec<_>>(), [&isp]);
    }

    #[test]
    fn a_reason_has_one_spelling_in_json_and_labels() {
        for reason in [
            Reason::Closed,
            Reason::Injected,
            Reason::LocalError,
            Reason::Malformed,
            Reason::NoLocalFamily,
            Reason::NotOffered,
            Reason::Refused,
            Reason::RefusingUs,
            Reason::Reply4xx,
            Reason::Reply5xx,
            Reason::ReplyUnexpected,
            Reason::Reset,
            Reason::Timeout,
            Reason::TlsCipher,
            Reason::TlsError,
            Reason::TlsKey,
            Reason::TlsVersion,
            Reason::TooLong,
            Reason::Unreachable,
            Reason::Untrusted,
        ] {
            assert_eq!(serde_json::json!(reason), reason.label());
        }
    }

    #[test]
    fn a_status_has_one_spelling_in_json_and_labels() {
        for status in [
            LookupStatus::Bogus,
            LookupStatus::Formerr,
            LookupStatus::Malformed,
            LookupStatus::NetworkError,
            LookupStatus::Nodata,
            LookupStatus::Noerror,
            LookupStatus::Notimp,
            LookupStatus::Nxdomain,
            LookupStatus::Refused,
            LookupStatus::Servfail,
            LookupStatus::Timeout,
        ] {
            assert_eq!(serde_json::json!(status), status.label());
        }
    }
}
