//! JSON text to `MessagePack`, as kombu writes it: texts and bytes told apart.

use rmp::encode;

use crate::body::walk::{Bracket, Target, walk};

/// Writes a value, which is JSON. Celery's typed bytes become bytes; its other types stay maps, since
/// kombu's msgpack has no word for them.
///
/// # Errors
/// A whole number of more than 64 bits, which msgpack has no word for.
pub(in crate::body) fn from_json(json: &str) -> Result<Vec<u8>, String> {
    let mut writer = Writer { out: Vec::with_capacity(json.len()) };
    walk(json, &mut writer)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
}

impl Target for Writer {
    fn null(&mut self) {
        infallible(encode::write_nil(&mut self.out));
    }

    fn truth(&mut self, value: bool) {
        infallible(encode::write_bool(&mut self.out, value));
    }

    fn number(&mut self, json: &str) -> Result<(), String> {
        if json.contains(['.', 'e', 'E']) {
            let number = json.parse().map_err(|_| format!("{json} is no number"))?;
            infallible(encode::write_f64(&mut self.out, number));
        } else if let Ok(number) = json.parse() {
            infallible(encode::write_sint(&mut self.out, number));
        } else {
            let number = json.parse().map_err(|_| format!("{json} has more than 64 bits"))?;
            infallible(encode::write_uint(&mut self.out, number));
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        length(text.len())?;
        infallible(encode::write_str(&mut self.out, text));
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        length(bytes.len())?;
        infallible(encode::write_bin(&mut self.out, bytes));
        Ok(())
    }

    fn typed(&mut self, _name: &str, _value: &str) -> bool {
        false
    }

    fn open(&mut self, bracket: Bracket, count: usize) -> Result<(), String> {
        let count = length(count)?;
        infallible(match bracket {
            Bracket::List => encode::write_array_len(&mut self.out, count),
            Bracket::Map => encode::write_map_len(&mut self.out, count),
        });
        Ok(())
    }

    fn part(&mut self, _index: usize, key: Option<&str>) -> Result<(), String> {
        key.map_or(Ok(()), |key| self.text(key))
    }

    fn close(&mut self, _bracket: Bracket) {}
}

fn length(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| format!("{length} parts or bytes are more than msgpack counts"))
}

fn infallible<T, E: std::fmt::Debug>(written: Result<T, E>) {
    written.expect("writing to memory does not fail");
}
