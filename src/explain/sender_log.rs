//! The line a sender's own log or queue viewer would show, where that is documented.
//!
//! Sources: the message texts of Postfix 3.7 (`smtp`, `libpostfix-dns`), the main log of Exim 4.96,
//! the log of Sendmail 8.17 and of OpenSMTPD 6.8 as they were run; for Exchange KB 972744, KB
//! 4051498, and "DSN error codes". What is not there is left out rather than made up.

use super::{plain::said, seen::Seen};
use crate::{
    delivery::{Outcome, Why},
    facts::{Family, LookupStatus, Reason, RecordType, Stage},
};

/// The line for the outcome of this attempt.
pub(super) fn line(seen: &Seen<'_>, outcome: Outcome) -> Option<String> {
    let writer = WRITERS.iter().find(|(kind, _)| *kind == &*seen.sender.kind)?.1;
    writer(seen, outcome)
}

/// What Postfix calls waiting for the banner.
const GREETING: &str = "receiving the initial server greeting";

type Writer = fn(&Seen<'_>, Outcome) -> Option<String>;

/// By the kind of a sender.
const WRITERS: [(&str, Writer); 5] = [
    ("exchange-2010", exchange),
    ("exim", exim),
    ("opensmtpd", opensmtpd),
    ("postfix", postfix),
    ("sendmail", sendmail),
];

/// The part of a line behind `relay=`.
fn postfix(seen: &Seen<'_>, outcome: Outcome) -> Option<String> {
    let (dsn, text) = postfix_reason(seen, outcome)?;
    let status = match outcome {
        // What it lost time on has a line of its own.
        Outcome::Deliver => return Some(text),
        Outcome::Defer => "deferred",
        Outcome::Bounce => "bounced",
        Outcome::Freeze | Outcome::Unknown => return None,
    };
    let class = if outcome == Outcome::Bounce { '5' } else { '4' };
    let dsn = dsn.map_or_else(
        || seen.reply().and_then(|reply| reply.enhanced).map_or((0, 0), |e| (e.subject, e.detail)),
        |(subject, detail)| (subject, detail),
    );
    Some(format!("dsn={class}.{}.{}, status={status} ({text})", dsn.0, dsn.1))
}

/// Subject and detail of the status code, where they are not the server's, and the text.
fn postfix_reason(seen: &Seen<'_>, outcome: Outcome) -> Option<(Option<(u16, u16)>, String)> {
    let domain = &seen.facts.destination;
    let host = seen.host_name().unwrap_or_default();
    // Postfix names the host and the address in brackets, without a space.
    let peer = seen.session.map(|session| format!("{host}[{}]", session.peer.ip()));
    let name_service = |name: &str, rtype: &str, error: &str| {
        format!(
            "Host or domain name not found. Name service error for name={name} type={rtype}: {error}"
        )
    };
    let connect = |error: &str| {
        Some((Some((4, 1)), format!("connect to {}:{}: {error}", peer.as_ref()?, seen.port())))
    };
    let reply = || seen.reply().map(said);
    let refused =
        || Some((None, format!("host {} refused to talk to me: {}", peer.as_ref()?, reply()?)));
    let told = |command: &str| {
        let text = reply()?;
        Some((
            None,
            format!("host {} said: {text} (in reply to {command} command)", peer.as_ref()?),
        ))
    };
    let lost = |doing: &str| {
        Some((Some((4, 2)), format!("lost connection with {} while {doing}", peer.as_ref()?)))
    };
    let hung = |doing: &str| {
        Some((
            Some((4, 2)),
            format!("conversation with {} timed out while {doing}", peer.as_ref()?),
        ))
    };
    let doing = || match seen.stage()?.stage {
        Stage::Ehlo | Stage::EhloTls => Some("performing the EHLO handshake"),
        Stage::Helo => Some("performing the HELO handshake"),
        Stage::Starttls => Some("receiving the STARTTLS response"),
        Stage::Mail => Some("sending MAIL FROM"),
        Stage::Rcpt => Some("sending RCPT TO"),
        Stage::Connect | Stage::Banner | Stage::TlsHandshake | Stage::Auth | Stage::Quit => None,
    };
    match seen.why {
        Why::MxNxdomain => {
            let asked = last_type(seen).label();
            Some((Some((4, 4)), name_service(&domain.to_string(), asked, "Host not found")))
        }
        Why::MxLookup(LookupStatus::Formerr) if outcome == Outcome::Bounce => {
            Some((Some((4, 3)), name_service(&domain.to_string(), "MX", "Non-recoverable error")))
        }
        Why::MxLookup(_) if outcome == Outcome::Defer => {
            let text = name_service(&domain.to_string(), "MX", "Host not found, try again");
            Some((Some((4, 3)), text))
        }
        Why::MxNull => {
            Some((Some((1, 0)), format!("Domain {domain} does not accept mail (nullMX)")))
        }
        Why::MxLoop => Some((Some((4, 6)), format!("mail for {domain} loops back to myself"))),
        Why::HostDnsTemp => {
            // It names what it asked for last.
            let lookup = seen.lookup(last_type(seen)).filter(|last| !last.status().answered())?;
            let rtype = lookup.rtype.label();
            let text = name_service(&lookup.name, rtype, "Host not found, try again");
            (outcome == Outcome::Defer).then_some((Some((4, 3)), text))
        }
        Why::NoUsableMx => {
            let lookup = seen.lookup_of(seen.sole_target()?, last_type(seen))?;
            let text = name_service(&lookup.name, lookup.rtype.label(), "Host not found");
            (lookup.status() == LookupStatus::Nxdomain).then_some((Some((4, 4)), text))
        }
        Why::ConnectTimeout => connect("Connection timed out"),
        Why::ConnectRefused => connect("Connection refused"),
        Why::ConnectReset => connect("Connection reset by peer"),
        Why::NoLocalFamily => connect("Network is unreachable"),
        Why::BannerTimeout => hung(GREETING),
        Why::BannerClosed | Why::BannerReset => lost(GREETING),
        Why::Banner4xx | Why::Banner5xx | Why::Ehlo4xx | Why::Helo4xx | Why::Helo5xx => refused(),
        // What it says to words that are no reply was not seen.
        Why::SessionLost if ends(seen) => lost(doing()?),
        Why::SessionTimeout => hung(doing()?),
        Why::TlsNotOffered => {
            let text = format!("TLS is required, but was not offered by host {}", peer?);
            Some((Some((7, 4)), text))
        }
        Why::TlsHandshake | Why::TlsTimeout => {
            Some((Some((7, 5)), "Cannot start TLS: handshake failure".to_owned()))
        }
        Why::TlsCert => Some((Some((7, 5)), "Server certificate not verified".to_owned())),
        Why::TlsaError => {
            Some((Some((7, 5)), format!("TLSA lookup error for {host}:{}", seen.port())))
        }
        Why::Mail4xx | Why::Mail5xx => told("MAIL FROM"),
        Why::Rcpt4xx | Why::Rcpt5xx => told("RCPT TO"),
        // `unreachable` may be two different errors; the others have no line or one nobody saw.
        Why::MxLookup(_)
        | Why::ConnectUnreachable
        | Why::BannerMalformed
        | Why::SessionLost
        | Why::TlsRejected
        | Why::StsMx
        | Why::Ok
        | Why::NotLookedUp
        | Why::NotProbed
        | Why::LocalError => None,
    }
}

/// The type that Postfix asks for last, which is the one it names.
fn last_type(seen: &Seen<'_>) -> RecordType {
    let ipv6 = seen.sender.behaviour.families.contains(&Family::Ipv6);
    if ipv6 { RecordType::Aaaa } else { RecordType::A }
}

/// The text of a line of the main log.
fn exim(seen: &Seen<'_>, outcome: Outcome) -> Option<String> {
    let host = seen.host_name().unwrap_or_default();
    let peer = seen.session.map(|session| format!("H={host} [{}]", session.peer.ip()));
    let error = |what: &str| {
        let text = said(seen.reply()?);
        Some(format!("{}: SMTP error from remote mail server after {what}: {text}", peer.as_ref()?))
    };
    let system = |error: &str| Some(format!("{} {error}", peer.as_ref()?));
    let closed = |what: &str| {
        Some(format!("{}: Remote host closed connection in response to {what}", peer.as_ref()?))
    };
    let timeout = |what: &str| {
        Some(format!("{}: SMTP timeout after {what}: Connection timed out", peer.as_ref()?))
    };
    // The EHLO line names the sender itself, which is not known here.
    let command = || match seen.stage()?.stage {
        Stage::Ehlo => Some("EHLO"),
        Stage::Helo => Some("HELO"),
        _ => None,
    };
    let router = |text: &str| Some(text.to_owned());
    match seen.why {
        Why::MxNxdomain => router("Unrouteable address"),
        Why::MxLookup(_) | Why::HostDnsTemp if outcome == Outcome::Defer => {
            router("R=dnslookup defer (-1): host lookup did not complete")
        }
        Why::MxNull => router("an MX or SRV record indicated no SMTP service"),
        Why::MxLoop => router("lowest numbered MX record points to local host"),
        Why::NoUsableMx => router("all relevant MX records point to non-existent hosts"),
        Why::ConnectTimeout => system("Connection timed out"),
        Why::ConnectRefused => system("Connection refused"),
        Why::ConnectReset => system("Connection reset by peer"),
        Why::BannerTimeout => timeout("initial connection"),
        Why::BannerClosed => closed("initial connection"),
        Why::Banner4xx | Why::Banner5xx => error("initial connection"),
        Why::Ehlo4xx | Why::Helo4xx | Why::Helo5xx => error(command()?),
        Why::SessionLost if closes(seen) => closed(command()?),
        Why::SessionTimeout => timeout(command()?),
        Why::MxLookup(_)
        | Why::HostDnsTemp
        | Why::ConnectUnreachable
        | Why::NoLocalFamily
        | Why::BannerReset
        | Why::BannerMalformed
        | Why::SessionLost
        | Why::TlsNotOffered
        | Why::TlsRejected
        | Why::TlsHandshake
        | Why::TlsTimeout
        | Why::TlsCert
        | Why::TlsaError
        | Why::StsMx
        | Why::Mail4xx
        | Why::Mail5xx
        | Why::Rcpt4xx
        | Why::Rcpt5xx
        | Why::Ok
        | Why::NotLookedUp
        | Why::NotProbed
        | Why::LocalError => None,
    }
}

/// The connection ends, rather than something being said that is no reply.
fn ends(seen: &Seen<'_>) -> bool {
    let reason = seen.stage().and_then(|stage| stage.reason);
    matches!(reason, Some(Reason::Closed | Reason::Reset))
}

fn closes(seen: &Seen<'_>) -> bool {
    seen.stage().is_some_and(|stage| stage.reason == Some(Reason::Closed))
}

/// `dsn=` and `stat=` of a line.
fn sendmail(seen: &Seen<'_>, outcome: Outcome) -> Option<String> {
    let domain = &seen.facts.destination;
    // Sendmail names hosts with their final dot.
    let host = seen.host_name().map(|name| format!("{name}."));
    let deferred = |what: &str| Some(format!("stat=Deferred: {what} {}", host.as_ref()?));
    let name_server = |name: String| {
        Some(format!("dsn=4.4.3, stat=Deferred: Name server: {name}: host name lookup failure"))
    };
    let unknown = |name: String| {
        Some(format!("dsn=5.1.2, stat=Host unknown (Name server: {name}: host not found)"))
    };
    let replied = || Some(format!("stat=Deferred: {}", said(seen.reply()?)));
    match seen.why {
        Why::MxNxdomain => unknown(format!("{domain}.")),
        Why::MxLookup(_) if outcome == Outcome::Defer => name_server(format!("{domain}.")),
        Why::HostDnsTemp => name_server(host?),
        Why::MxLoop => Some("dsn=5.3.5, stat=Local configuration error".to_owned()),
        Why::ConnectTimeout => deferred("Connection timed out with"),
        Why::ConnectRefused => deferred("Connection refused by"),
        Why::ConnectReset => deferred("Connection reset by"),
        Why::BannerTimeout => {
            Some(format!("timeout waiting for input from {} during client greeting", host?))
        }
        Why::Banner4xx | Why::Ehlo4xx | Why::Helo4xx | Why::Mail4xx | Why::Rcpt4xx => replied(),
        Why::Banner5xx | Why::Helo5xx if outcome == Outcome::Bounce => {
            Some("stat=Service unavailable".to_owned())
        }
        Why::MxLookup(_)
        | Why::MxNull
        | Why::NoUsableMx
        | Why::ConnectUnreachable
        | Why::NoLocalFamily
        | Why::BannerClosed
        | Why::BannerReset
        | Why::BannerMalformed
        | Why::Banner5xx
        | Why::Helo5xx
        | Why::SessionLost
        | Why::SessionTimeout
        | Why::TlsNotOffered
        | Why::TlsRejected
        | Why::TlsHandshake
        | Why::TlsTimeout
        | Why::TlsCert
        | Why::TlsaError
        | Why::StsMx
        | Why::Mail5xx
        | Why::Rcpt5xx
        | Why::Ok
        | Why::NotLookedUp
        | Why::NotProbed
        | Why::LocalError => None,
    }
}

/// `stat=` of a delivery line.
fn opensmtpd(seen: &Seen<'_>, _: Outcome) -> Option<String> {
    let stat = match seen.why {
        Why::MxNxdomain => "Domain does not exist",
        Why::MxLookup(status) => match status {
            LookupStatus::Refused | LookupStatus::Notimp => "Invalid domain name",
            _ => "Temporary failure in MX lookup",
        },
        Why::MxNull | Why::NoUsableMx => "No MX found for domain",
        Why::ConnectTimeout
        | Why::ConnectRefused
        | Why::ConnectReset
        | Why::ConnectUnreachable
        | Why::BannerTimeout
        | Why::BannerClosed
        | Why::BannerReset => "Network error on destination MXs",
        Why::MxLoop
        | Why::HostDnsTemp
        | Why::NoLocalFamily
        | Why::BannerMalformed
        | Why::Banner4xx
        | Why::Banner5xx
        | Why::Ehlo4xx
        | Why::Helo4xx
        | Why::Helo5xx
        | Why::SessionLost
        | Why::SessionTimeout
        | Why::TlsNotOffered
        | Why::TlsRejected
        | Why::TlsHandshake
        | Why::TlsTimeout
        | Why::TlsCert
        | Why::TlsaError
        | Why::StsMx
        | Why::Mail4xx
        | Why::Mail5xx
        | Why::Rcpt4xx
        | Why::Rcpt5xx
        | Why::Ok
        | Why::NotLookedUp
        | Why::NotProbed
        | Why::LocalError => return None,
    };
    Some(format!("stat=\"{stat}\""))
}

/// "Last Error" of the queue viewer, or the line of the non-delivery report.
fn exchange(seen: &Seen<'_>, outcome: Outcome) -> Option<String> {
    let target = |response: &str| {
        Some(format!(
            "451 4.4.0 Primary target IP address responded with: \"{response}\" Attempted failover \
             to alternate host, but that did not succeed. Either there are no alternate hosts, or \
             delivery failed to all alternate hosts."
        ))
    };
    match (seen.why, outcome) {
        (Why::MxLookup(_) | Why::HostDnsTemp, Outcome::Defer) => {
            Some("451 4.4.0 DNS query failed".to_owned())
        }
        (Why::MxNxdomain, Outcome::Bounce) => {
            Some("554 5.4.4 SMTPSEND.DNS.NonExistentDomain; nonexistent domain".to_owned())
        }
        (Why::ConnectTimeout, Outcome::Defer) => target("421 4.4.1 Connection timed out."),
        (Why::SessionLost, Outcome::Defer) if !ends(seen) => None,
        (Why::BannerClosed | Why::BannerReset | Why::SessionLost, Outcome::Defer) => {
            target("421 4.4.2 Connection dropped due to SocketError.")
        }
        (Why::Banner4xx | Why::Ehlo4xx | Why::Helo4xx, Outcome::Defer) => {
            target(&said(seen.reply()?))
        }
        (
            Why::Ok
            | Why::MxNxdomain
            | Why::MxLookup(_)
            | Why::MxNull
            | Why::MxLoop
            | Why::NoUsableMx
            | Why::HostDnsTemp
            | Why::ConnectTimeout
            | Why::ConnectRefused
            | Why::ConnectReset
            | Why::ConnectUnreachable
            | Why::NoLocalFamily
            | Why::BannerTimeout
            | Why::BannerClosed
            | Why::BannerReset
            | Why::BannerMalformed
            | Why::Banner4xx
            | Why::Banner5xx
            | Why::Ehlo4xx
            | Why::Helo4xx
            | Why::Helo5xx
            | Why::SessionLost
            | Why::SessionTimeout
            | Why::TlsNotOffered
            | Why::TlsRejected
            | Why::TlsHandshake
            | Why::TlsTimeout
            | Why::TlsCert
            | Why::TlsaError
            | Why::StsMx
            | Why::Mail4xx
            | Why::Mail5xx
            | Why::Rcpt4xx
            | Why::Rcpt5xx
            | Why::NotLookedUp
            | Why::NotProbed
            | Why::LocalError,
            _,
        ) => None,
    }
}
