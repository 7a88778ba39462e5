//! Where a walk begins: the root servers of the Internet, as IANA's hints file lists them.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::proto::rr::Name;

use super::cut::{Cut, Delegate};

/// The root: that of the Internet, or the servers given.
pub(super) fn root(given: &[SocketAddr], port: u16) -> Cut {
    let private = |at: &SocketAddr| {
        let name = if at.port() == port { at.ip().to_string() } else { at.to_string() };
        Delegate { name: name.into(), host: None, addresses: vec![*at] }
    };
    let servers = if given.is_empty() {
        ROOT_SERVERS.iter().filter_map(|row| public(row, port)).collect()
    } else {
        given.iter().map(private).collect()
    };
    Cut::root(servers)
}

fn public((letter, ipv4, ipv6): &(&str, &str, &str), port: u16) -> Option<Delegate> {
    let name = format!("{letter}.root-servers.net");
    let host = Name::from_ascii(format!("{name}.")).ok()?;
    let addresses: Vec<IpAddr> = [ipv4, ipv6].iter().filter_map(|a| a.parse().ok()).collect();
    let addresses = addresses.into_iter().map(|ip| (ip, port).into()).collect();
    Some(Delegate { name: name.into(), host: Some(host), addresses })
}

/// https://www.internic.net/domain/named.root, version 2024071801.
const ROOT_SERVERS: [(&str, &str, &str); 13] = [
    ("a", "198.41.0.4", "2001:503:ba3e::2:30"),
    ("b", "170.247.170.2", "2801:1b8:10::b"),
    ("c", "192.33.4.12", "2001:500:2::c"),
    ("d", "199.7.91.13", "2001:500:2d::d"),
    ("e", "192.203.230.10", "2001:500:a8::e"),
    ("f", "192.5.5.241", "2001:500:2f::f"),
    ("g", "192.112.36.4", "2001:500:12::d0d"),
    ("h", "198.97.190.53", "2001:500:1::53"),
    ("i", "192.36.148.17", "2001:7fe::53"),
    ("j", "192.58.128.30", "2001:503:c27::2:30"),
    ("k", "193.0.14.129", "2001:7fd::1"),
    ("l", "199.7.83.42", "2001:500:9f::42"),
    ("m", "202.12.27.33", "2001:dc3::35"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_root_server_has_an_address_in_each_family() {
        let root = root(&[], 53);
        let families = |delegate: &Delegate| {
            let [a, b] = delegate.addresses.as_slice() else { return false };
            a.is_ipv4() && b.is_ipv6()
        };
        assert_eq!(root.servers.len(), 13);
        assert!(root.servers.iter().all(families), "{root:?}");
    }
}
