//! One stage of an SMTP session: how long it took, what was heard, and why it failed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use super::{Elapsed, Reason, Reply, Stage};

/// One stage of a session. Its JSON has what was heard as `reply` or `received`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Json<'static>")]
pub struct StageFact {
    /// Which.
    pub stage: Stage,
    /// From its begin (connect: the SYN; banner: the established connection; commands: their
    /// first byte) until its reply was complete or given up.
    pub duration: Elapsed,
    /// What the server said.
    pub heard: Heard,
    /// Why this stage failed, if it did.
    pub reason: Option<Reason>,
}

// There are several to a session, and tens of thousands of sessions are kept.
const _: () = assert!(size_of::<StageFact>() <= 32);

/// What a server said at a stage.
#[derive(Clone, Debug)]
pub enum Heard {
    /// Nothing, or nothing that is told.
    Nothing,
    /// A complete reply.
    Reply(Reply),
    /// The beginning of what is no complete reply; unprintable bytes replaced by U+FFFD. Of a TLS
    /// handshake that failed, how.
    Broken(Box<str>),
}

impl From<Option<Reply>> for Heard {
    fn from(reply: Option<Reply>) -> Self {
        reply.map_or(Self::Nothing, Self::Reply)
    }
}

impl StageFact {
    /// The reply, if a complete one came.
    pub const fn reply(&self) -> Option<&Reply> {
        match &self.heard {
            Heard::Reply(reply) => Some(reply),
            Heard::Nothing | Heard::Broken(_) => None,
        }
    }

    /// The beginning of what came when it was no complete reply.
    pub const fn received(&self) -> Option<&str> {
        match &self.heard {
            Heard::Broken(text) => Some(text),
            Heard::Nothing | Heard::Reply(_) => None,
        }
    }

    /// Why this stage failed, by the code of the reply alone: its wording is the server's own.
    pub fn reason_by_code(&self) -> Option<Reason> {
        match (self.reason, self.reply()) {
            (Some(Reason::RefusingUs), Some(reply)) => Some(Reason::of_code(reply.code)),
            (reason, _) => reason,
        }
    }

    /// Whether the reply to this EHLO lists an extension.
    pub fn offers(&self, extension: &str) -> bool {
        self.listed().into_iter().flatten().any(|line| is_extension(line, extension))
    }

    /// What it lists, if it is positive.
    pub fn listed(&self) -> Option<impl Iterator<Item = &str>> {
        self.listing().map(Reply::listed)
    }

    /// The reply that lists it.
    pub fn listing(&self) -> Option<&Reply> {
        self.reply().filter(|reply| reply.positive())
    }
}

/// Whether a line of the EHLO reply has this keyword. Some servers write "AUTH=LOGIN" for clients of
/// the last century.
pub(super) fn is_extension(line: &str, keyword: &str) -> bool {
    // By bytes, because every scrape asks it of every line.
    let Some((word, rest)) = line.as_bytes().split_at_checked(keyword.len()) else { return false };
    let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'=';
    word.eq_ignore_ascii_case(keyword.as_bytes()) && rest.first().is_none_or(ends)
}

/// How a stage is written.
#[derive(Deserialize, Serialize)]
struct Json<'a> {
    stage: Stage,
    #[serde(rename = "duration_seconds")]
    duration: Elapsed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Cow<'a, Reply>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    received: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

impl TryFrom<Json<'_>> for StageFact {
    type Error = &'static str;

    fn try_from(json: Json<'_>) -> Result<Self, Self::Error> {
        let Json { stage, duration, reply, received, reason } = json;
        let heard = match (reply, received) {
            (None, None) => Heard::Nothing,
            (Some(reply), None) => Heard::Reply(reply.into_owned()),
            (None, Some(text)) => Heard::Broken(text.into()),
            (Some(_), Some(_)) => return Err("a stage has a reply or what was received instead"),
        };
        Ok(Self { stage, duration, heard, reason })
    }
}

impl Serialize for StageFact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { stage, duration, reason, .. } = *self;
        let reply = self.reply().map(Cow::Borrowed);
        let received = self.received().map(Cow::Borrowed);
        Json { stage, duration, reply, received, reason }.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_written_as_it_was_read() {
        for json in [
            r#"{"stage":"connect","duration_seconds":0.5}"#,
            r#"{"stage":"banner","duration_seconds":60.0,"received":"220-mx\n22","reason":"timeout"}"#,
            r#"{"stage":"ehlo","duration_seconds":0.5,"reply":{"code":250,"lines":["mx","SIZE 10"]}}"#,
            r#"{"stage":"rcpt","duration_seconds":0.5,"reply":{"code":450,"enhanced":"4.7.1","lines":[""]},"reason":"reply_4xx"}"#,
        ] {
            let fact: StageFact = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&fact).unwrap(), json);
        }
    }

    #[test]
    fn a_reply_and_a_broken_one_are_not_told_of_one_stage() {
        let both = r#"{"stage":"banner","duration_seconds":1,"received":"2","reply":{"code":220,"lines":[]}}"#;
        let refused = serde_json::from_str::<StageFact>(both).unwrap_err().to_string();
        assert!(refused.starts_with("a stage has a reply or"), "{refused}");
    }
}
