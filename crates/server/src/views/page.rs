//! Pages of lists.

use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list, and where the next one begins.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Pass as `cursor` for the next page; null on the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of what was found.
    pub fn new<F: Into<T>>(found: impl IntoIterator<Item = F>, next: Option<impl ToString>) -> Self {
        Self { items: found.into_iter().map(Into::into).collect(), next: next.map(|next| next.to_string()) }
    }

    /// Makes a list of all that there is.
    pub fn whole<F: Into<T>>(found: impl IntoIterator<Item = F>) -> Self {
        Self::new(found, None::<String>)
    }
}
