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

/// Why. A line that means nothing here is `unread`, which no verdict says.
pub(crate) fn reason(domain: &str, attempt: &Attempt) -> &'static str {
    let text = attempt.text.as_str();
    let says = |words: &str| text.contains(words);
    if attempt.status == "sent" {
        "ok"
    } else if says("Name service error for") {
        lookup(domain, text)
    } else if says("does not accept mail (nullMX)") {
        "mx_null"
    } else if says("loops back to myself") {
        "mx_loop"
    } else if text.starts_with("connect to ") {
        "connect_failed"
    } else if says("timed out while receiving the initial server greeting") {
        "banner_timeout"
    } else if says("lost connection with") && says("receiving the initial server greeting") {
        "banner_closed"
    } else if says("refused to talk to me: ") {
        greeting(text)
    } else if says("in reply to MAIL FROM command") {
        "mail_rejected"
    } else if says("in reply to RCPT TO command") {
        // Postfix may defer a 5xx and never bounces a 4xx, so the reply decides.
        if says(" said: 4") { "rcpt_4xx" } else { "rcpt_5xx" }
    } else {
        "unread"
    }
}

/// A lookup that gave nothing: whether there is none, none for now or none that can be asked for.
fn lookup(domain: &str, text: &str) -> &'static str {
    let of_domain = text.contains(&format!("name={domain} "));
    let (exchangers, addresses) = if text.ends_with("try again") {
        ("mx_temp", "host_dns_temp")
    } else if text.ends_with("Non-recoverable error") {
        ("mx_failed", "host_dns_failed")
    } else {
        ("mx_nxdomain", "no_usable_mx")
    };
    if of_domain { exchangers } else { addresses }
}

/// Postfix has the same words for a greeting and for the answer to EHLO or HELO; the world's
/// servers say themselves which it is.
fn greeting(text: &str) -> &'static str {
    match (text.contains("No greeting"), text.contains("to me: 4")) {
        (true, true) => "banner_4xx",
        (true, false) => "banner_5xx",
        (false, _) => "helo_rejected",
    }
}
