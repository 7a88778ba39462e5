//! The system's own resolver: what `/etc/resolv.conf` names.
//!
//! Only its servers count here, and whether their AD bit is trusted. Search lists do not apply to
//! mail, and time-outs are our own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use hickory_resolver::system_conf::parse_resolv_conf;

/// What counts of a resolv.conf(5).
pub(super) struct ResolvConf {
    /// Its servers, each once and never none: without any the local host is asked, as that manual
    /// says.
    pub(super) servers: Vec<SocketAddr>,
    /// `options trust-ad`: the way to them is protected, and they validate.
    pub(super) trust_ad: bool,
}

impl ResolvConf {
    /// As it is now; one that cannot be read is empty.
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        Self { servers: servers(&text), trust_ad: trust_ad(&text) }
    }
}

fn servers(text: &[u8]) -> Vec<SocketAddr> {
    // The parser refuses the whole file for a search list that the C library puts up with.
    let named: Vec<&[u8]> = lines(text).filter(|line| line.starts_with(b"nameserver")).collect();
    let parsed = parse_resolv_conf(named.join(&b'\n')).ok();
    let mut servers: Vec<SocketAddr> = Vec::new();
    let named = parsed.iter().flat_map(|(config, _)| config.name_servers()).take(MAXNS);
    for server in named.map(|server| (server.ip, DNS_PORT).into()) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
    }
    servers
}

/// The parser does not know this option.
fn trust_ad(text: &[u8]) -> bool {
    lines(text).any(|line| {
        let mut words = line.split(u8::is_ascii_whitespace);
        words.next() == Some(b"options") && words.any(|word| word == b"trust-ad")
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

/// As the C library, which stops after three (`MAXNS` in resolv.h).
const MAXNS: usize = 3;

const DNS_PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_first_three_servers_each_comes_once_in_order() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "search example.test\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n\
                    options timeout:1\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nnameserver 192.0.2.55\n";
        std::fs::write(file.path(), text).unwrap();
        let want: Vec<SocketAddr> =
            ["192.0.2.53:53", "[2001:db8::53]:53"].iter().map(|s| s.parse().unwrap()).collect();
        assert_eq!(ResolvConf::read(file.path()).servers, want);
    }

    #[test]
    fn what_else_stands_there_hides_no_server() {
        let want: Vec<SocketAddr> = vec!["192.0.2.53:53".parse().unwrap()];
        for text in [
            &b"search a..b\nnameserver 192.0.2.53\n"[..],
            b"# caf\xe9\nnameserver 192.0.2.53\n",
            b"domain -.\xff\nnameserver nonsense\nnameserver\t192.0.2.53\n",
        ] {
            assert_eq!(servers(text), want, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn without_a_server_the_local_host_is_asked() {
        let want: Vec<SocketAddr> = vec!["127.0.0.1:53".parse().unwrap()];
        let missing = ResolvConf::read(Path::new("/nonexistent/resolv.conf"));
        assert_eq!((missing.servers, missing.trust_ad), (want.clone(), false));
        assert_eq!(servers(b""), want);
    }

    #[test]
    fn the_option_is_taken_wherever_the_c_library_takes_it() {
        for (text, want) in [
            (&b"nameserver 127.0.0.53\noptions edns0 trust-ad\n"[..], true),
            (b"options\ttrust-ad", true),
            (b"options edns0\noptions timeout:1 trust-ad rotate\n", true),
            (b"search a..b\noptions trust-ad \r\n", true),
            (b"options edns0\n", false),
            (b"options trust-add\n", false),
            (b"#options trust-ad\n", false),
            (b" options trust-ad\n", false),
            (b"optionstrust-ad trust-ad\n", false),
            (b"nameserver trust-ad\n", false),
            (b"", false),
        ] {
            assert_eq!(trust_ad(text), want, "{}", text.escape_ascii());
        }
    }
}
