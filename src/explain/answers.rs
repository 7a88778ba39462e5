//! What is wrong with the answers of DNS, one sentence for all resolvers that see the same, and what
//! those say who see something else: where another resolver answers, asking that one is the cure.

use super::{
    by_hand::dig,
    several::{each, grouped, listed},
    trouble::{Trouble, failed},
};
use crate::{
    facts::{
        AddressPair, DomainFinding, ExchangerFacts, ExchangerFinding, Facts, Lookup, LookupStatus,
        MAX_EXCHANGERS, MxLookup, MxTarget, RecordType, Route, agree,
    },
    name::Destination,
};

/// What is wrong with where mail goes.
pub(super) fn of_route(facts: &Facts) -> Vec<Trouble> {
    let said = facts.mx.iter().flat_map(|answer| {
        let ills = route_ills(facts, answer);
        ills.into_iter().map(move |ill| (answer, ill))
    });
    let known_routes = facts.mx.iter().filter(|answer| known(&answer.route));
    let known_routes: Vec<&Lookup> = known_routes.map(|answer| &answer.lookup).collect();
    let mut troubles = Vec::new();
    for (ill, answers) in grouped(said) {
        let lookups: Vec<&Lookup> = answers.iter().map(|answer| &answer.lookup).collect();
        let through = through(facts, &lookups);
        let domain = &facts.destination;
        let mut what = match &ill {
            RouteIll::Failed => format!(
                "The MX lookup of {domain} failed{through}: {}. Without its answer nobody knows \
                 where mail goes, so it waits.",
                seen(&lookups)
            ),
            RouteIll::NoDomain => {
                format!("{domain} does not exist{through}: {}.", seen(&lookups))
            }
            RouteIll::Null => {
                format!("{domain} takes no mail{through}: it publishes a null MX (RFC 7505).")
            }
            RouteIll::NullMixed => format!(
                "{domain} publishes a null MX beside other MX records{through}, which RFC 7505 §3 \
                 forbids; some senders bounce."
            ),
            RouteIll::Literal(target) => format!(
                "The MX target {target} of {domain} is an IP address{through}, not a host name \
                 (RFC 5321 §5.1)."
            ),
        };
        let others = match ill {
            RouteIll::Failed => known_routes.clone(),
            _ => Vec::new(),
        };
        let mut by_hand = vec![dig(lookups[0])];
        if let Some((words, example)) = cure(others) {
            what.push_str(&words);
            by_hand.push(dig(example));
        } else if ill == RouteIll::NoDomain {
            if let Some(first) = known_routes.first() {
                let others = names(&known_routes);
                what.push_str(&format!(" Through {others} it does: not all are up to date."));
                by_hand.push(dig(first));
            }
        }
        troubles.push(Trouble { what, by_hand });
    }
    troubles.extend(disagreement(facts));
    troubles
}

/// What can be wrong with an MX set.
#[derive(Eq, PartialEq)]
enum RouteIll {
    Failed,
    NoDomain,
    Null,
    NullMixed,
    Literal(String),
}

fn route_ills(facts: &Facts, answer: &MxLookup) -> Vec<RouteIll> {
    match &answer.route {
        Route::Unknown => return vec![RouteIll::Failed],
        Route::NoDomain => return vec![RouteIll::NoDomain],
        Route::Implicit { .. } | Route::Mx { .. } | Route::Null => {}
    }
    let targets = answer.route.targets();
    let literal = || targets.iter().find(|target| target.exchanger.spells_address());
    let ill = |finding| match finding {
        DomainFinding::Null => Some(RouteIll::Null),
        DomainFinding::NullMixed => Some(RouteIll::NullMixed),
        DomainFinding::IpLiteralTarget => {
            literal().map(|target| RouteIll::Literal(target.exchanger.to_string()))
        }
        // A matter of one exchanger, or a note.
        DomainFinding::CnameTarget
        | DomainFinding::Duplicate
        | DomainFinding::Implicit
        | DomainFinding::NoAddressTarget
        | DomainFinding::SelfLoop
        | DomainFinding::TooMany
        | DomainFinding::UnresolvableTarget => None,
    };
    facts.domain_findings(answer).into_iter().filter_map(ill).collect()
}

fn known(route: &Route) -> bool {
    !matches!(route, Route::NoDomain | Route::Unknown)
}

/// Resolvers that all know where mail goes, each to another place.
fn disagreement(facts: &Facts) -> Option<Trouble> {
    let known = || facts.mx.iter().filter(|answer| known(&answer.route));
    if agree(known().map(|answer| &answer.lookup)) != Some(false) {
        return None;
    }
    let groups = grouped(known().map(|mx| (&*mx.lookup.resolver, shown(&mx.route))));
    let what = format!(
        "Resolvers give different MX records of {}: {}. Where mail goes depends on the one that a \
         sender asks.",
        facts.destination,
        each(&groups)
    );
    let first = |names: &Vec<&str>| known().find(|mx| *mx.lookup.resolver == *names[0]);
    let by_hand = groups.iter().filter_map(|(_, names)| first(names)).map(|mx| dig(&mx.lookup));
    Some(Trouble { what, by_hand: by_hand.collect() })
}

/// An MX set in a sentence.
fn shown(route: &Route) -> String {
    let targets = route.targets();
    let each = |target: &MxTarget| format!("{} {}", target.preference, target.exchanger);
    match route {
        Route::Implicit { .. } => "none".to_owned(),
        Route::Null => "a null MX".to_owned(),
        Route::Mx { .. } | Route::NoDomain | Route::Unknown => {
            let first: Vec<String> = targets.iter().take(MOST_SHOWN).map(each).collect();
            some(&first, targets.len())
        }
    }
}

/// Targets or addresses that a sentence shows of one answer.
const MOST_SHOWN: usize = 3;

fn some(first: &[String], all: usize) -> String {
    match all - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// What is wrong with the address lookups of an exchanger.
pub(super) fn of_exchanger(facts: &Facts, exchanger: &ExchangerFacts) -> Vec<Trouble> {
    let pairs = AddressPair::by_resolver(exchanger);
    let said = pairs.iter().flat_map(|(resolver, pair)| {
        let ills = ills(facts, exchanger, resolver, *pair);
        ills.into_iter().map(move |ill| (*pair, ill))
    });
    let mut troubles = Vec::new();
    for (ill, sick) in grouped(said) {
        let of = |rtype| lookups(&sick, rtype);
        // Both were asked, or there would be no ill.
        let (a, aaaa) = (of(RecordType::A), of(RecordType::Aaaa));
        let (Some(first_a), Some(first_aaaa)) = (a.first(), aaaa.first()) else { continue };
        let (name, through) = (&first_a.name, through(facts, &a));
        let rtype = ill.about(first_a);
        let mut what = ill.words(facts, name, &through, &a, &aaaa);
        let mut by_hand = match ill {
            Ill::Alias | Ill::SelfLoop => vec![dig(first_a)],
            _ => vec![dig(first_a), dig(first_aaaa)],
        };
        let well: Vec<AddressPair<'_>> =
            pairs.iter().map(|(_, pair)| *pair).filter(|pair| ill.cured_by(*pair)).collect();
        if let Some((words, example)) = cure(lookups(&well, rtype)) {
            what.push_str(&words);
            by_hand.push(dig(example));
        }
        troubles.push(Trouble { what, by_hand });
    }
    troubles
}

fn lookups<'a>(pairs: &[AddressPair<'a>], rtype: RecordType) -> Vec<&'a Lookup> {
    let of_type = |lookup: &&Lookup| lookup.rtype == rtype;
    pairs.iter().flat_map(|pair| pair.lookups()).filter(of_type).collect()
}

/// What can be wrong with an exchanger through one resolver.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Ill {
    Finding(ExchangerFinding),
    /// The name does not exist.
    NoHost,
    NoAddress,
    /// There is no address, and one lookup fails.
    Unresolvable,
    Alias,
    SelfLoop,
}

fn ills(
    facts: &Facts,
    exchanger: &ExchangerFacts,
    resolver: &str,
    pair: AddressPair<'_>,
) -> Vec<Ill> {
    let mut ills: Vec<Ill> = Vec::new();
    let listed = lists(facts, exchanger, resolver);
    for finding in pair.target(exchanger, facts.own_host.as_ref()).findings() {
        let both_failed = || pair.findings().any(|f| f == ExchangerFinding::BothFailed);
        let denied = || pair.a.is_some_and(|a| a.status() == LookupStatus::Nxdomain);
        ills.extend(match finding {
            DomainFinding::CnameTarget if listed == Some(true) => Some(Ill::Alias),
            DomainFinding::SelfLoop if listed.is_some() => Some(Ill::SelfLoop),
            DomainFinding::UnresolvableTarget if !both_failed() => Some(Ill::Unresolvable),
            DomainFinding::NoAddressTarget if denied() => Some(Ill::NoHost),
            DomainFinding::NoAddressTarget => Some(Ill::NoAddress),
            _ => None,
        });
    }
    ills.extend(pair.findings().map(Ill::Finding));
    ills
}

/// Whether an MX record through this resolver names the exchanger; false where the domain stands
/// for itself.
fn lists(facts: &Facts, exchanger: &ExchangerFacts, resolver: &str) -> Option<bool> {
    let Destination::Domain(_) = facts.destination else { return None };
    let answer = facts.mx.iter().find(|answer| *answer.lookup.resolver == *resolver)?;
    let host = exchanger.exchanger.host.to_string();
    let named = answer.route.targets().iter().any(|target| target.exchanger.as_str() == host);
    named.then_some(matches!(answer.route, Route::Mx { .. }))
}

impl Ill {
    fn words(
        self,
        facts: &Facts,
        name: &str,
        through: &str,
        a: &[&Lookup],
        aaaa: &[&Lookup],
    ) -> String {
        use ExchangerFinding as Found;
        let domain = &facts.destination;
        match self {
            Self::Finding(
                Found::AaaaServfailAOk
                | Found::AaaaTimeoutAOk
                | Found::AaaaRefusedAOk
                | Found::AaaaMalformedAOk,
            ) => format!(
                "{name} has an address, but its AAAA lookup fails{through}: {}. Senders that insist \
                 on an answer hold mail back although A works (RFC 4074 §4.3).",
                seen(aaaa)
            ),
            Self::Finding(Found::AaaaNxdomainAOk) => format!(
                "The name server denies that {name} exists when asked for AAAA{through}, although \
                 it has an A record (RFC 4074 §4.2): a cache that believes it loses the A record \
                 too."
            ),
            Self::Finding(Found::AFailedAaaaOk)
                if a.iter().all(|a| a.status() == LookupStatus::Nxdomain) =>
            {
                format!(
                    "The name server denies that {name} exists when asked for A{through}, although \
                     it has an AAAA record: a cache that believes it loses the AAAA record too."
                )
            }
            Self::Finding(Found::AFailedAaaaOk) => {
                format!("The A lookup of {name} fails{through}: {}. Only IPv6 is left.", seen(a))
            }
            Self::Finding(Found::BothFailed) => {
                format!("No address of {name} is to be had{through}: {}.", seen(a))
            }
            Self::Finding(Found::StrayAInAdditional) => {
                let exchanges = aaaa.iter().filter_map(|lookup| lookup.deciding());
                let mut stray = exchanges.flat_map(|exchange| &exchange.stray_addresses);
                let stray = stray.find(|address| a.iter().all(|a| !gives(a, **address)));
                format!(
                    "The answer to AAAA of {name} holds no record{through}, and beside it the \
                     address {}, which A does not give: some senders connect there.",
                    stray.map(ToString::to_string).unwrap_or_default()
                )
            }
            Self::NoHost => format!("The exchanger {name} does not exist{through}: {}.", seen(a)),
            Self::NoAddress => {
                format!("The exchanger {name} has neither an A nor an AAAA record{through}.")
            }
            Self::Unresolvable => {
                let failing = if a.iter().any(|a| !a.status().answered()) { a } else { aaaa };
                format!("No address of {name} is to be had{through}: {}.", seen(failing))
            }
            Self::Alias => format!(
                "The MX target {name} of {domain} is an alias (CNAME){through}, which RFC 2181 \
                 §10.3 forbids; most senders follow it all the same."
            ),
            Self::SelfLoop => format!(
                "The MX target {name} of {domain} is this host itself{through}: mail for {domain} \
                 that is sent from here would come back to it (RFC 5321 §5.1)."
            ),
        }
    }

    /// The lookup that tells.
    fn about(self, a: &Lookup) -> RecordType {
        match self {
            Self::Finding(ExchangerFinding::AFailedAaaaOk | ExchangerFinding::BothFailed)
            | Self::NoAddress
            | Self::NoHost => RecordType::A,
            Self::Unresolvable if !a.status().answered() => RecordType::A,
            _ => RecordType::Aaaa,
        }
    }

    /// Whether these lookups are what they should be.
    fn cured_by(self, pair: AddressPair<'_>) -> bool {
        // A choice between resolvers changes nothing about what is published.
        let by_resolver = !matches!(
            self,
            Self::Alias | Self::SelfLoop | Self::Finding(ExchangerFinding::StrayAInAdditional)
        );
        let works = pair.lookups().flat_map(Lookup::addresses).next().is_some();
        by_resolver && works && pair.lookups().all(|l| l.status().answered()) && {
            pair.findings().next().is_none()
        }
    }
}

fn gives(lookup: &Lookup, address: std::net::IpAddr) -> bool {
    lookup.addresses().any(|own| own == address)
}

/// What answers there are, and that they cure it; with one of those who gave them.
fn cure(lookups: Vec<&Lookup>) -> Option<(String, &Lookup)> {
    let answers: Vec<&Lookup> = lookups.into_iter().filter(|l| l.status().answered()).collect();
    let first = *answers.first()?;
    let said = answers.iter().map(|l| (&*l.resolver, l.status().label().to_uppercase()));
    let said: Vec<String> = grouped(said)
        .into_iter()
        .map(|(status, names)| format!("{status} through {}", listed(&names)))
        .collect();
    let (rtype, said) = (first.rtype.label(), listed(&said));
    let words = format!(" The answer to {rtype} is {said}: another resolver cures it at once.");
    Some((words, first))
}

/// Which resolvers see it; nothing where there is only one.
fn through(facts: &Facts, lookups: &[&Lookup]) -> String {
    let of_domain = facts.mx.iter().map(|answer| &answer.lookup);
    let mut all = of_domain.chain(facts.exchangers.iter().flat_map(|e| &e.lookups));
    let several = all.next().is_some_and(|one| all.any(|other| other.resolver != one.resolver));
    if several { format!(" through {}", names(lookups)) } else { String::new() }
}

fn names(lookups: &[&Lookup]) -> String {
    let names: Vec<&str> = lookups.iter().map(|lookup| &*lookup.resolver).collect();
    listed(&names)
}

/// How lookups ended: of one in full, of several only what tells them apart.
fn seen(lookups: &[&Lookup]) -> String {
    if let [only] = lookups {
        return failed(only);
    }
    let word = |lookup: &Lookup| match lookup.status() {
        LookupStatus::Timeout => "no answer".to_owned(),
        LookupStatus::NetworkError => "no way to the server".to_owned(),
        LookupStatus::Malformed => "no DNS message".to_owned(),
        status => status.label().to_uppercase(),
    };
    let groups = grouped(lookups.iter().map(|lookup| (&*lookup.resolver, word(lookup))));
    match groups.as_slice() {
        [(word, _)] => word.clone(),
        _ => each(&groups),
    }
}

/// What is worth knowing about answers and nobody's fault.
pub(super) fn notes(facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    let findings = |answer| facts.domain_findings(answer);
    let has = |finding| facts.mx.iter().find(|answer| findings(answer).contains(&finding));
    if let Some(answer) = has(DomainFinding::TooMany) {
        let listed = answer.route.targets().len();
        notes.push(format!("Of {listed} exchangers only the first {MAX_EXCHANGERS} are probed."));
    }
    if has(DomainFinding::Duplicate).is_some() {
        let domain = &facts.destination;
        notes.push(format!(
            "{domain} lists an exchanger more than once; its best preference counts."
        ));
    }
    for exchanger in &facts.exchangers {
        let types = [RecordType::A, RecordType::Aaaa];
        notes.extend(types.into_iter().filter_map(|rtype| other_addresses(exchanger, rtype)));
    }
    notes
}

/// Resolvers that give different addresses, all of which are answers.
fn other_addresses(exchanger: &ExchangerFacts, rtype: RecordType) -> Option<String> {
    let pairs = AddressPair::by_resolver(exchanger);
    let asked = || exchanger.lookups.iter().filter(|lookup| lookup.rtype == rtype);
    let usual = |status| matches!(status, LookupStatus::Noerror | LookupStatus::Nodata);
    // Through whom there is no address at all, that is said already.
    let each_works =
        pairs.iter().all(|(_, pair)| pair.lookups().flat_map(Lookup::addresses).next().is_some());
    let differ = asked().all(|l| usual(l.status())) && agree(asked()) == Some(false);
    if !each_works || !differ {
        return None;
    }
    let shown = |lookup: &Lookup| {
        let mut addresses: Vec<_> = lookup.addresses().collect();
        addresses.sort_unstable();
        let first: Vec<String> =
            addresses.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
        if first.is_empty() { "none".to_owned() } else { some(&first, addresses.len()) }
    };
    let groups = grouped(asked().map(|lookup| (&*lookup.resolver, shown(lookup))));
    Some(format!(
        "Resolvers give different {} records of {}: {}. Its name server rotates them, answers by \
         who asks, or has changed them not long ago.",
        rtype.label(),
        exchanger.exchanger.host,
        each(&groups)
    ))
}
