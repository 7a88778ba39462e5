//! What is wrong with the answers of DNS, one sentence for all resolvers that see the same, and what
//! those say who see something else: where another resolver answers, asking that one is the cure.

use super::{
    by_hand::{dig, digs},
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
        let mut by_hand = digs([lookups[0]]);
        if let Some((words, example)) = cure(&lookups, others) {
            what.push_str(&words);
            by_hand.push(dig(example));
        } else if let (RouteIll::NoDomain, Some(first)) = (&ill, known_routes.first()) {
            let others = names(&known_routes);
            what = format!("{what} Through {others} it does: not all are up to date.");
            by_hand.push(dig(first));
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
        // A matter of one exchanger or of the policy, or a note.
        DomainFinding::CnameTarget
        | DomainFinding::Duplicate
        | DomainFinding::Implicit
        | DomainFinding::NoAddressTarget
        | DomainFinding::SelfLoop
        | DomainFinding::TooMany
        | DomainFinding::UnlistedTarget
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
    let pairs = concerned(facts, exchanger);
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
            Ill::Alias | Ill::SelfLoop => digs([*first_a]),
            _ => digs([*first_a, *first_aaaa]),
        };
        let well: Vec<AddressPair<'_>> =
            pairs.iter().map(|(_, pair)| *pair).filter(|pair| ill.cured_by(*pair)).collect();
        if let Some((words, example)) = cure(&of(rtype), lookups(&well, rtype)) {
            what.push_str(&words);
            by_hand.push(dig(example));
        }
        troubles.push(Trouble { what, by_hand });
    }
    troubles
}

/// The lookups through resolvers by which mail may come to the exchanger: who asks one that does not
/// name it does not look for it either.
fn concerned<'a>(facts: &Facts, exchanger: &'a ExchangerFacts) -> Vec<(&'a str, AddressPair<'a>)> {
    let passes_it_over = |resolver: &str| {
        let mut answers = facts.mx.iter();
        let answer = answers.find(|answer| *answer.lookup.resolver == *resolver);
        answer.is_some_and(|answer| known(&answer.route))
            && lists(facts, exchanger, resolver).is_none()
    };
    let mut pairs = AddressPair::by_resolver(exchanger);
    pairs.retain(|(resolver, _)| !passes_it_over(resolver));
    pairs.into_vec()
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
    for finding in pair.decided().target(&exchanger.exchanger, facts.this_host()).findings() {
        let both_failed = || pair.findings().any(|f| f == ExchangerFinding::BothFailed);
        let denied = || pair.a.is_some_and(|a| a.status() == LookupStatus::Nxdomain);
        ills.extend(match finding {
            DomainFinding::CnameTarget if listed == Some(true) => Some(Ill::Alias),
            // A host that only looks delivers such mail itself; that is a note.
            DomainFinding::SelfLoop if listed.is_some() && facts.own_host.is_some() => {
                Some(Ill::SelfLoop)
            }
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
                let mut stray = exchanges.flat_map(|exchange| &exchange.further.stray_addresses);
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
fn cure<'a>(sick: &[&Lookup], others: Vec<&'a Lookup>) -> Option<(String, &'a Lookup)> {
    // Who does not validate answers what is wrongly signed, so that says nothing.
    let bogus = sick.iter().any(|lookup| lookup.status() == LookupStatus::Bogus);
    let counts = |l: &&Lookup| l.status().answered() && (!bogus || l.authentic_data());
    // No sender can ask the servers that have authority.
    let (own, answers): (Vec<&Lookup>, Vec<&Lookup>) =
        others.into_iter().filter(counts).partition(|lookup| lookup.zone.is_some());
    let Some(first) = answers.first().copied() else {
        let first = *own.first()?;
        let (rtype, said) = (first.rtype.label(), first.status().label().to_uppercase());
        return Some((
            format!(" A name server with authority answers {rtype} with {said}."),
            first,
        ));
    };
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
pub(super) fn through(facts: &Facts, lookups: &[&Lookup]) -> String {
    let of_domain = facts.mx.iter().map(|answer| &answer.lookup);
    let of_hosts = facts.exchangers.iter().flat_map(|host| host.all_lookups());
    let mut all = of_domain.chain(of_hosts);
    let several = all.next().is_some_and(|one| all.any(|other| other.resolver != one.resolver));
    if several { format!(" through {}", names(lookups)) } else { String::new() }
}

fn names(lookups: &[&Lookup]) -> String {
    let names: Vec<&str> = lookups.iter().map(|lookup| &*lookup.resolver).collect();
    listed(&names)
}

/// How lookups ended: of one in full, of several only what tells them apart.
pub(super) fn seen(lookups: &[&Lookup]) -> String {
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
    if facts.own_host.is_none() && has(DomainFinding::SelfLoop).is_some() {
        let domain = &facts.destination;
        notes.push(format!(
            "This host is itself an exchanger of {domain}: it delivers that mail itself, and other \
             senders may see something else than it does."
        ));
    }
    for exchanger in &facts.exchangers {
        let types = [RecordType::A, RecordType::Aaaa];
        notes
            .extend(types.into_iter().filter_map(|rtype| other_addresses(facts, exchanger, rtype)));
    }
    notes
}

/// Resolvers that give different addresses, all of which are answers.
fn other_addresses(facts: &Facts, exchanger: &ExchangerFacts, rtype: RecordType) -> Option<String> {
    let pairs = concerned(facts, exchanger);
    let asked = || {
        let lookups = pairs.iter().flat_map(|(_, pair)| pair.lookups());
        lookups.filter(|lookup| lookup.rtype == rtype)
    };
    let usual = |status| matches!(status, LookupStatus::Noerror | LookupStatus::Nodata);
    let any = |pair: &AddressPair<'_>| pair.lookups().flat_map(Lookup::addresses).next().is_some();
    // Through whom there is no address at all, that is said already.
    let each_works = pairs.iter().all(|(_, pair)| any(pair));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        explain::trouble,
        facts::{Exchange, OwnHost, Record, Transport, Zone},
        name::{Domain, Exchanger, ExchangerName, Host},
        probe::route,
    };

    fn lookup(
        resolver: &str,
        rtype: RecordType,
        status: LookupStatus,
        records: Vec<Record>,
    ) -> Lookup {
        let last = if resolver == "lan" { 1 } else { 2 };
        let empty = Exchange::empty(([192, 0, 2, last], 53).into(), Transport::Udp, status);
        let exchange = empty.with_records(records);
        let name = if rtype == RecordType::Mx { "example.com" } else { "mx.example.com" };
        Lookup::new(resolver.into(), rtype, name.into(), vec![exchange])
    }

    /// A status, or addresses that came.
    fn found(text: &str) -> (LookupStatus, Vec<Record>) {
        let status = serde_json::from_value(text.into());
        let addresses = text.split(' ').filter_map(|address| address.parse().ok());
        let records = addresses.map(Record::Address).collect();
        (status.unwrap_or(LookupStatus::Noerror), records)
    }

    /// A host that resolvers find so: name, A and AAAA.
    fn host(said: &[[&str; 3]]) -> ExchangerFacts {
        let of = |[resolver, a, aaaa]: &[&str; 3]| {
            let made = |rtype, text| {
                let (status, records) = found(text);
                lookup(resolver, rtype, status, records)
            };
            [made(RecordType::A, a), made(RecordType::Aaaa, aaaa)]
        };
        let host = Host::Name(ExchangerName::parse("mx.example.com").unwrap());
        let exchanger = Exchanger { host, port: 25 };
        ExchangerFacts {
            lookups: said.iter().flat_map(of).collect(),
            ..ExchangerFacts::unobserved(exchanger, Timestamp::UNIX_EPOCH)
        }
    }

    fn mx(resolver: &str, status: LookupStatus, targets: &[&str]) -> MxLookup {
        let record = |name: &&str| {
            let exchanger = ExchangerName::parse(name).ok().filter(|_| *name != ".");
            Record::Mx { preference: 10, exchanger }
        };
        let records = targets.iter().map(record).collect();
        let lookup = lookup(resolver, RecordType::Mx, status, records);
        MxLookup { route: route::route(&Domain::parse("example.com").unwrap(), &lookup), lookup }
    }

    fn facts(mx: Vec<MxLookup>, hosts: Vec<ExchangerFacts>) -> Facts {
        let destination = Destination::parse("example.com").unwrap();
        let hosts = hosts.into_iter().map(Arc::new).collect();
        Facts::observed(destination, Timestamp::UNIX_EPOCH, mx, hosts)
    }

    /// What is said of a host that both resolvers name.
    fn said(of: &[[&str; 3]]) -> Vec<String> {
        let named =
            |[resolver, ..]: &[&str; 3]| mx(resolver, LookupStatus::Noerror, &["mx.example.com"]);
        let facts = facts(of.iter().map(named).collect(), vec![host(of)]);
        trouble::find(&facts).into_iter().map(|trouble| trouble.what).collect()
    }

    #[test]
    fn where_another_resolver_answers_asking_that_one_is_the_cure() {
        let differ = said(&[["lan", "192.0.2.25", "servfail"], ["public", "192.0.2.25", "nodata"]]);
        assert_eq!(
            differ,
            [
                "mx.example.com has an address, but its AAAA lookup fails through lan: SERVFAIL from \
              192.0.2.1:53 after 0.0 ms. Senders that insist on an answer hold mail back although \
              A works (RFC 4074 §4.3). The answer to AAAA is NODATA through public: another \
              resolver cures it at once."
            ]
        );
        let alike =
            said(&[["lan", "192.0.2.25", "servfail"], ["public", "192.0.2.25", "servfail"]]);
        assert_eq!(
            alike,
            ["mx.example.com has an address, but its AAAA lookup fails through lan and public: \
              SERVFAIL. Senders that insist on an answer hold mail back although A works (RFC 4074 \
              §4.3)."]
        );
        let each = said(&[["lan", "192.0.2.25", "refused"], ["public", "192.0.2.25", "notimp"]]);
        assert!(each[0].contains("fails through lan and public: lan: REFUSED; public: NOTIMP."));
        let alone = said(&[["lan", "192.0.2.25", "servfail"]]);
        assert!(alone[0].contains("its AAAA lookup fails: SERVFAIL from"), "{alone:?}");
    }

    #[test]
    fn a_host_that_only_looks_is_told_of_a_loop_and_not_warned_of_it() {
        let found = host(&[["lan", "192.0.2.25", "nodata"]]);
        let listed = vec![mx("lan", LookupStatus::Noerror, &["mx.example.com"])];
        let mut facts = facts(listed, vec![found]);
        let this = OwnHost {
            names: vec![ExchangerName::parse("mx.example.com").unwrap()],
            addresses: Vec::new(),
        };
        assert_eq!((trouble::find(&facts).len(), notes(&facts).len()), (0, 0));
        facts.observer = Some(this.clone());
        assert_eq!(trouble::find(&facts), []);
        assert!(notes(&facts)[0].contains("This host is itself an exchanger of example.com"));
        facts.own_host = Some(this);
        assert!(trouble::find(&facts)[0].what.contains("would come back to it"));
        assert_eq!(notes(&facts), [] as [String; 0]);
    }

    #[test]
    fn every_way_to_be_without_an_address_has_its_sentence() {
        for (a, aaaa, part) in [
            ("192.0.2.25", "nxdomain", "denies that mx.example.com exists when asked for AAAA"),
            ("nxdomain", "2001:db8::25", "denies that mx.example.com exists when asked for A,"),
            ("timeout", "2001:db8::25", "The A lookup of mx.example.com fails: no answer from"),
            ("servfail", "servfail", "No address of mx.example.com is to be had: SERVFAIL"),
            ("nodata", "servfail", "No address of mx.example.com is to be had: SERVFAIL"),
            ("refused", "nodata", "No address of mx.example.com is to be had: REFUSED"),
            ("nxdomain", "nxdomain", "The exchanger mx.example.com does not exist: NXDOMAIN"),
            ("nodata", "nodata", "mx.example.com has neither an A nor an AAAA record."),
        ] {
            let said = said(&[["lan", a, aaaa]]);
            assert_eq!(said.len(), 1, "{a} {aaaa}: {said:?}");
            assert!(said[0].contains(part), "{a} {aaaa}: {said:?}");
        }
        assert_eq!(said(&[["lan", "192.0.2.25", "nodata"]]), [] as [String; 0]);
    }

    #[test]
    fn a_lookup_that_is_missing_says_nothing_wrong_about_the_others() {
        let both = [["lan", "192.0.2.25", "servfail"], ["public", "192.0.2.25", "servfail"]];
        let mut host = host(&both);
        host.lookups = host.lookups[1..].into();
        let answers = vec![mx("lan", LookupStatus::Noerror, &["mx.example.com"])];
        let said = trouble::find(&facts(answers, vec![host]));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].what.contains("fails through public: SERVFAIL"), "{said:?}");
    }

    #[test]
    fn resolvers_that_send_mail_to_different_places_are_told_with_the_places() {
        let answers = vec![
            mx("lan", LookupStatus::Noerror, &["in.example.com"]),
            mx("public", LookupStatus::Noerror, &["mx1.example.com", "mx2.example.com"]),
        ];
        let said = trouble::find(&facts(answers, Vec::new()));
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(
            said[0].what,
            "Resolvers give different MX records of example.com: lan: 10 in.example.com; public: 10 \
             mx1.example.com, 10 mx2.example.com. Where mail goes depends on the one that a sender \
             asks."
        );
        assert_eq!(said[0].by_hand.len(), 2);
        let failed = mx("lan", LookupStatus::Servfail, &[]);
        let works = mx("public", LookupStatus::Noerror, &["mx1.example.com"]);
        let denied = mx("isp", LookupStatus::Nxdomain, &[]);
        let said = trouble::find(&facts(vec![failed, works, denied], Vec::new()));
        assert_eq!(said.len(), 2, "{said:?}");
        let cure = "The answer to MX is NOERROR through public: another resolver cures it at once.";
        assert!(said[0].what.contains("failed through lan") && said[0].what.ends_with(cure));
        assert!(said[1].what.contains("does not exist through isp"), "{said:?}");
        assert!(said[1].what.ends_with("Through public it does: not all are up to date."));
    }

    #[test]
    fn only_who_can_be_asked_and_validates_is_a_cure() {
        let said = |status, cure: MxLookup| {
            let answers = vec![mx("lan", status, &[]), cure];
            trouble::find(&facts(answers, Vec::new())).swap_remove(0).what
        };
        let works = || mx("public", LookupStatus::Noerror, &["mx1.example.com"]);
        assert!(said(LookupStatus::Servfail, works()).contains("cures"));
        assert!(!said(LookupStatus::Bogus, works()).contains("cures"));
        let mut proved = works();
        proved.lookup.exchanges[0].authentic_data = true;
        assert!(said(LookupStatus::Bogus, proved).contains("cures"));
        let mut own = works();
        let (name, asked_at) = ("example.com".into(), Timestamp::UNIX_EPOCH);
        let (walk, servers) = (Vec::new(), Vec::new());
        own.lookup.zone = Some(Arc::new(Zone { name, asked_at, walk, servers }));
        let said = said(LookupStatus::Servfail, own);
        assert!(said.ends_with("A name server with authority answers MX with NOERROR."), "{said}");
    }

    #[test]
    fn who_does_not_name_an_exchanger_is_not_asked_for_its_addresses() {
        let lookups = [["lan", "nxdomain", "nxdomain"], ["public", "192.0.2.25", "nodata"]];
        let answers = vec![
            mx("lan", LookupStatus::Noerror, &["in.example.com"]),
            mx("public", LookupStatus::Noerror, &["mx.example.com"]),
        ];
        let said = trouble::find(&facts(answers, vec![host(&lookups)]));
        assert_eq!(said.len(), 1, "only the MX records differ: {said:?}");
    }

    #[test]
    fn different_addresses_are_worth_a_note_until_they_are_known_to_rotate() {
        let lookups = [["lan", "192.0.2.25", "nodata"], ["public", "192.0.2.26", "nodata"]];
        let named = |resolver| mx(resolver, LookupStatus::Noerror, &["mx.example.com"]);
        let noted = |host| notes(&facts(vec![named("lan"), named("public")], vec![host]));
        assert_eq!(
            noted(host(&lookups)),
            ["Resolvers give different A records of mx.example.com: lan: 192.0.2.25; public: \
              192.0.2.26. Its name server rotates them, answers by who asks, or has changed them not \
              long ago."]
        );
        let mut rotates = host(&lookups);
        Arc::make_mut(&mut rotates.lookups)[0].earlier.get_mut().addresses =
            vec!["192.0.2.26".parse().unwrap()];
        assert_eq!(noted(rotates), [] as [String; 0]);
    }

    #[test]
    fn an_alias_is_wrong_as_an_mx_target_and_right_without_any_mx() {
        let mut alias = host(&[["lan", "192.0.2.25", "nodata"]]);
        for lookup in Arc::make_mut(&mut alias.lookups) {
            lookup.exchanges[0].further.get_mut().cname_chain = vec!["www.example.com".into()];
        }
        let listed = mx("lan", LookupStatus::Noerror, &["mx.example.com"]);
        let said = trouble::find(&facts(vec![listed], vec![alias.clone()]));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].what.contains("is an alias (CNAME), which RFC 2181"), "{said:?}");
        let name = ExchangerName::parse("mx.example.com").unwrap();
        let mut implicit = mx("lan", LookupStatus::Nodata, &[]);
        implicit.route = Route::Implicit { exchanger: name };
        assert_eq!(trouble::find(&facts(vec![implicit], vec![alias])), []);
    }

    #[test]
    fn a_host_that_is_this_one_and_an_address_beside_the_answer_are_told() {
        let lookups = [["lan", "192.0.2.25", "nodata"]];
        let mut stray = host(&lookups);
        let exchange = &mut Arc::make_mut(&mut stray.lookups)[1].exchanges[0];
        exchange.further.get_mut().stray_addresses = vec!["192.0.2.99".parse().unwrap()];
        let listed = mx("lan", LookupStatus::Noerror, &["mx.example.com"]);
        let mut facts = facts(vec![listed], vec![stray]);
        facts.own_host = Some(crate::facts::OwnHost {
            names: Vec::new(),
            addresses: vec!["192.0.2.25".parse().unwrap()],
        });
        let said: Vec<_> = trouble::find(&facts).into_iter().map(|trouble| trouble.what).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("mx.example.com of example.com is this host itself"), "{said:?}");
        assert!(said[1].contains("beside it the address 192.0.2.99"), "{said:?}");
    }
}
