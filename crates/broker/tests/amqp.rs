//! The queue in RabbitMQ passes the suite, held by two processes' connections; and what time, a server that
//! goes and comes, and Python peers do to it.

#[cfg(test)]
mod suite {
    use std::sync::Arc;

    use celeriac_broker::conformance::{Fixture, skipped};
    use celeriac_broker::{AmqpBroker, AmqpOptions};
    use celeriac_peers::shared::rabbitmq_corner;
    use celeriac_protocol::{DEFAULT_PRIORITY, MAX_PRIORITY, ManualClock};

    async fn open() -> Fixture {
        let clock = ManualClock::default();
        // The suite wants what is unset in the middle.
        let options = AmqpOptions {
            max_priority: Some(MAX_PRIORITY),
            unset_priority: DEFAULT_PRIORITY,
            ..AmqpOptions::at(rabbitmq_corner().unwrap())
        };
        let broker = AmqpBroker::open(options.clone(), Arc::new(clock.clone())).await.unwrap();
        let other = AmqpBroker::open(options, Arc::new(clock.clone())).await.unwrap();
        Fixture::new(Arc::new(broker), Arc::new(other), clock, ())
    }

    celeriac_broker::conform!(open);

    #[tokio::test]
    async fn skips_what_rabbitmq_cannot_do_and_nothing_else() {
        let expected = [
            "transaction",
            "unique",
            "lookup",
            "publish/second_message_of_an_id_is_refused_until_the_first_is_gone",
            "publish/duplicates_within_one_call_are_told_apart",
            "publish/duplicates_among_many_do_not_disturb_the_rest",
            "dead/letter_stays_where_its_job_is_queued_again",
            "queues/pause_is_kept_once_and_shown",
            "fetch/says_when_it_is_worth_asking_again",
            "order/delayed_message_waits_for_its_due_time",
            "order/due_message_takes_the_place_of_its_priority_and_age",
            "order/many_fall_due_at_once_and_none_is_forgotten",
            "lease/message_of_a_silent_holder_goes_to_another",
            "lease/renewed_lease_holds",
            "lease/renewal_lengthens_no_other_lease_of_its_fetch",
            "lease/lease_is_as_long_as_asked_for",
            "lease/late_holder_changes_nothing",
            "lease/late_holder_changes_nothing_while_nobody_holds",
            "lease/lost_holders_are_counted_in_a_row",
            "settle/message_given_back_for_later_waits",
            "settle/old_and_new_lease_in_one_batch_are_told_apart",
            "queues/depths_count_every_standing",
            "queues/due_and_abandoned_messages_count_as_ready",
            "queues/queues_that_have_something_to_hand_out_are_named",
            "queues/purge_takes_waiting_messages_only",
            "crowd/messages_of_workers_that_vanish_reach_others",
            "settle/message_given_back_at_once_keeps_its_place",
            "queues/paused_queue_gives_nothing_until_resumed",
            "notify/publishing_wakes_listeners",
            "notify/giving_back_and_resuming_wake_listeners",
        ];
        assert_eq!(skipped(&open().await.broker.capabilities()), expected);
    }
}

#[cfg(test)]
#[path = "amqp"]
mod own {
    mod admin;
    mod delay;
    mod exchanges;
    mod lost;
    mod peer;
    mod server;
    mod support;
}
