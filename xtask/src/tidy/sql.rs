//! SQL text stands only in the SQL transports; everywhere else a statement is built from typed entities.

use super::workspace::{Finding, Workspace};

/// Files that hold statements written by hand.
const TRANSPORTS: &[&str] = &[
    "crates/broker/src/sql",
    "crates/broker/src/postgres",
    // Makes a schema for each test, which no builder writes.
    "crates/db/src/testing/postgres.rs",
];

/// Where the connection itself is set up: pragmas and the bounds of transactions, and no table.
const CONNECTION: &str = "crates/db/";
const OF_THE_CONNECTION: &[&str] =
    &["pragma", "begin", "commit", "rollback", "savepoint", "release", "vacuum", "analyze"];

/// Words that begin a statement, with what may follow each; nothing listed means that any word may.
const STATEMENTS: &[(&str, &[&str])] = &[
    ("select", &[]),
    ("insert", &["into", "or"]),
    ("replace", &["into"]),
    ("update", &[]),
    ("delete", &["from"]),
    (
        "create",
        &["table", "index", "unique", "trigger", "view", "temp", "temporary", "virtual", "type", "schema"],
    ),
    ("drop", &["table", "index", "trigger", "view", "type", "schema"]),
    ("alter", &["table", "index", "type"]),
    ("with", &[]),
    ("pragma", &[]),
    ("begin", &["immediate", "exclusive", "deferred", "transaction"]),
    ("savepoint", &[]),
    ("attach", &["database"]),
    ("truncate", &["table"]),
    ("explain", &["query", "select", "analyze"]),
];

/// Finds statements written as text.
pub(crate) fn text(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in
        workspace.shipped().filter(|source| !TRANSPORTS.iter().any(|file| source.path.starts_with(file)))
    {
        for (text, line) in source.texts() {
            let Some(word) = statement(text) else { continue };
            if source.path.starts_with(CONNECTION) && OF_THE_CONNECTION.contains(&word) {
                continue;
            }
            let wrong = format!("a string holds SQL (`{} ...`)", word.to_uppercase());
            let instead = "a query built from the owner's SeaORM entity; by hand only in `broker/src/sql*`";
            findings.push(Finding::new(&source.path, line, wrong, instead));
        }
    }
    findings
}

/// Returns the word that makes `text` a statement, in lower case.
///
/// English begins with the same words, so a statement is known by its capitals or, in small letters, by what must follow.
pub(crate) fn statement(text: &str) -> Option<&'static str> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let (word, followers) = STATEMENTS.iter().find(|(word, _)| first.eq_ignore_ascii_case(word))?;
    let next = words.next()?;
    let follows =
        followers.is_empty() || followers.iter().any(|follower| next.eq_ignore_ascii_case(follower));
    let shouted = first.chars().all(|c| c.is_ascii_uppercase());
    let quiet = first.chars().all(|c| c.is_ascii_lowercase());
    let certain = match *word {
        "select" => text.to_ascii_lowercase().contains(" from ") && !words.any(|word| word == "the"),
        "update" => words.any(|word| word.eq_ignore_ascii_case("set")),
        "with" => words.any(|word| word.eq_ignore_ascii_case("as")) && text.contains('('),
        "savepoint" => false,
        _ => true,
    };
    (follows && (shouted || quiet && certain)).then_some(*word)
}

#[cfg(test)]
mod tests {
    use super::super::workspace::findings;
    use super::*;

    #[test]
    fn statements_are_told_from_english() {
        for sql in [
            "SELECT 1",
            "\n    SELECT id\n    FROM job",
            "select id from job",
            "insert into job values (?)",
            "UPDATE job SET state = ?",
            "update job set state = ?",
            "DELETE FROM job",
            "create unique index a on b (c)",
            "WITH picked AS (SELECT 1)",
            "PRAGMA journal_mode = WAL",
            "BEGIN IMMEDIATE",
        ] {
            assert!(statement(sql).is_some(), "{sql}");
        }
        for english in [
            "update the row",
            "select a page from the list",
            "delete job",
            "create a queue",
            "with a lease",
            "begin again",
            "Select jobs by status",
            "insert",
            "",
            "drop the oldest",
        ] {
            assert_eq!(statement(english), None, "{english}");
        }
    }

    #[test]
    fn only_the_sql_transports_hold_statements() {
        let code = "//! A.\nconst Q: &str = \"DELETE FROM celeriac_job\";";
        let expected = ["crates/store/src/a.rs:2 a string holds SQL (`DELETE ...`)"];
        assert_eq!(findings(text, &[("crates/store/src/a.rs", code)]), expected);
        assert!(findings(text, &[("crates/broker/src/sqlite/claim.rs", code)]).is_empty());
        assert!(findings(text, &[("crates/store/tests/a.rs", code)]).is_empty());
        assert_eq!(findings(text, &[("crates/db/src/sqlite.rs", code)]).len(), 1);
    }

    #[test]
    fn db_may_set_pragmas() {
        let code = "//! A.\nconst Q: &str = \"PRAGMA synchronous = NORMAL\";";
        assert!(findings(text, &[("crates/db/src/sqlite.rs", code)]).is_empty());
        assert_eq!(findings(text, &[("crates/store/src/a.rs", code)]).len(), 1);
    }
}
