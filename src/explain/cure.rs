//! Who can put it right, and how.

use serde::{Deserialize, Serialize};

use super::{plain::said, seen::Seen, several::listed};
use crate::{
    delivery::{Tls, Why},
    facts::{LookupStatus, Reason, RecipientClass, RecordType, Reply, Stage},
};

/// What is to be done, and by whom.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Cure {
    /// Who can do it.
    pub who: Who,
    /// One or two sentences.
    pub what: String,
}

/// Who can put it right.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Those who run the domain, its name servers or its exchangers.
    Destination,
    /// Nothing is wrong.
    Nobody,
    /// Those who run the sender or this probe.
    You,
    /// Those who run the DNS resolver that was asked.
    YourResolver,
}

impl Who {
    /// As in JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Nobody => "nobody",
            Self::You => "you",
            Self::YourResolver => "your_resolver",
        }
    }

    /// As a person says it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Destination => "the destination",
            Self::Nobody => "nobody",
            Self::You => "you",
            Self::YourResolver => "your resolver",
        }
    }
}

/// The cure of a reason; what this kind of sender can do meanwhile comes last.
pub(super) fn cure(seen: &Seen<'_>) -> Cure {
    let (who, mut what) = general(seen);
    if let Some(workaround) = workaround(&seen.sender.kind, seen) {
        what.push(' ');
        what.push_str(&workaround);
    }
    Cure { who, what }
}

fn general(seen: &Seen<'_>) -> (Who, String) {
    let domain = &seen.facts.destination;
    let peer = seen.peer();
    let port = seen.port();
    let they = |what: String| (Who::Destination, what);
    let you = |what: String| (Who::You, what);
    match seen.why {
        Why::Ok => (Who::Nobody, "There is nothing to do.".to_owned()),
        Why::MxNxdomain => they(format!(
            "Check the spelling of {domain}; if it is right, its owner has to bring the name back \
             into DNS."
        )),
        Why::MxLookup(status) => resolution(seen, status, &format!("MX of {domain}")),
        Why::MxNull => they(format!(
            "{domain} wants no mail: use another address, or ask its owner to publish an MX."
        )),
        Why::MxLoop => you(format!(
            "Configure the sending host as a destination or relay of {domain}, or have it taken out \
             of the MX records."
        )),
        Why::NoUsableMx => no_address(seen),
        Why::HostDnsTemp => match seen.failing_lookup() {
            Some(lookup) => {
                let question = format!("{} of {}", lookup.rtype.label(), lookup.name);
                resolution(seen, lookup.status(), &question)
            }
            None => they("Its name servers must answer A and AAAA of every exchanger.".to_owned()),
        },
        Why::ConnectTimeout | Why::ConnectUnreachable if seen.everywhere() => you(format!(
            "No address of {domain} can be reached from here: see first whether port {port} is let \
             out of your network, by trying another domain; many providers block it. If others \
             work, tell the postmaster of {domain} by other means."
        )),
        Why::ConnectTimeout | Why::ConnectUnreachable => they(format!(
            "{peer} must be reachable on port {port}, or be taken out of DNS: every sender loses \
             time on it."
        )),
        Why::ConnectRefused | Why::ConnectReset => they(format!(
            "A mail server must listen at {peer} on port {port}, or {peer} be taken out of DNS; if \
             others get through, a firewall there refuses you."
        )),
        Why::NoLocalFamily => {
            you("Give the sending host a route in that family, or tell the sender not to use it."
                .to_owned())
        }
        Why::BannerTimeout => they(silent(seen)),
        Why::BannerClosed | Why::BannerReset => they(format!(
            "The mail server at {peer} hangs up before it greets: it is broken, or does not want \
             your address; ask its postmaster which."
        )),
        Why::BannerMalformed => they(format!(
            "A server that speaks SMTP (RFC 5321 §4.2) must answer at {peer} on port {port}; this one \
             does not."
        )),
        Why::Banner4xx | Why::Ehlo4xx | Why::Helo4xx | Why::Mail4xx => for_now(seen),
        Why::Banner5xx | Why::Helo5xx | Why::Mail5xx => for_good(seen),
        Why::SessionLost | Why::SessionTimeout => cut_short(seen),
        Why::TlsNotOffered | Why::TlsRejected => tls_missing(seen),
        Why::TlsHandshake | Why::TlsTimeout => they(format!(
            "TLS at {peer} must work: protocol versions, ciphers and certificate are the usual \
             places to look."
        )),
        Why::TlsCert => they(certificate(seen)),
        Why::TlsaError => match seen.deciding_lookup() {
            Some(lookup) => {
                let question = format!("{} of {}", lookup.rtype.label(), lookup.name);
                resolution(seen, lookup.status(), &question)
            }
            None => they(format!(
                "The name servers must answer TLSA of {peer} with records or with NOERROR; to a DANE \
                 sender a failure means unreachable (RFC 7672 §2.1.2)."
            )),
        },
        Why::StsMx => they(format!(
            "The MTA-STS policy of {domain} must list every exchanger in its mx lines (RFC 8461 \
             §3.2)."
        )),
        Why::Rcpt4xx | Why::Rcpt5xx => recipient(seen),
        Why::NotLookedUp => you(format!("Look again: mxwatch check {domain} makes every lookup.")),
        Why::NotProbed => {
            you("Probe from a host that can reach this address, and with all families.".to_owned())
        }
        Why::LocalError => {
            you("See to the probing host: its source addresses and its limit of open files."
                .to_owned())
        }
    }
}

/// What the certificate of an exchanger has to be.
fn certificate(seen: &Seen<'_>) -> String {
    let (peer, host) = (seen.peer(), seen.host_name().unwrap_or_default());
    let shown = seen.session.and_then(|session| session.tls.as_deref());
    match shown {
        Some(shown) if !shown.pkix.trusted() && !seen.goes_by_tlsa() => format!(
            "{peer} shows {}: {}.",
            super::tls::trust(shown),
            super::tls::remedy(shown, &host)
        ),
        _ => format!(
            "{peer} must show a certificate that its TLSA records promise; the records have to be \
             published before the certificate changes (RFC 7671 §8.1)."
        ),
    }
}

/// A session that does not get as far as mail.
fn cut_short(seen: &Seen<'_>) -> (Who, String) {
    let peer = seen.peer();
    if seen.fails_at(Stage::Auth) {
        let what = format!(
            "Check username and password for {peer}, and whether the account may still send; a changed \
             password is read on reload."
        );
        return (Who::You, what);
    }
    let what = format!(
        "The mail server at {peer} greets and then does not answer as it must. If it works for others, \
         look for a firewall on the way that meddles with SMTP or drops large packets."
    );
    (Who::Destination, what)
}

/// Senders that are left waiting go on where there is another exchanger.
fn silent(seen: &Seen<'_>) -> String {
    let peer = seen.peer();
    let meanwhile = match seen.listed() {
        0 | 1 => String::new(),
        _ => format!(
            " Until it greets, {peer} should be switched off, so that senders go on at once."
        ),
    };
    format!(
        "The mail server at {peer} accepts connections and does not greet: it is overloaded, or it \
         waits for something itself, such as the reverse lookup of your address or a filter.{meanwhile}"
    )
}

/// A lookup that fails: the resolver's business where it alone fails, else the name servers'.
fn resolution(seen: &Seen<'_>, status: LookupStatus, question: &str) -> (Who, String) {
    if status == LookupStatus::Bogus {
        return bogus(seen, question);
    }
    let elsewhere = seen.answered_elsewhere();
    let with_authority = seen.answered_with_authority();
    let own = !elsewhere.is_empty()
        || with_authority
        || matches!(
            status,
            LookupStatus::Formerr
                | LookupStatus::Malformed
                | LookupStatus::NetworkError
                | LookupStatus::Notimp
                | LookupStatus::Refused
        )
        || !seen.resolver_answers();
    if own {
        let what = if elsewhere.is_empty() && with_authority {
            format!(
                "A name server with authority answers {question}: see why {} does not, or let the \
                 sender ask another resolver.",
                seen.resolver
            )
        } else if elsewhere.is_empty() {
            format!("See why this resolver does not answer {question}, or ask another one.")
        } else {
            let (others, resolver) = (listed(&elsewhere), seen.resolver);
            format!(
                "{question} is answered through {others}: let the sender ask there, which cures it \
                 at once, and see why {resolver} fails."
            )
        };
        return (Who::YourResolver, what);
    }
    let what = if question.starts_with(RecordType::Aaaa.label()) {
        format!(
            "The name servers must answer {question} with NOERROR even where there is none (RFC \
             4074). Until then another resolver may help."
        )
    } else {
        format!(
            "The name servers must answer {question}. Until then another resolver may still have \
             it."
        )
    };
    (Who::Destination, what)
}

/// Who does not validate answers it, so that says nothing; who does is as good as this resolver.
fn bogus(seen: &Seen<'_>, question: &str) -> (Who, String) {
    if seen.proved_elsewhere() {
        let what = format!(
            "Another resolver finds the signatures of {question} in order: see to the clock and the \
             trust anchors of this one."
        );
        return (Who::YourResolver, what);
    }
    let what = format!("DNSSEC must be put right for {question}: the signatures do not fit.");
    (Who::Destination, what)
}

fn no_address(seen: &Seen<'_>) -> (Who, String) {
    if seen.loopback_only() {
        let what = "An exchanger must have an address that others can reach; at Exim \
                    ignore_target_hosts says what is passed over.";
        return (Who::Destination, what.to_owned());
    }
    let families = &seen.sender.behaviour.families;
    let elsewhere = seen.facts.exchangers.iter().flat_map(|host| &*host.lookups).any(|lookup| {
        let unused = families.iter().all(|family| family.record_type() != lookup.rtype);
        unused && lookup.addresses().next().is_some()
    });
    if elsewhere {
        let what = "The exchangers have addresses of the other family only: give the sender that \
                    family, or relay through a host that has it.";
        return (Who::You, what.to_owned());
    }
    let domain = &seen.facts.destination;
    (Who::Destination, format!("The MX records of {domain} must name hosts that have addresses."))
}

/// Refused for now.
fn for_now(seen: &Seen<'_>) -> (Who, String) {
    if let Some(cure) = refusing_us(seen) {
        return cure;
    }
    if seen.reply().is_some_and(by_policy) {
        return blocked();
    }
    let what = "It may pass by itself: the server is busy or under maintenance. If it lasts, ask \
                their postmaster.";
    (Who::Destination, what.to_owned())
}

/// Refused for good.
fn for_good(seen: &Seen<'_>) -> (Who, String) {
    if let Some(cure) = refusing_us(seen) {
        return cure;
    }
    // RFC 7504: a host that takes no mail from anybody.
    if seen.reply().is_some_and(|reply| matches!(reply.code, 521 | 556)) {
        let what = format!("{} takes no mail at all and should not be an exchanger.", seen.peer());
        return (Who::Destination, what);
    }
    blocked()
}

/// A refused recipient, by what the reply says of it.
fn recipient(seen: &Seen<'_>) -> (Who, String) {
    if let Some(cure) = refusing_us(seen) {
        return cure;
    }
    let they = |what: &str| (Who::Destination, what.to_owned());
    match seen.reply().map(RecipientClass::of) {
        Some(RecipientClass::MailboxFull) => {
            they("Whoever reads the mailbox must make room in it, or be told by other means.")
        }
        Some(RecipientClass::RelayingDenied) => they(
            "The exchanger must take mail for this domain, or be taken out of its MX records; a smart \
             host must know the sending host, or be given its login.",
        ),
        Some(RecipientClass::Greylisted) => they(
            "This is greylisting, and a retry gets through; if it lasts, ask their postmaster.",
        ),
        _ if seen.why == Why::Rcpt4xx => they(
            "Often this is greylisting, and a retry gets through; if it lasts, ask their postmaster.",
        ),
        _ => {
            let what = "Check the recipient's address; if it is right, ask their postmaster.";
            (Who::You, what.to_owned())
        }
    }
}

/// Where the reply says that it is the sending host that is not wanted.
fn refusing_us(seen: &Seen<'_>) -> Option<(Who, String)> {
    let refuses = seen.stage().is_some_and(|fact| fact.reason == Some(Reason::RefusingUs));
    let what = || {
        format!(
            "{} works and refuses the host that asks, in its own words: {}. See to the name, reverse \
             DNS and block list entries of the sending address; their postmaster can tell what it \
             takes.",
            seen.peer(),
            seen.reply().map(said).unwrap_or_default()
        )
    };
    refuses.then(|| (Who::You, what()))
}

fn blocked() -> (Who, String) {
    let what = "As a rule they refuse you, not everybody: write to their postmaster from elsewhere, \
                and see to the name, reverse DNS and block list entries of the sending address.";
    (Who::You, what.to_owned())
}

/// X.7.Z is security or policy (RFC 3463 §3.8).
fn by_policy(reply: &Reply) -> bool {
    reply.enhanced.is_some_and(|code| code.subject == 7)
}

fn tls_missing(seen: &Seen<'_>) -> (Who, String) {
    if seen.sender.behaviour.tls == Tls::Encrypt {
        let domain = &seen.facts.destination;
        let what = format!("Your sender insists on TLS: make an exception for {domain}.");
        return (Who::You, what);
    }
    let what = format!("{} must offer TLS, which its domain's policy promises.", seen.peer());
    (Who::Destination, what)
}

/// What can be set at the sender, where its documentation says so.
fn workaround(kind: &str, seen: &Seen<'_>) -> Option<String> {
    let domain = &seen.facts.destination;
    // Where a failing lookup only costs time, what helps is set already.
    let aaaa = seen.sender.behaviour.aaaa_temp_fatal
        && seen.failing_lookup().is_some_and(|lookup| lookup.rtype == RecordType::Aaaa);
    Some(match (kind, seen.why) {
        ("exchange-2010", Why::HostDnsTemp) if aaaa => format!(
            "At Exchange: Set-SendConnector NAME -UseExternalDNSServersEnabled $true together with \
             DnsFaultTolerance Lenient in EdgeTransport.exe.config, or a Send connector for {domain} \
             with the exchanger's IPv4 address as smart host (KB 972744)."
        ),
        ("sendmail", Why::HostDnsTemp) if aaaa => {
            "At Sendmail: ResolverOptions=WorkAroundBrokenAAAA.".to_owned()
        }
        ("ims-5.5", Why::BannerTimeout) => format!(
            "At the Internet Mail Service: the service pack with the fix of Q182821; until then \
             route {domain} through a smart host."
        ),
        ("postfix", Why::NoLocalFamily) => "At Postfix: inet_protocols.".to_owned(),
        // A policy says how STARTTLS is used; implicit TLS is "smtp_tls_wrappermode" and stays.
        ("postfix", Why::TlsHandshake | Why::TlsTimeout)
            if seen.session.is_some_and(|session| session.stage(Stage::Starttls).is_some()) =>
        {
            format!("At Postfix: \"{domain} none\" in smtp_tls_policy_maps.")
        }
        ("postfix", Why::TlsNotOffered | Why::TlsCert | Why::TlsaError) => {
            format!("At Postfix: \"{domain} may\" in smtp_tls_policy_maps.")
        }
        ("exim", Why::TlsHandshake | Why::TlsTimeout) => {
            "At Exim: hosts_avoid_tls for this exchanger.".to_owned()
        }
        ("sendmail", Why::TlsHandshake | Why::TlsTimeout) => {
            "At Sendmail: Try_TLS for this exchanger with NO in the access map.".to_owned()
        }
        _ => return None,
    })
}
