//! Every table has one owner crate, and a name with our prefix, since it lives in users' databases.

use super::source::{Kind, Source};
use super::sql::statement;
use super::workspace::{Finding, Workspace};

const PREFIX: &str = "celeriac_";

/// Which crate owns which tables: a name, or with a star at its end a family of names.
const OWNERS: &[(&str, &str)] = &[
    ("celeriac_queue*", "broker"),
    ("celeriac_migration*", "db"),
    ("celeriac_job*", "store"),
    ("celeriac_attempt*", "store"),
    ("celeriac_count*", "store"),
    ("celeriac_worker*", "store"),
    ("celeriac_workflow*", "store"),
    ("celeriac_schedule*", "store"),
    ("celeriac_firing*", "store"),
    ("celeriac_token*", "store"),
    ("celeriac_user*", "store"),
    // The whole name: `celeriac_session` is what the cookie of a login is called.
    ("celeriac_sessions", "store"),
    ("celeriac_audit*", "store"),
    ("celeriac_host*", "collect"),
    ("celeriac_domain*", "collect"),
    ("celeriac_sitemap*", "collect"),
    ("celeriac_page*", "collect"),
];

/// Tables of Celery's, which have its names, and the crate that alone uses them.
const OF_CELERY: &[(&str, &str)] = &[
    ("celery_taskmeta", "broker"),
    ("celery_periodictask", "control"),
    ("celery_intervalschedule", "control"),
    ("celery_crontabschedule", "control"),
    ("celery_solarschedule", "control"),
    ("celery_clockedschedule", "control"),
];

/// Words of a statement after which a table's name stands.
const BEFORE_A_TABLE: &[&str] = &["from", "into", "update", "join", "table"];

/// Finds tables without our prefix, without an owner, or named by a crate that does not own them.
pub(crate) fn owners(workspace: &Workspace) -> Vec<Finding> {
    workspace
        .shipped()
        .flat_map(|source| named(source).into_iter().filter_map(|name| judge(source, &name)))
        .collect()
}

/// One place where a file names a table.
struct Named {
    table: String,
    line: usize,
    /// Whether it is the entity's own declaration, which must carry the prefix.
    declared: bool,
}

fn named(source: &Source) -> Vec<Named> {
    let mut names = Vec::new();
    for window in source.tokens.windows(3).filter(|window| !window[0].in_test) {
        if let [Kind::Ident(key), Kind::Punct('='), Kind::Text(table)] = [0, 1, 2].map(|i| &window[i].kind)
            && key == "table_name"
        {
            names.push(Named { table: table.clone(), line: window[2].line, declared: true });
        }
    }
    for (text, line) in source.texts() {
        let tables = if statement(text).is_some() { in_statement(text) } else { vec![text] };
        let tables = tables.into_iter().filter(|table| owner(table).is_some() || statement(text).is_some());
        names.extend(tables.filter(|table| table.starts_with(PREFIX)).map(|table| Named {
            table: table.to_owned(),
            line,
            declared: false,
        }));
    }
    names
}

fn in_statement(text: &str) -> Vec<&str> {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let pairs = words.windows(2);
    pairs
        .filter(|pair| BEFORE_A_TABLE.iter().any(|word| pair[0].eq_ignore_ascii_case(word)))
        .map(|pair| pair[1])
        .collect()
}

fn judge(source: &Source, name: &Named) -> Option<Finding> {
    let Named { table, line, declared } = name;
    let crate_name = source.crate_name();
    let finding = |wrong: String, instead: &str| Some(Finding::new(&source.path, *line, wrong, instead));
    if OF_CELERY.contains(&(table.as_str(), crate_name)) {
        return None;
    }
    if *declared && !table.starts_with(PREFIX) {
        return finding(
            format!("the table `{table}` lacks our prefix"),
            "a name that begins with `celeriac_`",
        );
    }
    match owner(table) {
        None => finding(
            format!("the table `{table}` has no owner"),
            "a line in OWNERS of xtask/src/tidy/tables.rs that says which crate alone queries it",
        ),
        Some(owner) if owner != crate_name => finding(
            format!("`{crate_name}` names the table `{table}` of `{owner}`"),
            "a function of the owner that answers the question",
        ),
        Some(_) => None,
    }
}

fn owner(table: &str) -> Option<&'static str> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(family) => {
            table == family
                || table.strip_prefix(family).is_some_and(|rest| rest.starts_with('_') || rest == "s")
        }
        None => table == pattern,
    };
    OWNERS.iter().find(|(pattern, _)| fits(pattern)).map(|(_, owner)| *owner)
}

#[cfg(test)]
mod tests {
    use super::super::workspace::findings;
    use super::*;

    #[track_caller]
    fn check(path: &str, code: &str, expected: &[&str]) {
        assert_eq!(findings(owners, &[(path, code)]), expected);
    }

    #[test]
    fn an_entity_stands_in_its_owners_crate() {
        let code = "//! A.\n#[sea_orm(table_name = \"celeriac_job\")]\nstruct Model;";
        check("crates/store/src/entity/job.rs", code, &[]);
        let expected = ["crates/collect/src/job.rs:2 `collect` names the table `celeriac_job` of `store`"];
        let found = findings(owners, &[("crates/collect/src/job.rs", code)]);
        assert_eq!(found[0], expected[0]);
    }

    #[test]
    fn a_table_has_our_prefix_and_an_owner() {
        let bare = "//! A.\n#[sea_orm(table_name = \"job\")]\nstruct Model;";
        check("crates/store/src/a.rs", bare, &["crates/store/src/a.rs:2 the table `job` lacks our prefix"]);
        let orphan = "//! A.\n#[sea_orm(table_name = \"celeriac_weather\")]\nstruct Model;";
        check(
            "crates/store/src/a.rs",
            orphan,
            &["crates/store/src/a.rs:2 the table `celeriac_weather` has no owner"],
        );
    }

    #[test]
    fn a_statement_names_only_tables_of_its_crate() {
        let own = "//! A.\nconst Q: &str = \"DELETE FROM celeriac_queue_message WHERE id = ?\";";
        check("crates/broker/src/sqlite/a.rs", own, &[]);
        let foreign = "//! A.\nconst Q: &str = \"DELETE FROM celeriac_job\";";
        let expected = ["crates/broker/src/sqlite/a.rs:2 `broker` names the table `celeriac_job` of `store`"];
        check("crates/broker/src/sqlite/a.rs", foreign, &expected);
    }

    #[test]
    fn other_names_with_the_prefix_are_no_tables() {
        check("crates/engine/src/a.rs", "//! A.\nconst TARGET: &str = \"celeriac_engine\";", &[]);
    }
}
