//! Holds the compose file, the image and the systemd units to what the configuration and the command line know.

use std::ffi::OsString;
use std::time::Duration;

use super::environment::{self, PREFIX};
use super::{Config, Layers};
use crate::arguments::{self, Shape};

const COMPOSE: &str = include_str!("../../../../compose.yaml");
const IMAGE: &str = include_str!("../../../../Dockerfile");
const EXAMPLE: &str = include_str!("../../../../.env.example");
const UNITS: [(&str, &str); 4] = [
    ("up", include_str!("../../../../deploy/systemd/celeriac.service")),
    ("server", include_str!("../../../../deploy/systemd/celeriac-server.service")),
    ("worker", include_str!("../../../../deploy/systemd/celeriac-worker@.service")),
    ("beat", include_str!("../../../../deploy/systemd/celeriac-beat.service")),
];

/// Returns what follows a key, of all lines that have it.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim().strip_prefix(key)).map(str::trim)
}

/// Reads a command line as the binary does.
fn parses(words: &[String]) {
    let line = std::iter::once("celeriac").chain(words.iter().map(String::as_str)).map(OsString::from);
    let shape = Shape { name: "celeriac", version: None, collects: true };
    let parsed = arguments::parse(shape, line);
    assert!(parsed.is_ok(), "celeriac {}: {}", words.join(" "), parsed.err().unwrap());
}

/// Writes the values of `${NAME:-default}` and `${NAME:?told}` in their places.
fn filled(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (name, after) = rest.split_once('}').unwrap();
    let value = name.split_once(":-").map_or("secret", |(_, default)| default);
    format!("{before}{value}{}", filled(after))
}

#[test]
fn variables_of_the_compose_file_are_settings_that_are_valid_together() {
    let lines = COMPOSE.lines().filter_map(|line| line.trim().split_once(": "));
    let ours: Vec<(String, String)> = lines
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| (name.to_owned(), filled(value.trim_matches('"'))))
        .collect();
    assert_eq!(ours.len(), 4, "{ours:?}");
    let mut layers = Layers::new(Config::default());
    assert_eq!(environment::apply(&mut layers, &ours).unwrap(), Vec::<String>::new());
    layers.config().validate().unwrap();
}

#[test]
fn commands_of_compose_file_image_and_units_are_there() {
    let commands: Vec<Vec<String>> = values(COMPOSE, "command:")
        .chain(values(IMAGE, "CMD"))
        .map(|words| serde_json::from_str(words).unwrap())
        .filter(|words: &Vec<String>| !matches!(words[0].as_str(), "redis-server" | "celery"))
        .collect();
    assert_eq!(commands.len(), 5, "{commands:?}");
    commands.iter().for_each(|words| parses(words));
    let checks: Vec<Vec<String>> =
        values(COMPOSE, "test:").map(|words| serde_json::from_str(words).unwrap()).collect();
    let ours = checks.iter().filter(|words| words[1] == "celeriac");
    assert_eq!(ours.map(|words| parses(&words[2..])).count(), 1);
    for (command, unit) in UNITS {
        let starts: Vec<&str> = values(unit, "ExecStart=/usr/bin/celeriac").collect();
        assert_eq!(starts, [command]);
        parses(&[command.to_owned()]);
    }
}

#[test]
fn whoever_stops_a_process_waits_until_its_jobs_have_finished() {
    let worker = Config::default().worker;
    let needed = worker.shutdown_patience.0 + worker.stop_grace.0;
    let spans = values(COMPOSE, "stop_grace_period:")
        .chain(UNITS.iter().flat_map(|(_, unit)| values(unit, "TimeoutStopSec=")));
    let spans: Vec<Duration> =
        spans.map(|span| Duration::from_secs(span.strip_suffix('s').unwrap().parse().unwrap())).collect();
    assert_eq!(spans.len(), 5);
    assert!(spans.iter().all(|span| *span > needed), "{spans:?}, and {needed:?} are needed");
}

#[test]
fn the_port_is_the_one_that_is_served() {
    let listen = Config::default().http.listen;
    let port = listen.rsplit_once(':').unwrap().1;
    assert_eq!(values(IMAGE, "EXPOSE").collect::<Vec<_>>(), [port]);
    for expected in [format!("\"127.0.0.1:{port}:{port}\""), format!("\"0.0.0.0:{port}\"")] {
        assert!(COMPOSE.contains(&expected), "{expected}");
    }
}

#[test]
fn what_the_compose_file_asks_for_stands_in_the_example() {
    let names: Vec<&str> = COMPOSE.split("${").skip(1).map(|rest| rest.split(':').next().unwrap()).collect();
    assert!(names.contains(&"POSTGRES_PASSWORD"));
    for name in names {
        assert!(
            EXAMPLE.lines().any(|line| line.trim_start_matches('#').starts_with(&format!("{name}="))),
            "{name}"
        );
    }
}
