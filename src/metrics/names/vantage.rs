//! The metrics of how this host looks to receivers: `mx_vantage_*`.

use super::{Metric, gauge};

/// A way out.
pub const VANTAGE_ROUTE: Metric = gauge(
    "mx_vantage_route",
    &["family"],
    "Whether this host has a route to the Internet, from the configured source if there is one.",
);
/// The addresses.
pub const VANTAGE_SOURCE: Metric = gauge(
    "mx_vantage_source_info",
    &["family", "source", "seen_as"],
    "1 with the address that sessions leave from and the one that receivers see, empty where that is not known.",
);
/// From the name to the address.
pub const VANTAGE_HELO_RESOLVES: Metric = gauge(
    "mx_vantage_helo_resolves",
    &["family"],
    "Whether the HELO name has the address that receivers see; absent where that is not known.",
);
/// From the address to the name.
pub const VANTAGE_REVERSE_MATCHES: Metric = gauge(
    "mx_vantage_reverse_matches",
    &["family"],
    "Whether the PTR records of the address that receivers see hold the HELO name; absent where that is not known, and for an address literal.",
);
/// From the address to a name and back.
pub const VANTAGE_REVERSE_CONFIRMED: Metric = gauge(
    "mx_vantage_reverse_confirmed",
    &["family"],
    "Whether a name that the address leads to has that address; absent where that is not known.",
);
