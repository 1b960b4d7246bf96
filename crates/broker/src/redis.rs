//! A queue in Redis, laid out as Celery's, which Python clients and workers share with ours.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::{Clock, Envelope, JobId, MAX_PRIORITY, Timestamp};
use redis::{Script, Value};
use tokio::sync::{broadcast, watch};

use self::answer::{Fields, list};
use self::ear::Ear;
use self::link::{Link, failed};
use self::notify::{NOTICES, RedisNotifier};
use self::script::{Call, Settings};
use self::whereabouts::Whereabouts;
use self::wire::Priorities;
use crate::{
    Broker, BrokerAdmin, BrokerError, Capabilities, Delivery, FetchRequest, Fetched, LeaseTag, Notice,
    Notifier, Publication, Renewal, Settle, Settled, Settlement,
};

mod admin;
mod answer;
mod dangers;
mod ear;
mod link;
mod notify;
mod options;
mod redbeat;
mod refusal;
mod replies;
mod results;
mod script;
mod whereabouts;
mod wire;

pub use self::options::RedisOptions;
pub use self::redbeat::{RedbeatEntry, read_redbeat};
pub use self::replies::RedisReplies;
pub use self::results::RedisResults;

/// The server's name in errors.
const PRODUCT: &str = "Redis";

/// How many leases that have ended, and how many due messages of each queue, one fetch moves at most.
const MOVED: usize = 1_000;

/// Is responsible for the queue in one database of Redis.
///
/// The layout is kombu's: lists for each queue and priority step, `unacked` and its index, the
/// tables of bindings. So Python peers take what we push, we take what they push, and either side
/// puts back what the other's dead workers held. What Celery has no place for lies beside it under
/// `celeriac:`: our leases, delayed messages, what is known of each job, and dead letters.
#[derive(Debug)]
pub struct RedisBroker {
    options: RedisOptions,
    clock: Arc<dyn Clock>,
    link: Arc<Link>,
    ear: Arc<Ear>,
    notifier: Arc<RedisNotifier>,
    settings: String,
    /// The queues that were declared on the connection of this number.
    declared: Mutex<(u64, HashSet<String>)>,
    /// Which of its queues the next fetch asks first.
    turn: AtomicUsize,
    /// When it was last looked for messages that Python workers hold for too long, in microseconds.
    looked_at: AtomicI64,
}

impl RedisBroker {
    /// Connects to Redis and begins to hear of what happens there.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the options make no sense, or the server does not let us in;
    /// [`BrokerError::Unavailable`]: it does not answer.
    pub async fn open(options: RedisOptions, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        options.validate()?;
        let info = options.connection()?;
        let channel = format!("{}/{}.celeriac", options.key_prefix, info.redis_settings().db());
        let whereabouts = Whereabouts::of(&options).await?;
        let sender = format!("{:016x}", rand::random::<u64>());
        let settings = Settings::of(&options, &channel, &sender).to_json();
        let link = Arc::new(Link::new(whereabouts.clone(), options.deadline));
        let ear = Arc::new(Ear {
            whereabouts,
            deadline: options.deadline,
            channel,
            sender,
            local: broadcast::channel(NOTICES).0,
            watched: Mutex::default(),
            changed: watch::Sender::new(()),
            prefix: options.key_prefix.clone(),
            suffixes: options.suffixes(),
        });
        let hearing = ear.open().await.map_err(failed)?;
        let notifier = Arc::new(RedisNotifier::start(Arc::clone(&ear), hearing, Arc::clone(&link)));
        let (declared, turn) = (Mutex::default(), AtomicUsize::new(0));
        let looked_at = AtomicI64::new(i64::MIN);
        let broker = Self { options, clock, link, ear, notifier, settings, declared, turn, looked_at };
        broker.check_version().await?;
        Ok(broker)
    }

    /// Begins to call a script.
    fn begin(&self, script: &'static Script) -> Call {
        let now = match self.options.server_time {
            true => String::new(),
            false => self.clock.now().as_micros().to_string(),
        };
        Call::of(script).with(&self.settings).with(now)
    }

    async fn run(&self, call: &Call) -> Result<Value, BrokerError> {
        self.link.ask(async |mut connection| call.run(&mut connection).await).await
    }

    /// Writes the tables of bindings for queues that were not met before, as Celery does where it
    /// declares a queue. A server that came back may have come back empty, so it is told again.
    async fn declare<'q>(&self, queues: impl Iterator<Item = &'q str>) -> Result<(), BrokerError> {
        let number = self.link.connections();
        let unknown: BTreeSet<&str> = {
            let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
            if declared.0 != number {
                *declared = (number, HashSet::new());
            }
            queues.filter(|queue| !declared.1.contains(*queue)).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let RedisOptions { key_prefix: prefix, separator, .. } = &self.options;
        let mut pipe = redis::pipe();
        pipe.atomic();
        for queue in &unknown {
            let binding = format!("{queue}{separator}{separator}{queue}");
            pipe.cmd("SADD").arg(format!("{prefix}_kombu.binding.{queue}")).arg(&binding);
            pipe.cmd("SADD").arg(format!("{prefix}_kombu.binding_permanent.{queue}")).arg(&binding);
            pipe.cmd("SADD").arg(format!("{prefix}celeriac:queues")).arg(*queue);
        }
        self.link.ask(async |mut connection| pipe.query_async(&mut connection).await).await?;
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        declared.1.extend(unknown.into_iter().map(ToOwned::to_owned));
        Ok(())
    }

    fn priorities(&self) -> Priorities {
        Priorities { unset: self.options.unset_priority }
    }

    /// Writes a message as it lies in Redis.
    fn write(&self, envelope: &Envelope, delivery_tag: &str) -> String {
        wire::write(envelope, delivery_tag, self.priorities())
    }

    /// Adds a message to what is published: seven arguments.
    fn push_message(&self, call: &mut Call, envelope: &Envelope) {
        let name = self.fresh_name();
        call.push(envelope.id.as_str());
        call.push(&envelope.queue);
        call.push(self.options.step_of(self.priorities().on_wire(envelope.priority)));
        call.push(envelope.due_at.map_or_else(String::new, micros));
        call.push(envelope.unique_key.as_deref().unwrap_or(""));
        call.push(self.write(envelope, &name));
        call.push(name);
    }

    /// Makes a name that nobody else gives.
    fn fresh_name(&self) -> String {
        JobId::fresh(self.clock.now()).to_string()
    }

    /// Adds one settlement: six arguments.
    fn push_order(&self, call: &mut Call, settlement: &Settlement) {
        let Settlement { delivery, settle } = settlement;
        call.push(tag_text(delivery.tag));
        call.push(delivery.envelope.id.as_str());
        match settle {
            Settle::Ack => {
                let unique = if delivery.envelope.unique_key.is_some() { "1" } else { "" };
                ["ack", unique, "", ""].into_iter().for_each(|one| call.push(one));
            }
            Settle::Requeue { content, due_at, charged } => {
                let changed = content.is_some() || due_at.is_some();
                call.push("requeue");
                call.push(if changed { self.rewritten(settlement) } else { String::new() });
                call.push(due_at.map_or_else(String::new, micros));
                call.push(u8::from(*charged));
            }
            Settle::Reject { reason, detail } => {
                ["reject", reason, detail, ""].into_iter().for_each(|one| call.push(one));
            }
        }
    }

    /// Writes a message anew that goes back with other content or for another time.
    fn rewritten(&self, settlement: &Settlement) -> String {
        let mut envelope = settlement.delivery.envelope.clone();
        if let Settle::Requeue { content, due_at, .. } = &settlement.settle {
            envelope.due_at = due_at.or(envelope.due_at);
            if let Some(content) = content {
                envelope.content = content.clone();
            }
        }
        self.write(&envelope, &self.fresh_name())
    }

    /// Reads what a fetch gave. What can't be read is given up, to the dead letters.
    async fn deliveries(&self, key: i64, answer: Value) -> Result<Fetched, BrokerError> {
        let mut fields = Fields::of(answer)?;
        let ahead = self.ahead_of(fields.number()?);
        let here = |instant: i64| Timestamp::from_micros(instant.saturating_add(ahead));
        let leased_until = here(fields.number()?);
        let next_due_at = fields.number_or_nil()?.map(here);
        let (mut deliveries, mut unread) = (Vec::new(), self.begin(&script::SETTLE).with(WALK));
        let mut is_any_unread = false;
        for message in list(fields.next())? {
            match self.delivery(key, leased_until, Fields::of(message)?)? {
                Ok(delivery) => deliveries.push(delivery),
                Err((tag, error)) => {
                    is_any_unread = true;
                    unread.push(tag_text(tag));
                    let detail = error.to_string();
                    // Under which job it is held, the script knows.
                    ["", "reject", UNDECODABLE, &detail, ""].into_iter().for_each(|one| unread.push(one));
                }
            }
        }
        if is_any_unread {
            // Should it fail, the leases end, and the next holder tries.
            if let Err(error) = self.run(&unread).await {
                tracing::warn!(%error, "messages that can't be read are still in their queue");
            }
        }
        Ok(Fetched { deliveries, next_due_at })
    }

    /// Returns how far this node's clock is ahead of the server's, whose time in microseconds was just
    /// told: instants of its scripts are waited for here by a clock that goes differently.
    fn ahead_of(&self, server: i64) -> i64 {
        if self.options.server_time { self.clock.now().as_micros().saturating_sub(server) } else { 0 }
    }

    fn delivery(
        &self,
        key: i64,
        leased_until: Timestamp,
        mut fields: Fields,
    ) -> Result<Result<Delivery, (LeaseTag, wire::WireError)>, BrokerError> {
        let (raw, queue) = (fields.bytes()?, fields.text()?);
        let tag = LeaseTag { key, fence: fields.number()? };
        let (delivery, attempt, lost) = (fields.count()?, fields.count()?, fields.count()?);
        let cancel_requested = fields.text_or_nil()?;
        Ok(wire::read(&raw, &queue, self.priorities())
            .map(|envelope| Delivery {
                envelope,
                tag,
                delivery,
                attempt,
                lost,
                leased_until,
                cancel_requested,
            })
            .map_err(|error| (tag, error)))
    }

    fn wake_here<'q>(&self, queues: impl Iterator<Item = &'q str>) {
        for queue in queues.collect::<BTreeSet<_>>() {
            self.notifier.tell_here(Notice::Queue(queue.to_owned()));
        }
    }

    /// Puts back what Python workers hold for too long, now and then.
    async fn restore(&self) {
        let (now, before) = (self.clock.now().as_micros(), self.looked_at.load(Ordering::Relaxed));
        if now.checked_sub(before).is_some_and(|passed| passed < BETWEEN_RESTORES) {
            return;
        }
        // Of several fetches at a time one looks.
        if self.looked_at.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let steps = format!("{:?}", self.options.priority_steps);
        let call = self.begin(&script::RESTORE).with(lease_micros(self.options.visibility_timeout));
        match self.run(&call.with(RESTORED).with(steps)).await {
            Ok(Value::Int(0)) => {}
            Ok(count) => {
                tracing::warn!(?count, "messages put back that Python workers have held for too long");
            }
            Err(error) => tracing::debug!(%error, "what Python workers hold was not looked at"),
        }
    }

    /// Begins with another queue each time.
    fn rotated<'q>(&self, queues: &'q [String]) -> impl Iterator<Item = &'q String> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % queues.len().max(1);
        queues.iter().cycle().skip(turn).take(queues.len())
    }
}

/// How often messages are looked for that Python workers hold for too long, in microseconds.
const BETWEEN_RESTORES: i64 = 10_000_000;

/// How many of them are put back at a time.
const RESTORED: usize = 100;

/// How many calls a worker that leaves makes at most, of [`MOVED`] messages each.
const LONGEST_FAREWELL: usize = 1_000;

/// Among how many of the next messages of a list one that is given back finds its old place.
const WALK: usize = 32;

/// The reason of a dead letter that is no message.
const UNDECODABLE: &str = "undecodable";

/// Writes the tag under which a lease stands in `unacked`, where Celery has the message's own.
fn tag_text(tag: LeaseTag) -> String {
    format!("{}{:06}", stem(tag.key), tag.fence)
}

/// Writes what the tags of one fetch begin with.
fn stem(key: i64) -> String {
    format!("celeriac-{key:016x}-")
}

fn micros(instant: Timestamp) -> String {
    instant.as_micros().to_string()
}

fn lease_micros(lease: Duration) -> u64 {
    u64::try_from(lease.as_micros()).unwrap_or(u64::MAX)
}

/// Reads one answer of those to a publish: whose job is in the way.
fn publication(answer: Value) -> Result<Publication, BrokerError> {
    let other = Fields::of(Value::Array(vec![answer]))?.text_or_nil()?;
    let duplicate = other.map(|id| JobId::parse(&id).map(Publication::Duplicate)).transpose();
    let duplicate =
        duplicate.map_err(|error| BrokerError::Refused { product: PRODUCT, source: error.into() })?;
    Ok(duplicate.unwrap_or(Publication::Accepted))
}

#[async_trait]
impl Broker for RedisBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "redis",
            native_delay: true,
            delivery_count: true,
            unique_keys: true,
            lookup: true,
            shared: true,
            exchanges: false,
            priorities: u8::try_from(self.options.priority_steps.len()).unwrap_or(u8::MAX),
            transactional: false,
            durable: true,
            keeps_place: true,
            given_clock: true,
            push: false,
        }
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        if envelopes.is_empty() {
            return Ok(Vec::new());
        }
        self.declare(envelopes.iter().map(|envelope| envelope.queue.as_str())).await?;
        let mut call = self.begin(&script::PUBLISH);
        for envelope in &envelopes {
            self.push_message(&mut call, envelope);
        }
        let mut answers = list(self.run(&call).await?)?.into_iter();
        self.wake_here(envelopes.iter().map(|envelope| envelope.queue.as_str()));
        envelopes.iter().map(|_| publication(answers.next().unwrap_or(Value::Nil))).collect()
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        if request.max == 0 || request.queues.is_empty() {
            return Ok(Fetched::default());
        }
        self.declare(request.queues.iter().map(String::as_str)).await?;
        self.ear.watch(request.queues);
        self.restore().await;
        let key = rand::random::<i64>() & i64::MAX;
        let mut call = self.begin(&script::FETCH).with(stem(key)).with(request.max);
        call = call.with(lease_micros(request.lease)).with(request.holder).with(MOVED);
        for queue in self.rotated(request.queues) {
            call.push(queue);
        }
        let answer = self.run(&call).await?;
        self.deliveries(key, answer).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = self.begin(&script::SETTLE).with(WALK);
        for settlement in settlements {
            self.push_order(&mut call, settlement);
        }
        let mut answers = Fields::of(self.run(&call).await?)?;
        let back = settlements.iter().filter(|one| matches!(one.settle, Settle::Requeue { .. }));
        self.wake_here(back.map(|one| one.delivery.envelope.queue.as_str()));
        let settled = |done| if done == 1 { Settled::Done } else { Settled::LeaseLost };
        settlements.iter().map(|_| answers.number().map(settled)).collect()
    }

    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = self.begin(&script::RENEW).with(lease_micros(lease)).with(MOVED);
        for tag in tags {
            call.push(tag_text(*tag));
        }
        let mut answers = Fields::of(self.run(&call).await?)?;
        let renewal = |answer| match answer {
            Value::Nil => Ok(Renewal::Lost),
            held => {
                let mut fields = Fields::of(held)?;
                fields.number()?;
                Ok(Renewal::Held { cancel_requested: fields.text_or_nil()? })
            }
        };
        tags.iter().map(|_| renewal(answers.next())).collect()
    }

    async fn leave(&self, queues: &[String], holder: &str) -> Result<(), BrokerError> {
        let mut call = self.begin(&script::LEAVE).with(holder).with(MOVED);
        for queue in queues {
            call.push(queue);
        }
        for _ in 0..LONGEST_FAREWELL {
            let moved = Fields::of(Value::Array(vec![self.run(&call).await?]))?;
            if { moved }.number()? < MOVED as i64 {
                return Ok(());
            }
        }
        tracing::warn!(?queues, "more delayed messages than one goodbye moves are left to the next worker");
        Ok(())
    }

    fn priority_from_wire(&self, number: u8) -> u8 {
        MAX_PRIORITY.saturating_sub(number)
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        Arc::clone(&self.notifier) as Arc<dyn Notifier>
    }

    fn admin(&self) -> &dyn BrokerAdmin {
        self
    }
}
