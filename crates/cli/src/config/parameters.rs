//! What may stand behind the question mark of a URL: one list for each transport.
//!
//! A misspelt parameter that is silently passed over is worse than none, so one that nobody knows is refused.
//! What other programs' clients read from a URL that they share with us is let through, and said to be unused.

use celeriac_protocol::suggest::closest;

/// What one kind of URL takes.
#[derive(Debug)]
pub(super) struct Parameters {
    /// What is read here.
    read: &'static [&'static str],
    /// What other clients of the same server read, and what changes nothing of what is done here.
    foreign: &'static [&'static str],
    /// What is said elsewhere in the configuration: the word, and the key that it is meant for.
    settings: &'static [(&'static str, &'static str)],
}

/// What redis-py reads besides.
const OF_REDIS_PY: &[&str] = &[
    "client_name",
    "decode_responses",
    "encoding",
    "health_check_interval",
    "max_connections",
    "protocol",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
    "ssl_check_hostname",
];

/// What TLS needs, in the words of redis-py.
const REDIS_TLS: &[&str] = &["ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"];

/// What is written before the name of a socket's file is its database, and who asks.
const REDIS_SOCKET: &[&str] = &["db", "pass", "user", "virtual_host"];

const REDIS_BROKER: &[(&str, &str)] = &[
    ("deadline", "broker.deadline"),
    ("global_keyprefix", "broker.key_prefix"),
    ("key_prefix", "broker.key_prefix"),
    ("master_name", "broker.master_name"),
    ("priority_steps", "broker.priority_steps"),
    ("sep", "broker.separator"),
    ("visibility_timeout", "broker.visibility_timeout"),
];

const REDIS_RESULTS: &[(&str, &str)] = &[
    ("expires", "results.expires"),
    ("global_keyprefix", "results.key_prefix"),
    ("key_prefix", "results.key_prefix"),
    ("master_name", "results.master_name"),
];

/// Returns what a URL of Redis takes that names where the queue is.
pub(super) fn of_redis_broker(url: &str) -> Parameters {
    of_redis(url, REDIS_BROKER)
}

/// Returns what a URL of Redis takes that names where results are kept.
pub(super) fn of_redis_results(url: &str) -> Parameters {
    of_redis(url, REDIS_RESULTS)
}

fn of_redis(url: &str, settings: &'static [(&'static str, &'static str)]) -> Parameters {
    let is_socket = url.starts_with("redis+socket:") || url.starts_with("unix:");
    Parameters { read: if is_socket { REDIS_SOCKET } else { REDIS_TLS }, foreign: OF_REDIS_PY, settings }
}

/// What a URL of RabbitMQ takes: its own words, and those of pika that only say how often to try.
pub(super) const RABBITMQ: Parameters = Parameters {
    read: &[
        "auth_mechanism",
        "cacertfile",
        "certfile",
        "channel_max",
        "connection_timeout",
        "frame_max",
        "heartbeat",
        "keyfile",
        "verify",
    ],
    foreign: &[
        "blocked_connection_timeout",
        "connection_attempts",
        "locale",
        "retry_delay",
        "socket_timeout",
        "stack_timeout",
    ],
    settings: &[
        ("bindings", "broker.bindings"),
        ("deadline", "broker.deadline"),
        ("max_priority", "broker.max_priority"),
        ("quorum", "broker.quorum"),
    ],
};

/// What a URL of PostgreSQL takes: libpq's words, as far as they mean something to the driver. (`options[...]` is
/// any of the server's settings.)
pub(super) const POSTGRES: Parameters = Parameters {
    read: &[
        "application_name",
        "dbname",
        "host",
        "hostaddr",
        "options",
        "password",
        "port",
        "ssl-ca",
        "ssl-cert",
        "ssl-key",
        "ssl-mode",
        "ssl-root-cert",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "user",
    ],
    foreign: &[
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "connection_limit",
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "pool_timeout",
        "target_session_attrs",
        "tcp_user_timeout",
    ],
    settings: &[
        ("busy_timeout", "database.busy_timeout"),
        ("lock_timeout", "database.busy_timeout"),
        ("pgbouncer", "database.pooled"),
        ("pooled", "database.pooled"),
        ("prepared_statements", "database.prepared_statements"),
        ("statement-cache-capacity", "database.prepared_statements"),
        ("write_connections", "database.write_connections"),
    ],
};

/// A SQLite file takes none.
pub(super) const SQLITE: Parameters = Parameters {
    read: &[],
    foreign: &[],
    settings: &[
        ("busy_timeout", "database.busy_timeout"),
        ("durability", "database.durability"),
        ("synchronous", "database.durability"),
        ("timeout", "database.busy_timeout"),
    ],
};

/// A SQLite file of Python's takes what Python's driver does.
pub(super) const SQLALCHEMY_SQLITE: Parameters = Parameters {
    read: &[],
    foreign: &[
        "cache",
        "cached_statements",
        "check_same_thread",
        "detect_types",
        "isolation_level",
        "mode",
        "timeout",
        "uri",
    ],
    settings: &[],
};

impl Parameters {
    /// Looks for parameters that nobody knows.
    ///
    /// # Errors
    /// All of them, each with what was probably meant.
    pub(super) fn check(&self, url: &str) -> Result<(), String> {
        let unknown: Vec<&str> = names(url).filter(|name| !self.knows(name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(unknown.into_iter().map(|name| self.refusal(name)).collect::<Vec<_>>().join("; "))
    }

    /// Returns those that other programs know and that are not used here.
    pub(super) fn unused<'a>(&self, url: &'a str) -> Vec<&'a str> {
        names(url).filter(|name| self.foreign.contains(name)).collect()
    }

    fn knows(&self, name: &str) -> bool {
        let is_listed = self.read.contains(&name) || self.foreign.contains(&name);
        // The server's own settings, whose names only the server knows.
        let is_server_setting = self.read.contains(&"options")
            && name.strip_prefix("options").is_some_and(|rest| rest.starts_with(['[', '%']));
        is_listed || is_server_setting
    }

    fn refusal(&self, name: &str) -> String {
        // What is left of a password whose question mark was not escaped is not repeated.
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
            return "what stands behind the question mark is no parameter; a ? in a password is written %3F"
                .to_owned();
        }
        let unknown = format!("unknown parameter `{name}` in the URL");
        let words = self.read.iter().copied().chain(self.settings.iter().map(|(word, _)| *word));
        let Some(meant) = closest(name, words) else {
            return match self.read {
                [] => format!("{unknown}, which takes none"),
                read => format!("{unknown}, which takes {}", read.join(", ")),
            };
        };
        match self.settings.iter().find(|(word, _)| *word == meant) {
            Some((_, key)) => format!("{unknown}: did you mean the setting `{key}`?"),
            None => format!("{unknown}: did you mean `{meant}`?"),
        }
    }
}

/// Returns the names of a URL's parameters; of those of several sentinels, all.
fn names(url: &str) -> impl Iterator<Item = &str> {
    let parts = url.split(if url.starts_with("sentinel://") { ';' } else { '\0' });
    let queries = parts.filter_map(|part| part.split('#').next()?.split_once('?'));
    let pairs = queries.flat_map(|(_, query)| query.split('&')).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parameters_are_refused_each_with_what_was_meant() {
        for (parameters, url, expected) in [
            (&RABBITMQ, "amqp://h/v?heartbeet=5", "did you mean `heartbeat`?"),
            (&RABBITMQ, "amqp://h/v?max_prority=5", "did you mean the setting `broker.max_priority`?"),
            (&POSTGRES, "postgres://h/d?sslmod=require", "did you mean `sslmode`?"),
            (&POSTGRES, "postgres://h/d?schema=a", "`schema` in the URL, which takes application_name, "),
            (&SQLITE, "sqlite:x.db?busy_timout=3s", "did you mean the setting `database.busy_timeout`?"),
            (&SQLITE, "sqlite:x.db?mode=ro", "unknown parameter `mode` in the URL, which takes none"),
            (&RABBITMQ, "amqp://h?heartbeet=1&zzz=2", "`heartbeat`?; unknown parameter `zzz`"),
        ] {
            let refusal = parameters.check(url).unwrap_err();
            assert!(refusal.contains(expected), "{url}: {refusal}");
        }
    }

    #[test]
    fn redis_takes_other_words_at_a_socket_than_at_an_address() {
        let check = |url: &str| of_redis_broker(url).check(url);
        check("rediss://h/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required&socket_timeout=5").unwrap();
        check("redis+socket:///run/redis.sock?virtual_host=2").unwrap();
        // Its database stands behind the slash.
        assert!(check("redis://h?db=3").is_err() && check("redis+socket:///x?ssl_keyfile=k").is_err());
        let refusal = check("redis://h?visibilty_timeout=7200").unwrap_err();
        assert!(refusal.ends_with("did you mean the setting `broker.visibility_timeout`?"), "{refusal}");
        let refusal = check("sentinel://one;sentinel://two/1?ssl_ca_cert=x").unwrap_err();
        assert!(refusal.contains("`ssl_ca_certs`"), "{refusal}");
        let url = "redis://h?visibility_timeout=1";
        assert!(!of_redis_results(url).check(url).unwrap_err().contains("broker."));
    }

    #[test]
    fn what_others_read_from_the_same_url_is_let_through_and_told() {
        let url = "postgres://h/d?sslmode=require&channel_binding=require&options[work_mem]=8MB";
        POSTGRES.check(url).unwrap();
        assert_eq!(POSTGRES.unused(url), ["channel_binding"]);
    }

    #[test]
    fn the_rest_of_a_password_is_not_repeated() {
        let refusal = RABBITMQ.check("amqp://me:1?s3cret@host/v").unwrap_err();
        assert!(!refusal.contains("s3cret") && refusal.contains("%3F"), "{refusal}");
    }
}
