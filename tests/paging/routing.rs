//! Who hears of what: the configuration as it is shipped, asked with `amtool`.

use serde_json::Value;

use crate::{
    servers::alertmanager::amtool,
    shipped::{ALERTMANAGER, RULES, path, text, yaml},
};

#[test]
fn it_loads_as_shipped() {
    let file = path(ALERTMANAGER).display().to_string();
    let Some((passed, said)) = amtool(&["check-config", &file]) else { return };
    assert!(passed, "{said}");
    assert!(said.contains("1 templates"), "{said}");
}

#[test]
fn severity_decides_who_hears_of_it() {
    for scope in ["delivery", "exchanger", "domain", "resolver", "vantage", "agent", "unheard-of"] {
        for (severity, receiver) in
            [("critical", "pager"), ("warning", "tickets"), ("info", "shown"), ("page", "tickets")]
        {
            let labels = [format!("severity={severity}"), format!("scope={scope}")];
            let Some(heard) = receiver_of(&labels) else { return };
            assert_eq!(heard, receiver, "{labels:?}");
        }
    }
}

#[test]
fn every_alert_has_a_severity_and_a_scope_that_are_routed() {
    let groups = yaml(RULES[1]);
    let rules = groups["groups"].as_array().unwrap().iter();
    let rules: Vec<&Value> = rules.flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 30, "{}", rules.len());
    let config = text(ALERTMANAGER);
    for rule in rules {
        let (severity, scope) =
            (rule["labels"]["severity"].as_str(), rule["labels"]["scope"].as_str());
        let (severity, scope) = (severity.unwrap(), scope.unwrap());
        assert!(config.contains(&format!("matchers: [severity = {severity}]")), "{rule}");
        let own = config.contains(&format!("matchers: [scope = {scope}]"));
        assert!(own || ["vantage", "agent"].contains(&scope), "{rule}");
    }
}

/// The receiver of an alert with these labels.
fn receiver_of(labels: &[String]) -> Option<String> {
    let config = format!("--config.file={}", path(ALERTMANAGER).display());
    let mut arguments = vec!["config", "routes", "test", &config];
    arguments.extend(labels.iter().map(String::as_str));
    let (passed, said) = amtool(&arguments)?;
    assert!(passed, "{labels:?}: {said}");
    // It warns of flags after that.
    said.lines().next().map(str::to_owned)
}
