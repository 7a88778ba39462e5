//! A resolver that does not answer, in one sentence however many names were asked of it.

use super::{
    by_hand::digs,
    trouble::{Trouble, failed},
};
use crate::facts::ResolverFacts;

/// What is wrong with a resolver that is down.
pub fn dead(facts: &ResolverFacts) -> Trouble {
    let controls = || facts.servers.iter().map(|server| &server.control);
    let each: Vec<String> = controls().map(failed).collect();
    let what = format!(
        "Resolver {} does not answer: {}. What follows is without it.",
        facts.resolver,
        each.join("; ")
    );
    Trouble { what, by_hand: digs(controls()) }
}
