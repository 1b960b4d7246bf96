//! What every file owes its reader: a first sentence, a README that is true, lints with reasons.

use super::source::Kind;
use super::workspace::{Finding, Workspace};

/// Finds files that are no Rust.
pub(crate) fn unreadable(workspace: &Workspace) -> Vec<Finding> {
    let broken = workspace.sources.iter().filter_map(|source| Some((source, source.unreadable.as_ref()?)));
    broken.map(|(source, why)| Finding::new(&source.path, 1, why, "balanced brackets and quotes")).collect()
}

/// Finds files that begin without a sentence about themselves.
pub(crate) fn missing(workspace: &Workspace) -> Vec<Finding> {
    let silent = workspace.sources.iter().filter(|source| {
        let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        !first.starts_with("//! ") && !first.starts_with("#![doc = include_str!(")
    });
    silent
        .map(|source| {
            let instead = "a first line `//! ` with one sentence that says what the file is for";
            Finding::new(&source.path, 1, "the file does not say what it is", instead)
        })
        .collect()
}

/// Finds crates without a README, and crates whose documentation is not their README.
pub(crate) fn readme(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in workspace.crates.iter().filter(|member| !member.has_readme) {
        let instead = "a README.md beside Cargo.toml that says what the crate is for";
        findings.push(Finding::new(&member.manifest_path(), 1, "the crate has no README.md", instead));
    }
    for source in &workspace.sources {
        let is_root = source.path.starts_with("crates/") && source.path.ends_with("/src/lib.rs");
        if is_root && !source.text.starts_with("#![doc = include_str!(\"../README.md\")]") {
            let instead = "a first line `#![doc = include_str!(\"../README.md\")]`";
            findings.push(Finding::new(
                &source.path,
                1,
                "the crate's README is not its documentation",
                instead,
            ));
        }
    }
    findings
}

/// Finds lints that are allowed instead of expected.
pub(crate) fn allows(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &workspace.sources {
        for window in source.tokens.windows(3) {
            if window[0].kind == Kind::Punct('#')
                && window[1].kind == Kind::Open('[')
                && window[2].is_word("allow")
            {
                let instead = "`#[expect(lint, reason = \"...\")]`, which tells when it is no longer needed";
                findings.push(Finding::new(&source.path, window[2].line, "a lint is allowed", instead));
            }
        }
    }
    findings
}

/// Finds tests that do not run and do not say why.
pub(crate) fn ignored(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &workspace.sources {
        for window in source.tokens.windows(4) {
            if window[0].kind == Kind::Punct('#')
                && window[1].kind == Kind::Open('[')
                && window[2].is_word("ignore")
                && window[3].kind != Kind::Punct('=')
            {
                let instead = "`#[ignore = \"is ... that another test starts\"]`; what is missing fails, it is not skipped";
                findings.push(Finding::new(
                    &source.path,
                    window[2].line,
                    "a test is ignored without a reason",
                    instead,
                ));
            }
        }
    }
    findings
}

/// Finds notes about later work that name no issue.
pub(crate) fn todos(workspace: &Workspace) -> Vec<Finding> {
    // Put together here, so that this file does not find itself.
    let words = ["TO\u{44}O", "FIX\u{4d}E"];
    let mut findings = Vec::new();
    for source in &workspace.sources {
        for (index, line) in source.text.lines().enumerate() {
            let comment = line.split_once("//").map_or("", |(_, comment)| comment);
            if words.iter().any(|word| comment.contains(word)) && !comment.contains('#') {
                let instead = "the issue's number beside it, as `#12`, or the work itself";
                findings.push(Finding::new(&source.path, index + 1, "later work without an issue", instead));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::workspace::findings;
    use super::*;

    #[test]
    fn a_file_says_what_it_is() {
        assert!(findings(missing, &[("crates/a/src/b.rs", "//! Holds b.\n")]).is_empty());
        assert!(
            findings(missing, &[("crates/a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n")])
                .is_empty()
        );
        let found = findings(missing, &[("crates/a/src/b.rs", "use x;\n//! Late.\n")]);
        assert_eq!(found, ["crates/a/src/b.rs:1 the file does not say what it is"]);
    }

    #[test]
    fn a_crate_has_a_readme_that_is_its_documentation() {
        let good = [
            ("crates/a/Cargo.toml", ""),
            ("crates/a/README.md", ""),
            ("crates/a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
        ];
        assert!(findings(readme, &good).is_empty());
        let bad = [("crates/a/Cargo.toml", ""), ("crates/a/src/lib.rs", "//! A.\n")];
        assert_eq!(
            findings(readme, &bad),
            [
                "crates/a/Cargo.toml:1 the crate has no README.md",
                "crates/a/src/lib.rs:1 the crate's README is not its documentation"
            ]
        );
    }

    #[test]
    fn a_lint_is_expected_and_not_allowed() {
        assert!(
            findings(allows, &[("crates/a/src/b.rs", "#[expect(x, reason = \"y\")]\nfn allow() {}")])
                .is_empty()
        );
        let found =
            findings(allows, &[("crates/a/src/b.rs", "//! B.\n#![allow(x)]\n#[allow(y)]\nfn f() {}")]);
        assert_eq!(found, ["crates/a/src/b.rs:2 a lint is allowed", "crates/a/src/b.rs:3 a lint is allowed"]);
    }

    #[test]
    fn later_work_names_its_issue() {
        let word = "TO\u{44}O";
        let good = format!("//! B.\n// {word} #12: more.\nconst A: &str = \"{word}\";");
        assert!(findings(todos, &[("crates/a/src/b.rs", &good)]).is_empty());
        let bad = format!("//! B.\nfn f() {{}} // {word}: more.");
        assert_eq!(
            findings(todos, &[("crates/a/src/b.rs", &bad)]),
            ["crates/a/src/b.rs:2 later work without an issue"]
        );
    }

    #[test]
    fn an_ignored_test_says_why() {
        let good = "//! B.\n#[test]\n#[ignore = \"is started by another test\"]\nfn f() {}";
        assert!(findings(ignored, &[("crates/a/tests/b.rs", good)]).is_empty());
        let bad = "//! B.\n#[test]\n#[ignore]\nfn f() {}";
        let expected = ["crates/a/tests/b.rs:3 a test is ignored without a reason"];
        assert_eq!(findings(ignored, &[("crates/a/tests/b.rs", bad)]), expected);
    }

    #[test]
    fn a_file_that_is_no_rust_is_found() {
        assert!(findings(unreadable, &[("crates/a/src/b.rs", "fn f() {}")]).is_empty());
        assert_eq!(findings(unreadable, &[("crates/a/src/b.rs", "fn f( {}")]).len(), 1);
    }
}
