//! Round after round of the agent: every one shakes hands anew, for a session that is resumed shows no
//! certificate.

use mxwatch::{facts::Session, world::World};
use rcgen::KeyPair;
use serde_json::Value;

use super::{
    exchanger::{Exchanger, ZONE},
    harness::{Agent, wait_until},
};

/// The last session that the agent knows of.
fn session(agent: &Agent) -> Option<Session> {
    let reply = agent.get("/api/v1/domains/example.test");
    let document: Value = serde_json::from_str(&reply.body).unwrap();
    serde_json::from_value(document["facts"]["exchangers"][0]["sessions"][0].clone()).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_is_resumed() {
    let key = KeyPair::generate().unwrap();
    for protocol in ["TLSv1.2", ">=TLSv1.2"] {
        let main = format!("smtpd_tls_loglevel = 2\nsmtpd_tls_protocols = {protocol}\n");
        let Some(exchanger) = Exchanger::start(&key, &main) else { return };
        let world = World::builder().zone(ZONE).unwrap().start().await.unwrap();
        let agent = Agent::start(&format!(
            "helo_name = \"probe.example.test\"\ndomains = [\"example.test\"]\n\
             [probe]\nport = {}\ninterval = \"1s\"\n\
             [[resolver]]\nname = \"world\"\nservers = [\"{}\"]\n",
            exchanger.postfix.port(),
            world.dns_addr()
        ));
        let first = wait_until("a first round", || session(&agent));
        let second = wait_until("a second round", || {
            session(&agent).filter(|session| session.started_at > first.started_at)
        });
        let chains = [first, second].map(|session| session.tls.unwrap().chain);
        assert_eq!((chains[0].len(), &chains[0]), (1, &chains[1]));
        let log = exchanger.postfix.log();
        assert!(log.matches(" TLS connection established from ").count() > 1, "{log}");
        assert!(!log.contains("Reusing old session"), "{log}");
        drop(agent);
        world.stop().await;
    }
}
