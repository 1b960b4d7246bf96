//! The glue between the tokenizer and the walker.

use std::convert::Infallible;

use html5gum::{Emitter, Error, State};

use super::tag::Tag;
use super::walker::Walker;

/// Hands tags and text to a [`Walker`] without storing a token.
pub(super) struct PageEmitter<'a> {
    walker: &'a mut Walker,
    tag: Tag,
    /// What an end tag must be called to end raw text.
    last_start_tag: Vec<u8>,
}

impl<'a> PageEmitter<'a> {
    pub(super) fn new(walker: &'a mut Walker) -> Self {
        Self { walker, tag: Tag::default(), last_start_tag: Vec::new() }
    }
}

impl Emitter for PageEmitter<'_> {
    type Token = Infallible;

    fn set_last_start_tag(&mut self, last_start_tag: Option<&[u8]>) {
        self.last_start_tag.clear();
        self.last_start_tag.extend_from_slice(last_start_tag.unwrap_or_default());
    }

    fn emit_eof(&mut self) {}

    fn emit_error(&mut self, _error: Error) {}

    #[inline]
    fn should_emit_errors(&mut self) -> bool {
        false
    }

    #[inline]
    fn pop_token(&mut self) -> Option<Infallible> {
        None
    }

    fn emit_string(&mut self, bytes: &[u8]) {
        self.walker.text(bytes);
    }

    fn init_start_tag(&mut self) {
        self.tag.begin(false);
    }

    fn init_end_tag(&mut self) {
        self.tag.begin(true);
    }

    fn emit_current_tag(&mut self) -> Option<State> {
        self.last_start_tag.clear();
        if self.tag.is_end() {
            self.walker.end_tag(self.tag.name());
            return None;
        }
        self.last_start_tag.extend_from_slice(self.tag.name());
        self.walker.start_tag(&self.tag)
    }

    fn set_self_closing(&mut self) {
        self.tag.close_itself();
    }

    fn push_tag_name(&mut self, bytes: &[u8]) {
        self.tag.push_name(bytes);
    }

    fn init_attribute(&mut self) {
        self.tag.begin_attribute();
    }

    fn push_attribute_name(&mut self, bytes: &[u8]) {
        self.tag.push_attribute_name(bytes);
    }

    fn push_attribute_value(&mut self, bytes: &[u8]) {
        self.tag.push_attribute_value(bytes);
    }

    fn current_is_appropriate_end_tag_token(&mut self) -> bool {
        self.tag.is_end() && !self.last_start_tag.is_empty() && self.last_start_tag == self.tag.name()
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&mut self) -> bool {
        self.walker.is_foreign()
    }

    // Comments and document types say nothing that is wanted.

    fn init_comment(&mut self) {}

    fn push_comment(&mut self, _bytes: &[u8]) {}

    fn emit_current_comment(&mut self) {}

    fn init_doctype(&mut self) {}

    fn push_doctype_name(&mut self, _bytes: &[u8]) {}

    fn set_force_quirks(&mut self) {}

    fn set_doctype_public_identifier(&mut self, _value: &[u8]) {}

    fn set_doctype_system_identifier(&mut self, _value: &[u8]) {}

    fn push_doctype_public_identifier(&mut self, _bytes: &[u8]) {}

    fn push_doctype_system_identifier(&mut self, _bytes: &[u8]) {}

    fn emit_current_doctype(&mut self) {}
}
