//! A mail transaction that ends before there is a message: MAIL, RCPT, RSET (RFC 5321 §3.3).

use serde::{Deserialize, Serialize};

use super::{RecipientClass, Stage, StageFact};
use crate::envelope::Envelope;

/// What a server said to one envelope.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Transaction {
    /// What it was asked to take.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// MAIL, and RCPT where MAIL was accepted.
    pub stages: Vec<StageFact>,
    /// What its last reply says about the recipient; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<RecipientClass>,
}

impl Transaction {
    /// One that these stages are all of.
    pub fn new(envelope: Envelope, stages: Vec<StageFact>) -> Self {
        let reply = stages.last().and_then(|fact| fact.reply());
        let class = reply.map(RecipientClass::of);
        Self { envelope, stages, class }
    }

    /// Whether a relay test was refused for good; `None` for another transaction, and where the server
    /// did not say, or may say something else later, or to another host: who blocks this one may relay
    /// for others.
    pub fn relay_denied(&self) -> Option<bool> {
        let class = self.class.filter(|_| self.envelope.relay_test)?;
        let last = self.stages.last()?;
        let refused = last.stage == Stage::Rcpt && last.reply()?.code / 100 == 5;
        match class {
            RecipientClass::Accepted => Some(false),
            RecipientClass::RelayingDenied => Some(true),
            RecipientClass::Blocked => None,
            _ => refused.then_some(true),
        }
    }
}
