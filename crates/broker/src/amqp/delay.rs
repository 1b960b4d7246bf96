//! Messages that wait for their time, by the layout that Celery 5.5 and later has for them in RabbitMQ.
//!
//! There is a queue for each bit of a delay in seconds, whose messages wait 2^n seconds and go on to the next:
//! a routing key holds the 28 bits, and after them the name of the queue to go to in the end.

use celeriac_protocol::Timestamp;

/// How many bits a delay has.
pub(super) const LEVELS: u32 = 28;

/// The longest delay in seconds, eight years and a half. Who has to wait for longer comes by and goes back.
const LONGEST: u64 = (1 << LEVELS) - 1;

/// The exchange to which the last level hands over.
pub(super) const DELIVERY: &str = "celery_delayed_delivery";

/// How long a queue's name may be for its messages to be delayed: a routing key has 255 bytes.
pub(super) const LONGEST_QUEUE: usize = 255 - 2 * LEVELS as usize;

/// Returns the name of the exchange and of the queue of one level.
pub(super) fn level(number: u32) -> String {
    format!("celery_delayed_{number}")
}

/// Returns how long the messages of a level wait, in milliseconds.
pub(super) fn wait_ms(number: u32) -> i64 {
    (1 << number) * 1_000
}

/// Returns the key by which a level keeps a message (`"1"`), or passes it on to the next (`"0"`).
pub(super) fn level_key(number: u32, bit: &str) -> String {
    format!("{}{bit}.#", "*.".repeat((LEVELS - 1 - number) as usize))
}

/// Returns the key that binds a queue to [`DELIVERY`]. It fits this queue alone: Celery's `#.name` also
/// fits every queue whose name ends with a dot and this name.
pub(super) fn queue_key(queue: &str) -> String {
    format!("{}{queue}", "*.".repeat(LEVELS as usize))
}

/// Says whether messages for a queue of this name can be delayed. In a key `*` and `#` are wildcards.
pub(super) fn can_be_delayed(queue: &str) -> bool {
    queue.len() <= LONGEST_QUEUE && !queue.split('.').any(|word| word == "*" || word == "#")
}

/// Returns how many whole seconds lie between two instants; what is left of the last one is no matter of levels.
pub(super) fn seconds_until(due_at: Timestamp, now: Timestamp) -> u64 {
    if due_at <= now { 0 } else { due_at.since(now).as_secs().min(LONGEST) }
}

/// Returns the routing key of a message that is to wait.
pub(super) fn routing_key(seconds: u64, queue: &str) -> String {
    let mut key = String::with_capacity(2 * LEVELS as usize + queue.len());
    for bit in (0..LEVELS).rev() {
        key.push_str(if seconds >> bit & 1 == 1 { "1." } else { "0." });
    }
    key.push_str(queue);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_key_is_celerys() {
        // What Celery 5.7 wrote for `countdown=3` and the queue `quo`.
        let expected = format!("{}1.1.quo", "0.".repeat(26));
        assert_eq!(routing_key(3, "quo"), expected);
        assert_eq!(routing_key(LONGEST, "q"), format!("{}q", "1.".repeat(28)));
    }

    #[test]
    fn levels_are_celerys() {
        assert_eq!((level(27), wait_ms(27)), ("celery_delayed_27".to_owned(), 134_217_728_000));
        assert_eq!((level_key(27, "1"), level_key(26, "0")), ("1.#".to_owned(), "*.0.#".to_owned()));
        assert_eq!(level_key(0, "1"), format!("{}1.#", "*.".repeat(27)));
        assert_eq!(wait_ms(0), 1_000);
    }

    #[test]
    fn delays_are_whole_seconds_and_never_negative() {
        let at = Timestamp::from_millis;
        for (due, now, expected) in
            [(1_999, 0, 1), (999, 0, 0), (0, 5_000, 0), (i64::MAX / 1_000, 0, LONGEST)]
        {
            assert_eq!(seconds_until(at(due), at(now)), expected, "{due}");
        }
    }

    #[test]
    fn names_that_a_key_would_misread_are_not_delayed() {
        for (name, expected) in [("celery", true), ("a.b", true), ("a.#", false), ("*", false), ("a*b", true)]
        {
            assert_eq!(can_be_delayed(name), expected, "{name}");
        }
        assert!(!can_be_delayed(&"q".repeat(200)));
    }
}
