//! An entity stays in its owner's crate: nobody else queries it, and no client sees it.

use super::source::{Kind, Source};
use super::workspace::{Finding, Workspace};

/// Types that SeaORM derives for an entity, by which a query is written.
const OF_AN_ENTITY: &[&str] = &["Entity", "Column", "ActiveModel", "Relation"];

/// Finds crates that name another crate's entity, and entities that can be sent to a client.
pub(crate) fn kept(workspace: &Workspace) -> Vec<Finding> {
    workspace.shipped().flat_map(|source| foreign(source).into_iter().chain(serialised(source))).collect()
}

fn foreign(source: &Source) -> Vec<Finding> {
    let own = format!("celeriac_{}", source.crate_name());
    let paths = source.paths.iter().filter(|path| {
        let first = path.segments[0].as_str();
        let is_entity = path.segments.iter().skip(1).any(|segment| OF_AN_ENTITY.contains(&segment.as_str()));
        !path.in_test && is_entity && first.starts_with("celeriac_") && first != own
    });
    paths
        .map(|path| {
            let wrong = format!("`{}` is another crate's entity", path.joined());
            Finding::new(&source.path, path.line, wrong, "a named query of the crate that owns the table")
        })
        .collect()
}

/// Looks at each `derive(...)` for an entity that is also serialised.
fn serialised(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut derived: Vec<&str> = Vec::new();
    let mut inside = false;
    for token in source.tokens.iter().filter(|token| !token.in_test) {
        match &token.kind {
            Kind::Ident(word) if word == "derive" => inside = true,
            Kind::Ident(word) if inside => derived.push(word),
            Kind::Close(')') if inside => {
                if derived.contains(&"DeriveEntityModel") && derived.contains(&"Serialize") {
                    let instead = "a view of its own in `server/src/views.rs`, filled from the entity";
                    findings.push(Finding::new(&source.path, token.line, "an entity is serialised", instead));
                }
                derived.clear();
                inside = false;
            }
            _ => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::workspace::findings;
    use super::*;

    #[test]
    fn another_crates_entity_is_not_named() {
        let code = "//! A.\nuse celeriac_store::entity::job;\nfn f() { job::Entity::find(); }";
        let expected = [
            "crates/server/src/a.rs:3 `celeriac_store::entity::job::Entity::find` is another crate's entity",
        ];
        assert_eq!(findings(kept, &[("crates/server/src/a.rs", code)]), expected);
        let code = "//! A.\nuse celeriac_store::jobs;\nfn f() { jobs::find(); }";
        assert!(findings(kept, &[("crates/server/src/a.rs", code)]).is_empty());
    }

    #[test]
    fn an_entity_is_not_serialised() {
        let bad = "//! A.\n#[derive(Clone, DeriveEntityModel, Serialize)]\nstruct Model;";
        assert_eq!(
            findings(kept, &[("crates/store/src/a.rs", bad)]),
            ["crates/store/src/a.rs:2 an entity is serialised"]
        );
        let good =
            "//! A.\n#[derive(Clone, DeriveEntityModel)]\nstruct Model;\n#[derive(Serialize)]\nstruct View;";
        assert!(findings(kept, &[("crates/store/src/a.rs", good)]).is_empty());
    }
}
