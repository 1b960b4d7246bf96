//! One SQLite file: how its connections are opened.

pub(crate) mod connect;
