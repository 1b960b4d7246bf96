//! Holds the rules of the house that neither the compiler nor clippy can see.

mod bans;
mod calls;
mod edges;
mod entities;
mod headers;
mod paths;
mod purity;
mod source;
mod sql;
mod tables;
mod workspace;

use std::path::Path;

use workspace::{Finding, Workspace};

/// One rule: a name for the report, what it holds, and how it is checked.
struct Rule {
    name: &'static str,
    holds: &'static str,
    check: fn(&Workspace) -> Vec<Finding>,
}

/// Every rule there is; each lives in the module that its function names.
const RULES: &[Rule] = &[
    Rule { name: "parses", holds: "every file is Rust that can be read", check: headers::unreadable },
    Rule { name: "header", holds: "every file begins by saying what it is", check: headers::missing },
    Rule { name: "readme", holds: "every crate's README is its documentation", check: headers::readme },
    Rule { name: "allow", holds: "a lint is expected with a reason, never allowed", check: headers::allows },
    Rule { name: "ignored", holds: "a test that does not run says why", check: headers::ignored },
    Rule { name: "todo", holds: "later work has an issue", check: headers::todos },
    Rule { name: "lints", holds: "every crate keeps the workspace's lints", check: edges::lints },
    Rule { name: "edges", holds: "crates use only the floors below them", check: edges::floors },
    Rule { name: "outside", holds: "outside crates stay on their floor", check: edges::outside },
    Rule { name: "testing", holds: "test kits stay out of what ships", check: edges::testing },
    Rule {
        name: "calls",
        holds: "clock, environment, spawn and sleep have one door",
        check: calls::forbidden,
    },
    Rule { name: "rooms", holds: "HTTP is spoken in one place each way", check: calls::rooms },
    Rule { name: "sql", holds: "SQL text stands only in the SQL transports", check: sql::text },
    Rule { name: "tables", holds: "every table has one owner, and our prefix", check: tables::owners },
    Rule {
        name: "entities",
        holds: "an entity is named only by its owner, and is no wire type",
        check: entities::kept,
    },
    Rule { name: "pure", holds: "protocol and extract do no IO", check: purity::no_io },
    Rule {
        name: "engine",
        holds: "the engine names no table and no queue product",
        check: purity::engine_names,
    },
];

/// Rules that are told and do not fail; one moves up once the workspace keeps it.
const NOTED: &[Rule] = &[Rule { name: "unused", holds: "a dependency is used", check: edges::unused }];

/// Lines above which a file is worth a second look.
const LONG_FILE_LINES: usize = 700;

/// Checks the workspace, prints what was found, and returns whether it is tidy.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let workspace = Workspace::load(root)?;
    let mut findings = check(RULES, &workspace);
    findings.extend(bans::resolved(root)?);
    for finding in &findings {
        println!("{finding}");
    }
    for noted in check(NOTED, &workspace) {
        println!("{}:{}: note: {}", noted.path, noted.line, noted.wrong);
    }
    for (path, lines) in workspace.longer_than(LONG_FILE_LINES) {
        println!("{path}: note: {lines} lines; look for a seam");
    }
    println!(
        "tidy: {} rules, {} files, {} findings",
        RULES.len() + 1,
        workspace.sources.len(),
        findings.len()
    );
    Ok(findings.is_empty())
}

fn check(rules: &[Rule], workspace: &Workspace) -> Vec<Finding> {
    rules
        .iter()
        .flat_map(|rule| {
            (rule.check)(workspace).into_iter().map(|finding| finding.under(rule.name, rule.holds))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn workspace_keeps_the_rules_of_the_house() {
        let tidy = super::run(&crate::root()).expect("the workspace can be read");
        assert!(tidy, "the findings are printed above");
    }
}
