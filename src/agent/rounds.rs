//! The rounds under way, each a task of its own: one that panics takes nothing else along.

use std::{any::Any, collections::HashMap};

use tokio::task::{Id, JoinSet};

/// Tasks by what they are about.
#[derive(Debug)]
pub struct Rounds<K, T> {
    tasks: JoinSet<T>,
    keys: HashMap<Id, K>,
}

/// A task that has ended.
#[derive(Debug, Eq, PartialEq)]
pub struct Ended<K, T> {
    /// What it was about.
    pub key: K,
    /// Its result, or the words it panicked with.
    pub outcome: Result<T, String>,
}

impl<K, T> Default for Rounds<K, T> {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), keys: HashMap::new() }
    }
}

impl<K, T: Send + 'static> Rounds<K, T> {
    /// Starts one.
    pub fn start(&mut self, key: K, round: impl Future<Output = T> + Send + 'static) {
        let id = self.tasks.spawn(round).id();
        self.keys.insert(id, key);
    }

    /// Waits for the next to end; `None` when none is under way. Cancel safe.
    pub async fn next(&mut self) -> Option<Ended<K, T>> {
        loop {
            let (id, outcome) = match self.tasks.join_next_with_id().await? {
                Ok((id, found)) => (id, Ok(found)),
                Err(error) => (
                    error.id(),
                    Err(error.try_into_panic().map_or_else(
                        |cancelled| cancelled.to_string(),
                        |panic| words(panic.as_ref()).to_owned(),
                    )),
                ),
            };
            if let Some(key) = self.keys.remove(&id) {
                return Some(Ended { key, outcome });
            }
        }
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_round_with_its_words_and_no_other() {
        let mut rounds = Rounds::default();
        rounds.start("bad.example.com", async {
            assert_eq!(1 + 1, 3, "arithmetic");
            0
        });
        rounds.start("good.example.com", async { 7 });
        let mut ended = [rounds.next().await.unwrap(), rounds.next().await.unwrap()];
        ended.sort_by_key(|ended| ended.key);
        let panic = ended[0].outcome.as_ref().unwrap_err();
        assert!(panic.contains("arithmetic"), "{panic}");
        assert_eq!(ended[1], Ended { key: "good.example.com", outcome: Ok(7) });
        assert!(rounds.is_empty() && rounds.next().await.is_none());
        rounds.start("bad.example.com", async { 8 });
        assert_eq!(rounds.next().await.unwrap().outcome, Ok(8), "it can be started again");
    }
}
