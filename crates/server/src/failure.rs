//! The one error that reaches people: what was being done, why it failed, what to do next.

use std::error::Error;
use std::fmt;

use crate::code::Code;

mod convert;

/// An error as it reaches people, at a terminal and over HTTP: a code, what was being done, why it failed, what to do next.
///
/// Every error of the floors below turns into one by `?`, so that both tell it in the same words. It is one pointer
/// wide, because it travels in results that are mostly good.
pub struct Failure(Box<Told>);

/// What is told.
struct Told {
    code: Code,
    headline: String,
    causes: Vec<String>,
    hint: Option<String>,
    http_hint: Option<String>,
    object: Option<Object>,
}

/// What an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What kind of thing it is: `job`, `queue`, `schedule`.
    pub kind: &'static str,
    /// Its id or its name.
    pub id: String,
}

impl Failure {
    /// Says what failed; `action` is read after "failed to".
    pub fn failed_to(code: Code, action: impl fmt::Display) -> Self {
        Self::plain(code, format!("failed to {action}"))
    }

    /// Says something in full.
    pub fn plain(code: Code, headline: impl Into<String>) -> Self {
        Self(Box::new(Told {
            code,
            headline: headline.into(),
            causes: Vec::new(),
            hint: None,
            http_hint: None,
            object: None,
        }))
    }

    /// Adds why it failed.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.0.causes.push(cause.to_string());
        self
    }

    /// Adds why it failed: an error and what caused it in turn.
    #[must_use]
    pub fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Some libraries repeat their cause in their own text.
            if !self.0.causes.iter().any(|before| before.ends_with(&text)) {
                self.0.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds what else failed in the same way, with what to do about that.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let (mine, more) = (self.0.causes.join(": "), other.0.causes.join(": "));
        self.0.causes = vec![format!("{mine}; {more}")];
        self.0.hint = both(self.0.hint, other.0.hint);
        self.0.http_hint = both(self.0.http_hint, other.0.http_hint);
        self
    }

    /// Says what to do next at a terminal, in place of what the registry says. It may name commands and flags.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says what to do next over HTTP, in place of what the registry says. It may name routes and fields.
    #[must_use]
    pub fn http_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.http_hint = Some(hint.into());
        self
    }

    /// Names what it is about, for programs; people read it in the text.
    #[must_use]
    pub fn about(mut self, kind: &'static str, id: impl fmt::Display) -> Self {
        self.0.object = Some(Object { kind, id: id.to_string() });
        self
    }

    /// Returns the code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns what failed, without why.
    pub fn headline(&self) -> &str {
        &self.0.headline
    }

    /// Returns why it failed, what is nearest first.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// Returns what to do next at a terminal.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref().or(self.0.code.hint())
    }

    /// Returns what to do next over HTTP.
    pub fn http_advice(&self) -> Option<&str> {
        self.0.http_hint.as_deref().or(self.0.code.http_hint())
    }

    /// Returns what it is about, where that is known.
    pub fn object(&self) -> Option<&Object> {
        self.0.object.as_ref()
    }
}

fn both(mine: Option<String>, more: Option<String>) -> Option<String> {
    match (mine, more) {
        (Some(mine), Some(more)) => Some(format!("{mine} {more}")),
        (mine, more) => mine.or(more),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.headline)?;
        self.0.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.0.code.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_repeats_the_next_one_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("write page: {0}")]
        struct WritePage(#[source] std::io::Error);
        let outer = WritePage(std::io::Error::other("disk on fire"));
        let error = Failure::failed_to(Code::Internal, "save").caused_by(&outer);
        assert_eq!(error.to_string(), "failed to save: write page: disk on fire");
    }

    #[test]
    fn who_sent_a_request_is_told_of_no_command() {
        let error = Failure::plain(Code::UnknownJob, "no such job").hint("list them with `jobs list`");
        assert_eq!(error.advice(), Some("list them with `jobs list`"));
        assert!(!error.http_advice().unwrap().contains('`'));
    }
}
