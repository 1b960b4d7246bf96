//! The tag that is being read, in buffers that are used again for the next one.

use std::borrow::Cow;

/// Holds one tag: its name and attributes, in lower case.
#[derive(Debug, Default)]
pub(super) struct Tag {
    name: Vec<u8>,
    is_end: bool,
    is_self_closing: bool,
    /// Names and values of all attributes, one after the other.
    bytes: Vec<u8>,
    attributes: Vec<Attribute>,
}

/// Says where in the bytes one attribute lies.
#[derive(Debug, Clone, Copy)]
struct Attribute {
    name_start: usize,
    name_end: usize,
    value_end: usize,
}

impl Tag {
    /// Forgets the last tag and begins a new one.
    pub(super) fn begin(&mut self, is_end: bool) {
        self.name.clear();
        self.bytes.clear();
        self.attributes.clear();
        self.is_end = is_end;
        self.is_self_closing = false;
    }

    pub(super) fn push_name(&mut self, bytes: &[u8]) {
        self.name.extend_from_slice(bytes);
    }

    pub(super) fn close_itself(&mut self) {
        self.is_self_closing = true;
    }

    pub(super) fn begin_attribute(&mut self) {
        let at = self.bytes.len();
        self.attributes.push(Attribute { name_start: at, name_end: at, value_end: at });
    }

    pub(super) fn push_attribute_name(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(last) = self.attributes.last_mut() {
            last.name_end = self.bytes.len();
            last.value_end = self.bytes.len();
        }
    }

    pub(super) fn push_attribute_value(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(last) = self.attributes.last_mut() {
            last.value_end = self.bytes.len();
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) const fn is_end(&self) -> bool {
        self.is_end
    }

    pub(super) const fn is_self_closing(&self) -> bool {
        self.is_self_closing
    }

    /// Returns the value of an attribute; where it is given twice the first one counts, as in a browser.
    pub(super) fn attribute(&self, name: &[u8]) -> Option<Cow<'_, str>> {
        let found =
            self.attributes.iter().find(|entry| &self.bytes[entry.name_start..entry.name_end] == name)?;
        Some(String::from_utf8_lossy(&self.bytes[found.name_end..found.value_end]))
    }

    pub(super) fn has_attribute(&self, name: &[u8]) -> bool {
        self.attributes.iter().any(|entry| &self.bytes[entry.name_start..entry.name_end] == name)
    }
}
