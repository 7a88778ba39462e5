//! What the page of a destination says of its policies.

use std::fmt::Write;

use super::html::Text;
use crate::{explain::policies, facts::Facts};

/// A table, where they were looked at.
pub(super) fn write(out: &mut String, facts: &Facts) {
    let (Some(sts), Some(rpt)) = (&facts.mta_sts, &facts.tls_rpt) else { return };
    let class = |label: &str| match label {
        "absent" => "quiet",
        "valid" => "good",
        _ => "bad",
    };
    let status = |name: &str| {
        let label = match name {
            "MTA-STS" => sts.status.label(),
            "TLS-RPT" => rpt.status.label(),
            _ => return String::new(),
        };
        let (class, words) = (class(label), label.replace('_', " "));
        format!("<span class=\"badge {class}\">{words}</span>")
    };
    out.push_str("<h3>Policies</h3>\n<table>\n<tbody>\n");
    for (name, text) in policies::lines(facts) {
        let (status, text) = (status(name), Text(text));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "<tr><th>{name}<td>{status}<td>{text}");
    }
    out.push_str("</tbody>\n</table>\n");
}
