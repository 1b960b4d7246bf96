//! What hosts' rows keep of the requests made to them.

use celeriac_db::DbError;

use super::*;
use crate::CollectSettings;
use crate::host::ensure;
use crate::tests::rig::Rig;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

fn learnt(host_id: i64, signal: HostSignal, at: Timestamp) -> Learnt {
    let counts = Counts { requests: 1, bytes: 100, last_status: None, last_request_at: at };
    let error = (signal != HostSignal::Answered).then(|| "it said too much".to_owned());
    Learnt { host_id, signal, counts, error, policy: HostPolicy::default() }
}

/// Lets a host with this pause, at which pages wait, hear what was learnt.
async fn after(min_delay: std::time::Duration, signals: &[(HostSignal, Timestamp)]) -> host::Model {
    let rig = Rig::new(CollectSettings::default()).await;
    let signals = signals.to_vec();
    let write = async move |tx: &DbTx| {
        let id = ensure(tx, "https://a.example", NOW).await?;
        let row = ActiveModel {
            id: Set(id),
            min_delay: Set(Some(crate::host::micros(min_delay))),
            pages_ready_at: Set(Some((NOW + SECOND * 1_000).as_micros())),
            ..Default::default()
        };
        host::Entity::update(row).exec(tx).await?;
        for (signal, at) in signals {
            learnt(id, signal, at).write(tx).await?;
        }
        Ok::<_, DbError>(())
    };
    rig.database().write("learn", write).await.unwrap();
    rig.hosts().await.remove(0)
}

#[tokio::test]
async fn a_long_pause_is_counted_from_the_end_of_a_request_and_the_queue_knows() {
    let host = after(SECOND * 2, &[(HostSignal::Answered, NOW)]).await;
    assert_eq!(Timestamp::from_micros(host.next_allowed_at), NOW + SECOND * 2);
    assert_eq!(host.pages_ready_at, Some(host.next_allowed_at), "a slot is free from then on");
    assert_eq!((host.domains_ready_at, host.sitemaps_ready_at), (None, None), "nothing waits there");
    assert_eq!((host.requests, host.bytes), (1, 100));
}

#[tokio::test]
async fn too_much_parks_a_host_with_its_reason_and_an_answer_after_that_frees_it() {
    let too_much = HostSignal::Overloaded { retry_after: Some(SECOND * 30) };
    let host = after(std::time::Duration::ZERO, &[(too_much, NOW)]).await;
    assert_eq!(host.parked_until, Some((NOW + SECOND * 30).as_micros()));
    assert_eq!(host.parked_reason.as_deref(), Some("it said too much"));
    assert_eq!(host.pages_ready_at, host.parked_until);
    let well = (HostSignal::Answered, NOW + SECOND * 31);
    let host = after(std::time::Duration::ZERO, &[(too_much, NOW), well]).await;
    assert_eq!((host.parked_until, host.parked_reason, host.backoffs), (None, None, 0));
}

#[tokio::test]
async fn a_host_that_never_answers_is_given_up_for_a_day() {
    let silent: Vec<_> = (0..BACKOFFS_MAX)
        .map(|n| (HostSignal::Overloaded { retry_after: None }, NOW + SECOND * 10_000 * n))
        .collect();
    let last = silent.last().unwrap().1;
    let host = after(std::time::Duration::ZERO, &silent).await;
    assert_eq!(host.given_up_until, Some((last + GIVEN_UP_FOR).as_micros()));
    assert_eq!(
        (host.parked_until, host.pages_ready_at),
        (None, Some(last.as_micros())),
        "its rows may end at once"
    );
    let host = after(std::time::Duration::ZERO, &silent[1..]).await;
    assert_eq!(host.given_up_until, None);
}
