//! Dashboards against Grafana's own types: what Grafana would not know is found here, as it has no word of complaint
//! for an option that it does not read. What the dashboards show is proved elsewhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

fn document(file: &Path) -> Value {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Grafana's types of a dashboard, or of one type of panel; tests/reference/grafana/README.md says whence.
struct Types(Value);

impl Types {
    /// `None` where there is no such type of panel, or it is not among those generated.
    fn of(name: &str) -> Option<Self> {
        let file = path("tests/reference/grafana").join(format!("{name}.json"));
        file.exists().then(|| Self(document(&file)))
    }

    fn defines(&self, kind: &str) -> bool {
        self.0["definitions"].get(kind).is_some()
    }

    /// The same types where one of them may be written in part: Grafana has defaults for the rest of it.
    fn partly(&self, kind: &str) -> Self {
        let mut types = self.0.clone();
        if let Some(definition) = types["definitions"].get_mut(kind).and_then(Value::as_object_mut)
        {
            definition.remove("required");
        }
        Self(types)
    }

    /// What is wrong with `value` as one of these types, each with its place.
    fn complaints(&self, kind: &str, value: &Value, place: &str) -> Vec<String> {
        let mut schema = self.0.clone();
        schema["$ref"] = json!(format!("#/definitions/{kind}"));
        let validator = Validator::new(&schema).expect("a schema that can be compiled");
        let errors = validator.iter_errors(value);
        errors.map(|error| format!("{place}{}: {error}", error.instance_path())).collect()
    }
}

/// What is wrong with a dashboard. Each panel is held against the types of what it says it is, so that an error names
/// its cause rather than everything the panel might have been.
fn complaints(dashboard: &Value) -> Vec<String> {
    let types = Types::of("dashboard").expect("the types of dashboards");
    // The value of a variable need not be saved.
    let mut found =
        types.partly("VariableOption").complaints("Dashboard", &of_any_source(dashboard), "");
    for panel in panels(dashboard) {
        found.extend(panel_complaints(&types, panel));
    }
    found
}

fn panel_complaints(types: &Types, panel: &Value) -> Vec<String> {
    let kind = panel["type"].as_str().unwrap_or_default();
    let place = format!("panel {} ({kind})", panel["title"]);
    if kind == "row" {
        let mut row = panel.clone();
        row["panels"] = json!([]);
        let mut found = types.complaints("RowPanel", &row, &place);
        found.extend(panels(panel).iter().flat_map(|within| panel_complaints(types, within)));
        return found;
    }
    // The type of a panel's links is that of a dashboard's, of which they have the title and the URL only.
    let mut found = types.partly("DashboardLink").complaints("Panel", panel, &place);
    let Some(own) = Types::of(kind) else {
        found.push(format!("{place}: no types of such a panel"));
        return found;
    };
    found.extend(own.partly("Options").partly("VizLegendOptions").complaints(
        "Options",
        &options_of(panel),
        &format!("{place}/options"),
    ));
    for (custom, at) in custom_of(panel) {
        let place = format!("{place}/fieldConfig/{at}/custom");
        if own.defines("FieldConfig") {
            found.extend(own.partly("FieldConfig").complaints("FieldConfig", &custom, &place));
        } else if custom.as_object().is_some_and(|custom| !custom.is_empty()) {
            found
                .push(format!("{place}: such a panel has nothing of its own in a field: {custom}"));
        }
    }
    found
}

/// The field configuration that is of the type of panel only: of the defaults, and of each override (`custom.width`).
fn custom_of(panel: &Value) -> Vec<(Value, String)> {
    let config = &panel["fieldConfig"];
    let mut found: Vec<(Value, String)> = Vec::new();
    if let Some(custom) = config["defaults"].get("custom") {
        found.push((custom.clone(), "defaults".to_owned()));
    }
    for (index, rule) in config["overrides"].as_array().into_iter().flatten().enumerate() {
        let mut custom = Map::new();
        for property in rule["properties"].as_array().into_iter().flatten() {
            let id = property["id"].as_str().and_then(|id| id.strip_prefix("custom."));
            custom.extend(id.map(|id| (id.to_owned(), property["value"].clone())));
        }
        found.push((Value::Object(custom), format!("overrides/{index}")));
    }
    found
}

fn panels(of: &Value) -> &[Value] {
    of["panels"].as_array().map_or(&[], Vec::as_slice)
}

/// A panel may leave its options out, but none of the types is null.
fn options_of(panel: &Value) -> Value {
    panel.get("options").cloned().unwrap_or_else(|| json!({}))
}

/// The dashboard without its panels, and without what Prometheus as a data source adds to annotations and variables:
/// the types are those of a dashboard of any source.
fn of_any_source(dashboard: &Value) -> Value {
    const ANNOTATION: [&str; 7] =
        ["expr", "step", "tagKeys", "target", "textFormat", "titleFormat", "useValueForTime"];
    let mut rest = dashboard.clone();
    remove(&mut rest, &["panels"]);
    for annotation in list(&mut rest, "/annotations/list") {
        remove(annotation, &ANNOTATION);
    }
    for variable in list(&mut rest, "/templating/list") {
        remove(variable, &["definition"]);
    }
    rest
}

fn list<'a>(value: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    value.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

fn remove(value: &mut Value, keys: &[&str]) {
    for key in keys {
        value.as_object_mut().and_then(|object| object.remove(*key));
    }
}

/// A dashboard of a row and a panel, as Grafana would save it.
fn sample() -> Value {
    json!({
        "uid": "sample",
        "title": "Sample",
        "schemaVersion": 39,
        "graphTooltip": 1,
        "panels": [
            { "id": 1, "type": "row", "title": "Delivery", "collapsed": false, "panels": [],
              "gridPos": { "x": 0, "y": 0, "w": 24, "h": 1 } },
            { "id": 2, "type": "stat", "title": "Destinations",
              "gridPos": { "x": 0, "y": 1, "w": 6, "h": 4 },
              "datasource": { "type": "prometheus", "uid": "${datasource}" },
              "fieldConfig": { "defaults": { "unit": "short" }, "overrides": [] },
              "options": { "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
                           "percentChangeColorMode": "standard", "showPercentChange": false, "textMode": "auto",
                           "wideLayout": true, "reduceOptions": { "calcs": ["lastNotNull"] } },
              "targets": [{ "refId": "A", "expr": "mxwatch_destinations" }] },
            { "id": 3, "type": "timeseries", "title": "Lag",
              "gridPos": { "x": 6, "y": 1, "w": 18, "h": 4 },
              "fieldConfig": { "defaults": { "custom": { "drawStyle": "line" } },
                               "overrides": [{ "matcher": { "id": "byName", "options": "p99" },
                                               "properties": [{ "id": "custom.lineWidth", "value": 2 }] }] },
              "options": { "legend": { "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true },
                           "tooltip": { "mode": "multi", "sort": "desc" } } },
        ],
    })
}

#[test]
fn every_dashboard_is_what_grafana_knows() {
    let dashboards = fs::read_dir(path("dashboards")).expect("the directory of dashboards");
    let files = dashboards.map(|entry| entry.expect("an entry").path());
    let mut found = Vec::new();
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "json")) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(
            complaints(&document(&file))
                .into_iter()
                .map(|complaint| format!("{name}: {complaint}")),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_grafana_does_not_know_is_found() {
    assert_eq!(complaints(&sample()), [""; 0]);
    let broken: [(&str, Value, &str); 8] = [
        ("/graphTooltip", json!(7), "/graphTooltip: "),
        ("/panels/0/collapsed", json!("no"), "panel \"Delivery\" (row)/collapsed: "),
        ("/panels/1/options/colour", json!("value"), "panel \"Destinations\" (stat)/options: "),
        (
            "/panels/1/options/graphMode",
            json!("bars"),
            "panel \"Destinations\" (stat)/options/graphMode: ",
        ),
        (
            "/panels/1/fieldConfig/defaults/custom",
            json!({ "width": 1 }),
            "stat)/fieldConfig/defaults/custom: ",
        ),
        (
            "/panels/2/fieldConfig/defaults/custom/drawStyle",
            json!("dots"),
            "defaults/custom/drawStyle: ",
        ),
        (
            "/panels/2/fieldConfig/overrides/0/properties/0/id",
            json!("custom.width"),
            "overrides/0/custom: ",
        ),
        ("/panels/2/type", json!("graph"), "panel \"Lag\" (graph): no types of such a panel"),
    ];
    for (place, value, expected) in broken {
        let (parent, key) = place.rsplit_once('/').expect("a pointer");
        let mut dashboard = sample();
        dashboard.pointer_mut(parent).expect("a place of the sample")[key] = value;
        let found = complaints(&dashboard);
        assert!(found.len() == 1 && found[0].contains(expected), "{place}: {found:#?}");
    }
}
