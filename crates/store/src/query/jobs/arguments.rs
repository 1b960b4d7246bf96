//! Jobs by what they were called with.
//!
//! Arguments are JSON text as it was received, so no index knows them: the database looks for the name in the text, and
//! what it finds is read here, to the digit.

use std::fmt;
use std::str::FromStr;

use celeriac_protocol::RawValue;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, LikeExpr};
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::list::{ESCAPE, containing};
use crate::StoreError;
use crate::entity::job::{COLUMN, Column, Entity};

/// How many rows are read together.
const BATCH: u64 = 500;

/// How deep an argument may lie.
const MAX_PATH: usize = 8;

/// An argument that jobs are looked for by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentFilter {
    /// Where it is; a text as JSON.
    pub path: ArgumentPath,
    /// What it is: a text, or any other value as JSON.
    pub value: String,
}

/// Where an argument is: a name (or a position, from 0), and names or positions within it, joined by dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentPath(Vec<String>);

/// A path that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" names no argument; write `name`, `0` or `name.field.0`")]
pub struct ArgumentPathError(pub String);

impl FromStr for ArgumentPath {
    type Err = ArgumentPathError;

    fn from_str(text: &str) -> Result<Self, ArgumentPathError> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        if parts.len() > MAX_PATH || parts.iter().any(String::is_empty) {
            return Err(ArgumentPathError(text.to_owned()));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for ArgumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Serialize for ArgumentPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ArgumentPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl ArgumentFilter {
    /// Says whether a call's positional or named arguments have the value there.
    fn fits(&self, args: &str, kwargs: &str) -> bool {
        let Some((first, rest)) = self.path.0.split_first() else { return false };
        let whole = if is_position(first) { args } else { kwargs };
        child(whole, first).is_some_and(|value| {
            let found = rest.iter().try_fold(value, |value, part| child(value.get(), part));
            found.is_some_and(|found| self.is_value(found.get()))
        })
    }

    /// Compares as text where it is a text, and as it was written where it is anything else.
    fn is_value(&self, json: &str) -> bool {
        match json.starts_with('"') {
            true => serde_json::from_str::<String>(json).is_ok_and(|text| text == self.value),
            false if json == self.value => true,
            false => serde_json::from_str::<Value>(json).ok().is_some_and(|value| {
                !value.is_number()
                    && serde_json::from_str(&self.value).is_ok_and(|wanted: Value| wanted == value)
            }),
        }
    }

    /// What the text has in it if the name is there; names that JSON may write in several ways are not looked for.
    fn hint(&self) -> Option<Condition> {
        let name = self.path.0.first().filter(|name| !is_position(name))?;
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        let pattern = LikeExpr::new(containing(&format!("\"{name}\""))).escape(ESCAPE);
        is_plain.then(|| Condition::all().add(Expr::col((Entity, Column::Kwargs)).like(pattern)))
    }
}

fn is_position(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns what an object has under a name, or a list at a position.
fn child(json: &str, part: &str) -> Option<Box<RawValue>> {
    if json.starts_with('[') {
        let items: Vec<Box<RawValue>> = serde_json::from_str(json).ok()?;
        return items.into_iter().nth(part.parse().ok()?);
    }
    let mut fields: std::collections::HashMap<String, Box<RawValue>> = serde_json::from_str(json).ok()?;
    fields.remove(part)
}

/// Returns up to `limit` rows, newest first, that fit `wanted` and have all of these arguments.
///
/// # Errors
/// What the database says.
pub(super) async fn matching(
    reader: &impl ConnectionTrait,
    arguments: &[ArgumentFilter],
    wanted: Condition,
    before: Option<i64>,
    limit: u64,
) -> Result<Vec<i64>, StoreError> {
    let wanted = arguments.iter().filter_map(ArgumentFilter::hint).fold(wanted, Condition::add);
    let mut found = Vec::new();
    let mut before = before;
    loop {
        let rows: Vec<(i64, String, String)> = Entity::find()
            .select_only()
            .columns([Column::Seq, Column::Args, Column::Kwargs])
            .filter(wanted.clone())
            .filter(Condition::all().add_option(before.map(|before| COLUMN.seq.lt(before))))
            .order_by_desc(Column::Seq)
            .limit(BATCH)
            .into_tuple()
            .all(reader)
            .await
            .map_err(StoreError::doing("look for jobs by their arguments"))?;
        before = rows.last().map(|(seq, ..)| *seq);
        let is_last = (rows.len() as u64) < BATCH;
        let fit =
            rows.iter().filter(|(_, args, kwargs)| arguments.iter().all(|wanted| wanted.fits(args, kwargs)));
        found.extend(fit.map(|(seq, ..)| *seq));
        if is_last || found.len() as u64 >= limit {
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, value: &str, fits: bool) {
        let (args, kwargs) = (
            r#"[7, "mail", {"deep": [1, 2]}]"#,
            r#"{"customer": {"id": 12345678901234567890, "name": "Ada"}, "flag": true, "none": null, "x": "5", "list": [1,2]}"#,
        );
        let filter = ArgumentFilter { path: path.parse().expect("a path"), value: value.to_owned() };
        assert_eq!(filter.fits(args, kwargs), fits, "{path} = {value}");
    }

    #[test]
    fn an_argument_is_found_by_name_position_and_depth() {
        for (path, value, fits) in [
            ("0", "7", true),
            ("1", "mail", true),
            ("2.deep.1", "2", true),
            ("3", "7", false),
            ("customer.name", "Ada", true),
            ("customer.name", "ada", false),
            ("customer.id", "12345678901234567890", true),
            ("customer.id", "12345678901234567891", false),
            ("customer.id", "12345678901234567000", false),
            ("flag", "true", true),
            ("none", "null", true),
            ("x", "5", true),
            ("list", "[1, 2]", true),
            ("list.0.deeper", "1", false),
            ("missing", "null", false),
        ] {
            check(path, value, fits);
        }
    }

    #[test]
    fn a_path_without_names_is_refused() {
        for text in ["", ".", "a..b", "a.", &["a"; 9].join(".")] {
            assert!(text.parse::<ArgumentPath>().is_err(), "{text}");
        }
    }
}
