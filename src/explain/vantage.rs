//! How this host looks to receivers, in words: where it calls from, what is wrong with its name and
//! addresses, and who can put that right.

use std::fmt::Write;

use super::{
    by_hand::dig,
    paint::Paint,
    report::{self, put},
    trouble::{Trouble, failed},
};
use crate::{
    facts::{FamilyVantage, Lookup, LookupStatus, RecordType, Vantage, Way},
    name::ExchangerName,
};

/// The first block of `check`.
pub fn write(vantage: &Vantage, paint: Paint) -> String {
    let mut out = String::new();
    let name = paint.strong(&vantage.helo_name);
    put(&mut out, &format!("{}  calls as {name}", paint.strong("this host")));
    for side in &vantage.families {
        put(&mut out, &format!("  {}  {}", side.family.label(), line(vantage, side, paint)));
    }
    for trouble in troubles(vantage) {
        report::write_trouble(&mut out, &trouble, paint.warn("!"), paint);
    }
    out
}

fn line(vantage: &Vantage, side: &FamilyVantage, paint: Paint) -> String {
    let mut line = match (side.way, side.source) {
        (Way::Open, Some(source)) => format!("from {source}"),
        (Way::NotOurs, Some(source)) => format!("{source} is no address of this host"),
        (Way::NoRoute, Some(source)) if side.configured => format!("no route from {source}"),
        _ => "no route".to_owned(),
    };
    let Some(seen_as) = side.seen_as else {
        if side.source.is_some() {
            line.push_str(&paint.faint(format!(
                "; receivers see another address (public_{} in [probe])",
                side.family.label()
            )));
        }
        return line;
    };
    if side.source != Some(seen_as) {
        // Writing to a String cannot fail.
        let _ = write!(line, ", seen as {seen_as}");
    }
    let literal = vantage.helo_name.starts_with('[');
    let known = [side.forward, side.reverse, side.confirmed];
    let relation = if side.mismatched() {
        paint.warn("name and address do not point at each other")
    } else if literal && side.confirmed == Some(true) {
        paint.good("the address given, with a name that leads back to it")
    } else if known == [Some(true); 3] {
        paint.good("name and address point at each other")
    } else {
        let lost = side.lookups.iter().find(|lookup| !lookup.status().answered());
        let why = lost.map(|lookup| {
            let why = format!("{} {}: {}", lookup.name, lookup.rtype.label(), failed(lookup));
            format!("\n        {}", paint.faint(why))
        });
        format!("whether name and address fit is not known{}", why.unwrap_or_default())
    };
    format!("{line}: {relation}")
}

/// What is wrong, a sentence each with the cure.
pub fn troubles(vantage: &Vantage) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if vantage.families.iter().all(|side| side.way == Way::NoRoute && side.source.is_none()) {
        let what = "This host has no route to the Internet in either family, so that what is \
                    called from here says nothing about the servers."
            .to_owned();
        troubles.push(Trouble { what, by_hand: vec!["ip route get 198.41.0.4".to_owned()] });
    }
    for side in &vantage.families {
        troubles.extend(not_ours(side));
        troubles.extend(forward(vantage, side));
        troubles.extend(reverse(vantage, side));
    }
    troubles
}

fn not_ours(side: &FamilyVantage) -> Option<Trouble> {
    let source = side.source.filter(|_| side.way == Way::NotOurs)?;
    let family = side.family.label();
    let what = format!(
        "source_{family} in [probe] is {source}, which is no address of this host: no session can \
         leave from it. Correct it, or leave it out."
    );
    Some(Trouble { what, by_hand: vec!["ip address".to_owned()] })
}

/// The HELO name does not lead to the address.
fn forward(vantage: &Vantage, side: &FamilyVantage) -> Option<Trouble> {
    let seen_as = side.seen_as.filter(|_| side.forward == Some(false))?;
    let helo = &vantage.helo_name;
    let Some(lookup) = side.lookups.iter().find(|lookup| *lookup.name == **helo) else {
        let what = format!(
            "This host calls itself {helo}, but receivers see {seen_as}. For you: helo_name should \
             be a name that leads to that address."
        );
        return Some(Trouble { what, by_hand: Vec::new() });
    };
    let rtype = side.family.record_type().label();
    let has = match lookup.status() {
        LookupStatus::Nxdomain => "it does not exist".to_owned(),
        LookupStatus::Noerror => {
            let addresses: Vec<_> =
                lookup.addresses().take(MOST).map(|ip| ip.to_string()).collect();
            format!("its {rtype} record is {}", addresses.join(", "))
        }
        _ => format!("it has no {rtype} record"),
    };
    let what = format!(
        "The name {helo} does not lead to {seen_as}, the address that receivers see: {has}. For \
         you, in the DNS of that name: add an {rtype} record {seen_as}, or give another name as \
         helo_name."
    );
    Some(Trouble { what, by_hand: vec![dig(lookup)] })
}

/// The address does not lead to the name, or to none that leads back.
fn reverse(vantage: &Vantage, side: &FamilyVantage) -> Option<Trouble> {
    let seen_as = side.seen_as?;
    let lookup = side.lookups.iter().find(|lookup| lookup.rtype == RecordType::Ptr)?;
    let named = names(lookup);
    let helo = &*vantage.helo_name;
    let wanted = if helo.starts_with('[') { "a name that leads back" } else { helo };
    let provider = "who assigned the address, as a rule the provider, can set its PTR record";
    let what = match (side.reverse, side.confirmed) {
        (_, Some(false)) if named.is_empty() => format!(
            "{seen_as} has no PTR record, and many receivers refuse such clients. Only {provider}: to \
             {wanted}."
        ),
        // What is wrong is the way there, which has its own sentence.
        (Some(true), Some(false)) => return None,
        (_, Some(false)) => format!(
            "{seen_as} leads to {named}, which does not lead back to it: many receivers refuse such \
             clients (RFC 1912 §2.1). Only {provider}: to {wanted}."
        ),
        (Some(false), Some(true)) => format!(
            "{seen_as} leads to {named} and not to {helo}: receivers that compare the two mistrust \
             this host. For you: give that name as helo_name. Or the other way round: only {provider}."
        ),
        (Some(false), None) => {
            format!("{seen_as} leads to {named} and not to {helo}. Only {provider}.")
        }
        _ => return None,
    };
    Some(Trouble { what, by_hand: vec![dig(lookup)] })
}

/// The names an address leads to, the first of them.
fn names(reverse: &Lookup) -> String {
    reverse.names().take(MOST).map(ExchangerName::as_str).collect::<Vec<_>>().join(", ")
}

/// Names or addresses in one sentence.
const MOST: usize = 3;
