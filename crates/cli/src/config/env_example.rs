//! Writes `.env.example` from the commented defaults, and holds the file to it.

use super::environment::{self, variable_of};
use super::{Config, DEFAULT_TEXT, Layers, Origin, show};

/// Where the file lies.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.env.example");

/// What stands above everything else.
const HEAD: &str = "\
# Celeriac's settings as variables, for a compose file, systemd's EnvironmentFile or `set -a; . ./.env`.
# Every line that sets something is commented out and shows the default; take the `#` away to change it.
# A variable wins over celeriac.toml, a flag over both; `config show` prints what is in force and where
# it comes from. This file is written by a test from crates/cli/src/config/default.toml.
# Spans are written as 500ms, 30s, 5m, 2h, 7d, 1h30m; a number alone is seconds. Lists have commas.

# The file of settings; celeriac.toml in the working folder where nothing is said.
#CELERIAC_CONFIG=celeriac.toml

# --- compose.yaml ---
# The password of the compose file's PostgreSQL, which has to be set, and what each of its workers may use.
#POSTGRES_PASSWORD=
#WORKER_CPUS=1
#WORKER_MEMORY=512M
";

/// How the second names of a workflow's keys are introduced.
const SECOND_NAMES: &str = "# The same by the second names:";

/// Writes the whole file.
fn document() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    let layers = Layers::new(Config::default());
    // What introduces the defaults is said above in words of its own.
    for block in DEFAULT_TEXT.trim_end().split("\n\n").skip(1) {
        if let Some(next) = block.lines().find_map(header) {
            text.push_str(&second_names(&layers, section));
            text.push_str(&format!("\n# --- {next} ---"));
            section = next;
        }
        text.push('\n');
        for line in block.lines().filter(|line| header(line).is_none()) {
            text.push_str(&variable(section, line));
            text.push('\n');
        }
    }
    text
}

/// Returns the section that a line begins.
fn header(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

/// Writes a line that would set a key as one that would set its variable; others stay as they are.
fn variable(section: &str, line: &str) -> String {
    match setting(line) {
        Some((key, value)) => format!("#{}={}", variable_of(&format!("{section}.{key}")), plain(value)),
        None => line.to_owned(),
    }
}

/// Returns key and value of a line that would set something.
fn setting(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))?;
    rest.split_once(" = ")
}

/// Writes a value of TOML as it stands in a variable.
fn plain(value: &str) -> String {
    let value: toml::Value =
        toml::from_str::<toml::Table>(&format!("value = {value}")).unwrap()["value"].clone();
    show(&serde_json::to_value(value).unwrap())
}

/// Writes the second names of a workflow's keys.
fn second_names(layers: &Layers, section: &str) -> String {
    let Some(workflow) = section.strip_prefix("workflow.") else { return String::new() };
    let mut text = format!("\n{SECOND_NAMES}\n");
    for name in layers.settings_of_workflow(workflow) {
        let key = format!("{section}.{name}");
        let value = show(layers.entries().find(|entry| entry.key == key).unwrap().value);
        let (name, value) = match name {
            "interval" => ("interval_minutes", value.trim_end_matches('m').to_owned()),
            "jitter" => ("jitter_seconds", value.trim_end_matches('s').to_owned()),
            "misfire_grace" => ("misfire_grace_seconds", value),
            name => (name, value),
        };
        text.push_str(&format!("#{}={value}\n", format!("{workflow}_scheduler_{name}").to_ascii_uppercase()));
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever changes a setting asks for the file by a variable")]
fn the_example_is_up_to_date() {
    if std::env::var_os("CELERIAC_TEST_WRITE_DOCS").is_some() {
        std::fs::write(FILE, document()).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap();
    assert!(kept == document(), "run this test with CELERIAC_TEST_WRITE_DOCS=1 and look at the difference");
}

#[test]
fn the_example_sets_every_key_to_its_default_by_either_name() {
    let variables: Vec<(String, String)> = document()
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let is_ours = |name: &str| name.starts_with(environment::PREFIX);
    let (ours, second): (Vec<_>, Vec<_>) = variables.into_iter().partition(|(name, _)| is_ours(name));
    let mut expected = Config::default();
    let mut layers = Layers::new(Config::default());
    assert_eq!(environment::apply(&mut layers, &second).unwrap(), Vec::<String>::new());
    assert_eq!(*layers.config(), expected);
    let named = |layers: &Layers| layers.entries().filter(|entry| *entry.origin != Origin::Default).count();
    let workflows = layers.entries().filter(|entry| entry.key.starts_with("workflow.")).count();
    assert_eq!(named(&layers), workflows);
    environment::apply(&mut layers, &ours).unwrap();
    // The keys without a default show an example instead.
    expected.worker.name = layers.config().worker.name.clone();
    expected.collect.contact = layers.config().collect.contact.clone();
    assert_eq!(*layers.config(), expected);
    assert_eq!(named(&layers), layers.entries().count());
}
