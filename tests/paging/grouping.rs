//! One notification for one cause, in a real Alertmanager.

use std::{collections::BTreeSet, net::SocketAddr};

use serde_json::{Value, json};

use crate::{
    harness::wait_until,
    sample::{firing, over},
    servers::{
        alertmanager::Alertmanager,
        webhook::{Post, Webhook},
    },
    shipped,
};

fn start(webhook: &Webhook) -> Option<Alertmanager> {
    // No ticket leaves: the discard port, where nobody listens.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    Alertmanager::start(&shipped::alertmanager(webhook.address(), nobody))
}

#[test]
fn one_dead_provider_is_one_page() {
    const DOMAINS: usize = 300;
    let webhook = Webhook::start();
    let Some(alertmanager) = start(&webhook) else { return };
    let alerts: Vec<Value> = (0..DOMAINS)
        .flat_map(|n| {
            ["exchange-2010", "postfix"].map(|sender| {
                firing(&format!(
                    "MxDeliveryDeferred severity=critical scope=delivery domain=d{n:03}.test \
                     sender={sender} outcome=defer reason=connect_refused mx=mx{}.provider.test \
                     provider=provider.test",
                    n % 3
                ))
            })
        })
        .collect();
    alertmanager.post(&alerts);
    let all = json!(2 * DOMAINS);
    let page = arrived(&webhook, "/pager", "a page of all", |body| {
        body["status"] == "firing" && json!(body["alerts"].as_array().unwrap().len()) == all
    });
    assert_eq!(page.body["commonLabels"]["provider"], "provider.test");
    let event = arrived(&webhook, "/events", "an event of all", |body| {
        summary(body).contains(&format!("{DOMAINS} domains"))
    });
    assert_eq!(event.body["event_action"], "trigger");
    assert_eq!(
        summary(&event.body),
        "FIRING MxDeliveryDeferred at provider.test: 300 domains. Something is wrong."
    );
    let text = event.body["payload"]["custom_details"]["text"].as_str().unwrap();
    let first: Vec<_> = (0..10).map(|n| format!("d{n:03}.test")).collect();
    assert!(text.starts_with(&format!("{} and 290 more\n", first.join(", "))), "{text}");

    alertmanager.post(&alerts.into_iter().map(over).collect::<Vec<_>>());
    arrived(&webhook, "/pager", "the end of all", |body| {
        body["status"] == "resolved" && json!(body["alerts"].as_array().unwrap().len()) == all
    });
    let end = arrived(&webhook, "/events", "the end", |body| body["event_action"] == "resolve");
    assert_eq!(
        summary(&end.body),
        "RESOLVED MxDeliveryDeferred at provider.test: 300 domains. Something is wrong."
    );
    // However many notifications there were, they are about one thing.
    let posts = webhook.posts();
    let keys: BTreeSet<_> =
        posts.iter().filter_map(|post| post.body["groupKey"].as_str()).collect();
    let incidents: BTreeSet<_> =
        posts.iter().filter_map(|post| post.body["dedup_key"].as_str()).collect();
    assert_eq!((keys.len(), incidents.len()), (1, 1), "{keys:?} {incidents:?}");
}

#[test]
fn what_has_one_cause_stands_in_one_group() {
    let webhook = Webhook::start();
    let Some(alertmanager) = start(&webhook) else { return };
    let groups: [(&str, &[&str], Value); 10] = [
        (
            "pager",
            &[
                "MxDeliveryDeferred severity=critical scope=delivery domain=a.test sender=postfix reason=banner_timeout provider=p.test",
                "MxDeliveryDeferred severity=critical scope=delivery domain=b.test sender=exchange-2010 reason=banner_timeout provider=p.test",
            ],
            json!({"alertname": "MxDeliveryDeferred", "reason": "banner_timeout", "provider": "p.test"}),
        ),
        (
            "pager",
            &[
                "MxDeliveryDeferred severity=critical scope=delivery domain=c.test sender=postfix reason=connect_refused provider=p.test",
            ],
            json!({"alertname": "MxDeliveryDeferred", "reason": "connect_refused", "provider": "p.test"}),
        ),
        (
            "pager",
            &[
                "MxDeliveryDeferred severity=critical scope=delivery domain=d.test sender=postfix reason=banner_timeout provider=q.test",
            ],
            json!({"alertname": "MxDeliveryDeferred", "reason": "banner_timeout", "provider": "q.test"}),
        ),
        (
            "tickets",
            &[
                "MxSilentBanner severity=warning scope=exchanger mx=mx1.p.test family=ipv4 provider=p.test",
                "MxSilentBanner severity=warning scope=exchanger mx=mx2.p.test family=ipv6 provider=p.test",
            ],
            json!({"alertname": "MxSilentBanner", "provider": "p.test"}),
        ),
        (
            "tickets",
            &[
                "MxNullMx severity=warning scope=domain domain=a.test",
                "MxNullMx severity=warning scope=domain domain=b.test",
            ],
            json!({"alertname": "MxNullMx"}),
        ),
        (
            "tickets",
            &[
                "MxLookupFailing severity=warning scope=resolver name=a.test type=MX resolver=lan",
                "MxLookupFailing severity=warning scope=resolver name=b.test type=A resolver=lan",
            ],
            json!({"alertname": "MxLookupFailing", "resolver": "lan"}),
        ),
        (
            "tickets",
            &["MxLookupFailing severity=warning scope=resolver name=a.test type=MX resolver=wan"],
            json!({"alertname": "MxLookupFailing", "resolver": "wan"}),
        ),
        (
            "tickets",
            &[
                "MxVantageTrouble severity=warning scope=vantage instance=one cause=route_lost family=ipv4",
                "MxVantageTrouble severity=warning scope=vantage instance=one cause=route_lost family=ipv6",
            ],
            json!({"alertname": "MxVantageTrouble", "instance": "one"}),
        ),
        (
            "pager",
            &["MxwatchDown severity=critical scope=agent instance=two"],
            json!({"alertname": "MxwatchDown", "instance": "two"}),
        ),
        (
            "shown",
            &[
                "MxResolversDisagree severity=info scope=resolver name=a.test type=MX",
                "MxResolversDisagree severity=info scope=resolver name=b.test type=MX",
            ],
            json!({"alertname": "MxResolversDisagree"}),
        ),
    ];
    let alerts: Vec<_> = groups.iter().flat_map(|(_, alerts, _)| *alerts).collect();
    alertmanager.post(&alerts.iter().map(|text| firing(text)).collect::<Vec<_>>());
    let found = wait_until("all groups", || {
        let found = alertmanager.groups();
        let count = found.iter().map(|group| group["alerts"].as_array().unwrap().len());
        (count.sum::<usize>() == alerts.len()).then_some(found)
    });
    assert_eq!(found.len(), groups.len(), "{found:#?}");
    for (receiver, alerts, labels) in groups {
        let same = |group: &&Value| {
            group["labels"] == labels
                && group["receiver"]["name"] == receiver
                && group["alerts"].as_array().unwrap().len() == alerts.len()
        };
        assert!(found.iter().any(|group| same(&group)), "{receiver} {labels}: {found:#?}");
    }
}

/// What arrived at a path and is as wanted.
fn arrived(webhook: &Webhook, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Post {
    wait_until(what, || {
        webhook.posts().into_iter().find(|post| post.path == path && wanted(&post.body))
    })
}

fn summary(event: &Value) -> &str {
    event["payload"]["summary"].as_str().unwrap_or_default()
}
