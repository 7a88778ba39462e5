//! The shipped files, and the changes with which the tests run them.

use std::{fs, net::SocketAddr, path::PathBuf};

use serde_json::Value;

use crate::compressed::compressed;

/// The Alertmanager configuration.
pub(crate) const ALERTMANAGER: &str = "config/alertmanager/alertmanager.yml";
/// Its templates.
pub(crate) const TEMPLATES: &str = "config/alertmanager/templates/*.tmpl";

/// The rules of Prometheus.
pub(crate) const RULES: [&str; 2] =
    ["config/prometheus/rules/recording.yml", "config/prometheus/rules/alerts.yml"];

/// The full path of a file of the repository.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Its text.
pub(crate) fn text(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What it says.
pub(crate) fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The Alertmanager configuration in compressed time, with addresses on loopback in the place of
/// those that are to be replaced: pages go to `/events` of the webhook, mail to the smart host, and
/// both receivers tell the webhook of all they hear, at a path that is their name.
pub(crate) fn alertmanager(webhook: SocketAddr, smart_host: SocketAddr) -> String {
    let mut config = compressed(&text(ALERTMANAGER));
    let also = |receiver: &str| {
        let named = format!("  - name: {receiver}\n");
        let hook = format!("    webhook_configs: [{{ url: 'http://{webhook}/{receiver}' }}]\n");
        (named.clone(), named + &hook)
    };
    for (shipped, instead) in [
        ("relay.example.com:587".to_owned(), format!("{smart_host}\n  smtp_require_tls: false")),
        ("templates/*.tmpl".to_owned(), path(TEMPLATES).display().to_string()),
        ("https://pager.example.com/v2/enqueue".to_owned(), format!("http://{webhook}/events")),
        also("pager"),
        also("tickets"),
    ] {
        assert_eq!(config.matches(&shipped).count(), 1, "{shipped}");
        config = config.replace(&shipped, &instead);
    }
    config
}
