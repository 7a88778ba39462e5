//! The system's own resolver: what `/etc/resolv.conf` names.
//!
//! Only its servers count here. Search lists do not apply to mail, and time-outs are our own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use hickory_resolver::system_conf::parse_resolv_conf;

/// The servers of a resolv.conf(5), each once and never none: without any the local host is asked,
/// as that manual says.
pub(super) fn servers(path: &Path) -> Vec<SocketAddr> {
    let parsed = std::fs::read(path).ok().and_then(|text| {
        // The parser refuses the whole file for a search list that the C library puts up with.
        let lines = text.split(|&byte| byte == b'\n');
        let named: Vec<&[u8]> = lines.filter(|line| line.starts_with(b"nameserver")).collect();
        parse_resolv_conf(named.join(&b'\n')).ok()
    });
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
        assert_eq!(servers(file.path()), want);
    }

    #[test]
    fn what_else_stands_there_hides_no_server() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let want: Vec<SocketAddr> = vec!["192.0.2.53:53".parse().unwrap()];
        for text in [
            &b"search a..b\nnameserver 192.0.2.53\n"[..],
            b"# caf\xe9\nnameserver 192.0.2.53\n",
            b"domain -.\xff\nnameserver nonsense\nnameserver\t192.0.2.53\n",
        ] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(servers(file.path()), want, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn without_a_server_the_local_host_is_asked() {
        let want: Vec<SocketAddr> = vec!["127.0.0.1:53".parse().unwrap()];
        assert_eq!(servers(Path::new("/nonexistent/resolv.conf")), want);
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(servers(file.path()), want);
    }
}
