//! What a command works with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use celeriac_broker::Broker;
use celeriac_control::{AppParts, LoopMakers, StateMakers};
use celeriac_db::Database;
use celeriac_protocol::Clock;

use crate::arguments::Global;
use crate::config::{self, Config, Flag, Loaded, Origin, Sources};
use crate::error::Result;
use crate::output::Output;
use crate::platform::host_name;

/// What every command works with.
pub(crate) struct Context {
    /// The app's parts.
    pub(crate) app: AppParts,
    /// Where text goes.
    pub(crate) output: Output,
    /// The settings in force.
    pub(crate) loaded: Loaded,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// What was opened, to be closed when the command has ended.
    pub(crate) opened: Opened,
}

/// Remembers databases and queues that were opened. Cloning is cheap and shares them.
#[derive(Clone, Default)]
pub(crate) struct Opened {
    databases: Arc<Mutex<Vec<Database>>>,
    brokers: Arc<Mutex<Vec<Arc<dyn Broker>>>>,
}

impl Opened {
    /// Remembers one.
    pub(crate) fn add(&self, database: &Database) {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner).push(database.clone());
    }

    /// Remembers a queue.
    pub(crate) fn add_broker(&self, broker: &Arc<dyn Broker>) {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(broker));
    }

    /// Closes all: other processes are told what there is to tell, writes that were handed in are finished, and the last
    /// process moves the write-ahead log into the file.
    pub(crate) async fn close(self) {
        let brokers = std::mem::take(&mut *self.brokers.lock().unwrap_or_else(PoisonError::into_inner));
        for broker in brokers {
            broker.notifier().flush().await;
        }
        let databases = std::mem::take(&mut *self.databases.lock().unwrap_or_else(PoisonError::into_inner));
        for database in databases {
            database.close().await;
        }
    }
}

impl Context {
    /// Returns what makes the app's states; they are made once.
    pub(crate) fn take_states(&mut self) -> StateMakers {
        std::mem::take(&mut self.app.states)
    }

    /// Returns who runs the command, for what is noted of changes: `ada@host`.
    #[expect(clippy::disallowed_methods, reason = "the command line alone reads the environment")]
    pub(crate) fn operator(&self) -> String {
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "somebody".to_owned());
        format!("{user}@{}", host_name())
    }

    /// Returns what makes the app's loops; they are made once.
    pub(crate) fn take_loops(&mut self) -> LoopMakers {
        std::mem::take(&mut self.app.loops)
    }
}

/// Reads the configuration of an app for a command that sets these keys by flags of its own.
pub(crate) fn load(app: &AppParts, global: &Global, own: Vec<Flag>) -> Result<Loaded> {
    let mut flags = global.flags();
    flags.extend(own);
    let named = |path: &PathBuf| (path.clone(), Origin::Flag { flag: "--config".to_owned() });
    load_from(app, global.config.as_ref().map(named), flags)
}

/// Reads the configuration of an app: the file that is named here or by the environment, or that of the working folder,
/// then the environment, then these keys.
pub(crate) fn load_from(
    app: &AppParts,
    named_file: Option<(PathBuf, Origin)>,
    flags: Vec<Flag>,
) -> Result<Loaded> {
    config::load(Sources {
        defaults: Config::of(app),
        named_file: named_file.or_else(file_of_environment),
        folder: PathBuf::new(),
        environment: environment(),
        flags,
    })
}

#[expect(clippy::disallowed_methods, reason = "the command line alone reads the environment")]
fn file_of_environment() -> Option<(PathBuf, Origin)> {
    let path = std::env::var_os(config::FILE_VARIABLE).filter(|path| !path.is_empty())?;
    Some((path.into(), Origin::Env { variable: config::FILE_VARIABLE.to_owned() }))
}

/// Returns the variables that are text; names and values that are not can't be ours.
#[expect(clippy::disallowed_methods, reason = "the command line alone reads the environment")]
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
