//! The notifier: what is said goes to the others by way of a bounded line, what is heard comes from the ear.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Value;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::ear::{Ear, Hearing};
use super::link::Link;
use crate::notifier::Unsent;
use crate::{Notice, Notices, Notifier};

/// How many notices a listener may fall behind before it is told that it lagged.
pub(super) const NOTICES: usize = 256;

/// How many notices may wait to be sent to other processes; what is beyond is lost, as notices may be.
const UNSENT: usize = 256;

/// Carries notices between all processes that use one Redis.
#[derive(Debug)]
pub(super) struct RedisNotifier {
    local: broadcast::Sender<Notice>,
    unsent: Arc<Unsent<Notice>>,
    /// Hears and speaks as long as the notifier lives.
    _work: JoinSet<()>,
}

impl RedisNotifier {
    /// Begins to hear on `hearing` and to speak through `link`.
    pub(super) fn start(ear: Arc<Ear>, hearing: Hearing, link: Arc<Link>) -> Self {
        let (unsent, line) = Unsent::new(UNSENT);
        let unsent = Arc::new(unsent);
        let mut work = JoinSet::new();
        let local = ear.local.clone();
        let (channel, sender) = (ear.channel.clone(), ear.sender.clone());
        work.spawn(speak(line, Arc::clone(&unsent), link, channel, sender));
        work.spawn(async move { ear.hear(hearing).await });
        Self { local, unsent, _work: work }
    }

    /// Tells this process alone, where a script has told the others.
    pub(super) fn tell_here(&self, notice: Notice) {
        // Nobody listening is no fault.
        self.local.send(notice).ok();
    }
}

#[async_trait]
impl Notifier for RedisNotifier {
    fn notify(&self, notice: Notice) {
        self.unsent.put(notice.clone());
        self.tell_here(notice);
    }

    fn listen(&self) -> Notices {
        self.local.subscribe()
    }

    async fn flush(&self) {
        self.unsent.flush().await;
    }
}

async fn speak(
    mut line: mpsc::Receiver<Notice>,
    unsent: Arc<Unsent<Notice>>,
    link: Arc<Link>,
    channel: String,
    sender: String,
) {
    while let Some(notice) = line.recv().await {
        let text = format!("{sender}{}", notice.to_text());
        let told = link.ask(async |mut connection| {
            let mut command = redis::cmd("PUBLISH");
            command.arg(&channel).arg(&text).query_async::<Value>(&mut connection).await
        });
        if let Err(error) = told.await {
            tracing::debug!(%error, "a notice did not reach the other processes");
        }
        unsent.note_gone(1);
    }
}
