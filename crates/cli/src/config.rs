//! The configuration: defaults, then a file, then the environment, then flags.
//!
//! Every value knows where it came from. A key that nobody knows is an error in our own file and
//! under our own prefix, since a misspelt setting that is silently ignored is worse than none.

use std::path::{Path, PathBuf};

use celeriac_collect::CollectSettings;
use celeriac_control::AppParts;
/// A span of time as people write it.
pub(crate) use celeriac_protocol::Span as Period;
use serde::{Deserialize, Serialize};

use crate::error::Result;

mod access;
mod beat;
mod broker;
pub(crate) mod celery;
mod collect;
mod database;
mod environment;
mod file;
mod http;
mod layers;
mod log;
mod origin;
mod parameters;
mod records;
mod redis;
mod results;
mod scheduler;
mod schedules;
pub(crate) mod secret;
mod size;
mod tasks;
mod worker;
mod workflow;

pub(crate) use access::AccessSection;
pub(crate) use beat::BeatSection;
pub(crate) use broker::{BrokerSection, BrokerUrl};
pub(crate) use collect::CollectSection;
pub(crate) use database::{DatabaseSection, DatabaseUrl, Opening};
pub(crate) use environment::FILE_VARIABLE;
pub(crate) use file::{DEFAULT_FILE, schedules_in};
pub(crate) use http::HttpSection;
pub(crate) use layers::{Given, Layers, show};
pub(crate) use log::{LogFormat, LogSection};
pub(crate) use origin::Origin;
pub(crate) use records::RecordsSection;
pub(crate) use results::{ResultsSection, ResultsUrl};
pub(crate) use schedules::{DeclaredSchedule, key_of, written};
pub(crate) use secret::without_password;
use size::Size;
pub(crate) use tasks::{TasksSection, compression_of, serializer_of};
pub(crate) use worker::WorkerSection;
pub(crate) use workflow::{COLLECTING, WorkflowSections};

/// The commented defaults that ship in the binary; a test holds them equal to [`Config::default`].
pub(crate) const DEFAULT_TEXT: &str = include_str!("config/default.toml");

/// All settings, one section for each concern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) database: DatabaseSection,
    pub(crate) broker: BrokerSection,
    pub(crate) worker: WorkerSection,
    pub(crate) beat: BeatSection,
    pub(crate) tasks: TasksSection,
    pub(crate) records: RecordsSection,
    pub(crate) access: AccessSection,
    pub(crate) results: ResultsSection,
    pub(crate) workflow: WorkflowSections,
    pub(crate) collect: CollectSection,
    pub(crate) http: HttpSection,
    pub(crate) log: LogSection,
}

/// Says whether a section or key is about collecting.
pub(crate) fn is_of_collecting(key: &str) -> bool {
    let mut parts = key.split('.');
    match (parts.next(), parts.next()) {
        (Some("collect"), _) => true,
        (Some("workflow"), Some(name)) => COLLECTING.contains(&name),
        _ => false,
    }
}

/// Returns the commented defaults of an app: without what is about collecting where it does not collect, with a
/// section for each workflow of its own.
pub(crate) fn commented_defaults(app: &AppParts) -> String {
    let collects = COLLECTING.iter().all(|name| app.has_workflow(name));
    let mut section = "";
    let mut blocks = Vec::new();
    for block in DEFAULT_TEXT.trim_end().split("\n\n") {
        let header = block.lines().find_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
        section = header.unwrap_or(section);
        if collects || !is_of_collecting(section) {
            blocks.push(block);
        }
    }
    format!("{}\n{}", blocks.join("\n\n"), Config::of(app).workflow.commented())
}

/// A value that its section refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The whole key, `worker.concurrency`.
    pub(crate) key: String,
    /// What is wrong with its value.
    pub(crate) reason: String,
}

impl Config {
    /// Returns the defaults for an app: its workflows have sections, too.
    pub(crate) fn of(app: &AppParts) -> Self {
        let mut config = Self::default();
        config.workflow.add(app);
        config
    }

    /// Returns how sites are collected, the workflows that do it included.
    pub(crate) fn collecting(&self) -> CollectSettings {
        let mut settings = self.collect.settings();
        self.workflow.configure_collecting(&mut settings, &self.beat.zone());
        settings
    }

    /// Gives the app's workflows the settings in force.
    pub(crate) fn configure_workflows(&self, app: &mut AppParts) -> Result {
        self.workflow.configure(app, &self.beat.zone())
    }

    /// Looks for exchanges where there are none.
    fn check_exchanges(&self) -> Result<(), Invalid> {
        match (&self.broker.url, self.tasks.route_to_exchange()) {
            (BrokerUrl::Database | BrokerUrl::Redis(_), Some(rule)) => {
                let reason = format!("\"{rule}\": exchanges are only in RabbitMQ; name a queue");
                Err(Invalid { key: "tasks.routes".to_owned(), reason })
            }
            _ => Ok(()),
        }
    }

    /// Says which parameters of URLs are not used, since only other programs know them.
    fn unused_parameters(&self) -> impl Iterator<Item = String> {
        let urls = [
            ("database.url", self.database.url.unused()),
            ("broker.url", self.broker.url.unused()),
            ("results.url", self.results.url.unused()),
        ];
        let unused = urls.into_iter().filter(|(_, names)| !names.is_empty());
        unused.map(|(key, names)| {
            format!("`{}` in `{key}` is not used: only other programs know it", names.join("`, `"))
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.database.validate()?;
        self.broker.validate()?;
        self.worker.validate()?;
        self.beat.validate()?;
        self.tasks.validate()?;
        self.check_exchanges()?;
        self.records.validate()?;
        self.access.validate()?;
        self.results.validate()?;
        self.workflow.validate()?;
        self.collect.validate()?;
        self.http.validate()?;
        self.log.validate()
    }
}

/// What the configuration is read from.
#[derive(Debug)]
pub(crate) struct Sources {
    /// What holds where nobody says anything.
    pub(crate) defaults: Config,
    /// The file that was named; it must be there.
    pub(crate) named_file: Option<(PathBuf, Origin)>,
    /// The folder that a file is looked for in where none was named.
    pub(crate) folder: PathBuf,
    /// The environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Keys set by flags, with the flag's name.
    pub(crate) flags: Vec<Flag>,
}

/// One key set on the command line.
#[derive(Debug)]
pub(crate) struct Flag {
    /// The flag as it was typed, `--concurrency`.
    pub(crate) name: String,
    /// The key that it sets.
    pub(crate) key: String,
    /// Its value.
    pub(crate) value: Given,
}

/// The configuration as it was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// All settings.
    pub(crate) config: Config,
    /// The settings with where each came from.
    pub(crate) layers: Layers,
    /// The file that was read, if there was one.
    pub(crate) file: Option<PathBuf>,
    /// What was found and is not used, in words.
    pub(crate) warnings: Vec<String>,
}

/// Reads the configuration.
///
/// # Errors
/// The first value that can't be used, or all keys that are not known, with the places where they stand.
pub(crate) fn load(sources: Sources) -> Result<Loaded> {
    let mut layers = Layers::new(sources.defaults);
    let file = file::apply(&mut layers, sources.named_file, &sources.folder)?;
    let mut warnings = environment::apply(&mut layers, &sources.environment)?;
    for Flag { name, key, value } in sources.flags {
        layers.set(&key, value, &Origin::Flag { flag: name })?;
    }
    layers.check_keys()?;
    let mut config = layers.config().clone();
    config.validate().map_err(|invalid| layers.refuse(&invalid))?;
    layers.schedules().iter().try_for_each(|declared| declared.entry(&config.beat.zone()).map(drop))?;
    warnings.extend(config.unused_parameters());
    if layers.is_default("worker.queues") && !layers.is_default("tasks.default_queue") {
        // As Celery's, a worker that is told no queue takes from the one of what names none.
        config.worker.queues = vec![config.tasks.default_queue.clone()];
        layers.replace(config.clone());
    }
    if let (Origin::File { .. }, Some(folder)) = (layers.origin("database.url"), file_folder(&file)) {
        config.database.url.move_into(folder);
        layers.replace(config.clone());
    }
    Ok(Loaded { config, layers, file, warnings })
}

/// Returns the folder that relative paths written in the file start from.
fn file_folder(file: &Option<PathBuf>) -> Option<&Path> {
    file.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty())
}

#[cfg(test)]
mod deploy;
#[cfg(test)]
mod env_example;

#[cfg(test)]
mod tests {
    use celeriac_collect::module;
    use celeriac_control::App;

    use super::*;

    /// Turns the setting lines of the shipped file, which stand there as `#key = value`, into settings.
    fn uncommented() -> String {
        let is_setting = |line: &&str| {
            line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
        };
        let lines = DEFAULT_TEXT.lines();
        lines.map(|line| if is_setting(&line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn shipped_file_changes_nothing_as_it_is() {
        let mut layers = Layers::new(Config::default());
        file::apply_text(&mut layers, Path::new("default.toml"), DEFAULT_TEXT).unwrap();
        assert_eq!(*layers.config(), Config::default());
        assert!(layers.entries().all(|entry| *entry.origin == Origin::Default));
    }

    #[test]
    fn shipped_file_shows_every_key_with_its_default() {
        let mut layers = Layers::new(Config::default());
        file::apply_text(&mut layers, Path::new("default.toml"), &uncommented()).unwrap();
        let mut expected = Config::default();
        // The keys without a default show an example instead.
        expected.worker.name = layers.config().worker.name.clone();
        expected.collect.contact = layers.config().collect.contact.clone();
        assert_eq!(*layers.config(), expected);
        let unmentioned = layers.entries().filter(|entry| *entry.origin == Origin::Default);
        assert_eq!(unmentioned.map(|entry| entry.key).collect::<Vec<_>>(), Vec::<&str>::new());
    }

    #[test]
    fn a_database_keeps_its_password_whatever_is_set_after_it() {
        let url = "postgres://me:s3cret@host/shop?options[search_path]=theirs";
        let mut layers = Layers::new(Config::default());
        for (key, value) in [("database.url", url), ("beat.enabled", "false"), ("worker.concurrency", "2")] {
            layers.set(key, Given::Text(value.to_owned()), &Origin::Default).unwrap();
        }
        assert_eq!(serde_json::to_value(&layers.config().database).unwrap()["url"], url);
    }

    #[test]
    fn an_apps_own_workflow_has_a_section_with_the_settings_it_declares() {
        let mut declared = CollectSettings::default();
        declared.page_workflow.batch_size = 7;
        let app = module(App::new("house"), declared).build().unwrap();
        let layers = Layers::new(Config::of(&app));
        let shown = layers.entries().find(|entry| entry.key == "workflow.page.batch_size").unwrap();
        assert_eq!((shown.value, shown.origin), (&serde_json::json!(7), &Origin::Default));
    }
}
