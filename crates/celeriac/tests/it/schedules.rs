//! The example of schedules, run as it says.

use std::path::Path;

use crate::support::{Worker, example};

/// The file beside the example.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/schedules.toml");

/// How often it is asked for what comes of an entry that is due each second; asking takes a while.
const ASKED: usize = 500;

fn told(folder: &Path, line: &str) -> String {
    let asked = example("schedules", folder, line).env("CELERIAC_CONFIG", FILE).output().unwrap();
    String::from_utf8(asked.stdout).unwrap()
}

#[test]
fn what_task_app_and_file_declare_is_in_force_once_a_worker_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_worker, started) = Worker::start_with("schedules", folder, &[("CELERIAC_CONFIG", FILE)]);
    assert!(started.contains("\"event\":\"started\""), "{started}");
    let names: Vec<String> = told(folder, "schedule list").lines().map(first_cell).collect();
    assert_eq!(names, ["berlin.alive", "orders.monthly", "orders.report", "paris.alive"]);
    // The file has the last word.
    let monthly = told(folder, "schedule export orders.monthly");
    assert!(monthly.contains("when = \"0 5 1 * *\"\nzone = \"Europe/Paris\""), "{monthly}");
    let report = told(folder, "schedule export orders.report");
    assert!(report.contains("overlap = \"skip\"") && report.contains("kwargs = { days = 1 }"), "{report}");
    assert_eq!(told(folder, "schedule diff"), "", "what runs is what is declared");

    for name in ["berlin.alive", "paris.alive"] {
        let jobs = || told(folder, &format!("jobs list --schedule {name} --status completed"));
        assert!((0..ASKED).any(|_| !jobs().is_empty()), "{name} comes to something");
    }
    let run = told(folder, "schedule run-now orders.report --wait --timeout 20s");
    assert_eq!(run, "\"40 orders in 1 days\"\n");
}

fn first_cell(line: &str) -> String {
    line.split('\t').next().unwrap_or_default().to_owned()
}
