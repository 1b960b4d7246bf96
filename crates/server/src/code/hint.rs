//! What to do next, for those at a terminal and for those who send requests.

/// What to do next; the two are asked by different means, so the words differ where commands and flags are named.
#[derive(Clone, Copy)]
pub(super) struct Hint {
    /// For those at a terminal.
    pub(super) cli: Option<&'static str>,
    /// For those who send requests.
    pub(super) http: Option<&'static str>,
}

impl Hint {
    /// Nothing can be said without knowing more.
    pub(super) const NONE: Self = Self { cli: None, http: None };

    /// The same for all.
    pub(super) const fn both(text: &'static str) -> Self {
        Self { cli: Some(text), http: Some(text) }
    }

    /// For each their own.
    pub(super) const fn each(cli: &'static str, http: &'static str) -> Self {
        Self { cli: Some(cli), http: Some(http) }
    }

    /// Only for those at a terminal.
    pub(super) const fn cli(text: &'static str) -> Self {
        Self { cli: Some(text), http: None }
    }

    /// Only for those who send requests.
    pub(super) const fn http(text: &'static str) -> Self {
        Self { cli: None, http: Some(text) }
    }
}
