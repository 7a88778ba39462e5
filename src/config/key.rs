//! The names of configuration keys: which exist, how one is written, which is meant by a typo.
//!
//! The lists here are what "unknown key" and the environment are checked against.

use std::fmt;

use crate::delivery::Parameter;

/// The keys above the first section.
pub(super) const TOP: &[&str] = &[
    "connectivity_log",
    "destination",
    "destination_files",
    "dns",
    "domains",
    "helo_name",
    "http_sd",
    "metrics",
    "politeness",
    "probe",
    "resolver",
    "sender",
    "senders",
    "web",
];

/// The keys of a destination file in TOML.
pub(super) const DESTINATION_FILE: &[&str] = &["destination", "domains"];

/// The keys of a group in a `file_sd` list.
pub(super) const TARGET_GROUP: &[&str] = &["labels", "targets"];

/// The keys of `[[destination]]`.
pub(super) const DESTINATION: &[&str] = &[
    "addresses_per_family",
    "banner_timeout",
    "command_timeout",
    "connect_timeout",
    "domain",
    "expect_relay_denied",
    "families",
    "interval",
    "mail_from",
    "password_credential",
    "password_file",
    "policy_interval",
    "policy_timeout",
    "recipient",
    "relay_recipient",
    "resolvers",
    "session_timeout",
    "smarthost",
    "starttls",
    "tls",
    "username",
];

/// The keys of `[[http_sd]]`.
pub(super) const HTTP_SD: &[&str] = &[
    "bearer_token_credential",
    "bearer_token_file",
    "ca_file",
    "name",
    "password_credential",
    "password_file",
    "refresh_interval",
    "url",
    "username",
];

/// The keys of `[[resolver]]`.
pub(super) const RESOLVER: &[&str] = &[
    "attempts",
    "ca_file",
    "control_name",
    "each_server",
    "health_interval",
    "interval",
    "kind",
    "late_window",
    "name",
    "path",
    "port",
    "resolv_conf",
    "root_servers",
    "servers",
    "timeout",
    "tls_name",
    "transport",
    "trust_ad",
];

/// The keys of `[sender.NAME]`.
pub(super) fn sender() -> Vec<&'static str> {
    let parameters = Parameter::ALL.iter().map(|parameter| parameter.key());
    std::iter::once("like").chain(parameters).collect()
}

/// The sections that are one table, and so can be set key by key from the environment.
pub(super) const SECTIONS: &[(&str, &[&str])] = &[
    ("dns", &["attempts", "health_interval", "late_window", "timeout"]),
    ("metrics", &["detail"]),
    ("politeness", &["max_backoff", "max_sessions", "max_sessions_per_provider"]),
    (
        "probe",
        &[
            "addresses_per_family",
            "banner_timeout",
            "command_timeout",
            "connect_timeout",
            "families",
            "interval",
            "mail_from",
            "policy_interval",
            "policy_port",
            "policy_timeout",
            "port",
            "public_ipv4",
            "public_ipv6",
            "session_timeout",
            "source_ipv4",
            "source_ipv6",
            "starttls",
        ],
    ),
    ("web", &["max_connections", "probe_any_target"]),
];

/// The sections of a web configuration, and its keys; users have names of their own.
pub(super) const WEB_CONFIG: &[&str] =
    &["basic_auth_users", "http_server_config", "rate_limit", "tls_server_config"];
pub(super) const HTTP_SERVER_CONFIG: &[&str] = &["headers", "http2"];
pub(super) const HTTP_HEADERS: &[&str] = &[
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
];
pub(super) const RATE_LIMIT: &[&str] = &["burst", "interval"];
pub(super) const TLS_SERVER_CONFIG: &[&str] = &[
    "cert",
    "cert_file",
    "cipher_suites",
    "client_allowed_sans",
    "client_auth_type",
    "client_ca",
    "client_ca_file",
    "curve_preferences",
    "key",
    "key_file",
    "max_version",
    "min_version",
    "prefer_server_cipher_suites",
];

/// The tables of a web configuration and where its users would look for a key.
const WEB_TABLES: &[(&str, &[&str])] = &[
    ("http_server_config", HTTP_SERVER_CONFIG),
    ("http_server_config.headers", HTTP_HEADERS),
    ("rate_limit", RATE_LIMIT),
    ("tls_server_config", TLS_SERVER_CONFIG),
];

/// The keys of one of [`SECTIONS`].
pub(super) fn section(name: &str) -> &'static [&'static str] {
    SECTIONS.iter().find(|(section, _)| *section == name).map_or(&[], |(_, keys)| keys)
}

/// The way from the top of a file to a value.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyPath(Vec<Step>);

/// One step of it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Into a table.
    Key(String),
    /// Into an array.
    Index(usize),
}

impl KeyPath {
    pub(super) fn key(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(name.to_owned()));
        Self(steps)
    }

    pub(super) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl fmt::Display for KeyPath {
    /// `destination[0].domain`; a name that TOML would want quoted stands in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(name) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    if is_bare(name) { f.write_str(name)? } else { write!(f, "{name:?}")? }
                }
            }
        }
        Ok(())
    }
}

/// Whether TOML takes the key without quotes.
fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// The known name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Why a key is refused, with the best guess at what was meant. `known` are the keys of its table.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    if name == "password" && known.contains(&"password_file") {
        return "a password does not stand in the configuration, which many may read; write it to \
                a file of its own and name that with `password_file`, or name a systemd credential \
                with `password_credential`"
            .to_owned();
    }
    let quoted = if is_bare(name) { format!("`{name}`") } else { format!("{name:?}") };
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("unknown key {quoted}, did you mean `{near}`?");
    }
    let guess = if known == DESTINATION_FILE || known == TARGET_GROUP {
        None
    } else if known == WEB_CONFIG || WEB_TABLES.iter().any(|(_, keys)| *keys == known) {
        let fitting = WEB_TABLES.iter().find(|(_, keys)| keys.contains(&name));
        fitting.map(|(table, _)| format!(" here; it belongs into {table}"))
    } else {
        elsewhere(name)
    };
    match guess {
        Some(guess) => format!("unknown key {quoted}{guess}"),
        None if known.len() > LISTED => {
            format!("unknown key {quoted}; `mxwatch senders NAME` lists what is known here")
        }
        None => format!("unknown key {quoted}; known here are {}", known.join(", ")),
    }
}

/// More keys than that, which only a sender has, are too many for one line.
const LISTED: usize = 24;

/// Where else in the main file the key would be right.
fn elsewhere(name: &str) -> Option<String> {
    // TOML puts every key after a `[section]` into it, which is easily forgotten.
    if TOP.contains(&name) {
        return Some(" here; it belongs above the first [section]".to_owned());
    }
    if let Some((section, _)) = SECTIONS.iter().find(|(_, keys)| keys.contains(&name)) {
        return Some(format!(" here; it belongs into [{section}]"));
    }
    SECTIONS.iter().find_map(|(section, keys)| {
        let near = nearest(name, keys.iter().copied())?;
        Some(format!(", did you mean `{near}` in [{section}]?"))
    })
}
