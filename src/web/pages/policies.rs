//! What the page of a destination says of its policies.

use std::fmt::Write;

use super::html::Text;
use crate::{explain::policies, facts::Facts};

/// A table, where they were looked at.
pub(super) fn write(out: &mut String, facts: &Facts) {
    let (Some(sts), Some(rpt)) = (&facts.mta_sts, &facts.tls_rpt) else { return };
    let badge = |label: &str| {
        let class = match label {
            "absent" => "quiet",
            "valid" => "good",
            _ => "bad",
        };
        format!("<span class=\"badge {class}\">{}</span>", label.replace('_', " "))
    };
    let of_sts = policies::mta_sts(facts, sts);
    let mut rows = vec![("MTA-STS", badge(sts.status.label()), of_sts)];
    rows.push(("TLS-RPT", badge(rpt.status.label()), vec![policies::tls_rpt(rpt)]));
    out.push_str("<h3>Policies</h3>\n<table>\n<tbody>\n");
    for (name, badge, lines) in rows {
        let lines: Vec<_> = lines.into_iter().map(|line| Text(line).to_string()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "<tr><th>{name}<td>{badge}<td>{}", lines.join("<br>"));
    }
    out.push_str("</tbody>\n</table>\n");
}
