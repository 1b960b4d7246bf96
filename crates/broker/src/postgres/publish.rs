//! Putting messages into the queue, and what to say of those already there.

use celeriac_protocol::{Content, Envelope, Timestamp};
use sea_orm::sqlx;

use super::rows::job_id;
use super::statement::{Values, Via, column, failed};
use crate::{BrokerError, Publication};

const PUBLISH: &str = "SELECT celeriac_queue_publish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const REVIVE: &str = "SELECT celeriac_queue_revive($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

/// Stores messages and returns one answer for each in the given order.
pub(super) async fn publish(
    via: &Via<'_>,
    envelopes: &[Envelope],
    told: Option<i64>,
) -> Result<Vec<Publication>, BrokerError> {
    const ACTION: &str = "publish messages";
    if envelopes.is_empty() {
        return Ok(Vec::new());
    }
    let values = messages(envelopes).with(told);
    let occupants: Option<Vec<Option<String>>> =
        via.query_one(ACTION, PUBLISH, values, |row| column(row, 0)).await?;
    let Some(occupants) = occupants else { return Ok(vec![Publication::Accepted; envelopes.len()]) };
    occupants
        .iter()
        .map(|occupant| publication(occupant.as_deref()))
        .collect::<Result<_, _>>()
        .map_err(failed(ACTION))
}

/// Puts a dead letter back as `envelope`; it stays where it is if its id or unique key is taken.
pub(super) async fn revive(
    via: &Via<'_>,
    key: i64,
    envelope: &Envelope,
    told: Option<i64>,
) -> Result<Option<Publication>, BrokerError> {
    const ACTION: &str = "put dead letter back";
    let Content { headers, properties, content_type, content_encoding, body } = &envelope.content;
    let values = Values::default()
        .with(key)
        .with(envelope.id.as_str())
        .with(&envelope.queue)
        .with(i16::from(envelope.effective_priority()))
        .with(envelope.priority.map(i16::from))
        .with(envelope.due_at.map(Timestamp::as_micros))
        .with(envelope.unique_key.as_ref())
        .with(content_type)
        .with(content_encoding)
        .with(properties)
        .with(headers)
        .with(body)
        .with(told);
    let occupants: Option<Vec<Option<String>>> =
        via.query_one(ACTION, REVIVE, values, |row| column(row, 0)).await?;
    let Some(occupants) = occupants else { return Ok(None) };
    let occupant = occupants.first().and_then(Option::as_deref);
    publication(occupant).map(Some).map_err(failed(ACTION))
}

/// One list for each column.
fn messages(envelopes: &[Envelope]) -> Values {
    Values::default()
        .with(list(envelopes, |one| one.id.as_str()))
        .with(list(envelopes, |one| one.queue.as_str()))
        .with(list(envelopes, |one| i16::from(one.effective_priority())))
        .with(list(envelopes, |one| one.priority.map(i16::from)))
        .with(list(envelopes, |one| one.due_at.map(Timestamp::as_micros)))
        .with(list(envelopes, |one| one.unique_key.as_deref()))
        .with(list(envelopes, |one| one.content.content_type.as_str()))
        .with(list(envelopes, |one| one.content.content_encoding.as_str()))
        .with(list(envelopes, |one| one.content.properties.as_str()))
        .with(list(envelopes, |one| one.content.headers.as_str()))
        .with(list(envelopes, |one| one.content.body.as_slice()))
}

fn list<'e, T>(envelopes: &'e [Envelope], value: impl Fn(&'e Envelope) -> T) -> Vec<T> {
    envelopes.iter().map(value).collect()
}

fn publication(occupant: Option<&str>) -> Result<Publication, sqlx::Error> {
    occupant.map_or(Ok(Publication::Accepted), |id| job_id(id).map(Publication::Duplicate))
}
