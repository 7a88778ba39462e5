//! What a sender finds when it asks one resolver: the exchangers by preference, their addresses,
//! and how each address behaves. The same for every sender; made once from the facts.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::conduct::Conduct;
use crate::{
    facts::{
        ExchangerFacts, Facts, Family, LookupStatus, MtaSts, Route, Session, StsMode, TlsaFacts,
    },
    name::{Destination, Exchanger, ExchangerName, Host},
};

/// Everything a sender could find out.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub(super) mx: Mx,
    /// Time the MX lookup took, when it was answered.
    pub(super) mx_took: Duration,
    /// Where the exchangers come from.
    pub(super) listing: Listing,
    /// Every exchanger, each once.
    pub(super) hosts: Vec<HostView>,
    /// Addresses come in the order listed.
    pub(super) in_order: bool,
    /// Whether the MTA-STS policy was looked for.
    pub(super) sts_known: bool,
}

/// What the MX lookup says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Mx {
    /// Preference and index of the host, best first.
    Hosts(Vec<(u16, usize)>),
    Null,
    /// No such domain; the index of the domain as host, for senders that look all the same.
    NoDomain(usize),
    /// The lookup failed; the index as above.
    Failed(LookupStatus, usize),
    NotLookedUp,
}

/// Where the exchangers come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Listing {
    /// MX records beside a null MX.
    BesideNull,
    /// There is no MX: the domain is its own exchanger.
    Implicit,
    /// MX records, or a fixed relay.
    Plain,
}

/// One exchanger.
#[derive(Clone, Debug)]
pub(super) struct HostView {
    pub(super) exchanger: Exchanger,
    /// A and AAAA: index by `Family as usize`.
    pub(super) answers: [AddressAnswer; 2],
    /// The name spells this address.
    pub(super) literal: Option<usize>,
    /// It needs no lookup.
    pub(super) fixed: bool,
    /// Every address of it.
    pub(super) servers: Vec<ServerView>,
    /// The address lookups were proved by DNSSEC as this resolver says.
    pub(super) secure: bool,
    /// Its TLSA records as this resolver gives them, whose AD bit is trusted.
    pub(super) tlsa: Option<Arc<TlsaFacts>>,
    /// An MTA-STS policy is enforced; whether it lists this exchanger.
    pub(super) sts_enforced: Option<bool>,
    /// It is the sending host, as far as that is known.
    pub(super) own: Option<Own>,
}

/// By what an exchanger is known to be the sending host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Own {
    /// It has one of its addresses.
    Address,
    /// It has its name.
    Name,
}

/// One address.
#[derive(Clone, Debug)]
pub(super) struct ServerView {
    pub(super) address: IpAddr,
    pub(super) conduct: Conduct,
}

/// What an address lookup says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct AddressAnswer {
    pub(super) kind: AnswerKind,
    /// Time it took, when it was answered.
    pub(super) took: Duration,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum AnswerKind {
    /// Indices of servers, in the order of the answer.
    Addresses(Vec<usize>),
    Nodata,
    Nxdomain,
    Failed(LookupStatus),
    NotAsked,
}

impl AddressAnswer {
    pub(super) fn new(kind: AnswerKind) -> Self {
        Self { kind, took: Duration::ZERO }
    }
}

impl Situation {
    pub(super) fn new(facts: &Facts, resolver: &str) -> Self {
        let mut made = Self {
            mx: Mx::NotLookedUp,
            mx_took: Duration::ZERO,
            listing: Listing::Plain,
            hosts: Vec::new(),
            in_order: facts.answers_in_order,
            sts_known: facts.mta_sts.is_some(),
        };
        let view = View { facts, resolver, sessions: sessions(facts) };
        match &facts.destination {
            Destination::SmartHost(exchanger) => {
                let host = made.host(&view, exchanger.clone());
                made.mx = Mx::Hosts(vec![(0, host)]);
            }
            Destination::Domain(domain) => {
                let answer = facts.mx.iter().find(|mx| &*mx.lookup.resolver == resolver);
                let Some(answer) = answer.filter(|mx| mx.lookup.asked()) else {
                    return made;
                };
                made.mx_took = answer.lookup.took_to_answer();
                let port = facts.exchangers.first().map_or(25, |facts| facts.exchanger.port);
                let exchanger = |name: ExchangerName| Exchanger { host: Host::Name(name), port };
                made.mx = match &answer.route {
                    Route::Null => Mx::Null,
                    Route::NoDomain => {
                        Mx::NoDomain(made.absent(exchanger(domain.implicit_exchanger()), &view))
                    }
                    Route::Unknown => {
                        let status = answer.lookup.status();
                        let host = made.absent(exchanger(domain.implicit_exchanger()), &view);
                        Mx::Failed(status, host)
                    }
                    Route::Implicit { .. } | Route::Mx { .. } => {
                        let targets = answer.route.targets().into_owned().into_iter();
                        let hosts = targets.map(|target| {
                            (target.preference, made.host(&view, exchanger(target.exchanger)))
                        });
                        let mut hosts: Vec<_> = hosts.collect();
                        // A file of facts may list them in any order.
                        hosts.sort_by_key(|(preference, _)| *preference);
                        Mx::Hosts(hosts)
                    }
                };
                made.listing = match answer.route {
                    Route::Implicit { .. } => Listing::Implicit,
                    Route::Mx { null_mixed: true, .. } => Listing::BesideNull,
                    _ => Listing::Plain,
                };
            }
        }
        made
    }

    /// The index of an exchanger, which is added when it is new.
    fn host(&mut self, view: &View<'_>, exchanger: Exchanger) -> usize {
        if let Some(known) = self.hosts.iter().position(|host| host.exchanger == exchanger) {
            return known;
        }
        self.hosts.push(view.host(exchanger));
        self.hosts.len() - 1
    }

    /// The same for the domain itself where its lookup gave no route. A name that does not exist has
    /// no addresses either (RFC 8020).
    fn absent(&mut self, exchanger: Exchanger, view: &View<'_>) -> usize {
        let index = self.host(view, exchanger);
        let missing = view.facts.mx.iter().any(|mx| {
            &*mx.lookup.resolver == view.resolver && mx.lookup.status() == LookupStatus::Nxdomain
        });
        for answer in &mut self.hosts[index].answers {
            if missing && answer.kind == AnswerKind::NotAsked {
                answer.kind = AnswerKind::Nxdomain;
            }
        }
        index
    }
}

/// The facts through one resolver.
struct View<'a> {
    facts: &'a Facts,
    resolver: &'a str,
    sessions: HashMap<SocketAddr, &'a Session>,
}

impl View<'_> {
    fn host(&self, exchanger: Exchanger) -> HostView {
        let known = self.facts.exchangers.iter().find(|facts| facts.exchanger == exchanger);
        let known = known.map(AsRef::as_ref);
        let mut host = HostView {
            answers: [AnswerKind::NotAsked, AnswerKind::NotAsked].map(AddressAnswer::new),
            literal: None,
            fixed: false,
            servers: Vec::new(),
            secure: false,
            tlsa: known.and_then(|facts| facts.tlsa_through(self.resolver)).cloned(),
            sts_enforced: self
                .facts
                .mta_sts
                .as_ref()
                .and_then(|policy| enforced(policy, &exchanger)),
            own: None,
            exchanger,
        };
        match &host.exchanger.host {
            Host::Address(address) => {
                let server = self.server(&mut host.servers, *address, host.exchanger.port, known);
                host.literal = Some(server);
                host.fixed = true;
            }
            Host::Name(name) => {
                if let Some(address) = name.bare_address() {
                    let port = host.exchanger.port;
                    host.literal = Some(self.server(&mut host.servers, address, port, known));
                }
            }
        }
        for family in Family::ALL {
            let rtype = family.record_type();
            let lookups = known.into_iter().flat_map(|facts| &*facts.lookups);
            let mut own = lookups.filter(|l| &*l.resolver == self.resolver && l.rtype == rtype);
            let Some(lookup) = own.next().filter(|lookup| lookup.asked()) else {
                continue;
            };
            let kind = match lookup.status() {
                LookupStatus::Noerror => {
                    let port = host.exchanger.port;
                    let servers = lookup
                        .addresses()
                        .map(|address| self.server(&mut host.servers, address, port, known));
                    AnswerKind::Addresses(servers.collect())
                }
                LookupStatus::Nodata => AnswerKind::Nodata,
                LookupStatus::Nxdomain => AnswerKind::Nxdomain,
                failed => AnswerKind::Failed(failed),
            };
            host.secure |= lookup.authentic_data();
            host.answers[family as usize] = AddressAnswer { kind, took: lookup.took_to_answer() };
        }
        if let Some(own) = &self.facts.own_host {
            let named = |name: &ExchangerName| host.exchanger.host == Host::Name(name.clone());
            let has = |server: &ServerView| own.addresses.contains(&server.address);
            if own.names.iter().any(named) {
                host.own = Some(Own::Name);
            } else if host.servers.iter().any(has) {
                host.own = Some(Own::Address);
            }
        }
        host
    }

    /// The index of an address among the servers of a host, to which it is added when it is new.
    fn server(
        &self,
        servers: &mut Vec<ServerView>,
        address: IpAddr,
        port: u16,
        known: Option<&ExchangerFacts>,
    ) -> usize {
        if let Some(index) = servers.iter().position(|server| server.address == address) {
            return index;
        }
        let peer = SocketAddr::from((address, port));
        let held = known.and_then(|facts| facts.sessions.iter().find(|held| held.peer == peer));
        let tlsa = known.and_then(|facts| facts.tlsa_through(self.resolver)).map(AsRef::as_ref);
        let of = |session| Conduct::of(session, tlsa);
        let own = held.map(AsRef::as_ref).or_else(|| stand_in(known?, address)).map(of);
        // A server may show each name another certificate, so of a session that was held for another
        // exchanger that counts for nothing.
        let other = || self.sessions.get(&peer).map(|session| of(session).with_tls_untried());
        let conduct = own.or_else(other).unwrap_or(Conduct::UNOBSERVED);
        servers.push(ServerView { address, conduct });
        servers.len() - 1
    }
}

/// Many name servers give another address every time. Until the first of the new ones has been
/// called, one of those called before stands in for them, the worst there is.
fn stand_in(known: &ExchangerFacts, address: IpAddr) -> Option<&Session> {
    let family = Family::of(address);
    let called = |address| known.sessions.iter().any(|session| session.peer.ip() == address);
    if known.addresses_of(family).any(called) {
        return None;
    }
    known.sessions_of(family).min_by_key(|session| session.up()).map(AsRef::as_ref)
}

fn sessions(facts: &Facts) -> HashMap<SocketAddr, &Session> {
    let all = facts.exchangers.iter().flat_map(|exchanger| &exchanger.sessions);
    all.map(|session| (session.peer, &**session)).collect()
}

fn enforced(policy: &MtaSts, exchanger: &Exchanger) -> Option<bool> {
    (policy.mode == StsMode::Enforce).then(|| policy.lists(&exchanger.host.to_string()))
}
