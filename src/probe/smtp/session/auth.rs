//! AUTH within a session (RFC 4954): the server is told who calls, over TLS or not at all.

use std::time::Duration;

use super::{Dialogue, Line, Listening};
use crate::{
    facts::{Heard, Reason, Reply, Stage, StageFact},
    probe::smtp::sasl::{self, Exchange},
    secret::Login,
};

impl Dialogue<'_> {
    /// AUTH, its prompts included, as one stage: never over plain text, and never to a server that
    /// nobody vouches for. A probe that is led astray would give its password away every minute.
    pub(super) async fn authenticate(&mut self, login: &Login) -> Listening {
        let last = self.stages.iter().rev().find_map(StageFact::listed);
        let offered = sasl::choose(last.into_iter().flatten());
        let Some(mechanism) = offered.filter(|_| self.transport.encrypted()) else {
            self.note(Stage::Auth, Duration::ZERO, Err((Reason::NotOffered, None)));
            return Listening::Refuses;
        };
        if !self.tls.as_ref().is_some_and(|tls| tls.pkix.trusted()) {
            self.note(Stage::Auth, Duration::ZERO, Err((Reason::Untrusted, None)));
            return Listening::Refuses;
        }
        self.auth_mechanism = Some(mechanism);
        let mut exchange = Exchange::new(login, mechanism);
        let mut took = Duration::ZERO;
        loop {
            let Some(line) = exchange.next() else { return Listening::Refuses };
            let patience = self.plan.command_timeout;
            let line = Some(Line::Secret(&line));
            let (mut answer, listening) = self.exchange(line, patience, judge_auth).await;
            took += answer.duration;
            answer.duration = took;
            let prompted = matches!(&answer.heard, Heard::Reply(reply) if reply.code == PROMPT);
            // Of several replies the last one tells.
            self.stages.retain(|earlier| earlier.stage != Stage::Auth);
            self.stages.push(answer.at(Stage::Auth));
            if !prompted {
                return listening;
            }
        }
    }
}

/// RFC 4954 §4: 235 is the end, 334 asks on. What the wording says of this host does not count: it is
/// the login that was refused.
fn judge_auth(reply: &Reply) -> Option<Reason> {
    (reply.code != AUTHENTICATED).then(|| Reason::of_code(reply.code))
}

/// RFC 4954 §4: authentication succeeded.
const AUTHENTICATED: u16 = 235;

/// RFC 4954 §4: the server wants the next response.
const PROMPT: u16 = 334;
