//! Families about the policies of mail domains: MTA-STS and TLS-RPT.

use crate::metrics::{
    labels::{ALONE, Closed},
    names,
    sink::Gone,
    text::{Family, Text},
    view::View,
};

/// Of every domain whose policies were looked at.
pub(in crate::metrics) fn write(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let looked = || view.domains.iter().filter_map(|d| Some((d, d.report.policies.as_deref()?)));
    let mut family = Family::by(out, &names::POLICY_INFO, "domain");
    let mut found = Closed::new(["mta_sts", "mode", "tls_rpt"]);
    for (domain, policies) in looked() {
        let (mta_sts, tls_rpt) = (&policies.mta_sts, &policies.tls_rpt);
        let labels = [mta_sts.status.label(), mta_sts.mode.label(), tls_rpt.status.label()];
        family.row(view.text(domain.text), found.tail(labels), 1)?;
    }
    let mut family = Family::by(out, &names::MTA_STS_EXPIRY, "domain");
    for (domain, policies) in looked() {
        if let Some(policy) = &policies.mta_sts.policy {
            family.row(view.text(domain.text), ALONE, policy.expires_at)?;
        }
    }
    Ok(())
}
