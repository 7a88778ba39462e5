//! `mxwatch demo`: the agent against a small mail internet inside this process.
//!
//! One domain per failure, nothing outside the loopback interface, no configuration, no privilege
//! and no fixed port.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpListener;

use crate::{
    cli::DemoArgs,
    config::{Config, Dns, Resolver},
    daemon::{self, Start},
    name::Destination,
    web::Access,
    world::{
        World, WorldError,
        dns::DnsServer,
        scenes::{self, Scene},
    },
};

/// Starts the world and the agent, says what to open and what to look for, and runs until ended.
pub async fn run(args: DemoArgs) -> io::Result<()> {
    let ipv6 = World::ipv6_available();
    let (world, external) = start_world(ipv6).await.map_err(io::Error::other)?;
    let resolvers = [("demo", world.dns_addr()), ("external", external.addr())];
    let config = configuration(&world, resolvers, args.interval);
    let listeners = daemon::bind(&args.listen)?;
    greet(&config, resolvers.map(|(_, addr)| addr), &listeners, ipv6)?;
    let access = Access::open();
    daemon::run(Start { config, file: None, listeners, access, lifecycle: false }).await?;
    external.stop().await;
    world.stop().await;
    Ok(())
}

async fn start_world(ipv6: bool) -> Result<(World, DnsServer), WorldError> {
    Ok((scenes::world(ipv6)?.start().await?, scenes::external(ipv6).await?))
}

/// Patience is cut down so that a demo shows its failures while somebody watches.
fn configuration(
    world: &World,
    resolvers: [(&str, SocketAddr); 2],
    interval: Duration,
) -> Arc<Config> {
    let mut config = Config::with_helo_name(Arc::from("mxwatch.demo.test"));
    config.probe.port = world.smtp_port();
    config.probe.interval = interval;
    config.probe.session.connect_timeout = Duration::from_secs(3);
    config.probe.session.banner_timeout = Duration::from_secs(8);
    config.probe.session.command_timeout = Duration::from_secs(5);
    config.probe.session.session_timeout = Duration::from_secs(15);
    let (timeout, late_window) = (Duration::from_secs(2), Duration::from_secs(1));
    let patience = Dns { timeout, attempts: 1, late_window, ..Dns::default() };
    config.politeness.max_backoff = interval * 2;
    let resolver = |(name, addr)| Resolver::of_servers(name, vec![addr], patience.clone());
    config.resolvers = resolvers.map(resolver).into();
    // What the servers of the demo see, whatever address this host has elsewhere.
    config.probe.public_ipv4 = Some(Ipv4Addr::LOCALHOST);
    config.probe.public_ipv6 = World::ipv6_available().then_some(Ipv6Addr::LOCALHOST);
    let settings = Arc::new(config.default_settings());
    config.destinations = scenes::scenes()
        .iter()
        .filter_map(|scene| Destination::parse(scene.domain).ok())
        .map(|destination| (destination, settings.clone()))
        .collect::<BTreeMap<_, _>>();
    Arc::new(config)
}

fn greet(
    config: &Config,
    [resolver, external]: [SocketAddr; 2],
    listeners: &[TcpListener],
    ipv6: bool,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "mxwatch demo: one mail domain per failure, all inside this process.\n\nOpen")?;
    for listener in listeners {
        let address = reachable(listener.local_addr()?);
        writeln!(out, "  http://{address}/          what is wrong, at a glance")?;
        writeln!(out, "  http://{address}/metrics   what Prometheus scrapes")?;
    }
    let port = config.probe.port;
    writeln!(
        out,
        "\nLook at one of them by hand, in another terminal\n  {program} check --dns-server {resolver} \
         --port {port} --helo-name {name} --timeout 8s --transcript silent-banner.test\n\
         and with the eyes of two resolvers\n  {program} check --dns-server {resolver} --dns-server \
         {external} --port {port} --helo-name {name} --timeout 8s aaaa-servfail.test split-view.test",
        name = config.helo_name,
        program = std::env::args().next().unwrap_or_else(|| "mxwatch".to_owned()),
    )?;
    writeln!(out, "\nThe domains, and what to look for in /metrics")?;
    let width = scenes::scenes().iter().map(|scene| scene.domain.len()).max().unwrap_or_default();
    for Scene { domain, what, look_for } in scenes::scenes() {
        writeln!(out, "  {domain:width$}  {what}\n  {:width$}  {look_for}", "")?;
    }
    if !ipv6 {
        writeln!(out, "\nThis host has no IPv6 loopback, so healthy.test is IPv4 only here.")?;
    }
    writeln!(out, "\nThe first round takes some seconds; end it with Ctrl-C.\n")?;
    out.flush()
}

/// An address that a browser on this host can open.
fn reachable(bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], bound.port()))
    } else {
        bound
    }
}
