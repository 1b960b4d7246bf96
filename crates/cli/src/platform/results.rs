//! Opens where results go: to where Celery's clients look for them, or to whoever waits.

use std::sync::Arc;

#[cfg(feature = "amqp")]
use celeriac_broker::AmqpReplies;
use celeriac_broker::{RedisReplies, RedisResults, ResultStore, sql};
use celeriac_control::ResultRecorder;
use celeriac_db::Database;
use celeriac_protocol::JobId;

use super::{Use, open_at};
use crate::config::ResultsUrl;
use crate::context::Context;
use crate::error::{Code, Failure, Result};

impl Context {
    /// Opens where results go, if they go anywhere, and names the queue in which this process hears of jobs that it
    /// asks for, where they are sent and it is to hear.
    pub(super) async fn open_results(
        &self,
        database: &Database,
        used_for: Use,
    ) -> Result<(Option<ResultRecorder>, Option<String>)> {
        let results = &self.loaded.config.results;
        let hears = results.url == ResultsUrl::Rpc && used_for == Use::Hearing;
        let reply_to = hears.then(|| JobId::fresh(self.clock.now()).to_string());
        let store = self.open_store(reply_to.as_deref()).await?;
        let recorder = store.map(|store| ResultRecorder::new(database.clone(), store, results.settings()));
        Ok((recorder, reply_to))
    }

    /// Connects to where results are kept for Celery's clients, or sent from, if that is wanted.
    ///
    /// # Errors
    /// The server can't be reached, or does not let us in.
    pub(crate) async fn open_result_store(&self) -> Result<Option<Arc<dyn ResultStore>>> {
        self.open_store(None).await
    }

    async fn open_store(&self, reply_to: Option<&str>) -> Result<Option<Arc<dyn ResultStore>>> {
        let (results, broker) = (&self.loaded.config.results, &self.loaded.config.broker);
        let used = |error: Failure| error.used_for("results", &results.url.shown());
        match (&results.url, results.url.opening()) {
            (ResultsUrl::Redis(url), _) => {
                let store = RedisResults::open(&results.redis(url, broker.deadline.0)).await;
                Ok(Some(Arc::new(store.map_err(Failure::from).map_err(used)?)))
            }
            (ResultsUrl::Rpc, _) => self.open_replies(reply_to).await.map(Some).map_err(used),
            (_, Some(opening)) => {
                let database = open_at(opening).await.map_err(used)?;
                self.opened.add(&database);
                let form = results.settings().form;
                let store = sql::SqlResults::open(database, form, Arc::clone(&self.clock)).await;
                Ok(Some(Arc::new(store.map_err(Failure::from).map_err(used)?)))
            }
            _ => Ok(None),
        }
    }

    /// Connects to the server of the queue, by which results are sent, and listens where a queue is named for that.
    async fn open_replies(&self, reply_to: Option<&str>) -> Result<Arc<dyn ResultStore>> {
        let (broker, options) = (&self.loaded.config.broker, self.loaded.config.results.replies());
        let clock = Arc::clone(&self.clock);
        if let Some(redis) = broker.redis() {
            let replies = RedisReplies::open(&redis, options, clock).await?;
            return Ok(match reply_to {
                Some(queue) => Arc::new(replies.listening_on(queue)),
                None => Arc::new(replies),
            });
        }
        #[cfg(feature = "amqp")]
        if let Some(amqp) = broker.amqp() {
            let replies = AmqpReplies::open(&amqp, options, clock).await?;
            return Ok(match reply_to {
                Some(queue) => Arc::new(replies.listening_on(queue).await?),
                None => Arc::new(replies),
            });
        }
        Err(Failure::failed_to(Code::ConfigInvalidValue, "send results")
            .because("`rpc://` sends them by the broker, and the queue is in the database: name Redis or RabbitMQ in `broker.url`"))
    }
}
