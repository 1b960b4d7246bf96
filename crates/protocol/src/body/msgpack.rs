//! `MessagePack`, as kombu reads and writes it, to JSON text.
//!
//! Values go straight to text, so that a body of a few bytes can't ask for a tree of many. Bytes become
//! Celery's typed `base64`; keys that are no texts become the texts that Python's JSON makes of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rmp::Marker;
use rmp::decode::{RmpRead as _, read_marker};

use super::MAX_DEPTH;
use super::text::{JsonText, float, quoted};

mod write;

pub(super) use write::from_json;

/// Reads one value and nothing after it.
pub(super) fn to_json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader = Reader { rest: bytes, out: JsonText::default() };
    reader.value(0)?;
    if !reader.rest.is_empty() {
        return Err(format!("{} bytes follow the value", reader.rest.len()));
    }
    Ok(reader.out.into_bytes())
}

struct Reader<'b> {
    rest: &'b [u8],
    out: JsonText,
}

/// A value without parts, or the length of one that has some.
enum Piece<'b> {
    Json(String),
    Text(&'b str),
    Bytes(&'b [u8]),
    Array(usize),
    Map(usize),
}

impl<'b> Reader<'b> {
    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("it is deeper than {MAX_DEPTH}"));
        }
        match self.piece()? {
            Piece::Json(json) => self.out.raw(json.as_bytes()),
            Piece::Text(text) => self.out.string(text),
            Piece::Bytes(bytes) => self.out.typed("base64", &BASE64.encode(bytes)),
            Piece::Array(length) => self.parts(length, b"[]", |this| this.value(depth + 1)),
            Piece::Map(length) => self.parts(length, b"{}", |this| {
                let key = this.key()?;
                this.out.raw(key.as_bytes())?;
                this.out.raw(b":")?;
                this.value(depth + 1)
            }),
        }
    }

    fn parts(
        &mut self,
        length: usize,
        brackets: &[u8; 2],
        mut part: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.out.raw(&brackets[..1])?;
        for index in 0..length {
            if index > 0 {
                self.out.raw(b",")?;
            }
            part(self)?;
        }
        self.out.raw(&brackets[1..])
    }

    fn key(&mut self) -> Result<String, String> {
        match self.piece()? {
            Piece::Text(text) => Ok(quoted(text)),
            Piece::Json(json) => Ok(quoted(&json)),
            Piece::Bytes(_) | Piece::Array(_) | Piece::Map(_) => {
                Err("a key is bytes, a list or a map".to_owned())
            }
        }
    }

    fn piece(&mut self) -> Result<Piece<'b>, String> {
        let marker = read_marker(&mut self.rest).map_err(|_| ended())?;
        Ok(match marker {
            Marker::FixStr(length) => self.text(length.into())?,
            Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = self.length(marker)?;
                self.text(length)?
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = self.length(marker)?;
                Piece::Bytes(self.take(length)?)
            }
            Marker::FixArray(length) => Piece::Array(length.into()),
            Marker::Array16 | Marker::Array32 => Piece::Array(self.length(marker)?),
            Marker::FixMap(length) => Piece::Map(length.into()),
            Marker::Map16 | Marker::Map32 => Piece::Map(self.length(marker)?),
            other => Piece::Json(self.scalar(other)?),
        })
    }

    fn scalar(&mut self, marker: Marker) -> Result<String, String> {
        let rest = &mut self.rest;
        let read = match marker {
            Marker::Null => return Ok("null".to_owned()),
            Marker::True => return Ok("true".to_owned()),
            Marker::False => return Ok("false".to_owned()),
            Marker::FixPos(number) => return Ok(number.to_string()),
            Marker::FixNeg(number) => return Ok(number.to_string()),
            Marker::U8 => rest.read_data_u8().map(|n| n.to_string()),
            Marker::U16 => rest.read_data_u16().map(|n| n.to_string()),
            Marker::U32 => rest.read_data_u32().map(|n| n.to_string()),
            Marker::U64 => rest.read_data_u64().map(|n| n.to_string()),
            Marker::I8 => rest.read_data_i8().map(|n| n.to_string()),
            Marker::I16 => rest.read_data_i16().map(|n| n.to_string()),
            Marker::I32 => rest.read_data_i32().map(|n| n.to_string()),
            Marker::I64 => rest.read_data_i64().map(|n| n.to_string()),
            Marker::F32 => rest.read_data_f32().map(|n| float(n.into())),
            Marker::F64 => rest.read_data_f64().map(float),
            other => return Err(format!("a value is an extension, which is not read ({other:?})")),
        };
        read.map_err(|_| ended())
    }

    fn length(&mut self, marker: Marker) -> Result<usize, String> {
        let rest = &mut self.rest;
        let length = match marker {
            Marker::Str8 | Marker::Bin8 => rest.read_data_u8().map(u32::from),
            Marker::Str16 | Marker::Bin16 | Marker::Array16 | Marker::Map16 => {
                rest.read_data_u16().map(u32::from)
            }
            _ => rest.read_data_u32(),
        };
        Ok(length.map_err(|_| ended())? as usize)
    }

    fn text(&mut self, length: usize) -> Result<Piece<'b>, String> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(Piece::Text).map_err(|error| format!("a text is no UTF-8: {error}"))
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(ended)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn ended() -> String {
    "it ends within a value".to_owned()
}
