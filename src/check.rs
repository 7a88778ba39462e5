//! `mxwatch check`: one look at each domain, without an agent.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Display,
    io::{self, IsTerminal, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::{JoinError, JoinHandle},
    time::Instant,
};

use crate::{
    agent::{self, Settings, politeness::Politeness, round::Prober},
    chosen,
    cli::{CheckArgs, When},
    config::{Config, DestinationSettings, Resolver, ResolverKind, parse_helo_name},
    connectivity_log::ConnectivityLog,
    delivery::{self, Outcome},
    document::{Document, Entry, Surroundings},
    ended::Ended,
    explain::{
        self,
        judged::{self, Judged},
        paint::Paint,
        report::{self, Style},
        trace, trouble, verdicts,
    },
    facts::Facts,
    host_name::host_name,
    metrics::own::Own,
    name::Destination,
    once,
    probe::{anchors, vantage},
};

/// Checks every destination and prints what was found and what senders would make of it, in the
/// order given.
pub async fn run(args: CheckArgs) -> io::Result<Ended> {
    let config = match configuration(&args) {
        Ok(config) => config,
        Err(problem) => {
            writeln!(io::stderr(), "{problem}")?;
            return Ok(Ended::Config);
        }
    };
    let senders = match chosen::senders(&config, &args.senders) {
        Ok(senders) => senders,
        Err(problem) => {
            writeln!(io::stderr(), "{problem}")?;
            return Ok(Ended::Usage);
        }
    };
    let (stopping, stop) = watch::channel(false);
    let style = Style {
        paint: Paint { on: colour(args.color) },
        transcript: args.transcript,
        trace: args.trace,
    };
    // Before anything begins: from then on there is leave to take.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let Looks { mut around, mut domains } = start(&args, &config, stop);
    let around = tokio::select! {
        found = patiently("the resolvers", &mut around) => found,
        _ = interrupts.recv() => None,
    };
    let Some(around) = around else { return interrupt(&stopping, domains).await };
    if let Some(trouble) = anchors::trouble().await {
        writeln!(io::stderr(), "{trouble}")?;
    }
    if !args.json {
        say(&introduction(&around, style.paint))?;
    }
    let mut worst = Outcome::Deliver;
    while let Some(DomainLook { destination, tracer, look }) = domains.front_mut() {
        let tracer = tracer.clone();
        let found = tokio::select! {
            found = patiently(&*destination, look) => found,
            _ = interrupts.recv() => None,
        };
        let Some(facts) = found else { return interrupt(&stopping, domains).await };
        domains.pop_front();
        let facts = Facts { observer: around.own_host(), ..facts };
        // Nobody sends by what is asked for the trace alone, nor by a resolver that is not there, but
        // for the one that decides where mail goes.
        let primary = delivery::views(&facts).into_iter().next();
        let dead = around.dead().map(|resolver| Arc::clone(&resolver.resolver));
        let secondary = dead.filter(|resolver| Some(resolver) != primary.as_ref());
        let left_out: Vec<_> = secondary.chain(tracer).collect();
        let usual = facts.without(&left_out);
        let judged = judged::all(&usual, &senders);
        worst = worst.max(judged::worst(&judged));
        let text = if args.json {
            document(&facts, around.clone(), &judged)?
        } else {
            let trace = args.trace.then(|| trace::write(&facts, style.paint));
            written(&usual, &around, &judged, style) + &trace.unwrap_or_default()
        };
        say(&text)?;
    }
    Ok(Ended::Judged(worst))
}

/// Lets open sessions say QUIT; each is bounded in time by itself.
async fn interrupt(
    stopping: &watch::Sender<bool>,
    domains: VecDeque<DomainLook>,
) -> io::Result<Ended> {
    let _ = stopping.send(true);
    for domain in domains {
        let _ = domain.look.await;
    }
    Ok(Ended::Interrupted)
}

type Look<T> = JoinHandle<Option<T>>;

/// What is being looked at.
struct Looks {
    around: Look<Surroundings>,
    domains: VecDeque<DomainLook>,
}

/// One destination that is being looked at.
struct DomainLook {
    destination: Destination,
    /// The resolver that is asked about it for the trace alone.
    tracer: Option<Arc<str>>,
    look: Look<Facts>,
}

/// Starts all looks at the same moment; they share one gate, so that no provider meets a crowd.
fn start(args: &CheckArgs, config: &Arc<Config>, stop: watch::Receiver<bool>) -> Looks {
    let settings = Settings::new(Arc::clone(config), ConnectivityLog::off(), None);
    let politeness = Arc::new(Politeness::new(config.politeness.clone()));
    let prober = Arc::new(agent::prober(&settings, politeness, &Own::new(), stop));
    let around = tokio::spawn(look_around(Arc::clone(&prober), vantage::Plan::new(config)));
    let mut seen = BTreeSet::new();
    let destinations = args.destinations.iter().filter(|name| seen.insert(*name)).cloned();
    let domains = destinations.map(|destination| {
        let configured = config.destinations.get(&destination);
        let mut own = configured.map_or_else(|| config.default_settings(), |own| (**own).clone());
        if let Some(most) = args.timeout {
            limit(&mut own, most);
        }
        let tracer = args.trace.then(|| add_tracer(&mut own, config)).flatten();
        let (prober, name) = (Arc::clone(&prober), destination.clone());
        let look = tokio::spawn(async move {
            let seen = once::observe(&prober, &name, &own).await?;
            Some(seen.facts(&name))
        });
        DomainLook { destination, tracer, look }
    });
    let domains = domains.collect();
    Looks { around, domains }
}

/// Has a destination's trace made; the resolver's name where nobody else asks for it.
fn add_tracer(settings: &mut DestinationSettings, config: &Config) -> Option<Arc<str>> {
    let tracer = &config.resolvers.iter().find(|resolver| authoritative(resolver))?.name;
    let among_all = settings.resolvers.is_empty() && **tracer != *FOR_TRACE;
    if among_all || settings.resolvers.contains(tracer) {
        return None;
    }
    if !settings.resolvers.is_empty() {
        settings.resolvers = settings.resolvers.iter().chain([tracer]).cloned().collect();
    }
    Some(Arc::clone(tracer))
}

fn authoritative(resolver: &Resolver) -> bool {
    matches!(resolver.kind, ResolverKind::Authoritative { .. })
}

/// A name that no configuration can give.
const FOR_TRACE: &str = "authoritative servers";

/// Looks at the resolvers and at how this host looks to receivers. Own names that are not found soon
/// are a finding by themselves, and no reason to keep anybody waiting for the domains. Resolvers
/// take no longer than the first lookup through them.
async fn look_around(prober: Arc<Prober>, plan: vantage::Plan) -> Option<Surroundings> {
    let primary = Arc::clone(prober.resolvers.views().first()?);
    let deadline = Some(Instant::now() + VANTAGE_PATIENCE);
    let hurried = Prober { deadline, ..Prober::clone(&prober) };
    let controls = prober.resolvers.views().iter().cloned().map(|view| {
        let prober = Arc::clone(&prober);
        async move {
            let facts = prober.control(&view).await?;
            view.hurry(facts.up() == Some(false));
            Some(Arc::new(facts))
        }
    });
    let controls: Vec<_> = controls.map(tokio::spawn).collect();
    let vantage = Arc::new(hurried.vantage(&plan, &primary).await?);
    let mut resolvers = Vec::with_capacity(controls.len());
    for control in controls {
        resolvers.push(settle(control.await)?);
    }
    Some(Surroundings { vantage: Some(vantage), resolvers })
}

/// For what DNS says of the own names.
const VANTAGE_PATIENCE: Duration = Duration::from_secs(5);

fn limit(settings: &mut DestinationSettings, most: Duration) {
    let session = &mut settings.session;
    session.connect_timeout = session.connect_timeout.min(most);
    session.banner_timeout = session.banner_timeout.min(most);
    session.command_timeout = session.command_timeout.min(most);
    settings.policy.timeout = settings.policy.timeout.min(most);
}

/// Waits for a look; tells a person at a terminal what takes so long.
async fn patiently<T>(what: impl Display, look: &mut Look<T>) -> Option<T> {
    let slow = tokio::time::sleep(Duration::from_secs(3));
    tokio::select! {
        found = &mut *look => return settle(found),
        () = slow => {}
    }
    if io::stderr().is_terminal() {
        // A terminal that went away takes nothing from the check.
        let _ = writeln!(io::stderr(), "{what}: still waiting for a server that is slow ...");
    }
    settle(look.await)
}

fn settle<T>(found: Result<Option<T>, JoinError>) -> Option<T> {
    found.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => None,
    })
}

/// What is said once, before any destination.
fn introduction(around: &Surroundings, paint: Paint) -> String {
    let mut text = around.vantage.iter().map(|v| explain::vantage::write(v, paint)).collect();
    for facts in around.dead() {
        report::write_trouble(&mut text, &explain::resolver::dead(facts), paint.bad("✗"), paint);
    }
    text
}

fn written(facts: &Facts, around: &Surroundings, judged: &[Judged], style: Style) -> String {
    let dead: Vec<_> = around.dead().map(|facts| Arc::clone(&facts.resolver)).collect();
    let troubles = trouble::find(&facts.without(&dead));
    let shown = troubles.into_iter().flat_map(|trouble| trouble.by_hand).collect();
    let verdicts = verdicts::write(judged, &shown, style.paint);
    format!("{}\n{verdicts}", report::write(facts, &dead, style))
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")
}

/// The JSON of one destination, on one line.
pub(crate) fn document(
    facts: &Facts,
    around: Surroundings,
    judged: &[Judged],
) -> io::Result<String> {
    let entries = judged.iter().cloned().map(Entry::from).collect();
    Ok(serde_json::to_string(&Document::new(&facts.destination, Some(facts), around, entries))?)
}

/// Whether to colour what goes to standard output.
pub(crate) fn colour(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

/// The configuration a check goes by: the file if there is one, with the flags on top.
fn configuration(args: &CheckArgs) -> Result<Arc<Config>, String> {
    let given = args.helo_name.clone();
    let mut config = chosen::configuration(args.config_file.as_deref(), || {
        given.clone().unwrap_or_else(own_name)
    })?;
    if let Some(name) = given {
        config.helo_name = name;
    }
    if let Some(port) = args.port {
        config.probe.port = port;
    }
    let tracer = config.resolvers.iter().find(|resolver| authoritative(resolver)).cloned();
    if !args.dns_servers.is_empty() {
        let given = |server: &SocketAddr| {
            Resolver::of_servers(&explain::place(*server), vec![*server], config.dns.clone())
        };
        config.resolvers = args.dns_servers.iter().map(given).collect();
        // Those that destinations have chosen are none of these.
        for settings in config.destinations.values_mut() {
            Arc::make_mut(settings).resolvers = Arc::default();
        }
    }
    if args.trace && !config.resolvers.iter().any(authoritative) {
        let internet = || Resolver::authoritative(FOR_TRACE, config.dns.clone());
        let tracer = tracer.unwrap_or_else(internet);
        config.resolvers.push(Resolver { name: FOR_TRACE.into(), ..tracer });
    }
    if let Some(most) = args.timeout {
        for resolver in &mut config.resolvers {
            resolver.patience.timeout = resolver.patience.timeout.min(most);
        }
    }
    Ok(Arc::new(config))
}

/// The best name for this host without asking anybody: its own if that is fully qualified, else
/// the address it calls from (RFC 5321 §4.1.4 allows that where there is no name).
fn own_name() -> Arc<str> {
    let address = vantage::own_address().unwrap_or(Ipv4Addr::LOCALHOST.into());
    parse_helo_name(&host_name()).unwrap_or_else(|_| match address {
        IpAddr::V4(address) => format!("[{address}]").into(),
        IpAddr::V6(address) => format!("[IPv6:{address}]").into(),
    })
}
