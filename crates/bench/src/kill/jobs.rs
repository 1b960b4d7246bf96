//! The jobs of `soak kill`: one of ten is followed by another, which its worker publishes once it has ended well.

use std::collections::{HashMap, HashSet};

use celeriac_broker::{MessageState, Notice};
use celeriac_engine::{Client, JobHandle};
use celeriac_protocol::{Arguments, Continuation, DEFAULT_QUEUE, JobId, TaskMessage};
use serde_json::json;

use crate::tasks;

/// How many jobs are parted into those that stand alone and one pair.
const TEN: u64 = 10;

/// Which of ten is followed, by the one behind it.
const FOLLOWED: u64 = 5;

/// Is responsible for knowing which jobs there are. The number of a job is its place.
pub(super) struct Jobs {
    quiet: bool,
    ids: Vec<JobId>,
    numbers: HashMap<JobId, u64>,
    /// Those that are followed.
    followed: HashSet<u64>,
    /// Those that were, or were still to be, in the queue when it was last looked for them.
    open: Vec<u64>,
}

impl Jobs {
    pub(super) fn new(quiet: bool) -> Self {
        let (ids, numbers, followed, open) = (Vec::new(), HashMap::new(), HashSet::new(), Vec::new());
        Self { quiet, ids, numbers, followed, open }
    }

    /// Returns all of them.
    pub(super) fn ids(&self) -> &[JobId] {
        &self.ids
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Enqueues more.
    pub(super) async fn enqueue(&mut self, client: &Client, jobs: u64) -> anyhow::Result<()> {
        let first = self.ids.len() as u64;
        let numbers = first..first + jobs;
        for number in numbers.clone() {
            let id = JobId::fresh(client.clock().now());
            self.numbers.insert(id.clone(), number);
            self.ids.push(id);
        }
        self.open.extend(numbers.clone());
        let is_followed = |number: u64| number % TEN == FOLLOWED && number + 1 < numbers.end;
        let follows = |number: u64| number % TEN == FOLLOWED + 1 && number > first;
        let pairs: Vec<u64> = numbers.clone().filter(|number| is_followed(*number)).collect();
        let alone = numbers.clone().filter(|number| !is_followed(*number) && !follows(*number));
        self.enqueue_alone(client, alone).await?;
        self.enqueue_pairs(client, &pairs).await?;
        self.followed.extend(pairs);
        Ok(())
    }

    async fn enqueue_alone(&self, client: &Client, numbers: impl Iterator<Item = u64>) -> anyhow::Result<()> {
        fn forget<R>(_: Vec<JobHandle<R>>) {}
        let numbered = numbers.map(|number| (number, self.id(number).clone()));
        match self.quiet {
            true => {
                let jobs = numbered.map(|(number, id)| tasks::quiet_journal(number).id(id));
                forget(client.enqueue_many(jobs).await?);
            }
            false => {
                let jobs = numbered.map(|(number, id)| tasks::journal(number).id(id));
                forget(client.enqueue_many(jobs).await?);
            }
        }
        Ok(())
    }

    /// Sends jobs with a link, as a client in Python does.
    async fn enqueue_pairs(&self, client: &Client, numbers: &[u64]) -> anyhow::Result<()> {
        let messages = numbers.iter().map(|number| self.with_link(*number));
        let envelopes = messages.map(|message| Ok(message?.encode())).collect::<anyhow::Result<Vec<_>>>()?;
        client.broker().publish(envelopes).await?;
        client.broker().notifier().notify(Notice::Queue(DEFAULT_QUEUE.to_owned()));
        Ok(())
    }

    fn with_link(&self, number: u64) -> anyhow::Result<TaskMessage> {
        let task = if self.quiet { "bench.quiet_journal" } else { "bench.journal" };
        let args = Arguments::from_named(&json!({ "number": number }))?;
        let mut message = TaskMessage::new(self.id(number).clone(), task, args);
        let link = json!({
            "task": task,
            "kwargs": { "number": number + 1 },
            "immutable": true,
            "options": { "task_id": self.id(number + 1).as_str() },
        });
        message.continuation = serde_json::from_value::<Continuation>(json!({ "callbacks": [link] }))?;
        Ok(message)
    }

    /// Counts the runs that may be beyond the expected where a worker died with these jobs in its hands: one of each,
    /// and one of what had been published for it before the death, since that is published again after its next run.
    /// That is the job that follows, and, where a transport can't put a message back in one step, the next try.
    pub(super) fn may_run_again(&self, in_hand: &HashSet<JobId>, puts_back_at_once: bool) -> u64 {
        let numbers = in_hand.iter().filter_map(|id| self.numbers.get(id));
        let is_twice =
            |number: &u64| self.followed.contains(number) || !puts_back_at_once && number.is_multiple_of(TEN);
        numbers.map(|number| 1 + u64::from(is_twice(number))).sum()
    }

    /// Asks the queue what a holder has, and forgets the jobs that have left it.
    pub(super) async fn held_by(&mut self, client: &Client, holder: &str) -> anyhow::Result<HashSet<JobId>> {
        let (mut left, mut held) = (Vec::new(), HashSet::new());
        for number in std::mem::take(&mut self.open) {
            let Some(found) = client.broker().admin().find(self.id(number)).await? else {
                // What follows one that is there may not have come yet.
                if number
                    .checked_sub(1)
                    .is_some_and(|one| self.followed.contains(&one) && left.ends_with(&[one]))
                {
                    left.push(number);
                }
                continue;
            };
            if matches!(found.state, MessageState::Held { holder: by, .. } if by == holder) {
                held.insert(self.id(number).clone());
            }
            left.push(number);
        }
        self.open = left;
        Ok(held)
    }

    fn id(&self, number: u64) -> &JobId {
        &self.ids[usize::try_from(number).expect("they are in memory")]
    }
}
