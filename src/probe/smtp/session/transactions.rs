//! What a server says to an envelope, within a session: MAIL and RCPT, then RSET instead of DATA.

use super::{Dialogue, Line, Listening, code, judge_command};
use crate::{
    envelope::Envelope,
    facts::{Stage, Transaction},
};

impl Dialogue<'_> {
    /// One transaction that ends before there is a message. What is refused is no reason to end the
    /// session: others may want to know more. A server that closes is not asked again.
    pub(super) async fn ask_about(&mut self, envelope: &Envelope) -> Listening {
        let patience = self.plan.command_timeout;
        let (mut stages, mut listening) = (Vec::with_capacity(2), Listening::Accepts);
        for (stage, command) in [(Stage::Mail, envelope.mail()), (Stage::Rcpt, envelope.rcpt())] {
            if listening == Listening::Accepts {
                let line = format!("{command}\r\n");
                let line = Some(Line::Plain(&line));
                let (answer, after) = self.exchange(line, patience, judge_command).await;
                stages.push(answer.at(stage));
                listening = after;
            }
        }
        let closing = stages.last().and_then(code) == Some(421);
        self.transactions.push(Transaction::new(envelope.clone(), stages));
        if listening == Listening::Gone || closing {
            return listening;
        }
        let line = Some(Line::Plain(RSET));
        self.exchange(line, patience, judge_command).await.1
    }
}

/// RFC 5321 §4.1.1.5.
const RSET: &str = "RSET\r\n";
