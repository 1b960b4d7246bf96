//! Waking other processes on the same server: `NOTIFY`, sent after the commit and several at a time.
//!
//! Sending it inside of a transaction would make the server's commits queue up for one lock. Behind a
//! pooler nobody can listen, and a process whose line breaks hears nothing for a while: polling
//! remains the truth.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use celeriac_db::Database;
use celeriac_db::postgres::{Listener, Server};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::statement::{Values, Via, column};
use crate::notifier::Unsent;
use crate::{BrokerError, Notice, Notices, Notifier};

/// How many notices a listener may fall behind before it is told that it lagged.
const NOTICES: usize = 256;

/// How many notices may wait to be sent to other processes; more are lost to them.
const OUTBOX: usize = 1024;

/// The longest text that is sent: PostgreSQL takes no more than 7999 bytes.
const LONGEST_TEXT: usize = 4_000;

/// How long to rest after notices were sent, so that a flood of them is sent together.
const REST: Duration = Duration::from_millis(2);

/// First pause before a broken line is opened anew; it doubles up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// No notice outlives the server, so nobody waits for the disk.
const TELL: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, text) \
    FROM unnest($2::text[]) AS t (text)";

/// Names the schema that the queue's tables lie in: queues of two schemas do not wake each other.
const SCHEMA: &str = "SELECT coalesce(current_schema(), 'public')::text";

/// Finds every queue with ready messages by as many looks into the index as there are queues.
const QUEUES: &str = "WITH RECURSIVE queues AS ( \
        (SELECT queue FROM celeriac_queue WHERE state = 0 ORDER BY queue LIMIT 1) \
        UNION ALL \
        SELECT (SELECT q.queue FROM celeriac_queue AS q WHERE q.state = 0 AND q.queue > queues.queue \
            ORDER BY q.queue LIMIT 1) \
        FROM queues WHERE queues.queue IS NOT NULL) \
    SELECT queue FROM queues WHERE queue IS NOT NULL";

/// Carries notices between all processes that use one queue of a server.
#[derive(Debug)]
pub(super) struct ServerNotifier {
    local: broadcast::Sender<Notice>,
    outbox: Arc<Unsent<Notice>>,
    line: Arc<Line>,
    /// What sends, and what listens once somebody does; ended when this is dropped.
    tasks: Mutex<(JoinSet<()>, bool)>,
}

/// What both directions need.
#[derive(Debug)]
struct Line {
    db: Database,
    local: broadcast::Sender<Notice>,
    /// Tells our own notices, which come back to us, from those of others.
    sender: String,
}

impl ServerNotifier {
    /// Makes the notifier of the queue in `db`; nobody listens yet.
    pub(super) fn new(db: Database) -> Self {
        let (local, (outbox, inbox)) = (broadcast::channel(NOTICES).0, Unsent::new(OUTBOX));
        let outbox = Arc::new(outbox);
        let sender = format!("{:016x}", rand::random::<u64>());
        let line = Arc::new(Line { db, local: local.clone(), sender });
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&line).tell(inbox, Arc::clone(&outbox)));
        Self { local, outbox, line, tasks: Mutex::new((tasks, false)) }
    }

    /// Begins to listen, and returns once what others send is heard.
    pub(super) async fn listen_now(&self) -> Result<(), BrokerError> {
        let listener = self.line.open().await?;
        self.begin(listener);
        Ok(())
    }

    /// Begins to listen, once.
    fn begin(&self, listener: Option<Listener>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let (tasks, listens) = &mut *tasks;
        if !std::mem::replace(listens, true) {
            tasks.spawn(Arc::clone(&self.line).hear(listener));
        }
    }
}

#[async_trait]
impl Notifier for ServerNotifier {
    fn notify(&self, notice: Notice) {
        // Others look by themselves after a while where there is no room for more.
        self.outbox.put(notice.clone());
        // Nobody listening in this process is no fault.
        self.local.send(notice).ok();
    }

    fn listen(&self) -> Notices {
        let notices = self.local.subscribe();
        self.begin(None);
        notices
    }

    async fn flush(&self) {
        self.outbox.flush().await;
    }
}

impl Line {
    /// Sends what waits, all of it at a time.
    async fn tell(self: Arc<Self>, mut inbox: mpsc::Receiver<Notice>, outbox: Arc<Unsent<Notice>>) {
        let mut channel = None;
        while let Some(first) = inbox.recv().await {
            let mut taken = 1;
            let mut texts: BTreeSet<String> = self.encode(&first).into_iter().collect();
            while let Ok(next) = inbox.try_recv() {
                taken += 1;
                texts.extend(self.encode(&next));
            }
            if let Err(error) = self.send(&mut channel, texts.into_iter().collect()).await {
                tracing::debug!(error = %error, "no wake-up sent to other processes, they poll");
            }
            outbox.note_gone(taken);
            tokio::time::sleep(REST).await;
        }
    }

    async fn send(&self, channel: &mut Option<String>, texts: Vec<String>) -> Result<(), BrokerError> {
        let name = match channel.take() {
            Some(name) => name,
            None => self.channel().await?,
        };
        let name = channel.insert(name);
        let values = Values::default().with(&*name).with(texts);
        Via::alone(&self.db)?.query("wake other processes", TELL, values).await.map(drop)
    }

    /// Hears what others send, for as long as anybody could want to know.
    async fn hear(self: Arc<Self>, mut listener: Option<Listener>) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let ear = match listener.take() {
                Some(ear) => Ok(Some(ear)),
                None => self.open().await,
            };
            match ear {
                // Behind a pooler there is nothing to hear.
                Ok(None) => return,
                Ok(Some(ear)) => {
                    pause = SHORTEST_PAUSE;
                    self.look_around().await;
                    self.pass_on(ear).await;
                }
                Err(error) => {
                    tracing::debug!(error = %error, "no wake-ups from other processes, polling only");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Passes on what is heard until the line breaks.
    async fn pass_on(&self, mut ear: Listener) {
        while let Ok(Some(text)) = ear.hear().await {
            if let Some((sender, notice)) = text.split_once(':')
                && sender != self.sender
                && let Some(notice) = Notice::from_text(notice.as_bytes())
            {
                self.local.send(notice).ok();
            }
        }
    }

    /// Tells of what may have come while nobody listened.
    async fn look_around(&self) {
        let Ok(via) = Via::alone(&self.db) else { return };
        // Before the tables are made there is nothing to tell of.
        let rows =
            via.query("look for waiting messages", QUEUES, Values::default()).await.unwrap_or_default();
        for queue in rows.iter().filter_map(|row| column::<String, _>(row, 0).ok()) {
            self.local.send(Notice::Queue(queue)).ok();
        }
    }

    async fn open(&self) -> Result<Option<Listener>, BrokerError> {
        let channel = self.channel().await?;
        match self.db.server().map(|server: &Server| server.listen(&channel)) {
            Some(listening) => Ok(listening.await?),
            None => Ok(None),
        }
    }

    async fn channel(&self) -> Result<String, BrokerError> {
        let schema: String = Via::alone(&self.db)?
            .query_one("ask for the schema", SCHEMA, Values::default(), |row| column(row, 0))
            .await?;
        Ok(format!("celeriac_{schema}"))
    }

    /// Writes a notice; one that is too long is not sent, but for a reason, of which the beginning will do.
    fn encode(&self, notice: &Notice) -> Option<String> {
        let mut text = notice.to_text();
        if matches!(notice, Notice::Stop { .. }) {
            text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        }
        (text.len() <= LONGEST_TEXT).then(|| format!("{}:{text}", self.sender))
    }
}
