//! What the floors above rely on, tried on a real database.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod access;
mod histories;
mod kit;
mod lists;
mod migrations;
mod recording;
mod removal;
mod schedules;
mod workers;
