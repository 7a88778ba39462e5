//! What a notification says, rendered with `amtool`.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    sample::firing,
    servers::alertmanager::amtool,
    shipped::{TEMPLATES, path},
};

/// A template for a notification about these alerts. `None` where amtool is missing.
fn rendered(template: &str, status: &str, alerts: &[&str]) -> Option<String> {
    let mut alerts: Vec<Value> = alerts.iter().map(|text| firing(text)).collect();
    for (place, alert) in alerts.iter_mut().enumerate() {
        alert["status"] = status.into();
        // The last began first.
        alert["startsAt"] = format!("2026-11-21T14:{:02}:00+02:00", 59 - place).into();
        if let Some(finding) = alert["labels"]["finding"].as_str() {
            alert["annotations"]["description"] = format!("It is {finding}.").into();
        }
    }
    let mut common = alerts[0]["labels"].as_object().unwrap().clone();
    common.retain(|name, value| alerts.iter().all(|alert| alert["labels"][name] == *value));
    let data = json!({
        "status": status,
        "alerts": alerts,
        "commonLabels": common,
        "externalURL": "https://alertmanager.example.com",
    });
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("data.json");
    fs::write(&file, data.to_string()).unwrap();
    let (passed, said) = amtool(&[
        "template",
        "render",
        &format!("--template.glob={}", path(TEMPLATES).display()),
        &format!("--template.text={{{{ template \"mxwatch.{template}\" . }}}}"),
        &format!("--template.data={}", file.display()),
    ])?;
    assert!(passed, "{said}");
    // It ends what it renders with a line break of its own.
    Some(said.strip_suffix('\n').unwrap_or(&said).to_owned())
}

#[test]
fn a_title_says_what_and_about_whom() {
    let firing: [(&[&str], &str); 7] = [
        (
            &["MxDeliveryDeferred domain=a.test sender=postfix provider=p.test"],
            "FIRING MxDeliveryDeferred at p.test: a.test. Something is wrong.",
        ),
        (
            &[
                "MxDeliveryDeferred domain=a.test sender=exchange-2010 provider=p.test",
                "MxDeliveryDeferred domain=a.test sender=postfix provider=p.test",
            ],
            "FIRING MxDeliveryDeferred at p.test: a.test. Something is wrong.",
        ),
        (
            &[
                "MxDeliveryUnknown domain=a.test sender=postfix",
                "MxDeliveryUnknown domain=b.test sender=exchange-2010",
                "MxDeliveryUnknown domain=b.test sender=postfix",
            ],
            "FIRING MxDeliveryUnknown: 2 domains. Something is wrong.",
        ),
        (
            &[
                "MxSilentBanner family=ipv4 mx=mx1.p.test provider=p.test",
                "MxSilentBanner family=ipv6 mx=mx1.p.test provider=p.test",
            ],
            "FIRING MxSilentBanner at p.test: mx1.p.test over ipv4 and 1 more. Something is wrong.",
        ),
        (
            &["MxLookupFailing name=a.test resolver=lan type=MX"],
            "FIRING MxLookupFailing: a.test. Something is wrong.",
        ),
        (&["MxwatchDown instance=one"], "FIRING MxwatchDown: one. Something is wrong."),
        (&["MxItIsUs"], "FIRING MxItIsUs. Something is wrong."),
    ];
    for (alerts, title) in firing {
        let Some(said) = rendered("title", "firing", alerts) else { return };
        assert_eq!(said, title);
    }
    let over = rendered("title", "resolved", &["MxwatchDown instance=one"]);
    assert_eq!(over.as_deref(), Some("RESOLVED MxwatchDown: one. Something is wrong."));
}

#[test]
fn the_text_names_the_first_ten_the_cause_and_what_to_do() {
    let alerts: Vec<_> = (10..22).map(|n| format!("MxNullMx domain=d{n}.test")).collect();
    let alerts: Vec<_> = alerts.iter().map(String::as_str).collect();
    let rest = "\
What to do: https://runbooks.example.com/mxwatch/page.md
All alerts: https://alertmanager.example.com";
    let Some(said) = rendered("text", "firing", &alerts) else { return };
    let named: Vec<_> = (10..20).map(|n| format!("d{n}.test")).collect();
    let named = named.join(", ");
    assert_eq!(
        said,
        format!("{named} and 2 more\nThe cause in words.\nSince 2026-11-21 12:48 UTC\n\n{rest}")
    );
    let said = rendered("text", "resolved", &alerts[..2]).unwrap();
    assert_eq!(said, format!("No longer: d10.test, d11.test\n\n{rest}"));
    let said = rendered("text", "firing", &["MxItIsUs"]).unwrap();
    assert_eq!(
        said,
        format!("MxItIsUs\nThe cause in words.\nSince 2026-11-21 12:59 UTC\n\n{rest}")
    );
}

#[test]
fn the_text_names_each_sender_once_and_the_first_cause() {
    let alerts = [
        "MxDeliveryDeferred domain=a.test finding=silence scope=delivery sender=exchange-2010",
        "MxDeliveryDeferred domain=a.test finding=silence scope=delivery sender=exchange-2013",
        "MxDeliveryDeferred domain=b.test finding=noise scope=delivery sender=exchange-2010",
        "MxDeliveryDeferred domain=b.test finding=noise scope=delivery sender=exchange",
    ];
    let Some(said) = rendered("text", "firing", &alerts) else { return };
    let wanted = "a.test, b.test\nIt is silence.\n\
                  Senders: exchange-2010, exchange-2013, exchange\nSince 2026-11-21 12:56 UTC\n\n";
    assert!(said.starts_with(wanted), "{said}");
}

#[test]
fn all_that_is_wrong_with_a_vantage_is_told() {
    let alerts = ["ipv4", "ipv4", "ipv6"]
        .map(|finding| format!("MxVantageTrouble finding={finding} instance=one scope=vantage"));
    let Some(said) = rendered("text", "firing", &alerts.each_ref().map(String::as_str)) else {
        return;
    };
    let wanted = "one\nIt is ipv4.\nIt is ipv6.\nSince 2026-11-21 12:57 UTC\n\n";
    assert!(said.starts_with(wanted), "{said}");
}
