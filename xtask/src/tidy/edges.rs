//! Which crate may depend on which: the floors of ARCHITECTURE.md, written as a table.

use super::source::Source;
use super::workspace::{Crate, Finding, Workspace};

/// The floors from the ground up; a crate uses floors below its own, never beside or above.
const FLOORS: &[&[&str]] = &[
    &["peers"],
    &["protocol", "db", "macros"],
    &["broker", "store"],
    &["engine"],
    &["control"],
    &["collect"],
    &["server"],
    &["cli"],
    // The facade, the test kit and the bench stand beside the house and look into all of it.
    &["celeriac", "testing", "bench"],
];

/// Edges that point down and are refused all the same, with the reason.
const ABSENT: &[(&str, &str, &str)] = &[
    ("engine", "store", "the queue runs with no application database; they meet in `control`"),
    ("testing", "cli", "the test kit is built into what it tests"),
    ("celeriac", "testing", "test kits stay out of what ships"),
    ("broker", "macros", "`#[task]` belongs to the engine"),
    ("store", "macros", "`#[task]` belongs to the engine"),
];

/// Crates from outside that only some of ours may use, and why.
const OUTSIDE: &[(&str, &[&str], &str)] = &[
    ("reqwest", &["collect"], "the web is fetched in `collect/src/fetch` only"),
    ("html5gum", &["collect"], "foreign pages are parsed in `collect` only"),
    ("quick-xml", &["collect"], "foreign documents are parsed in `collect` only"),
    ("axum", &["server"], "HTTP is served in `server` only"),
    ("clap", &["cli", "bench"], "the command line is read in `cli` only"),
    ("indicatif", &["cli"], "the terminal belongs to `cli`"),
    ("comfy-table", &["cli", "bench"], "the terminal belongs to `cli`"),
    ("toml", &["cli"], "configuration is read in `cli` only"),
    ("tracing-subscriber", &["cli"], "logging is set up in `cli` only"),
    (
        "sea-orm",
        &["db", "broker", "store", "control", "collect", "bench"],
        "the engine and what lies above `collect` name no table; the bench measures PostgreSQL bare",
    ),
    ("sqlx", &["db"], "the database is opened through `celeriac-db`"),
    (
        "rusqlite",
        &["db", "bench"],
        "the database is opened through `celeriac-db`, whose `DirectTx` the queue uses; the bench measures SQLite bare",
    ),
    ("redis", &["broker"], "the broker alone speaks to its server"),
    ("chrono", &[], "times are our `Timestamp`, with `jiff` at the edges"),
    (
        "anyhow",
        &["engine", "control", "collect", "cli", "bench"],
        "a library's errors are enums; only a task's body returns any error",
    ),
];

/// Tables of a manifest that name what a crate is built from.
const SHIPPED: &str = "dependencies";
const FOR_TESTS: &str = "dev-dependencies";

/// Finds edges between our crates that do not point down.
pub(crate) fn floors(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members(workspace) {
        for (table, dependency) in dependencies(member) {
            let Some(below) = ours(dependency) else { continue };
            if let Some(wrong) = refused(member.name(), below, table) {
                let line = member.line_of(table, dependency);
                let instead = "move what is needed to a floor below both, or pass it in as a trait";
                findings.push(Finding::new(&member.manifest_path(), line, wrong, instead));
            }
        }
    }
    findings
}

/// Finds crates from outside on a floor where they have no business.
pub(crate) fn outside(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members(workspace) {
        for (table, dependency) in dependencies(member).filter(|(table, _)| *table == SHIPPED) {
            let rule = OUTSIDE
                .iter()
                .find(|(name, allowed, _)| *name == dependency && !allowed.contains(&member.name()));
            if let Some((name, _, why)) = rule {
                let wrong = format!("`{}` depends on `{name}`", member.name());
                findings.push(Finding::new(
                    &member.manifest_path(),
                    member.line_of(table, dependency),
                    wrong,
                    *why,
                ));
            }
        }
    }
    findings
}

/// Finds test kits among what ships: the crate itself, or a `testing` feature that is on without being asked for.
pub(crate) fn testing(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members(workspace).filter(|member| member.name() != "testing") {
        for (name, value) in table(member, SHIPPED) {
            let features = value.get("features").and_then(toml::Value::as_array);
            let on = features
                .is_some_and(|features| features.iter().any(|feature| feature.as_str() == Some("testing")));
            if on || name == "celeriac-testing" {
                let wrong = format!("`{name}` brings its test kit into what ships");
                let instead = "name it in [dev-dependencies], or behind a feature called `testing`";
                findings.push(Finding::new(
                    &member.manifest_path(),
                    member.line_of(SHIPPED, name),
                    wrong,
                    instead,
                ));
            }
        }
        for (feature, value) in table(member, "features").filter(|(feature, _)| *feature != "testing") {
            let parts = value.as_array().into_iter().flatten().filter_map(toml::Value::as_str);
            for part in parts.filter(|part| *part == "testing" || part.ends_with("/testing")) {
                let wrong = format!("the feature `{feature}` turns on `{part}`");
                let line = member.line_of("features", feature);
                findings.push(Finding::new(
                    &member.manifest_path(),
                    line,
                    wrong,
                    "only a feature called `testing` does that",
                ));
            }
        }
    }
    findings
}

/// Finds dependencies that no file of their crate names.
pub(crate) fn unused(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.crates {
        let folder = format!("{}/", member.folder);
        let files: Vec<&Source> =
            workspace.sources.iter().filter(|source| source.path.starts_with(&folder)).collect();
        for (table, dependency) in dependencies(member) {
            let name = dependency.replace('-', "_");
            if !files.iter().any(|file| file.tokens.iter().any(|token| token.is_word(&name))) {
                let wrong = format!("`{}` names `{dependency}` and does not use it", member.name());
                let line = member.line_of(table, dependency);
                findings.push(Finding::new(&member.manifest_path(), line, wrong, "leave it out"));
            }
        }
    }
    findings
}

/// Finds crates whose lints are not the workspace's.
pub(crate) fn lints(workspace: &Workspace) -> Vec<Finding> {
    let shared = |member: &&Crate| {
        let lints = member.manifest.get("lints").and_then(|lints| lints.get("workspace"));
        lints.and_then(toml::Value::as_bool) != Some(true)
    };
    let loose = workspace.crates.iter().filter(shared);
    loose
        .map(|member| {
            let instead = "`[lints]` with `workspace = true`";
            Finding::new(
                &member.manifest_path(),
                1,
                format!("`{}` has lints of its own", member.name()),
                instead,
            )
        })
        .collect()
}

fn members(workspace: &Workspace) -> impl Iterator<Item = &Crate> {
    workspace.crates.iter().filter(|member| member.folder.starts_with("crates/"))
}

fn dependencies(member: &Crate) -> impl Iterator<Item = (&'static str, &str)> {
    [SHIPPED, FOR_TESTS].into_iter().flat_map(|name| table(member, name).map(move |(key, _)| (name, key)))
}

fn table<'a>(member: &'a Crate, name: &str) -> impl Iterator<Item = (&'a str, &'a toml::Value)> {
    let entries = member.manifest.get(name).and_then(toml::Value::as_table);
    entries.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// Returns the folder of a crate of ours by its package name.
fn ours(package: &str) -> Option<&str> {
    if package == "celeriac" { Some(package) } else { package.strip_prefix("celeriac-") }
}

fn refused(above: &str, below: &str, table: &str) -> Option<String> {
    if table == FOR_TESTS && (below == "testing" || below == above) {
        return None;
    }
    if let Some((.., why)) = ABSENT.iter().find(|(from, to, _)| (*from, *to) == (above, below)) {
        return Some(format!("`{above}` uses `{below}`: {why}"));
    }
    match (floor(above), floor(below)) {
        (None, _) => {
            Some(format!("`{above}` stands on no floor; add it to FLOORS in xtask/src/tidy/edges.rs"))
        }
        (_, None) => {
            Some(format!("`{below}` stands on no floor; add it to FLOORS in xtask/src/tidy/edges.rs"))
        }
        (Some(from), Some(to)) if from > to => None,
        _ => Some(format!("`{above}` uses `{below}`, which is not below it")),
    }
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::super::workspace::findings;
    use super::*;

    #[track_caller]
    fn check(rule: fn(&Workspace) -> Vec<Finding>, name: &str, manifest: &str, expected: &[&str]) {
        let path = format!("crates/{name}/Cargo.toml");
        assert_eq!(findings(rule, &[(&path, manifest)]), expected);
    }

    #[test]
    fn arrows_point_down() {
        check(floors, "control", "[dependencies]\nceleriac-engine.workspace = true\nserde = \"1\"", &[]);
        check(
            floors,
            "broker",
            "[dependencies]\nceleriac-db.workspace = true\nceleriac-engine.workspace = true",
            &["crates/broker/Cargo.toml:3 `broker` uses `engine`, which is not below it"],
        );
        check(
            floors,
            "broker",
            "[dependencies]\nceleriac-store = { workspace = true }",
            &["crates/broker/Cargo.toml:2 `broker` uses `store`, which is not below it"],
        );
    }

    #[test]
    fn engine_does_not_use_store_although_it_lies_below() {
        let wrong =
            "`engine` uses `store`: the queue runs with no application database; they meet in `control`";
        let expected = format!("crates/engine/Cargo.toml:2 {wrong}");
        check(floors, "engine", "[dev-dependencies]\nceleriac-store.workspace = true", &[&expected]);
    }

    #[test]
    fn tests_may_use_the_test_kit_and_what_ships_may_not() {
        let manifest = "[dev-dependencies]\nceleriac-testing.workspace = true";
        check(floors, "broker", manifest, &[]);
        check(testing, "broker", manifest, &[]);
        check(testing, "broker", "[features]\ntesting = [\"celeriac-protocol/testing\"]", &[]);
        check(
            testing,
            "broker",
            "[dependencies]\nceleriac-protocol = { workspace = true, features = [\"testing\"] }",
            &["crates/broker/Cargo.toml:2 `celeriac-protocol` brings its test kit into what ships"],
        );
        check(
            testing,
            "broker",
            "[features]\ndefault = [\"testing\"]",
            &["crates/broker/Cargo.toml:2 the feature `default` turns on `testing`"],
        );
    }

    #[test]
    fn outside_crates_stay_on_their_floor() {
        check(outside, "server", "[dependencies]\naxum.workspace = true", &[]);
        check(outside, "collect", "[dev-dependencies]\naxum.workspace = true", &[]);
        check(
            outside,
            "engine",
            "[dependencies]\nsea-orm.workspace = true",
            &["crates/engine/Cargo.toml:2 `engine` depends on `sea-orm`"],
        );
    }

    #[test]
    fn a_dependency_is_used_somewhere_in_its_crate() {
        let manifest = "[dependencies]\nserde-json.workspace = true\ntokio.workspace = true\n[dev-dependencies]\ninsta = \"1\"";
        let files = [
            ("crates/db/Cargo.toml", manifest),
            ("crates/db/src/a.rs", "//! A.\nuse serde_json::Value;"),
            ("crates/db/tests/b.rs", "//! B.\nfn f() { insta::assert_snapshot!(g()); }"),
            ("crates/store/src/a.rs", "//! A.\nuse tokio::sync::Notify;"),
        ];
        assert_eq!(
            findings(unused, &files),
            ["crates/db/Cargo.toml:3 `db` names `tokio` and does not use it"]
        );
    }

    #[test]
    fn every_crate_keeps_the_lints_of_the_workspace() {
        check(lints, "db", "[lints]\nworkspace = true", &[]);
        check(
            lints,
            "db",
            "[lints.rust]\nunsafe_code = \"warn\"",
            &["crates/db/Cargo.toml:1 `db` has lints of its own"],
        );
    }

    #[test]
    fn a_crate_without_a_floor_is_told_where_to_add_it() {
        let found = findings(floors, &[("crates/attic/Cargo.toml", "[dependencies]\nceleriac-db = \"1\"")]);
        assert!(found[0].contains("add it to FLOORS"), "{found:?}");
    }
}
