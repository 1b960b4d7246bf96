//! Looks whether a queue is empty, by a question that costs the server next to nothing: counting would take from the
//! worker what is measured.

use celeriac_engine::Client;
use sea_orm::{ConnectionTrait as _, Statement};

use crate::ground::{Ground, Transport};
use crate::resp::Resp;

/// The newest message, which is among the last to go; before it nothing that is gone is stepped over.
const NEWEST: &str = "SELECT seq FROM celeriac_queue ORDER BY seq DESC LIMIT 1";

/// Is responsible for asking.
pub(super) enum Look<'c> {
    /// Where the queue lies in a database.
    Database(&'c Client),
    /// Where it lies in Redis.
    Redis(Resp),
    /// Where it lies in RabbitMQ.
    RabbitMq(&'c Ground),
}

impl<'c> Look<'c> {
    pub(super) fn at(ground: &'c Ground, client: &'c Client) -> anyhow::Result<Self> {
        Ok(match ground.transport() {
            Transport::Sqlite | Transport::Postgres => Self::Database(client),
            Transport::Redis => Self::Redis(Resp::connect(&ground.place().queue.unwrap_or_default())?),
            Transport::Amqp => Self::RabbitMq(ground),
        })
    }

    /// Says whether nothing waits and nobody holds anything.
    pub(super) async fn finds_nothing(&mut self) -> anyhow::Result<bool> {
        match self {
            Self::Database(client) => {
                let sql =
                    client.broker().sql().ok_or_else(|| anyhow::anyhow!("the queue has no database"))?;
                let reader = sql.database().reader();
                let newest = Statement::from_string(reader.get_database_backend(), NEWEST);
                Ok(reader.query_one_raw(newest).await?.is_none())
            }
            Self::Redis(redis) => {
                let mut left = redis.number(&["LLEN", "celery"])?;
                left += redis.number(&["HLEN", "celeriac:parked"])?;
                // Asked last: what is popped meanwhile is there.
                Ok(left == 0 && redis.number(&["HLEN", "unacked"])? == 0)
            }
            Self::RabbitMq(ground) => {
                let left = ground.left_in_rabbitmq()?.unwrap_or_default();
                Ok(left.waiting + left.held == 0)
            }
        }
    }
}
