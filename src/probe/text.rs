//! TXT records at names below a mail domain.

use hickory_resolver::proto::rr::Name;
use tokio::time::Instant;

use super::dns::View;
use crate::{
    facts::{Lookup, RecordType},
    name::Domain,
};

/// Asks for the TXT records of `labels` below the domain, the last of them next to it. `None` where
/// there can be no such name, since it would be too long.
pub(super) async fn look_up(
    labels: &[&str],
    domain: &Domain,
    view: &View,
    deadline: Option<Instant>,
) -> Option<Lookup> {
    let below = |name: Name, label: &&str| name.prepend_label(label.as_bytes());
    let name = labels.iter().rev().try_fold(domain.to_dns(), below).ok()?;
    Some(view.lookup(&name.into(), RecordType::Txt, deadline).await)
}
