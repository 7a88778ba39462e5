//! What each reason of a verdict means, in words that hold for every domain.
//!
//! For alerts and dashboards, which know no more than the label. What happened at one exchanger,
//! with its name and its reply, is told by `because`.

use crate::{delivery::Why, facts::LookupStatus};

/// A clause without full stop, such as `the exchanger accepts the connection and does not greet`.
pub fn meaning(why: Why) -> &'static str {
    match why {
        Why::Ok => "nothing stands in the way",
        Why::MxNxdomain | Why::MxLookup(LookupStatus::Nxdomain) => "the domain does not exist",
        Why::MxLookup(status) => of_mx_lookup(status),
        Why::MxNull => "the domain declares that it takes no mail (null MX)",
        Why::MxLoop => "the sending host is itself the best exchanger of the domain",
        Why::NoUsableMx => "no exchanger has an address that this sender uses",
        Why::HostDnsTemp => "an address lookup of an exchanger fails",
        Why::ConnectTimeout => "the exchanger does not answer the connection attempt",
        Why::ConnectRefused => "the exchanger refuses the connection",
        Why::ConnectReset => "the exchanger resets the connection at once",
        Why::ConnectUnreachable => "the network reports the exchanger unreachable",
        Why::NoLocalFamily => "the sending host has no route of the exchanger's address family",
        Why::BannerTimeout => "the exchanger accepts the connection and does not greet",
        Why::BannerClosed => "the exchanger accepts the connection and closes it without a word",
        Why::BannerReset => "the exchanger accepts the connection and resets it without a word",
        Why::BannerMalformed => "the exchanger greets with something that is not SMTP",
        Why::Banner4xx => "the exchanger refuses for now with its greeting",
        Why::Banner5xx => "the exchanger refuses with its greeting",
        Why::Ehlo4xx => "the exchanger refuses EHLO for now",
        Why::Helo4xx => "the exchanger refuses EHLO and HELO for now",
        Why::Helo5xx => "the exchanger refuses EHLO and HELO",
        Why::SessionLost => "the connection is lost, or the login refused, after the greeting",
        Why::SessionTimeout => "the exchanger greets and then leaves a command without reply",
        Why::TlsNotOffered => "the exchanger does not offer STARTTLS, and TLS is required",
        Why::TlsRejected => "the exchanger refuses STARTTLS, and TLS is required",
        Why::TlsHandshake => "the TLS handshake fails",
        Why::TlsTimeout => "the exchanger takes STARTTLS and leaves the TLS handshake hanging",
        Why::TlsCert => "the certificate of the exchanger is not what the policy asks for",
        Why::TlsaError => "the TLSA lookup of the exchanger fails, and this sender asks for DANE",
        Why::StsMx => "the enforced MTA-STS policy does not list the exchanger",
        Why::Mail4xx => "the exchanger refuses the sender address for now",
        Why::Mail5xx => "the exchanger refuses the sender address",
        Why::Rcpt4xx => "the exchanger refuses the recipient for now",
        Why::Rcpt5xx => "the exchanger refuses the recipient",
        Why::NotLookedUp => "a lookup that decides was not made",
        Why::NotProbed => "an address that decides was not probed far enough",
        Why::LocalError => "the probing host itself could not open the connection",
    }
}

fn of_mx_lookup(status: LookupStatus) -> &'static str {
    match status {
        LookupStatus::Bogus => "the MX lookup fails: DNSSEC does not hold",
        LookupStatus::Formerr => "the MX lookup fails: the resolver answers FORMERR",
        LookupStatus::Malformed => "the MX lookup fails: the answer is no DNS message",
        LookupStatus::NetworkError => "the MX lookup fails: the resolver cannot be reached",
        LookupStatus::Notimp => "the MX lookup fails: the resolver answers NOTIMP",
        LookupStatus::Refused => "the MX lookup fails: the resolver answers REFUSED",
        LookupStatus::Servfail => "the MX lookup fails: the resolver answers SERVFAIL",
        LookupStatus::Timeout => "the MX lookup fails: the resolver does not answer",
        LookupStatus::Nodata | LookupStatus::Noerror | LookupStatus::Nxdomain => {
            "the MX lookup does not say where mail goes"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own() {
        let mut by_words: BTreeMap<&str, &str> = BTreeMap::new();
        for why in Why::ALL {
            let words = meaning(*why);
            assert!(!words.ends_with('.') && !words.contains(['"', '{']), "{words}");
            let other = by_words.insert(words, why.label());
            assert!(other.is_none(), "{} and {other:?}: {words}", why.label());
        }
    }
}
