//! In which order a sender goes through the addresses: by preference, by host, by family, and where
//! it leaves the order to chance.
//!
//! Stages follow each other. Within a stage groups do, in any order where chance decides, and
//! within a group bags of addresses. A sender that looks everything up first has one bag for each
//! preference and family; one that looks up hosts in their turn has a group for each host.

use std::time::Duration;

use super::{
    behaviour::{Behaviour, HostTempScope, Ipv4BesideIpv6, MxLiteral, Parameter, Query, Resolve},
    effect::noticed,
    evidence::Evidence,
    situation::{AnswerKind, HostView, Situation},
    verdict::Why,
};
use crate::facts::{Family, LookupStatus};

/// Where a message may go, in order.
#[derive(Clone, Debug)]
pub(super) struct Itinerary {
    /// Time spent before the first connection.
    pub(super) cost: Duration,
    /// Hosts that were left out because their lookups fail, best first.
    pub(super) failing: Vec<usize>,
    /// The message waits at once because of this host.
    pub(super) held_by: Option<usize>,
    pub(super) stages: Vec<Stage>,
    pub(super) evidence: Evidence,
}

/// The exchangers of one preference, or one family of them.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) preference: u16,
    pub(super) groups: Vec<Group>,
}

/// Bags that are tried one after the other.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// What looking up a host in its turn comes to.
    pub(super) entry: Entry,
    pub(super) bags: Vec<Bag>,
}

/// The lookup of a host in its turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    /// Time it takes.
    pub(super) cost: Duration,
    /// The host cannot be used now.
    pub(super) failed: Option<Failing>,
    /// Something in it failed, if not everything.
    pub(super) temp_seen: bool,
    pub(super) evidence: Evidence,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failing {
    /// The lookups of this host fail.
    Temporarily(usize),
    /// They were not made.
    Unknown(usize),
}

/// Addresses that are tried in the order given, or in any.
#[derive(Clone, Debug)]
pub(super) struct Bag {
    /// Time it takes to find them.
    pub(super) cost: Duration,
    pub(super) any_order: bool,
    pub(super) servers: Vec<Stop>,
}

/// One address of one host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Stop {
    pub(super) host: usize,
    pub(super) server: usize,
    pub(super) family: Family,
}

/// Plans the way through these exchangers, best first. `first` is the family that comes first.
pub(super) fn plan(
    situation: &Situation,
    hosts: &[(u16, usize)],
    sender: &Behaviour,
    first: Family,
) -> Itinerary {
    let mut families = sender.families.clone();
    families.sort_by_key(|family| *family != first);
    let planner = Planner { situation, sender, families };
    match sender.resolve {
        Resolve::Eager => planner.eager(hosts),
        Resolve::Lazy => planner.lazy(hosts),
    }
}

impl Itinerary {
    /// The same with the families of each preference mixed, where that makes a difference to going
    /// through one family after the other: where several hosts of one preference have both.
    pub(super) fn mixed(&self) -> Option<Self> {
        let mut mixed = Self { stages: Vec::new(), ..self.clone() };
        let mut differs = false;
        for same in self.stages.chunk_by(|one, other| one.preference == other.preference) {
            let bags = || same.iter().flat_map(|stage| &stage.groups).flat_map(|group| &group.bags);
            let servers: Vec<Stop> = bags().flat_map(|bag| &bag.servers).copied().collect();
            let both = Family::ALL.iter().all(|f| servers.iter().any(|stop| stop.family == *f));
            let several = servers.iter().any(|stop| stop.host != servers[0].host);
            if !(both && several) {
                mixed.stages.extend_from_slice(same);
                continue;
            }
            differs = true;
            let preference = same[0].preference;
            let bags = vec![Bag { cost: Duration::ZERO, any_order: true, servers }];
            let groups = vec![Group { entry: Entry::default(), bags }];
            mixed.stages.push(Stage { preference, groups });
            let unknown = same.iter().filter(|s| s.groups.iter().any(|g| g.entry.failed.is_some()));
            mixed.stages.extend(unknown.cloned());
        }
        differs.then_some(mixed)
    }
}

/// Whether a resolver library waits on after this: an answer that is none is like no answer.
pub(super) fn waits_for_better(status: LookupStatus) -> bool {
    matches!(status, LookupStatus::Malformed | LookupStatus::Timeout)
}

struct Planner<'a> {
    situation: &'a Situation,
    sender: &'a Behaviour,
    families: Vec<Family>,
}

impl Planner<'_> {
    fn eager(&self, hosts: &[(u16, usize)]) -> Itinerary {
        let mut way = Itinerary {
            cost: Duration::ZERO,
            failing: Vec::new(),
            held_by: None,
            stages: Vec::new(),
            evidence: Evidence::default(),
        };
        let mut found = Vec::new();
        let mut temp_seen = false;
        let mut dropped_from = None;
        for &(preference, host) in hosts {
            let group = self.resolve(host);
            way.cost += group.entry.cost;
            way.evidence.absorb(group.entry.evidence);
            temp_seen |= group.entry.temp_seen;
            match group.entry.failed {
                Some(Failing::Unknown(_)) => {
                    // Of many exchangers the last are not followed. It matters where it comes to
                    // them.
                    way.evidence.assumed = true;
                    found.push((preference, group));
                }
                Some(Failing::Temporarily(host)) => {
                    way.failing.push(host);
                    way.evidence.consult(Parameter::HostTempScope);
                    match self.sender.host_temp_scope {
                        HostTempScope::DeferDomain => {
                            way.held_by = way.held_by.or(Some(host));
                        }
                        HostTempScope::DropGePref => {
                            dropped_from = dropped_from.or(Some(preference));
                        }
                        HostTempScope::SkipHost => {}
                    }
                }
                None => found.push((preference, group)),
            }
        }
        if let Some(cap) = self.sender.dns_cap.limit() {
            way.cost = way.cost.min(cap);
        }
        if temp_seen {
            way.cost = way.cost.max(self.sender.dns_temp_wait.0);
        }
        // Hosts come by preference, so the first that failed has the best of those that did.
        found.retain(|(preference, _)| dropped_from.is_none_or(|from| *preference < from));
        for same in found.chunk_by(|one, other| one.0 == other.0) {
            let preference = same[0].0;
            for &family in &self.families {
                let groups = self.groups_of(same, family);
                if !groups.is_empty() {
                    way.stages.push(Stage { preference, groups });
                }
            }
            let unknown = same.iter().map(|(_, group)| group).filter(|g| g.entry.failed.is_some());
            let groups: Vec<Group> = unknown.cloned().collect();
            if !groups.is_empty() {
                way.stages.push(Stage { preference, groups });
            }
        }
        way
    }

    /// The addresses of one family at exchangers of one preference that are looked up already.
    fn groups_of(&self, same: &[(u16, Group)], family: Family) -> Vec<Group> {
        let bag = |group: &Group| -> Vec<Stop> {
            let stops = group.bags.iter().flat_map(|bag| &bag.servers);
            stops.filter(|stop| stop.family == family).copied().collect()
        };
        let bags = same.iter().map(|(_, group)| bag(group)).filter(|bag| !bag.is_empty());
        let group = |servers, any_order| {
            let bags = vec![Bag { cost: Duration::ZERO, any_order, servers }];
            Group { entry: Entry::default(), bags }
        };
        if self.sender.shuffle_addrs {
            let all: Vec<Stop> = bags.flatten().collect();
            return if all.is_empty() { Vec::new() } else { vec![group(all, true)] };
        }
        bags.map(|servers| group(servers, self.any_order())).collect()
    }

    fn lazy(&self, hosts: &[(u16, usize)]) -> Itinerary {
        let stages = hosts.chunk_by(|one, other| one.0 == other.0).map(|same| Stage {
            preference: same[0].0,
            groups: same.iter().map(|&(_, host)| self.resolve(host)).collect(),
        });
        Itinerary {
            cost: Duration::ZERO,
            failing: Vec::new(),
            held_by: None,
            stages: stages.collect(),
            evidence: Evidence::default(),
        }
    }

    fn any_order(&self) -> bool {
        self.sender.shuffle_addrs || !self.situation.in_order
    }

    /// Looks up one host as this sender does.
    fn resolve(&self, host: usize) -> Group {
        let view = &self.situation.hosts[host];
        let mut looking = Looking::default();
        if let Some(server) = view.literal {
            if view.fixed || self.sender.mx_literal == MxLiteral::Address {
                let family = Family::of(view.servers[server].address);
                if self.families.contains(&family) {
                    let stop = Stop { host, server, family };
                    looking.bags.push(Bag {
                        cost: Duration::ZERO,
                        any_order: false,
                        servers: vec![stop],
                    });
                }
            }
            if !view.fixed {
                looking.entry.evidence.consult(Parameter::MxLiteral);
            }
            return looking.group();
        }
        for &family in &self.families {
            let have_ipv6 =
                looking.bags.iter().any(|bag| bag.servers.iter().any(|s| s.family == Family::Ipv6));
            let beside = family == Family::Ipv4 && have_ipv6;
            match self.sender.ipv4_beside_ipv6 {
                Ipv4BesideIpv6::Never if beside => continue,
                Ipv4BesideIpv6::IfIpv6Fails if beside => {
                    let mut later = Looking::default();
                    // A failure here is no news: IPv6 has failed by then, and the message waits.
                    let _ = self.look_up(view, host, family, &mut later);
                    looking.entry.evidence.absorb(later.entry.evidence);
                    let cost = later.cost(self.sender);
                    looking.bags.extend(later.bags.into_iter().map(|bag| Bag { cost, ..bag }));
                    continue;
                }
                _ => {}
            }
            if self.look_up(view, host, family, &mut looking).is_break() {
                break;
            }
        }
        looking.entry.cost = looking.cost(self.sender);
        if looking.entry.failed.is_none() && looking.bags.is_empty() && looking.temp {
            looking.entry.failed = Some(Failing::Temporarily(host));
        }
        looking.group()
    }

    /// Looks up one family of a host. Breaks when the host is out of the question.
    fn look_up(
        &self,
        view: &HostView,
        host: usize,
        family: Family,
        looking: &mut Looking,
    ) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let sender = self.sender;
        let answer = &view.answers[family as usize];
        looking.costs.push(noticed(answer.took));
        match &answer.kind {
            AnswerKind::Addresses(servers) => {
                let exists = |server: &usize| {
                    let address = view.servers[*server].address;
                    !(sender.ignore_loopback && address.is_ipv4() && address.is_loopback())
                };
                let servers = servers.iter().copied().filter(exists);
                let servers: Vec<Stop> =
                    servers.map(|server| Stop { host, server, family }).collect();
                if !servers.is_empty() {
                    let any_order = self.any_order();
                    looking.bags.push(Bag { cost: Duration::ZERO, any_order, servers });
                }
            }
            AnswerKind::Nodata => {}
            AnswerKind::Nxdomain => {
                if family == Family::Ipv6 {
                    looking.entry.evidence.consult(Parameter::AaaaNxPoisons);
                    if sender.aaaa_nx_poisons {
                        // To it there is no such host, whatever came of A.
                        looking.bags.clear();
                        looking.temp = false;
                        return Break(());
                    }
                }
            }
            AnswerKind::Failed(LookupStatus::Formerr) if !sender.host_formerr_temp => {
                looking.entry.evidence.consult(Parameter::HostFormerrTemp);
            }
            AnswerKind::Failed(status) => {
                if waits_for_better(*status) {
                    looking.costs.push(sender.dns_timeout.0 * sender.addr_dns_factor);
                }
                let (fatal, parameter) = match family {
                    Family::Ipv4 => (sender.a_temp_fatal, Parameter::ATempFatal),
                    Family::Ipv6 => (sender.aaaa_temp_fatal, Parameter::AaaaTempFatal),
                };
                looking.entry.evidence.consult(parameter);
                looking.entry.temp_seen = true;
                looking.temp |= family == Family::Ipv4 || sender.aaaa_temp_counts;
                if fatal {
                    looking.bags.clear();
                    looking.entry.failed = Some(Failing::Temporarily(host));
                    return Break(());
                }
            }
            AnswerKind::NotAsked => {
                looking.bags.clear();
                looking.entry.failed = Some(Failing::Unknown(host));
                return Break(());
            }
        }
        Continue(())
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self { cost: Duration::ZERO, failed: None, temp_seen: false, evidence: Evidence::default() }
    }
}

/// A host while it is being looked up.
#[derive(Default)]
struct Looking {
    entry: Entry,
    bags: Vec<Bag>,
    costs: Vec<Duration>,
    /// A lookup failed that counts as a reason to wait.
    temp: bool,
}

impl Looking {
    fn cost(&self, sender: &Behaviour) -> Duration {
        match sender.query {
            Query::Parallel => self.costs.iter().max().copied().unwrap_or_default(),
            Query::Serial => self.costs.iter().sum(),
        }
    }

    fn group(self) -> Group {
        Group { entry: self.entry, bags: self.bags }
    }
}

impl Failing {
    /// Why this ends an attempt.
    pub(super) fn why(self) -> Why {
        match self {
            Self::Temporarily(_) => Why::HostDnsTemp,
            Self::Unknown(_) => Why::NotLookedUp,
        }
    }
}
