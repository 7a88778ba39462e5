//! What a refusal means, by its code, its enhanced code (RFC 3463, RFC 5248) and the wording of known
//! servers: whether it is this host that is refused, and which class the reply about a recipient has.
//!
//! Codes alone do not tell: 450 is greylisting, a full mailbox or a block, as the server likes. Wording
//! that is not known makes a reply [`RecipientClass::Other`], never something definite.

use serde::{Deserialize, Serialize};

use super::{EnhancedCode, Reason, Reply};

/// What the reply to MAIL or RCPT says about a recipient: a closed set.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientClass {
    /// Taken.
    Accepted,
    /// It is this host, or its address, that is refused.
    Blocked,
    /// Refused for a while because the server does not know this host yet (RFC 6647).
    Greylisted,
    /// The mailbox has no room.
    MailboxFull,
    /// There is no such recipient.
    NoSuchUser,
    /// Another refusal.
    Other,
    /// The server takes no mail for that domain from this host.
    RelayingDenied,
}

impl RecipientClass {
    /// All, in the order of their labels.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Blocked,
        Self::Greylisted,
        Self::MailboxFull,
        Self::NoSuchUser,
        Self::Other,
        Self::RelayingDenied,
    ];

    /// Value of the `class` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Blocked => "blocked",
            Self::Greylisted => "greylisted",
            Self::MailboxFull => "mailbox_full",
            Self::NoSuchUser => "no_such_user",
            Self::Other => "other",
            Self::RelayingDenied => "relaying_denied",
        }
    }

    /// The class of a reply to MAIL or RCPT.
    pub fn of(reply: &Reply) -> Self {
        if reply.positive() {
            return Self::Accepted;
        }
        let said = Said::by(reply);
        if said.greylists() {
            Self::Greylisted
        } else if said.denies_relaying() {
            Self::RelayingDenied
        } else if said.blocks_us() {
            Self::Blocked
        } else if said.has_no_room() {
            Self::MailboxFull
        } else if said.knows_no_such_user() {
            Self::NoSuchUser
        } else {
            Self::Other
        }
    }
}

impl Reason {
    /// The reason that a refusing reply stands for, be it a banner or the reply to a command.
    pub fn of_refusal(reply: &Reply) -> Self {
        let said = Said::by(reply);
        let about_us = said.blocks_us() && !said.greylists() && !said.denies_relaying();
        if about_us { Self::RefusingUs } else { Self::of_code(reply.code) }
    }

    /// The same by the code alone.
    pub const fn of_code(code: u16) -> Self {
        match code / 100 {
            4 => Self::Reply4xx,
            5 => Self::Reply5xx,
            _ => Self::ReplyUnexpected,
        }
    }
}

/// A reply as it is looked at: its text in lower case on one line.
struct Said {
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: String,
}

impl Said {
    fn by(reply: &Reply) -> Self {
        let text = reply.lines.join(" ").to_lowercase();
        Self { code: reply.code, enhanced: reply.enhanced, text }
    }

    fn any(&self, wordings: &[&str]) -> bool {
        wordings.iter().any(|wording| self.text.contains(wording))
    }

    const fn for_now(&self) -> bool {
        self.code / 100 == 4
    }

    /// Subject and detail of the enhanced code.
    fn status(&self) -> Option<(u16, u16)> {
        self.enhanced.map(|enhanced| (enhanced.subject, enhanced.detail))
    }

    fn greylists(&self) -> bool {
        self.for_now() && self.any(GREYLISTING)
    }

    fn denies_relaying(&self) -> bool {
        matches!(self.status(), Some((7, 54 | 64))) || self.any(RELAYING)
    }

    fn blocks_us(&self) -> bool {
        // The security and policy statuses of RFC 3463 §3.8, or none at all.
        let fits = BLOCKING_CODES.contains(&self.code)
            && self.status().is_none_or(|(subject, _)| subject == 7);
        if !fits || self.any(WANTS_SOMETHING_ELSE) {
            return false;
        }
        let known = self.status().is_some_and(|(_, detail)| match detail {
            // RFC 7372 and IANA's registry: SPF, reverse DNS, several checks, a flood of mail. Then
            // those of Exchange Online for addresses that are banned.
            23 | 25 | 26 | 28 | 511 | 606..=649 => true,
            500..=699 => self.for_now(),
            _ => false,
        });
        known || self.any(BLOCKING) || (self.any(THIS_HOST) && self.any(IS_REFUSED))
    }

    fn has_no_room(&self) -> bool {
        // RFC 5321 §4.2.3: 552 is a storage allocation that is exceeded; with 5.3.4 it is about size.
        match self.status() {
            Some((2, 2)) => true,
            Some((2 | 7 | 0, _)) => self.any(FULL),
            Some(_) => false,
            None => self.code == 552 || self.any(FULL),
        }
    }

    fn knows_no_such_user(&self) -> bool {
        if self.any(&["sender address rejected", "sender verify failed"]) {
            return false;
        }
        match self.status() {
            Some((1, 1 | 2 | 3 | 6 | 10) | (2, 1)) if !self.for_now() => true,
            // Exchange Online, for a recipient that the tenant does not have.
            Some((4, 1)) => self.any(&["recipient address rejected: access denied"]),
            _ => self.any(UNKNOWN),
        }
    }
}

/// Codes that a server gives to a host that it does not want: 521 is RFC 7504, 571 old habit.
const BLOCKING_CODES: [u16; 8] = [421, 450, 451, 521, 550, 553, 554, 571];

/// Postgrey, Postfix policy services, milter-greylist, rspamd, sqlgrey, Exim's greylistd.
const GREYLISTING: &[&str] = &[
    "greylist",
    "graylist",
    "grey-list",
    "gray-list",
    "grey list",
    "postgrey",
    "come back in",
    "come back later",
    "not yet authorized to deliver",
    "retry in",
    "try again in",
];

/// Postfix, Sendmail, Exim, Exchange, qmail, OpenSMTPD, Haraka.
const RELAYING: &[&str] = &[
    "allowed rcpthosts",
    "cannot relay",
    "does not relay",
    "not a relay",
    "not permitted to relay",
    "relay access denied",
    "relay denied",
    "relay not allowed",
    "relay not permitted",
    "relay operation",
    "relaying denied",
    "relaying disallowed",
    "relaying is denied",
    "relaying not allowed",
    "relaying not permitted",
    "relaying prohibited",
    "unable to relay",
    "unauthorized relay",
    "we do not relay",
];

/// Replies under 4.7.x and 5.7.x that ask for another way of sending, not for another host.
const WANTS_SOMETHING_ELSE: &[&str] =
    &["authentication required", "encryption", "must issue", "starttls", "tls required"];

/// What only the host can be meant by.
const BLOCKING: &[&str] = &[
    "[ts01]",
    "[ts02]",
    "[ts03]",
    "[tss04]",
    "[tss05]",
    "[tss09]",
    "[tss11]",
    "bad dns ptr",
    "banned sender",
    "banned sending ip",
    "barracudacentral",
    "black list",
    "blacklist",
    "block list",
    "blocked using",
    "blocklist",
    "client host rejected",
    "connection rate limit",
    "dnsbl",
    "find your hostname",
    "find your reverse hostname",
    "helo command rejected",
    "no ptr",
    "ptr record",
    "reputation",
    "reverse dns",
    "reverse lookup",
    "sorbs.net",
    "spamcop",
    "spamhaus",
    "too many connections from",
    "uceprotect",
    "unexpected volume or user complaints",
    "unsolicited mail originating from your ip",
];

/// Names of the host that calls.
const THIS_HOST: &[&str] = &[
    "client host",
    "connecting host",
    "ip address",
    "sending ip",
    "sending mta",
    "your access",
    "your host",
    "your ip",
    "your mail server",
    "your network",
    "your server",
];

/// What is done to it.
const IS_REFUSED: &[&str] = &[
    "banned",
    "blocked",
    "deferred",
    "denied",
    "not accept",
    "not allowed",
    "prohibited",
    "rate limited",
    "refused",
    "rejected",
];

/// Dovecot, Cyrus, Gmail, Exchange, Exim.
const FULL: &[&str] = &[
    "exceeded storage",
    "exceeds quota",
    "full mailbox",
    "mailbox full",
    "mailbox is full",
    "mailbox size limit",
    "out of storage",
    "over quota",
    "overquota",
    "quota exceeded",
    "storage allocation",
];

/// Postfix, Sendmail, Exim, Exchange, qmail, Gmail, Outlook.
const UNKNOWN: &[&str] = &[
    "does not exist",
    "invalid mailbox",
    "invalid recipient",
    "mailbox not found",
    "no mailbox by that name",
    "no mailbox here",
    "no such address",
    "no such mailbox",
    "no such recipient",
    "no such user",
    "recipient not found",
    "recipientnotfound",
    "unknown address",
    "unknown recipient",
    "unknown user",
    "unrouteable address",
    "user not found",
    "user unknown",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Reply {
        let (code, said) = text.split_once(' ').unwrap();
        let first = said.split(' ').next().unwrap();
        Reply {
            code: code.parse().unwrap(),
            enhanced: EnhancedCode::parse(first),
            lines: said.to_owned().into(),
        }
    }

    #[test]
    fn replies_of_real_servers_have_their_class() {
        use RecipientClass::{
            Accepted, Blocked, Greylisted, MailboxFull, NoSuchUser, Other, RelayingDenied,
        };
        for (text, class) in [
            ("250 2.1.5 Ok", Accepted),
            ("251 2.1.5 User not local; will forward", Accepted),
            // Greylisting: Postgrey, rspamd, milter-greylist, sqlgrey.
            (
                "450 4.2.0 <a@b.test>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/b.test.html",
                Greylisted,
            ),
            ("451 4.7.1 Greylisting in action, please come back in 00:05:00", Greylisted),
            ("451 4.7.1 Try again later: greylisted", Greylisted),
            ("450 4.7.1 <unknown[192.0.2.1]>: Client host rejected: Greylisted", Greylisted),
            ("450 You are not yet authorized to deliver mail from here", Greylisted),
            // Full: Dovecot, Gmail, Exchange, Exim.
            ("452 4.2.2 <a@b.test> Quota exceeded (mailbox for user is full)", MailboxFull),
            ("552 5.2.2 <a@b.test>: Mailbox full", MailboxFull),
            ("452 4.2.2 The recipient's inbox is out of storage space.", MailboxFull),
            ("552 Requested mail action aborted: exceeded storage allocation", MailboxFull),
            ("550 Mailbox quota exceeded", MailboxFull),
            ("552 5.3.4 Message size exceeds fixed limit", Other),
            ("452 4.3.1 Insufficient system storage", Other),
            // Nobody: Postfix, Sendmail, Exim, Gmail, Exchange Online, Outlook.
            (
                "550 5.1.1 <a@b.test>: Recipient address rejected: User unknown in local recipient table",
                NoSuchUser,
            ),
            ("550 5.1.1 <a@b.test>... User unknown", NoSuchUser),
            ("550 Unrouteable address", NoSuchUser),
            ("550 5.1.1 The email account that you tried to reach does not exist.", NoSuchUser),
            (
                "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
                NoSuchUser,
            ),
            ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", NoSuchUser),
            ("550 5.2.1 The email account that you tried to reach is disabled.", NoSuchUser),
            (
                "450 4.1.1 <a@b.test>: Recipient address rejected: unverified address: connect refused",
                Other,
            ),
            ("550 5.1.8 <a@b.test>: Sender address rejected: Domain not found", Other),
            (
                "550 5.1.0 <a@b.test>: Sender address rejected: User unknown in virtual mailbox table",
                Other,
            ),
            // Relaying: Postfix, Sendmail, Exim, Exchange, qmail.
            ("554 5.7.1 <a@b.test>: Relay access denied", RelayingDenied),
            ("454 4.7.1 <a@b.test>: Relay access denied", RelayingDenied),
            (
                "550 5.7.1 <a@b.test>... Relaying denied. IP name lookup failed [192.0.2.1]",
                RelayingDenied,
            ),
            ("550 relay not permitted", RelayingDenied),
            ("550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", RelayingDenied),
            (
                "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
                RelayingDenied,
            ),
            // Us: Postfix, Exchange Online, Outlook, Gmail, Yahoo, IronPort, GMX.
            (
                "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
                Blocked,
            ),
            ("554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied", Blocked),
            ("450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", Blocked),
            ("550 5.7.606 Access denied, banned sending IP [192.0.2.1]", Blocked),
            ("451 4.7.500 Server busy. Please try again later from [192.0.2.1].", Blocked),
            (
                "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is on our block list (S3150).",
                Blocked,
            ),
            ("421 4.7.28 Our system has detected an unusual rate of unsolicited mail", Blocked),
            (
                "550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
                Blocked,
            ),
            (
                "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
                Blocked,
            ),
            (
                "554 Your access to this mail system has been rejected due to the sending MTA's poor reputation.",
                Blocked,
            ),
            (
                "554 gmx.net Nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record.",
                Blocked,
            ),
            ("421 4.7.0 mx.b.test Error: too many connections from 192.0.2.1", Blocked),
            // Refusals of something else.
            ("554 5.7.1 <a@b.test>: Recipient address rejected: Access denied", Other),
            ("530 5.7.0 Must issue a STARTTLS command first", Other),
            ("451 4.7.0 TLS required", Other),
            ("530 5.7.0 Authentication required", Other),
            ("451 4.3.0 Temporary lookup failure", Other),
            ("421 4.3.2 Service shutting down", Other),
            ("550 Rejected", Other),
        ] {
            assert_eq!(RecipientClass::of(&reply(text)), class, "{text}");
        }
    }

    #[test]
    fn only_what_is_about_this_host_is_refusing_us() {
        for (text, reason) in [
            (
                "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied",
                Reason::RefusingUs,
            ),
            ("521 5.7.1 Blocked by DNSBL", Reason::RefusingUs),
            ("421 4.7.0 IP address 192.0.2.1 temporarily blocked", Reason::RefusingUs),
            ("554 No SMTP service here", Reason::Reply5xx),
            ("450 4.7.1 Client host rejected: Greylisted, try again", Reason::Reply4xx),
            ("421 4.7.0 Try again later, closing connection.", Reason::Reply4xx),
            ("451 4.7.0 STARTTLS is required for your IP address, access denied", Reason::Reply4xx),
            ("550 5.7.1 Relaying denied: your IP address is blocked", Reason::Reply5xx),
            ("535 5.7.8 Error: authentication failed: your access is denied", Reason::Reply5xx),
            ("554 5.1.1 spamhaus", Reason::Reply5xx),
            ("554 5.3.2 Service not available", Reason::Reply5xx),
            ("421 Service not available", Reason::Reply4xx),
            ("354 go on", Reason::ReplyUnexpected),
        ] {
            assert_eq!(Reason::of_refusal(&reply(text)), reason, "{text}");
        }
    }

    #[test]
    fn a_class_has_one_spelling_in_json_and_labels() {
        for class in RecipientClass::ALL {
            assert_eq!(serde_json::json!(class), class.label());
        }
    }
}
