//! Messages that go elsewhere as soon as they come: unreadable ones, early ones, and those whose holder vanished.

use std::sync::Arc;
use std::time::Duration;

use celeriac_protocol::{Clock, Envelope, JobId};
use futures_util::future::join_all;
use lapin::BasicProperties;
use tokio::sync::mpsc;

use super::dead::{self, Died};
use super::delay;
use super::intake::{Arrived, Shelf};
use super::link::refused;
use super::publish::{Outgoing, Publisher};
use super::wire::{self, Counts, Priorities};
use crate::{BrokerError, LeaseTag};

/// How many moves may wait; who brings one more waits, and with him the server.
pub(super) const MOVES: usize = 256;

/// The pause before moves that failed are tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// The reason of a dead letter that is no message.
const UNDECODABLE: &str = "undecodable";

/// A message and where it goes.
pub(super) struct Move {
    pub(super) shelf: Arc<Shelf>,
    pub(super) tag: LeaseTag,
    pub(super) why: Why,
}

/// Why a message goes elsewhere.
pub(super) enum Why {
    /// It is no message: to the dead letters.
    Unreadable {
        /// What came with it.
        properties: Box<BasicProperties>,
        /// What it is.
        body: Vec<u8>,
        /// What is wrong with it.
        error: String,
    },
    /// Its holder vanished, and a classic queue does not count: back, with the count in it.
    Again {
        /// The message.
        envelope: Envelope,
        /// The count.
        counts: Counts,
    },
    /// It came before its time: to where it waits.
    Early {
        /// The message.
        envelope: Envelope,
        /// What happened to it.
        counts: Counts,
    },
}

/// Is responsible for moving.
pub(super) struct Mover {
    pub(super) publisher: Arc<Publisher>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) priorities: Priorities,
}

impl Mover {
    /// Moves what comes until nobody brings more.
    pub(super) async fn run(&self, mut moves: mpsc::Receiver<Move>) {
        let mut some = Vec::with_capacity(MOVES);
        while moves.recv_many(&mut some, MOVES).await > 0 {
            self.carry_out(&mut some).await;
        }
    }

    /// Tries until it is done, or the messages are somebody else's.
    async fn carry_out(&self, moves: &mut Vec<Move>) {
        loop {
            // Whatever came on a channel that has ended comes again.
            moves.retain(|one| one.shelf.is_alive());
            if moves.is_empty() {
                return;
            }
            match self.try_all(moves).await {
                Ok(()) => return moves.clear(),
                Err(error) => {
                    tracing::warn!(%error, messages = moves.len(), "messages can't be moved to where they belong, trying again");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_all(&self, moves: &[Move]) -> Result<(), BrokerError> {
        let outgoing = moves.iter().map(|one| self.outgoing(one)).collect::<Result<Vec<_>, _>>()?;
        self.publisher.publish(&outgoing).await?;
        // What is not acknowledged comes again, and goes again.
        join_all(moves.iter().map(async |one| one.shelf.ack(&[one.tag]).await)).await;
        Ok(())
    }

    fn outgoing(&self, one: &Move) -> Result<Outgoing, BrokerError> {
        let (queue, now) = (&one.shelf.queue, self.clock.now());
        match &one.why {
            Why::Unreadable { properties, body, error } => {
                let envelope = wire::unread(properties, body.clone(), queue, JobId::fresh(now));
                let died = Died { envelope: &envelope, counts: Counts { handed: 1, attempts: 1, lost: 0 } };
                dead::letter(&died, UNDECODABLE, error, now, self.priorities)
            }
            Why::Again { envelope, counts } => self.back(envelope, *counts, 0),
            Why::Early { envelope, counts } => {
                let due_at = envelope.due_at.unwrap_or(now);
                self.back(envelope, *counts, delay::seconds_until(due_at, now))
            }
        }
    }

    fn back(&self, envelope: &Envelope, counts: Counts, seconds: u64) -> Result<Outgoing, BrokerError> {
        let written = wire::write(envelope, counts, self.priorities).map_err(refused)?;
        Outgoing::to(&envelope.queue, seconds, written)
    }

    /// Gives messages back to their queue that nobody has begun: behind those that wait there.
    ///
    /// They are published again instead of being handed back, because a message that is handed back looks
    /// like one whose holder vanished.
    pub(super) async fn give_back(&self, shelf: &Shelf, arrived: Vec<Arrived>) -> Result<(), BrokerError> {
        if arrived.is_empty() || !shelf.is_alive() {
            return Ok(());
        }
        let outgoing: Result<Vec<_>, _> =
            arrived.iter().map(|one| self.back(&one.envelope, one.counts, 0)).collect();
        let published = match outgoing {
            Ok(outgoing) => self.publisher.publish(&outgoing).await,
            Err(error) => Err(error),
        };
        if let Err(error) = published {
            shelf.put_back(arrived);
            return Err(error);
        }
        // What is not acknowledged comes again.
        shelf.ack(&arrived.iter().map(|one| one.tag).collect::<Vec<_>>()).await.ok();
        Ok(())
    }
}
