//! DNS as a mail server sees it: one question to every resolver, every exchange kept.
//!
//! Built on hickory's wire format but not on its resolver, which retries, caches and merges A with
//! AAAA: what hides a failure from an application must not hide it from us.
//!
//! - [`Resolvers`] all views, asked at the same moment; `view` one of them, [`Expanded`] what they
//!   are made from
//! - `exchange` one query to one server, `message` its bytes, `datagram` what carries them over UDP,
//!   `failed` why no response came
//! - `encrypted` servers asked over TLS: `tls` the handshake, `kept` the connection that is shared,
//!   `pipeline` with its `framing` and `http2` what is spoken on it
//! - `validation` whether SERVFAIL is for DNSSEC
//! - `authority` a view that asks those who have authority, `pointers` what leads it to them
//! - `resolv_conf` the servers of the system

mod authority;
mod datagram;
mod encrypted;
mod exchange;
mod failed;
mod framing;
mod http2;
mod kept;
mod message;
mod pipeline;
mod pointers;
mod resolv_conf;
mod tls;
mod validation;
mod view;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::Instant;

use self::resolv_conf::ResolvConf;
pub use self::view::View;
use crate::{
    config::{Resolver, ResolverKind},
    facts::{Lookup, RecordType},
    name::QueryName,
};

/// The resolvers to ask; clones share what those hold on to.
#[derive(Clone, Debug)]
pub struct Resolvers {
    /// The primary first; all are asked at the same moment. Never empty.
    views: Arc<[Arc<View>]>,
}

impl Resolvers {
    /// Those of a configuration; resolv.conf(5) is read where one stands for it. Views that are the
    /// same as in `before` go on, with what they hold.
    pub fn new(configured: &[Resolver], before: Option<&Self>) -> Self {
        let Expanded(expanded) = Expanded::new(configured);
        // A share each, so that one that is slow cannot keep the others from being asked.
        let at_once = (AT_ONCE / expanded.len().max(1)).max(1);
        let view = |(of, resolver): (Arc<str>, Resolver)| {
            let mut before = before.iter().flat_map(|before| before.views.iter());
            let same = before.find(|view| view.is(&of, &resolver) && view.at_once() == at_once);
            same.cloned().unwrap_or_else(|| Arc::new(View::new(of, resolver, at_once)))
        };
        Self { views: expanded.into_iter().map(view).collect() }
    }

    /// Whether these are the ones that a configuration comes to.
    pub fn are(&self, Expanded(expanded): &Expanded) -> bool {
        let mut pairs = self.views.iter().zip(expanded);
        self.views.len() == expanded.len() && pairs.all(|(view, (of, spec))| view.is(of, spec))
    }

    /// The primary first.
    pub fn views(&self) -> &[Arc<View>] {
        &self.views
    }

    /// The values of the `resolver` label, the primary's first.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.views.iter().map(|view| view.name())
    }

    /// Those of the given names in the order of these; empty stands for all.
    #[must_use]
    pub fn chosen(&self, names: &[Arc<str>]) -> Self {
        let of_name = |name| self.views.iter().filter(move |view| view.of() == name);
        self.or_all(names.iter().flat_map(of_name).cloned().collect())
    }

    /// Those of the given names in their own order; empty stands for all.
    #[must_use]
    pub fn among(&self, names: &[Arc<str>]) -> Self {
        let wanted = |view: &&Arc<View>| names.contains(view.of());
        self.or_all(self.views.iter().filter(wanted).cloned().collect())
    }

    /// A choice of which a reload left nothing is none.
    fn or_all(&self, views: Vec<Arc<View>>) -> Self {
        if views.is_empty() { self.clone() } else { Self { views: views.into() } }
    }

    /// Asks every resolver the same question at the same moment; answers in the resolvers' order.
    /// Each begins when not too many others are under way with it, and is given up at `deadline`.
    pub async fn lookup(
        &self,
        name: &QueryName,
        rtype: RecordType,
        deadline: Option<Instant>,
    ) -> Vec<Lookup> {
        // Mostly there is one, and a lookup is too large to be moved about for nothing.
        if let [only] = &*self.views {
            return vec![only.lookup(name, rtype, deadline).await];
        }
        join_all(self.views.iter().map(|view| view.lookup(name, rtype, deadline))).await
    }
}

/// What a configuration comes to when resolv.conf(5) is read: the name of a resolver and one of its
/// views, each.
#[derive(Debug, PartialEq)]
pub struct Expanded(Vec<(Arc<str>, Resolver)>);

impl Expanded {
    /// As the files are now.
    pub fn new(configured: &[Resolver]) -> Self {
        let views = |resolver: &Resolver| {
            let of = Arc::clone(&resolver.name);
            expand(resolver).into_iter().map(move |view| (Arc::clone(&of), view))
        };
        Self(configured.iter().flat_map(views).collect())
    }
}

/// The views that one resolver comes to: its servers, or those of the system.
fn expand(resolver: &Resolver) -> Vec<Resolver> {
    let ResolverKind::System { file, each_server } = &resolver.kind else {
        return vec![resolver.clone()];
    };
    let ResolvConf { servers, trust_ad } = ResolvConf::read(file);
    let of_servers = |name: &str, servers| Resolver {
        control_name: resolver.control_name.clone(),
        trust_ad: resolver.trust_ad.or(Some(trust_ad)),
        ..Resolver::of_servers(name, servers, resolver.patience.clone())
    };
    if !each_server {
        return vec![of_servers(&resolver.name, servers)];
    }
    let name = |server: &SocketAddr| format!("{}-{}", resolver.name, server.ip());
    servers.iter().map(|server| of_servers(&name(server), vec![*server])).collect()
}

/// How long one exchange may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until the exchange has failed.
    timeout: Duration,
    /// How long to listen on after that, to tell a late answer from none.
    late_window: Duration,
}

impl Patience {
    /// What is left of it before a deadline; `None` when that has passed.
    fn until(self, deadline: Instant) -> Option<Self> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = self.timeout.min(left);
        // Listening for a late answer must not make those wait who have a deadline.
        let late_window = self.late_window.min(left.saturating_sub(timeout));
        (!left.is_zero()).then_some(Self { timeout, late_window })
    }
}

/// Lookups under way at the same time over all resolvers, most of them with a socket.
const AT_ONCE: usize = 2000;
