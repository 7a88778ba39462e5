//! Which resolvers are asked: those of the system as resolv.conf names them now, and of a
//! destination those it has chosen.

use mxwatch::world::{World, smtp_script::Script};
use serde_json::Value;

use crate::{
    config::Config,
    harness::{Agent, wait_until},
};

/// What the API says of a domain, once it says anything.
fn facts(agent: &Agent, domain: &str) -> Option<Value> {
    let reply = agent.get(&format!("/api/v1/domains/{domain}"));
    let json: Value = serde_json::from_str(&reply.body).unwrap();
    Some(json["facts"].clone()).filter(Value::is_object)
}

/// A configuration whose only resolver is that of the system, whose file is beside it.
fn system(more: &str) -> String {
    format!(
        "helo_name = \"probe.example.org\"\ndomains = [\"a.test\"]\n[probe]\ninterval = \"1s\"\n\
         [dns]\nattempts = 1\n[[resolver]]\nkind = \"system\"\nresolv_conf = \"resolv.conf\"\n{more}\n"
    )
}

fn start(config: &str, resolv_conf: &str) -> Agent {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mxwatch.toml"), config).unwrap();
    std::fs::write(folder.path().join("resolv.conf"), resolv_conf).unwrap();
    Agent::start_in(folder, &[])
}

/// The first server asked for the MX of a.test. Nobody listens there, which is an exchange too.
fn asked(agent: &Agent) -> Option<String> {
    let facts = facts(agent, "a.test")?;
    facts["mx"][0]["exchanges"][0]["server"].as_str().map(str::to_owned)
}

#[test]
fn a_change_of_resolv_conf_is_followed_without_a_reload() {
    let agent = start(&system(""), "nameserver 127.44.53.1\n");
    wait_until("the first server", || asked(&agent).filter(|at| at == "127.44.53.1:53"));
    agent.write("resolv.conf", "nameserver 127.44.53.2\n");
    wait_until("the other server", || asked(&agent).filter(|at| at == "127.44.53.2:53"));
    agent.wait_for_log(&["resolv.conf names other servers"]);
    // The configuration itself was not read again.
    assert_eq!(agent.log_with(&["configuration reloaded"]), [] as [String; 0]);
}

#[test]
fn each_server_of_the_system_can_be_shown_apart() {
    let two = "nameserver 127.44.53.3\nnameserver 127.44.53.4\n";
    let agent = start(&system("each_server = true"), two);
    let success = |resolver: &str| {
        let labels = [("name", "a.test"), ("type", "MX"), ("resolver", resolver)];
        agent.scrape().value("mx_dns_lookup_success", &labels)
    };
    wait_until("both views", || {
        let both = ["system-127.44.53.3", "system-127.44.53.4"].map(success);
        (both == [Some(0.0); 2]).then_some(())
    });
    agent.write("resolv.conf", "nameserver 127.44.53.4\n");
    agent.wait_for_log(&["resolv.conf names other servers"]);
    assert!(!agent.scrape().mentions("system-127.44.53.3"), "its series went along");
    assert_eq!(success("system-127.44.53.4"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_is_shown_as_the_resolvers_it_has_chosen_see_it() {
    let zone = |host: u8| {
        format!(
            "$ORIGIN test.\na MX 10 mx\nb MX 10 mx\nc MX 10 mx\nmx A 127.90.70.{host}\n\
             relay A 127.90.70.{host}"
        )
    };
    let world = |host| {
        let builder = World::builder().zone(&zone(host)).unwrap();
        builder.smtp([127, 90, 70, host], Script::healthy("mx.test"))
    };
    let inside = world(1).start().await.unwrap();
    let outside = world(2).smtp_port(inside.smtp_port()).start().await.unwrap();
    let config = Config::of(&inside).domains(&["c.test"]).section(&format!(
        "[[resolver]]\nname = \"outside\"\nservers = [\"{}\"]\n\
         [[destination]]\ndomain = \"a.test\"\nresolvers = [\"world\"]\n\
         [[destination]]\ndomain = \"b.test\"\nresolvers = [\"outside\", \"world\"]\n\
         [[destination]]\nsmarthost = \"relay.test:{}\"\nresolvers = [\"outside\"]",
        outside.dns_addr(),
        inside.smtp_port(),
    ));
    let agent = Agent::start(&config.text());
    // The exchanger that all share is asked for through one resolver more when it turns out that
    // one more destination goes there.
    agent.scrape_until("all verdicts", |scrape| {
        scrape.matching("mx_delivery_deliverable", &[("sender", "postfix")]).len() == 6
    });
    for (domain, views) in [
        ("a.test", &["world"][..]),
        ("b.test", &["outside", "world"]),
        ("c.test", &["world", "outside"]),
    ] {
        let facts = facts(&agent, domain).unwrap();
        let resolvers = |lookups: &Value| -> Vec<String> {
            let lookups = lookups.as_array().unwrap().iter();
            lookups.map(|lookup| lookup["resolver"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(resolvers(&facts["mx"]), views, "{domain}");
        // They share the exchanger, which is asked for through both.
        let mut of_addresses = resolvers(&facts["exchangers"][0]["lookups"]);
        of_addresses.sort();
        of_addresses.dedup();
        let mut sorted = views.to_vec();
        sorted.sort_unstable();
        assert_eq!(of_addresses, sorted, "{domain}");
        let scrape = agent.scrape();
        let judged = scrape.matching("mx_delivery_deliverable", &[("domain", domain)]);
        let mut judged: Vec<_> = judged.iter().map(|sample| sample.label("resolver")).collect();
        judged.sort_unstable();
        judged.dedup();
        assert_eq!(judged, sorted, "{domain}");
    }
    let relay = format!("relay.test:{}", inside.smtp_port());
    let facts = facts(&agent, &relay).unwrap();
    assert_eq!(facts["exchangers"][0]["lookups"][0]["resolver"], "outside");
    assert_eq!(facts["exchangers"][0]["lookups"].as_array().unwrap().len(), 2);
    // What one of them knows is probed for both.
    let both = agent.scrape();
    let up = both.value("mx_exchanger_addresses_up", &[("mx", "mx.test"), ("family", "ipv4")]);
    assert_eq!(up, Some(2.0));
}
