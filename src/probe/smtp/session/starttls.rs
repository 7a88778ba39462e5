//! Encryption within a session: STARTTLS (RFC 3207), the handshake, and EHLO again. What a handshake is
//! like is `probe::tls`'s.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Dialogue, Listening, Security, judge_command, judge_ready};
use crate::{
    facts::{Reason, Stage},
    probe::smtp::transport::Transport,
};

impl Dialogue<'_> {
    /// STARTTLS as the plan has it, and EHLO again, because what was said before does not count
    /// (RFC 3207 §4.2).
    pub(super) async fn upgrade(&mut self) -> Listening {
        let ehlo = self.stages.iter().find(|fact| fact.stage == Stage::Ehlo);
        let offered = ehlo.is_some_and(|fact| fact.offers("STARTTLS"));
        match self.plan.security {
            Security::Never | Security::Implicit => return Listening::Accepts,
            Security::Opportunistic if !offered => return Listening::Accepts,
            Security::Always if !offered => {
                self.note(Stage::Starttls, Duration::ZERO, Err((Reason::NotOffered, None)));
                return Listening::Refuses;
            }
            Security::Opportunistic | Security::Always => {}
        }
        let patience = self.plan.command_timeout;
        match self.stage(Stage::Starttls, Some("STARTTLS\r\n"), patience, judge_ready).await {
            Listening::Accepts => {}
            // A 421 is followed by the end of the connection.
            Listening::Refuses
                if self.plan.security == Security::Opportunistic
                    && self.last_code() != Some(421) =>
            {
                return Listening::Accepts;
            }
            other => return other,
        }
        // A sender that took these bytes for replies over TLS could be led by the nose.
        if (!self.pending.is_empty() || self.transport.speaks_unasked())
            && let Some(fact) = self.stages.last_mut()
        {
            fact.reason = Some(Reason::Injected);
            self.transport = Transport::Gone;
            return Listening::Gone;
        }
        if !self.encrypt().await {
            return Listening::Gone;
        }
        self.stage(Stage::EhloTls, Some(&self.ehlo()), patience, judge_command).await
    }

    /// The TLS handshake; whether it came to an end. After one that failed the connection is of no
    /// use any more.
    pub(super) async fn encrypt(&mut self) -> bool {
        self.client.prepare().await;
        let begun = Instant::now();
        let until = self.end.min(begun + self.plan.command_timeout);
        let Some(stream) = self.transport.take_plain() else { return false };
        // In a box of its own: most of the time a session waits for something else.
        let shaken =
            Box::pin(self.client.shake_hands(stream, &self.plan.host, self.plan.dane.as_ref()));
        let outcome = match timeout_at(until, shaken).await {
            Err(_) => Err((Reason::Timeout, None)),
            Ok(handshake) => {
                self.tls = handshake.tls.map(Box::new);
                handshake.outcome.map(|stream| self.transport = Transport::Tls(stream))
            }
        };
        self.note(Stage::TlsHandshake, begun.elapsed(), outcome);
        self.transport.encrypted()
    }
}
