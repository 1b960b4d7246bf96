//! How often somebody may try to log in: a few times at once, then after longer and longer waits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many attempts are free.
const FREE: u32 = 5;

/// The longest wait of one user: who guesses from everywhere has one guess a minute, and the user is not locked out for long.
const LONGEST_OF_USER: Duration = Duration::from_secs(60);

/// The longest wait of one address.
const LONGEST_OF_ADDRESS: Duration = Duration::from_secs(15 * 60);

/// After how long without an attempt the earlier ones are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// How many users and addresses are remembered.
const MOST: usize = 10_000;

/// Who tries: a user by name, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    User(String),
    Address(IpAddr),
}

impl Who {
    /// Takes a user by what was typed; names that are far too long are all one.
    pub(super) fn user(name: &str) -> Self {
        Self::User(name.to_lowercase().chars().take(100).collect())
    }

    /// Takes an address; of IPv6 the network, since who has one address there has all 2^64 of them.
    pub(super) fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    fn longest(&self) -> Duration {
        match self {
            Self::User(_) => LONGEST_OF_USER,
            Self::Address(_) => LONGEST_OF_ADDRESS,
        }
    }

    /// Returns how long to wait after so many attempts that failed: 1 s, 2 s, 4 s and so on.
    fn wait(&self, failures: u32) -> Duration {
        match failures.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(beyond) => Duration::from_secs(1_u64 << beyond.min(16)).min(self.longest()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Tries {
    failures: u32,
    last: Duration,
}

/// Is responsible for how often somebody may try to log in. It holds for one process; another one counts for itself.
///
/// Instants are spans on a clock that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    tries: Mutex<HashMap<Who, Tries>>,
}

impl Throttle {
    /// Lets an attempt through and counts it as one that failed, until [`forgive`](Self::forgive) says otherwise: of
    /// many at the same time no more come through than one after another.
    ///
    /// # Errors
    /// How long to wait; the attempt is not counted.
    pub(super) fn admit(&self, who: &[Who], now: Duration) -> Result<(), Duration> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |who: &Who| {
            let tried = tries.get(who).filter(|tried| !is_forgotten(tried, now))?;
            let left = (tried.last + who.wait(tried.failures)).saturating_sub(now);
            (!left.is_zero()).then_some(left)
        };
        if let Some(left) = who.iter().filter_map(left).max() {
            return Err(left);
        }
        for who in who {
            count(&mut tries, who, now);
        }
        Ok(())
    }

    /// Takes back the attempt that was counted, and what came before it of this very user: it succeeded.
    pub(super) fn forgive(&self, who: &[Who]) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        for who in who {
            match who {
                Who::User(_) => drop(tries.remove(who)),
                // Who has a login of their own may still guess at others'.
                Who::Address(_) => {
                    if let Some(tried) = tries.get_mut(who) {
                        tried.failures = tried.failures.saturating_sub(1);
                    }
                }
            }
        }
    }
}

fn is_forgotten(tried: &Tries, now: Duration) -> bool {
    now.saturating_sub(tried.last) > FORGOTTEN_AFTER
}

fn count(tries: &mut HashMap<Who, Tries>, who: &Who, now: Duration) {
    if !tries.contains_key(who) && tries.len() >= MOST {
        make_room(tries, now);
    }
    let tried = tries.entry(who.clone()).or_insert(Tries { failures: 0, last: now });
    if is_forgotten(tried, now) {
        tried.failures = 0;
    }
    *tried = Tries { failures: tried.failures.saturating_add(1), last: now };
}

/// Forgets what is old, or else whoever has tried least: a flood of names must not wash away one that is being guessed at.
fn make_room(tries: &mut HashMap<Who, Tries>, now: Duration) {
    tries.retain(|_, tried| !is_forgotten(tried, now));
    if tries.len() < MOST {
        return;
    }
    let least =
        tries.iter().min_by_key(|(_, tried)| (tried.failures, tried.last)).map(|(who, _)| who.clone());
    if let Some(least) = least {
        tries.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000_000 + seconds)
    }

    fn seconds(seconds: u64) -> Result<(), Duration> {
        Err(Duration::from_secs(seconds))
    }

    #[test]
    fn some_attempts_are_free_and_the_next_wait_twice_as_long_each_time() {
        let (throttle, who) = (Throttle::default(), [Who::user("Ada")]);
        for _ in 0..FREE {
            assert_eq!(throttle.admit(&who, at(0)), Ok(()));
        }
        assert_eq!(throttle.admit(&who, at(0)), seconds(1));
        assert_eq!(throttle.admit(&[Who::user("ada")], at(0)), seconds(1), "one user in any case");
        assert_eq!(throttle.admit(&who, at(1)), Ok(()));
        assert_eq!(throttle.admit(&who, at(1)), seconds(2));
        assert_eq!(throttle.admit(&[Who::user("bob")], at(1)), Ok(()));
        let mut now = 3;
        for wait in [4, 8, 16, 32, 60, 60] {
            assert_eq!(throttle.admit(&who, at(now)), Ok(()));
            assert_eq!(throttle.admit(&who, at(now)), seconds(wait));
            now += wait;
        }
        assert_eq!(throttle.admit(&who, at(now + 3_601)), Ok(()));
        assert_eq!(throttle.admit(&who, at(now + 3_601)), Ok(()), "what lies back is forgotten");
    }

    #[test]
    fn a_login_clears_its_user_and_not_the_address() {
        let (throttle, address) = (Throttle::default(), Who::address([192, 0, 2, 1].into()));
        let both = |name| [Who::user(name), address.clone()];
        for name in ["a", "b", "c", "d"] {
            throttle.admit(&both(name), at(0)).unwrap();
        }
        throttle.admit(&both("mine"), at(0)).unwrap();
        throttle.forgive(&both("mine"));
        throttle.admit(&both("e"), at(0)).unwrap();
        assert_eq!(throttle.admit(&both("mine"), at(0)), seconds(1));
    }

    #[test]
    fn an_address_of_ipv6_is_its_network_and_a_mapped_one_is_ipv4() {
        let who = |text: &str| Who::address(text.parse().unwrap());
        assert_eq!(who("2001:db8:1:2::1"), who("2001:db8:1:2:ffff::9"));
        assert_ne!(who("2001:db8:1:2::1"), who("2001:db8:1:3::1"));
        assert_eq!(who("::ffff:192.0.2.1"), who("192.0.2.1"));
    }

    #[test]
    fn a_flood_of_names_does_not_wash_away_one_that_is_guessed_at() {
        let (throttle, victim) = (Throttle::default(), [Who::user("victim")]);
        for _ in 0..FREE {
            throttle.admit(&victim, at(0)).unwrap();
        }
        for i in 0..MOST + 100 {
            throttle.admit(&[Who::user(&format!("user-{i}"))], at(1)).unwrap();
        }
        assert!(throttle.tries.lock().unwrap().len() <= MOST);
        throttle.admit(&victim, at(1)).unwrap();
        assert_eq!(throttle.admit(&victim, at(1)), seconds(2));
    }
}
