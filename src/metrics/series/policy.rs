//! Families about the policies of mail domains: MTA-STS and TLS-RPT.

use crate::metrics::{
    names,
    sink::Gone,
    text::{Family, Text},
    view::View,
};

/// Of every domain whose policies were looked at.
pub(in crate::metrics) fn write(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let looked = || view.domains.iter().filter_map(|d| Some((d, d.report.policies.as_deref()?)));
    let mut family = Family::new(out, &names::POLICY_INFO);
    for (domain, policies) in looked() {
        let labels = [
            ("domain", &*domain.name),
            ("mta_sts", policies.mta_sts.status.label()),
            ("mode", policies.mta_sts.mode.label()),
            ("tls_rpt", policies.tls_rpt.status.label()),
        ];
        family.sample("", &labels, 1)?;
    }
    let mut family = Family::new(out, &names::MTA_STS_EXPIRY);
    for (domain, policies) in looked() {
        if let Some(policy) = &policies.mta_sts.policy {
            family.sample("", &[("domain", &*domain.name)], policy.expires_at)?;
        }
    }
    Ok(())
}
