//! What every command says of itself.

use crate::demo::celeriac;
use crate::support::{Bed, Outcome};

/// Every command, as it is typed.
const COMMANDS: &[&str] = &[
    "",
    "demo",
    "collect",
    "up",
    "server",
    "worker",
    "beat",
    "enqueue",
    "jobs",
    "jobs list",
    "jobs show",
    "jobs cancel",
    "jobs retry",
    "jobs delete",
    "jobs wait",
    "dead",
    "dead list",
    "dead show",
    "dead retry",
    "dead drop",
    "queues",
    "queues list",
    "queues pause",
    "queues resume",
    "queues purge",
    "schedule",
    "schedule export",
    "schedule import",
    "schedule list",
    "schedule show",
    "schedule next",
    "schedule history",
    "schedule add",
    "schedule edit",
    "schedule enable",
    "schedule disable",
    "schedule remove",
    "schedule run-now",
    "schedule backfill",
    "schedule diff",
    "schedule explain",
    "tasks",
    "workflow",
    "workflow list",
    "workflow check",
    "workflow reset",
    "workflow run",
    "workflow settings",
    "workflow set",
    "workflow unset",
    "tokens",
    "tokens list",
    "tokens add",
    "tokens revoke",
    "users",
    "users list",
    "users add",
    "users password",
    "users disable",
    "users enable",
    "users scope",
    "sessions",
    "sessions list",
    "sessions revoke",
    "audit",
    "audit list",
    "migrate",
    "migrate status",
    "migrate up",
    "migrate down",
    "doctor",
    "config",
    "config show",
    "config default",
    "config path",
    "completions",
    "version",
];

#[test]
fn every_command_explains_itself() {
    let bed = Bed::new();
    for command in COMMANDS {
        let mut words: Vec<&str> = command.split_whitespace().collect();
        words.push("--help");
        // The test's app does not collect sites, as most don't.
        let is_shipped = ["demo", "collect"].contains(command);
        let help = if is_shipped { Outcome::of(&mut celeriac(&bed, &words)).ok() } else { bed.ok(&words) };
        let name = if command.is_empty() { "main".to_owned() } else { command.replace(' ', "-") };
        let shown = if command.is_empty() { help } else { without_global_options(&help) };
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn an_app_that_does_not_collect_has_neither_commands_nor_settings_for_it() {
    let bed = Bed::new();
    let shown = |command: &[&str]| {
        let [app, shipped] = [bed.ok(command), Outcome::of(&mut celeriac(&bed, command)).ok()];
        (app, shipped)
    };
    let (app, shipped) = shown(&["--help"]);
    assert!(!app.contains("demo") && !app.contains("collect") && shipped.contains("collect"), "{app}");
    let (app, shipped) = shown(&["config", "show"]);
    assert!(
        !app.contains("collect.") && !app.contains("workflow.page") && shipped.contains("collect.depth_max")
    );
    let (app, shipped) = shown(&["config", "default"]);
    assert!(
        !app.contains("\n[collect") && !app.contains("\n[workflow.") && shipped.contains("[workflow.page]"),
        "{app}"
    );
    assert!(app.contains("[worker]") && app.contains("[log]"));
    let refused = bed.run(&["collect", "example.com", "--json"]).refused_as(2, "usage");
    assert!(refused["message"].as_str().unwrap().contains("does not collect sites"), "{refused}");
    // One file may be read by both.
    bed.write("celeriac.toml", "[collect]\ndepth_max = 3\n");
    bed.ok(&["tasks"]);
}

/// Leaves out the options that all commands share; they are shown once.
fn without_global_options(help: &str) -> String {
    let mut parts: Vec<&str> = help.trim_end().split("\n\n").collect();
    parts.retain(|part| !part.starts_with("Global options:"));
    parts.join("\n\n")
}

#[test]
fn no_command_is_missing_from_the_list_above() {
    let bed = Bed::new();
    let listed = |command: &str| -> Vec<String> {
        let mut words: Vec<&str> = command.split_whitespace().collect();
        words.push("--help");
        let help = bed.ok(&words);
        let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
        let lines = commands.lines().take_while(|line| !line.is_empty());
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    let is_group = |command: &&str| COMMANDS.iter().any(|other| other.starts_with(&format!("{command} ")));
    let groups = COMMANDS.iter().copied().filter(is_group);
    for group in std::iter::once("").chain(groups) {
        for command in listed(group) {
            let command = format!("{group} {command}").trim().to_owned();
            assert!(COMMANDS.contains(&command.as_str()), "{command} is not in COMMANDS");
        }
    }
}

#[test]
fn version_names_the_app_and_the_platform() {
    let bed = Bed::new();
    assert_eq!(bed.ok(&["version"]), format!("testbed 1.2.3 (celeriac {})\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(bed.ok(&["--version"]), "testbed 1.2.3\n");
    assert_eq!(bed.json(&["version"])[0]["version"], "1.2.3");
}

#[test]
fn completions_know_the_apps_name_and_commands() {
    let script = Bed::new().ok(&["completions", "bash"]);
    assert!(script.contains("_testbed()") && script.contains("enqueue"));
}
