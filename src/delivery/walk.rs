//! One attempt to deliver: from address to address until one takes the message or none is left.
//! Where chance decides which comes next, every way is gone.

use std::{collections::HashSet, time::Duration};

use super::{
    behaviour::{Behaviour, End, HostTempScope, Parameter, Step},
    effect::{Effect, Ending, Failed, effect},
    ends::{At, Ends, Finish},
    itinerary::{Failing, Group, Itinerary, Stop},
    situation::Situation,
    verdict::{Outcome, Why},
};
use crate::facts::Family;

/// Ways that are followed at most: names and addresses of a stranger must not keep us busy.
const MAX_STEPS: usize = 4_000;

/// Goes every way of an itinerary with a message of this age.
pub(super) fn walk(
    situation: &Situation,
    itinerary: &Itinerary,
    sender: &Behaviour,
    age: Duration,
    own_left_out: bool,
) -> Ends {
    let mut ends = Ends { evidence: itinerary.evidence, ..Ends::default() };
    let failing = itinerary.failing.first().copied();
    let start = Way { t: itinerary.cost, failing, ..Way::default() };
    if let Some(host) = itinerary.held_by {
        let at = Some((host, None));
        let why = Failing::Temporarily(host).why();
        ends.add(Finish::by(Outcome::Defer, why, at, start.t));
        return ends;
    }
    let mut walker = Walker {
        situation,
        itinerary,
        sender,
        age,
        own_left_out,
        ends,
        open: Vec::new(),
        known: HashSet::new(),
    };
    let keep = walker.quota();
    walker.open.push(Way { keep, ..start });
    walker.go();
    walker.ends
}

/// A place on the way, and what was spent to get there.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Way {
    stage: usize,
    /// The groups left of the stage, once it has been entered.
    groups: Option<Vec<usize>>,
    /// The group gone through, and its next bag.
    group: Option<(usize, usize)>,
    /// Left of the current bag.
    stops: Vec<Stop>,
    any_order: bool,
    t: Duration,
    dns: Duration,
    tried: u32,
    sessions: u32,
    /// Addresses still allowed of each family: index by `Family as usize`.
    keep: Option<[usize; 2]>,
    /// One more address although the limit is reached.
    bonus: bool,
    /// Where RCPT was refused with 4yz, and that sticks.
    sticky: Option<At>,
    /// The first host that was left out because its lookups fail.
    failing: Option<usize>,
    /// Hosts that are not tried any more.
    left: Vec<usize>,
    last: Option<(Why, At)>,
}

impl Way {
    /// Leaves nothing to try.
    fn rule_all_out(&mut self) {
        self.stage = usize::MAX;
        self.groups = None;
        self.group = None;
        self.stops.clear();
    }

    /// Takes out what has been ruled out: hosts that were left, families whose share is used up.
    fn drop_excluded(&mut self) {
        if self.left.is_empty() && self.keep.is_none() {
            return;
        }
        let mut stops = std::mem::take(&mut self.stops);
        stops.retain(|stop| self.allows(*stop));
        self.stops = stops;
    }

    /// Whether an address has not been ruled out.
    fn allows(&self, stop: Stop) -> bool {
        let share = self.keep.is_none_or(|keep| keep[stop.family as usize] > 0);
        share && !self.left.contains(&stop.host)
    }
}

struct Walker<'a> {
    situation: &'a Situation,
    itinerary: &'a Itinerary,
    sender: &'a Behaviour,
    age: Duration,
    own_left_out: bool,
    ends: Ends,
    open: Vec<Way>,
    known: HashSet<Way>,
}

impl Walker<'_> {
    fn go(&mut self) {
        let mut steps = 0;
        while let Some(way) = self.open.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                self.ends.cut_short = true;
                return;
            }
            self.advance(way);
        }
    }

    /// Goes on to the next choice, and opens a way for each different thing that may be chosen.
    fn advance(&mut self, mut way: Way) {
        loop {
            way.drop_excluded();
            // Behind the limit nothing is looked up any more either.
            if self.limit_reached(&way) && !self.skip_to_worse(&mut way) {
                self.give_up(&way);
                return;
            }
            if !way.stops.is_empty() {
                self.choose_address(&way);
                return;
            }
            if let Some((group, bag)) = way.group {
                let stage = &self.itinerary.stages[way.stage];
                if let Some(next) = stage.groups[group].bags.get(bag) {
                    self.spend_on_dns(&mut way, next.cost);
                    way.stops.clone_from(&next.servers);
                    way.any_order = next.any_order;
                    way.group = Some((group, bag + 1));
                } else {
                    way.group = None;
                }
                continue;
            }
            let Some(stage) = self.itinerary.stages.get(way.stage) else {
                self.give_up(&way);
                return;
            };
            match way.groups.as_deref() {
                None => way.groups = Some((0..stage.groups.len()).collect()),
                Some([]) => {
                    way.stage += 1;
                    way.groups = None;
                }
                Some(&[group]) => {
                    way.groups = Some(Vec::new());
                    if !self.enter(&mut way, group) {
                        return;
                    }
                }
                Some(groups) => {
                    self.choose_group(&way, groups);
                    return;
                }
            }
        }
    }

    /// Opens a way for each group that may come next and is not like one already opened.
    fn choose_group(&mut self, way: &Way, left: &[usize]) {
        if !self.known.insert(way.clone()) {
            return;
        }
        let groups = &self.itinerary.stages[way.stage].groups;
        let mut chosen: Vec<usize> = Vec::new();
        let mut opened = Vec::new();
        for &index in left {
            if chosen.iter().any(|&other| self.groups_alike(&groups[other], &groups[index])) {
                continue;
            }
            chosen.push(index);
            let mut next = way.clone();
            next.groups = Some(left.iter().copied().filter(|other| *other != index).collect());
            if self.enter(&mut next, index) {
                opened.push(next);
            }
        }
        // The first is gone first.
        self.open.extend(opened.into_iter().rev());
    }

    /// Takes up a group; looks its host up if that was left until now. `false` when the attempt ends
    /// with it.
    fn enter(&mut self, way: &mut Way, index: usize) -> bool {
        let group = &self.itinerary.stages[way.stage].groups[index];
        let entry = group.entry;
        self.ends.evidence.absorb(entry.evidence);
        self.spend_on_dns(way, entry.cost);
        if entry.temp_seen {
            way.t = way.t.max(self.sender.dns_temp_wait.0);
        }
        match entry.failed {
            None => {
                way.group = Some((index, 0));
                true
            }
            Some(failing @ Failing::Unknown(host)) => {
                let at = Some((host, None));
                self.ends.add(Finish::by(Outcome::Unknown, failing.why(), at, way.t));
                false
            }
            Some(failing @ Failing::Temporarily(host)) => {
                let at = (host, None);
                let why = failing.why();
                way.failing = way.failing.or(Some(host));
                if way.tried > 0 {
                    way.last = Some((why, at));
                }
                self.ends.evidence.consult(Parameter::HostTempScope);
                match self.sender.host_temp_scope {
                    HostTempScope::SkipHost => true,
                    HostTempScope::DropGePref => {
                        self.give_up(way);
                        false
                    }
                    HostTempScope::DeferDomain => {
                        self.ends.add(Finish::by(Outcome::Defer, why, Some(at), way.t));
                        false
                    }
                }
            }
        }
    }

    fn spend_on_dns(&self, way: &mut Way, cost: Duration) {
        let cap = self.sender.dns_cap.limit();
        let left = cap.map_or(cost, |cap| cost.min(cap.saturating_sub(way.dns)));
        way.dns += left;
        way.t += left;
    }

    /// Opens a way for each address that may come next and is not like one already opened.
    fn choose_address(&mut self, way: &Way) {
        if !way.any_order || way.stops.len() == 1 {
            let mut next = way.clone();
            let stop = next.stops.remove(0);
            self.attempt(next, stop);
            return;
        }
        if !self.known.insert(way.clone()) {
            return;
        }
        let effects: Vec<Effect> = way.stops.iter().map(|&stop| self.effect(stop)).collect();
        // Where one address may rule out the rest of its host, it matters whose the others are.
        let hosts_count = effects.iter().any(leaves);
        for place in 0..way.stops.len() {
            let like = |other: usize| {
                let (one, two) = (way.stops[other], way.stops[place]);
                same_way(one, &effects[other], two, &effects[place], hosts_count)
            };
            if (0..place).any(like) {
                continue;
            }
            let mut next = way.clone();
            let stop = next.stops.remove(place);
            self.attempt(next, stop);
        }
    }

    /// Tries an address. Ends the way, or goes on with it.
    fn attempt(&mut self, mut way: Way, stop: Stop) {
        way.tried += 1;
        way.bonus = false;
        if let Some(keep) = &mut way.keep {
            keep[stop.family as usize] -= 1;
        }
        let Effect { end, cost, session, evidence } = self.effect(stop);
        self.ends.evidence.absorb(evidence);
        if end != Ending::Delivered && self.other_family(stop) {
            self.ends.evidence.consult(Parameter::FamilyOrder);
        }
        let at = Some((stop.host, Some(stop.family)));
        let finish = |outcome, why, wait| Finish::by(outcome, why, at, wait);
        match end {
            Ending::Delivered => self.ends.add(finish(Outcome::Deliver, Why::Ok, way.t + cost)),
            Ending::Unknown(why) => self.ends.add(finish(Outcome::Unknown, why, way.t + cost)),
            Ending::Failed(failed) => {
                let beside =
                    self.sender.parallel_after.limit().filter(|_| self.others_beside(&way));
                way.t += beside.map_or(cost, |after| cost.min(after));
                way.sessions += u32::from(session);
                if let Some((outcome, why)) = self.go_on(&mut way, stop, &failed) {
                    self.ends.add(finish(outcome, why, way.t));
                } else if self.sender.max_sessions > 0 && way.sessions >= self.sender.max_sessions {
                    self.ends.evidence.consult(Parameter::MaxSessions);
                    self.give_up(&way);
                } else {
                    self.open.push(way);
                }
            }
        }
    }

    /// Does what the sender does after a failure: the end of the attempt, or `None` to go on.
    fn go_on(&mut self, way: &mut Way, stop: Stop, failed: &Failed) -> Option<(Outcome, Why)> {
        let last = self.is_last(way, stop.host, failed.nonfinal.0);
        let (then, parameter) = if last { failed.last } else { failed.nonfinal };
        self.ends.evidence.consult(parameter);
        // A refusal of the recipient itself counts whatever was said before.
        let by_recipient = matches!(failed.why, Why::Rcpt4xx | Why::Rcpt5xx);
        let at = (stop.host, Some(stop.family));
        way.last = Some((failed.why, at));
        match then {
            Step::Bounce if !by_recipient && way.sticky.is_some() => {
                self.ends.evidence.consult(Parameter::Rcpt4xxSticky);
                way.last = way.sticky.map(|at| (Why::Rcpt4xx, at));
                way.rule_all_out();
                return None;
            }
            Step::Bounce => return Some((Outcome::Bounce, failed.why)),
            Step::Defer => return Some((Outcome::Defer, failed.why)),
            Step::NextAddr => {}
            Step::NextHost => way.left.push(stop.host),
        }
        if self.sender.rcpt_4xx_sticky && failed.why == Why::Rcpt4xx {
            way.sticky = Some(at);
        }
        None
    }

    fn effect(&self, stop: Stop) -> Effect {
        let host = &self.situation.hosts[stop.host];
        let conduct = &host.servers[stop.server].conduct;
        effect(conduct, host, self.situation, self.sender, self.age)
    }

    /// Whether the host has addresses of the other family too.
    fn other_family(&self, stop: Stop) -> bool {
        let servers = &self.situation.hosts[stop.host].servers;
        self.sender.families.len() > 1
            && servers.iter().any(|server| Family::of(server.address) != stop.family)
    }

    /// Nothing is left to try.
    fn give_up(&mut self, way: &Way) {
        let sender = self.sender;
        let defer = |why, at, wait| Finish { outcome: Outcome::Defer, why, via: None, at, wait };
        let finish = match way.last {
            Some((why, at)) => {
                let greeted = matches!(why, Why::Mail4xx | Why::Rcpt4xx | Why::HostDnsTemp);
                let least = if greeted { Duration::ZERO } else { sender.give_up_wait.0 };
                defer(why, Some(at), way.t.max(least))
            }
            None => match way.failing {
                Some(host) => defer(Why::HostDnsTemp, Some((host, None)), way.t),
                // A better exchanger than the sender itself is listed and cannot be found.
                None if self.own_left_out => defer(Why::NoUsableMx, None, way.t),
                None => {
                    self.ends.evidence.consult(Parameter::NoAddrPerm);
                    let outcome = match sender.no_addr_perm {
                        End::Bounce => Outcome::Bounce,
                        End::Defer => Outcome::Defer,
                    };
                    Finish { outcome, why: Why::NoUsableMx, via: None, at: None, wait: way.t }
                }
            },
        };
        self.ends.add(finish);
    }

    fn limit_reached(&self, way: &Way) -> bool {
        self.sender.max_addrs > 0 && way.tried >= self.sender.max_addrs && !way.bonus
    }

    /// At the limit goes on to the next worse preference, for one address, where the sender does.
    /// `false` when there is none.
    fn skip_to_worse(&mut self, way: &mut Way) -> bool {
        self.ends.evidence.consult(Parameter::MaxAddrs);
        if !self.sender.limit_skips_to_higher_mx {
            return false;
        }
        let stages = &self.itinerary.stages;
        let now = stages.get(way.stage).map(|stage| stage.preference);
        let worse = stages.iter().position(|stage| now.is_some_and(|now| stage.preference > now));
        let Some(worse) = worse else { return false };
        *way = Way {
            stage: worse,
            groups: None,
            group: None,
            stops: Vec::new(),
            bonus: true,
            ..std::mem::take(way)
        };
        true
    }

    /// Whether a failure now is one at the last address: nothing would be tried after it.
    fn is_last(&self, way: &Way, host: usize, step: Step) -> bool {
        let sender = self.sender;
        if sender.limit_is_final && sender.max_addrs > 0 && way.tried >= sender.max_addrs {
            return true;
        }
        let counts =
            |stop: &Stop| way.allows(*stop) && !(step == Step::NextHost && stop.host == host);
        if way.stops.iter().any(counts) {
            return false;
        }
        let stages = &self.itinerary.stages;
        let of_group = |group: &Group, from: usize| {
            let bags = group.bags.get(from..).unwrap_or_default();
            // Who has not looked a host up yet does not know that it will be no use.
            group.entry.failed.is_some() || bags.iter().any(|bag| bag.servers.iter().any(counts))
        };
        let Some(stage) = stages.get(way.stage) else { return true };
        if let Some((group, bag)) = way.group
            && of_group(&stage.groups[group], bag)
        {
            return false;
        }
        let mut left = way.groups.iter().flatten();
        if left.any(|&group| of_group(&stage.groups[group], 0)) {
            return false;
        }
        let later = stages.get(way.stage + 1..).unwrap_or_default();
        !later.iter().any(|stage| stage.groups.iter().any(|group| of_group(group, 0)))
    }

    /// Whether other addresses of the same preference could be tried at the same time.
    fn others_beside(&self, way: &Way) -> bool {
        let stages = &self.itinerary.stages;
        let Some(stage) = stages.get(way.stage) else { return false };
        let group = |index: &usize, from: usize| {
            let bags = stage.groups[*index].bags.get(from..).unwrap_or_default();
            bags.iter().any(|bag| !bag.servers.is_empty())
        };
        let next = stages.get(way.stage + 1).is_some_and(|s| s.preference == stage.preference);
        !way.stops.is_empty()
            || way.group.is_some_and(|(index, bag)| group(&index, bag))
            || way.groups.iter().flatten().any(|index| group(index, 0))
            || next
    }

    /// How many addresses of each family are tried, where neither may crowd the other out: both
    /// keep up to half of the limit (Postfix, `smtp_balance_inet_proto`).
    fn quota(&mut self) -> Option<[usize; 2]> {
        let sender = self.sender;
        let limit = usize::try_from(sender.max_addrs).unwrap_or(usize::MAX);
        if !sender.balance_families || limit == 0 {
            return None;
        }
        let stages = self.itinerary.stages.iter();
        let bags = stages.flat_map(|stage| &stage.groups).flat_map(|group| &group.bags);
        let stops: Vec<Family> =
            bags.flat_map(|bag| &bag.servers).map(|stop| stop.family).collect();
        let ipv6 = stops.iter().filter(|family| **family == Family::Ipv6).count();
        let ipv4 = stops.len() - ipv6;
        if ipv4 == 0 || ipv6 == 0 || ipv4 + ipv6 <= limit {
            return None;
        }
        self.ends.evidence.consult(Parameter::BalanceFamilies);
        let half = limit / 2;
        let ipv4_first = stops.first() == Some(&Family::Ipv4);
        let keep_ipv4 = if ipv6 <= half {
            limit - ipv6
        } else if ipv4 <= half {
            ipv4
        } else {
            usize::midpoint(limit, usize::from(ipv4_first))
        };
        let mut keep = [0; 2];
        keep[Family::Ipv4 as usize] = keep_ipv4;
        keep[Family::Ipv6 as usize] = limit - keep_ipv4;
        Some(keep)
    }

    /// Whether it makes no difference which of two groups comes first.
    fn groups_alike(&self, one: &Group, other: &Group) -> bool {
        let stops = |group: &Group| -> Vec<Stop> {
            group.bags.iter().flat_map(|bag| bag.servers.iter().copied()).collect()
        };
        let (ours, theirs) = (stops(one), stops(other));
        let costs =
            |group: &Group| -> Vec<Duration> { group.bags.iter().map(|b| b.cost).collect() };
        let entry = |group: &Group| (group.entry.cost, group.entry.failed.is_some());
        let names = |group: &Group| group.entry.failed.is_some_and(|failing| self.ends_at(failing));
        entry(one) == entry(other)
            && !(names(one) || names(other))
            && costs(one) == costs(other)
            && ours.len() == theirs.len()
            && ours
                .iter()
                .zip(&theirs)
                .all(|(&a, &b)| a.family == b.family && self.alike_elsewhere(a, b))
    }

    /// Whether an attempt ends with a host that fails this way, which is then named.
    fn ends_at(&self, failing: Failing) -> bool {
        match failing {
            Failing::Unknown(_) => true,
            Failing::Temporarily(_) => self.sender.host_temp_scope == HostTempScope::DeferDomain,
        }
    }

    /// The same for two addresses of different hosts, where leaving the host is no difference.
    fn alike_elsewhere(&self, one: Stop, other: Stop) -> bool {
        let (ours, theirs) = (self.effect(one), self.effect(other));
        ours == theirs && !decides(&ours)
    }
}

/// Whether it makes no difference which of two addresses comes first.
fn same_way(one: Stop, ours: &Effect, other: Stop, theirs: &Effect, hosts_count: bool) -> bool {
    one.family == other.family
        && ours == theirs
        && (one.host == other.host || !(decides(ours) || hosts_count))
}

/// Whether this address may rule out the rest of its host.
fn leaves(effect: &Effect) -> bool {
    match &effect.end {
        Ending::Failed(failed) => [failed.nonfinal.0, failed.last.0].contains(&Step::NextHost),
        Ending::Delivered | Ending::Unknown(_) => false,
    }
}

/// Whether an attempt may end with this address, which is then named.
fn decides(effect: &Effect) -> bool {
    match &effect.end {
        Ending::Delivered | Ending::Unknown(_) => true,
        Ending::Failed(failed) => {
            let ends = |step| matches!(step, Step::Bounce | Step::Defer);
            ends(failed.nonfinal.0) || ends(failed.last.0)
        }
    }
}
