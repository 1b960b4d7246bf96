//! How a host fares under the rules.

use proptest::prelude::*;

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000) + secs(seconds)
}

fn policy() -> HostPolicy {
    HostPolicy::default()
}

fn host(crawl_delay: Option<u64>) -> HostState {
    HostState { crawl_delay: crawl_delay.map(secs), ..HostState::default() }
}

/// Lets a host fail in this way, at these seconds, and returns it.
fn after(policy: &HostPolicy, signal: HostSignal, instants: &[u64]) -> HostState {
    let mut host = HostState::default();
    for seconds in instants {
        policy.settle(&mut host, signal, at(*seconds));
    }
    host
}

#[test]
fn the_pause_is_what_the_site_asks_within_what_we_grant() {
    for (crawl_delay, min_delay, expected) in [
        (None, secs(0), secs(0)),
        (None, secs(2), secs(2)),
        (Some(10), secs(2), secs(10)),
        (Some(1), secs(2), secs(2)),
        (Some(0), secs(0), secs(0)),
        (Some(86_400), secs(2), secs(300)),
    ] {
        let policy = HostPolicy { min_delay, ..policy() };
        assert_eq!(policy.delay(&host(crawl_delay)), expected, "{crawl_delay:?} {min_delay:?}");
    }
}

#[test]
fn a_host_with_a_long_pause_is_asked_one_thing_at_a_time() {
    let policy = policy();
    let mut host = host(Some(10));
    assert_eq!(policy.reserve(&mut host, at(0), secs(60)), Some(at(0)));
    assert_eq!(policy.free_slots(&host, at(30)), 0);
    assert_eq!(policy.reserve(&mut host, at(30), secs(60)), None, "one is under way");
    policy.settle(&mut host, HostSignal::Answered, at(30));
    assert_eq!(policy.reserve(&mut host, at(30), secs(9)), None);
    assert_eq!(policy.reserve(&mut host, at(30), secs(60)), Some(at(40)), "counted from the end");
}

#[test]
fn a_host_with_a_short_pause_may_be_asked_while_a_slow_page_goes_on() {
    let policy = policy();
    let mut host = HostState::default();
    let half = Duration::from_millis(500);
    assert_eq!(policy.reserve(&mut host, at(0), secs(5)), Some(at(0)));
    assert_eq!(policy.reserve(&mut host, at(0), secs(5)), Some(at(0) + half));
    assert_eq!(policy.reserve(&mut host, at(9), secs(5)), None, "both slots are taken");
    policy.settle(&mut host, HostSignal::Answered, at(9));
    assert_eq!(policy.free_slots(&host, at(9)), 1);
    assert_eq!(policy.reserve(&mut host, at(9), secs(5)), Some(at(9)));
}

#[test]
fn too_much_parks_the_host_and_twice_as_long_each_time() {
    let overloaded = HostSignal::Overloaded { retry_after: None };
    let policy = policy();
    for (instants, until) in [
        (&[0][..], 10),
        (&[0, 10], 30),
        (&[0, 10, 30], 70),
        (&[0, 1, 2], 12),
        (&[0, 10, 30, 70, 150, 310, 630, 1_270, 2_550], 2_550 + 900),
    ] {
        let host = after(&policy, overloaded, instants);
        assert_eq!(host.parked_until, Some(at(until)), "{instants:?}");
        assert_eq!(policy.free_slots(&host, at(until - 1)), 0, "{instants:?}");
        assert_eq!(policy.free_slots(&host, at(until)), 2, "{instants:?}");
    }
}

#[test]
fn what_the_host_asks_for_is_kept_within_bounds() {
    let policy = policy();
    for (retry_after, until) in [(0, 0), (3, 3), (120, 120), (86_400, 3_600)] {
        let retry_after = Some(secs(retry_after));
        let host = after(&policy, HostSignal::Overloaded { retry_after }, &[0]);
        assert_eq!(policy.next_start(&host), at(until).max(at(0)), "{retry_after:?}");
        let host = after(&policy, HostSignal::Failed { retry_after }, &[0]);
        assert_eq!(policy.next_start(&host), at(until).max(at(0)), "{retry_after:?}");
    }
}

#[test]
fn a_shorter_wish_does_not_end_a_longer_one() {
    let policy = policy();
    let mut host = after(&policy, HostSignal::Overloaded { retry_after: Some(secs(100)) }, &[0]);
    policy.settle(&mut host, HostSignal::Overloaded { retry_after: Some(secs(1)) }, at(1));
    policy.settle(&mut host, HostSignal::Answered, at(2));
    assert_eq!(host.parked_until, Some(at(100)));
}

#[test]
fn single_pages_that_fail_do_not_make_the_host_suspect() {
    let failed = HostSignal::Failed { retry_after: None };
    let policy = policy();
    assert_eq!(after(&policy, failed, &[0, 1, 2, 3]).parked_until, None);
    assert_eq!(after(&policy, failed, &[0, 1, 2, 3, 4]).parked_until, Some(at(14)));
    let mut host = after(&policy, failed, &[0, 1, 2, 3]);
    policy.settle(&mut host, HostSignal::Answered, at(4));
    policy.settle(&mut host, failed, at(5));
    assert_eq!((host.parked_until, host.failures), (None, 1));
}

#[test]
fn an_answer_after_the_stay_away_makes_the_host_well() {
    let policy = policy();
    let mut host = after(&policy, HostSignal::Overloaded { retry_after: None }, &[0, 10]);
    policy.settle(&mut host, HostSignal::Answered, at(30));
    assert_eq!((host.parked_until, host.failures, host.backoffs), (None, 0, 0));
    policy.settle(&mut host, HostSignal::Overloaded { retry_after: None }, at(40));
    assert_eq!(host.parked_until, Some(at(50)), "it begins anew");
}

#[test]
fn what_was_never_asked_tells_nothing() {
    let policy = policy();
    let mut host = host(Some(10));
    policy.reserve(&mut host, at(0), secs(0)).unwrap();
    let before = host;
    policy.settle(&mut host, HostSignal::NotAsked, at(5));
    assert_eq!(host, HostState { in_flight: 0, ..before });
}

#[test]
fn failed_fetches_tell_what_they_can() {
    let url = String::from("https://example.com/");
    let retry_after = Some(secs(7));
    let unavailable = |status| FetchError::Unavailable { url: url.clone(), status, retry_after };
    for (error, expected) in [
        (unavailable(429), HostSignal::Overloaded { retry_after }),
        (unavailable(503), HostSignal::Overloaded { retry_after }),
        (unavailable(500), HostSignal::Failed { retry_after }),
        (FetchError::Rejected { url: url.clone(), status: 404 }, HostSignal::Answered),
        (FetchError::TooLarge { url: url.clone(), limit: 1 }, HostSignal::Answered),
        (
            FetchError::Connect { url: url.clone(), source: "refused".into() },
            HostSignal::Failed { retry_after: None },
        ),
        (FetchError::RobotsUnreachable { url, reason: String::new(), retry_after }, HostSignal::NotAsked),
    ] {
        assert_eq!(HostSignal::of_error(&error), expected, "{error}");
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    policy().validate().unwrap();
    for (policy, name) in [
        (HostPolicy { concurrency: 0, ..policy() }, "concurrency"),
        (HostPolicy { failures_max: 0, ..policy() }, "failures_max"),
        (HostPolicy { min_delay: WAIT_MAX * 2, ..policy() }, "min_delay"),
        (HostPolicy { backoff_start: secs(0), ..policy() }, "backoff_start"),
        (HostPolicy { backoff_start: secs(9_999), ..policy() }, "backoff_start"),
    ] {
        assert!(policy.validate().unwrap_err().to_string().contains(name), "{name}");
    }
}

proptest! {
    /// Whatever the answers take, the host sees its pause, and never more at a time than agreed.
    #[test]
    fn no_host_is_ever_asked_too_much(
        crawl_delay_ms in prop::option::of(0_u64..3_000),
        min_delay_ms in 0_u64..2_000,
        concurrency in 1_u32..5,
        durations_ms in prop::collection::vec(0_u64..5_000, 1..60),
        ahead_ms in 0_u64..4_000,
    ) {
        let ms = Duration::from_millis;
        let policy = HostPolicy { concurrency, min_delay: ms(min_delay_ms), ..policy() };
        let mut host = HostState { crawl_delay: crawl_delay_ms.map(ms), ..HostState::default() };
        let delay = policy.delay(&host);
        let is_exclusive = delay >= policy.exclusive_delay;
        let mut now = at(0);
        let mut under_way: Vec<Timestamp> = Vec::new();
        let mut last: Option<(Timestamp, Timestamp)> = None;
        for duration in durations_ms {
            let start = loop {
                under_way.retain(|end| {
                    let ends = *end <= now;
                    if ends {
                        policy.settle(&mut host, HostSignal::Answered, *end);
                    }
                    !ends
                });
                if let Some(start) = policy.reserve(&mut host, now, ms(ahead_ms)) {
                    break start;
                }
                let events = under_way.iter().copied().chain([policy.next_start(&host), now + ms(1_000)]);
                now = events.filter(|event| *event > now).min().unwrap();
            };
            let end = start + ms(duration);
            if let Some((last_start, last_end)) = last {
                prop_assert!(start >= last_start + delay);
                prop_assert!(!is_exclusive || start >= last_end + delay);
            }
            under_way.push(end);
            let allowed = if is_exclusive { 1 } else { concurrency as usize };
            prop_assert!(under_way.len() <= allowed);
            last = Some((start, end));
        }
    }
}
