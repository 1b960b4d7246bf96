//! What every transport must do: one text, run against each of them.
//!
//! A transport's test file calls [`conform!`](crate::conform) with a function that opens an empty
//! queue. A case that needs what the transport can't do is skipped with a visible line, and the
//! test file states which ones it expects to be skipped.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use celeriac_protocol::{Clock, Content, Envelope, JobId, MAX_PRIORITY, ManualClock, Timestamp};

use crate::{
    Broker, BrokerError, Capabilities, Delivery, FetchRequest, Fetched, Settle, Settled, Settlement,
};

pub mod crowd;
pub mod dead;
pub mod fetch;
pub mod lease;
pub mod lookup;
pub mod notify;
pub mod order;
pub mod priorities;
pub mod publish;
pub mod queues;
pub mod settle;
pub mod transaction;
pub mod unique;

/// What a case comes to; a claim that fails panics, as tests do.
pub type Outcome = Result<(), BrokerError>;

/// How long leases are in these cases.
pub const LEASE: Duration = Duration::from_secs(30);

/// The queue that cases use where it does not matter.
pub const QUEUE: &str = "celery";

/// An empty queue and its clock, as two processes hold it.
pub struct Fixture {
    /// The transport under test.
    pub broker: Arc<dyn Broker>,
    /// The same queue through a second connection, as another process has it.
    pub other: Arc<dyn Broker>,
    /// The clock of both.
    pub clock: ManualClock,
    _kept: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    /// Makes a fixture; `kept` lives as long as it does.
    pub fn new(
        broker: Arc<dyn Broker>,
        other: Arc<dyn Broker>,
        clock: ManualClock,
        kept: impl Any + Send + Sync,
    ) -> Self {
        Self { broker, other, clock, _kept: Box::new(kept) }
    }

    async fn publish(&self, ids: &[&str]) -> Outcome {
        self.broker.publish(ids.iter().map(|id| message(id)).collect()).await.map(drop)
    }

    async fn fetch(&self, max: usize) -> Result<Vec<Delivery>, BrokerError> {
        Ok(take(&*self.broker, &[QUEUE], max).await?.deliveries)
    }

    async fn fetch_one(&self) -> Result<Delivery, BrokerError> {
        Ok(self.fetch(1).await?.pop().expect("a message is waiting"))
    }

    async fn fetch_ids(&self, max: usize) -> Result<Vec<String>, BrokerError> {
        Ok(ids_of(&self.fetch(max).await?))
    }

    async fn settle(&self, delivery: Delivery, settle: Settle) -> Result<Settled, BrokerError> {
        Ok(self.broker.settle(&[Settlement { delivery, settle }]).await?[0])
    }

    /// Returns a unique key where the transport has such.
    fn key(&self, key: &str) -> Option<String> {
        self.broker.capabilities().unique_keys.then(|| key.to_owned())
    }

    fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.clock.now() + Duration::from_secs(seconds)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Makes a small message for [`QUEUE`].
fn message(id: &str) -> Envelope {
    Envelope {
        id: JobId::parse(id).expect("cases use valid ids"),
        queue: QUEUE.into(),
        priority: None,
        due_at: None,
        unique_key: None,
        content: content(id),
    }
}

fn content(of: &str) -> Content {
    Content {
        headers: format!("{{\"id\":\"{of}\"}}"),
        properties: "{}".into(),
        content_type: "application/json".into(),
        content_encoding: "utf-8".into(),
        body: format!("[[\"{of}\"], {{}}, {{}}]").into_bytes(),
    }
}

fn job(id: &str) -> JobId {
    JobId::parse(id).expect("cases use valid ids")
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number:05}")).collect()
}

fn ids_of(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery.envelope.id.to_string()).collect()
}

/// Takes up to `max` messages, or all that there are; what is on its way comes with the next fetch where it is pushed.
async fn take(broker: &dyn Broker, queues: &[&str], max: usize) -> Result<Fetched, BrokerError> {
    let queues: Vec<String> = queues.iter().map(|queue| (*queue).to_owned()).collect();
    let fetch = |max| FetchRequest { queues: &queues, max, lease: LEASE, holder: "worker-1" };
    let mut fetched = broker.fetch(&fetch(max)).await?;
    while broker.capabilities().push && !fetched.deliveries.is_empty() && fetched.deliveries.len() < max {
        let mut more = broker.fetch(&fetch(max - fetched.deliveries.len())).await?;
        fetched.next_due_at = more.next_due_at;
        if more.deliveries.is_empty() {
            break;
        }
        fetched.deliveries.append(&mut more.deliveries);
    }
    Ok(fetched)
}

/// Returns what a second, forgetful holder of the same lease would have in its hands.
fn twin(delivery: &Delivery) -> Delivery {
    let Delivery { envelope, tag, delivery, attempt, lost, leased_until, cancel_requested } = delivery;
    Delivery {
        envelope: envelope.clone(),
        tag: *tag,
        delivery: *delivery,
        attempt: *attempt,
        lost: *lost,
        leased_until: *leased_until,
        cancel_requested: cancel_requested.clone(),
    }
}

fn ack(delivery: Delivery) -> Settlement {
    Settlement { delivery, settle: Settle::Ack }
}

fn requeue(due_at: Option<Timestamp>, charged: bool) -> Settle {
    Settle::Requeue { content: None, due_at, charged }
}

fn reject(reason: &str) -> Settle {
    Settle::Reject { reason: reason.into(), detail: format!("because of {reason}") }
}

/// What a transport must be able to do for a group of cases, or for one of them; nothing is said for
/// those that all must pass.
const NEEDS: &[(&str, fn(&Capabilities) -> bool)] = &[
    ("transaction", |can| can.transactional),
    ("unique", |can| can.unique_keys),
    ("lookup", |can| can.lookup),
    ("priorities", |can| can.priorities > MAX_PRIORITY),
    // An id is looked up to find its second message.
    ("publish/second_message_of_an_id_is_refused_until_the_first_is_gone", |can| can.lookup),
    ("publish/duplicates_within_one_call_are_told_apart", |can| can.lookup),
    ("publish/duplicates_among_many_do_not_disturb_the_rest", |can| can.lookup),
    ("dead/letter_stays_where_its_job_is_queued_again", |can| can.lookup),
    ("queues/pause_is_kept_once_and_shown", |can| can.lookup),
    // Time is moved by hand.
    ("fetch/says_when_it_is_worth_asking_again", |can| can.given_clock),
    ("order/delayed_message_waits_for_its_due_time", |can| can.given_clock),
    ("order/due_message_takes_the_place_of_its_priority_and_age", |can| can.given_clock),
    ("order/many_fall_due_at_once_and_none_is_forgotten", |can| can.given_clock),
    ("lease/message_of_a_silent_holder_goes_to_another", |can| can.given_clock),
    ("lease/renewed_lease_holds", |can| can.given_clock),
    ("lease/renewal_lengthens_no_other_lease_of_its_fetch", |can| can.given_clock),
    ("lease/lease_is_as_long_as_asked_for", |can| can.given_clock),
    ("lease/late_holder_changes_nothing", |can| can.given_clock),
    ("lease/late_holder_changes_nothing_while_nobody_holds", |can| can.given_clock),
    ("lease/lost_holders_are_counted_in_a_row", |can| can.given_clock),
    ("settle/message_given_back_for_later_waits", |can| can.given_clock),
    ("settle/old_and_new_lease_in_one_batch_are_told_apart", |can| can.given_clock),
    ("queues/depths_count_every_standing", |can| can.given_clock),
    ("queues/due_and_abandoned_messages_count_as_ready", |can| can.given_clock),
    ("queues/queues_that_have_something_to_hand_out_are_named", |can| can.given_clock),
    ("queues/purge_takes_waiting_messages_only", |can| can.given_clock),
    ("crowd/messages_of_workers_that_vanish_reach_others", |can| can.given_clock),
    ("settle/message_given_back_at_once_keeps_its_place", |can| can.keeps_place),
    ("queues/paused_queue_gives_nothing_until_resumed", |can| can.keeps_place),
    // Who has not asked for messages is not told of them.
    ("notify/publishing_wakes_listeners", |can| !can.push),
    ("notify/giving_back_and_resuming_wake_listeners", |can| !can.push),
];

/// Returns whether a transport is to pass a case of `group`.
pub fn is_needed(group: &str, case: &str, can: &Capabilities) -> bool {
    let is_meant = |name: &str| match name.split_once('/') {
        Some((of, one)) => of == group && one == case,
        None => name == group,
    };
    NEEDS.iter().filter(|(name, _)| is_meant(name)).all(|(_, needs)| needs(can))
}

/// Returns the groups, and the single cases as `group/case`, that a transport skips, for its test file to
/// compare with what it expects.
pub fn skipped(can: &Capabilities) -> Vec<&'static str> {
    NEEDS.iter().filter(|(_, needs)| !needs(can)).map(|(name, _)| *name).collect()
}

/// Makes one test of every case; `$open` is an async function that returns a [`Fixture`].
#[macro_export]
macro_rules! conform {
    ($open:path) => {
        $crate::conform! { @cases $open;
            publish {
                message_comes_out_as_it_went_in
                many_are_taken_all_and_in_order
                nothing_published_is_nothing
                second_message_of_an_id_is_refused_until_the_first_is_gone
                duplicates_within_one_call_are_told_apart
                duplicates_among_many_do_not_disturb_the_rest
                large_and_empty_bodies_survive
                what_one_process_publishes_another_fetches
            }
            fetch {
                gives_no_more_than_was_asked_for
                asks_only_the_queues_that_were_named
                fills_free_slots_from_several_queues
                queues_take_turns
                held_messages_are_not_given_twice
                says_when_it_is_worth_asking_again
                counts_deliveries_and_attempts_from_one
            }
            order {
                higher_priority_comes_first_and_older_within
                unset_priority_stands_in_the_middle
                delayed_message_waits_for_its_due_time
                due_message_takes_the_place_of_its_priority_and_age
                due_time_in_the_past_is_now
                clock_that_goes_back_hides_nothing_that_is_ready
                many_fall_due_at_once_and_none_is_forgotten
            }
            priorities {
                neighbours_are_told_apart
                all_ten_come_in_their_order
            }
            lease {
                message_of_a_silent_holder_goes_to_another
                renewed_lease_holds
                renewal_lengthens_no_other_lease_of_its_fetch
                lease_is_as_long_as_asked_for
                late_holder_changes_nothing
                late_holder_changes_nothing_while_nobody_holds
                lease_that_ended_unnoticed_can_still_be_settled
                lease_that_ended_unnoticed_can_still_be_renewed
                lost_holders_are_counted_in_a_row
                every_hand_out_has_a_tag_of_its_own
                renewals_are_answered_in_order
            }
            settle {
                acknowledged_message_is_gone
                message_given_back_at_once_keeps_its_place
                message_given_back_for_later_waits
                uncharged_hand_out_is_no_attempt
                new_content_replaces_the_old
                answers_come_in_the_order_of_the_question
                second_settlement_of_one_lease_is_refused
                old_and_new_lease_in_one_batch_are_told_apart
                large_mixed_batch_is_settled_whole
                nothing_settled_is_nothing
            }
            dead {
                rejected_message_is_kept_with_its_bytes
                rejected_message_is_kept_whatever_is_said_of_it
                letters_come_newest_first_and_in_pages
                newest_letter_of_a_job_is_found
                dropped_letters_are_gone
                revived_message_is_handed_out_once
                letter_stays_where_its_job_is_queued_again
                id_of_a_dead_letter_is_free
            }
            lookup {
                message_is_found_wherever_it_stands
                waiting_message_is_cancelled_by_taking_it_out
                held_message_is_marked_and_its_holder_hears_of_it
                mark_stays_for_the_next_holder
                unknown_message_is_not_found
            }
            queues {
                depths_count_every_standing
                due_and_abandoned_messages_count_as_ready
                queues_that_have_something_to_hand_out_are_named
                purge_takes_waiting_messages_only
                purge_is_bounded
                paused_queue_gives_nothing_until_resumed
                pause_is_kept_once_and_shown
            }
            unique {
                key_keeps_others_out_while_its_message_waits_or_is_held
                key_is_free_once_its_message_is_gone
                keys_within_one_call_are_told_apart
                retried_message_keeps_its_key
            }
            transaction {
                message_is_there_after_the_commit_only
                message_of_a_failed_transaction_never_was
                settlement_of_a_failed_transaction_never_was
                cancellation_and_revival_take_part
                listeners_are_woken_by_the_commit_only
            }
            notify {
                notice_reaches_both_processes
                publishing_wakes_listeners
                giving_back_and_resuming_wake_listeners
                cancelling_a_held_message_tells_its_holder
            }
            crowd {
                every_message_reaches_one_worker_once
                messages_of_workers_that_vanish_reach_others
            }
        }
    };
    (@cases $open:path; $($group:ident { $($case:ident)* })*) => {
        $(mod $group {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let fixture = $open().await;
                let (group, case) = (stringify!($group), stringify!($case));
                if $crate::conformance::is_needed(group, case, &fixture.broker.capabilities()) {
                    let passed = $crate::conformance::$group::$case(fixture).await;
                    assert!(passed.is_ok(), "{passed:?}");
                } else {
                    println!("skipped: {group}/{case} of this transport");
                }
            })*
        })*
    };
}
