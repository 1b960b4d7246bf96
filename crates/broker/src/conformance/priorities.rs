//! Telling all ten priorities apart.

use celeriac_protocol::DEFAULT_PRIORITY;

use super::order::with_priority;
use super::{Fixture, Outcome};

/// Neighbours are told apart, and unset stands where the default does.
pub async fn neighbours_are_told_apart(on: Fixture) -> Outcome {
    let (above, below) = (Some(DEFAULT_PRIORITY + 1), Some(DEFAULT_PRIORITY - 1));
    for (id, priority) in [("below", below), ("unset", None), ("above", above)] {
        on.broker.publish(vec![with_priority(id, priority)]).await?;
    }
    assert_eq!(on.fetch_ids(9).await?, ["above", "unset", "below"]);
    Ok(())
}

/// Each of the ten has its place.
pub async fn all_ten_come_in_their_order(on: Fixture) -> Outcome {
    for priority in [3, 9, 0, 5, 7, 1, 8, 2, 6, 4] {
        on.broker.publish(vec![with_priority(&priority.to_string(), Some(priority))]).await?;
    }
    assert_eq!(on.fetch_ids(20).await?, ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
    Ok(())
}
