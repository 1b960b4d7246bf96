//! What is done to schedulers and servers, in which order: the same for the same seed.

use std::fmt;
use std::time::Duration;

use super::Real;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A scheduler is killed with SIGKILL and started again.
    Kill,
    /// A scheduler is stopped with SIGSTOP for longer than every lease, and goes on.
    Stop,
    /// The database's server is killed, or stopped in order, and started again.
    Database,
    /// The queue's server is killed and started again.
    Broker,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "scheduler killed",
            Self::Stop => "scheduler stopped",
            Self::Database => "database restarted",
            Self::Broker => "broker restarted",
        })
    }
}

/// What was done, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disturbance {
    pub(super) kind: Kind,
    pub(super) at: Real,
    /// From when on everything was there again that the others need.
    pub(super) back: Real,
    /// When it was over.
    pub(super) over: Real,
    /// How many messages were in the hands of relays then, of which nobody can know whether the queue's server has
    /// them.
    pub(super) unsure: u64,
}

/// Deals out what is done next: each kind once before any comes again.
pub(super) struct Plan {
    state: u64,
    kinds: Vec<Kind>,
    left: Vec<Kind>,
}

impl Plan {
    pub(super) fn new(seed: u64, has_broker: bool) -> Self {
        let mut kinds = vec![Kind::Kill, Kind::Stop, Kind::Database];
        if has_broker {
            kinds.push(Kind::Broker);
        }
        Self { state: seed, kinds, left: Vec::new() }
    }

    /// Returns the kinds there are.
    pub(super) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    pub(super) fn next_kind(&mut self) -> Kind {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
        }
        let chosen = self.below(self.left.len());
        self.left.swap_remove(chosen)
    }

    /// Returns a number below another one.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random() % end.max(1) as u64).unwrap_or(0)
    }

    /// Returns how long nothing is done: half a second to one and a half.
    pub(super) fn rest(&mut self) -> Duration {
        Duration::from_millis(500 + self.random() % 1_000)
    }

    /// Steele, Lea and Flood's SplitMix64: short, and good enough to shuffle four things.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_every_kind_in_each_round_and_is_the_same_for_the_same_seed() {
        let deal = |seed| {
            let mut plan = Plan::new(seed, true);
            (0..8).map(|_| plan.next_kind()).collect::<Vec<_>>()
        };
        assert_eq!(deal(7), deal(7));
        for round in deal(7).chunks(4) {
            assert!(Plan::new(0, true).kinds().iter().all(|kind| round.contains(kind)), "{round:?}");
        }
    }
}
