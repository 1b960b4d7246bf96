//! Looks on from beside while a worker empties a queue in Redis, by Celery's own keys, which both sides use.

use std::time::{Duration, Instant};

use crate::ground::Ground;
use crate::process::{cpu_of_tree, memory_of_tree};
use crate::resp::Resp;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(1);

/// How long a worker may take, its start included.
const LONGEST: Duration = Duration::from_secs(300);

/// What one drain came to, from the first message taken to the last let go.
pub(super) struct Drain {
    took: Duration,
    /// Processor time of the worker's processes, and of the server.
    pub(super) worker_cpu: f64,
    pub(super) server_cpu: f64,
    /// The memory of the worker's processes.
    pub(super) mib: f64,
}

impl Drain {
    pub(super) fn rate(&self, jobs: usize) -> f64 {
        jobs as f64 / self.took.as_secs_f64()
    }
}

/// Waits until a worker process has drained the queue.
pub(super) fn drain(url: &str, jobs: usize, worker: u32, ground: &Ground) -> anyhow::Result<Drain> {
    let mut redis = Resp::connect(url)?;
    let begun = Instant::now();
    let left = |redis: &mut Resp| -> anyhow::Result<(usize, usize)> {
        anyhow::ensure!(begun.elapsed() < LONGEST, "the queue is not drained after {LONGEST:?}");
        let waiting = redis.number(&["LLEN", "celery"])?;
        Ok((usize::try_from(waiting)?, usize::try_from(redis.number(&["HLEN", "unacked"])?)?))
    };
    let mut cpu = (cpu_of_tree(worker)?, ground.cpu_seconds()?);
    let mut start = Instant::now();
    while left(&mut redis)?.0 >= jobs {
        cpu = (cpu_of_tree(worker)?, ground.cpu_seconds()?);
        std::thread::sleep(LOOK);
        start = Instant::now();
    }
    while left(&mut redis)? != (0, 0) {
        std::thread::sleep(LOOK);
    }
    let took = start.elapsed();
    Ok(Drain {
        took,
        worker_cpu: cpu_of_tree(worker)? - cpu.0,
        server_cpu: ground.cpu_seconds()? - cpu.1,
        mib: memory_of_tree(worker)?,
    })
}
