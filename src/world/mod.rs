//! A small mail internet on loopback: DNS from zone text and scripted SMTP servers.
//!
//! `mxwatch demo`, the tests and the benchmarks probe it. It is no mail system: it stores nothing,
//! it speaks no TLS, and it binds exact loopback addresses at ephemeral ports, so that any number
//! of worlds exist side by side.
//!
//! - [`zone`] what the DNS knows, [`answer`] the reply to a query, [`dns`] the server
//! - [`smtp_script`] what an SMTP server does, [`smtp`] the server that does it, `deaf` the place
//!   of one that does not even take connections
//! - [`scenes`] the world of the demo: one domain per failure

pub mod answer;
mod deaf;
pub mod dns;
pub mod scenes;
mod session;
pub mod smtp;
pub mod smtp_script;
pub mod zone;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use deaf::Deaf;
use dns::DnsServer;
use smtp::SmtpServer;
use smtp_script::Script;
use zone::{ZoneError, Zones};

/// One DNS server and any number of SMTP servers, all of these at one port. Dropping it ends them.
#[derive(Debug)]
pub struct World {
    dns: DnsServer,
    smtp: BTreeMap<IpAddr, SmtpServer>,
    deaf: Vec<Deaf>,
    smtp_port: u16,
}

impl World {
    /// A world without zones and servers.
    pub fn builder() -> WorldBuilder {
        WorldBuilder::default()
    }

    /// Whether this host can bind IPv6 loopback addresses.
    pub fn ipv6_available() -> bool {
        std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }

    /// Where the DNS server listens, over UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns.addr()
    }

    /// The DNS server.
    pub fn dns(&self) -> &DnsServer {
        &self.dns
    }

    /// The port of every SMTP server. In a world without any, a port where nobody listened.
    pub fn smtp_port(&self) -> u16 {
        self.smtp_port
    }

    /// The SMTP server at an address.
    ///
    /// # Panics
    ///
    /// When the world was built without one there.
    pub fn smtp(&self, ip: impl Into<IpAddr>) -> &SmtpServer {
        let ip = ip.into();
        self.smtp.get(&ip).unwrap_or_else(|| panic!("this world has no SMTP server at {ip}"))
    }

    /// Every SMTP server with its address.
    pub fn smtp_servers(&self) -> impl Iterator<Item = (IpAddr, &SmtpServer)> {
        self.smtp.iter().map(|(ip, server)| (*ip, server))
    }

    /// Ends all servers and waits until their sockets are closed.
    pub async fn stop(self) {
        self.dns.stop().await;
        drop(self.deaf);
        for server in self.smtp.into_values() {
            server.stop().await;
        }
    }
}

/// A world to be.
#[derive(Debug)]
pub struct WorldBuilder {
    zones: Zones,
    dns: SocketAddr,
    /// Without a script connections time out.
    smtp: BTreeMap<IpAddr, Option<Script>>,
    smtp_port: u16,
}

impl Default for WorldBuilder {
    fn default() -> Self {
        Self {
            zones: Zones::default(),
            dns: (Ipv4Addr::LOCALHOST, 0).into(),
            smtp: BTreeMap::new(),
            smtp_port: 0,
        }
    }
}

impl WorldBuilder {
    /// Adds zone text, in the form of [`Zones::parse`].
    pub fn zone(mut self, text: &str) -> Result<Self, ZoneError> {
        self.zones = self.zones.with(text)?;
        Ok(self)
    }

    /// Puts an SMTP server at an address, in place of one that was there.
    #[must_use]
    pub fn smtp(mut self, ip: impl Into<IpAddr>, script: Script) -> Self {
        self.smtp.insert(ip.into(), Some(script));
        self
    }

    /// Puts an SMTP server at every IPv4 address of loopback, for worlds with more exchangers than there
    /// are file descriptors. It is the one at 0.0.0.0, and no other can stand beside it.
    #[must_use]
    pub fn smtp_everywhere(self, script: Script) -> Self {
        self.smtp(Ipv4Addr::UNSPECIFIED, script)
    }

    /// Lets connections to an address time out, in place of a server that was there.
    #[must_use]
    pub fn deaf(mut self, ip: impl Into<IpAddr>) -> Self {
        self.smtp.insert(ip.into(), None);
        self
    }

    /// Lets the DNS server listen here rather than at 127.0.0.1 and any port.
    #[must_use]
    pub fn dns_at(mut self, addr: SocketAddr) -> Self {
        self.dns = addr;
        self
    }

    /// Lets the SMTP servers listen at this port rather than at any that is free for all.
    #[must_use]
    pub fn smtp_port(mut self, port: u16) -> Self {
        self.smtp_port = port;
        self
    }

    /// Binds everything and starts.
    pub async fn start(self) -> Result<World, WorldError> {
        // Linux delivers IPv4 connections to a socket of the mapped address, so the two are one.
        let mut places = BTreeSet::new();
        for ip in self.smtp.keys() {
            if !places.insert(ip.to_canonical()) {
                return Err(WorldError::SameAddress { ip: *ip });
            }
        }
        let ips: Vec<IpAddr> = self.smtp.keys().copied().collect();
        let (smtp_port, listeners) = bind_all(&ips, self.smtp_port).await?;
        let (mut smtp, mut deaf) = (BTreeMap::new(), Vec::new());
        for ((ip, script), listener) in self.smtp.into_iter().zip(listeners) {
            let failed = |source| WorldError::Smtp { ip, source };
            if let Some(script) = script {
                smtp.insert(ip, SmtpServer::serve(listener, script).map_err(failed)?);
            } else {
                deaf.push(Deaf::new(listener).await.map_err(failed)?);
            }
        }
        let dns = DnsServer::start(self.dns, self.zones).await;
        let dns = dns.map_err(|source| WorldError::Dns { addr: self.dns, source })?;
        Ok(World { dns, smtp, deaf, smtp_port })
    }
}

/// Why a world did not start.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The DNS server could not listen.
    #[error("the DNS server cannot listen at {addr}: {source}")]
    Dns {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No port was free at every address.
    #[error("no port is free at all {addresses} addresses of the SMTP servers")]
    NoCommonPort {
        /// How many.
        addresses: usize,
    },
    /// An IPv6 address on a host without IPv6, or without this address.
    #[error("this host cannot listen at the IPv6 address {ip}: {source}")]
    NoIpv6 {
        /// The address.
        ip: IpAddr,
        /// Why.
        source: io::Error,
    },
    /// An IPv4 address stands beside its v4-mapped form; one server serves both.
    #[error("{ip} is the same address as another SMTP server's")]
    SameAddress {
        /// The second of them.
        ip: IpAddr,
    },
    /// An SMTP server could not listen.
    #[error("an SMTP server cannot listen at {ip}: {source}")]
    Smtp {
        /// Where.
        ip: IpAddr,
        /// Why.
        source: io::Error,
    },
    /// The zone text is wrong.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// Binds all addresses at one port, port 0 being any.
async fn bind_all(ips: &[IpAddr], port: u16) -> Result<(u16, Vec<TcpListener>), WorldError> {
    let tries = if port == 0 { PORT_TRIES } else { 1 };
    'tries: for _ in 0..tries {
        let mut common = port;
        let mut listeners = Vec::new();
        // Without servers the first address only lends its port.
        let nobody = [IpAddr::from(Ipv4Addr::LOCALHOST)];
        for &ip in if ips.is_empty() { &nobody } else { ips } {
            let bound = if ip == Ipv4Addr::UNSPECIFIED {
                listen_on_loopback(common).and_then(TcpListener::from_std)
            } else {
                TcpListener::bind((ip, common)).await
            };
            match bound.and_then(|listener| Ok((listener.local_addr()?.port(), listener))) {
                Ok((bound, listener)) => {
                    common = bound;
                    listeners.push(listener);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue 'tries,
                Err(source) if ip.is_ipv6() => return Err(WorldError::NoIpv6 { ip, source }),
                Err(source) => return Err(WorldError::Smtp { ip, source }),
            }
        }
        listeners.truncate(ips.len());
        return Ok((common, listeners));
    }
    Err(WorldError::NoCommonPort { addresses: ips.len() })
}

/// Listens at every IPv4 address of loopback, port 0 for any free one. What comes through another device
/// does not get here, whatever address it is for.
pub fn listen_on_loopback(port: u16) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.bind_device(Some(b"lo"))?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections that wait to be accepted, as many as the system allows at most.
const BACKLOG: i32 = 4096;

/// How many ports are tried; on a quiet host the first will do.
const PORT_TRIES: u32 = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

    use super::*;

    async fn first_byte(ip: impl Into<IpAddr>, port: u16) -> u8 {
        let mut stream = TcpStream::connect((ip.into(), port)).await.unwrap();
        stream.read_u8().await.unwrap()
    }

    #[tokio::test]
    async fn all_exchangers_share_one_port() {
        let (one, two) = ([127, 83, 1, 1], [127, 83, 1, 2]);
        let world = World::builder()
            .zone("$ORIGIN a.test.\n@ MX 10 mx1\nmx1 A 127.83.1.1")
            .unwrap()
            .smtp(one, Script::healthy("mx1.a.test"))
            .smtp(two, Script::banner("554 no"))
            .start()
            .await
            .unwrap();
        assert_eq!(first_byte(one, world.smtp_port()).await, b'2');
        assert_eq!(first_byte(two, world.smtp_port()).await, b'5');
        assert_eq!(world.smtp(one).tally().accepted, 1);
        assert_eq!(world.smtp_servers().count(), 2);
        assert_eq!(world.dns_addr(), world.dns().addr());
    }

    #[tokio::test]
    async fn one_server_is_at_every_address() {
        let everywhere = World::builder().smtp_everywhere(Script::banner("554 no"));
        let world = everywhere.start().await.unwrap();
        for last in [9, 10] {
            assert_eq!(first_byte([127, 83, 1, last], world.smtp_port()).await, b'5');
        }
        assert_eq!(world.smtp(Ipv4Addr::UNSPECIFIED).tally().accepted, 2);
    }

    #[tokio::test]
    async fn a_deaf_address_is_no_server_and_has_the_port_of_all() {
        let (one, two) = ([127, 83, 1, 7], [127, 83, 1, 8]);
        let world = World::builder()
            .smtp(one, Script::healthy("mx1.a.test"))
            .smtp(two, Script::silent())
            .deaf(two)
            .start()
            .await
            .unwrap();
        assert_eq!(world.smtp_servers().count(), 1);
        let connection = TcpStream::connect((IpAddr::from(two), world.smtp_port()));
        assert!(timeout(Duration::from_millis(400), connection).await.is_err());
        assert_eq!(first_byte(one, world.smtp_port()).await, b'2');
    }

    #[tokio::test]
    async fn a_port_taken_at_one_address_is_an_error_or_another_try() {
        let other = TcpListener::bind("127.83.1.4:0").await.unwrap();
        let port = other.local_addr().unwrap().port();
        let ips = [IpAddr::from([127, 83, 1, 3]), IpAddr::from([127, 83, 1, 4])];
        let error = bind_all(&ips, port).await.unwrap_err();
        assert!(matches!(error, WorldError::NoCommonPort { addresses: 2 }), "{error}");
        let (free, listeners) = bind_all(&ips, 0).await.unwrap();
        assert_ne!(free, port);
        assert_eq!(listeners.len(), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_built_says_why() {
        // RFC 3849: an address that no host has.
        let foreign: IpAddr = "2001:db8::1".parse().unwrap();
        let error = World::builder().smtp(foreign, Script::silent()).start().await.unwrap_err();
        assert!(matches!(error, WorldError::NoIpv6 { .. }), "{error}");
        let mapped: IpAddr = "::ffff:127.83.1.5".parse().unwrap();
        let twice = World::builder().smtp([127, 83, 1, 5], Script::silent());
        let error = twice.smtp(mapped, Script::silent()).start().await.unwrap_err();
        assert!(matches!(error, WorldError::SameAddress { .. }), "{error}");
        assert!(World::builder().zone("nonsense").is_err());
    }

    #[tokio::test]
    async fn a_world_without_servers_has_a_port_that_refuses() {
        let world = World::builder().start().await.unwrap();
        let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, world.smtp_port())).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        world.stop().await;
    }
}
