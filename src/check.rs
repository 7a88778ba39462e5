//! `mxwatch check`: one look at each domain, without an agent.

use std::{
    collections::{BTreeSet, VecDeque},
    io::{self, IsTerminal, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    agent::{self, Settings, politeness::Politeness},
    chosen,
    cli::{CheckArgs, When},
    config::{Config, DestinationSettings, Resolver, ResolverKind, parse_helo_name},
    connectivity_log::ConnectivityLog,
    delivery::Outcome,
    document::{Document, Entry},
    ended::Ended,
    explain::{
        judged::{self, Judged},
        paint::Paint,
        report::{self, Style},
        trace, trouble, verdicts,
    },
    facts::Facts,
    metrics::own::Own,
    name::Destination,
    once,
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
    let mut looks = start(&args, &config, stop);
    let style = Style {
        paint: Paint { on: colour(args.color) },
        transcript: args.transcript,
        trace: args.trace,
    };
    let mut worst = Outcome::Deliver;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    while let Some(Look { destination, tracer, found }) = looks.front_mut() {
        let tracer = tracer.clone();
        let found = tokio::select! {
            found = patiently(destination, found) => found,
            _ = &mut interrupted => None,
        };
        let Some(facts) = found else {
            // Open sessions say QUIT; each is bounded in time by itself.
            let _ = stopping.send(true);
            for Look { found, .. } in looks {
                let _ = found.await;
            }
            return Ok(Ended::Interrupted);
        };
        looks.pop_front();
        let usual = tracer.map(|tracer| without(&facts, &tracer));
        let usual = usual.as_ref().unwrap_or(&facts);
        let judged = judged::all(usual, &senders);
        worst = worst.max(judged::worst(&judged));
        print((&facts, usual), &judged, args.json, style)?;
    }
    Ok(Ended::Judged(worst))
}

/// One destination that is being looked at.
struct Look {
    destination: Destination,
    /// The resolver that is asked about it for the trace alone: no sender goes by it.
    tracer: Option<Arc<str>>,
    found: JoinHandle<Option<Facts>>,
}

/// Starts all looks; they share one gate, so that no provider meets a crowd.
fn start(args: &CheckArgs, config: &Arc<Config>, stop: watch::Receiver<bool>) -> VecDeque<Look> {
    let settings = Settings::new(Arc::clone(config), ConnectivityLog::off(), None);
    let politeness = Arc::new(Politeness::new(config.politeness.clone()));
    let prober = Arc::new(agent::prober(&settings, politeness, &Own::new(), stop));
    let mut seen = BTreeSet::new();
    let destinations = args.destinations.iter().filter(|name| seen.insert(*name)).cloned();
    destinations
        .map(|destination| {
            let configured = config.destinations.get(&destination).cloned();
            let mut own = configured.unwrap_or_else(|| config.default_settings());
            if let Some(most) = args.timeout {
                limit(&mut own, most);
            }
            let tracer = args.trace.then(|| add_tracer(&mut own, config)).flatten();
            let (prober, name) = (Arc::clone(&prober), destination.clone());
            let found = tokio::spawn(async move {
                let seen = once::observe(&prober, &name, &own).await?;
                Some(seen.facts(&name))
            });
            Look { destination, tracer, found }
        })
        .collect()
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

fn limit(settings: &mut DestinationSettings, most: Duration) {
    let session = &mut settings.session;
    session.connect_timeout = session.connect_timeout.min(most);
    session.banner_timeout = session.banner_timeout.min(most);
    session.command_timeout = session.command_timeout.min(most);
}

/// Waits for a look; tells a person at a terminal what takes so long.
async fn patiently(
    destination: &Destination,
    look: &mut JoinHandle<Option<Facts>>,
) -> Option<Facts> {
    let slow = tokio::time::sleep(Duration::from_secs(3));
    tokio::select! {
        found = &mut *look => return settle(found),
        () = slow => {}
    }
    if io::stderr().is_terminal() {
        // A terminal that went away takes nothing from the check.
        let _ =
            writeln!(io::stderr(), "{destination}: still waiting for a server that is slow ...");
    }
    settle(look.await)
}

fn settle(found: Result<Option<Facts>, tokio::task::JoinError>) -> Option<Facts> {
    found.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => None,
    })
}

/// The same as far as senders go by it: without the answers of one resolver.
fn without(facts: &Facts, resolver: &str) -> Facts {
    let mut facts = facts.clone();
    facts.mx.retain(|answer| *answer.lookup.resolver != *resolver);
    for exchanger in &mut facts.exchangers {
        Arc::make_mut(exchanger).lookups.retain(|lookup| *lookup.resolver != *resolver);
    }
    facts
}

/// Prints what was found, and what of it the usual report is made of.
fn print(
    (facts, usual): (&Facts, &Facts),
    judged: &[Judged],
    json: bool,
    style: Style,
) -> io::Result<()> {
    let mut text = if json {
        document(facts, judged)?
    } else {
        let troubles = trouble::find(usual);
        let trace = if style.trace { trace::write(facts, style.paint) } else { String::new() };
        let shown = troubles.into_iter().flat_map(|trouble| trouble.by_hand).collect();
        let verdicts = verdicts::write(judged, &shown, style.paint);
        format!("{}\n{verdicts}{trace}", report::write(usual, style))
    };
    text.push('\n');
    io::stdout().lock().write_all(text.as_bytes())
}

/// The JSON of one destination, on one line.
pub(crate) fn document(facts: &Facts, judged: &[Judged]) -> io::Result<String> {
    let entries = judged.iter().cloned().map(Entry::from).collect();
    Ok(serde_json::to_string(&Document::new(&facts.destination, Some(facts), entries))?)
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
            let name =
                if server.port() == 53 { server.ip().to_string() } else { server.to_string() };
            Resolver::of_servers(&name, vec![*server], config.dns.clone())
        };
        config.resolvers = args.dns_servers.iter().map(given).collect();
        // Those that destinations have chosen are none of these.
        for settings in config.destinations.values_mut() {
            settings.resolvers = Arc::default();
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
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    parse_helo_name(&host_name).unwrap_or_else(|_| match own_address() {
        IpAddr::V4(address) => format!("[{address}]").into(),
        IpAddr::V6(address) => format!("[IPv6:{address}]").into(),
    })
}

/// The source address towards the Internet; connecting a UDP socket sends nothing.
fn own_address() -> IpAddr {
    let towards: [(IpAddr, SocketAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), ([192, 0, 2, 1], 25).into()),
        (Ipv6Addr::UNSPECIFIED.into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 25).into()),
    ];
    let found = towards.into_iter().find_map(|(any, peer)| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(peer).ok()?;
        socket.local_addr().ok().map(|own| own.ip())
    });
    found.unwrap_or(Ipv4Addr::LOCALHOST.into())
}
