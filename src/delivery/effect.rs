//! What trying one address comes to for one sender: delivered, failed with a next step, or not
//! known. It does not depend on what was tried before.

use std::time::Duration;

use super::{
    behaviour::{Behaviour, Ehlo4xx, End, Parameter, PlainFallback, StarttlsReject, Step, Tls},
    conduct::{Answer, Conduct, Connect, Greeting, Starttls},
    evidence::Evidence,
    situation::{HostView, Situation},
    verdict::Why,
};
use crate::facts::TlsaStatus;

/// The result of trying an address.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Effect {
    pub(super) end: Ending,
    /// Time it takes.
    pub(super) cost: Duration,
    /// It got past EHLO and TLS, which is what limits on sessions count.
    pub(super) session: bool,
    pub(super) evidence: Evidence,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Ending {
    Delivered,
    Failed(Failed),
    Unknown(Why),
}

/// A failure, and what the sender does about it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Failed {
    pub(super) why: Why,
    /// With others left to try.
    pub(super) nonfinal: (Step, Parameter),
    /// At the last one.
    pub(super) last: (Step, Parameter),
}

/// Time below this is not counted as lost: it is the way there and back.
const NOTICED: Duration = Duration::from_secs(1);

/// Time that an observed stage took, as far as it counts.
pub(super) fn noticed(took: Duration) -> Duration {
    if took < NOTICED { Duration::ZERO } else { took }
}

/// Tries the address with a message of this age.
pub(super) fn effect(
    conduct: &Conduct,
    host: &HostView,
    situation: &Situation,
    sender: &Behaviour,
    age: Duration,
) -> Effect {
    let attempt = Attempt {
        sender,
        age,
        cost: Duration::ZERO,
        session: false,
        evidence: Evidence::default(),
    };
    attempt.run(conduct, host, situation)
}

/// Which TLS policy holds for a host.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Policy {
    Dane,
    /// TLS without authentication, as DANE wants it where no record is usable (RFC 7672 §2.2).
    DaneEncrypt,
    Encrypt,
    May,
    None,
    Sts,
}

struct Attempt<'a> {
    sender: &'a Behaviour,
    age: Duration,
    cost: Duration,
    session: bool,
    evidence: Evidence,
}

impl Attempt<'_> {
    fn run(mut self, conduct: &Conduct, host: &HostView, situation: &Situation) -> Effect {
        let end = self.dialogue(conduct, host, situation);
        let end = end.unwrap_or_else(|end| end);
        Effect { end, cost: self.cost, session: self.session, evidence: self.evidence }
    }

    /// Runs through the stages; every way out but delivery is an `Err`.
    fn dialogue(
        &mut self,
        conduct: &Conduct,
        host: &HostView,
        situation: &Situation,
    ) -> Result<Ending, Ending> {
        let policy = self.policy(host, situation)?;
        self.connect(conduct.connect)?;
        self.greeting(conduct.greeting)?;
        let extended = self.hello(conduct)?;
        self.tls(policy, if extended { conduct.starttls } else { Starttls::NotOffered })?;
        self.session = true;
        self.command(conduct.mail, Why::Mail4xx, Why::Mail5xx)?;
        self.command(conduct.rcpt, Why::Rcpt4xx, Why::Rcpt5xx)?;
        Ok(Ending::Delivered)
    }

    /// What DANE and MTA-STS ask for, and what they rule out before a connection is made.
    fn policy(&mut self, host: &HostView, situation: &Situation) -> Result<Policy, Ending> {
        let sender = self.sender;
        if sender.dane {
            match host.tlsa.as_ref().map(|tlsa| tlsa.status) {
                Some(TlsaStatus::Secure) => return Ok(Policy::Dane),
                Some(TlsaStatus::Unusable) => return Ok(Policy::DaneEncrypt),
                Some(TlsaStatus::Error) => {
                    let step = (Step::NextAddr, Parameter::Dane);
                    return Err(failed(Why::TlsaError, step, step));
                }
                Some(TlsaStatus::Absent | TlsaStatus::Insecure) => {}
                // Whoever cannot rely on the AD bit of this resolver does no DANE, and nobody looked
                // for records: they count only behind a secure address lookup (RFC 7672 §2.2.2).
                None => self.evidence.assumed |= host.secure,
            }
        }
        if sender.mta_sts {
            match host.sts_enforced {
                Some(true) => return Ok(Policy::Sts),
                Some(false) => {
                    let step = (Step::NextAddr, Parameter::MtaSts);
                    return Err(failed(Why::StsMx, step, step));
                }
                None => self.evidence.assumed |= !situation.sts_known,
            }
        }
        Ok(match sender.tls {
            Tls::None => Policy::None,
            Tls::May => Policy::May,
            Tls::Encrypt => Policy::Encrypt,
        })
    }

    fn connect(&mut self, connect: Connect) -> Result<(), Ending> {
        let patience = self.sender.connect_patience();
        let why = match connect {
            Connect::Up(took) if took < patience => {
                self.cost += noticed(took);
                return Ok(());
            }
            Connect::Up(_) => {
                self.evidence.consult(match self.sender.connect_timeout.limit() {
                    Some(own) if own == patience => Parameter::ConnectTimeout,
                    _ => Parameter::OsConnectTimeout,
                });
                self.waited_in_vain(patience, patience, Why::ConnectTimeout)
            }
            Connect::Silent(waited) => self.waited_in_vain(patience, waited, Why::ConnectTimeout),
            Connect::Refused => Why::ConnectRefused,
            Connect::Reset => Why::ConnectReset,
            Connect::Unreachable => Why::ConnectUnreachable,
            Connect::NoLocalFamily => {
                // True for a sender on this host; others may have a way.
                self.evidence.assumed = true;
                Why::NoLocalFamily
            }
            Connect::LocalError => return Err(Ending::Unknown(Why::LocalError)),
            Connect::Unobserved => return Err(Ending::Unknown(Why::NotProbed)),
        };
        Err(same(why, self.sender.on_connect_fail, Parameter::OnConnectFail))
    }

    fn greeting(&mut self, greeting: Greeting) -> Result<(), Ending> {
        let sender = self.sender;
        let patience = sender.banner_timeout.0;
        let closed = |why| Err(same(why, sender.on_closed, Parameter::OnClosed));
        match greeting {
            Greeting::Silent(waited) => Err(self.no_banner(patience, waited)),
            Greeting::Code(_, took) if took >= patience => {
                self.evidence.consult(Parameter::BannerTimeout);
                Err(self.no_banner(patience, patience))
            }
            Greeting::Closed => closed(Why::BannerClosed),
            Greeting::Reset => closed(Why::BannerReset),
            Greeting::Malformed => closed(Why::BannerMalformed),
            Greeting::NoTls(None) => closed(Why::TlsHandshake),
            Greeting::NoTls(Some(waited)) => {
                let why = self.waited_in_vain(sender.tls_timeout.0, waited, Why::TlsTimeout);
                Err(same(why, sender.on_closed, Parameter::OnClosed))
            }
            Greeting::Unobserved => Err(Ending::Unknown(Why::NotProbed)),
            Greeting::Code(code, took) => {
                self.cost += noticed(took);
                match code {
                    200..=299 => Ok(()),
                    400..=499 => Err(same(Why::Banner4xx, sender.banner_4xx, Parameter::Banner4xx)),
                    500..=599 => Err(failed(
                        Why::Banner5xx,
                        (sender.banner_5xx_nonfinal, Parameter::Banner5xxNonfinal),
                        (sender.banner_5xx_final, Parameter::Banner5xxFinal),
                    )),
                    _ => closed(Why::BannerMalformed),
                }
            }
        }
    }

    fn no_banner(&mut self, patience: Duration, waited: Duration) -> Ending {
        let why = self.waited_in_vain(patience, waited, Why::BannerTimeout);
        same(why, self.sender.on_no_banner, Parameter::OnNoBanner)
    }

    /// EHLO, then HELO; whether EHLO was taken.
    fn hello(&mut self, conduct: &Conduct) -> Result<bool, Ending> {
        let sender = self.sender;
        // A 4yz to the greeting is the host's word to senders that then leave the host.
        let soft = match sender.ehlo_4xx {
            Ehlo4xx::Helo => Step::NextAddr,
            Ehlo4xx::NextHost => Step::NextHost,
        };
        match self.reply(conduct.ehlo)? {
            200..=299 => return Ok(true),
            421 => return Err(same(Why::Ehlo4xx, soft, Parameter::Ehlo4xx)),
            400..=499 if sender.ehlo_4xx == Ehlo4xx::NextHost => {
                return Err(same(Why::Ehlo4xx, soft, Parameter::Ehlo4xx));
            }
            _ => {}
        }
        match self.reply(conduct.helo)? {
            200..=299 => Ok(false),
            500..=599 => Err(failed(
                Why::Helo5xx,
                (sender.helo_5xx_nonfinal, Parameter::Helo5xxNonfinal),
                (sender.helo_5xx_final, Parameter::Helo5xxFinal),
            )),
            _ => Err(same(Why::Helo4xx, soft, Parameter::Ehlo4xx)),
        }
    }

    fn tls(&mut self, policy: Policy, starttls: Starttls) -> Result<(), Ending> {
        let sender = self.sender;
        let why = match (policy, starttls) {
            (Policy::None, _) | (Policy::May, Starttls::NotOffered | Starttls::Up(_)) => {
                return Ok(());
            }
            (Policy::May, Starttls::Untried) => {
                // Opportunistic TLS that fails harms few senders, and most handshakes succeed.
                self.evidence.assumed = true;
                return Ok(());
            }
            (Policy::May, Starttls::Rejected) => {
                self.evidence.consult(Parameter::StarttlsReject);
                let step = match sender.starttls_reject {
                    StarttlsReject::Plain => return Ok(()),
                    StarttlsReject::Bounce => Step::Bounce,
                    StarttlsReject::Defer => Step::Defer,
                    StarttlsReject::NextAddr => Step::NextAddr,
                    StarttlsReject::NextHost => Step::NextHost,
                };
                return Err(same(Why::TlsRejected, step, Parameter::StarttlsReject));
            }
            (_, Starttls::Untried) => return Err(Ending::Unknown(Why::NotProbed)),
            (Policy::DaneEncrypt | Policy::Encrypt, Starttls::Up(_)) => return Ok(()),
            (Policy::Sts, Starttls::Up(trust)) if trust.pkix => return Ok(()),
            (Policy::Dane, Starttls::Up(trust)) => match trust.dane {
                Some(true) => return Ok(()),
                Some(false) => Why::TlsCert,
                None => return Err(Ending::Unknown(Why::NotProbed)),
            },
            (Policy::Sts, Starttls::Up(_)) => Why::TlsCert,
            (_, Starttls::NotOffered) => Why::TlsNotOffered,
            (_, Starttls::Rejected) => Why::TlsRejected,
            (_, Starttls::Failed) => Why::TlsHandshake,
            (_, Starttls::Silent(waited)) => {
                self.waited_in_vain(sender.tls_timeout.0, waited, Why::TlsTimeout)
            }
        };
        match policy {
            Policy::May => {
                self.evidence.consult(Parameter::PlainFallback);
                match sender.plain_fallback {
                    PlainFallback::Now => return Ok(()),
                    PlainFallback::IfAge if self.age >= sender.plain_min_age.0 => return Ok(()),
                    PlainFallback::IfAge | PlainFallback::Never => {}
                }
                Err(same(why, sender.tls_fail, Parameter::TlsFail))
            }
            Policy::Dane | Policy::DaneEncrypt => Err(same(why, Step::NextAddr, Parameter::Dane)),
            Policy::Sts => Err(same(why, Step::NextAddr, Parameter::MtaSts)),
            Policy::Encrypt | Policy::None => Err(same(why, sender.tls_fail, Parameter::TlsFail)),
        }
    }

    /// MAIL or RCPT. What nobody asked is taken for granted, with less confidence.
    fn command(&mut self, answer: Answer, soft: Why, hard: Why) -> Result<(), Ending> {
        let sender = self.sender;
        if answer == Answer::Unobserved {
            self.evidence.assumed = true;
            return Ok(());
        }
        let by_recipient = hard == Why::Rcpt5xx;
        match self.reply(answer)? {
            200..=399 => Ok(()),
            400..=499 => Err(same(soft, sender.rcpt_4xx, Parameter::Rcpt4xx)),
            552 if by_recipient && sender.rcpt_552 == End::Defer => {
                // As 452 (RFC 5321 §4.5.3.1.10).
                Err(same(soft, sender.rcpt_4xx, Parameter::Rcpt552))
            }
            552 if by_recipient => Err(same(hard, Step::Bounce, Parameter::Rcpt552)),
            _ => {
                let step = match sender.rcpt_5xx {
                    End::Bounce => Step::Bounce,
                    End::Defer => Step::Defer,
                };
                Err(same(hard, step, Parameter::Rcpt5xx))
            }
        }
    }

    /// The code of a reply that came in time.
    fn reply(&mut self, answer: Answer) -> Result<u16, Ending> {
        let sender = self.sender;
        let patience = sender.command_timeout.0;
        let waited = match answer {
            Answer::Code(code, took) if took < patience => {
                self.cost += noticed(took);
                return Ok(code);
            }
            Answer::Code(..) => {
                self.evidence.consult(Parameter::CommandTimeout);
                patience
            }
            Answer::Silent(waited) => waited,
            Answer::Lost => {
                return Err(same(Why::SessionLost, sender.on_lost, Parameter::OnLost));
            }
            Answer::Unobserved => return Err(Ending::Unknown(Why::NotProbed)),
        };
        let why = self.waited_in_vain(patience, waited, Why::SessionTimeout);
        Err(same(why, sender.on_lost, Parameter::OnLost))
    }

    /// Pays a time-out of the sender's. The probe may have been less patient.
    fn waited_in_vain(&mut self, patience: Duration, waited: Duration, why: Why) -> Why {
        self.cost += patience;
        self.evidence.censored |= waited < patience;
        why
    }
}

fn same(why: Why, step: Step, parameter: Parameter) -> Ending {
    failed(why, (step, parameter), (step, parameter))
}

fn failed(why: Why, nonfinal: (Step, Parameter), last: (Step, Parameter)) -> Ending {
    Ending::Failed(Failed { why, nonfinal, last })
}
