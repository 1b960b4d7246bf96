//! Calls that have one door: time, environment, spawned work, blocked threads, the process's end.
//!
//! Clippy holds these by `clippy.toml` where it can resolve a name; this table adds which file is the door, and covers
//! code that a feature hides from one clippy run.

use super::workspace::{Finding, Workspace};

/// Calls that only listed files may make.
struct Door {
    calls: &'static [&'static str],
    /// Paths, or beginnings of paths, of the files that may.
    open: &'static [&'static str],
    instead: &'static str,
}

const DOORS: &[Door] = &[
    Door {
        calls: &[
            "std::env::var",
            "std::env::var_os",
            "std::env::vars",
            "std::env::vars_os",
            "std::env::set_var",
            "std::env::remove_var",
            "std::env::args",
            "std::env::args_os",
        ],
        // Whoever runs the tests tells them by the environment where the server is.
        open: &["crates/cli/", "crates/db/src/testing/"],
        instead: "a field of the crate's settings, filled by `cli`, which alone reads the environment",
    },
    Door {
        calls: &[
            "std::time::SystemTime::now",
            "std::time::Instant::now",
            "tokio::time::Instant::now",
            "jiff::Timestamp::now",
            "jiff::Zoned::now",
            "chrono::Utc::now",
            "chrono::Local::now",
        ],
        open: &[
            "crates/engine/src/clock.rs",
            // A stopwatch for deadlines: `db` stands beside `protocol` and stores no time of its own.
            "crates/db/src/writer/park.rs",
        ],
        instead: "`Clock::now` of the clock that was passed in, so that a test can set the time",
    },
    Door {
        calls: &["tokio::spawn", "tokio::task::spawn", "tokio::task::spawn_local"],
        open: &[],
        instead: "a `JoinSet` or `TaskTracker` that its owner waits for",
    },
    Door {
        calls: &["std::thread::sleep", "tokio::task::block_in_place"],
        open: &[],
        instead: "`Clock::sleep_until`, or a blocking thread of its own",
    },
    Door {
        calls: &["std::process::exit", "std::process::abort"],
        open: &["crates/cli/"],
        instead: "an error that `cli` turns into an exit code",
    },
];

/// Crates of which only one place may know, and why.
const ROOMS: &[(&str, &str, &str)] = &[
    ("reqwest", "crates/collect/src/fetch", "a `Fetcher`, which is polite and guarded at every hop"),
    ("axum", "crates/server/src/", "a view that `server` turns into an answer"),
];

/// Finds crates that are named outside the one place that wraps them.
pub(crate) fn rooms(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in workspace.shipped() {
        for path in source.paths.iter().filter(|path| !path.in_test && path.segments.len() > 1) {
            let room = ROOMS.iter().find(|(name, ..)| *name == path.segments[0]);
            if let Some((name, _, instead)) = room.filter(|(_, inside, _)| !source.path.starts_with(inside)) {
                findings.push(Finding::new(
                    &source.path,
                    path.line,
                    format!("`{name}` is named here"),
                    *instead,
                ));
            }
        }
    }
    findings
}

/// Finds calls outside their door.
pub(crate) fn forbidden(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in workspace.shipped() {
        for path in source.paths.iter().filter(|path| !path.in_test) {
            let joined = path.joined();
            let door = DOORS.iter().find(|door| door.calls.contains(&joined.as_str()));
            if let Some(door) =
                door.filter(|door| !door.open.iter().any(|open| source.path.starts_with(open)))
            {
                findings.push(Finding::new(
                    &source.path,
                    path.line,
                    format!("`{joined}` is called here"),
                    door.instead,
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::workspace::findings;
    use super::*;

    #[track_caller]
    fn check(path: &str, code: &str, expected: &[&str]) {
        assert_eq!(findings(forbidden, &[(path, code)]), expected);
    }

    #[test]
    fn environment_is_read_in_cli_only() {
        let code = "//! A.\nuse std::env;\nfn f() { env::var(\"HOME\"); }";
        check("crates/cli/src/config.rs", code, &[]);
        check("crates/db/src/a.rs", code, &["crates/db/src/a.rs:3 `std::env::var` is called here"]);
        check("crates/db/src/a.rs", "//! A.\nconst V: &str = env!(\"CARGO_PKG_VERSION\");", &[]);
    }

    #[test]
    fn clock_has_one_door() {
        let code = "//! A.\nuse std::time::{Duration, SystemTime};\nfn f() { SystemTime::now(); }";
        check("crates/engine/src/clock.rs", code, &[]);
        check(
            "crates/engine/src/a.rs",
            code,
            &["crates/engine/src/a.rs:3 `std::time::SystemTime::now` is called here"],
        );
        check("crates/engine/src/a.rs", "//! A.\nfn f(c: &dyn Clock) { c.now(); }", &[]);
    }

    #[test]
    fn nothing_is_spawned_without_an_owner() {
        check("crates/engine/src/a.rs", "//! A.\nfn f(s: &mut JoinSet<()>) { s.spawn(g()); }", &[]);
        let expected = ["crates/engine/src/a.rs:2 `tokio::spawn` is called here"];
        check("crates/engine/src/a.rs", "//! A.\nfn f() { tokio::spawn(g()); }", &expected);
    }

    #[test]
    fn no_thread_sleeps_outside_tests() {
        let expected = ["crates/db/src/a.rs:2 `std::thread::sleep` is called here"];
        check("crates/db/src/a.rs", "//! A.\nfn f() { std::thread::sleep(D); }", &expected);
        check(
            "crates/db/src/a.rs",
            "//! A.\n#[cfg(test)]\nmod tests { fn f() { std::thread::sleep(D); } }",
            &[],
        );
        check("crates/db/tests/a.rs", "//! A.\nfn f() { std::thread::sleep(D); }", &[]);
    }

    #[test]
    fn http_is_spoken_in_one_place() {
        let code = "//! A.\nuse reqwest::Client;";
        assert!(findings(rooms, &[("crates/collect/src/fetch/http.rs", code)]).is_empty());
        let expected = ["crates/collect/src/page/tasks.rs:2 `reqwest` is named here"];
        assert_eq!(findings(rooms, &[("crates/collect/src/page/tasks.rs", code)]), expected);
    }

    #[test]
    fn only_cli_ends_the_process() {
        let code = "//! A.\nfn f() { std::process::exit(1) }";
        check("crates/cli/src/a.rs", code, &[]);
        check(
            "crates/engine/src/a.rs",
            code,
            &["crates/engine/src/a.rs:2 `std::process::exit` is called here"],
        );
    }
}
