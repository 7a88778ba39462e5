//! The system's own resolver: what `/etc/resolv.conf` names.
//!
//! Only its servers count here. Search lists do not apply to mail, and time-outs are our own.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use hickory_resolver::system_conf::parse_resolv_conf;

use crate::config::Resolver;

/// Name of the resolver that stands for `/etc/resolv.conf`.
pub const SYSTEM_RESOLVER: &str = "system";

/// Reads the servers of a resolv.conf(5); without any the local host is asked, as that manual says.
pub fn system_resolver(path: &Path) -> Resolver {
    let parsed = std::fs::read(path).ok().and_then(|text| parse_resolv_conf(text).ok());
    let mut servers: Vec<_> = parsed
        .iter()
        .flat_map(|(config, _)| config.name_servers())
        .map(|server| (server.ip, DNS_PORT).into())
        .take(MAXNS)
        .collect();
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
    }
    Resolver { name: Arc::from(SYSTEM_RESOLVER), servers }
}

/// As the C library, which stops after three (`MAXNS` in resolv.h).
const MAXNS: usize = 3;

const DNS_PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn servers_come_in_order_and_at_most_three() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "search example.test\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n\
                    options timeout:1\nnameserver 192.0.2.54\nnameserver 192.0.2.55\n";
        std::fs::write(file.path(), text).unwrap();
        let want: Vec<SocketAddr> = ["192.0.2.53:53", "[2001:db8::53]:53", "192.0.2.54:53"]
            .iter()
            .map(|s| s.parse().unwrap())
            .collect();
        assert_eq!(system_resolver(file.path()).servers, want);
    }

    #[test]
    fn without_a_server_the_local_host_is_asked() {
        let want: Vec<SocketAddr> = vec!["127.0.0.1:53".parse().unwrap()];
        assert_eq!(system_resolver(Path::new("/nonexistent/resolv.conf")).servers, want);
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(system_resolver(file.path()).servers, want);
    }
}
