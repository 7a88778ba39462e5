//! The role of the world: mail domains with two exchangers each, on loopback, until it is ended.
//!
//! Domains and addresses follow from numbers, so that whoever asks need not be told them.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use mxwatch::world::{World, smtp_script::Script};

use crate::{fail, tls_server};

/// How its servers behave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manners {
    /// They greet, say what they offer and take leave.
    Healthy,
    /// They accept connections and say nothing.
    Silent,
    /// They offer STARTTLS and have a certificate.
    Starttls,
}

impl Manners {
    const ALL: [Self; 3] = [Self::Healthy, Self::Silent, Self::Starttls];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Silent => "silent",
            Self::Starttls => "starttls",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|manners| manners.word() == word)
    }
}

/// Which exchangers the domains have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exchangers {
    /// Two of their own each.
    Distinct,
    /// Two of [`POOL`] each.
    Shared,
}

/// How many exchangers the domains of a large provider have in common.
pub(crate) const POOL: usize = 50;

impl Exchangers {
    /// How many there are for so many domains.
    pub(crate) fn of(self, domains: usize) -> usize {
        match self {
            Self::Distinct => 2 * domains,
            Self::Shared => POOL.min(2 * domains),
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Distinct => "distinct",
            Self::Shared => "shared",
        }
    }
}

/// The name of a domain.
pub(crate) fn domain(number: usize) -> String {
    format!("d{number}.example.test")
}

/// The name of an exchanger; each is a provider of its own, or politeness would be measured.
pub(crate) fn exchanger(number: usize) -> String {
    format!("mx.p{number}.test")
}

/// The address of an exchanger.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("there are fewer exchangers than addresses");
    Ipv4Addr::from_bits(BASE.to_bits() + number)
}

/// The number of the exchanger at an address.
pub(crate) fn number_of(address: IpAddr) -> Option<usize> {
    let IpAddr::V4(address) = address else { return None };
    usize::try_from(address.to_bits().checked_sub(BASE.to_bits())?).ok()
}

/// The address of the first exchanger.
const BASE: Ipv4Addr = Ipv4Addr::new(127, 16, 0, 0);

/// The numbers of the two exchangers of a domain.
pub(crate) fn exchangers_of(domain: usize, domains: usize, which: Exchangers) -> [usize; 2] {
    let all = which.of(domains);
    [2 * domain % all, (2 * domain + 1) % all]
}

fn zone(domains: usize, which: Exchangers) -> String {
    let mut zone = String::from("$ORIGIN test.\n");
    for number in 0..domains {
        for (place, mx) in exchangers_of(number, domains, which).into_iter().enumerate() {
            let (domain, mx) = (domain(number), exchanger(mx));
            writeln!(zone, "{domain}. MX {} {mx}.", 10 * (place + 1)).expect("a string takes all");
        }
    }
    for number in 0..which.of(domains) {
        writeln!(zone, "{}. A {}", exchanger(number), address(number)).expect("a string takes all");
    }
    zone
}

/// Runs until it is killed. Prints the port of DNS and that of SMTP when it is there.
pub(crate) async fn run(arguments: &[String]) {
    let [domains, which, manners] = arguments else {
        fail("world wants DOMAINS EXCHANGERS MANNERS")
    };
    let (Ok(domains), Some(manners)) = (domains.parse(), Manners::of_word(manners)) else {
        fail("world wants a number of domains, and manners")
    };
    let which = if which == "shared" { Exchangers::Shared } else { Exchangers::Distinct };
    let builder = World::builder().zone(&zone(domains, which));
    let builder = builder.unwrap_or_else(|error| fail(&error.to_string()));
    let script = match manners {
        Manners::Healthy => Script::healthy("mx.example.test"),
        Manners::Silent | Manners::Starttls => Script::silent(),
    };
    let world = builder.smtp_everywhere(script).start().await;
    let world = world.unwrap_or_else(|error| fail(&error.to_string()));
    let smtp = match manners {
        Manners::Starttls => tls_server::start(which.of(domains)),
        Manners::Healthy | Manners::Silent => world.smtp_port(),
    };
    println!("{} {smtp}", world.dns_addr().port());
    let _ = std::io::stdout().flush();
    // Longer than any measurement, and not for ever.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    drop(world);
}

/// Where everything is.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
