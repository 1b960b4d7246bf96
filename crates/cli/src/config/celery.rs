//! Names that Celery's own command line and its users' projects give to settings in the environment.

/// A variable of Celery's that sets one of our keys.
pub(super) struct Honoured {
    /// Its name.
    pub(super) variable: &'static str,
    /// Our key.
    pub(super) key: &'static str,
    /// Turns its value into ours.
    pub(super) translate: fn(&str) -> String,
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
    Honoured { variable: "CELERY_TASK_ALWAYS_EAGER", key: "tasks.always_eager", translate: truth },
];

/// Variables that mean something to Celery and nothing to this version, with the reason.
pub(super) const IGNORED: &[(&str, &str)] = &[
    ("CELERY_BROKER_URL", "the queue is kept in the database of `database.url`"),
    ("CELERY_RESULT_BACKEND", "results are kept in the database of `database.url`"),
];

fn same(value: &str) -> String {
    value.to_owned()
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
        for (variable, _) in IGNORED {
            assert!(row(variable).expect(variable).contains("none yet"));
        }
    }
}
