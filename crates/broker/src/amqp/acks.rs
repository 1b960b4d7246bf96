//! Which messages of a channel are still to be acknowledged, and by how few words the server hears of those that are.

use std::collections::BTreeSet;

/// How many messages may have come before one that the server numbered lower. There are no more on their way, so
/// behind that many it is never coming.
const MOST_BEFORE: usize = u16::MAX as usize;

/// Is responsible for knowing what a channel has brought and what of it is not acknowledged. Its size is what the
/// server may push on the channel.
///
/// One word may acknowledge all messages up to one, those included that the server has sent and that nobody has seen.
/// So it is said only of numbers below which everything has come and is done with.
#[derive(Debug, Default)]
pub(super) struct Acks {
    open: BTreeSet<u64>,
    /// All up to this one have come, and some beyond: several consumers share a channel, and are read by turns.
    come_up_to: u64,
    come_beyond: BTreeSet<u64>,
    /// Whether one was left out for good.
    has_gap: bool,
    /// The highest that has come.
    last: u64,
}

/// What is said to the server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// All up to this one.
    pub(super) up_to: Option<u64>,
    /// These, each by a word of its own.
    pub(super) each: Vec<u64>,
}

impl Acks {
    /// Notes that a message has come.
    pub(super) fn came(&mut self, number: u64) {
        self.open.insert(number);
        self.last = self.last.max(number);
        if number != self.come_up_to + 1 {
            self.come_beyond.insert(number);
            self.has_gap |= self.come_beyond.len() > MOST_BEFORE;
            if self.has_gap {
                self.come_beyond.clear();
            }
            return;
        }
        self.come_up_to = number;
        while self.come_beyond.remove(&(self.come_up_to + 1)) {
            self.come_up_to += 1;
        }
    }

    /// Returns the highest number that has come; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Notes that messages are acknowledged, and returns how that is said.
    pub(super) fn done(&mut self, mut numbers: Vec<u64>) -> Words {
        numbers.sort_unstable();
        for number in &numbers {
            self.open.remove(number);
        }
        let seen = if self.has_gap { 0 } else { self.come_up_to };
        let first_open = self.open.first().copied().unwrap_or(u64::MAX);
        let together = numbers.partition_point(|number| *number <= seen && *number < first_open);
        let each = numbers.split_off(together);
        Words { up_to: numbers.pop(), each }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(came: &[u64], done: &[(&[u64], Option<u64>, &[u64])]) {
        let mut acks = Acks::default();
        for number in came {
            acks.came(*number);
        }
        for (numbers, up_to, each) in done {
            let expected = Words { up_to: *up_to, each: each.to_vec() };
            assert_eq!(acks.done(numbers.to_vec()), expected, "{came:?} {numbers:?}");
        }
    }

    #[test]
    fn whatever_is_done_in_order_is_acknowledged_by_one_word() {
        check(&[1, 2, 3], &[(&[2, 1], Some(2), &[]), (&[3], Some(3), &[])]);
    }

    #[test]
    fn what_is_behind_an_open_one_is_acknowledged_by_itself() {
        check(&[1, 2, 3, 4], &[(&[2, 4], None, &[2, 4]), (&[1], Some(1), &[]), (&[3], Some(3), &[])]);
        check(&[1, 2, 3, 4], &[(&[1, 3], Some(1), &[3]), (&[2, 4], Some(4), &[])]);
    }

    #[test]
    fn what_was_sent_and_has_not_come_is_never_acknowledged() {
        check(&[1, 3], &[(&[1, 3], Some(1), &[3])]);
        check(&[2, 3], &[(&[2, 3], None, &[2, 3])]);
        check(&[2, 1, 3], &[(&[1, 2, 3], Some(3), &[])]);
    }

    #[test]
    fn one_that_never_comes_leaves_each_to_itself_and_takes_no_room() {
        let mut acks = Acks::default();
        for number in 2..200_000 {
            acks.came(number);
            assert_eq!(acks.done(vec![number]), Words { up_to: None, each: vec![number] });
        }
        assert!(acks.open.is_empty() && acks.come_beyond.len() <= MOST_BEFORE);
    }
}
