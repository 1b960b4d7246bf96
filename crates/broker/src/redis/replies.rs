//! Results in the lists in which their clients wait: Celery's `rpc://` with Redis as its transport.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use celeriac_protocol::{Clock, error_text};
use redis::{AsyncConnectionConfig, Script, Value};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::RedisOptions;
use super::answer::Fields;
use super::link::{Link, failed};
use super::results::rights_pass;
use super::script::Call;
use super::whereabouts::Whereabouts;
use crate::replies::ear::{AnswerEar, Hearing, hear_on};
use crate::{Answers, BrokerError, KeptResult, ReplyOptions, ResultStore, slices};

/// How many answers one call sends at most, of a few MiB; the server serves others in between.
const SLICE: usize = 500;

/// How long the server holds a question for the next answer.
const ASK: Duration = Duration::from_secs(1);

static ANSWER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("answers.lua")));

/// Sends results to those who wait for them, and hears those that are sent here.
///
/// The lists lie beside the queue, in the same database and behind the same prefix.
pub struct RedisReplies {
    link: Link,
    prefix: String,
    options: ReplyOptions,
    answers: Arc<Answers>,
    /// Hears as long as this lives.
    hearing: JoinSet<()>,
    whereabouts: Whereabouts,
    deadline: Duration,
    clock: Arc<dyn Clock>,
}

impl RedisReplies {
    /// Connects to the database that the options name, where the queue is; `clock` says when answers come.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the URL is none, or the server does not let us in;
    /// [`BrokerError::Unavailable`]: it does not answer.
    pub async fn open(
        redis: &RedisOptions,
        options: ReplyOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        redis.validate()?;
        let whereabouts = Whereabouts::of(redis).await?;
        let link = Link::new(whereabouts.clone(), redis.deadline);
        link.ask(async |mut connection| redis::cmd("PING").query_async(&mut connection).await).await?;
        let (prefix, deadline) = (redis.key_prefix.clone(), redis.deadline);
        let (answers, hearing) = (Arc::new(Answers::new(Arc::clone(&clock))), JoinSet::new());
        Ok(Self { link, prefix, options, answers, hearing, whereabouts, deadline, clock })
    }

    /// Hears, too, what is sent to `queue`, which nobody else listens to: what asks for answers names it.
    #[must_use]
    pub fn listening_on(mut self, queue: &str) -> Self {
        let ear = ListEar {
            key: format!("{}{queue}", self.prefix),
            answers: Arc::clone(&self.answers),
            whereabouts: self.whereabouts.clone(),
            deadline: self.deadline,
        };
        self.hearing.spawn(hear_on(ear, Arc::clone(&self.clock)));
        self
    }

    /// Writes an answer as kombu does.
    fn write(&self, result: &KeptResult, queue: &str, correlation: &str) -> String {
        let serializer = self.options.serializer;
        let properties = json!({
            "correlation_id": correlation,
            "delivery_mode": if self.options.persistent { 2 } else { 1 },
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": format!("{:032x}", rand::random::<u128>()),
        });
        let message = json!({
            "body": BASE64.encode(&result.body),
            "content-encoding": serializer.content_encoding(),
            "content-type": serializer.content_type(),
            "headers": {},
            "properties": properties,
        });
        message.to_string()
    }

    async fn send(&self, slice: &[KeptResult]) -> Result<(), BrokerError> {
        let (mut call, mut is_any) = (Call::of(&ANSWER), false);
        for result in slice {
            let Some(reply_to) = &result.reply_to else { continue };
            let correlation = reply_to.correlation.as_deref().unwrap_or(result.id.as_str());
            let keep = result.keep.map_or(0, |keep| u64::try_from(keep.as_millis()).unwrap_or(0).max(1));
            is_any = true;
            call.push(format!("{}{}", self.prefix, reply_to.queue));
            call.push(self.write(result, &reply_to.queue, correlation));
            call.push(keep);
        }
        if !is_any {
            return Ok(());
        }
        let answer = self.link.ask(async |mut connection| call.run(&mut connection).await).await;
        let answer = match answer.map_err(rights_pass) {
            // The job is done and its record written, so it is not to suffer for a client that can't be told.
            Err(error @ BrokerError::Refused { .. }) => {
                tracing::warn!(
                    error = error_text(&error),
                    "answers were not taken by the server, and are dropped"
                );
                return Ok(());
            }
            answer => answer?,
        };
        let mut refused = Fields::of(answer)?;
        while let (Some(key), Some(error)) = (refused.text_or_nil()?, refused.text_or_nil()?) {
            tracing::warn!(key, error, "an answer was not taken by the server, and is dropped");
        }
        Ok(())
    }
}

#[async_trait]
impl ResultStore for RedisReplies {
    fn answers(&self) -> Option<&Answers> {
        Some(&self.answers)
    }

    async fn put(&self, results: &[KeptResult]) -> Result<(), BrokerError> {
        for slice in slices(results, SLICE, |result| result.body.len().div_ceil(3) * 4) {
            self.send(slice).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisReplies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplies").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Is responsible for hearing what is sent to one list.
struct ListEar {
    key: String,
    answers: Arc<Answers>,
    whereabouts: Whereabouts,
    deadline: Duration,
}

#[async_trait]
impl AnswerEar for ListEar {
    /// What is sent while there is no connection waits in the list.
    async fn hear(&mut self, hearing: &mut Hearing) -> Result<(), BrokerError> {
        let connecting = self.whereabouts.connect(AsyncConnectionConfig::new(), self.deadline + ASK);
        let mut connection = connecting.await.map_err(failed)?;
        let mut next = redis::cmd("BRPOP");
        next.arg(&self.key).arg(ASK.as_secs());
        loop {
            let answer =
                next.query_async::<Option<(Value, Vec<u8>)>>(&mut connection).await.map_err(failed)?;
            hearing.note_heard();
            if let Some((_, message)) = answer {
                self.take_in(&message);
            }
        }
    }
}

impl ListEar {
    fn take_in(&self, message: &[u8]) {
        let read = serde_json::from_slice::<Message>(message).map_err(|error| error.to_string());
        let read = read.and_then(|message| match message.properties.body_encoding.as_deref() {
            Some("base64") => {
                let body = BASE64.decode(&message.body).map_err(|error| error.to_string())?;
                Ok((message.properties.correlation_id, body))
            }
            _ => Ok((message.properties.correlation_id, message.body.into_bytes())),
        });
        match read {
            Ok((correlation, body)) => self.answers.take_in(&correlation, body),
            Err(error) => tracing::debug!(error, "what is no answer was dropped"),
        }
    }
}

/// Kombu's envelope of an answer.
#[derive(Deserialize)]
struct Message {
    body: String,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    correlation_id: String,
    #[serde(default)]
    body_encoding: Option<String>,
}
