//! The forms of output: for people, for pipes, for programs.

use std::process::{Command, Stdio};

use crate::support::{Bed, Outcome, testbed};

/// Runs a command on a terminal of its own, as `script` (util-linux) makes one.
fn on_a_terminal(bed: &Bed, arguments: &str, environment: &[(&str, &str)]) -> String {
    let line = format!("stty columns 130; {} {arguments}", testbed().display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--command", &line, "/dev/null"]);
    command.current_dir(bed.path("")).env_clear().env("PATH", env!("PATH")).env("TERM", "xterm");
    let outcome = Outcome::of(command.envs(environment.iter().copied()).stdin(Stdio::null()));
    outcome.stdout.replace("\r\n", "\n")
}

#[test]
fn a_terminal_gets_aligned_columns_colours_and_relative_times() {
    let bed = Bed::new();
    bed.enqueue(&["greet", "Ada"]);
    let shown = on_a_terminal(&bed, "jobs list", &[]);
    assert!(shown.contains("\u{1b}[34mpending\u{1b}[0m"), "{shown}");
    assert!(shown.contains("STATUS") && (shown.contains("just now") || shown.contains("s ago")), "{shown}");
    let plain = on_a_terminal(&bed, "jobs list", &[("NO_COLOR", "1")]);
    assert!(plain.contains("STATUS") && !plain.contains('\u{1b}'), "{plain}");
    let error = on_a_terminal(&bed, "jobs show nobody", &[]);
    assert!(error.contains("\u{1b}[1;31merror:\u{1b}[0m there is no job nobody"), "{error}");
    let empty = on_a_terminal(&bed, "jobs list --status dead", &[]);
    assert_eq!(empty, "no jobs\n");
}

#[test]
fn a_terminal_gets_times_of_its_own_zone_and_a_pipe_gets_utc() {
    let bed = Bed::new();
    let id = bed.enqueue(&["greet", "Ada"]);
    let show = format!("jobs show {id}");
    let shown = on_a_terminal(&bed, &show, &[("TZ", "Pacific/Kiritimati"), ("NO_COLOR", "1")]);
    assert!(shown.contains(" +14 (") && !shown.contains("+00:00"), "{shown}");
    assert!(bed.ok(&["jobs", "show", &id]).contains("+00:00 ("));
}

#[test]
fn a_terminal_shows_how_far_a_job_is_while_it_is_waited_for() {
    let bed = Bed::new();
    let line = bed.line();
    let id = bed.enqueue(&["hold", line.address()]);
    let worker = bed.worker(&[]);
    let job = line.called();
    let wait = format!("jobs wait {id} --timeout 1s");
    let shown = on_a_terminal(&bed, &wait, &[]);
    assert!(shown.contains("running 40 % holding"), "{shown}");
    job.answer("done");
    worker.stop();
}

#[test]
fn a_pipe_gets_tabs_without_header_or_colours() {
    let bed = Bed::new();
    let id = bed.enqueue(&["greet", "Ada"]);
    let line = bed.ok(&["jobs", "list"]);
    let cells: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
    assert_eq!(&cells[..5], [id.as_str(), "greet", "celery", "pending", "0"]);
    assert!(cells[5].ends_with("+00:00"), "{line}");
}

#[test]
fn long_texts_are_cut_at_the_terminals_width_or_columns_and_never_in_a_pipe() {
    let bed = Bed::new();
    let story = "a story that takes more room than one line of eighty letters has, and so on and on";
    let id = bed.enqueue(&["greet", "Ada"]);
    bed.ok(&["jobs", "cancel", &id, "--reason", story]);
    assert!(bed.ok(&["jobs", "list"]).contains(story));
    let plain = [("NO_COLOR", "1")];
    assert!(on_a_terminal(&bed, "jobs list", &plain).contains("a story that takes"));
    assert!(!on_a_terminal(&bed, "jobs list", &plain).contains(story), "130 columns are not enough");
    let wide = [("NO_COLOR", "1"), ("COLUMNS", "220")];
    assert!(on_a_terminal(&bed, "jobs list", &wide).contains(story));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let bed = Bed::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = bed.command(&["config", "show"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let outcome = outcome.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(outcome.stderr).unwrap(), "");
    assert_eq!(outcome.status.code(), Some(141));
}

#[test]
fn quiet_says_nothing_beside_results() {
    let bed = Bed::new();
    let id = bed.enqueue(&["greet", "Ada"]);
    let again = bed.run(&["enqueue", "greet", "Ada", "--id", &id, "--quiet"]);
    assert_eq!((again.stdout.trim(), again.stderr.as_str()), (id.as_str(), ""));
}

#[test]
fn usage_errors_are_json_where_json_was_asked_for() {
    let bed = Bed::new();
    let error = bed.run(&["enqueu", "--json"]).refused_as(2, "usage");
    assert_eq!(error["message"], "unrecognized subcommand 'enqueu'");
    assert!(error["hint"].as_str().unwrap().contains("'enqueue'"), "{error}");
    let said = bed.run(&["enqueu"]).refused(2);
    assert!(said.contains("\n hint: some similar subcommands exist: 'queues', 'enqueue'"), "{said}");
    let missing = bed.run(&["enqueue", "--json"]).refused_as(2, "usage");
    assert_eq!(missing["message"], "the following required arguments were not provided: <TASK>");
    assert_eq!(bed.run(&[]).code, Some(2));
}
