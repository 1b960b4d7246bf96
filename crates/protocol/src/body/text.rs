//! JSON text that is being written from something else, up to a limit.

use super::MAX_BODY_BYTES;

/// JSON text that is being written.
#[derive(Default)]
pub(super) struct JsonText {
    out: Vec<u8>,
}

impl JsonText {
    /// Returns how much there is.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Returns a part of what there is.
    pub(super) fn part(&self, part: std::ops::Range<usize>) -> &[u8] {
        self.out.get(part).unwrap_or_default()
    }

    /// Returns the whole.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Appends JSON.
    pub(super) fn raw(&mut self, json: &[u8]) -> Result<(), String> {
        if self.out.len() + json.len() > MAX_BODY_BYTES {
            return Err(format!("as JSON it has more than {MAX_BODY_BYTES} bytes"));
        }
        self.out.extend_from_slice(json);
        Ok(())
    }

    /// Appends a text.
    pub(super) fn string(&mut self, text: &str) -> Result<(), String> {
        self.raw(quoted(text).as_bytes())
    }

    /// Appends a value that JSON has no word for, as Celery writes it.
    pub(super) fn typed(&mut self, name: &str, value: &str) -> Result<(), String> {
        let json = format!(r#"{{"__type__": "{name}", "__value__": {}}}"#, quoted(value));
        self.raw(json.as_bytes())
    }

    /// Appends a copy of what was written earlier.
    pub(super) fn again(&mut self, part: std::ops::Range<usize>) -> Result<(), String> {
        let copy = self.part(part).to_vec();
        self.raw(&copy)
    }
}

/// Writes a text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text always serializes")
}

/// Writes a number as JSON: not-a-number is `null`, an infinity a number that no double can hold.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        "null".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "1e999" } else { "-1e999" }.to_owned()
    } else {
        serde_json::to_string(&number).expect("a finite number always serializes")
    }
}
