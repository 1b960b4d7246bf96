//! What in the server's settings and state messages are in danger of, as far as it tells us.

use std::collections::HashMap;

use super::link::failed;
use super::{PRODUCT, RedisBroker};
use crate::{BrokerError, Danger, Gravity};

/// The oldest server that knows every command that the scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// The server is too old.
#[derive(Debug, thiserror::Error)]
#[error("its version is {0}, and 6.2 is the first that will do")]
struct TooOld(String);

/// What a server tells of itself.
#[derive(Debug, Default)]
struct Told {
    facts: HashMap<String, String>,
    /// When it writes its memory to a file: the setting `save`; nothing where it does not say.
    snapshots: Option<String>,
}

impl Told {
    fn of(information: &str) -> Self {
        let lines = information.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self { facts: lines.map(|(name, value)| (name.into(), value.into())).collect(), snapshots: None }
    }

    fn says(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    fn is_too_old(&self) -> bool {
        let mut numbers = self.says("redis_version").split('.').map_while(|number| number.parse().ok());
        let version = numbers.next().zip(numbers.next().or(Some(0)));
        version.is_some_and(|version: (u32, u32)| version < OLDEST)
    }

    fn dangers(&self) -> Vec<Danger> {
        [self.eviction(), self.persistence(), self.last_write(), self.role()].into_iter().flatten().collect()
    }

    fn eviction(&self) -> Option<Danger> {
        let policy = self.says("maxmemory_policy");
        if !policy.starts_with("allkeys") {
            return None;
        }
        let advice = "set `maxmemory-policy noeviction`: then a full server refuses, and nothing is lost";
        Some(match self.says("maxmemory") {
            "0" | "" => Danger {
                gravity: Gravity::Rare,
                what: format!("maxmemory-policy is {policy}: once maxmemory is set, jobs are evicted"),
                advice,
            },
            _ => Danger {
                gravity: Gravity::Serious,
                what: format!("maxmemory-policy is {policy}: jobs are evicted when the memory is full"),
                advice,
            },
        })
    }

    fn persistence(&self) -> Option<Danger> {
        if self.says("aof_enabled") == "1" {
            return None;
        }
        let advice = "set `appendonly yes`";
        match self.snapshots.as_deref() {
            Some("") => Some(Danger {
                gravity: Gravity::Serious,
                what: "nothing is written to a file: a restart of the server loses every job".to_owned(),
                advice,
            }),
            Some(_) => Some(Danger {
                gravity: Gravity::Rare,
                what: "there are snapshots only: a crash of the server loses the jobs since the last"
                    .to_owned(),
                advice,
            }),
            None => None,
        }
    }

    fn last_write(&self) -> Option<Danger> {
        let failing = |name: &str| self.says(name) == "err";
        let what = if failing("aof_last_write_status") {
            "the append-only file can't be written: the server refuses every job"
        } else if failing("rdb_last_bgsave_status") && self.snapshots.as_deref() != Some("") {
            "the last snapshot failed: the server may refuse every job"
        } else {
            return None;
        };
        let advice = "see the server's log; most often its disk is full";
        Some(Danger { gravity: Gravity::Serious, what: what.to_owned(), advice })
    }

    fn role(&self) -> Option<Danger> {
        (self.says("role") == "slave").then(|| Danger {
            gravity: Gravity::Serious,
            what: "the server is a replica, which refuses every job".to_owned(),
            advice: "name the primary",
        })
    }
}

impl RedisBroker {
    /// Refuses a server that lacks commands which the scripts use.
    pub(super) async fn check_version(&self) -> Result<(), BrokerError> {
        let told = self.information("server").await?;
        if told.is_too_old() {
            let source = Box::new(TooOld(told.says("redis_version").to_owned()));
            return Err(BrokerError::Refused { product: PRODUCT, source });
        }
        Ok(())
    }

    pub(super) async fn find_dangers(&self) -> Result<Vec<Danger>, BrokerError> {
        let mut told = self.information("default").await?;
        told.snapshots = self.snapshots().await;
        Ok(told.dangers())
    }

    async fn information(&self, section: &str) -> Result<Told, BrokerError> {
        let mut command = redis::cmd("INFO");
        command.arg(section);
        let answer = self.link.ask(async |mut connection| command.query_async(&mut connection).await).await?;
        let text: String = redis::from_redis_value(answer).map_err(|error| failed(error.into()))?;
        Ok(Told::of(&text))
    }

    /// Asks for the setting `save`, which hosted servers do not tell.
    async fn snapshots(&self) -> Option<String> {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("save");
        let answer = self.link.ask(async |mut connection| command.query_async(&mut connection).await).await;
        let settings: HashMap<String, String> = redis::from_redis_value(answer.ok()?).ok()?;
        settings.into_values().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(information: &str, snapshots: Option<&str>, expected: &[(Gravity, &str)]) {
        let told = Told { snapshots: snapshots.map(Into::into), ..Told::of(information) };
        let dangers = told.dangers();
        let found: Vec<_> = dangers.iter().map(|danger| (danger.gravity, danger.what.as_str())).collect();
        assert_eq!(found.len(), expected.len(), "{information}: {found:?}");
        for (danger, (gravity, words)) in found.iter().zip(expected) {
            assert!(danger.0 == *gravity && danger.1.contains(words), "{danger:?}");
        }
    }

    #[test]
    fn what_would_lose_jobs_is_told_apart_from_what_rarely_does() {
        use Gravity::{Rare, Serious};
        let safe = "aof_enabled:1\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n";
        check(safe, Some(""), &[]);
        check("aof_enabled:0\r\n", Some("3600 1 300 100"), &[(Rare, "snapshots only")]);
        check("aof_enabled:0\r\n", Some(""), &[(Serious, "loses every job")]);
        check("aof_enabled:0\r\n", None, &[]);
        let full = "aof_enabled:1\nmaxmemory:100\nmaxmemory_policy:allkeys-lru\n";
        check(full, None, &[(Serious, "allkeys-lru")]);
        check(&full.replace("100", "0"), None, &[(Rare, "once maxmemory")]);
        check(&full.replace("allkeys", "volatile"), None, &[]);
        check(
            "aof_enabled:1\naof_last_write_status:err\nrole:slave\n",
            None,
            &[(Serious, "append-only"), (Serious, "replica")],
        );
    }

    #[test]
    fn server_without_the_commands_is_too_old_and_an_unknown_one_is_not() {
        for (version, expected) in [
            ("5.0.7", true),
            ("6.0.16", true),
            ("6.2.0", false),
            ("7.0.15", false),
            ("255.255.255", false),
            ("x", false),
        ] {
            assert_eq!(Told::of(&format!("redis_version:{version}")).is_too_old(), expected, "{version}");
        }
    }
}
