//! The agent as a service of systemd: what the manager hears of it, and the sockets that it hands
//! over. Without systemd all of it does nothing.

pub mod notify;
pub mod sockets;
