//! SVG and MathML inside of a page, where tags mean something else.

use super::elements::breaks_out;

/// Follows how deep the reading is inside of foreign markup, after WHATWG HTML §13.2.6.5.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// The open roots, and the islands of HTML inside of them.
    open: Vec<Nested>,
}

/// How deep roots and islands may nest before the reading goes on as if they did not.
const DEPTH_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nested {
    Svg,
    Math,
    /// The element of SVG whose content is HTML again.
    ForeignObject,
}

impl Foreign {
    /// Tells whether a tag read now belongs to foreign markup.
    pub(super) fn is_inside(&self) -> bool {
        matches!(self.open.last(), Some(Nested::Svg | Nested::Math))
    }

    /// Takes note of a start tag; one that foreign markup cannot hold ends it.
    pub(super) fn start(&mut self, name: &[u8], is_self_closing: bool) {
        if self.is_inside() && breaks_out(name) {
            while self.is_inside() {
                self.open.pop();
            }
        }
        let nested = match name {
            b"svg" => Nested::Svg,
            b"math" => Nested::Math,
            b"foreignobject" if self.open.last() == Some(&Nested::Svg) => Nested::ForeignObject,
            _ => return,
        };
        if !is_self_closing && self.open.len() < DEPTH_MAX {
            self.open.push(nested);
        }
    }

    /// Takes note of an end tag.
    pub(super) fn end(&mut self, name: &[u8]) {
        let nested = match name {
            b"svg" => Nested::Svg,
            b"math" => Nested::Math,
            b"foreignobject" => Nested::ForeignObject,
            _ => return,
        };
        if let Some(at) = self.open.iter().rposition(|open| *open == nested) {
            self.open.truncate(at);
        }
    }
}
