//! What the users of this crate rely on.

mod app;
