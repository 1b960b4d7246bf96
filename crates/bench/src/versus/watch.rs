//! Looks on from beside while a worker empties a queue, by Celery's own keys or queues, which both sides use.

use std::time::{Duration, Instant};

use crate::ground::{Ground, Left, Transport};
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
pub(super) fn drain(jobs: usize, worker: u32, ground: &Ground) -> anyhow::Result<Drain> {
    let (mut look, pause) = (Look::at(ground)?, ground.between_looks(LOOK));
    let begun = Instant::now();
    let mut left = || -> anyhow::Result<Left> {
        anyhow::ensure!(begun.elapsed() < LONGEST, "the queue is not drained after {LONGEST:?}");
        look.left()
    };
    let jobs = u64::try_from(jobs)?;
    // Both are read before it is looked: the look may take long when the server is busy.
    let (mut cpu, mut start) = ((cpu_of_tree(worker)?, ground.cpu_seconds()?), Instant::now());
    while left()?.waiting >= jobs {
        std::thread::sleep(pause);
        (cpu, start) = ((cpu_of_tree(worker)?, ground.cpu_seconds()?), Instant::now());
    }
    while left()? != Left::default() {
        std::thread::sleep(pause);
    }
    let took = start.elapsed();
    Ok(Drain {
        took,
        worker_cpu: cpu_of_tree(worker)? - cpu.0,
        server_cpu: ground.cpu_seconds()? - cpu.1,
        mib: memory_of_tree(worker)?,
    })
}

/// Is responsible for asking what is left.
enum Look<'g> {
    Redis(Resp),
    RabbitMq(&'g Ground),
}

impl<'g> Look<'g> {
    fn at(ground: &'g Ground) -> anyhow::Result<Self> {
        Ok(match ground.transport() {
            Transport::Redis => Self::Redis(Resp::connect(&ground.place().queue.unwrap_or_default())?),
            _ => Self::RabbitMq(ground),
        })
    }

    fn left(&mut self) -> anyhow::Result<Left> {
        match self {
            // Asked in this order: what is popped meanwhile is held.
            Self::Redis(redis) => Ok(Left {
                waiting: u64::try_from(redis.number(&["LLEN", "celery"])?)?,
                held: u64::try_from(redis.number(&["HLEN", "unacked"])?)?,
            }),
            Self::RabbitMq(ground) => Ok(ground.left_in_rabbitmq()?.unwrap_or_default()),
        }
    }
}
