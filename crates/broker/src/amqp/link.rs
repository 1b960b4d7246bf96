//! A connection that comes back by itself, and what the server's errors mean to us.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::runtime::default_runtime;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::PRODUCT;
use super::options::Place;
use crate::error::NotLetIn;
use crate::{BrokerError, tls};

/// How long one attempt to connect may take; a call that has more time tries again.
const CONNECT: Duration = Duration::from_secs(3);

/// The pause after the first attempt that failed, and the longest one; each is twice the one before.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Is responsible for one connection, which all calls of one kind share.
pub(super) struct Link {
    /// Tried in turn whenever a connection is to be made, first the one that was there last.
    places: Vec<Place>,
    /// Which of them is next.
    turn: AtomicUsize,
    /// Shown by the server's own tools.
    name: String,
    deadline: Duration,
    /// Connected by whoever needs it first, while the others wait for that.
    current: tokio::sync::Mutex<Option<Arc<Line>>>,
    lines: AtomicU64,
    last_failure: Mutex<Option<BrokerError>>,
}

/// One connection, and what was told to the server on it.
pub(super) struct Line {
    /// Tells it from those before.
    pub(super) number: u64,
    pub(super) connection: Connection,
    /// The queues that are known to be there.
    pub(super) declared: Mutex<HashSet<String>>,
    /// The queues that delayed messages find.
    pub(super) bound: Mutex<HashSet<String>>,
    /// Whether the levels of delayed messages are known to be there.
    pub(super) has_levels: AtomicBool,
    /// Channels that confirm what is published on them, and that nobody uses.
    confirming: Mutex<Vec<Channel>>,
    /// How many of them may be in use.
    publishing: Semaphore,
}

/// A channel that confirms, in the hands of one who publishes.
pub(super) struct Confirming<'l> {
    pub(super) channel: Channel,
    _permit: SemaphorePermit<'l>,
}

/// How many publish on one connection at a time; others wait.
const PUBLISHING: usize = 16;

impl Line {
    /// Opens a channel for one purpose. An error closes a channel, so none is shared between purposes.
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        self.connection.create_channel().await.map_err(failed)
    }

    /// Takes a channel that confirms, which nobody else uses meanwhile: which message the server gave back shows only
    /// where none of another's is under way, and an error closes it.
    pub(super) async fn confirming(&self) -> Result<Confirming<'_>, BrokerError> {
        let permit = self.publishing.acquire().await.map_err(unavailable)?;
        let idle = self.confirming.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(channel) = idle.filter(|channel| channel.status().connected()) {
            return Ok(Confirming { channel, _permit: permit });
        }
        let channel = self.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
        Ok(Confirming { channel, _permit: permit })
    }

    /// Takes a channel back all of whose messages were answered; one that is dropped is not used again.
    pub(super) fn put_back(&self, confirming: Confirming<'_>) {
        if confirming.channel.status().connected() {
            self.confirming.lock().unwrap_or_else(PoisonError::into_inner).push(confirming.channel);
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.connection.status().connected()
    }

    /// Returns how many bytes the server takes in one frame; `None` where it sets no limit.
    pub(super) fn frame_max(&self) -> Option<usize> {
        let frame_max = self.connection.configuration().frame_max();
        (frame_max > 0).then(|| usize::try_from(frame_max).unwrap_or(usize::MAX))
    }
}

/// Something was not done before its deadline.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Late(Duration);

/// The server reads no more of what is published.
#[derive(Debug, thiserror::Error)]
#[error("the server is short of memory or disk, and takes nothing in until it has some again")]
struct Blocked;

impl Link {
    /// Makes a link that connects when it is first used.
    pub(super) fn new(places: Vec<Place>, name: String, deadline: Duration) -> Self {
        let (current, last_failure) = (tokio::sync::Mutex::default(), Mutex::default());
        Self {
            places,
            turn: AtomicUsize::new(0),
            name,
            deadline,
            current,
            lines: AtomicU64::new(0),
            last_failure,
        }
    }

    /// Does something within the deadline.
    ///
    /// # Errors
    /// What it says, or [`BrokerError::Unavailable`] where the time is over.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        let Ok(done) = tokio::time::timeout(self.deadline, work).await else {
            if self.is_blocked() {
                return Err(unavailable(Blocked));
            }
            let failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(failure.unwrap_or_else(|| unavailable(Late(self.deadline))));
        };
        done
    }

    /// Says whether the server has told that it reads no more of what is published.
    pub(super) fn is_blocked(&self) -> bool {
        let current = self.current.try_lock();
        current.is_ok_and(|line| line.as_ref().is_some_and(|line| line.connection.status().blocked()))
    }

    /// Returns the connection, which is made where there is none. Whoever calls says how long that may take.
    ///
    /// # Errors
    /// [`BrokerError::Refused`]: the server does not let us in.
    pub(super) async fn line(&self) -> Result<Arc<Line>, BrokerError> {
        let mut current = self.current.lock().await;
        if let Some(line) = current.as_ref().filter(|line| line.is_alive()) {
            return Ok(Arc::clone(line));
        }
        current.take();
        let mut pause = FIRST_PAUSE;
        loop {
            for _ in &self.places {
                // The turn goes on first: a caller whose time is over in between leaves the next place to the next.
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let place = &self.places[turn % self.places.len()];
                match self.connect(place).await {
                    Ok(connection) => {
                        self.turn.store(turn, Ordering::Relaxed);
                        return Ok(Arc::clone(current.insert(self.number(connection))));
                    }
                    Err(error) if !comes_by_waiting(&error) => return Err(told(place, error)),
                    Err(error) => self.note(place, error),
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn note(&self, place: &Place, error: lapin::Error) {
        let host = &place.uri.authority.host;
        tracing::debug!(%error, host, "RabbitMQ is not to be reached, trying again");
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(told(place, error));
    }

    async fn connect(&self, place: &Place) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let Place { uri, tls } = place.clone();
        let connecting = Connection::connect_uri_with_config(uri, properties, tls, default_runtime()?);
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected,
            Err(late) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late).into()),
        }
    }

    fn number(&self, connection: Connection) -> Arc<Line> {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Arc::new(Line {
            number: self.lines.fetch_add(1, Ordering::Relaxed) + 1,
            connection,
            declared: Mutex::default(),
            bound: Mutex::default(),
            has_levels: AtomicBool::new(false),
            confirming: Mutex::default(),
            publishing: Semaphore::new(PUBLISHING),
        })
    }
}

/// Says what is to be mended where the server that answers is not the one that is meant, or does not let us in.
fn told(place: &Place, error: lapin::Error) -> BrokerError {
    let comes_by_waiting = comes_by_waiting(&error);
    let (user, vhost) = (&place.uri.authority.userinfo.username, &place.uri.vhost);
    let not_let_in = match (tls::fault_of(&error), code(&error), error.kind()) {
        (Some(fault), ..) => fault.told(&tls::RABBITMQ, ["amqp://", "amqps://"], error),
        (_, Some(403), _) => NotLetIn::new(
            format!("user \"{user}\" is unknown there, or the password is wrong"),
            "look at user and password in the URL; `guest` is let in from the server's own machine alone",
            error,
        ),
        (_, Some(530), _) => NotLetIn::new(
            format!("virtual host \"{vhost}\" is not there, or user \"{user}\" may not use it"),
            "make it by `rabbitmqctl add_vhost`, or give the user rights there by `rabbitmqctl set_permissions`",
            error,
        ),
        (_, _, kind) if is_foreign(kind) => {
            let what = "what answers there is no RabbitMQ, or one that speaks TLS alone";
            NotLetIn::new(what, ELSEWHERE, error)
        }
        (_, _, ErrorKind::IOError(io)) if io.kind() == std::io::ErrorKind::TimedOut => {
            let what = format!("nothing there has spoken AMQP within {CONNECT:?}");
            NotLetIn::new(what, ELSEWHERE, error)
        }
        _ => return failed(error),
    };
    if comes_by_waiting { unavailable(not_let_in) } else { refused(not_let_in) }
}

/// What to look at where something else answers.
const ELSEWHERE: &str =
    "look at host and port in the URL (Redis' port is 6379), and write amqps:// where it is TLS";

/// Says whether one that is no RabbitMQ answers so.
fn is_foreign(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_))
}

/// Says whether a connection that failed may come about later without anybody changing anything.
fn comes_by_waiting(error: &lapin::Error) -> bool {
    is_passing(error) && !is_foreign(error.kind()) && tls::fault_of(error).is_none()
}

/// Turns what the client library says into ours.
pub(super) fn failed(error: lapin::Error) -> BrokerError {
    if code(&error) == Some(403) {
        let what = match error.kind() {
            ErrorKind::ProtocolError(error) => error.get_message().to_string(),
            _ => error.to_string(),
        };
        let what = what.trim_start_matches("ACCESS_REFUSED - ").to_owned();
        return refused(NotLetIn::new(what, RIGHTS, error));
    }
    if is_passing(&error) { unavailable(error) } else { refused(error) }
}

/// What to do where a user may not do what he is to do.
const RIGHTS: &str =
    "give the user the rights to configure, write and read there by `rabbitmqctl set_permissions`";

pub(super) fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> BrokerError {
    BrokerError::Unavailable { product: PRODUCT, source: Box::new(cause) }
}

pub(super) fn refused(why: impl Into<crate::Cause>) -> BrokerError {
    BrokerError::Refused { product: PRODUCT, source: why.into() }
}

/// Says that the server does not take a message as it is.
pub(super) fn not_taken(why: impl Into<crate::Cause>) -> BrokerError {
    BrokerError::NotTaken { product: PRODUCT, taken: Vec::new(), source: why.into() }
}

/// Returns the code of AMQP by which the server said no.
pub(super) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(match error.kind() {
            AMQPErrorKind::Soft(soft) => soft.get_id(),
            AMQPErrorKind::Hard(hard) => hard.get_id(),
        }),
        _ => None,
    }
}

/// Says whether the same may be done later without anybody changing anything.
pub(super) fn is_passing(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            // A queue that went is declared anew; one that somebody else has to himself comes free.
            AMQPErrorKind::Soft(soft) => !matches!(
                soft,
                AMQPSoftError::ACCESSREFUSED
                    | AMQPSoftError::PRECONDITIONFAILED
                    | AMQPSoftError::CONTENTTOOLARGE
            ),
            AMQPErrorKind::Hard(hard) => matches!(
                hard,
                AMQPHardError::CONNECTIONFORCED | AMQPHardError::RESOURCEERROR | AMQPHardError::INTERNALERROR
            ),
        },
        ErrorKind::InvalidProtocolVersion(_)
        | ErrorKind::SerialisationError(_)
        | ErrorKind::AuthProviderError(_)
        | ErrorKind::NoDefaultRuntime => false,
        _ => true,
    }
}
