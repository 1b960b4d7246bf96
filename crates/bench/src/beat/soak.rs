//! The schedulers and their servers, and what is done to them.

use std::time::{Duration, Instant};

use celeriac_db::Database;
use celeriac_engine::{Client, SystemClock};
use celeriac_protocol::Clock as _;
use celeriac_store::query::schedules::next_wake;

use super::entries::Window;
use super::plan::{Disturbance, Kind, Plan};
use super::{Options, Real, ScaledClock};
use crate::ground::{Ground, Transport};
use crate::process::Second;
use crate::setup::{self, Place, Records};
use crate::tasks;

/// How long a killed scheduler or server is gone.
const DOWN: Duration = Duration::from_secs(1);

/// How often a scheduler is started that ends before it is ready.
const STARTS: usize = 5;

/// How long nothing is done between two disturbances, and some more.
const CALM: Duration = Duration::from_secs(2);

/// How long the queue's server holds its breath before it is killed, so that what is on its way to it is in doubt.
const BREATH: Duration = Duration::from_millis(300);

/// How long a look at the outbox may fail, while its server is coming back.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// How long after the end of the window its last due time may be met, and the outbox be empty: what a killed relay
/// had in its hands waits a minute for another one.
const LONGEST_MEETING: Duration = Duration::from_secs(60);
const LONGEST_EMPTYING: Duration = Duration::from_secs(150);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// A soak as it goes on.
pub(super) struct Soak {
    pub(super) database: Database,
    pub(super) place: Place,
    pub(super) clock: ScaledClock,
    client: Client,
    ground: Ground,
    /// The queue's server, where it is not the database.
    queue: Option<Ground>,
    crew: Vec<Second>,
    /// How often the database was restarted.
    restarts: u32,
}

impl Soak {
    /// Starts the servers, and as many schedulers as there are to be.
    pub(super) async fn begin(options: &Options) -> anyhow::Result<Self> {
        let start = |transport: Transport| Ground::start(transport, transport.durabilities()[0]);
        let ground = start(Transport::Postgres)?;
        let queue = options.has_relay().then(|| start(options.transport)).transpose()?;
        let place = Place {
            queue: queue.as_ref().and_then(|queue| queue.place().queue),
            deadline_ms: Some(options.deadline_ms),
            ..ground.place()
        };
        // Its own transactions have the time that they need.
        let own = Place { deadline_ms: None, ..place.clone() };
        let (database, client) = setup::open_for(&own, Records::All, tasks::registry()).await?;
        let clock = ScaledClock::starting_now(options.speed);
        let (crew, restarts) = (Vec::new(), 0);
        let mut soak = Self { database, place, clock, client, ground, queue, crew, restarts };
        for _ in 0..options.schedulers {
            soak.start_scheduler()?;
        }
        Ok(soak)
    }

    fn start_scheduler(&mut self) -> anyhow::Result<()> {
        let mut arguments = vec!["scheduler".to_owned()];
        arguments.extend(self.place.arguments());
        arguments.extend(self.clock.arguments());
        // On a machine that is busy a server may not answer in time; whoever looks after services starts them again.
        for _ in 0..STARTS {
            let mut scheduler = Second::start(&arguments)?;
            if scheduler.line()?.as_deref() == Some("ready") {
                self.crew.push(scheduler);
                return Ok(());
            }
        }
        anyhow::bail!("a scheduler did not start")
    }

    /// Disturbs for as long as is asked for; by each kind at least once.
    pub(super) async fn disturb(
        &mut self,
        options: &Options,
        mut plan: Plan,
    ) -> anyhow::Result<Vec<Disturbance>> {
        let (mut done, begun) = (Vec::new(), Instant::now());
        while done.len() < plan.kinds().len() || begun.elapsed() < Duration::from_secs(options.seconds) {
            // Some calm between any two.
            tokio::time::sleep(CALM + plan.rest()).await;
            let (kind, victim) = (plan.next_kind(), plan.below(self.crew.len()));
            done.push(self.disturb_by(kind, victim, options.stop()).await?);
        }
        tokio::time::sleep(CALM).await;
        Ok(done)
    }

    async fn disturb_by(&mut self, kind: Kind, victim: usize, stop: Duration) -> anyhow::Result<Disturbance> {
        let at = SystemClock.now();
        let (back, unsure) = match kind {
            Kind::Kill => (at, self.kill(victim).await?),
            Kind::Stop => (at, self.stop(victim, stop).await?),
            Kind::Database => self.restart_database().await?,
            Kind::Broker => self.restart_queue().await?,
        };
        Ok(Disturbance { kind, at, back, over: SystemClock.now(), unsure })
    }

    async fn kill(&mut self, victim: usize) -> anyhow::Result<u64> {
        self.crew.swap_remove(victim).kill()?;
        let unsure = self.in_hands().await?;
        tokio::time::sleep(DOWN).await;
        self.start_scheduler()?;
        Ok(unsure)
    }

    async fn stop(&self, victim: usize, long: Duration) -> anyhow::Result<u64> {
        self.crew[victim].freeze()?;
        let unsure = self.in_hands().await?;
        tokio::time::sleep(long).await;
        self.crew[victim].thaw()?;
        Ok(unsure)
    }

    async fn restart_database(&mut self) -> anyhow::Result<(Real, u64)> {
        let before = self.in_hands().await?;
        self.restarts += 1;
        match self.restarts % 2 {
            1 => self.ground.kill(),
            _ => self.ground.stop(),
        }
        tokio::time::sleep(DOWN).await;
        self.ground.restart()?;
        let back = SystemClock.now();
        Ok((back, self.in_hands().await?.max(before)))
    }

    async fn restart_queue(&mut self) -> anyhow::Result<(Real, u64)> {
        let at = SystemClock.now();
        self.freeze_queue();
        tokio::time::sleep(BREATH).await;
        let unsure = self.in_hands().await?;
        if let Some(queue) = &mut self.queue {
            queue.kill();
            tokio::time::sleep(DOWN).await;
            queue.restart()?;
        }
        // Nobody needs it to meet a due time.
        Ok((at, unsure))
    }

    fn freeze_queue(&self) {
        if let Some(queue) = &self.queue {
            queue.freeze();
        }
    }

    /// Counts what is in the hands of relays. Asks again while the database is coming back.
    async fn in_hands(&self) -> anyhow::Result<u64> {
        Ok(self.outbox().await?.1)
    }

    /// Counts what waits in the outbox, and what relays have in their hands.
    async fn outbox(&self) -> anyhow::Result<(u64, u64)> {
        let begun = Instant::now();
        loop {
            match self.client.outbox_depths().await {
                Err(_) if begun.elapsed() < LONGEST_SILENCE => tokio::time::sleep(LOOK).await,
                depths => {
                    let sum = |(waiting, held), depth: &celeriac_broker::QueueDepth| {
                        (waiting + depth.ready + depth.delayed, held + depth.held)
                    };
                    return Ok(depths?.iter().fold((0, 0), sum));
                }
            }
        }
    }

    /// Waits until every due time of the window is met.
    pub(super) async fn until_all_is_met(&self, window: Window) -> anyhow::Result<()> {
        let begun = Instant::now();
        while next_wake(self.database.reader()).await?.is_some_and(|next| next <= window.end) {
            let waited = begun.elapsed();
            anyhow::ensure!(waited < LONGEST_MEETING, "entries are due {waited:?} after the end");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Ends the schedulers in order, and hands on what they have left in the outbox.
    pub(super) async fn dismiss(&mut self) -> anyhow::Result<()> {
        std::mem::take(&mut self.crew).into_iter().try_for_each(|scheduler| scheduler.stop().map(drop))?;
        let begun = Instant::now();
        loop {
            let (waiting, held) = self.outbox().await?;
            if waiting + held == 0 {
                return Ok(());
            }
            let waited = begun.elapsed();
            anyhow::ensure!(waited < LONGEST_EMPTYING, "{waiting} wait in the outbox, {held} are held");
            if let Err(error) = self.client.relay().await {
                println!("the relay tries again: {error}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Returns the servers.
    pub(super) fn end(self) -> (Ground, Option<Ground>) {
        (self.ground, self.queue)
    }
}
