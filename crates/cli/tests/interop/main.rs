//! Real Celery on the other side: Python's client to our worker, our client to Python's worker, and both
//! workers on one queue.
//!
//! `cargo xtask test interop` makes a virtual environment for each version of Celery and runs these.

#[cfg(test)]
mod beat;
#[cfg(test)]
mod both;
#[cfg(test)]
mod house;
#[cfg(test)]
mod rpc;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod to_ours;
#[cfg(test)]
mod to_python;

/// Makes a test of every line with each version of Celery.
#[cfg(test)]
macro_rules! lines {
    ($server:ident; $($side:ident: $($name:ident)*;)*) => {
        $(lines!(@ $server $side "5.7" celery_5_7 $($name)*; "5.3" celery_5_3 $($name)*);)*
    };
    (@ $server:ident $side:ident $($celery:literal $module:ident $($name:ident)*);*) => {
        mod $side { $(mod $module { $(
            #[test]
            #[ignore = "needs Python with Celery: `cargo xtask test interop`"]
            fn $name() {
                let server = crate::house::Server::$server;
                crate::house::line(server, $celery, stringify!($name), crate::$side::$name);
            }
        )* })* }
    };
}

#[cfg(test)]
mod redis {
    lines! {
        Redis;
        to_ours:
            client_of_python_gets_the_result
            client_of_python_gets_every_result_of_a_group
            chain_of_python_runs_to_its_end
            chain_of_python_that_fails_is_told_to_whoever_waits_for_its_end
            links_of_python_are_followed
            group_at_the_end_of_a_chain_is_run
            chord_and_error_callback_of_python_are_never_begun
            values_of_python_come_back_as_they_went
            every_serializer_and_compression_of_python_is_read
            results_of_ours_are_read_in_every_serializer_and_compression
            client_of_python_gets_the_failure
            task_that_failed_once_is_retried_and_succeeds
            progress_is_seen_by_python
            particulars_of_a_result_are_seen_by_python
            result_that_is_ignored_is_not_kept
            late_job_is_revoked
            delayed_job_waits_and_runs_once
            priority_of_python_is_kept
            task_that_nobody_knows_fails_as_in_celery
            message_that_cannot_be_read_stops_no_worker;
        to_python:
            client_of_ours_gets_the_result
            client_of_ours_gets_the_failure
            every_serializer_and_compression_of_ours_is_read
            values_of_ours_have_their_types_in_python
            results_of_python_are_read_in_every_serializer_and_compression
            retry_of_a_python_task_ends_in_its_success
            delayed_job_of_ours_waits_in_python
            progress_of_python_reaches_the_record
            result_reaches_the_record_of_whoever_did_not_wait
            priority_of_ours_is_kept;
        both:
            two_fleets_share_one_queue
            chain_runs_over_two_fleets
            chain_of_a_killed_worker_of_ours_goes_on_under_the_same_ids
            retry_of_ours_is_run_by_python_that_reads_nothing_but_msgpack
            job_of_a_killed_worker_of_ours_is_put_back_by_python
            job_of_a_killed_python_worker_is_put_back_by_ours
            delayed_jobs_outlive_the_last_worker_of_ours;
    }
}

/// Results in the tables of Celery's database backend, which held pickles before 5.7.
#[cfg(test)]
mod tables {
    lines!(@ Redis to_ours "5.7" celery_5_7 results_are_kept_in_tables_of_celery);
    lines!(@ Redis to_python "5.7" celery_5_7 results_of_python_are_read_from_its_tables);
}

/// Schedules that Celery's packages have stored, the newest of each beside Celery 5.7 and older ones beside 5.3.
#[cfg(test)]
mod redis_schedules {
    lines! {
        Redis;
        beat:
            each_kind_of_django_is_fired_once_and_run_by_python
            each_kind_of_sqlalchemy_is_fired_once_and_run_by_python
            each_kind_of_redbeat_is_fired_once_and_run_by_python;
        schedules:
            schedules_of_django_are_imported
            times_without_a_zone_are_read_in_the_one_that_is_named
            schedules_of_sqlalchemy_are_imported
            schedules_of_redbeat_are_imported;
    }
}

/// Schemas came with later versions of sqlalchemy-celery-beat.
#[cfg(test)]
mod schedules_in_schemas {
    lines!(@ Redis schedules "5.7" celery_5_7 schedules_in_a_schema_of_their_own_are_found);
}

/// RabbitMQ has the queues, and Redis the results.
#[cfg(test)]
#[cfg(feature = "amqp")]
mod rabbitmq {
    lines! {
        RabbitMq;
        to_ours:
            client_of_python_gets_the_result
            client_of_python_gets_every_result_of_a_group
            chain_of_python_runs_to_its_end
            chain_of_python_that_fails_is_told_to_whoever_waits_for_its_end
            links_of_python_are_followed
            group_at_the_end_of_a_chain_is_run
            chord_and_error_callback_of_python_are_never_begun
            values_of_python_come_back_as_they_went
            every_serializer_and_compression_of_python_is_read
            results_of_ours_are_read_in_every_serializer_and_compression
            client_of_python_gets_the_failure
            task_that_failed_once_is_retried_and_succeeds
            progress_is_seen_by_python
            particulars_of_a_result_are_seen_by_python
            result_that_is_ignored_is_not_kept
            delayed_job_waits_and_runs_once
            priority_of_python_is_kept_by_rabbitmq
            late_job_is_dropped_by_rabbitmq
            topic_of_python_reaches_ours
            task_that_nobody_knows_fails_as_in_celery;
        to_python:
            client_of_ours_gets_the_result
            client_of_ours_gets_the_failure
            every_serializer_and_compression_of_ours_is_read
            values_of_ours_have_their_types_in_python
            results_of_python_are_read_in_every_serializer_and_compression
            retry_of_a_python_task_ends_in_its_success
            delayed_job_of_ours_waits_in_python
            progress_of_python_reaches_the_record
            result_reaches_the_record_of_whoever_did_not_wait
            priority_of_ours_is_kept_by_rabbitmq
            topic_of_ours_reaches_python;
        both:
            two_fleets_share_one_queue
            retry_of_ours_is_run_by_python_that_reads_nothing_but_msgpack
            chain_runs_over_two_fleets
            chain_of_a_killed_worker_of_ours_goes_on_under_the_same_ids
            job_of_a_killed_python_worker_is_run_by_the_next
            delayed_jobs_outlive_the_last_worker_of_ours;
    }
}

/// The lines of results that are sent by the server of the queues: the same for both.
#[cfg(test)]
macro_rules! lines_by_rpc {
    ($server:ident) => {
        lines! {
            $server;
            to_ours:
                client_of_python_gets_the_result
                client_of_python_gets_every_result_of_a_group
                client_of_python_gets_the_failure
                every_serializer_and_compression_of_python_is_read
                values_of_python_come_back_as_they_went
                task_that_nobody_knows_fails_as_in_celery;
            to_python:
                client_of_ours_gets_the_result;
            rpc:
                client_of_python_hears_every_state_in_its_order
                client_of_python_hears_of_a_retry
                answers_are_what_a_worker_of_python_sends
                result_that_is_ignored_is_not_sent
                late_job_is_revoked_for_whoever_waits
                chain_of_python_answers_from_each_step
                answers_of_ours_are_read_in_every_serializer
                client_that_has_gone_keeps_no_job_from_its_end
                message_that_cannot_be_read_is_answered
                client_of_ours_is_told_how_it_ended
                answers_of_python_are_read_in_every_serializer
                progress_of_python_reaches_the_record_of_the_worker_that_asked
                client_of_ours_hears_worker_of_ours_with_other_records;
        }
    };
}

/// Redis has the queues, and results are sent by it.
#[cfg(test)]
mod redis_by_rpc {
    lines_by_rpc!(RedisByRpc);
}

/// RabbitMQ has the queues, and results are sent by it.
#[cfg(test)]
#[cfg(feature = "amqp")]
mod rabbitmq_by_rpc {
    lines_by_rpc!(RabbitMqByRpc);
}
