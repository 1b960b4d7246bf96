//! A queue in memory: for eager mode, for tests, and for programs that need nothing to outlive them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::{Clock, Envelope, JobId, MAX_PRIORITY, Timestamp};
use tokio::sync::broadcast;

use crate::{
    Broker, BrokerAdmin, BrokerError, Cancellation, Capabilities, DeadLetter, DeadLetterPage, Delivery,
    FetchRequest, Fetched, Found, LeaseTag, MessageState, Notice, Notices, Notifier, Publication, QueueDepth,
    Renewal, Settle, Settled, Settlement,
};

/// How many notices a listener may fall behind before it is told that it lagged.
const NOTICES: usize = 256;

/// A queue in memory, shared by everybody who holds the same value.
#[derive(Debug)]
pub struct MemoryBroker {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    notifier: Arc<LocalNotifier>,
}

impl MemoryBroker {
    /// Makes an empty queue.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            notifier: Arc::new(LocalNotifier(broadcast::channel(NOTICES).0)),
        }
    }

    /// Returns the messages that wait, in the order in which they were published.
    pub fn waiting(&self) -> Vec<Envelope> {
        let state = self.lock();
        let mut waiting: Vec<(&i64, &Row)> =
            state.rows.iter().filter(|(_, row)| !matches!(row.place, Place::Leased { .. })).collect();
        waiting.sort_unstable_by_key(|(key, _)| **key);
        waiting.into_iter().map(|(_, row)| row.envelope.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the queue's lock panics")
    }

    fn wake(&self, queues: impl IntoIterator<Item = String>) {
        for queue in queues {
            self.notifier.notify(Notice::Queue(queue));
        }
    }
}

/// Carries notices within one process.
#[derive(Debug)]
struct LocalNotifier(broadcast::Sender<Notice>);

impl Notifier for LocalNotifier {
    fn notify(&self, notice: Notice) {
        // Nobody listening is no fault.
        let _ = self.0.send(notice);
    }

    fn listen(&self) -> Notices {
        self.0.subscribe()
    }
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<i64, Row>,
    by_id: HashMap<JobId, i64>,
    by_unique_key: HashMap<String, i64>,
    /// What could be handed out now: by queue, then highest priority, then oldest.
    ready: BTreeMap<String, BTreeSet<(u8, i64)>>,
    delayed: BTreeSet<(Timestamp, i64)>,
    leased: BTreeSet<(Timestamp, i64)>,
    paused: BTreeMap<String, Timestamp>,
    dead: BTreeMap<i64, DeadLetter>,
    last_key: i64,
    last_fence: i64,
    turn: usize,
}

#[derive(Debug)]
struct Row {
    envelope: Envelope,
    place: Place,
    ready_at: Timestamp,
    delivery: u32,
    attempt: u32,
    lost: u32,
    cancel_requested: Option<String>,
}

#[derive(Clone, Debug)]
enum Place {
    Ready,
    Delayed { until: Timestamp },
    Leased { until: Timestamp, fence: i64, holder: String },
}

impl State {
    fn insert(&mut self, envelope: Envelope, now: Timestamp) -> Publication {
        if let Some(key) = self.occupant(&envelope) {
            return Publication::Duplicate(self.rows[&key].envelope.id.clone());
        }
        self.last_key += 1;
        let key = self.last_key;
        self.by_id.insert(envelope.id.clone(), key);
        if let Some(unique) = &envelope.unique_key {
            self.by_unique_key.insert(unique.clone(), key);
        }
        let due_at = envelope.due_at;
        let row = Row {
            envelope,
            place: Place::Ready,
            ready_at: now,
            delivery: 0,
            attempt: 0,
            lost: 0,
            cancel_requested: None,
        };
        self.rows.insert(key, row);
        self.put(key, due_at, now);
        Publication::Accepted
    }

    fn occupant(&self, envelope: &Envelope) -> Option<i64> {
        let unique = envelope.unique_key.as_ref().and_then(|unique| self.by_unique_key.get(unique));
        self.by_id.get(&envelope.id).or(unique).copied()
    }

    /// Puts a row that stands nowhere where it belongs.
    fn put(&mut self, key: i64, due_at: Option<Timestamp>, now: Timestamp) {
        let row = self.rows.get_mut(&key).expect("only rows that exist are put");
        if let Some(until) = due_at.filter(|due| *due > now) {
            row.place = Place::Delayed { until };
            row.ready_at = until;
            self.delayed.insert((until, key));
        } else {
            row.place = Place::Ready;
            let rank = u8::MAX - row.envelope.effective_priority();
            self.ready.entry(row.envelope.queue.clone()).or_default().insert((rank, key));
        }
    }

    /// Takes a row from where it stands, so that it can be put elsewhere.
    fn lift(&mut self, key: i64) {
        let row = &self.rows[&key];
        match &row.place {
            Place::Ready => {
                let rank = u8::MAX - row.envelope.effective_priority();
                if let Some(ready) = self.ready.get_mut(&row.envelope.queue) {
                    ready.remove(&(rank, key));
                }
            }
            Place::Delayed { until } => drop(self.delayed.remove(&(*until, key))),
            Place::Leased { until, .. } => drop(self.leased.remove(&(*until, key))),
        }
    }

    fn remove(&mut self, key: i64) -> Row {
        self.lift(key);
        let row = self.rows.remove(&key).expect("only rows that exist are removed");
        self.by_id.remove(&row.envelope.id);
        if let Some(unique) = &row.envelope.unique_key {
            self.by_unique_key.remove(unique);
        }
        row
    }

    /// Moves what has fallen due to the ready ones, and takes back leases that have ended.
    fn promote(&mut self, now: Timestamp) {
        while let Some((until, key)) = self.delayed.first().copied().filter(|(until, _)| *until <= now) {
            self.delayed.remove(&(until, key));
            self.put(key, None, now);
        }
        while let Some((until, key)) = self.leased.first().copied().filter(|(until, _)| *until <= now) {
            self.leased.remove(&(until, key));
            if let Some(row) = self.rows.get_mut(&key) {
                row.lost += 1;
                row.ready_at = until;
            }
            self.put(key, None, now);
        }
    }

    fn lease(&mut self, key: i64, until: Timestamp, holder: &str) -> Delivery {
        self.lift(key);
        self.last_fence += 1;
        let fence = self.last_fence;
        self.leased.insert((until, key));
        let row = self.rows.get_mut(&key).expect("only rows that exist are leased");
        row.place = Place::Leased { until, fence, holder: holder.to_owned() };
        row.delivery += 1;
        row.attempt += 1;
        Delivery {
            envelope: row.envelope.clone(),
            tag: LeaseTag { key, fence },
            delivery: row.delivery,
            attempt: row.attempt,
            lost: row.lost,
            leased_until: until,
            cancel_requested: row.cancel_requested.clone(),
        }
    }

    fn holds(&self, tag: LeaseTag) -> bool {
        matches!(self.rows.get(&tag.key), Some(Row { place: Place::Leased { fence, .. }, .. }) if *fence == tag.fence)
    }

    fn settle(&mut self, settlement: &Settlement, now: Timestamp) -> Settled {
        let tag = settlement.delivery.tag;
        if !self.holds(tag) {
            return Settled::LeaseLost;
        }
        match &settlement.settle {
            Settle::Ack => drop(self.remove(tag.key)),
            Settle::Reject { reason, detail } => {
                let row = self.remove(tag.key);
                self.bury(row, reason, detail, now);
            }
            Settle::Requeue { content, due_at, charged } => {
                self.lift(tag.key);
                let row = self.rows.get_mut(&tag.key).expect("the lease says it is there");
                row.lost = 0;
                row.attempt -= u32::from(!charged);
                if let Some(content) = content {
                    row.envelope.content = content.clone();
                }
                if due_at.is_some() {
                    row.envelope.due_at = *due_at;
                    row.ready_at = now;
                }
                self.put(tag.key, *due_at, now);
            }
        }
        Settled::Done
    }

    fn bury(&mut self, row: Row, reason: &str, detail: &str, now: Timestamp) {
        self.last_key += 1;
        let key = self.last_key;
        let letter = DeadLetter {
            key,
            envelope: row.envelope,
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            delivery: row.delivery,
            attempt: row.attempt,
            died_at: now,
        };
        self.dead.insert(key, letter);
    }

    fn next_due_at(&self) -> Option<Timestamp> {
        let delayed = self.delayed.first().map(|(until, _)| *until);
        let leased = self.leased.first().map(|(until, _)| *until);
        delayed.into_iter().chain(leased).min()
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "memory",
            native_delay: true,
            delivery_count: true,
            unique_keys: true,
            lookup: true,
            shared: false,
            exchanges: false,
            priorities: MAX_PRIORITY + 1,
            transactional: false,
            durable: false,
            keeps_place: true,
            given_clock: true,
            push: false,
        }
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        let now = self.clock.now();
        let queues: BTreeSet<String> = envelopes.iter().map(|envelope| envelope.queue.clone()).collect();
        let mut state = self.lock();
        let publications = envelopes.into_iter().map(|envelope| state.insert(envelope, now)).collect();
        drop(state);
        self.wake(queues);
        Ok(publications)
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        let now = self.clock.now();
        let mut state = self.lock();
        state.promote(now);
        state.turn = state.turn.wrapping_add(1);
        let mut keys = Vec::new();
        let queues = request.queues.len();
        for i in 0..queues {
            let queue = &request.queues[(state.turn + i) % queues];
            if !state.paused.contains_key(queue) {
                let ready = state.ready.get(queue).into_iter().flatten();
                keys.extend(ready.take(request.max - keys.len()).map(|(_, key)| *key));
            }
        }
        let until = now + request.lease;
        let deliveries = keys.into_iter().map(|key| state.lease(key, until, request.holder)).collect();
        Ok(Fetched { deliveries, next_due_at: state.next_due_at() })
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        let now = self.clock.now();
        let mut state = self.lock();
        let settled = settlements.iter().map(|settlement| state.settle(settlement, now)).collect();
        drop(state);
        let back = settlements.iter().filter(|one| matches!(one.settle, Settle::Requeue { .. }));
        self.wake(back.map(|one| one.delivery.envelope.queue.clone()).collect::<BTreeSet<_>>());
        Ok(settled)
    }

    async fn renew(&self, tags: &[LeaseTag], lease: Duration) -> Result<Vec<Renewal>, BrokerError> {
        let until = self.clock.now() + lease;
        let mut state = self.lock();
        let renew = |tag: &LeaseTag| {
            if !state.holds(*tag) {
                return Renewal::Lost;
            }
            state.lift(tag.key);
            state.leased.insert((until, tag.key));
            let row = state.rows.get_mut(&tag.key).expect("the lease says it is there");
            if let Place::Leased { until: end, .. } = &mut row.place {
                *end = until;
            }
            Renewal::Held { cancel_requested: row.cancel_requested.clone() }
        };
        Ok(tags.iter().map(renew).collect())
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        Arc::clone(&self.notifier) as Arc<dyn Notifier>
    }

    fn admin(&self) -> &dyn BrokerAdmin {
        self
    }
}

#[async_trait]
impl BrokerAdmin for MemoryBroker {
    async fn find(&self, id: &JobId) -> Result<Option<Found>, BrokerError> {
        let state = self.lock();
        Ok(state.by_id.get(id).map(|key| found(&state.rows[key], self.clock.now())))
    }

    async fn cancel(&self, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError> {
        let mut state = self.lock();
        let Some(key) = state.by_id.get(id).copied() else {
            return Ok(Cancellation::NotFound);
        };
        let row = state.rows.get_mut(&key).expect("ids point at rows that exist");
        if matches!(row.place, Place::Leased { .. }) {
            row.cancel_requested.get_or_insert_with(|| reason.to_owned());
            drop(state);
            self.notifier.notify(Notice::Cancel(id.clone()));
            return Ok(Cancellation::Requested);
        }
        Ok(Cancellation::Removed(Box::new(found(&state.remove(key), self.clock.now()))))
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        let mut state = self.lock();
        state.promote(self.clock.now());
        let mut depths: BTreeMap<String, QueueDepth> = BTreeMap::new();
        for (queue, paused_at) in &state.paused {
            depths.entry(queue.clone()).or_insert_with(|| empty(queue)).paused_at = Some(*paused_at);
        }
        for row in state.rows.values() {
            let queue = &row.envelope.queue;
            let depth = depths.entry(queue.clone()).or_insert_with(|| empty(queue));
            match row.place {
                Place::Ready => {
                    depth.ready += 1;
                    depth.oldest_ready_at =
                        Some(depth.oldest_ready_at.map_or(row.ready_at, |at| at.min(row.ready_at)));
                }
                Place::Delayed { .. } => depth.delayed += 1,
                Place::Leased { .. } => depth.held += 1,
            }
        }
        Ok(depths.into_values().collect())
    }

    async fn purge(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        let mut state = self.lock();
        let waits = |row: &Row| row.envelope.queue == queue && !matches!(row.place, Place::Leased { .. });
        let keys: Vec<i64> =
            state.rows.iter().filter(|(_, row)| waits(row)).map(|(key, _)| *key).take(max).collect();
        let now = self.clock.now();
        Ok(keys.into_iter().map(|key| found(&state.remove(key), now)).collect())
    }

    async fn pause(&self, queue: &str) -> Result<(), BrokerError> {
        let now = self.clock.now();
        self.lock().paused.entry(queue.to_owned()).or_insert(now);
        Ok(())
    }

    async fn resume(&self, queue: &str) -> Result<(), BrokerError> {
        self.lock().paused.remove(queue);
        self.wake([queue.to_owned()]);
        Ok(())
    }

    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<DeadLetterPage, BrokerError> {
        let state = self.lock();
        let mut newest_first = state.dead.range(..before.unwrap_or(i64::MAX)).rev();
        let letters: Vec<DeadLetter> =
            newest_first.by_ref().take(limit).map(|(_, letter)| letter.clone()).collect();
        let next = newest_first.next().and(letters.last()).map(|letter| letter.key);
        Ok(DeadLetterPage { letters, next })
    }

    async fn dead_letter(&self, id: &JobId) -> Result<Option<DeadLetter>, BrokerError> {
        Ok(self.lock().dead.values().rev().find(|letter| letter.envelope.id == *id).cloned())
    }

    async fn drop_dead(&self, keys: &[i64]) -> Result<u64, BrokerError> {
        let mut state = self.lock();
        Ok(keys.iter().filter(|key| state.dead.remove(key).is_some()).count() as u64)
    }

    async fn revive(&self, key: i64, envelope: Envelope) -> Result<Option<Publication>, BrokerError> {
        let now = self.clock.now();
        let queue = envelope.queue.clone();
        let mut state = self.lock();
        if !state.dead.contains_key(&key) {
            return Ok(None);
        }
        let publication = state.insert(envelope, now);
        if publication == Publication::Accepted {
            state.dead.remove(&key);
        }
        drop(state);
        self.wake([queue]);
        Ok(Some(publication))
    }
}

fn found(row: &Row, now: Timestamp) -> Found {
    let state = match &row.place {
        Place::Delayed { until } if *until > now => MessageState::Delayed { until: *until },
        Place::Ready | Place::Delayed { .. } => MessageState::Ready,
        Place::Leased { until, holder, .. } => MessageState::Held { holder: holder.clone(), until: *until },
    };
    Found { envelope: row.envelope.clone(), state, delivery: row.delivery, attempt: row.attempt }
}

fn empty(queue: &str) -> QueueDepth {
    QueueDepth {
        queue: queue.to_owned(),
        ready: 0,
        delayed: 0,
        held: 0,
        oldest_ready_at: None,
        paused_at: None,
    }
}
