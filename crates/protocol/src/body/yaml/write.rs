//! JSON text to YAML 1.1 that `PyYAML` reads: on one line, texts in double quotes and in ASCII.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::scalar::Scalar;
use crate::body::walk::{Bracket, Target, walk};

/// The longest key that `PyYAML` finds by the colon behind it has 1024 characters; a longer one is marked.
const MAX_SIMPLE_KEY: usize = 128;

/// Writes a value, which is JSON. Celery's typed bytes, dates and instants become YAML's own; its other
/// types stay maps, since the safe loader has no word for them.
///
/// # Errors
/// It is too deep, or a text is no Unicode.
pub(in crate::body) fn from_json(json: &str) -> Result<Vec<u8>, String> {
    let mut writer = Writer { out: String::with_capacity(json.len() + 1) };
    walk(json, &mut writer)?;
    writer.out.push('\n');
    Ok(writer.out.into_bytes())
}

struct Writer {
    out: String,
}

impl Target for Writer {
    fn null(&mut self) {
        self.out.push_str("null");
    }

    fn truth(&mut self, value: bool) {
        self.out.push_str(if value { "true" } else { "false" });
    }

    fn number(&mut self, json: &str) -> Result<(), String> {
        if !json.contains(['.', 'e', 'E']) {
            self.out.push_str(json);
            return Ok(());
        }
        let number: f64 = json.parse().map_err(|_| format!("{json} is no number"))?;
        self.out.push_str(&float(number));
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        self.out.push('"');
        text.chars().for_each(|c| self.character(c));
        self.out.push('"');
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.out.push_str("!!binary \"");
        BASE64.encode_string(bytes, &mut self.out);
        self.out.push('"');
        Ok(())
    }

    fn typed(&mut self, name: &str, value: &str) -> bool {
        // What would be read as another instant than it is stays a map.
        let is_same = matches!(name, "date" | "datetime")
            && Scalar::tagged("timestamp", value).is_ok_and(|read| read.is(name, value));
        if is_same {
            let _ = write!(self.out, "!!timestamp \"{value}\"");
        }
        is_same
    }

    fn open(&mut self, bracket: Bracket, _length: usize) -> Result<(), String> {
        self.out.push(if bracket == Bracket::List { '[' } else { '{' });
        Ok(())
    }

    fn part(&mut self, index: usize, key: Option<&str>) -> Result<(), String> {
        if index > 0 {
            self.out.push_str(", ");
        }
        let Some(key) = key else { return Ok(()) };
        if key.len() > MAX_SIMPLE_KEY {
            self.out.push_str("? ");
        }
        self.text(key)?;
        self.out.push_str(": ");
        Ok(())
    }

    fn close(&mut self, bracket: Bracket) {
        self.out.push(if bracket == Bracket::List { ']' } else { '}' });
    }
}

impl Writer {
    fn character(&mut self, c: char) {
        let code = u32::from(c);
        let _ = match c {
            '"' => self.out.write_str("\\\""),
            '\\' => self.out.write_str("\\\\"),
            '\n' => self.out.write_str("\\n"),
            ' '..='~' => self.out.write_char(c),
            _ if code <= 0xff => write!(self.out, "\\x{code:02x}"),
            _ if code <= 0xffff => write!(self.out, "\\u{code:04x}"),
            _ => write!(self.out, "\\U{code:08x}"),
        };
    }
}

/// Writes a number so that it is one in YAML 1.1: with a point, and with a sign in its power.
fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, power)) => {
            let point = if digits.contains('.') { "" } else { ".0" };
            let sign = if power.starts_with('-') { "" } else { "+" };
            format!("{digits}{point}e{sign}{power}")
        }
    }
}
