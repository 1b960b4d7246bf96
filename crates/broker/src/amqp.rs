//! A queue in RabbitMQ, declared as Celery's, which Python clients and workers share with ours.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use celeriac_protocol::{Clock, Envelope, MAX_PRIORITY, Timestamp};
use futures_util::future::{join_all, try_join_all};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::dead::Died;
use self::held::{Held, Holding};
use self::intake::{Arrived, Intake, Shelf, Surroundings};
use self::link::{Link, not_taken};
use self::moves::{MOVES, Move, Mover};
use self::notices::Hub;
use self::publish::{Outgoing, Publisher};
use self::topology::declare_queue;
use self::wire::{Counts, Priorities};
use crate::{
    Broker, BrokerAdmin, BrokerError, Capabilities, Delivery, FetchRequest, Fetched, LeaseTag, Notice,
    Notifier, Publication, Renewal, Settle, Settled, Settlement,
};

mod acks;
mod admin;
mod binding;
mod dead;
mod delay;
mod ear;
mod held;
mod intake;
mod link;
mod moves;
mod notices;
mod options;
mod publish;
mod replies;
mod size;
mod table;
mod topology;
mod wire;

pub use self::binding::{Binding, BindingError, ExchangeType};
pub use self::options::AmqpOptions;
pub use self::replies::AmqpReplies;

/// The server's name in errors.
const PRODUCT: &str = "RabbitMQ";

/// How often a fetch that finds nothing asks a queue that says that it has something. The queue answers
/// before it has done what it was told before, and others may be first.
const CATCH_UPS: usize = 20;

/// Is responsible for the queues in one virtual host of RabbitMQ.
///
/// Queues, properties and headers are Celery's, so Python peers take what we publish and we take what they
/// publish. What Celery has no place for lies beside it in queues of ours, whose names begin with `celeriac.`.
///
/// The server pushes into a buffer no larger than the worker's free slots. A lease is a channel that lives.
pub struct AmqpBroker {
    core: Arc<Core>,
    /// Hears, speaks, moves and looks after the buffers as long as this lives.
    _work: JoinSet<()>,
}

impl std::fmt::Debug for AmqpBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AmqpBroker").field("options", &self.core.options).finish_non_exhaustive()
    }
}

/// What calls and tasks share.
struct Core {
    options: AmqpOptions,
    clock: Arc<dyn Clock>,
    /// For what comes: consumers, acknowledgements, declarations.
    incoming: Arc<Link>,
    publisher: Arc<Publisher>,
    mover: Arc<Mover>,
    moves: mpsc::Sender<Move>,
    hub: Arc<Hub>,
    intakes: tokio::sync::Mutex<HashMap<String, Arc<Intake>>>,
    held: Held,
    /// Since when which queues are paused.
    paused: Mutex<BTreeMap<String, Timestamp>>,
    /// Which of its queues the next fetch asks first.
    turn: AtomicUsize,
}

impl AmqpBroker {
    /// Connects to RabbitMQ and begins to hear of what happens there.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the options make no sense, or the server does not let us in;
    /// [`BrokerError::Unavailable`]: it does not answer.
    pub async fn open(options: AmqpOptions, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        options.validate()?;
        let places = options.places().await?;
        let link = |what: &str| {
            let name = format!("celeriac {} {what}", std::process::id());
            Arc::new(Link::new(places.clone(), name, options.deadline))
        };
        let (incoming, outgoing) = (link("incoming"), link("outgoing"));
        let publisher = Publisher::new(options.clone(), Arc::clone(&outgoing), Arc::clone(&incoming));
        let publisher = Arc::new(publisher);
        let priorities = Priorities { unset: options.unset_priority };
        let mover = Mover { publisher: Arc::clone(&publisher), clock: Arc::clone(&clock), priorities };
        let ((moves, to_move), (hub, unsent)) = (mpsc::channel(MOVES), Hub::new());
        let core = Arc::new(Core {
            options,
            clock,
            incoming,
            publisher,
            mover: Arc::new(mover),
            moves,
            hub: Arc::new(hub),
            intakes: tokio::sync::Mutex::default(),
            held: Held::default(),
            paused: Mutex::default(),
            turn: AtomicUsize::new(0),
        });
        let ear = core.incoming.in_time(ear::open(&core)).await?;
        let mut work = JoinSet::new();
        let mover = Arc::clone(&core.mover);
        work.spawn(async move { mover.run(to_move).await });
        work.spawn(ear::speak(Arc::clone(&core), unsent));
        work.spawn(ear::hear(Arc::clone(&core), ear));
        work.spawn(ear::look_after_buffers(Arc::clone(&core)));
        Ok(Self { core, _work: work })
    }
}

impl Core {
    fn priorities(&self) -> Priorities {
        Priorities { unset: self.options.unset_priority }
    }

    fn paused(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the channel on which a queue pushes, with room for `free` more messages.
    async fn intake(&self, queue: &str, free: usize) -> Result<Arc<Intake>, BrokerError> {
        let line = self.incoming.line().await?;
        let mut intakes = self.intakes.lock().await;
        let known = intakes.get(queue).filter(|known| known.line == line.number && known.shelf.is_alive());
        let intake = match known {
            Some(known) => Arc::clone(known),
            None => {
                declare_queue(&line, queue, &self.options).await?;
                let key = intake::next_key();
                let new = Arc::new(Intake::open(&line, queue, key, self.surroundings()).await?);
                intakes.insert(queue.to_owned(), Arc::clone(&new));
                new
            }
        };
        drop(intakes);
        intake.grant(free).await?;
        Ok(intake)
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            clock: Arc::clone(&self.clock),
            local: self.hub.local.clone(),
            moves: self.moves.clone(),
            priorities: self.priorities(),
        }
    }

    /// Takes no more of a queue, and gives back what nobody has begun.
    async fn rest(&self, queue: &str) -> Result<(), BrokerError> {
        let Some(intake) = self.intakes.lock().await.get(queue).cloned() else { return Ok(()) };
        if !intake.shelf.is_alive() {
            return Ok(());
        }
        let arrived = self.incoming.in_time(intake.rest()).await?;
        self.mover.give_back(&intake.shelf, arrived).await
    }

    /// Does the same where somebody else takes from the queue.
    async fn give_back_to_others(&self, queue: &str) -> Result<(), BrokerError> {
        let Some(intake) = self.intakes.lock().await.get(queue).cloned() else { return Ok(()) };
        if intake.shelf.is_alive() && self.incoming.in_time(intake.is_shared()).await? {
            return self.rest(queue).await;
        }
        Ok(())
    }

    /// Begins with another queue each time, and leaves out those that are paused.
    fn open_queues<'q>(&self, queues: &'q [String]) -> Vec<&'q str> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % queues.len().max(1);
        let paused = self.paused();
        let rotated = queues.iter().cycle().skip(turn).take(queues.len());
        rotated.map(String::as_str).filter(|queue| !paused.contains_key(*queue)).collect()
    }

    fn deliver(&self, intake: &Intake, arrived: Arrived, lease: std::time::Duration) -> Delivery {
        let Arrived { envelope, counts, tag } = arrived;
        self.held.hold(tag, Holding { id: envelope.id.clone(), shelf: Arc::clone(&intake.shelf) });
        intake.hold(tag);
        Delivery {
            envelope,
            tag,
            delivery: counts.handed.saturating_add(1),
            attempt: counts.attempts.saturating_add(1),
            lost: counts.lost,
            leased_until: self.clock.now() + lease,
            cancel_requested: None,
        }
    }

    /// Takes from the shelves until there is enough, one of each at a time.
    fn take(&self, intakes: &[Arc<Intake>], request: &FetchRequest<'_>, taken: &mut Vec<Delivery>) {
        let now = self.clock.now();
        let mut before = None;
        while taken.len() < request.max && before != Some(taken.len()) {
            before = Some(taken.len());
            for intake in intakes {
                if taken.len() == request.max {
                    return;
                }
                if let Some(arrived) = intake.shelf.take(now) {
                    taken.push(self.deliver(intake, arrived, request.lease));
                }
            }
        }
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        let queues = self.open_queues(request.queues);
        let intakes = try_join_all(queues.iter().map(|queue| self.intake(queue, request.max))).await?;
        let mut deliveries = Vec::new();
        self.take(&intakes, request, &mut deliveries);
        for _ in 0..CATCH_UPS {
            // What is in hand waits for no more: the next fetch has that.
            if !deliveries.is_empty() {
                break;
            }
            let caught_up = try_join_all(intakes.iter().map(|intake| intake.catch_up())).await;
            self.take(&intakes, request, &mut deliveries);
            match caught_up {
                Ok(left) if left.iter().all(|left| *left == 0) => break,
                Ok(_) => {}
                // What is in hand is not lost for it.
                Err(_) if !deliveries.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        let next_due_at = intakes.iter().filter_map(|intake| intake.shelf.next_due_at()).min();
        Ok(Fetched { deliveries, next_due_at })
    }

    /// Writes what becomes of a message that is not done with.
    fn outgoing(&self, settlement: &Settlement) -> Result<Option<Outgoing>, BrokerError> {
        let Settlement { delivery, settle } = settlement;
        let (now, counts) = (self.clock.now(), counts_of(delivery));
        Ok(Some(match settle {
            Settle::Ack => return Ok(None),
            Settle::Requeue { content, due_at, charged } => {
                let mut envelope = delivery.envelope.clone();
                envelope.due_at = due_at.or(envelope.due_at);
                if let Some(content) = content {
                    envelope.content = content.clone();
                }
                let attempts = if *charged { delivery.attempt } else { delivery.attempt.saturating_sub(1) };
                let counts = Counts { handed: delivery.delivery, attempts, lost: 0 };
                self.write(&envelope, counts, now)?
            }
            Settle::Reject { reason, detail } => {
                let died = Died { envelope: &delivery.envelope, counts };
                dead::letter(&died, reason, detail, now, self.priorities())?
            }
        }))
    }

    fn write(&self, envelope: &Envelope, counts: Counts, now: Timestamp) -> Result<Outgoing, BrokerError> {
        let written = wire::write(envelope, counts, self.priorities()).map_err(not_taken)?;
        let seconds = envelope.due_at.map_or(0, |due_at| delay::seconds_until(due_at, now));
        Outgoing::to(&envelope.queue, seconds, written)
    }

    /// Publishes what does not end with its acknowledgement.
    async fn publish_settlements(&self, settlements: &[(&Settlement, Holding)]) -> Result<(), BrokerError> {
        let outgoing: Result<Vec<_>, _> =
            settlements.iter().filter_map(|(one, _)| self.outgoing(one).transpose()).collect();
        let outgoing = outgoing?;
        if outgoing.is_empty() {
            return Ok(());
        }
        self.publisher.publish(&outgoing).await
    }

    fn let_go(&self, intakes: &HashMap<String, Arc<Intake>>, queue: &str, tag: LeaseTag) {
        if let Some(intake) = intakes.get(queue).filter(|intake| intake.shelf.key == tag.key) {
            intake.let_go(tag);
        }
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        let claimed: Vec<Option<Holding>> =
            settlements.iter().map(|one| self.held.claim(one.delivery.tag)).collect();
        let ours: Vec<(&Settlement, Holding)> = settlements
            .iter()
            .zip(&claimed)
            .filter_map(|(one, holding)| Some((one, holding.clone()?)))
            .collect();
        if let Err(error) = self.publish_settlements(&ours).await {
            for (one, holding) in ours {
                self.held.hold(one.delivery.tag, holding);
            }
            return Err(error);
        }
        let acked = self.incoming.in_time(async { Ok(acknowledge(&ours).await) }).await;
        let intakes = self.intakes.lock().await;
        for (one, _) in &ours {
            self.let_go(&intakes, &one.delivery.envelope.queue, one.delivery.tag);
        }
        drop(intakes);
        for (one, _) in &ours {
            if let Settle::Requeue { .. } = one.settle {
                self.hub.tell_here(Notice::Queue(one.delivery.envelope.queue.clone()));
            }
        }
        let lost = acked?;
        let settled = claimed.iter().zip(settlements).map(|(holding, one)| match (holding, &one.settle) {
            (None, _) => Settled::LeaseLost,
            (Some(holding), Settle::Ack) if lost.contains(&holding.shelf.key) => Settled::LeaseLost,
            // It is published, so it was done, though whoever has the old one by now does it again.
            (Some(_), _) => Settled::Done,
        });
        Ok(settled.collect())
    }
}

/// Acknowledges what came on several channels; returns those channels that have ended, and with them the leases.
async fn acknowledge(settlements: &[(&Settlement, Holding)]) -> HashSet<i64> {
    let mut channels: HashMap<i64, (&Shelf, Vec<LeaseTag>)> = HashMap::new();
    for (one, holding) in settlements {
        let (_, tags) = channels.entry(holding.shelf.key).or_insert_with(|| (&*holding.shelf, Vec::new()));
        tags.push(one.delivery.tag);
    }
    let acks = channels.into_iter().map(async |(key, (shelf, tags))| (key, shelf.ack(&tags).await.is_err()));
    join_all(acks).await.into_iter().filter_map(|(key, has_ended)| has_ended.then_some(key)).collect()
}

fn counts_of(delivery: &Delivery) -> Counts {
    Counts { handed: delivery.delivery, attempts: delivery.attempt, lost: delivery.lost }
}

#[async_trait]
impl Broker for AmqpBroker {
    fn capabilities(&self) -> Capabilities {
        let told_apart = self.core.options.max_priority.map_or(1, |highest| highest.min(MAX_PRIORITY) + 1);
        Capabilities {
            name: "amqp",
            native_delay: true,
            delivery_count: true,
            unique_keys: false,
            lookup: false,
            shared: true,
            exchanges: true,
            priorities: told_apart,
            transactional: false,
            durable: true,
            keeps_place: false,
            given_clock: false,
            push: true,
        }
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<Vec<Publication>, BrokerError> {
        let (core, now) = (&*self.core, self.core.clock.now());
        if let Some(envelope) = envelopes.iter().find(|envelope| envelope.unique_key.is_some()) {
            let id = &envelope.id;
            return Err(not_taken(format!(
                "job {id} has a unique key, and RabbitMQ can't keep a second one out"
            )));
        }
        let outgoing: Result<Vec<_>, _> =
            envelopes.iter().map(|envelope| core.write(envelope, Counts::default(), now)).collect();
        core.publisher.publish(&outgoing?).await?;
        let mut queues: Vec<&str> = envelopes.iter().map(|envelope| envelope.queue.as_str()).collect();
        queues.dedup();
        for queue in queues {
            core.hub.tell_here(Notice::Queue(queue.to_owned()));
        }
        Ok(vec![Publication::Accepted; envelopes.len()])
    }

    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, BrokerError> {
        if request.max == 0 {
            return Ok(Fetched::default());
        }
        self.core.incoming.in_time(self.core.fetch(request)).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, BrokerError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        self.core.settle(settlements).await
    }

    /// The server holds what is held as long as the channel lives; nothing is asked for that.
    async fn renew(
        &self,
        tags: &[LeaseTag],
        _lease: std::time::Duration,
    ) -> Result<Vec<Renewal>, BrokerError> {
        Ok(tags.iter().map(|tag| self.core.held.renew(*tag)).collect())
    }

    async fn leave(&self, queues: &[String], _holder: &str) -> Result<(), BrokerError> {
        for queue in queues {
            self.core.rest(queue).await?;
            // Another worker of this process may take from it, and has to ask anew.
            self.core.hub.tell_here(Notice::Queue(queue.clone()));
        }
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        Arc::clone(&self.core.hub) as Arc<dyn Notifier>
    }

    fn admin(&self) -> &dyn BrokerAdmin {
        self
    }
}
