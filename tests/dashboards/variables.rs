//! What the variables of a dashboard stand for once Prometheus was asked, as Grafana finds it.

use std::collections::BTreeMap;

use crate::{
    dashboard::{Dashboard, substitute, text},
    harness::wait_until,
    servers::prometheus::Prometheus,
};

/// What the variables of a dashboard stand for, as Grafana finds it.
pub(crate) fn values(
    dashboard: &Dashboard,
    prometheus: &Prometheus,
    domain: &str,
    mx: &str,
) -> BTreeMap<String, String> {
    let built_in = [("__rate_interval", "10s"), ("__range", "1h")];
    let mut values: BTreeMap<_, _> =
        built_in.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for variable in &dashboard.variables()[1..] {
        let name = text(&variable["name"]);
        let place = format!("{}: ${name}", dashboard.file);
        let query = substitute(text(&variable["definition"]), &values);
        let (query, label) = values_of(&query, text(&variable["regex"]));
        let found = wait_until(&place, || {
            let found = prometheus.query(&query);
            (!found.is_empty()).then_some(found)
        });
        let all = variable["allValue"].as_str().map(str::to_owned);
        let value = match (name, all) {
            ("domain", _) => domain.to_owned(),
            ("mx", _) if variable["multi"] == false => mx.to_owned(),
            (_, Some(all)) => all,
            (_, None) => {
                let each = found.iter().map(|series| text(&series["metric"][label]));
                format!("({})", each.collect::<Vec<_>>().join("|"))
            }
        };
        values.insert(name.to_owned(), value);
    }
    values
}

/// The query behind `label_values(selector, label)` or `query_result(query)`, and the label that
/// gives the values: of the latter that with which the regular expression begins.
fn values_of<'a>(definition: &'a str, regex: &'a str) -> (String, &'a str) {
    let inside = |function: &str| definition.strip_prefix(function)?.strip_suffix(')');
    if let Some(query) = inside("query_result(") {
        let label = regex.trim_start_matches('/').split('=').next().unwrap();
        return (query.to_owned(), label);
    }
    let parts = inside("label_values(").and_then(|inside| inside.rsplit_once(", "));
    let (selector, label) = parts.unwrap_or_else(|| panic!("{definition}"));
    (format!("group by ({label}) ({selector})"), label)
}
