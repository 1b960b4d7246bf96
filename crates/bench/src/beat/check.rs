//! What is there in the end: the rows of firings and jobs, and the messages of the queue.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use celeriac_broker::{FetchRequest, Settle, Settled, Settlement};
use celeriac_db::Database;
use celeriac_engine::Client;
use celeriac_protocol::{Envelope, TaskMessage, Timestamp};
use celeriac_store::query::jobs::{self, JobFilter, MAX_PAGE};
use celeriac_store::query::schedules::{Firing, firings_between};

use super::entries::Entry;

/// The queue of the task.
const QUEUE: &str = "celery";

/// How many messages are taken at a time, and for how long.
const BATCH: usize = 500;
const LEASE: Duration = Duration::from_secs(60);

/// How long a message that the queue counts may keep the checker waiting, and how often it looks: a server may need a
/// while to begin to hand out a long queue.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// The most firings that are read of one entry; more than any window has.
const MAX_FIRINGS: u64 = 1_000_000;

/// What was found.
pub(super) struct Found {
    /// By entry, in the order of the entries.
    pub(super) firings: Vec<Vec<Firing>>,
    /// The ids of the jobs that are recorded.
    pub(super) jobs: HashSet<String>,
    /// The messages by their ids.
    pub(super) messages: HashMap<String, Message>,
    /// Those which say that they may be the second of their run.
    pub(super) marked: Vec<Envelope>,
}

/// The messages of one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The entry that it says it comes from, and when that was due.
    pub(super) schedule: Option<String>,
    pub(super) due_at: Option<Timestamp>,
    /// How many there are.
    pub(super) count: u64,
}

impl Found {
    /// Reads it all; takes the messages out of their queue.
    pub(super) async fn read(
        database: &Database,
        client: &Client,
        entries: &[Entry],
    ) -> anyhow::Result<Self> {
        let (firings, jobs) = (firings(database, entries).await?, jobs(database).await?);
        let (messages, marked) = messages(client).await?;
        Ok(Self { firings, jobs, messages, marked })
    }
}

async fn firings(database: &Database, entries: &[Entry]) -> anyhow::Result<Vec<Vec<Firing>>> {
    let (first, last) = (Timestamp::EPOCH, Timestamp::from_micros(i64::MAX));
    let mut firings = Vec::with_capacity(entries.len());
    for entry in entries {
        firings.push(firings_between(database.reader(), entry.id, first, last, MAX_FIRINGS).await?);
    }
    Ok(firings)
}

async fn jobs(database: &Database) -> anyhow::Result<HashSet<String>> {
    let (mut ids, mut before) = (HashSet::new(), None);
    loop {
        let page = jobs::list(database.reader(), &JobFilter::default(), before, MAX_PAGE).await?;
        ids.extend(page.jobs.into_iter().map(|job| job.id.to_string()));
        match page.next {
            Some(next) => before = Some(next),
            None => return Ok(ids),
        }
    }
}

async fn messages(client: &Client) -> anyhow::Result<(HashMap<String, Message>, Vec<Envelope>)> {
    let queues = [QUEUE.to_owned()];
    let request = FetchRequest { queues: &queues, max: BATCH, lease: LEASE, holder: "checker" };
    let (mut messages, mut marked): (HashMap<String, Message>, _) = (HashMap::new(), Vec::new());
    let mut heard = Instant::now();
    loop {
        let deliveries = client.broker().fetch(&request).await?.deliveries;
        if deliveries.is_empty() {
            let left = left(client).await?;
            if left == 0 {
                return Ok((messages, marked));
            }
            anyhow::ensure!(heard.elapsed() < LONGEST_WAIT, "{left} messages are counted and not handed out");
            tokio::time::sleep(LOOK).await;
            continue;
        }
        heard = Instant::now();
        let let_go = deliveries.into_iter().map(|delivery| Settlement { delivery, settle: Settle::Ack });
        let settlements: Vec<Settlement> = let_go.collect();
        let settled = client.broker().settle(&settlements).await?;
        // One whose lease was lost meanwhile comes again, and is counted then.
        let done = settlements.iter().zip(settled).filter(|(_, settled)| *settled == Settled::Done);
        for (Settlement { delivery, .. }, _) in done {
            let header = TaskMessage::decode(&delivery.envelope)?.celeriac;
            if header.again_at.is_some() {
                marked.push(delivery.envelope.clone());
            }
            let new = Message { schedule: header.schedule, due_at: header.due_at, count: 0 };
            messages.entry(delivery.envelope.id.to_string()).or_insert(new).count += 1;
        }
    }
}

/// Counts what is in the queue still.
pub(super) async fn left(client: &Client) -> anyhow::Result<u64> {
    let depths = client.broker().admin().depths().await?;
    let of_queue = depths.iter().filter(|depth| depth.queue == QUEUE);
    Ok(of_queue.map(|depth| depth.ready + depth.delayed + depth.held).sum())
}
