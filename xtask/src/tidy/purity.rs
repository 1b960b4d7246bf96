//! What some places must not contain: IO in pure code, tables and products in the engine.

use super::source::{Kind, Source};
use super::workspace::{Finding, Workspace};

/// First words of paths that do IO or belong to a runtime.
const IO: &[&[&str]] = &[
    &["tokio"],
    &["reqwest"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["sea_orm"],
    &["async_std"],
];

/// Products that carry a queue; the engine works over a trait and knows none of them.
const PRODUCTS: &[&str] = &["redis", "valkey", "rabbit", "amqp", "postgres", "sqlite", "mysql"];

/// Finds async functions and IO where only pure code may stand.
pub(crate) fn no_io(workspace: &Workspace) -> Vec<Finding> {
    workspace
        .shipped()
        .filter(|source| is_pure(source))
        .flat_map(|source| asynchronous(source).into_iter().chain(io(source)))
        .collect()
}

/// Finds tables and queue products in the engine.
pub(crate) fn engine_names(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in workspace.shipped().filter(|source| source.crate_name() == "engine") {
        for token in source.tokens.iter().filter(|token| !token.in_test) {
            let (Kind::Ident(text) | Kind::Text(text)) = &token.kind else { continue };
            let lower = text.to_lowercase();
            if let Some(product) = PRODUCTS.iter().find(|product| lower.contains(*product)) {
                let wrong = format!("the engine names `{product}`");
                let instead = "a method of `Broker` or a flag of `Capabilities`";
                findings.push(Finding::new(&source.path, token.line, wrong, instead));
            }
            if token.is_word("table_name") {
                let instead = "an entity in `store`, which the engine does not use";
                findings.push(Finding::new(&source.path, token.line, "the engine names a table", instead));
            }
        }
    }
    findings
}

fn is_pure(source: &Source) -> bool {
    source.crate_name() == "protocol"
        || source.path.ends_with("/extract.rs")
        || source.path.contains("/extract/")
}

fn asynchronous(source: &Source) -> Vec<Finding> {
    let words = source
        .tokens
        .windows(2)
        .filter(|window| !window[0].in_test && window[0].is_word("async") && window[1].is_word("fn"));
    words
        .map(|window| {
            let instead = "a plain function of what was read; its caller does the waiting";
            Finding::new(&source.path, window[0].line, "an async function in pure code", instead)
        })
        .collect()
}

fn io(source: &Source) -> Vec<Finding> {
    let paths = source.paths.iter().filter(|path| {
        let begins = |io: &&[&str]| {
            path.segments.len() >= io.len() && path.segments.iter().zip(*io).all(|(a, b)| a == b)
        };
        // A lone word is a name of the file's own; IO is reached through a path.
        !path.in_test && path.segments.len() > 1 && IO.iter().any(begins)
    });
    paths
        .map(|path| {
            let wrong = format!("`{}` in pure code", path.joined());
            Finding::new(&source.path, path.line, wrong, "bytes or values passed in by the caller")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::findings;
    use super::*;

    #[test]
    fn protocol_and_extract_only_compute() {
        let bad = "//! A.\nuse tokio::sync::Notify;\nasync fn f() {}\nfn g() { std::fs::read(p); }";
        for path in ["crates/protocol/src/a.rs", "crates/collect/src/page/extract.rs"] {
            let expected = [
                "an async function in pure code",
                "`std::fs::read` in pure code",
                "`tokio::sync::Notify` in pure code",
            ];
            let found = findings(no_io, &[(path, bad)]);
            for wrong in expected {
                assert!(found.iter().any(|finding| finding.ends_with(wrong)), "{wrong} is not in {found:?}");
            }
        }
        assert!(findings(no_io, &[("crates/engine/src/a.rs", bad)]).is_empty());
        assert!(
            findings(no_io, &[("crates/protocol/src/a.rs", "//! A.\nfn f(text: &str) -> usize { 1 }")])
                .is_empty()
        );
    }

    #[test]
    fn engine_knows_no_product_and_no_table() {
        let bad = "//! A.\nfn redis_url() {}\nconst A: &str = \"use RabbitMQ\";";
        let expected = [
            "crates/engine/src/a.rs:2 the engine names `redis`",
            "crates/engine/src/a.rs:3 the engine names `rabbit`",
        ];
        assert_eq!(findings(engine_names, &[("crates/engine/src/a.rs", bad)]), expected);
        let good = "//! A.\n/// Redis inverts it at the wire.\nfn priority() {}";
        assert!(findings(engine_names, &[("crates/engine/src/a.rs", good)]).is_empty());
    }
}
