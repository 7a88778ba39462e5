//! A failure is switched on, and whoever it concerns hears of it; it is switched off, and they hear
//! that as well. How long that takes is measured and printed, and nothing is asserted of it.

use serde_json::Value;

use crate::scene::{DOMAINS, Failing, Scene};

/// Who hears of which alert in [`Failing::Several`], and words of what they read.
const HEARD: [(&str, &str, &str); 8] = [
    (
        "pager",
        "MxDeliveryDeferred severity=critical scope=delivery domain=aaaa-servfail.test \
         sender=exchange-2010 outcome=defer reason=host_dns_temp mx=mx1.aaaa-servfail.test \
         provider=aaaa-servfail.test",
        "exchange-2010 would keep mail to aaaa-servfail.test in its queue",
    ),
    (
        "pager",
        "MxDeliveryDeferred severity=critical scope=delivery domain=refused.test sender=postfix \
         outcome=defer reason=connect_refused mx=mx1.refused.test provider=refused.test",
        "postfix would keep mail to refused.test in its queue",
    ),
    (
        "pager",
        "MxDeliveryDeferred severity=critical scope=delivery domain=banner-554.test sender=postfix \
         outcome=defer reason=banner_5xx mx=mx1.banner-554.test provider=banner-554.test",
        "postfix would keep mail to banner-554.test in its queue",
    ),
    (
        "pager",
        "MxDeliveryBouncing severity=critical scope=delivery domain=no-such-domain.test \
         sender=exchange-2010 outcome=bounce reason=mx_nxdomain",
        "exchange-2010 would return mail to no-such-domain.test",
    ),
    (
        "pager",
        "MxDeliveryDelayed severity=critical scope=delivery domain=silent-banner.test \
         sender=postfix provider=silent-banner.test",
        "mx1.silent-banner.test over ipv4 fails at banner (timeout).",
    ),
    (
        "tickets",
        "MxSilentBanner severity=warning scope=exchanger mx=mx1.silent-banner.test family=ipv4 \
         provider=silent-banner.test",
        "mx1.silent-banner.test accepts TCP connections over ipv4 and does not send its 220.",
    ),
    (
        "tickets",
        "MxAaaaLookupFailing severity=warning scope=exchanger mx=mx1.aaaa-servfail.test \
         resolver=world provider=aaaa-servfail.test",
        "its AAAA lookup fails through the resolver world (aaaa_servfail_a_ok)",
    ),
    (
        "tickets",
        "MxRefusingUs severity=warning scope=exchanger mx=mx1.banner-554.test family=ipv4 \
         provider=banner-554.test",
        "mx1.banner-554.test refuses ",
    ),
];

#[test]
fn each_failure_is_heard_of_until_it_is_over() {
    let Some(scene) = Scene::start() else { return };
    let begun = scene.switch(Failing::Several);
    for (receiver, alert, words) in HEARD {
        let heard = scene.hears(receiver, "firing", alert, begun);
        let description = heard["annotations"]["description"].as_str().unwrap();
        assert!(description.contains(words), "{alert}: {description}");
        let name = alert.split(' ').next().unwrap();
        let runbook = format!("https://runbooks.example.com/mxwatch/{name}.md");
        assert_eq!(heard["annotations"]["runbook_url"], runbook);
    }
    let (title, text) = scene.event("FIRING MxDeliveryDeferred at aaaa-servfail.test");
    assert!(title.contains(": aaaa-servfail.test. "), "{title}");
    assert!(text.starts_with("aaaa-servfail.test\nexchange-2010 would keep mail to "), "{text}");
    assert!(text.contains("\nWhat to do: https://runbooks.example.com/mxwatch/"), "{text}");
    scene.mailed();
    // Most providers are well, so it is them.
    let pages = ["MxDeliveryBouncing", "MxDeliveryDeferred", "MxDeliveryDelayed"];
    assert!(scene.paged().iter().eq(pages), "{:?}", scene.paged());

    let over = scene.switch(Failing::Nobody);
    for (receiver, alert, _) in HEARD {
        scene.hears(receiver, "resolved", alert, over);
    }
}

#[test]
fn an_agent_that_stops_is_a_page() {
    let Some(scene) = Scene::start() else { return };
    let alert = "MxwatchDown severity=critical scope=agent job=mxwatch";
    // It keeps its port, which another program could take once it has ended.
    let begun = scene.signal("STOP");
    let heard = scene.hears("pager", "firing", alert, begun);
    let instance = scene.agent.address().to_string();
    assert_eq!(heard["labels"]["instance"], instance);
    let (title, _) = scene.event("FIRING MxwatchDown");
    assert!(title.starts_with(&format!("FIRING MxwatchDown: {instance}. ")), "{title}");
    assert!(scene.paged().iter().eq(["MxwatchDown"]), "{:?}", scene.paged());

    let over = scene.signal("CONT");
    scene.hears("pager", "resolved", alert, over);
}

#[test]
fn when_it_is_us_there_is_one_page_and_no_other_until_all_is_over() {
    let Some(scene) = Scene::start() else { return };
    let alert = "MxItIsUs severity=critical scope=vantage";
    let begun = scene.switch(Failing::Everybody);
    let heard = scene.hears("pager", "firing", alert, begun);
    let description = heard["annotations"]["description"].as_str().unwrap();
    assert!(
        description.contains(" providers are out of reach or refuse every address."),
        "{description}"
    );
    // Both senders would keep the mail of every domain.
    scene.until("every domain deferred and silenced", || {
        let deferred = scene.now("MxDeliveryDeferred");
        (deferred.len() == 2 * DOMAINS.len() && deferred.iter().all(silenced)).then_some(())
    });
    scene.until("the vantage in trouble and silenced", || {
        let trouble = scene.now("MxVantageTrouble");
        (!trouble.is_empty() && trouble.iter().all(silenced)).then_some(())
    });

    let over = scene.switch(Failing::Nobody);
    // They go on for a while, and what silences them goes on for longer.
    scene.until("no domain deferred", || {
        let deferred = scene.now("MxDeliveryDeferred");
        assert!(deferred.iter().all(silenced), "{deferred:?}");
        deferred.is_empty().then_some(())
    });
    scene.hears("pager", "resolved", alert, over);
    assert!(scene.paged().iter().eq(["MxItIsUs"]), "{:?}", scene.paged());
}

fn silenced(alert: &Value) -> bool {
    alert["status"]["state"] == "suppressed"
}
