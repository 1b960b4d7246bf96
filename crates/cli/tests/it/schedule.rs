//! Schedules: what they say, what they are changed to, and what comes of them.

mod commands;
mod explain;
mod files;
mod live;
