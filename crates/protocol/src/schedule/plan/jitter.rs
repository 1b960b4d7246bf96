//! Jitter that every scheduler computes alike.

use std::time::Duration;

use crate::Timestamp;

/// Returns by how much a firing is put off: from nothing to `max`, another length at each due time of each entry, and
/// the same for whoever computes it.
///
/// What is put off further than the entry's own period may run after the next one.
pub fn jitter(seed: &str, due: Timestamp, max: Duration) -> Duration {
    let max = u64::try_from(max.as_micros()).unwrap_or(u64::MAX);
    let seed = seed.bytes().fold(FNV_START, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    let draw = mix(seed ^ mix(due.as_micros().cast_unsigned()));
    let share = (u128::from(draw) * (u128::from(max) + 1)) >> 64;
    Duration::from_micros(u64::try_from(share).unwrap_or(max))
}

/// The constants of 64-bit FNV-1a.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Spreads neighbouring numbers over all of 64 bits: the finish of SplitMix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bounds_is_the_same_each_time_and_spreads() {
        let max = Duration::from_secs(60);
        let drawn: Vec<Duration> =
            (0..1_000).map(|minute| jitter("a", Timestamp::from_millis(minute * 60_000), max)).collect();
        assert!(drawn.iter().all(|length| *length <= max));
        let below_half = drawn.iter().filter(|length| **length < max / 2).count();
        assert!((400..600).contains(&below_half), "{below_half}");
        assert_eq!(drawn[7], jitter("a", Timestamp::from_millis(7 * 60_000), max));
        assert_ne!(drawn[7], jitter("b", Timestamp::from_millis(7 * 60_000), max));
        assert_eq!(jitter("a", Timestamp::EPOCH, Duration::ZERO), Duration::ZERO);
    }
}
