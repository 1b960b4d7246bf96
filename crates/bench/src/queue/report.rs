//! The tables that `bench queue` prints.

use comfy_table::{Cell, CellAlignment, Table};

use crate::ground::Transport;
use crate::setup::Records;

/// What one measurement came to.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) jobs: usize,
    pub(super) seconds: f64,
    /// The bare rate beside it, a second.
    pub(super) bare: Option<f64>,
    /// Processor time of the measured process, and of the server.
    pub(super) own_cpu: f64,
    pub(super) server_cpu: f64,
    pub(super) peak_mib: Option<f64>,
}

/// How long jobs took, in milliseconds.
pub(super) struct Latency {
    what: String,
    p50: f64,
    p99: f64,
    longest: f64,
}

impl Latency {
    pub(super) fn of(what: String, mut micros: Vec<i64>) -> Self {
        micros.sort_unstable();
        let last = micros.len().saturating_sub(1);
        let at = |percent: usize| micros.get(last * percent / 100).map_or(0.0, |one| *one as f64 / 1_000.0);
        Self { what, p50: at(50), p99: at(99), longest: at(100) }
    }
}

/// Is responsible for what is printed at the end.
#[derive(Default)]
pub(super) struct Report {
    standing: [String; 2],
    rates: Vec<Vec<String>>,
    latencies: Vec<Vec<String>>,
}

impl Report {
    /// Says what the next rows are of.
    pub(super) fn begin(&mut self, durability: &str, records: Records) {
        self.standing = [durability.to_owned(), format!("{records:?}").to_lowercase()];
    }

    pub(super) fn add(&mut self, row: Row) {
        let (jobs, cpu) = (row.jobs as f64, row.own_cpu + row.server_cpu);
        let rate = jobs / row.seconds;
        let cells = [
            row.what,
            format!("{rate:.0}"),
            row.bare.map_or(String::new(), |bare| format!("{:.0} %", 100.0 * rate / bare)),
            format!("{:.2}", row.own_cpu * 100_000.0 / jobs),
            format!("{:.2}", row.server_cpu * 100_000.0 / jobs),
            format!("{:.0}", jobs / cpu),
            row.peak_mib.map_or(String::new(), |mib| format!("{mib:.1}")),
        ];
        let cells = self.standing.iter().cloned().chain(cells).collect::<Vec<_>>();
        eprintln!("measured: {}", cells.join(" | "));
        self.rates.push(cells);
    }

    pub(super) fn add_latency(&mut self, latency: Latency) {
        let Latency { what, p50, p99, longest } = latency;
        let cells = [what, format!("{p50:.2}"), format!("{p99:.2}"), format!("{longest:.2}")];
        let cells = self.standing.iter().cloned().chain(cells).collect::<Vec<_>>();
        eprintln!("measured: {}", cells.join(" | "));
        self.latencies.push(cells);
    }

    pub(super) fn print(self, transport: Transport) {
        let rates = [
            "durability",
            "records",
            "what",
            "jobs/s",
            "of bare",
            "CPU s/100k",
            "server's",
            "jobs/CPU s",
            "peak MiB",
        ];
        println!("\n{}", table(&rates, self.rates));
        println!(
            "\n{}",
            table(&["durability", "records", "what", "p50 ms", "p99 ms", "max ms"], self.latencies)
        );
        println!("\n`{transport:?}`, each cell on a fresh private server:");
        for durability in transport.durabilities() {
            println!("  {}: {}", durability.name, durability.means);
        }
        println!(
            "Jobs/s of a drain is seen by a process beside the worker, from the worker's first breath to the empty queue; \
             CPU is\nthat of the enqueueing or working process and of the server, start included; the bare rate is the \
             best of its batch sizes."
        );
    }
}

/// Makes a table; all but the first three columns are numbers.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.into_iter().enumerate().map(|(column, text)| {
            Cell::new(text).set_alignment(if column < 3 { CellAlignment::Left } else { CellAlignment::Right })
        }));
    }
    table
}
