//! Hearing answers, whatever happens to the connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::Clock;

use crate::BrokerError;
use crate::seldom::Fault;

/// The pause before a connection that has ended is opened anew, and the longest one; each is twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Hears what is sent to one queue.
#[async_trait]
pub(crate) trait AnswerEar: Send + 'static {
    /// Connects, unless it has just done so, and hears until the connection ends.
    async fn hear(&mut self, hearing: &mut Hearing) -> Result<(), BrokerError>;
}

/// How it goes with hearing.
pub(crate) struct Hearing {
    pause: Duration,
    fault: Fault,
}

impl Hearing {
    /// Notes that the connection is there: what breaks it is told again.
    pub(crate) fn note_open(&mut self) {
        self.fault.mend();
    }

    /// Notes that something was heard on it: the next one need not be waited for.
    pub(crate) fn note_heard(&mut self) {
        self.note_open();
        self.pause = PAUSE.0;
    }
}

/// Hears until it is dropped, and connects again whenever it has to.
pub(crate) async fn hear_on(mut ear: impl AnswerEar, clock: Arc<dyn Clock>) {
    let mut hearing = Hearing { pause: PAUSE.0, fault: Fault::default() };
    loop {
        match ear.hear(&mut hearing).await {
            Ok(()) => tracing::debug!("the connection for answers has ended, opening another"),
            Err(error) => {
                hearing.fault.tell(&error, clock.now(), "answers are not heard, connecting again");
            }
        }
        tokio::time::sleep(hearing.pause).await;
        hearing.pause = (hearing.pause * 2).min(PAUSE.1);
    }
}
