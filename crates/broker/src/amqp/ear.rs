//! What goes on beside the calls: hearing and speaking to other processes, and looking after the buffers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::Consumer;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use tokio::sync::mpsc;

use super::Core;
use super::link::{FIRST_PAUSE, LONGEST_PAUSE, Line, failed};
use super::notices::{Heard, UNSENT, Word};
use super::publish::Outgoing;
use super::topology::{DEAD, PAUSED, declare_ear, declare_own};
use crate::seldom::Fault;
use crate::{BrokerError, Notice};

/// How often the buffers are looked at, and how often something may lie there that nobody has asked for
/// before it goes back, for others to take.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
const LOOKS: u32 = 4;

/// A connection that hears.
pub(super) struct Ear {
    line: Arc<Line>,
    consumer: Consumer,
    /// Closed when it is dropped.
    _channel: lapin::Channel,
}

/// Begins to hear; what is told after it returns is heard. Declares the places of ours, and learns which
/// queues are paused.
///
/// # Errors
/// The server can't be reached, or does not let us.
pub(super) async fn open(core: &Core) -> Result<Ear, BrokerError> {
    let line = core.incoming.line().await?;
    let channel = line.channel().await?;
    declare_own(&channel, DEAD).await?;
    declare_own(&channel, PAUSED).await?;
    let name = declare_ear(&channel).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(name, "".into(), options, FieldTable::default());
    let consumer = consumer.await.map_err(failed)?;
    core.learn_paused().await?;
    Ok(Ear { line, consumer, _channel: channel })
}

/// Hears until it is dropped, and connects again whenever it has to.
pub(super) async fn hear(core: Arc<Core>, ear: Ear) {
    let mut ear = Some(ear);
    let (mut pause, mut fault) = (FIRST_PAUSE, Fault::default());
    loop {
        if let Some(mut ear) = ear.take() {
            if hear_on(&core, &mut ear).await {
                pause = FIRST_PAUSE;
            }
            tracing::debug!(line = ear.line.number, "the channel for wake-ups has ended, opening another");
            for id in core.held.forget_lost() {
                // Its holder looks at its leases, and stops what is somebody else's by now.
                core.hub.tell_here(Notice::Cancel(id));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match core.incoming.in_time(open(&core)).await {
            Ok(opened) => {
                ear = Some(opened);
                fault.mend();
                // Whatever was said meanwhile was not heard, and buffers are to be filled again.
                core.wake_all().await;
            }
            Err(error) => fault.tell(&error, core.clock.now(), "wake-ups are not heard, connecting again"),
        }
    }
}

/// Hears until the channel ends; says whether anything was heard.
async fn hear_on(core: &Core, ear: &mut Ear) -> bool {
    let mut has_heard = false;
    while let Some(Ok(delivery)) = ear.consumer.next().await {
        has_heard = true;
        match core.hub.open(&delivery.data) {
            Some(Heard::Notice(notice)) => core.hub.tell_here(notice),
            Some(Heard::Word(word)) => core.heed(word).await,
            None => {}
        }
    }
    has_heard
}

/// Says to the other processes what is to be said.
pub(super) async fn speak(core: Arc<Core>, mut unsent: mpsc::Receiver<Vec<u8>>) {
    let mut some = Vec::new();
    while unsent.recv_many(&mut some, UNSENT).await > 0 {
        let told: Vec<Outgoing> = some.drain(..).map(Outgoing::notice).collect();
        if let Err(error) = core.publisher.publish(&told).await {
            tracing::debug!(%error, "notices did not reach the other processes");
        }
        core.hub.unsent.note_gone(told.len());
    }
}

/// Gives back what lies in a buffer for too long, because its worker is busy with what other queues gave, if others may
/// take it. Where nobody else does it keeps its place: what is given back stands behind all that waits.
pub(super) async fn look_after_buffers(core: Arc<Core>) {
    let mut looks = tokio::time::interval(BETWEEN_LOOKS);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let hoarding: Vec<String> = {
            let intakes = core.intakes.lock().await;
            let hoarding = intakes.iter().filter(|(_, intake)| intake.is_hoarding(LOOKS));
            hoarding.map(|(queue, _)| queue.clone()).collect()
        };
        for queue in hoarding {
            if let Err(error) = core.give_back_to_others(&queue).await {
                tracing::debug!(%error, queue, "what lies in the buffer could not be given back");
            }
        }
    }
}

impl Core {
    /// Does what another process says.
    async fn heed(&self, word: Word) {
        match word {
            Word::Paused { queue, at } => {
                self.paused().entry(queue.clone()).or_insert(at);
                if let Err(error) = self.rest(&queue).await {
                    tracing::warn!(%error, queue, "what was taken of a queue that is paused could not be given back");
                }
            }
            Word::Resumed(queue) => {
                self.paused().remove(&queue);
                self.hub.tell_here(Notice::Queue(queue));
            }
            Word::Cancel { id, ticket, reason } => {
                if self.held.cancel(&id, &reason) {
                    self.hub.tell_here(Notice::Cancel(id));
                    self.hub.say(&Word::Held(ticket));
                }
            }
            Word::Held(ticket) => self.hub.answered(&ticket),
        }
    }

    /// Has everybody ask again who waits for a queue.
    async fn wake_all(&self) {
        for queue in self.intakes.lock().await.keys() {
            self.hub.tell_here(Notice::Queue(queue.clone()));
        }
    }
}
