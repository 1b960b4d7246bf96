//! Wake-ups: notices between Celeriac's processes by publish and subscribe, and pushes of others by
//! client tracking, on one connection of its own. Polling remains the truth.
//!
//! Redis remembers which lists this connection has looked at and says once when one of them changes,
//! whoever changes it; after that the list is looked at again. So a Python client's push wakes an idle
//! worker at once, and a busy queue costs no more than a few messages a second.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use celeriac_protocol::error_text;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::{broadcast, watch};

use super::link::{FIRST_PAUSE, LONGEST_PAUSE, failed};
use super::whereabouts::Whereabouts;
use crate::Notice;

/// How many messages of the server may wait to be looked at; what is beyond is made up for by waking everybody.
const PUSHES: usize = 1_024;

/// How often the connection is asked whether it is alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The shortest time between two looks at the lists: it bounds what a busy queue costs.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// Is responsible for hearing.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) whereabouts: Whereabouts,
    pub(super) deadline: Duration,
    /// Where notices are published.
    pub(super) channel: String,
    /// What our own notices begin with; those are not heard a second time.
    pub(super) sender: String,
    pub(super) local: broadcast::Sender<Notice>,
    /// The lists that are looked at, by queue.
    pub(super) watched: Mutex<BTreeSet<String>>,
    pub(super) changed: watch::Sender<()>,
    pub(super) prefix: String,
    pub(super) suffixes: Vec<String>,
}

/// A connection that hears.
pub(super) struct Hearing {
    connection: MultiplexedConnection,
    pushes: broadcast::Receiver<PushInfo>,
}

impl Ear {
    /// Looks at these queues too from now on.
    pub(super) fn watch(&self, queues: &[String]) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.iter().all(|queue| watched.contains(queue)) {
            return;
        }
        watched.extend(queues.iter().cloned());
        drop(watched);
        self.changed.send_replace(());
    }

    /// Connects and subscribes; what is published after it returns is heard.
    pub(super) async fn open(&self) -> RedisResult<Hearing> {
        let (sender, pushes) = broadcast::channel(PUSHES);
        let config = AsyncConnectionConfig::new().set_push_sender(sender);
        let mut connection = self.whereabouts.connect(config, self.deadline).await?;
        connection.subscribe(&self.channel).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON");
        if let Err(error) = tracking.query_async::<Value>(&mut connection).await {
            tracing::info!(%error, "no client tracking, pushes of others are found by polling");
        }
        Ok(Hearing { connection, pushes })
    }

    /// Hears until it is dropped, and connects again whenever it has to.
    pub(super) async fn hear(&self, mut hearing: Hearing) {
        let mut pause = FIRST_PAUSE;
        loop {
            let (error, has_heard) = self.hear_on(hearing).await;
            if has_heard {
                pause = FIRST_PAUSE;
            }
            tracing::debug!(error, "the connection for wake-ups has ended, connecting again");
            hearing = self.open_again(&mut pause).await;
            // Whatever was said meanwhile was not heard.
            self.wake_all();
        }
    }

    /// Connects, however long that takes. Where it fails this is said once, and once when it is over.
    async fn open_again(&self, pause: &mut Duration) -> Hearing {
        let (server, mut is_told) = (&self.whereabouts, false);
        loop {
            tokio::time::sleep(*pause).await;
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            match self.open().await {
                Ok(hearing) => {
                    if is_told {
                        tracing::info!(%server, "Redis is back, wake-ups are heard again");
                    }
                    return hearing;
                }
                Err(error) if !is_told => {
                    is_told = true;
                    let error = error_text(&failed(error));
                    tracing::warn!(%server, error, "Redis is not to be reached, trying again until it is");
                }
                Err(error) => tracing::debug!(%server, %error, "Redis is still not to be reached"),
            }
        }
    }

    /// Hears until the connection ends; returns why, and whether the server had answered before.
    async fn hear_on(&self, mut hearing: Hearing) -> (&'static str, bool) {
        let mut changed = self.changed.subscribe();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        let mut looks = tokio::time::interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut blind, mut has_heard) = (true, false);
        loop {
            tokio::select! {
                push = hearing.pushes.recv() => match push {
                    Ok(push) if push.kind == PushKind::Disconnection => return ("disconnected", has_heard),
                    Ok(push) => blind |= self.pass_on(push),
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        blind = true;
                        self.wake_all();
                    }
                    Err(broadcast::error::RecvError::Closed) => return ("closed", has_heard),
                },
                _ = changed.changed() => blind = true,
                _ = looks.tick(), if blind => {
                    blind = false;
                    if self.look(&mut hearing.connection).await.is_err() {
                        return ("no answer to a look at the lists", has_heard);
                    }
                    has_heard = true;
                }
                _ = heartbeat.tick() => {
                    if redis::cmd("PING").query_async::<Value>(&mut hearing.connection).await.is_err() {
                        return ("no sign of life", has_heard);
                    }
                }
            }
        }
    }

    /// Looks at every list, so that the server tells of its next change.
    async fn look(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let watched: Vec<String> =
            self.watched.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        if watched.is_empty() {
            return Ok(());
        }
        let mut look = redis::pipe();
        for queue in &watched {
            for suffix in &self.suffixes {
                look.cmd("LLEN").arg(format!("{}{queue}{suffix}", self.prefix));
            }
        }
        look.query_async::<Value>(connection).await.map(drop)
    }

    /// Passes a message of the server on; returns whether lists have to be looked at again.
    fn pass_on(&self, push: PushInfo) -> bool {
        match push.kind {
            PushKind::Invalidate => {
                self.wake_owners(push.data);
                true
            }
            PushKind::Message => {
                if let Some(Value::BulkString(text)) = push.data.into_iter().nth(1) {
                    self.pass_on_notice(&text);
                }
                false
            }
            _ => false,
        }
    }

    fn pass_on_notice(&self, text: &[u8]) {
        let Some((sender, notice)) = text.split_at_checked(self.sender.len()) else { return };
        if sender != self.sender.as_bytes()
            && let Some(notice) = Notice::from_text(notice)
        {
            // Nobody listening is no fault.
            self.local.send(notice).ok();
        }
    }

    /// Wakes those who wait for the queues of these lists; where the server names none, all are meant.
    fn wake_owners(&self, data: Vec<Value>) {
        let keys = data.into_iter().find_map(|value| match value {
            Value::Array(keys) => Some(keys),
            _ => None,
        });
        let Some(keys) = keys else { return self.wake_all() };
        let mut queues = BTreeSet::new();
        for key in keys {
            if let Value::BulkString(key) = key {
                queues.extend(self.queue_of(&key));
            }
        }
        for queue in queues {
            self.local.send(Notice::Queue(queue)).ok();
        }
    }

    fn queue_of(&self, key: &[u8]) -> Option<String> {
        let name = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = self.suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix.as_str()));
        names.find(|name| watched.contains(*name)).map(ToOwned::to_owned)
    }

    fn wake_all(&self) {
        for queue in &*self.watched.lock().unwrap_or_else(PoisonError::into_inner) {
            self.local.send(Notice::Queue(queue.clone())).ok();
        }
    }
}
