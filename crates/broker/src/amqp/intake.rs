//! What one queue pushes to us: a buffer in front of the worker, never larger than its free slots.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use celeriac_protocol::{Clock, Envelope, Timestamp};
use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::{SelectAll, StreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::{OwnedMutexGuard, broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

use super::acks::{Acks, Words};
use super::delay;
use super::link::{Line, failed, unavailable};
use super::moves::{Move, Why};
use super::topology;
use super::wire::{self, Counts, Priorities, Read};
use crate::{BrokerError, LeaseTag, Notice};

/// How many messages that come a moment before their time may wait here beside those that are worked on.
const PARKED: usize = 1_000;

/// By how many messages the room for those grows.
const PARKED_STEP: usize = 100;

/// The largest room that AMQP knows.
const MOST_GRANTED: usize = u16::MAX as usize;

/// How many messages in a row that come again are taken for those of holders who vanished, and moved with the count in
/// them. More than that in a row come from a server that crashed, which says so of every message that it has: were they
/// all moved before one is handed out, a long queue would seem empty for minutes.
const MOST_AGAIN: u32 = 1_000;

/// How many orders may wait for the task that reads.
const ORDERS: usize = 16;

/// A message that has come and is nobody's yet.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) envelope: Envelope,
    pub(super) counts: Counts,
    pub(super) tag: LeaseTag,
}

/// What has come, between the task that reads and those who fetch.
pub(super) struct Shelf {
    pub(super) queue: String,
    /// Names the channel in lease tags.
    pub(super) key: i64,
    pub(super) channel: Channel,
    ready: Mutex<VecDeque<Arrived>>,
    /// Messages that come less than a second before their time, by it.
    parked: Mutex<BTreeMap<(Timestamp, i64), Arrived>>,
    acks: Mutex<Acks>,
    /// Held from where it is decided what is said to where that is on its way.
    ack_order: tokio::sync::Mutex<()>,
    /// Whether somebody has come away with less than he asked for.
    hungry: AtomicBool,
    ended: AtomicBool,
    /// How often it was looked at since somebody last fetched.
    untouched: AtomicU32,
}

impl Shelf {
    fn ready(&self) -> std::sync::MutexGuard<'_, VecDeque<Arrived>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acks(&self) -> std::sync::MutexGuard<'_, Acks> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parked(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Timestamp, i64), Arrived>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether leases from here still hold: the channel is the lease.
    pub(super) fn is_alive(&self) -> bool {
        !self.ended.load(Ordering::Acquire) && self.channel.status().connected()
    }

    /// Says whether somebody asked in vain since the last time, and forgets it.
    fn was_hungry(&self) -> bool {
        self.hungry.swap(false, Ordering::AcqRel)
    }

    /// Takes one message that is due.
    pub(super) fn take(&self, now: Timestamp) -> Option<Arrived> {
        // Said before it is looked: what comes right after is told.
        self.hungry.store(true, Ordering::Release);
        self.untouched.store(0, Ordering::Relaxed);
        let mut parked = self.parked();
        if let Some(first) = parked.first_entry().filter(|first| first.key().0 <= now) {
            return Some(first.remove());
        }
        drop(parked);
        self.ready().pop_front()
    }

    /// Takes all, also what is not due.
    fn take_all(&self) -> Vec<Arrived> {
        let mut all: Vec<Arrived> = self.ready().drain(..).collect();
        all.extend(std::mem::take(&mut *self.parked()).into_values());
        all
    }

    /// Puts back what could not be given back to the queue.
    pub(super) fn put_back(&self, arrived: Vec<Arrived>) {
        self.ready().extend(arrived);
    }

    /// Returns when the first message here is due that is not.
    pub(super) fn next_due_at(&self) -> Option<Timestamp> {
        self.parked().first_key_value().map(|((due_at, _), _)| *due_at)
    }

    /// Acknowledges messages of this channel. What ends the channel ends all that is not acknowledged.
    pub(super) async fn ack(&self, tags: &[LeaseTag]) -> lapin::Result<()> {
        let numbers = tags.iter().filter_map(|tag| u64::try_from(tag.fence).ok()).collect();
        // What was acknowledged by another's word, were that to overtake this one, would be unknown to the server.
        let _order = self.ack_order.lock().await;
        let Words { up_to, each } = self.acks().done(numbers);
        let ack = |number, multiple| self.channel.basic_ack(number, BasicAckOptions { multiple });
        let together = up_to.map(|number| ack(number, true));
        try_join_all(together.into_iter().chain(each.into_iter().map(|number| ack(number, false)))).await?;
        Ok(())
    }
}

/// What the task that reads is told.
enum Order {
    /// Read this one too.
    Add(Consumer),
    /// Say when all that has come is on the shelf.
    Mark(oneshot::Sender<()>),
}

/// Is responsible for one channel on which one queue pushes.
pub(super) struct Intake {
    pub(super) shelf: Arc<Shelf>,
    /// The connection that it belongs to.
    pub(super) line: u64,
    name: ShortString,
    /// One change at a time.
    flow: Arc<tokio::sync::Mutex<Flow>>,
    orders: mpsc::Sender<Order>,
    held: Mutex<Held>,
    /// The change that is under way: it comes to its end when its caller's time is over, too.
    change: Mutex<JoinSet<()>>,
    _reading: JoinSet<()>,
}

/// How much the server may push.
#[derive(Default)]
struct Flow {
    granted: usize,
    consumers: Vec<ShortString>,
}

/// The messages that are held and take room of the consumers that there are.
#[derive(Default)]
struct Held {
    messages: usize,
    /// The last number of the channel that came by consumers that there are no more; what came by them takes no room.
    past: i64,
}

/// What reading needs of the rest.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) local: broadcast::Sender<Notice>,
    pub(super) moves: mpsc::Sender<Move>,
    pub(super) priorities: Priorities,
}

impl Intake {
    /// Opens a channel for a queue that is declared.
    pub(super) async fn open(
        line: &Line,
        queue: &str,
        key: i64,
        around: Surroundings,
    ) -> Result<Self, BrokerError> {
        let shelf = Arc::new(Shelf {
            queue: queue.to_owned(),
            key,
            channel: line.channel().await?,
            ready: Mutex::default(),
            parked: Mutex::default(),
            acks: Mutex::default(),
            ack_order: tokio::sync::Mutex::default(),
            hungry: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            untouched: AtomicU32::new(0),
        });
        let (orders, told) = mpsc::channel(ORDERS);
        let mut reading = JoinSet::new();
        reading.spawn(Reader { shelf: Arc::clone(&shelf), around, again: AtomicU32::new(0) }.run(told));
        Ok(Self {
            shelf,
            line: line.number,
            name: topology::name(queue)?,
            flow: Arc::default(),
            orders,
            held: Mutex::default(),
            change: Mutex::default(),
            _reading: reading,
        })
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a message is worked on.
    pub(super) fn hold(&self, tag: LeaseTag) {
        let mut held = self.held();
        held.messages += usize::from(tag.fence > held.past);
    }

    /// Notes that it is no more.
    pub(super) fn let_go(&self, tag: LeaseTag) {
        let mut held = self.held();
        let takes_room = usize::from(tag.fence > held.past);
        held.messages = held.messages.saturating_sub(takes_room);
    }

    /// Makes a change that comes to its end also when its caller's time is over meanwhile: a consumer of which nobody
    /// knows would be given messages that nobody reads.
    async fn change<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, BrokerError>> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (tell, told) = oneshot::channel();
        {
            let mut changes = self.change.lock().unwrap_or_else(PoisonError::into_inner);
            // Those before have ended, as one waits for the other.
            while changes.try_join_next().is_some() {}
            // Whoever waited may have gone.
            changes.spawn(async move { drop(tell.send(change.await)) });
        }
        told.await.map_err(unavailable)?
    }

    /// Lets the server push as much as can be worked on: what is held, and `free` more.
    pub(super) async fn grant(&self, free: usize) -> Result<(), BrokerError> {
        let flow = Arc::clone(&self.flow).lock_owned().await;
        let parked = self.shelf.parked().len().min(PARKED).next_multiple_of(PARKED_STEP);
        let wanted = (self.held().messages + parked + free).min(MOST_GRANTED);
        if flow.granted >= wanted {
            return Ok(());
        }
        let (channel, name, orders) = (self.shelf.channel.clone(), self.name.clone(), self.orders.clone());
        self.change(widen(flow, wanted, channel, name, orders)).await?;
        self.catch_up().await.map(drop)
    }

    /// Waits until whatever the queue has pushed so far is on the shelf: an answer of the queue's, and
    /// then one of the channel's, which comes behind what the queue has pushed. Returns how many messages
    /// it has still to push, to us or to others.
    pub(super) async fn catch_up(&self) -> Result<u32, BrokerError> {
        let channel = &self.shelf.channel;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = channel.queue_declare(self.name.clone(), passive, FieldTable::default());
        let queue = asked.await.map_err(failed)?;
        channel.basic_qos(1, BasicQosOptions::default()).await.map_err(failed)?;
        self.settle_down().await?;
        Ok(queue.message_count())
    }

    /// Waits until all that has come is on the shelf.
    async fn settle_down(&self) -> Result<(), BrokerError> {
        let (mark, done) = oneshot::channel();
        self.orders.send(Order::Mark(mark)).await.map_err(unavailable_reader)?;
        done.await.map_err(unavailable)
    }

    /// Takes no more, and returns what is on the shelf. What is held goes on, and takes no room of those who come next.
    pub(super) async fn rest(&self) -> Result<Vec<Arrived>, BrokerError> {
        let flow = Arc::clone(&self.flow).lock_owned().await;
        let _flow = self.change(close(flow, self.shelf.channel.clone())).await?;
        self.settle_down().await?;
        let last = self.shelf.acks().last();
        *self.held() = Held { messages: 0, past: i64::try_from(last).unwrap_or(i64::MAX) };
        Ok(self.shelf.take_all())
    }

    /// Says whether somebody else takes from the queue, too.
    pub(super) async fn is_shared(&self) -> Result<bool, BrokerError> {
        let own = self.flow.lock().await.consumers.len();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = self.shelf.channel.queue_declare(self.name.clone(), passive, FieldTable::default());
        Ok(usize::try_from(asked.await.map_err(failed)?.consumer_count()).unwrap_or(usize::MAX) > own)
    }

    /// Says whether there is something here that nobody has asked for since `looks` looks.
    pub(super) fn is_hoarding(&self, looks: u32) -> bool {
        let has_some = !self.shelf.ready().is_empty();
        has_some && self.shelf.untouched.fetch_add(1, Ordering::Relaxed) >= looks
    }
}

/// Makes room for more: a consumer keeps the room that it began with, so there is another for what is missing.
async fn widen(
    mut flow: OwnedMutexGuard<Flow>,
    wanted: usize,
    channel: Channel,
    name: ShortString,
    orders: mpsc::Sender<Order>,
) -> Result<(), BrokerError> {
    let more = u16::try_from(wanted - flow.granted).unwrap_or(u16::MAX);
    channel.basic_qos(more, BasicQosOptions::default()).await.map_err(failed)?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(name, "".into(), options, FieldTable::default());
    let consumer = consumer.await.map_err(failed)?;
    flow.consumers.push(consumer.tag());
    flow.granted = wanted;
    orders.send(Order::Add(consumer)).await.map_err(unavailable_reader)
}

/// Ends all consumers; one that could not be ended is ended by the next try.
async fn close(
    mut flow: OwnedMutexGuard<Flow>,
    channel: Channel,
) -> Result<OwnedMutexGuard<Flow>, BrokerError> {
    // Whoever fetches next begins anew, come what may.
    flow.granted = 0;
    while let Some(tag) = flow.consumers.last().cloned() {
        channel.basic_cancel(tag, BasicCancelOptions::default()).await.map_err(failed)?;
        flow.consumers.pop();
    }
    Ok(flow)
}

fn unavailable_reader<T>(_: mpsc::error::SendError<T>) -> BrokerError {
    unavailable(std::io::Error::other("the channel has ended"))
}

/// Reads what is pushed, and sorts it.
struct Reader {
    shelf: Arc<Shelf>,
    around: Surroundings,
    /// How many messages in a row have come again.
    again: AtomicU32,
}

impl Reader {
    async fn run(self, mut orders: mpsc::Receiver<Order>) {
        let mut consumers: SelectAll<Consumer> = SelectAll::new();
        loop {
            let mark = tokio::select! {
                biased;
                Some(delivery) = consumers.next(), if !consumers.is_empty() => {
                    if !self.heed(delivery).await || !self.heed_burst(&mut consumers).await {
                        return;
                    }
                    None
                }
                order = orders.recv() => match order {
                    Some(Order::Add(consumer)) => {
                        consumers.push(consumer);
                        None
                    }
                    Some(Order::Mark(mark)) => Some(mark),
                    None => return,
                },
            };
            let Some(mark) = mark else { continue };
            // Something may have come since it was looked for, and before the mark was made.
            if !self.heed_all(&mut consumers).await {
                return;
            }
            // Whoever waited may have gone.
            mark.send(()).ok();
        }
    }

    /// Heeds whatever comes together with the first of it, and then wakes whoever waits for that: who is woken for each
    /// asks for each. Says whether more may come.
    async fn heed_burst(&self, consumers: &mut SelectAll<Consumer>) -> bool {
        // Those who are busy go first, and meanwhile more comes; where nobody is this takes no time.
        tokio::task::yield_now().await;
        self.heed_all(consumers).await
    }

    /// Heeds all that has come. The server sends no more than it was granted, so there is an end.
    async fn heed_all(&self, consumers: &mut SelectAll<Consumer>) -> bool {
        while let Some(Some(delivery)) = consumers.next().now_or_never() {
            if !self.heed(delivery).await {
                return false;
            }
        }
        if !self.shelf.ready().is_empty() && self.shelf.was_hungry() {
            self.wake();
        }
        true
    }

    /// Puts what has come on the shelf; says whether more may come.
    async fn heed(&self, delivery: lapin::Result<lapin::message::Delivery>) -> bool {
        match delivery {
            Ok(delivery) => {
                self.receive(delivery).await;
                true
            }
            Err(error) => {
                self.end(&error);
                false
            }
        }
    }

    /// The channel has ended: its leases are lost, and somebody had better fetch, which makes a new one.
    fn end(&self, error: &lapin::Error) {
        tracing::debug!(queue = self.shelf.queue, %error, "a channel has ended");
        self.shelf.ended.store(true, Ordering::Release);
        self.shelf.take_all();
        self.wake();
    }

    fn wake(&self) {
        // Nobody listening is no fault.
        self.around.local.send(Notice::Queue(self.shelf.queue.clone())).ok();
    }

    async fn receive(&self, delivery: lapin::message::Delivery) {
        let lapin::message::Delivery { delivery_tag, redelivered, properties, data, .. } = delivery;
        self.shelf.acks().came(delivery_tag);
        let tag = LeaseTag { key: self.shelf.key, fence: i64::try_from(delivery_tag).unwrap_or(i64::MAX) };
        match wire::read(&properties, data, &self.shelf.queue, self.around.priorities) {
            Ok(read) => self.sort(read, tag, redelivered).await,
            Err((error, data)) => {
                let why = Why::Unreadable {
                    properties: Box::new(properties),
                    error: error.to_string(),
                    body: data,
                };
                self.send_away(tag, why).await;
            }
        }
    }

    async fn sort(&self, read: Read, tag: LeaseTag, redelivered: bool) {
        let Read { envelope, mut counts, returned } = read;
        let now = self.around.clock.now();
        if redelivered && returned == 0 {
            // A classic queue says that there was a holder who vanished, and not how many: the message says it.
            counts.handed = counts.handed.saturating_add(1);
            counts.lost = counts.lost.saturating_add(1);
            if self.is_a_holders() {
                counts.attempts = counts.attempts.saturating_add(1);
                return self.send_away(tag, Why::Again { envelope, counts }).await;
            }
        } else {
            self.again.store(0, Ordering::Relaxed);
        }
        for count in [&mut counts.handed, &mut counts.attempts, &mut counts.lost] {
            *count = count.saturating_add(returned);
        }
        let due_at = envelope.due_at.filter(|due_at| *due_at > now);
        let arrived = Arrived { envelope, counts, tag };
        let Some(due_at) = due_at else {
            self.shelf.ready().push_back(arrived);
            return;
        };
        if delay::seconds_until(due_at, now) > 0 && delay::can_be_delayed(&self.shelf.queue) {
            let Arrived { envelope, counts, tag } = arrived;
            return self.send_away(tag, Why::Early { envelope, counts }).await;
        }
        self.shelf.parked().insert((due_at, tag.fence), arrived);
        // It takes room that is somebody's, and he is to know when it is due.
        self.wake();
    }

    /// Says whether a message that comes again is taken for one whose holder vanished. One that kills its holders does not
    /// escape: it comes back at the head of the queue, and whoever begins anew counts from there.
    fn is_a_holders(&self) -> bool {
        self.again.fetch_add(1, Ordering::Relaxed) < MOST_AGAIN
    }

    async fn send_away(&self, tag: LeaseTag, why: Why) {
        let shelf = Arc::clone(&self.shelf);
        // It ends only with the broker.
        self.around.moves.send(Move { shelf, tag, why }).await.ok();
    }
}

/// Numbers channels; no two of a process have the same.
pub(super) fn next_key() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
