//! Why, as a clause that follows a colon: one for every reason.

use super::{
    plain::{roundly, said},
    seen::{Seen, answer_of},
};
use crate::{
    delivery::Why,
    facts::{Failure, Family, LookupStatus, Reason, RecordType, Stage},
    name::Destination,
    shown::one_line,
};

/// What was seen, and what about this sender makes it count.
pub(super) fn because(seen: &Seen<'_>) -> String {
    let behaviour = &seen.sender.behaviour;
    let domain = &seen.facts.destination;
    let peer = seen.peer();
    let answer = || seen.deciding_lookup().map_or("no answer".to_owned(), answer_of);
    let reply = || seen.reply().map_or("no text".to_owned(), said);
    let port = seen.port();
    match seen.why {
        Why::Ok => "nothing stands in the way".to_owned(),
        Why::MxNxdomain => format!("{domain} does not exist ({})", answer()),
        Why::MxLookup(_) => format!("the MX lookup of {domain} fails ({})", answer()),
        Why::MxNull => {
            format!("{domain} publishes a null MX: it declares that it takes no mail (RFC 7505)")
        }
        Why::MxLoop => format!("it is itself the best exchanger of {domain} that is listed"),
        Why::NoUsableMx => no_usable(seen),
        Why::HostDnsTemp => host_lookups(seen),
        Why::ConnectTimeout => format!(
            "{peer} does not answer on port {port} within {}",
            roundly(behaviour.connect_patience())
        ),
        Why::ConnectRefused => format!("{peer} refuses the connection to port {port}"),
        Why::ConnectReset => format!("{peer} resets the connection to port {port} at once"),
        Why::ConnectUnreachable => format!("the network reports {peer} unreachable"),
        Why::NoLocalFamily => {
            format!("the sending host has no {} route to {peer}", family(seen))
        }
        Why::BannerTimeout => format!(
            "{peer} accepts the connection and does not greet within {}",
            roundly(behaviour.banner_timeout.0)
        ),
        Why::BannerClosed => format!("{peer} accepts the connection and closes it without a word"),
        Why::BannerReset => format!("{peer} accepts the connection and resets it without a word"),
        Why::BannerMalformed
            if seen.stage().is_some_and(|stage| stage.reason == Some(Reason::TooLong)) =>
        {
            format!("{peer} says more than a greeting may have")
        }
        Why::BannerMalformed => {
            let heard = seen.stage().and_then(|stage| stage.received());
            let heard = heard.map(|text| format!(" ({})", one_line(text.trim(), 80)));
            format!("{peer} greets with something that is not SMTP{}", heard.unwrap_or_default())
        }
        Why::Banner4xx => format!("{peer} refuses for now with its greeting: {}", reply()),
        Why::Banner5xx => format!("{peer} refuses with its greeting: {}", reply()),
        Why::Ehlo4xx => format!("{peer} refuses EHLO for now: {}", reply()),
        Why::Helo4xx => format!("{peer} refuses EHLO and HELO for now: {}", reply()),
        Why::Helo5xx => format!("{peer} refuses EHLO and HELO: {}", reply()),
        Why::SessionLost => match seen.session.and_then(|session| session.failure) {
            Some(Failure { stage: Stage::Auth, reason: Reason::NotOffered }) => {
                format!("{peer} offers no AUTH with a mechanism for passwords (PLAIN or LOGIN)")
            }
            Some(Failure { stage: Stage::Auth, .. }) if seen.reply().is_some() => {
                format!("{peer} refuses the login: {}", reply())
            }
            Some(Failure { reason: Reason::TooLong, .. }) => {
                format!("{peer} greets and then says more than a reply may have")
            }
            Some(Failure { reason: Reason::Malformed | Reason::ReplyUnexpected, .. }) => {
                format!("{peer} greets and then answers with something that is no SMTP reply")
            }
            _ => format!("the connection to {peer} is lost after the greeting"),
        },
        Why::SessionTimeout => format!(
            "{peer} greets and then leaves a command without reply for {}",
            roundly(behaviour.command_timeout.0)
        ),
        Why::TlsNotOffered => format!("{peer} does not offer STARTTLS, and TLS is required"),
        Why::TlsRejected => format!("{peer} refuses STARTTLS, and TLS is required: {}", reply()),
        Why::TlsHandshake => format!("the TLS handshake with {peer} fails"),
        Why::TlsTimeout => format!(
            "{peer} takes STARTTLS and leaves the TLS handshake hanging for {}",
            roundly(behaviour.tls_timeout.0)
        ),
        Why::TlsCert => format!("the certificate of {peer} is not one that {domain} vouches for"),
        Why::TlsaError => {
            let answer = seen.deciding_lookup().map(|lookup| format!(" ({})", answer_of(lookup)));
            let answer = answer.unwrap_or_default();
            format!("the TLSA lookup of {peer} fails{answer}, and this sender asks for DANE")
        }
        Why::StsMx => {
            format!("the MTA-STS policy of {domain} is enforced and does not list {peer}")
        }
        Why::Mail4xx => format!("{peer} refuses the sender address for now: {}", reply()),
        Why::Mail5xx => format!("{peer} refuses the sender address: {}", reply()),
        Why::Rcpt4xx => format!("{peer} refuses the recipient for now: {}", reply()),
        Why::Rcpt5xx => format!("{peer} refuses the recipient: {}", reply()),
        Why::NotLookedUp => "a lookup that decides was not made".to_owned(),
        Why::NotProbed => match seen.host_name() {
            Some(_) => format!("{peer}, which decides, was not probed far enough"),
            None => "an address that decides was not probed far enough".to_owned(),
        },
        Why::LocalError => format!("this host itself could not open the connection to {peer}"),
    }
}

fn family(seen: &Seen<'_>) -> &'static str {
    let of_session = seen.session.map(crate::facts::Session::family);
    spoken_family(seen.via.and_then(|via| via.family).or(of_session).unwrap_or(Family::Ipv6))
}

/// A family as people write it.
pub(super) fn spoken_family(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

fn no_usable(seen: &Seen<'_>) -> String {
    let domain = &seen.facts.destination;
    let whose = match domain {
        Destination::Domain(_) => format!("no exchanger of {domain} has an"),
        Destination::SmartHost(_) => format!("{domain} has no"),
    };
    let kind = match seen.sender.behaviour.families.as_slice() {
        [only] => format!("{} address, the only kind that this sender uses", spoken_family(*only)),
        _ if seen.loopback_only() => {
            "address but loopback ones, which this sender passes over".to_owned()
        }
        _ => "address that this sender would use".to_owned(),
    };
    // What is said of one exchanger would be too much of many.
    let answers = seen.sole_target().into_iter().flat_map(|host| &*host.lookups);
    let denied = answers
        .filter(|lookup| *lookup.resolver == *seen.resolver)
        .find(|lookup| lookup.status() == LookupStatus::Nxdomain);
    let denied = denied.map(|lookup| format!(" ({}: {})", lookup.name, answer_of(lookup)));
    format!("{whose} {kind}{}", denied.unwrap_or_default())
}

fn host_lookups(seen: &Seen<'_>) -> String {
    let Some(failing) = seen.failing_lookup() else {
        return "an address lookup of an exchanger fails".to_owned();
    };
    let name = seen.host_name().unwrap_or_default();
    let (rtype, answer) = (failing.rtype.label(), answer_of(failing));
    let other = match failing.rtype {
        RecordType::Aaaa => RecordType::A,
        _ => RecordType::Aaaa,
    };
    let other_works = seen.lookup(other).is_some_and(|lookup| lookup.addresses().next().is_some());
    let failed = format!("the {rtype} lookup of {name} fails ({answer})");
    if let [only] = seen.sender.behaviour.families.as_slice() {
        return format!("{failed}, and {} is all that this sender uses", spoken_family(*only));
    }
    if other_works && seen.blocking_lookup().is_none() {
        return failed;
    }
    if other_works {
        let other = other.label();
        return format!("{failed}, and this sender wants an answer to it although {other} works");
    }
    match seen.lookup(other).filter(|lookup| !lookup.status().answered()) {
        Some(_) => format!("neither the A nor the AAAA lookup of {name} is answered ({answer})"),
        None => format!("{failed}, and there is no other address"),
    }
}
