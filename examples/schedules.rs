//! Jobs that are enqueued by themselves, declared in all three ways: beside a task, by the app, and in a file.
//!
//! ```sh
//! cargo run --example schedules -- --config examples/schedules.toml schedule diff   # what a start would do
//! cargo run --example schedules -- --config examples/schedules.toml worker          # enqueues and runs them
//! cargo run --example schedules -- --config examples/schedules.toml schedule list   # how they stand
//! ```
//!
//! What an operator has edited (`schedule edit`, `disable`) stays at the next start; `schedule export` writes what is
//! in force as sections that the file can have.

use std::process::ExitCode;

use celeriac::prelude::*;
use celeriac::{Overlap, ScheduleEntry};

/// Counts the orders of the last days. Its own times stand beside it.
#[task(
    name = "orders.report",
    schedule("30 2 * * mon-fri", zone = "Europe/Berlin", kwargs = r#"{"days": 1}"#, overlap = "skip"),
    schedule("0 4 1 * *", name = "orders.monthly", kwargs = r#"{"days": 31}"#)
)]
async fn report(days: u32) -> String {
    format!("{} orders in {days} days", 40 * days)
}

/// Says that it is alive.
#[task(name = "beat", record = "all")]
async fn beat(from: String) -> String {
    format!("{from} is alive")
}

/// Returns the entry of the shop, which a program may make of whatever it knows when it starts.
fn alive(shop: &str) -> ScheduleEntry {
    ScheduleEntry {
        args: format!("[\"{shop}\"]"),
        overlap: Overlap::Skip,
        ..ScheduleEntry::new(format!("{shop}.alive"), "beat", "every 1s")
    }
}

fn main() -> ExitCode {
    let app = App::new("schedules").version(env!("CARGO_PKG_VERSION"));
    celeriac::main(app.task::<report>().task::<beat>().schedule(alive("berlin")))
}
