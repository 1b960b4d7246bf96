//! Results in Redis, under Celery's keys: `celery-task-meta-<id>`, which is also the channel on which
//! each is told to whoever waits.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::JobId;
use redis::{Client, Script, Value};

use super::RedisOptions;
use super::answer::list;
use super::link::{Link, failed};
use super::script::Arguments;
use crate::{BrokerError, KeptResult, ResultStore};

/// What every key begins with, behind the prefix of the app.
const KEY: &str = "celery-task-meta-";

/// How many results one call writes or reads at most; the server serves others in between.
const SLICE: usize = 500;

static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("put_results.lua")));

/// Keeps results in one database of Redis, laid out as Celery's.
pub struct RedisResults {
    link: Link,
    prefix: String,
}

impl RedisResults {
    /// Connects to the database at `url`. A call may take as long as `deadline`.
    ///
    /// `prefix` stands before every key: Celery's `global_keyprefix` for results, to which it adds an
    /// underscore where no mark ends it, and so do we.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the URL is none, or the server does not let us in;
    /// [`BrokerError::Unavailable`]: it does not answer.
    pub async fn open(url: &str, prefix: &str, deadline: Duration) -> Result<Self, BrokerError> {
        let options = RedisOptions { deadline, ..RedisOptions::at(url) };
        options.validate()?;
        let link = Link::new(Client::open(options.connection()?).map_err(failed)?, deadline);
        link.ask(async |mut connection| redis::cmd("PING").query_async(&mut connection).await).await?;
        Ok(Self { link, prefix: marked(prefix) })
    }

    fn key(&self, id: &JobId) -> String {
        format!("{}{KEY}{id}", self.prefix)
    }
}

/// Ends a prefix with a mark, as Celery does.
fn marked(prefix: &str) -> String {
    let is_marked = prefix.is_empty() || prefix.ends_with([':', '_', '-', '.']);
    if is_marked { prefix.to_owned() } else { format!("{prefix}_") }
}

impl fmt::Debug for RedisResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisResults").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[async_trait]
impl ResultStore for RedisResults {
    async fn put(&self, results: &[KeptResult]) -> Result<(), BrokerError> {
        for slice in results.chunks(SLICE) {
            let mut arguments = Arguments::default();
            for result in slice {
                // What is kept for less than a millisecond is kept for one, since 0 is for ever.
                let keep = result.keep.map_or(0, |keep| u64::try_from(keep.as_millis()).unwrap_or(0).max(1));
                arguments = arguments.with(self.key(&result.id)).with(result.text.as_str()).with(keep);
            }
            let mut call = PUT.prepare_invoke();
            call.arg(arguments.as_slice());
            self.link.ask(async |mut connection| call.invoke_async::<Value>(&mut connection).await).await?;
        }
        Ok(())
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<Option<Vec<u8>>>, BrokerError> {
        let mut found = Vec::with_capacity(ids.len());
        for slice in ids.chunks(SLICE) {
            let mut command = redis::cmd("MGET");
            for id in slice {
                command.arg(self.key(id));
            }
            let answer =
                self.link.ask(async |mut connection| command.query_async(&mut connection).await).await?;
            found.extend(list(answer)?.into_iter().map(|value| match value {
                Value::BulkString(bytes) => Some(bytes),
                _ => None,
            }));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ends_with_a_mark() {
        for (prefix, expected) in [("", ""), ("app", "app_"), ("app:", "app:"), ("a-", "a-"), ("a.", "a.")] {
            assert_eq!(marked(prefix), expected);
        }
    }
}
