//! SMTP as a sending server speaks it, up to the point where mail would follow.

pub(super) mod connect;
pub mod reply;
mod sasl;
pub mod session;
mod transport;
