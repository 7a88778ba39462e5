//! One SMTP session with one address: connect, banner, EHLO (HELO when refused), STARTTLS and EHLO
//! again, AUTH, MAIL and RCPT with RSET for each envelope, QUIT.
//!
//! It never mails anything: there is no DATA. Every stage has its own limit, all share one deadline. A
//! server that still listens is always told QUIT.
//!
//! - `plan` what is wanted of a session
//! - `starttls`, `auth` and `transactions` the stages after EHLO

mod auth;
mod plan;
mod starttls;
mod transactions;

use std::{io, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

pub use self::plan::{Plan, Security};
use super::{
    connect,
    reply::{MAX_REPLY, ReplyParser},
    sasl::Redaction,
    transport::Transport,
};
use crate::{
    facts::{
        AuthMechanism, Failure, Heard, Reason, Reply, Session, Stage, StageFact, Tls, Transaction,
    },
    probe::tls::Client,
    secret::Secret,
    shown::one_line,
};

/// Holds the session. `None` when `stop` came first: then there is nothing to tell.
pub async fn run(plan: Plan, client: &Client, stop: &mut watch::Receiver<bool>) -> Option<Session> {
    let started_at = Timestamp::now();
    let begun = Instant::now();
    let end = begun + plan.session_timeout;
    let end = plan.deadline.map_or(end, |deadline| deadline.min(end));
    let connect_until = end.min(begun + plan.connect_timeout);
    let mut stages = Vec::with_capacity(4);
    let connected = tokio::select! {
        biased;
        _ = stop.wait_for(|&stopped| stopped) => return None,
        connected = connect::connect(plan.peer, plan.source, connect_until) => connected,
    };
    stages.push(StageFact {
        stage: Stage::Connect,
        duration: begun.elapsed().into(),
        heard: Heard::Nothing,
        reason: connected.as_ref().err().copied(),
    });
    let (mut source, mut tls) = (plan.source, None);
    let (mut auth_mechanism, mut transactions) = (None, Vec::new());
    if let Ok(stream) = connected {
        source = stream.local_addr().ok().map(|own| own.ip());
        let transport = Transport::Plain(stream);
        let mut dialogue = Dialogue {
            transport,
            plan: &plan,
            client,
            end,
            pending: Vec::new(),
            stages,
            tls: None,
            redaction: plan.login.as_ref().map(Redaction::of),
            auth_mechanism: None,
            transactions: Vec::new(),
            quitting: false,
        };
        let hold = dialogue.hold();
        let finished = tokio::select! {
            biased;
            _ = stop.wait_for(|&stopped| stopped) => false,
            () = hold => true,
        };
        if !finished {
            dialogue.leave().await;
            return None;
        }
        (stages, tls) = (dialogue.stages, dialogue.tls);
        (auth_mechanism, transactions) = (dialogue.auth_mechanism, dialogue.transactions);
    }
    let failure = failure(&stages, plan.security);
    Some(Session {
        peer: plan.peer,
        source,
        started_at,
        duration: stages
            .iter()
            .chain(transactions.iter().flat_map(|transaction| &transaction.stages))
            .map(|stage| stage.duration.get())
            .sum::<Duration>()
            .into(),
        helo_name: plan.helo_name,
        stages: stages.into(),
        failure,
        tls,
        auth_mechanism,
        transactions: transactions.into(),
    })
}

/// What kept mail from being handed over. EHLO refused and HELO taken is no failure, nor is a
/// QUIT that went wrong, nor TLS that did not come about where it need not.
fn failure(stages: &[StageFact], security: Security) -> Option<Failure> {
    let helo_taken = stages.iter().any(|s| s.stage == Stage::Helo && s.reason.is_none());
    let harmless = |fact: &StageFact| match fact.stage {
        Stage::Ehlo => helo_taken,
        Stage::Starttls | Stage::TlsHandshake => security == Security::Opportunistic,
        // It was not asked: the password was kept back.
        Stage::Auth => fact.reason == Some(Reason::Untrusted),
        Stage::Quit => true,
        _ => false,
    };
    stages
        .iter()
        .rev()
        .filter(|fact| !harmless(fact))
        .find_map(|fact| Some(Failure { stage: fact.stage, reason: fact.reason? }))
}

/// An established connection and what happened on it so far.
struct Dialogue<'p> {
    transport: Transport,
    plan: &'p Plan,
    client: &'p Client,
    /// When everything must be over.
    end: Instant,
    /// Bytes that came after the last complete reply.
    pending: Vec<u8>,
    stages: Vec<StageFact>,
    tls: Option<Box<Tls>>,
    /// What must not be seen of replies.
    redaction: Option<Redaction>,
    auth_mechanism: Option<AuthMechanism>,
    transactions: Vec<Transaction>,
    /// QUIT is on its way.
    quitting: bool,
}

impl Dialogue<'_> {
    async fn hold(&mut self) {
        let listening = self.talk().await;
        if listening == Listening::Gone {
            // A server that is merely slow still reads. There is no time left to see it answer.
            self.transport.send_blindly(QUIT.as_bytes()).await;
        } else {
            self.quitting = true;
            self.stage(Stage::Quit, Some(QUIT), self.plan.command_timeout, judge_command).await;
            self.let_server_close().await;
        }
    }

    /// Everything before QUIT.
    async fn talk(&mut self) -> Listening {
        if self.plan.security == Security::Implicit && !self.encrypt().await {
            return Listening::Gone;
        }
        let greeted = self.stage(Stage::Banner, None, self.plan.banner_timeout, judge_ready).await;
        // RFC 5321 §3.1: after a 554 banner the server waits for QUIT, so it gets one.
        if greeted != Listening::Accepts {
            return greeted;
        }
        let mut listening = self.introduce().await;
        if listening == Listening::Accepts {
            listening = self.upgrade().await;
        }
        if listening == Listening::Accepts
            && let Some(login) = &self.plan.login
        {
            listening = self.authenticate(login).await;
        }
        for envelope in &*self.plan.envelopes {
            if listening == Listening::Accepts {
                listening = self.ask_about(envelope).await;
            }
        }
        listening
    }

    /// EHLO, and HELO when that is refused (RFC 5321 §3.2). After a 421 the server is closing.
    async fn introduce(&mut self) -> Listening {
        let patience = self.plan.command_timeout;
        let taken = self.stage(Stage::Ehlo, Some(&self.ehlo()), patience, judge_command).await;
        let closing = self.last_code() == Some(421);
        if taken != Listening::Refuses || closing {
            return taken;
        }
        let helo = format!("HELO {}\r\n", self.plan.helo_name);
        self.stage(Stage::Helo, Some(&helo), patience, judge_command).await
    }

    fn ehlo(&self) -> String {
        ["EHLO ", &self.plan.helo_name, "\r\n"].concat()
    }

    /// Notes a stage without a reply.
    fn note(
        &mut self,
        stage: Stage,
        duration: Duration,
        outcome: Result<(), (Reason, Option<String>)>,
    ) {
        let (reason, words) =
            outcome.map_or_else(|(reason, words)| (Some(reason), words), |()| (None, None));
        let broken = |words: String| Heard::Broken(one_line(&words, MAX_SHOWN).into());
        let heard = words.map_or(Heard::Nothing, broken);
        self.stages.push(StageFact { stage, duration: duration.into(), heard, reason });
    }

    /// Sends a command, if any, takes one reply, and notes the stage.
    async fn stage(
        &mut self,
        stage: Stage,
        command: Option<&str>,
        patience: Duration,
        judge: fn(&Reply) -> Option<Reason>,
    ) -> Listening {
        let line = command.map(Line::Plain);
        let (answer, listening) = self.exchange(line, patience, judge).await;
        self.stages.push(answer.at(stage));
        listening
    }

    /// Sends a line, if any, and takes one reply.
    async fn exchange(
        &mut self,
        line: Option<Line<'_>>,
        patience: Duration,
        judge: fn(&Reply) -> Option<Reason>,
    ) -> (Answer, Listening) {
        let begun = Instant::now();
        let until = self.end.min(begun + patience);
        let mut parser = ReplyParser::default();
        let outcome = match line {
            Some(line) => match timeout_at(until, self.transport.send(line.octets())).await {
                Err(_) => Err(Reason::Timeout),
                Ok(Err(error)) => Err(io_reason(&error)),
                Ok(Ok(())) => self.read_reply(&mut parser, until).await,
            },
            None => self.read_reply(&mut parser, until).await,
        };
        let (heard, reason, listening) = match outcome {
            Ok(reply) => match judge(&reply) {
                None => (Heard::Reply(self.redacted(reply)), None, Listening::Accepts),
                Some(reason) => {
                    (Heard::Reply(self.redacted(reply)), Some(reason), Listening::Refuses)
                }
            },
            Err(reason) => (self.beginning(&parser), Some(reason), Listening::Gone),
        };
        (Answer { duration: begun.elapsed(), heard, reason }, listening)
    }

    /// A reply without what must not be seen of it.
    fn redacted(&self, reply: Reply) -> Reply {
        let Some(redaction) = &self.redaction else { return reply };
        Reply { lines: reply.lines.iter().map(|line| redaction.text(line)).collect(), ..reply }
    }

    /// What there is of a reply that did not come to its end.
    fn beginning(&self, parser: &ReplyParser) -> Heard {
        // Whole, for half a password would not be found.
        let Some(whole) = parser.beginning(MAX_REPLY) else { return Heard::Nothing };
        let text = self.redaction.as_ref().map_or(&*whole, |redaction| redaction.text(&whole));
        Heard::Broken(text.chars().take(MAX_SHOWN).collect())
    }

    async fn read_reply(
        &mut self,
        parser: &mut ReplyParser,
        until: Instant,
    ) -> Result<Reply, Reason> {
        if !self.pending.is_empty() {
            let waiting = std::mem::take(&mut self.pending);
            if let Some(reply) = feed(parser, &mut self.pending, &waiting)? {
                return Ok(reply);
            }
        }
        let Self { transport, pending, .. } = self;
        let reply = transport.receive(|input| match input {
            Err(error) => Some(Err(io_reason(&error))),
            Ok([]) => Some(Err(Reason::Closed)),
            Ok(input) => feed(parser, pending, input).transpose(),
        });
        timeout_at(until, reply).await.unwrap_or(Err(Reason::Timeout))
    }

    fn last_code(&self) -> Option<u16> {
        self.stages.last().and_then(code)
    }

    /// The server closes first, so that TIME_WAIT is on its side and its logs show an orderly end.
    async fn let_server_close(&mut self) {
        let until = self.end.min(Instant::now() + CLOSE_PATIENCE);
        // A second of a fast server's talk is half a gigabyte.
        let mut room = MAX_REPLY;
        let drain = self.transport.receive(|input| match input {
            Ok(input) if !input.is_empty() && input.len() < room => {
                room -= input.len();
                None
            }
            _ => Some(()),
        });
        // Whether it closed in time changes nothing.
        let _ = timeout_at(until, drain).await;
    }

    /// Ends a session in the middle because the agent stops: QUIT if the server has greeted and was
    /// not told yet.
    async fn leave(&mut self) {
        let greeted = self.stages.iter().any(|s| s.stage == Stage::Banner && s.reply().is_some());
        let quit = async {
            if self.quitting || self.transport.send(QUIT.as_bytes()).await.is_ok() {
                self.let_server_close().await;
            }
        };
        if greeted {
            // The process is ending; a server that does not take it is left.
            let _ = timeout(CLOSE_PATIENCE, quit).await;
        }
    }
}

/// A line to be sent.
#[derive(Clone, Copy)]
enum Line<'l> {
    Plain(&'l str),
    Secret(&'l Secret),
}

impl Line<'_> {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text.as_bytes(),
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// What came of one line.
struct Answer {
    duration: Duration,
    heard: Heard,
    reason: Option<Reason>,
}

impl Answer {
    fn at(self, stage: Stage) -> StageFact {
        let Self { duration, heard, reason } = self;
        StageFact { stage, duration: duration.into(), heard, reason }
    }
}

/// How the server stands after a stage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Listening {
    Accepts,
    Gone,
    Refuses,
}

/// Gives input to the parser; what follows a complete reply stays pending.
fn feed(
    parser: &mut ReplyParser,
    pending: &mut Vec<u8>,
    input: &[u8],
) -> Result<Option<Reply>, Reason> {
    let (consumed, reply) = parser.feed(input)?;
    // At most one read's worth, since nothing is read while something is pending.
    pending.extend_from_slice(input.get(consumed..).unwrap_or_default());
    Ok(reply)
}

/// RFC 5321 §4.3.2: the connection is opened with 220, or 554, or 421; RFC 3207 §4: TLS is to begin
/// after 220.
fn judge_ready(reply: &Reply) -> Option<Reason> {
    (reply.code != 220).then(|| Reason::of_refusal(reply))
}

fn judge_command(reply: &Reply) -> Option<Reason> {
    (!reply.positive()).then(|| Reason::of_refusal(reply))
}

fn code(fact: &StageFact) -> Option<u16> {
    fact.reply().map(|reply| reply.code)
}

/// Why reading or writing on an established connection failed.
fn io_reason(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => Reason::Reset,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Reason::Unreachable,
        io::ErrorKind::TimedOut => Reason::Timeout,
        io::ErrorKind::UnexpectedEof => Reason::Closed,
        // TLS that is none.
        io::ErrorKind::InvalidData => Reason::TlsError,
        _ => Reason::LocalError,
    }
}

/// RFC 5321 §4.1.1.10.
const QUIT: &str = "QUIT\r\n";

/// How much of a broken reply is kept, in characters.
const MAX_SHOWN: usize = 256;

/// How long an orderly end may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener, sync::Arc, thread};

    use super::*;
    use crate::name::Host;

    #[tokio::test]
    async fn a_server_that_never_stops_talking_after_quit_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"554 go away\r\n221 and on it goes\r\n").unwrap();
            let much = vec![b'x'; 1 << 16];
            let mut sent = 0;
            while stream.write_all(&much).is_ok() {
                sent += much.len();
            }
            sent
        });
        let patience = Duration::from_secs(30);
        let plan = Plan {
            peer,
            host: Host::Address(peer.ip()),
            security: Security::Opportunistic,
            dane: None,
            login: None,
            envelopes: Arc::default(),
            source: None,
            helo_name: "probe.example.org".into(),
            connect_timeout: patience,
            banner_timeout: patience,
            command_timeout: patience,
            session_timeout: patience,
            deadline: None,
        };
        let (_stopping, mut stop) = watch::channel(false);
        let session = run(plan, &Client::default(), &mut stop).await.unwrap();
        assert_eq!(session.stages.len(), 3, "{session:?}");
        let sent = server.join().unwrap();
        assert!(sent < 64 << 20, "{sent} octets were taken");
    }
}
