//! Postfix as the sender: it takes messages from `sendmail`, tries each recipient once, and its log
//! says what came of it.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{
    postfix_master::{Installation, Master},
    program::find,
};

/// A `main.cf` for one attempt per recipient, all at once. With one recipient per delivery Postfix
/// takes each for a destination of its own, so that none waits for, or learns from, another.
const MAIN: &str = "\
myhostname = sender.example.test
mydestination =
local_transport = error:none
default_transport = smtp
append_dot_mydomain = no
notify_classes =
minimal_backoff_time = 1h
queue_run_delay = 1h
smtp_destination_recipient_limit = 1
smtp_connection_cache_on_demand = no
default_process_limit = 100
";

/// The part of a `master.cf` that sends.
const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
qmgr unix n - n 300 1 qmgr
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
trace unix - - n - 0 bounce
";

/// A running Postfix that sends; dropping it ends all its processes.
pub(crate) struct Sender {
    master: Master,
    sendmail: PathBuf,
}

impl Sender {
    /// Starts it with more lines of `main.cf`, such as time-outs.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub(crate) fn start(installation: &Installation, main: &str) -> Self {
        let sendmail = find("sendmail", "postfix").expect("Postfix comes with it");
        let master = installation.start(&(MAIN.to_owned() + main), SERVICES, || true);
        Self { master: master.expect("a Postfix that keeps running"), sendmail }
    }

    /// Sends a message to all these recipients and waits until each was tried once. Its sender is
    /// empty, so nothing comes back.
    pub(crate) fn send(&self, recipients: &[String]) -> BTreeMap<String, Attempt> {
        let mut command = Command::new(&self.sendmail);
        command.arg("-C").arg(self.master.conf()).args(["-i", "-f", "<>", "--"]).args(recipients);
        let sent = command.stdin(Stdio::null()).output().unwrap();
        assert!(sent.status.success(), "{sent:?}");
        self.master.wait_for(&format!("{recipients:?}"), |log| {
            let attempts: BTreeMap<_, _> = log.lines().filter_map(Attempt::read).collect();
            recipients.iter().all(|to| attempts.contains_key(to)).then_some(attempts)
        })
    }
}

/// What the log says of one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The whole line.
    pub(crate) line: String,
    /// `sent`, `deferred` or `bounced`.
    pub(crate) status: String,
    /// The enhanced status code.
    pub(crate) dsn: String,
    /// The exchanger that had the last word, if there was a session.
    pub(crate) relay: Option<(String, IpAddr)>,
    /// How long it took to find exchangers, to connect and to speak: all but the time in the queue.
    pub(crate) seconds: f64,
    /// Why, in Postfix's words and those of the exchanger.
    pub(crate) text: String,
}

impl Attempt {
    /// The recipient and what a line says of it, if it says that.
    fn read(line: &str) -> Option<(String, Self)> {
        let (_, rest) = line.split_once(": to=<")?;
        let (recipient, rest) = rest.split_once(">, relay=")?;
        let (relay, rest) = rest.split_once(", delay=")?;
        let (_, rest) = rest.split_once(", delays=")?;
        let (delays, rest) = rest.split_once(", dsn=")?;
        let (dsn, rest) = rest.split_once(", status=")?;
        let (status, text) = rest.split_once(' ')?;
        // Before the queue manager, in it, setting up the session, transmission.
        let mut delays = delays.split('/').map(str::parse::<f64>);
        let seconds = delays.by_ref().skip(2).sum::<Result<f64, _>>().ok()?;
        let relay = relay.split_once('[').and_then(|(host, address)| {
            let (address, _) = address.split_once(']')?;
            Some((host.to_owned(), address.parse().ok()?))
        });
        let attempt = Self {
            line: line.to_owned(),
            status: status.to_owned(),
            dsn: dsn.to_owned(),
            relay,
            seconds,
            text: text.strip_prefix('(')?.strip_suffix(')')?.to_owned(),
        };
        Some((recipient.to_owned(), attempt))
    }
}
