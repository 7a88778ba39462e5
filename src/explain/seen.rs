//! What in the facts a reason rests on: the exchanger, the session or the lookup that shows it.
//!
//! It finds, and says nothing. The facts may come from anybody's file, so nothing here takes for
//! granted that what a verdict names is among them.

use std::{collections::HashSet, net::IpAddr};

use super::{authority::unanswered, extended_error, place};
use crate::{
    delivery::{Sender, Via, Why},
    facts::{
        Exchange, ExchangerFacts, Facts, Family, Lookup, LookupStatus, MxLookup, Reason,
        RecordType, Reply, Route, Session, Stage, StageFact, TlsaStatus,
    },
    name::Host,
    shown::one_line,
};

/// A reason and what shows it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) facts: &'a Facts,
    pub(super) sender: &'a Sender,
    pub(super) resolver: &'a str,
    pub(super) why: Why,
    /// The exchanger that counts.
    pub(super) via: Option<&'a Via>,
    host: Option<&'a ExchangerFacts>,
    pub(super) session: Option<&'a Session>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        facts: &'a Facts,
        sender: &'a Sender,
        resolver: &'a str,
        why: Why,
        via: Option<&'a Via>,
    ) -> Self {
        let mut seen = Self { facts, sender, resolver, why, via, host: None, session: None };
        // Some ask for addresses of a domain that does not exist; that is still why there are none.
        if why == Why::NoUsableMx && seen.mx().is_some_and(|mx| mx.route == Route::NoDomain) {
            seen.why = Why::MxNxdomain;
        }
        seen.host = match via {
            Some(via) => facts.exchangers.iter().find(|e| e.exchanger == via.exchanger),
            // Where no exchanger was left, the first whose lookups fail stands for them.
            None if why == Why::HostDnsTemp => {
                facts.exchangers.iter().find(|e| seen.failing(e).is_some())
            }
            None => None,
        }
        .map(|host| &**host);
        seen.session = seen.find_session();
        seen
    }

    /// The same about a session of an exchanger.
    pub(super) fn of_session(
        self,
        why: Why,
        host: &'a ExchangerFacts,
        session: &'a Session,
    ) -> Self {
        Self { why, via: None, host: Some(host), session: Some(session), ..self }
    }

    /// The same about the lookups of an exchanger.
    pub(super) fn of_lookups(self, host: &'a ExchangerFacts) -> Self {
        Self { why: Why::HostDnsTemp, via: None, host: Some(host), session: None, ..self }
    }

    fn find_session(&self) -> Option<&'a Session> {
        let family = self.via.and_then(|via| via.family);
        let sessions = self.host.into_iter().flat_map(|host| &host.sessions).map(|s| &**s);
        let of_family =
            sessions.filter(|session| family.is_none_or(|family| session.family() == family));
        let mut fitting: Vec<&Session> = of_family.collect();
        // Other resolvers may have given other addresses.
        fitting.sort_by_key(|session| !self.gave(session.peer.ip()));
        let shown = fitting.iter().find(|session| shows(self.why, session));
        shown.or(fitting.first()).copied()
    }

    /// Whether this view's resolver gives an address for the exchanger.
    fn gave(&self, address: IpAddr) -> bool {
        let lookups = self.host.into_iter().flat_map(|host| &*host.lookups);
        let mut own = lookups.filter(|lookup| *lookup.resolver == *self.resolver);
        own.any(|lookup| lookup.addresses().any(|given| given == address))
    }

    /// The exchanger's name or address.
    pub(super) fn host_name(&self) -> Option<String> {
        let of_facts = || self.host.map(|host| host.exchanger.host.to_string());
        self.via.map(|via| via.exchanger.host.to_string()).or_else(of_facts)
    }

    /// Name and address, as in `mx1.example.com [192.0.2.1]`.
    pub(super) fn peer(&self) -> String {
        let named = self.host_name();
        match (named, self.session) {
            (Some(name), Some(session)) => {
                let address = session.peer.ip();
                if address.to_string() == name { name } else { format!("{name} [{address}]") }
            }
            (Some(name), None) => name,
            (None, Some(session)) => session.peer.ip().to_string(),
            (None, None) => "an exchanger".to_owned(),
        }
    }

    /// The port that is connected to.
    pub(super) fn port(&self) -> u16 {
        let of_session = self.session.map(|session| session.peer.port());
        let of_via = || self.via.map(|via| via.exchanger.port);
        of_session.or_else(of_via).or(self.host.map(|host| host.exchanger.port)).unwrap_or(25)
    }

    /// The stage of the session that the reason is about.
    pub(super) fn stage(&self) -> Option<&'a StageFact> {
        let session = self.session?;
        stages(self.why).iter().rev().find_map(|stage| session.stage(*stage))
    }

    /// Whether the session failed at this stage.
    pub(super) fn fails_at(&self, stage: Stage) -> bool {
        let failure = self.session.and_then(|session| session.failure);
        failure.is_some_and(|failure| failure.stage == stage)
    }

    /// What the server said there.
    pub(super) fn reply(&self) -> Option<&'a Reply> {
        self.stage()?.reply()
    }

    /// The MX lookup in this view.
    pub(super) fn mx(&self) -> Option<&'a MxLookup> {
        self.facts.mx.iter().find(|answer| &*answer.lookup.resolver == self.resolver)
    }

    /// How many exchangers this view lists, each once at whatever preferences.
    pub(super) fn listed(&self) -> usize {
        match self.mx() {
            Some(answer) => {
                let targets = answer.route.targets();
                targets.iter().map(|target| &target.exchanger).collect::<HashSet<_>>().len()
            }
            None => self.facts.exchangers.len(),
        }
    }

    /// The preference of an exchanger in this view.
    pub(super) fn preference(&self, host: &Host) -> Option<u16> {
        let Host::Name(name) = host else { return None };
        let targets = self.mx()?.route.targets();
        targets.iter().find(|target| target.exchanger == *name).map(|target| target.preference)
    }

    /// One address lookup of an exchanger in this view.
    pub(super) fn lookup_of(
        &self,
        host: &'a ExchangerFacts,
        rtype: RecordType,
    ) -> Option<&'a Lookup> {
        let mut lookups = host.lookups.iter();
        lookups.find(|lookup| lookup.rtype == rtype && *lookup.resolver == *self.resolver)
    }

    /// The same of the exchanger that counts.
    pub(super) fn lookup(&self, rtype: RecordType) -> Option<&'a Lookup> {
        self.lookup_of(self.host?, rtype)
    }

    /// The address lookup that keeps this sender from using the exchanger.
    pub(super) fn blocking_lookup(&self) -> Option<&'a Lookup> {
        self.failing(self.host?)
    }

    /// The same, or else one that fails and does no more than cost time.
    pub(super) fn failing_lookup(&self) -> Option<&'a Lookup> {
        let host = self.host?;
        let families = Family::ALL.iter().filter(|f| self.sender.behaviour.families.contains(f));
        let mut lookups = families.filter_map(|f| self.lookup_of(host, f.record_type()));
        self.failing(host).or_else(|| lookups.find(|lookup| !lookup.status().answered()))
    }

    /// Whether there are only addresses that lead back to the sender, and it passes over those.
    pub(super) fn loopback_only(&self) -> bool {
        let mut addresses =
            self.facts.exchangers.iter().flat_map(|host| &host.addresses).peekable();
        self.sender.behaviour.ignore_loopback
            && addresses.peek().is_some()
            && addresses.all(|address| address.to_canonical().is_loopback())
    }

    /// The exchanger, where the route has only one.
    pub(super) fn sole_target(&self) -> Option<&'a ExchangerFacts> {
        let targets = self.mx()?.route.targets();
        let [only] = &*targets else { return None };
        let mut hosts = self.facts.exchangers.iter().map(|host| &**host);
        hosts.find(|host| host.exchanger.host == Host::Name(only.exchanger.clone()))
    }

    /// The same of any exchanger: AAAA where that alone is enough, else whichever fails.
    fn failing(&self, host: &'a ExchangerFacts) -> Option<&'a Lookup> {
        let behaviour = &self.sender.behaviour;
        let lookup = |family: Family| {
            let used = behaviour.families.contains(&family);
            self.lookup_of(host, family.record_type()).filter(|_| used)
        };
        let [ipv4, ipv6] = Family::ALL.map(lookup);
        // One that works makes up for the other, unless the sender insists.
        let works =
            |lookup: Option<&Lookup>| lookup.is_some_and(|l| l.addresses().next().is_some());
        let counts = |lookup: Option<&'a Lookup>, fatal: bool, other: Option<&Lookup>| {
            lookup.filter(|lookup| !lookup.status().answered() && (fatal || !works(other)))
        };
        let a = counts(ipv4, behaviour.a_temp_fatal, ipv6);
        let aaaa = counts(ipv6, behaviour.aaaa_temp_fatal, ipv4);
        if behaviour.aaaa_temp_fatal { aaaa.or(a) } else { a.or(aaaa) }
    }

    /// The lookup whose answer decided, where it was a lookup.
    pub(super) fn deciding_lookup(&self) -> Option<&'a Lookup> {
        match self.why {
            Why::HostDnsTemp => self.failing_lookup(),
            Why::MxNxdomain | Why::MxLookup(_) | Why::MxNull | Why::MxLoop | Why::NoUsableMx => {
                self.mx().map(|answer| &answer.lookup)
            }
            Why::TlsaError => self.host?.tlsa_through(self.resolver)?.lookups.last(),
            _ => None,
        }
    }

    /// Whether DANE is what this sender goes by at the exchanger that counts: it does DANE, and there
    /// are records that it can rely on. Elsewhere it goes by MTA-STS, if by anything.
    pub(super) fn goes_by_tlsa(&self) -> bool {
        let secure = |host: &ExchangerFacts| {
            let tlsa = host.tlsa_through(self.resolver);
            tlsa.is_some_and(|tlsa| tlsa.status == TlsaStatus::Secure)
        };
        self.sender.behaviour.dane && self.host.is_some_and(secure)
    }

    /// The other resolvers that answered the same question and that a sender can ask.
    pub(super) fn answered_elsewhere(&self) -> Vec<&'a str> {
        let answered = self
            .asked_elsewhere()
            .filter(|other| other.status().answered() && other.zone.is_none());
        answered.map(|other| &*other.resolver).collect()
    }

    /// Whether a server that has authority answered the same question.
    pub(super) fn answered_with_authority(&self) -> bool {
        self.asked_elsewhere().any(|other| other.status().answered() && other.zone.is_some())
    }

    /// Whether another resolver proved by DNSSEC what this one takes for bogus.
    pub(super) fn proved_elsewhere(&self) -> bool {
        self.asked_elsewhere().any(|other| other.status().answered() && other.authentic_data())
    }

    /// The same question as the deciding one, put to the other resolvers.
    fn asked_elsewhere(&self) -> impl Iterator<Item = &'a Lookup> {
        let decided = self.deciding_lookup();
        self.lookups().filter(move |other| {
            decided.is_some_and(|lookup| {
                (other.rtype, &other.name, *other.resolver == *self.resolver)
                    == (lookup.rtype, &lookup.name, false)
            })
        })
    }

    /// Whether this view's resolver answers anything at all.
    pub(super) fn resolver_answers(&self) -> bool {
        self.lookups()
            .any(|lookup| *lookup.resolver == *self.resolver && lookup.status().responded())
    }

    fn lookups(&self) -> impl Iterator<Item = &'a Lookup> {
        let of_domain = self.facts.mx.iter().map(|answer| &answer.lookup);
        of_domain.chain(self.facts.exchangers.iter().flat_map(|host| host.all_lookups()))
    }

    /// Whether every address of every exchanger that was called fails like this one. Silence and
    /// the network's word that there is no way are alike: what blocks a port does one or the other.
    pub(super) fn everywhere(&self) -> bool {
        let alike: &[Why] = match &self.why {
            Why::ConnectTimeout | Why::ConnectUnreachable => {
                &[Why::ConnectTimeout, Why::ConnectUnreachable]
            }
            why => std::slice::from_ref(why),
        };
        let sessions = self.facts.exchangers.iter().flat_map(|host| &host.sessions);
        let mut called = sessions.filter(|session| session.tried()).peekable();
        called.peek().is_some()
            && called.all(|session| alike.iter().any(|why| shows(*why, session)))
    }
}

/// The stages a reason may be about, in the order of the dialogue.
fn stages(why: Why) -> &'static [Stage] {
    match why {
        Why::ConnectTimeout
        | Why::ConnectRefused
        | Why::ConnectReset
        | Why::ConnectUnreachable
        | Why::NoLocalFamily
        | Why::LocalError => &[Stage::Connect],
        Why::BannerTimeout
        | Why::BannerClosed
        | Why::BannerReset
        | Why::BannerMalformed
        | Why::Banner4xx
        | Why::Banner5xx => &[Stage::Banner],
        Why::Ehlo4xx => &[Stage::Ehlo],
        Why::Helo4xx | Why::Helo5xx => &[Stage::Ehlo, Stage::Helo],
        Why::SessionLost | Why::SessionTimeout => &[
            Stage::Ehlo,
            Stage::Helo,
            Stage::Starttls,
            Stage::EhloTls,
            Stage::Auth,
            Stage::Mail,
            Stage::Rcpt,
        ],
        Why::TlsRejected => &[Stage::Starttls],
        Why::TlsHandshake | Why::TlsTimeout => &[Stage::Starttls, Stage::TlsHandshake],
        Why::Mail4xx | Why::Mail5xx => &[Stage::Mail],
        Why::Rcpt4xx | Why::Rcpt5xx => &[Stage::Rcpt],
        Why::Ok
        | Why::MxNxdomain
        | Why::MxLookup(_)
        | Why::MxNull
        | Why::MxLoop
        | Why::NoUsableMx
        | Why::HostDnsTemp
        | Why::TlsNotOffered
        | Why::TlsCert
        | Why::TlsaError
        | Why::StsMx
        | Why::NotLookedUp
        | Why::NotProbed => &[],
    }
}

/// Whether a session ended in the way a reason names.
fn shows(why: Why, session: &Session) -> bool {
    let Some(stage) = stages(why).iter().rev().find_map(|stage| session.stage(*stage)) else {
        return false;
    };
    let Some(reason) = stage.reason_by_code() else { return false };
    match why {
        Why::ConnectTimeout | Why::BannerTimeout | Why::SessionTimeout | Why::TlsTimeout => {
            reason == Reason::Timeout
        }
        Why::ConnectRefused => reason == Reason::Refused,
        Why::ConnectReset | Why::BannerReset => reason == Reason::Reset,
        Why::ConnectUnreachable => reason == Reason::Unreachable,
        Why::NoLocalFamily => reason == Reason::NoLocalFamily,
        Why::LocalError => reason == Reason::LocalError,
        Why::BannerClosed => reason == Reason::Closed,
        Why::TlsHandshake => reason != Reason::Timeout,
        Why::SessionLost if stage.stage == Stage::Auth => reason != Reason::Timeout,
        Why::SessionLost => matches!(
            reason,
            Reason::Closed
                | Reason::Malformed
                | Reason::ReplyUnexpected
                | Reason::Reset
                | Reason::TooLong
                | Reason::Unreachable
        ),
        Why::BannerMalformed => {
            matches!(reason, Reason::Malformed | Reason::ReplyUnexpected | Reason::TooLong)
        }
        // The codes were sorted by the verdict; here any refusal at that stage will do.
        _ => matches!(reason, Reason::Reply4xx | Reason::Reply5xx),
    }
}

/// Which server failed how, as in `SERVFAIL from 192.0.2.53`.
pub(super) fn answer_of(lookup: &Lookup) -> String {
    let Some(exchange) = lookup.deciding() else { return unanswered(lookup) };
    let server = match exchange.server {
        // In facts written by hand.
        nobody if nobody.ip().is_unspecified() => "the name server".to_owned(),
        server => place(server),
    };
    let what = match exchange.status {
        LookupStatus::Timeout => format!("no answer from {server}"),
        LookupStatus::NetworkError if exchange.further.error.is_some() => {
            format!("no answer from {server}")
        }
        LookupStatus::NetworkError => format!("{server} cannot be reached"),
        LookupStatus::Malformed => format!("no DNS message from {server}"),
        LookupStatus::Bogus => format!("DNSSEC validation fails at {server}"),
        status => format!("{} from {server}", status.label().to_uppercase()),
    };
    match why(exchange) {
        Some(why) => format!("{what}: {why}"),
        None => what,
    }
}

/// What more is known about an exchange that failed than its status says.
pub(super) fn why(exchange: &Exchange) -> Option<String> {
    if exchange.status.answered() {
        return None;
    }
    let own = exchange.further.error.as_deref().map(|error| one_line(error, LONGEST_ERROR));
    own.or_else(|| extended_error::foremost(exchange))
}

/// Characters of it; facts may come from anybody's file.
const LONGEST_ERROR: usize = 200;
