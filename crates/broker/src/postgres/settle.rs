//! Settling deliveries: removed, buried among the dead letters, or put back.

use std::collections::HashSet;

use celeriac_protocol::{Content, Timestamp, without_nul};

use super::fetch::{lists, place};
use super::statement::{Values, Via, column};
use crate::{BrokerError, LeaseTag, Settle, Settled, Settlement};

const ACK: &str = "SELECT celeriac_queue_ack($1, $2)";

/// All kinds as one statement, which is all or nothing by itself.
const SETTLE: &str = "SELECT celeriac_queue_ack($1, $2), celeriac_queue_bury($3, $4, $5, $6, $16), \
    celeriac_queue_requeue($7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

const ACTION: &str = "settle deliveries";

/// Settles deliveries and returns one answer for each in the given order.
pub(super) async fn settle(
    via: &Via<'_>,
    settlements: &[Settlement],
    told: Option<i64>,
) -> Result<Vec<Settled>, BrokerError> {
    if settlements.is_empty() {
        return Ok(Vec::new());
    }
    let orders = Orders::of(settlements);
    let done = match orders {
        Orders { ref acked, ref buried, ref requeued } if buried.is_empty() && requeued.is_empty() => {
            let (keys, fences) = lists(acked);
            let values = Values::default().with(keys).with(fences);
            let places: Places = via.query_one(ACTION, ACK, values, |row| column(row, 0)).await?;
            named(acked, places)
        }
        orders => orders.run(via, told).await?,
    };
    Ok(answers(settlements, done))
}

/// The places of those that were still held; null where there was none.
type Places = Option<Vec<i64>>;

/// What is to be done, parted by its kind. Of several orders for one lease the first counts.
#[derive(Default)]
struct Orders<'s> {
    acked: Vec<LeaseTag>,
    buried: Vec<(LeaseTag, &'s str, &'s str)>,
    requeued: Vec<Requeue<'s>>,
}

struct Requeue<'s> {
    tag: LeaseTag,
    due_at: Option<i64>,
    refund: i16,
    content: Option<&'s Content>,
}

impl<'s> Orders<'s> {
    fn of(settlements: &'s [Settlement]) -> Self {
        let (mut orders, mut seen) = (Self::default(), HashSet::with_capacity(settlements.len()));
        for Settlement { delivery, settle } in settlements {
            if seen.insert(delivery.tag) {
                orders.add(delivery.tag, settle);
            }
        }
        orders
    }

    fn add(&mut self, tag: LeaseTag, settle: &'s Settle) {
        match settle {
            Settle::Ack => self.acked.push(tag),
            Settle::Reject { reason, detail } => self.buried.push((tag, reason, detail)),
            Settle::Requeue { content, due_at, charged } => self.requeued.push(Requeue {
                tag,
                due_at: due_at.map(Timestamp::as_micros),
                refund: i16::from(!charged),
                content: content.as_ref(),
            }),
        }
    }

    async fn run(self, via: &Via<'_>, told: Option<i64>) -> Result<HashSet<LeaseTag>, BrokerError> {
        let buried: Vec<LeaseTag> = self.buried.iter().map(|(tag, ..)| *tag).collect();
        let requeued: Vec<LeaseTag> = self.requeued.iter().map(|one| one.tag).collect();
        let ((acked_keys, acked_fences), (buried_keys, buried_fences)) = (lists(&self.acked), lists(&buried));
        let values = Values::default()
            .with(acked_keys)
            .with(acked_fences)
            .with(buried_keys)
            .with(buried_fences)
            .with(said(self.buried.iter().map(|(_, reason, _)| *reason)))
            .with(said(self.buried.iter().map(|(.., detail)| *detail)));
        let values = back(values, &requeued, &self.requeued).with(told);
        let read = |row: &_| Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?));
        let places: (Places, Places, Places) = via.query_one(ACTION, SETTLE, values, read).await?;
        let mut done = named(&self.acked, places.0);
        done.extend(named(&buried, places.1));
        done.extend(named(&requeued, places.2));
        Ok(done)
    }
}

/// Takes over what is said of messages that are buried, of which none may come back for a NUL in it.
fn said<'s>(texts: impl Iterator<Item = &'s str>) -> Vec<String> {
    texts.map(|text| without_nul(text.to_owned())).collect()
}

/// Adds what is put back, one list for each column.
fn back(values: Values, tags: &[LeaseTag], requeued: &[Requeue<'_>]) -> Values {
    let (keys, fences) = lists(tags);
    let text = |of: fn(&Content) -> &str| -> Vec<Option<&str>> {
        requeued.iter().map(|one| one.content.map(of)).collect()
    };
    values
        .with(keys)
        .with(fences)
        .with(requeued.iter().map(|one| one.due_at).collect::<Vec<_>>())
        .with(requeued.iter().map(|one| one.refund).collect::<Vec<_>>())
        .with(text(|content| &content.content_type))
        .with(text(|content| &content.content_encoding))
        .with(text(|content| &content.properties))
        .with(text(|content| &content.headers))
        .with(
            requeued.iter().map(|one| one.content.map(|content| content.body.as_slice())).collect::<Vec<_>>(),
        )
}

/// Returns the tags at these places.
fn named(tags: &[LeaseTag], places: Places) -> HashSet<LeaseTag> {
    places.into_iter().flatten().filter_map(|counted| tags.get(place(counted)).copied()).collect()
}

fn answers(settlements: &[Settlement], mut done: HashSet<LeaseTag>) -> Vec<Settled> {
    let answer = |settlement: &Settlement| match done.remove(&settlement.delivery.tag) {
        true => Settled::Done,
        false => Settled::LeaseLost,
    };
    settlements.iter().map(answer).collect()
}
