//! What a line of Postfix's log means in the words of a verdict.

use crate::servers::postfix_sender::Attempt;

/// What became of the message.
pub(crate) fn outcome(attempt: &Attempt) -> &'static str {
    match attempt.status.as_str() {
        "sent" => "deliver",
        "deferred" => "defer",
        "bounced" => "bounce",
        _ => "unknown",
    }
}

/// Why: the reasons that such a line can have, for Postfix has fewer words than a verdict. A line
/// that means nothing here has none.
pub(crate) fn reasons(domain: &str, attempt: &Attempt) -> &'static [&'static str] {
    let text = attempt.text.as_str();
    let says = |words: &str| text.contains(words);
    if attempt.status == "sent" {
        &["ok"]
    } else if says("Name service error for") {
        lookup(domain, text)
    } else if says("does not accept mail (nullMX)") {
        &["mx_null"]
    } else if says("loops back to myself") {
        &["mx_loop"]
    } else if text.starts_with("connect to ") {
        connection(text)
    } else if says("while receiving the initial server greeting") {
        if says("timed out") { &["banner_timeout"] } else { &["banner_closed", "banner_reset"] }
    } else if says("refused to talk to me: ") {
        greeting(text)
    } else if says("in reply to MAIL FROM command") {
        // Postfix may defer a 5yz and never bounces a 4yz, so the reply decides.
        if says(" said: 4") { &["mail_4xx"] } else { &["mail_5xx"] }
    } else if says("in reply to RCPT TO command") {
        if says(" said: 4") { &["rcpt_4xx"] } else { &["rcpt_5xx"] }
    } else {
        &[]
    }
}

/// A lookup that gave nothing: whether there is none, none for now or none that can be asked for.
fn lookup(domain: &str, text: &str) -> &'static [&'static str] {
    let exchangers = text.contains(&format!("name={domain} "));
    if text.ends_with("try again") {
        if exchangers { FOR_NOW } else { &["host_dns_temp"] }
    } else if text.ends_with("Non-recoverable error") {
        if exchangers { &["mx_formerr"] } else { &["no_usable_mx"] }
    } else {
        // Without exchangers the domain itself is one.
        if exchangers { &["mx_nxdomain", "no_usable_mx"] } else { &["no_usable_mx"] }
    }
}

/// All that glibc calls temporary.
const FOR_NOW: &[&str] =
    &["mx_malformed", "mx_network_error", "mx_notimp", "mx_refused", "mx_servfail", "mx_timeout"];

/// A connection that was not made.
fn connection(text: &str) -> &'static [&'static str] {
    if text.ends_with("Connection timed out") {
        &["connect_timeout"]
    } else if text.ends_with("Connection refused") {
        &["connect_refused"]
    } else {
        &[]
    }
}

/// Postfix has the same words for a greeting and for the answer to EHLO or HELO; the world's
/// servers say themselves which it is.
fn greeting(text: &str) -> &'static [&'static str] {
    match (text.contains("No greeting"), text.contains("to me: 4")) {
        (true, true) => &["banner_4xx"],
        (true, false) => &["banner_5xx"],
        (false, true) => &["ehlo_4xx", "helo_4xx"],
        (false, false) => &["helo_5xx"],
    }
}
