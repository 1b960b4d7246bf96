//! The four things that a row's status can mean, whatever words the table has for them.

/// What a row's status means. The words are the table's own ([`super::Statuses`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemStatus {
    /// Asks for work.
    Waiting,
    /// Is claimed by a run.
    Processing,
    /// Has been worked on.
    Done,
    /// Could not be worked on; the reason stands on the row.
    Error,
}

impl ItemStatus {
    /// All four, in the order of a row's life.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Processing, Self::Done, Self::Error];

    /// Says whether a row may go from this status to `next`.
    ///
    /// ```text
    /// waiting ─► processing ─► done
    ///    ▲  ▲         │ │        │
    ///    │  └─────────┘ └─► error│
    ///    └── reset ◄────────┴────┘
    /// ```
    pub const fn can_become(self, next: Self) -> bool {
        use ItemStatus::{Done, Error, Processing, Waiting};
        match self {
            Waiting => matches!(next, Processing),
            Processing => matches!(next, Waiting | Done | Error),
            Done | Error => matches!(next, Waiting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_can_rest_for_ever_in_a_status_that_asks_for_work() {
        for from in [ItemStatus::Waiting, ItemStatus::Processing] {
            assert!(ItemStatus::ALL.into_iter().any(|next| from.can_become(next)), "{from:?}");
        }
        assert!(
            !ItemStatus::Waiting.can_become(ItemStatus::Done),
            "nothing is done without having been claimed"
        );
    }
}
