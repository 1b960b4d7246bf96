//! What a worker makes of the second messages that were found: it is given both, and is to run one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use celeriac_engine::{Client, EventSink, Registry, States, Worker, WorkerOptions};
use celeriac_protocol::{Envelope, JobEvent, TaskMessage, What};
use tokio_util::sync::CancellationToken;

use super::check::{Message, left};
use crate::tasks::noop;

/// How long the worker may take; it puts second messages off for some seconds.
const LONGEST: Duration = Duration::from_secs(120);

/// How often it is looked whether it is done.
const LOOK: Duration = Duration::from_millis(200);

/// How many messages are published at a time.
const BATCH: usize = 500;

/// The two messages of one run: as they came, the second marked.
pub(super) struct Pair {
    first: Envelope,
    second: Envelope,
}

/// What a worker did with pairs.
#[must_use]
pub(super) struct Dropped {
    pairs: u64,
    runs: u64,
}

/// Counts the runs that end.
#[derive(Default)]
struct Runs(AtomicU64);

impl EventSink for Runs {
    fn tell(&self, event: &JobEvent) {
        let has_ended = matches!(event.what, What::Succeeded { .. } | What::Failed { .. });
        self.0.fetch_add(u64::from(has_ended), Ordering::Relaxed);
    }
}

/// Joins marked messages with those before them, where there were others of their ids.
///
/// # Errors
/// There are several messages of an id, and none is marked: a worker would run them all.
pub(super) fn pairs(
    marked: Vec<Envelope>,
    messages: &HashMap<String, Message>,
) -> anyhow::Result<HashMap<String, Pair>> {
    let mut pairs = HashMap::new();
    for second in marked {
        let id = second.id.to_string();
        if messages.get(&id).is_none_or(|message| message.count < 2) {
            continue;
        }
        let Ok(mut message) = TaskMessage::decode(&second) else { continue };
        message.celeriac.again_at = None;
        pairs.insert(id, Pair { first: message.encode(), second });
    }
    let several = messages.values().filter(|message| message.count > 1).count();
    anyhow::ensure!(several == pairs.len(), "of {several} second messages {} are marked", pairs.len());
    Ok(pairs)
}

/// Has a worker take both messages of each pair, and counts what it runs.
pub(super) async fn dropped(client: &Client, pairs: HashMap<String, Pair>) -> anyhow::Result<Dropped> {
    let (firsts, seconds): (Vec<_>, Vec<_>) =
        pairs.into_values().map(|pair| (pair.first, pair.second)).unzip();
    let (count, runs) = (firsts.len() as u64, Arc::new(Runs::default()));
    if count == 0 {
        return Ok(Dropped { pairs: 0, runs: 0 });
    }
    let all: Vec<Envelope> = firsts.into_iter().chain(seconds).collect();
    for batch in all.chunks(BATCH) {
        client.broker().publish(batch.to_vec()).await?;
    }
    client.events().add(Arc::clone(&runs) as Arc<dyn EventSink>);
    let registry = Registry::builder().task::<noop>().build()?;
    let worker = Worker::new(client.clone(), registry, States::default(), WorkerOptions::default())?;
    let stop = CancellationToken::new();
    let emptied = async {
        let _stops = stop.clone().drop_guard();
        until_empty(client).await
    };
    let ((), emptied) = tokio::join!(worker.run(stop.clone()), emptied);
    emptied?;
    Ok(Dropped { pairs: count, runs: runs.0.load(Ordering::Relaxed) })
}

async fn until_empty(client: &Client) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let left = left(client).await?;
        if left == 0 {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < LONGEST, "{left} messages of pairs are left");
    }
}

impl Dropped {
    pub(super) fn print(&self) {
        let dropped = (2 * self.pairs).saturating_sub(self.runs);
        println!("of pairs given to a worker:       {}, {dropped} second messages dropped", self.pairs);
    }

    pub(super) fn judge(&self) -> anyhow::Result<()> {
        let Self { pairs, runs } = self;
        anyhow::ensure!(pairs == runs, "a worker ran {runs} times what {pairs} pairs of messages ask for");
        Ok(())
    }
}
