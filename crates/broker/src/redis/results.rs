//! Results in Redis, under Celery's keys: `celery-task-meta-<id>`, which is also the channel on which
//! each is told to whoever waits.

use std::fmt;
use std::future::Future;
use std::sync::LazyLock;

use async_trait::async_trait;
use celeriac_protocol::JobId;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, Script, ServerErrorKind, Value};

use super::RedisOptions;
use super::answer::list;
use super::link::Link;
use super::script::Call;
use super::whereabouts::Whereabouts;
use crate::error::{Cause, NotLetIn};
use crate::{BrokerError, KeptResult, ResultStore, slices};

/// What every key begins with, behind the prefix of the app.
const KEY: &str = "celery-task-meta-";

/// How many results one call writes or reads at most, of a few MiB when it writes; the server serves others in between.
const SLICE: usize = 500;

static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("put_results.lua")));

/// Keeps results in one database of Redis, laid out as Celery's.
pub struct RedisResults {
    link: Link,
    prefix: String,
}

impl RedisResults {
    /// Connects to the database that the options name. Of these it takes the URL, the master's name, the
    /// deadline of a call, and the prefix, which stands before every key: Celery's `global_keyprefix` for
    /// results, to which it adds an underscore where no mark ends it, and so do we.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the URL is none, or the server does not let us in;
    /// [`BrokerError::Unavailable`]: it does not answer.
    pub async fn open(options: &RedisOptions) -> Result<Self, BrokerError> {
        options.validate()?;
        let link = Link::new(Whereabouts::of(options).await?, options.deadline);
        link.ask(async |mut connection| redis::cmd("PING").query_async(&mut connection).await).await?;
        Ok(Self { link, prefix: marked(&options.key_prefix) })
    }

    fn key(&self, id: &JobId) -> String {
        format!("{}{KEY}{id}", self.prefix)
    }

    /// Asks the server; that it does not let us in any more passes.
    async fn ask<F>(&self, ask: impl FnOnce(MultiplexedConnection) -> F) -> Result<Value, BrokerError>
    where
        F: Future<Output = RedisResult<Value>>,
    {
        self.link.ask(ask).await.map_err(rights_pass)
    }
}

/// That the server does not let us in (any more) passes once an operator has seen to it.
///
/// Whoever opened the results was let in, so a job that is done need not suffer for it.
pub(super) fn rights_pass(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::Refused { product, source } if is_about_rights(&source) => {
            BrokerError::Unavailable { product, source }
        }
        other => other,
    }
}

/// What the server says to those whom it does not know, or who may not do what they ask for.
const ABOUT_RIGHTS: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];

/// What it says of a script that does what they may not do: Redis 6, then those since 7.
const ABOUT_RIGHTS_OF_SCRIPTS: [&str; 2] = ["The user executing the script can't", "ACL failure in script"];

fn is_about_rights(source: &Cause) -> bool {
    if source.is::<NotLetIn>() {
        return true;
    }
    let Some(error) = source.downcast_ref::<RedisError>() else { return false };
    let is_of_a_kind =
        matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm));
    let in_words = |detail: &str| {
        ABOUT_RIGHTS.iter().chain(&ABOUT_RIGHTS_OF_SCRIPTS).any(|words| detail.contains(words))
    };
    is_of_a_kind
        || error.code().is_some_and(|code| ABOUT_RIGHTS.contains(&code))
        || error.detail().is_some_and(in_words)
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
        for slice in slices(results, SLICE, |result| result.body.len()) {
            let mut call = Call::of(&PUT);
            for result in slice {
                // What is kept for less than a millisecond is kept for one, since 0 is for ever.
                let keep = result.keep.map_or(0, |keep| u64::try_from(keep.as_millis()).unwrap_or(0).max(1));
                call = call.with(self.key(&result.id)).with(result.body.as_slice()).with(keep);
            }
            self.ask(async |mut connection| call.run(&mut connection).await).await?;
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
            let answer = self.ask(async |mut connection| command.query_async(&mut connection).await).await?;
            found.extend(list(answer)?.into_iter().map(|value| match value {
                Value::BulkString(bytes) => Some(bytes),
                _ => None,
            }));
        }
        Ok(found)
    }

    async fn forget(&self, ids: &[JobId]) -> Result<(), BrokerError> {
        for slice in ids.chunks(SLICE) {
            let mut command = redis::cmd("DEL");
            for id in slice {
                command.arg(self.key(id));
            }
            self.ask(async |mut connection| command.query_async(&mut connection).await).await?;
        }
        Ok(())
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
