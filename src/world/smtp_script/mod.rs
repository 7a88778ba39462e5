//! What a scripted SMTP server does, verb by verb. Pure: [`super::smtp`] carries it out.
//!
//! A [`Script`] gives each [`Verb`] one [`Action`], a list of [`Step`]s; no steps is silence. It
//! has no memory: the same command gets the same action every time.

mod characters;
mod parse;

use std::{collections::BTreeMap, time::Duration};

pub use parse::ScriptError;

/// What a server does on each occasion; on an occasion without action it is silent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Script {
    actions: BTreeMap<Verb, Action>,
}

impl Script {
    /// The same script with another action for one verb.
    #[must_use]
    pub fn on(mut self, verb: Verb, action: Action) -> Self {
        self.actions.insert(verb, action);
        self
    }

    /// What to do on an occasion.
    pub fn action(&self, verb: Verb) -> &Action {
        const SILENCE: &Action = &Action { steps: Vec::new() };
        self.actions.get(&verb).unwrap_or(SILENCE)
    }
}

/// An occasion for a server to do something: a command, or one of the two moments without one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Verb {
    /// The connection was accepted.
    Banner,
    /// DATA. When the reply starts with 354 a message follows.
    Data,
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// MAIL.
    Mail,
    /// The message has ended with its lone dot.
    Message,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// RCPT.
    Rcpt,
    /// RSET.
    Rset,
    /// STARTTLS.
    Starttls,
    /// Any other line.
    Unknown,
    /// VRFY.
    Vrfy,
}

impl Verb {
    /// Every occasion.
    pub const ALL: [Self; 13] = [
        Self::Banner,
        Self::Data,
        Self::Ehlo,
        Self::Helo,
        Self::Mail,
        Self::Message,
        Self::Noop,
        Self::Quit,
        Self::Rcpt,
        Self::Rset,
        Self::Starttls,
        Self::Unknown,
        Self::Vrfy,
    ];

    /// The verb of a command line, in any case.
    pub fn of_command(line: &[u8]) -> Self {
        let word = line.split(|&b| b == b' ' || b == b':').next().unwrap_or_default();
        let command = |verb: &Self| !matches!(verb, Self::Banner | Self::Message | Self::Unknown);
        let spelled = |verb: &Self| word.eq_ignore_ascii_case(verb.word().as_bytes());
        Self::ALL.into_iter().filter(command).find(spelled).unwrap_or(Self::Unknown)
    }

    /// Its word in a script's text, which for commands is the command.
    pub fn word(self) -> &'static str {
        match self {
            Self::Banner => "banner",
            Self::Data => "data",
            Self::Ehlo => "ehlo",
            Self::Helo => "helo",
            Self::Mail => "mail",
            Self::Message => "message",
            Self::Noop => "noop",
            Self::Quit => "quit",
            Self::Rcpt => "rcpt",
            Self::Rset => "rset",
            Self::Starttls => "starttls",
            Self::Unknown => "unknown",
            Self::Vrfy => "vrfy",
        }
    }
}

/// What a server does on one occasion, step after step.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Action {
    steps: Vec<Step>,
}

impl Action {
    /// Reads on and says nothing.
    pub fn silence() -> Self {
        Self::default()
    }

    /// Sends the lines of a text as they stand, each ended by CRLF.
    pub fn reply(text: &str) -> Self {
        Self::raw(wire(text))
    }

    /// Sends bytes as they are.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { steps: vec![Step::Send(bytes.into())] }
    }

    /// Sends the lines of a text one byte at a time, with a pause after each.
    pub fn drip(text: &str, every: Duration) -> Self {
        Self { steps: vec![Step::Drip { bytes: wire(text), every }] }
    }

    /// Sends one line over and over, as fast as the peer takes it.
    pub fn endless(line: &str) -> Self {
        Self { steps: vec![Step::Endless(format!("{line}\r\n").into_bytes())] }
    }

    /// Sends one mebibyte without a line end after the code.
    pub fn long_line(code: &str) -> Self {
        let mut line = format!("{code} ").into_bytes();
        line.resize(1 << 20, b'x');
        Self::raw(line)
    }

    /// Sends pieces as they are, with a pause between them.
    pub fn split(pieces: &[&str], pause: Duration) -> Self {
        let mut steps = Vec::new();
        for piece in pieces {
            if !steps.is_empty() {
                steps.push(Step::Wait(pause));
            }
            steps.push(Step::Send(piece.as_bytes().to_vec()));
        }
        Self { steps }
    }

    /// Resets the connection (TCP RST).
    pub fn reset() -> Self {
        Self { steps: vec![Step::Reset] }
    }

    /// Closes the connection (TCP FIN).
    pub fn close() -> Self {
        Self { steps: vec![Step::Close] }
    }

    /// The same after a delay.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.steps.insert(0, Step::Wait(delay));
        self
    }

    /// This, then another.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.steps.extend(next.steps);
        self
    }

    /// The steps in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether it asks for a message after DATA.
    pub(super) fn invites_message(&self) -> bool {
        let sent = self.steps.iter().find_map(|step| match step {
            Step::Drip { bytes, .. } | Step::Endless(bytes) | Step::Send(bytes) => Some(bytes),
            Step::Close | Step::Reset | Step::Wait(_) => None,
        });
        sent.is_some_and(|bytes| bytes.starts_with(b"354"))
    }
}

/// One thing a server does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Ends the session with FIN.
    Close,
    /// Sends byte after byte with a pause after each.
    Drip {
        /// What to send.
        bytes: Vec<u8>,
        /// The pause.
        every: Duration,
    },
    /// Sends the bytes again and again until the peer has enough.
    Endless(Vec<u8>),
    /// Ends the session with RST.
    Reset,
    /// Sends bytes.
    Send(Vec<u8>),
    /// Waits.
    Wait(Duration),
}

/// The lines of a text, each ended by CRLF.
fn wire(text: &str) -> Vec<u8> {
    text.lines().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect()
}
