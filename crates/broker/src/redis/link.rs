//! The connection on which scripts are called: it comes back by itself, and no call waits for ever.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::whereabouts::Whereabouts;
use super::{PRODUCT, refusal};
use crate::BrokerError;

/// The pause after the first attempt that failed, and the longest one; each is twice the one before.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Is responsible for one connection, which all calls share.
#[derive(Debug)]
pub(super) struct Link {
    whereabouts: Whereabouts,
    deadline: Duration,
    /// Connected by whoever needs it first, while the others wait for that.
    current: tokio::sync::Mutex<Option<Numbered>>,
    /// How often it was connected.
    connections: AtomicU64,
}

#[derive(Clone, Debug)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
}

/// The deadline of a call was reached before an answer came.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Late(Duration);

impl Link {
    /// Makes a link that connects when it is first used.
    pub(super) fn new(whereabouts: Whereabouts, deadline: Duration) -> Self {
        let connections = AtomicU64::new(0);
        Self { whereabouts, deadline, current: tokio::sync::Mutex::default(), connections }
    }

    /// Counts the connections so far: what was told to the server before the last may be gone with it.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Asks the server, within the deadline.
    ///
    /// A connection that is away is waited for; what has been sent is not sent again, since nobody
    /// knows whether it was done.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] or [`BrokerError::Refused`], by what the server or the network said.
    pub(super) async fn ask<F>(
        &self,
        ask: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<Value, BrokerError>
    where
        F: Future<Output = RedisResult<Value>>,
    {
        let last_failure = Mutex::new(None);
        let asked = tokio::time::timeout(self.deadline, async {
            let Numbered { number, connection } = self.connected(&last_failure).await?;
            let answer = ask(connection).await;
            if answer.as_ref().is_err_and(breaks_the_connection) {
                self.drop_connection(number).await;
            }
            answer
        });
        match asked.await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => {
                // Whatever it is that hangs, the next call had better begin anew. Who holds the lock does that already.
                if let Ok(mut current) = self.current.try_lock() {
                    current.take();
                }
                let failure = last_failure.into_inner().unwrap_or_else(PoisonError::into_inner);
                Err(failure.map_or_else(|| unavailable(Late(self.deadline)), failed))
            }
        }
    }

    async fn connected(&self, last_failure: &Mutex<Option<RedisError>>) -> RedisResult<Numbered> {
        let mut current = self.current.lock().await;
        if let Some(numbered) = &*current {
            return Ok(numbered.clone());
        }
        let mut pause = FIRST_PAUSE;
        loop {
            match self.whereabouts.connect(AsyncConnectionConfig::new(), self.deadline).await {
                Ok(connection) => {
                    let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
                    let numbered = Numbered { number, connection };
                    *current = Some(numbered.clone());
                    return Ok(numbered);
                }
                Err(error) if refusal::of(&error).is_some() || !is_passing(&error) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "Redis is not to be reached, trying again");
                    *last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn drop_connection(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|numbered| numbered.number == number) {
            current.take();
        }
    }
}

/// Turns what the client library says into ours.
pub(super) fn failed(error: RedisError) -> BrokerError {
    if let Some(not_let_in) = refusal::of(&error) {
        BrokerError::Refused { product: PRODUCT, source: not_let_in.into() }
    } else if is_passing(&error) {
        unavailable(error)
    } else {
        BrokerError::Refused { product: PRODUCT, source: error.into() }
    }
}

fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> BrokerError {
    BrokerError::Unavailable { product: PRODUCT, source: Box::new(cause) }
}

/// Says whether the next call had better connect anew. A server that only reads was the master once, and
/// sentinels know by whom it was followed.
fn breaks_the_connection(error: &RedisError) -> bool {
    let lost = error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error();
    lost || error.code() == Some(READ_ONLY)
        || error.detail().is_some_and(|detail| has_code(detail, READ_ONLY))
}

/// What a replica says to whoever writes.
const READ_ONLY: &str = "READONLY";

/// Errors that a server gives for a while only: it starts, fails over, or has no memory left.
const PASSING: &[&str] =
    &["LOADING", READ_ONLY, "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "BUSY", "OOM", "MISCONF", "NOREPLICAS"];

fn is_passing(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io => true,
        ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::NoPerm) => {
            // What a script ran into is told in its own words, with the server's code among them.
            error.detail().is_some_and(|detail| PASSING.iter().any(|code| has_code(detail, code)))
        }
        ErrorKind::Server(_) => true,
        _ => error.is_connection_dropped() || error.code().is_some_and(|code| PASSING.contains(&code)),
    }
}

/// Finds a code of the server, which is a word in capitals, at the beginning of what it says.
fn has_code(detail: &str, code: &str) -> bool {
    detail
        .split_whitespace()
        .take(3)
        .any(|word| word.trim_matches(|c: char| !c.is_ascii_alphabetic()) == code)
}
