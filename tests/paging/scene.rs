//! The world of the demo, an agent on it, a Prometheus with the shipped rules and an Alertmanager with
//! the shipped configuration; what that sends arrives at a webhook and at a mail server.

use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, Instant},
};

use mxwatch::world::{World, scenes, smtp::SmtpServer, smtp_script::Script, zone::Zones};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    compressed::compressed,
    harness::{Agent, wait_until},
    sample::labels,
    servers::{
        alertmanager::Alertmanager,
        program::note,
        prometheus::{Duties, Prometheus},
        webhook::{Post, Webhook},
    },
    shipped,
};

/// What the demo's world knows.
const ZONES: &str = include_str!("../../src/world/scenes.zone");
/// Where nothing listens in the demo's world, and where a server is healthy.
const NOWHERE: &str = "127.83.255.1";
const SOMEWHERE: &str = "127.83.0.1";

/// Domains of ten providers, so that some may fail without it being us.
pub(crate) const DOMAINS: [&str; 12] = [
    "healthy.test",
    "aaaa-servfail.test",
    "silent-banner.test",
    "refused.test",
    "banner-554.test",
    "no-such-domain.test",
    "multiline.test",
    "ehlo-refused.test",
    "implicit.test",
    "shared-a.test",
    "shared-b.test",
    "shared-c.test",
];

/// Which of the domains fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failing {
    /// None: every domain takes mail.
    Nobody,
    /// Those that fail in the demo, as they do there.
    Several,
    /// All: no exchanger lets itself be connected to.
    Everybody,
}

/// Everything that runs. The world lives as long as its runtime.
pub(crate) struct Scene {
    pub(crate) agent: Agent,
    alertmanager: Alertmanager,
    webhook: Webhook,
    mail: SmtpServer,
    world: World,
    _prometheus: Prometheus,
    _rules: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Scene {
    /// Starts it with nobody failing and waits until Prometheus knows all verdicts. `None` where a
    /// program is missing.
    pub(crate) fn start() -> Option<Self> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = runtime.block_on(scenes::world(false).unwrap().start()).unwrap();
        set(&world, Failing::Nobody);
        let mail = SmtpServer::start("127.0.0.1:0".parse().unwrap(), Script::healthy("mail.test"));
        let mail = runtime.block_on(mail).unwrap();
        let agent = Agent::start(&configuration(&world));
        agent.wait_ready();
        let webhook = Webhook::start();
        let config = shipped::alertmanager(webhook.address(), mail.addr());
        let alertmanager = Alertmanager::start(&config)?;
        let rules = TempDir::new().unwrap();
        let files = shipped::RULES.map(|name| {
            let file = rules.path().join(name.rsplit('/').next().unwrap());
            fs::write(&file, compressed(&shipped::text(name))).unwrap();
            file
        });
        let duties = Duties {
            rules: files.into(),
            alertmanager: Some(alertmanager.address()),
            ..Duties::default()
        };
        let prometheus = Prometheus::start_with(agent.address(), &duties)?;
        let deliverable = format!("count(mx_delivery_deliverable == 1) == {}", 2 * DOMAINS.len());
        wait_until("verdicts", || (!prometheus.query(&deliverable).is_empty()).then_some(()));
        Some(Self {
            agent,
            alertmanager,
            webhook,
            mail,
            world,
            _prometheus: prometheus,
            _rules: rules,
            _runtime: runtime,
        })
    }

    /// Switches failures on and off, at the moment that is returned.
    pub(crate) fn switch(&self, failing: Failing) -> Instant {
        set(&self.world, failing);
        Instant::now()
    }

    /// Stops the agent with `STOP` or lets it go on with `CONT`, at the moment that is returned.
    pub(crate) fn signal(&self, signal: &str) -> Instant {
        self.agent.signal(signal);
        Instant::now()
    }

    /// The alerts of this name that fire now.
    pub(crate) fn now(&self, name: &str) -> Vec<Value> {
        let mut alerts = self.alertmanager.alerts();
        alerts.retain(|alert| alert["labels"]["alertname"] == name);
        alerts
    }

    /// Waits until a receiver hears that an alert with these labels, among others, has begun
    /// (`firing`) or is over (`resolved`), and returns the alert.
    pub(crate) fn hears(&self, receiver: &str, status: &str, alert: &str, since: Instant) -> Value {
        let wanted = labels(alert);
        let told = |post: &Post| {
            let alerts = post.body["alerts"].as_array()?;
            alerts.iter().find(|told| told["status"] == status && has(told, &wanted)).cloned()
        };
        let path = format!("/{receiver}");
        let heard = || {
            let posts = self.webhook.posts();
            let mut later = posts.iter().filter(|post| post.path == path && post.at >= since);
            later.find_map(|post| Some((post.at, told(post)?)))
        };
        let (at, alert) = self.until(&format!("{receiver} hears of {status} {alert}"), heard);
        let short = ["alertname", "domain", "mx"].map(|name| wanted[name].as_str());
        let short: Vec<_> = short.into_iter().flatten().collect();
        let after = at.duration_since(since).as_secs_f64();
        note(&format!("{after:.1} s that stand for minutes: {status} {}", short.join(" ")));
        alert
    }

    /// Waits until `happened` gives something, and returns it: as [`wait_until`], for what minutes
    /// are meant for.
    pub(crate) fn until<T>(&self, what: &str, happened: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = happened() {
                return found;
            }
            let late = begun.elapsed() > PATIENCE;
            assert!(!late, "waited for: {what}\n{}{}", self.happened(), self.alertmanager.said());
            thread::sleep(GLANCE);
        }
    }

    /// The pages so far, told apart by the alert.
    pub(crate) fn paged(&self) -> BTreeSet<String> {
        let posts = self.webhook.posts();
        let pages = posts.iter().filter(|post| post.path == "/pager");
        let alerts = pages.flat_map(|post| post.body["alerts"].as_array().into_iter().flatten());
        alerts
            .filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned))
            .collect()
    }

    /// What the pager got to read for an alert: title and text of the first event that names it.
    pub(crate) fn event(&self, title: &str) -> (String, String) {
        let event = |post: &Post| {
            let payload = &post.body["payload"];
            let said = payload["summary"].as_str().filter(|summary| summary.starts_with(title))?;
            let text = payload["custom_details"]["text"].as_str()?;
            Some((said.to_owned(), text.to_owned()))
        };
        self.until(title, || self.webhook.posts().iter().find_map(event))
    }

    /// Waits for a ticket in the mail.
    pub(crate) fn mailed(&self) {
        self.until("a ticket in the mail", || {
            let said = self.mail.commands();
            let ticket = |line: &String| line.to_lowercase() == "rcpt to:<tickets@example.com>";
            (said.iter().any(ticket) && said.contains(&"DATA".to_owned())).then_some(())
        });
    }

    /// What was sent so far, for a test that fails.
    fn happened(&self) -> String {
        let posts = self.webhook.posts();
        let hooks = posts.iter().filter(|post| post.body["alerts"].is_array());
        let lines = hooks.flat_map(|post| {
            let alerts = post.body["alerts"].as_array().into_iter().flatten();
            alerts.map(|alert| format!("{} {} {}\n", post.path, alert["status"], alert["labels"]))
        });
        let firing = self.alertmanager.alerts();
        let firing =
            firing.iter().map(|alert| format!("{} {}\n", alert["labels"], alert["status"]));
        lines.chain(["--- now\n".to_owned()]).chain(firing).collect()
    }
}

/// Whether an alert has these labels, among others.
fn has(alert: &Value, wanted: &Value) -> bool {
    let mut wanted = wanted.as_object().into_iter().flatten();
    wanted.all(|(name, value)| alert["labels"][name] == *value)
}

/// Intervals are a sixtieth of the usual ones. Timeouts leave a busy machine its time.
fn configuration(world: &World) -> String {
    let (dns, port) = (world.dns_addr(), world.smtp_port());
    format!(
        "\
helo_name = 'mxwatch.demo.test'
domains = {DOMAINS:?}
[probe]
port = {port}
interval = '1s'
connect_timeout = '5s'
banner_timeout = '2s'
[dns]
timeout = '2s'
late_window = '100ms'
[politeness]
max_backoff = '5s'
[[resolver]]
name = 'world'
servers = ['{dns}']
"
    )
}

/// The DNS in which every domain takes mail.
fn well() -> String {
    let answered = ZONES.lines().filter(|line| !line.contains("!servfail"));
    let answered = answered.collect::<Vec<_>>().join("\n").replace(NOWHERE, SOMEWHERE);
    format!("{answered}\nno-such-domain A {SOMEWHERE}\n")
}

fn set(world: &World, failing: Failing) {
    let zones = match failing {
        Failing::Nobody => well(),
        Failing::Several => ZONES.to_owned(),
        Failing::Everybody => well().replace("127.83.0.", "127.83.255."),
    };
    world.dns().set_zones(Zones::parse(&zones).unwrap());
    let several = matches!(failing, Failing::Several);
    for (last, host, trouble) in [
        (5, "mx1.silent-banner.test", Script::silent()),
        (9, "mx1.banner-554.test", Script::banner("554 5.7.1 No SMTP service for your address")),
    ] {
        let script = if several { trouble } else { Script::healthy(host) };
        world.smtp([127, 83, 0, last]).set_script(script);
    }
}

/// Longer than anything takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(150);
/// From one look to the next.
const GLANCE: Duration = Duration::from_millis(20);
