//! YAML 1.1, as kombu's safe loader and dumper of `PyYAML` know it, to JSON text.
//!
//! The parser gives events; what a scalar means is decided in [`scalar`] by `PyYAML`'s rules and not by
//! YAML 1.2's. An alias becomes a copy, which counts against the limit like what it stands for. A set
//! becomes a list; tags beyond the safe ones, merge keys and a second document are refused.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use self::scalar::Scalar;
use super::MAX_DEPTH;
use super::text::{JsonText, quoted};

mod scalar;
mod write;

pub(super) use write::from_json;

/// What the tags of the safe loader begin with.
const SAFE: &str = "tag:yaml.org,2002:";

/// Reads one document.
pub(super) fn to_json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("it is no UTF-8: {error}"))?;
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        reader.event(event)?;
    }
    if reader.documents == 0 { Ok(b"null".to_vec()) } else { Ok(reader.out.into_bytes()) }
}

#[derive(Default)]
struct Reader {
    out: JsonText,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    documents: usize,
}

/// A list or map that is not at its end yet.
struct Open {
    kind: Kind,
    anchor: usize,
    start: usize,
    parts: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    List,
    Map,
    /// A map without values, of which the keys are written.
    Set,
}

/// What an alias stands for.
enum Anchored {
    /// Something that is not at its end yet, and would hold itself.
    Open,
    /// This part of what was written.
    Value(Range<usize>),
    /// A scalar that was a key.
    Key(Scalar),
}

/// Where the next value stands.
#[derive(PartialEq, Eq)]
enum Place {
    Value,
    Key,
    /// The nothing behind a key of a set.
    Nothing,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => self.document(),
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = read_scalar(&text, style, tag.as_deref())?;
                self.scalar(scalar, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                let kind = kind(tag.as_deref(), Kind::List, &[("seq", Kind::List)])?;
                self.start(kind, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                let kind = kind(tag.as_deref(), Kind::Map, &[("map", Kind::Map), ("set", Kind::Set)])?;
                self.start(kind, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn document(&mut self) -> Result<(), String> {
        self.documents += 1;
        if self.documents > 1 { Err("a second document follows".to_owned()) } else { Ok(()) }
    }

    /// Writes what stands before the next value, and says where that stands.
    fn place(&mut self) -> Result<Place, String> {
        let Some(open) = self.open.last_mut() else { return Ok(Place::Value) };
        let index = open.parts;
        open.parts += 1;
        let (place, before): (_, &[u8]) = match open.kind {
            Kind::Set if index % 2 == 1 => (Place::Nothing, b""),
            Kind::Map if index % 2 == 1 => (Place::Value, b":"),
            Kind::Map => (Place::Key, if index > 0 { b"," } else { b"" }),
            Kind::List | Kind::Set => (Place::Value, if index > 0 { b"," } else { b"" }),
        };
        self.out.raw(before)?;
        Ok(place)
    }

    fn scalar(&mut self, scalar: Scalar, anchor: usize) -> Result<(), String> {
        let place = self.place()?;
        let start = self.out.len();
        let anchored = match place {
            Place::Nothing if scalar == Scalar::Null => return Ok(()),
            Place::Nothing => return Err("a set has values".to_owned()),
            Place::Key => {
                self.out.raw(scalar.key()?.as_bytes())?;
                Anchored::Key(scalar)
            }
            Place::Value => {
                scalar.write(&mut self.out)?;
                Anchored::Value(start..self.out.len())
            }
        };
        if anchor > 0 {
            self.anchors.insert(anchor, anchored);
        }
        Ok(())
    }

    fn start(&mut self, kind: Kind, anchor: usize) -> Result<(), String> {
        if self.place()? != Place::Value {
            return Err("a key is a list or a map".to_owned());
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("it is deeper than {MAX_DEPTH}"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored::Open);
        }
        self.open.push(Open { kind, anchor, start: self.out.len(), parts: 0 });
        self.out.raw(if kind == Kind::Map { b"{" } else { b"[" })
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.out.raw(if open.kind == Kind::Map { b"}" } else { b"]" })?;
        if open.anchor > 0 {
            self.anchors.insert(open.anchor, Anchored::Value(open.start..self.out.len()));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize) -> Result<(), String> {
        let place = self.place()?;
        match (self.anchors.get(&anchor), place) {
            (Some(Anchored::Value(part)), Place::Value) => self.out.again(part.clone()),
            (Some(Anchored::Value(part)), Place::Key) => {
                let json = String::from_utf8_lossy(self.out.part(part.clone())).into_owned();
                match json.as_bytes().first() {
                    Some(b'"') => self.out.raw(json.as_bytes()),
                    Some(b'{' | b'[') => Err("a key is a list or a map".to_owned()),
                    _ => self.out.raw(quoted(&json).as_bytes()),
                }
            }
            (Some(Anchored::Key(scalar)), Place::Value) => scalar.write(&mut self.out),
            (Some(Anchored::Key(scalar)), Place::Key) => self.out.raw(scalar.key()?.as_bytes()),
            (Some(Anchored::Open), _) => Err("a value holds itself".to_owned()),
            (Some(_), Place::Nothing) => Err("a set has values".to_owned()),
            (None, _) => Err("an alias stands for nothing".to_owned()),
        }
    }
}

/// Says what a list or map is by its tag.
fn kind(tag: Option<&Tag>, plain: Kind, known: &[(&str, Kind)]) -> Result<Kind, String> {
    let Some(name) = safe_name(tag)? else { return Ok(plain) };
    let found = known.iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| *kind).ok_or_else(|| format!("the tag !!{name} is not read here"))
}

/// Returns the name of one of the safe loader's tags; nothing where there is no tag, or only `!`.
fn safe_name(tag: Option<&Tag>) -> Result<Option<String>, String> {
    let Some(tag) = tag else { return Ok(None) };
    let whole = format!("{}{}", tag.handle, tag.suffix);
    match whole.strip_prefix(SAFE) {
        Some(name) => Ok(Some(name.to_owned())),
        None if whole == "!" => Ok(Some("str".to_owned())),
        None => Err(format!("the tag {whole} is not read")),
    }
}

fn read_scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, String> {
    match safe_name(tag)? {
        None if style == ScalarStyle::Plain => Scalar::plain(text),
        None => Ok(Scalar::Text(text.to_owned())),
        Some(name) => Scalar::tagged(&name, text),
    }
}
