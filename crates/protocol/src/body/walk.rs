//! Walks over JSON text and hands what it finds to whoever writes it in another form.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::MAX_DEPTH;
use super::typed::{Pairs, TYPE, VALUE};
use crate::RawValue;

/// Writes values in another form than JSON.
///
/// A refusal says what it has no word for.
pub(super) trait Target {
    fn null(&mut self);
    fn truth(&mut self, value: bool);
    /// Writes a number, given as JSON writes it.
    fn number(&mut self, json: &str) -> Result<(), String>;
    fn text(&mut self, text: &str) -> Result<(), String>;
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), String>;
    /// Writes a value of one of Celery's other types; returns whether the form has a word for it.
    fn typed(&mut self, name: &str, value: &str) -> bool;
    fn open(&mut self, bracket: Bracket, length: usize) -> Result<(), String>;
    /// Writes what stands before the part at `index`, and its key where it has one.
    fn part(&mut self, index: usize, key: Option<&str>) -> Result<(), String>;
    fn close(&mut self, bracket: Bracket);
}

/// What has parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bracket {
    List,
    Map,
}

/// Writes a value, which is JSON.
pub(super) fn walk(json: &str, target: &mut impl Target) -> Result<(), String> {
    value(json, 0, target)
}

fn value(json: &str, depth: usize, target: &mut impl Target) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is deeper than {MAX_DEPTH}"));
    }
    match json.as_bytes().first() {
        Some(b'[') => list(json, depth, target),
        Some(b'{') => map(json, depth, target),
        Some(b'"') => target.text(&text(json)?),
        Some(b'n') => {
            target.null();
            Ok(())
        }
        Some(b't' | b'f') => {
            target.truth(json == "true");
            Ok(())
        }
        _ => target.number(json),
    }
}

fn list(json: &str, depth: usize, target: &mut impl Target) -> Result<(), String> {
    let parts: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    target.open(Bracket::List, parts.len())?;
    for (index, part) in parts.into_iter().enumerate() {
        target.part(index, None)?;
        value(part.get(), depth + 1, target)?;
    }
    target.close(Bracket::List);
    Ok(())
}

fn map(json: &str, depth: usize, target: &mut impl Target) -> Result<(), String> {
    let Pairs(pairs) = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if let [(TYPE, name), (VALUE, value)] | [(VALUE, value), (TYPE, name)] =
        &*pairs.iter().map(|(name, value)| (&**name, value.get())).collect::<Vec<_>>()
        && typed(name, value, target)?
    {
        return Ok(());
    }
    target.open(Bracket::Map, pairs.len())?;
    for (index, (key, part)) in pairs.iter().enumerate() {
        target.part(index, Some(key))?;
        value(part.get(), depth + 1, target)?;
    }
    target.close(Bracket::Map);
    Ok(())
}

/// Writes what has a type beside it; returns whether the form has a word for it.
fn typed(name: &str, value: &str, target: &mut impl Target) -> Result<bool, String> {
    let (Ok(name), Ok(value)) = (text(name), text(value)) else { return Ok(false) };
    match &*name {
        "bytes" => target.bytes(value.as_bytes())?,
        "base64" => match BASE64.decode(&*value) {
            Ok(bytes) => target.bytes(&bytes)?,
            Err(_) => return Ok(false),
        },
        _ => return Ok(target.typed(&name, &value)),
    }
    Ok(true)
}

/// Reads a text; half of a surrogate pair, which Python's JSON lets through, is one in no other form.
fn text(json: &str) -> Result<Cow<'_, str>, String> {
    // A `Cow` is only borrowed where serde is told so.
    #[derive(serde::Deserialize)]
    #[serde(transparent)]
    struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
    serde_json::from_str::<Text<'_>>(json).map(|text| text.0).map_err(|error| format!("read a text: {error}"))
}
