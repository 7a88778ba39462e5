//! What keeps quiet because something else explains it: every rule of the shipped configuration, in a
//! real Alertmanager.

use std::{fmt, net::SocketAddr, slice};

use serde_json::Value;

use crate::{
    harness::wait_until,
    sample::{firing, labels, over},
    servers::{alertmanager::Alertmanager, webhook::Webhook},
    shipped::{self, ALERTMANAGER},
};

/// What one rule does.
struct Case {
    /// The alerts that explain, each by itself.
    because: &'static [&'static str],
    /// What it silences.
    silenced: &'static [&'static str],
    /// What it must not silence though it is near.
    heard: &'static [&'static str],
}

/// One for each rule, in their order.
const CASES: [Case; 10] = [
    Case {
        because: &["MxItIsUs severity=critical scope=vantage"],
        silenced: &[
            "MxDeliveryDeferred severity=critical scope=delivery domain=a.test sender=postfix reason=connect_timeout provider=p.test",
            "MxDeliveryUnknown severity=warning scope=delivery domain=b.test sender=postfix",
            "MxSilentBanner severity=warning scope=exchanger mx=mx.p.test family=ipv4 provider=p.test",
            "MxMtaStsFailing severity=warning scope=domain domain=c.test",
        ],
        heard: &[
            "MxRelayOpen severity=critical scope=domain domain=a.test mx=mx.p.test",
            "MxRefusingUs severity=warning scope=exchanger instance=one mx=mx.p.test family=ipv4 provider=p.test",
            "MxwatchDown severity=critical scope=agent instance=one",
        ],
    },
    Case {
        because: &["MxItIsUs severity=critical scope=vantage"],
        silenced: &[
            // Of another resolver, for that one silences by itself.
            "MxResolverDown severity=warning scope=resolver resolver=wan instance=one",
            "MxLookupFailing severity=warning scope=resolver name=a.test type=MX resolver=lan",
            "MxResolversDisagree severity=info scope=resolver name=a.test type=MX",
            "MxVantageTrouble severity=warning scope=vantage instance=one cause=no_egress family=ipv4",
            "MxVantageDisagrees severity=warning scope=vantage instance=two",
        ],
        heard: &[
            "MxVantageNameMismatch severity=warning scope=vantage instance=one family=ipv4",
            "MxwatchRoundsLagging severity=warning scope=agent instance=one",
        ],
    },
    Case {
        because: &[
            "MxVantageTrouble severity=warning scope=vantage instance=one cause=no_egress family=ipv6",
        ],
        silenced: &["MxFamilyDown severity=warning scope=exchanger domain=a.test family=ipv6"],
        heard: &["MxFamilyDown severity=warning scope=exchanger domain=a.test family=ipv4"],
    },
    Case {
        because: &[
            "MxVantageTrouble severity=warning scope=vantage instance=one cause=most_failing",
        ],
        silenced: &["MxVantageDisagrees severity=warning scope=vantage instance=one"],
        heard: &[
            "MxVantageDisagrees severity=warning scope=vantage instance=two",
            "MxVantageNameMismatch severity=warning scope=vantage instance=one family=ipv4",
        ],
    },
    Case {
        because: &[
            "MxDeliveryDeferred severity=critical scope=delivery domain=a.test sender=exchange-2010 reason=banner_timeout provider=p.test",
            "MxDeliveryBouncing severity=critical scope=delivery domain=a.test sender=exchange-2010 reason=banner_5xx provider=p.test",
        ],
        silenced: &[
            "MxDeliveryDelayed severity=critical scope=delivery domain=a.test sender=postfix provider=p.test",
            "MxDeliveryIntermittent severity=warning scope=delivery domain=a.test sender=postfix",
            "MxDeliveryUnknown severity=warning scope=delivery domain=a.test sender=qmail",
            "MxLastExchanger severity=warning scope=delivery domain=a.test sender=postfix",
        ],
        heard: &[
            "MxDeliveryDelayed severity=critical scope=delivery domain=b.test sender=postfix provider=p.test",
            "MxRefusingUs severity=warning scope=exchanger mx=mx.p.test family=ipv4 provider=p.test",
        ],
    },
    Case {
        because: &[
            "MxDeliveryDelayed severity=critical scope=delivery domain=a.test sender=postfix provider=p.test",
        ],
        silenced: &[
            "MxDeliveryDelayed severity=warning scope=delivery domain=a.test sender=postfix provider=p.test",
        ],
        heard: &[
            "MxDeliveryDelayed severity=warning scope=delivery domain=a.test sender=qmail provider=p.test",
            "MxDeliveryDelayed severity=warning scope=delivery domain=b.test sender=postfix provider=p.test",
            "MxLastExchanger severity=warning scope=delivery domain=a.test sender=postfix",
        ],
    },
    Case {
        because: &["MxResolverDown severity=warning scope=resolver resolver=lan instance=one"],
        silenced: &[
            "MxLookupFailing severity=warning scope=resolver name=a.test type=MX resolver=lan",
            "MxAaaaLookupFailing severity=warning scope=exchanger mx=mx.p.test resolver=lan provider=p.test",
        ],
        heard: &[
            "MxLookupFailing severity=warning scope=resolver name=a.test type=MX resolver=wan",
            "MxAaaaLookupFailing severity=warning scope=exchanger mx=mx.p.test resolver=wan provider=p.test",
            // One that decides nothing explains no verdict.
            "MxDeliveryDeferred severity=critical scope=delivery domain=a.test sender=postfix reason=mx_timeout",
            "MxDeliveryUnknown severity=warning scope=delivery domain=b.test sender=qmail",
        ],
    },
    Case {
        because: &["MxResolverDown severity=critical scope=resolver resolver=lan"],
        silenced: &[
            "MxDeliveryDeferred severity=critical scope=delivery domain=a.test sender=postfix reason=mx_timeout",
            "MxDeliveryDeferred severity=critical scope=delivery domain=b.test sender=exchange-2010 reason=host_dns_temp",
        ],
        heard: &[
            "MxDeliveryDeferred severity=critical scope=delivery domain=c.test sender=postfix reason=banner_timeout provider=p.test",
            "MxDeliveryBouncing severity=critical scope=delivery domain=d.test sender=postfix reason=mx_nxdomain",
        ],
    },
    Case {
        because: &["MxResolverDown severity=critical scope=resolver resolver=lan"],
        silenced: &[
            "MxDeliveryUnknown severity=warning scope=delivery domain=a.test sender=postfix",
        ],
        heard: &[
            "MxDeliveryDelayed severity=critical scope=delivery domain=a.test sender=postfix provider=p.test",
        ],
    },
    Case {
        because: &["MxwatchDown severity=critical scope=agent instance=one"],
        silenced: &[
            "MxwatchRoundsLagging severity=warning scope=agent instance=one",
            "MxVantageNameMismatch severity=warning scope=vantage instance=one family=ipv4",
        ],
        heard: &[
            "MxVantageNameMismatch severity=warning scope=vantage instance=two family=ipv4",
            "MxwatchReloadFailed severity=warning scope=agent instance=two",
            "MxItIsUs severity=critical scope=vantage",
            "MxwatchAbsent severity=critical scope=agent",
        ],
    },
];

#[test]
fn every_rule_silences_what_it_explains_and_nothing_near_it() {
    let rules = shipped::yaml(ALERTMANAGER)["inhibit_rules"].as_array().unwrap().len();
    assert_eq!(CASES.len(), rules, "one case for each rule");
    let webhook = Webhook::start();
    // Nobody listens there: nothing comes to be a notification here.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let config = shipped::alertmanager(webhook.address(), nobody);
    let Some(alertmanager) = Alertmanager::start(&config) else { return };
    for case in &CASES {
        for because in case.because {
            check(&alertmanager, because, case);
        }
    }
}

fn check(alertmanager: &Alertmanager, because: &str, Case { silenced, heard, .. }: &Case) {
    let source = firing(because);
    let others: Vec<_> = silenced.iter().chain(*heard).map(|text| firing(text)).collect();
    alertmanager.post(&others);
    let states = || States(alertmanager.alerts());
    assert!(states().heard(silenced) && states().heard(heard), "without {because}: {}", states());

    alertmanager.post(slice::from_ref(&source));
    wait_until(&format!("silence because of {because}"), || {
        states().silenced(silenced).then_some(())
    });
    assert!(states().heard(heard), "{because} silences too much: {}", states());
    assert!(states().heard(&[because]), "{because} silences itself");

    alertmanager.post(&[over(source)]);
    wait_until(&format!("no silence after {because}"), || states().heard(silenced).then_some(()));
    alertmanager.post(&others.into_iter().map(over).collect::<Vec<_>>());
    wait_until("nothing is left", || states().0.is_empty().then_some(()));
}

/// The alerts of a moment.
struct States(Vec<Value>);

impl fmt::Display for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|alert| writeln!(f, "{} {}", alert["labels"], alert["status"]))
    }
}

impl States {
    fn silenced(&self, alerts: &[&str]) -> bool {
        alerts.iter().all(|alert| self.inhibitors(alert) > 0)
    }

    fn heard(&self, alerts: &[&str]) -> bool {
        alerts.iter().all(|alert| self.inhibitors(alert) == 0)
    }

    /// How many alerts explain this one.
    fn inhibitors(&self, alert: &str) -> usize {
        let wanted = labels(alert);
        let found = self.0.iter().find(|found| found["labels"] == wanted);
        let found = found.unwrap_or_else(|| panic!("{alert} is not there: {self}"));
        found["status"]["inhibitedBy"].as_array().unwrap().len()
    }
}
