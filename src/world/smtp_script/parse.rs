//! Scripts and actions as text.

use std::{str::FromStr, time::Duration};

use super::{Action, Script, Verb};

impl Script {
    /// This script with the actions of a text: lines of `VERB ACTION`, with `#` comments. See
    /// [`Action::from_str`] for the actions.
    ///
    /// ```text
    /// banner !delay=2s 220 mx1.example.test ESMTP
    /// ehlo   250-mx1.example.test | 250 PIPELINING
    /// rcpt   451 4.7.1 greylisted
    /// data   !reset
    /// ```
    pub fn with(mut self, text: &str) -> Result<Self, ScriptError> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |reason| ScriptError { line: index + 1, reason };
            let (word, action) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let verb = Verb::ALL
                .into_iter()
                .find(|verb| verb.word().eq_ignore_ascii_case(word))
                .ok_or_else(|| fail(format!("\"{word}\" is no verb of a script")))?;
            self = self.on(verb, action.parse().map_err(fail)?);
        }
        Ok(self)
    }
}

impl FromStr for Action {
    type Err = String;

    /// Reads steps, each begun by a word with `!` and going to the next such word; text before the
    /// first is a reply.
    ///
    /// | step | the server |
    /// |---|---|
    /// | `250-a \| 250 b` or `!reply TEXT` | sends lines, parted by ` \| ` |
    /// | `!delay=2s` | waits; a text after it is a reply |
    /// | `!silent` | says nothing |
    /// | `!drip=1s TEXT` | sends lines a byte at a time |
    /// | `!endless TEXT` | sends the line for ever |
    /// | `!long-line TEXT` | sends a mebibyte after this word, with no line end |
    /// | `!raw TEXT` | sends the bytes, `\r` `\n` `\\` being escapes |
    /// | `!close`, `!reset` | ends the connection |
    fn from_str(text: &str) -> Result<Self, String> {
        let mut action = Self::silence();
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err("the action is missing; !silent says nothing".to_owned());
        }
        while !rest.is_empty() {
            let (step, after) = match rest.find(" !") {
                Some(end) => (rest[..end].trim_end(), rest[end..].trim_start()),
                None => (rest, ""),
            };
            action = action.then(parse_step(step)?);
            rest = after;
        }
        Ok(action)
    }
}

fn parse_step(step: &str) -> Result<Action, String> {
    let Some(marked) = step.strip_prefix('!') else {
        return Ok(Action::reply(&lines(step)));
    };
    let (word, text) = marked.split_once(' ').unwrap_or((marked, ""));
    let text = text.trim();
    let (name, time) = match word.split_once('=') {
        Some((name, time)) => {
            let time = humantime::parse_duration(time);
            (name, Some(time.map_err(|error| format!("!{name} takes a time: {error}"))?))
        }
        None => (word, None),
    };
    timed(name, time, text)
        .or_else(|| plain(name, time, text))
        .ok_or_else(|| format!("\"{step}\" is no step"))
}

fn timed(name: &str, time: Option<Duration>, text: &str) -> Option<Action> {
    match (name, time?) {
        ("delay", time) if text.is_empty() => Some(Action::silence().after(time)),
        ("delay", time) => Some(Action::reply(&lines(text)).after(time)),
        ("drip", time) if !text.is_empty() => Some(Action::drip(&lines(text), time)),
        _ => None,
    }
}

fn plain(name: &str, time: Option<Duration>, text: &str) -> Option<Action> {
    match (name, text, time) {
        ("close", "", None) => Some(Action::close()),
        ("reset", "", None) => Some(Action::reset()),
        ("silent", "", None) => Some(Action::silence()),
        (_, "", _) | (_, _, Some(_)) => None,
        ("endless", text, None) => Some(Action::endless(text)),
        ("long-line", text, None) => Some(Action::long_line(text)),
        ("raw", text, None) => Some(Action::raw(unescape(text))),
        ("reply", text, None) => Some(Action::reply(&lines(text))),
        _ => None,
    }
}

fn lines(text: &str) -> String {
    text.split(" | ").map(str::trim).collect::<Vec<_>>().join("\n")
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '\\').then(|| chars.next()).flatten()) {
            (_, Some('r')) => plain.push('\r'),
            (_, Some('n')) => plain.push('\n'),
            (_, Some(other)) => plain.push(other),
            (c, None) => plain.push(c),
        }
    }
    plain
}

/// Why a script's text cannot be read, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("script, line {line}: {reason}")]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_says_the_same_as_the_builder() {
        let second = Duration::from_secs(1);
        for (text, action) in [
            ("250-a | 250 b", Action::reply("250-a\n250 b")),
            ("!delay=1s 220 mx", Action::reply("220 mx").after(second)),
            ("421 4.3.2 busy !close", Action::reply("421 4.3.2 busy").then(Action::close())),
            ("!silent", Action::silence()),
            ("!drip=1s 220 mx", Action::drip("220 mx", second)),
            (r"!raw 22 !delay=1s !raw 0 a\r\n", Action::split(&["22", "0 a\r\n"], second)),
            ("!endless 250-x", Action::endless("250-x")),
            ("!long-line 220", Action::long_line("220")),
            ("250 Ok! fine", Action::reply("250 Ok! fine")),
        ] {
            assert_eq!(text.parse(), Ok(action), "{text}");
        }
    }

    #[test]
    fn a_text_overrides_single_verbs_and_errors_name_the_line() {
        let script = Script::healthy("a.test").with("# grey\n\n  RCPT 451 4.7.1 later\n").unwrap();
        let built = Script::healthy("a.test").on(Verb::Rcpt, Action::reply("451 4.7.1 later"));
        assert_eq!(script, built);
        for (line, reason) in [
            ("hello 250", "\"hello\" is no verb of a script"),
            ("ehlo", "the action is missing; !silent says nothing"),
            ("ehlo !stumble", "\"!stumble\" is no step"),
            ("ehlo !close 250", "\"!close 250\" is no step"),
            ("ehlo !drip 250", "\"!drip 250\" is no step"),
        ] {
            let error = Script::silent().with(&format!("\n{line}")).unwrap_err();
            assert_eq!(error, ScriptError { line: 2, reason: reason.to_owned() });
        }
    }
}
