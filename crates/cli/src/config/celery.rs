//! Names that Celery's own command line and its users' projects give to settings in the environment.

use celeriac_protocol::schedule::Zone;

use super::ResultsUrl;
use super::tasks::{compression_of, serializer_of};

/// A variable of Celery's that sets one of our keys.
pub(super) struct Honoured {
    /// Its name.
    pub(super) variable: &'static str,
    /// Our key.
    pub(super) key: &'static str,
    /// Turns its value into ours.
    pub(super) translate: fn(&str) -> String,
}

/// A variable that sets one of our keys where its value means something here.
pub(super) struct Partly {
    /// Its name.
    pub(super) variable: &'static str,
    /// Our key.
    pub(super) key: &'static str,
    /// Says whether a value means something here.
    pub(super) understands: fn(&str) -> bool,
    /// What is done in place of another.
    pub(super) reason: &'static str,
}

/// Variables that set one of our keys where their value means something here.
pub(super) const PARTLY: &[Partly] = &[
    Partly {
        variable: "TIME_ZONE",
        key: "beat.timezone",
        understands: is_zone,
        reason: "it names no time zone",
    },
    Partly {
        variable: "CELERY_TIMEZONE",
        key: "beat.timezone",
        understands: is_zone,
        reason: "it names no time zone",
    },
    Partly {
        variable: "CELERY_RESULT_BACKEND",
        key: "results.url",
        understands: ResultsUrl::understands,
        reason: "only results in Redis, by `db+` in SQLite or PostgreSQL, or by `rpc://` are understood; those of `database.url` are always kept",
    },
    Partly {
        variable: "CELERY_TASK_SERIALIZER",
        key: "tasks.serializer",
        understands: is_serializer,
        reason: "messages are written as json, msgpack or yaml",
    },
    Partly {
        variable: "CELERY_TASK_COMPRESSION",
        key: "tasks.compression",
        understands: is_compression,
        reason: "messages are compressed by gzip, bzip2, lzma or zstd",
    },
    Partly {
        variable: "CELERY_RESULT_SERIALIZER",
        key: "results.serializer",
        understands: is_serializer,
        reason: "results are written as json, msgpack or yaml",
    },
    Partly {
        variable: "CELERY_RESULT_COMPRESSION",
        key: "results.compression",
        understands: is_compression,
        reason: "results are compressed by gzip, bzip2, lzma or zstd",
    },
];

/// Says whether the database of time zones knows a name.
fn is_zone(name: &str) -> bool {
    name.parse::<Zone>().is_ok()
}

fn is_serializer(name: &str) -> bool {
    serializer_of(name).is_ok()
}

fn is_compression(name: &str) -> bool {
    compression_of(name).is_ok()
}

/// Variables that set one of our keys; one of our own names wins over them.
///
/// `CELERY_WORKER_*` is what Celery's own command line reads for the flags of `celery worker`, the
/// rest is what settings modules commonly read.
pub(super) const HONOURED: &[Honoured] = &[
    Honoured { variable: "CELERYD_CONCURRENCY", key: "worker.concurrency", translate: same },
    Honoured { variable: "CELERY_WORKER_CONCURRENCY", key: "worker.concurrency", translate: same },
    Honoured { variable: "CELERY_WORKER_QUEUES", key: "worker.queues", translate: same },
    Honoured { variable: "CELERY_WORKER_HOSTNAME", key: "worker.name", translate: same },
    Honoured { variable: "CELERY_WORKER_LOGLEVEL", key: "log.level", translate: level },
    Honoured { variable: "CELERY_ACCEPT_CONTENT", key: "worker.accept_content", translate: list },
    Honoured { variable: "CELERY_BROKER_URL", key: "broker.url", translate: same },
    Honoured { variable: "CELERY_RESULT_EXPIRES", key: "results.expires", translate: same },
    Honoured { variable: "CELERY_RESULT_EXTENDED", key: "results.extended", translate: truth },
    Honoured { variable: "CELERY_RESULT_PERSISTENT", key: "results.persistent", translate: truth },
    Honoured { variable: "CELERY_TASK_TRACK_STARTED", key: "results.track_started", translate: truth },
    Honoured { variable: "CELERY_TASK_DEFAULT_QUEUE", key: "tasks.default_queue", translate: same },
    Honoured { variable: "CELERY_TASK_ALWAYS_EAGER", key: "tasks.always_eager", translate: truth },
];

/// A variable that means something to Celery and nothing to this version.
pub(super) struct Ignored {
    /// Its name.
    pub(super) variable: &'static str,
    /// What is done in place of it.
    pub(super) reason: &'static str,
    /// Values that ask for what is done anyway, in small letters.
    pub(super) fits: &'static [&'static str],
}

/// Variables that mean something to Celery and nothing to this version.
pub(super) const IGNORED: &[Ignored] = &[
    Ignored {
        variable: "CELERY_WORKER_PREFETCH_MULTIPLIER",
        reason: "a worker takes as many jobs as it has free slots",
        fits: &["1"],
    },
    Ignored {
        variable: "CELERY_TASK_ACKS_LATE",
        reason: "tasks say so themselves, and all do that say nothing",
        fits: &["1", "yes", "true", "on"],
    },
    Ignored {
        variable: "CELERY_BROKER_TRANSPORT_OPTIONS",
        reason: "the section `[broker]` has them",
        fits: &["{}"],
    },
    Ignored {
        variable: "CELERY_BROKER_USE_SSL",
        reason: "`rediss://…?ssl_ca_certs=PATH` or `amqps://…?cacertfile=PATH` in `broker.url` asks for it",
        fits: &["0", "no", "false", "off"],
    },
    Ignored {
        variable: "CELERY_BEAT_DB_SCHEDULER_SYNC_EVERY_SECONDS",
        reason: "what came of a due time is written together with its job",
        fits: &[],
    },
    Ignored {
        variable: "CELERY_BEAT_DB_SCHEDULER_MAX_INTERVAL_SECONDS",
        reason: "due times are waited for, and a changed schedule wakes whoever waits",
        fits: &[],
    },
    Ignored {
        variable: "CELERY_BEAT_MAX_LOOP_INTERVAL",
        reason: "due times are waited for, and a changed schedule wakes whoever waits",
        fits: &[],
    },
    Ignored {
        variable: "CELERY_BEAT_SCHEDULE",
        reason: "`App::schedule` declares schedules, and `schedule add` adds them",
        fits: &["{}"],
    },
    Ignored {
        variable: "CELERY_ENABLE_UTC",
        reason: "times are written in UTC",
        fits: &["1", "yes", "true", "on"],
    },
];

fn same(value: &str) -> String {
    value.to_owned()
}

/// A list as settings modules write it, `["json", 'yaml']`, without its brackets and quotes.
fn list(value: &str) -> String {
    value.replace(['[', ']', '(', ')', '"', '\''], "").trim().trim_end_matches(',').to_owned()
}

/// Python's level names.
fn level(value: &str) -> String {
    match value.to_ascii_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        other => other.to_owned(),
    }
}

/// Celery's `strtobool`.
pub(super) fn truth(value: &str) -> String {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => "true".to_owned(),
        "0" | "no" | "false" | "off" | "" => "false".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_variable() {
        let readme = include_str!("../../README.md");
        let row = |variable: &str| readme.lines().find(|line| line.contains(&format!("`{variable}`")));
        for honoured in HONOURED {
            let row = row(honoured.variable).expect(honoured.variable);
            assert!(row.ends_with(&format!("| `{}` |", honoured.key)), "{row}");
        }
        for ignored in IGNORED {
            let row = row(ignored.variable).expect(ignored.variable);
            assert!(row.ends_with(&format!("| none: {} |", ignored.reason)), "{row}");
        }
        for partly in PARTLY {
            let row = row(partly.variable).expect(partly.variable);
            assert!(row.contains(&format!("`{}`", partly.key)) && row.contains(partly.reason), "{row}");
        }
        for (variable, key) in super::super::redis::DATABASES {
            assert!(row(variable).expect(variable).contains(&format!("`{key}`")));
        }
        for variable in super::super::redis::SERVER {
            assert!(row(variable).is_some(), "{variable}");
        }
    }
}
