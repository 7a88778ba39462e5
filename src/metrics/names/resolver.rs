//! The metrics of resolvers apart from any domain: `mx_resolver_*`.

use super::{Metric, gauge};

/// Which resolvers there are.
pub const RESOLVER_INFO: Metric = gauge(
    "mx_resolver_info",
    &["resolver", "kind", "transport", "primary"],
    "1 for every resolver that is asked, with how it is configured and whether its answers decide where mail goes.",
);
/// The one number per resolver.
pub const RESOLVER_UP: Metric = gauge(
    "mx_resolver_up",
    &["resolver"],
    "Whether the resolver is there: 0 once no server of it responded in two control rounds running, 1 again with the first response; absent while it is not known.",
);
/// The same of one server.
pub const RESOLVER_SERVER_UP: Metric = gauge(
    "mx_resolver_server_up",
    &["resolver", "server"],
    "Whether this server of the resolver responded to the last control query, whatever it said.",
);
/// How fast it is.
pub const RESOLVER_CONTROL_DURATION: Metric = gauge(
    "mx_resolver_control_duration_seconds",
    &["resolver", "server"],
    "Time the last control query took, repeated queries included.",
);
/// What it says.
pub const RESOLVER_CONTROL_STATUS: Metric = gauge(
    "mx_resolver_control_status",
    &["resolver", "server", "status"],
    "1 for the status of the last control query.",
);
