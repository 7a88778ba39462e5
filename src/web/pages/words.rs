//! Why a verdict is what it is, in a few words.

use crate::delivery::Why;

/// Fits behind a colon.
pub(super) fn why(why: Why) -> String {
    let words = match why {
        Why::Ok => "an exchanger takes it",
        Why::MxNxdomain => "the domain does not exist",
        Why::MxLookup(status) => {
            return format!("the MX lookup fails: {}", status.label().replace('_', " "));
        }
        Why::MxNull => "the domain takes no mail (null MX)",
        Why::MxLoop => "the sender is an exchanger of the domain itself",
        Why::NoUsableMx => "no exchanger has an address that it uses",
        Why::HostDnsTemp => "an address lookup of an exchanger fails",
        Why::ConnectTimeout => "no answer to the connection attempt",
        Why::ConnectRefused => "the connection is refused",
        Why::ConnectReset => "the connection is reset",
        Why::ConnectUnreachable => "the network says unreachable",
        Why::NoLocalFamily => "this host has no route of that family",
        Why::BannerTimeout => "connected, and no banner comes",
        Why::BannerClosed => "the connection is closed before a banner",
        Why::BannerReset => "the connection is reset before a banner",
        Why::BannerMalformed => "what comes is no SMTP banner",
        Why::Banner4xx => "the banner says try again later",
        Why::Banner5xx => "the banner refuses it",
        Why::Ehlo4xx => "EHLO is answered with try again later",
        Why::Helo4xx => "HELO is answered with try again later",
        Why::Helo5xx => "HELO is refused",
        Why::SessionLost => "the connection is lost in the session",
        Why::SessionTimeout => "a reply in the session does not come",
        Why::TlsNotOffered => "TLS is required and not offered",
        Why::TlsRejected => "STARTTLS is refused",
        Why::TlsHandshake => "the TLS handshake fails",
        Why::TlsTimeout => "the TLS handshake hangs",
        Why::TlsCert => "the certificate does not satisfy the policy",
        Why::TlsaError => "the TLSA lookup fails",
        Why::StsMx => "the MTA-STS policy does not list the exchanger",
        Why::Mail4xx => "the sender address is answered with try again later",
        Why::Mail5xx => "the sender address is refused",
        Why::Rcpt4xx => "the recipient is answered with try again later",
        Why::Rcpt5xx => "the recipient is refused",
        Why::NotLookedUp => "a lookup that decides was not made",
        Why::NotProbed => "an address that decides was not probed far enough",
        Why::LocalError => "this host could not open the connection",
    };
    words.to_owned()
}
