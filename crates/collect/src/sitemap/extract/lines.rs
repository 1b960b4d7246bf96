//! Text sitemaps: one address in each line.

use super::entry::EntryTarget;
use super::intake::{Draft, Intake, Place};
use super::report::WarningKind;
use crate::url::INPUT_BYTES_MAX;

/// Is responsible for reading lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    draft: Draft,
    /// Whether the rest of a line that is too long is still to be passed over.
    is_in_overlong: bool,
}

impl Lines {
    /// Reads the lines that are complete and returns how much of the window they are.
    pub(super) fn parse(&mut self, window: &str, is_final: bool, intake: &mut Intake) -> usize {
        let mut at = 0;
        while let Some(length) = line_end(&window[at..], is_final) {
            self.line(&window[at..at + length], Place { window, at }, intake);
            at += length;
            if intake.is_stopped {
                return window.len();
            }
        }
        if window.len() - at > INPUT_BYTES_MAX {
            self.begin_overlong(Place { window, at }, intake);
            at = window.len();
        }
        at
    }

    fn line(&mut self, line: &str, place: Place<'_>, intake: &mut Intake) {
        if std::mem::take(&mut self.is_in_overlong) {
            return;
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        self.draft.loc.clear();
        self.draft.loc.push_str(line);
        intake.accept(&self.draft, EntryTarget::Page, place);
    }

    fn begin_overlong(&mut self, place: Place<'_>, intake: &mut Intake) {
        if !self.is_in_overlong {
            self.is_in_overlong = true;
            intake.report.skipped += 1;
            intake.warn(WarningKind::InvalidLoc, place, &place.window[place.at..]);
        }
    }
}

/// Returns how long the first line is, with its end; the last one may have none.
fn line_end(rest: &str, is_final: bool) -> Option<usize> {
    let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes()).map(|end| end + 1);
    end.or((is_final && !rest.is_empty()).then_some(rest.len()))
}
