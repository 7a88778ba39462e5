//! Whether this host itself would know where to send: connecting a UDP socket sends nothing, it
//! only consults the routing table. Not whether anybody is there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Whether a packet to `peer` would leave this host.
pub(super) fn routed(peer: SocketAddr) -> bool {
    UdpSocket::bind(any_source(peer)).and_then(|socket| socket.connect(peer)).is_ok()
}

/// What a socket is bound to that is to reach `peer` from whichever source fits.
pub(super) const fn any_source(peer: SocketAddr) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        SocketAddr::V6(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    }
}
