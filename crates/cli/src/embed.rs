//! Runs an app within a program that has a life of its own, a web server as a rule.

use std::error::Error;
use std::fmt::{self, Display};
use std::path::PathBuf;

use celeriac_control::App;

use crate::arguments::flag;
use crate::clock;
use crate::config::{Flag, Origin};
use crate::context::{self, Context, Opened};
use crate::error::{Code, Failure, Result};
use crate::output::{ColorChoice, Output};
use crate::service::{Prepared, Roles};

mod running;

pub use running::Running;

/// Starts an app within the caller's program: a worker and a scheduler, as the command `worker` runs them, on the
/// runtime that this is called on.
///
/// [`Embedded`] starts it in other ways.
///
/// # Errors
/// [`StartError`]: what stands in the way; nothing runs then.
pub async fn start(app: App) -> Result<Running, StartError> {
    Embedded::new(app).start().await
}

/// An app that is to run within the caller's program.
///
/// Settings come from where the command line has them: the defaults, a file, the environment, and then what is
/// [set](Self::set) here. The database is opened, and its tables are brought up to date, by the rule that holds for
/// commands: those of a file are, those of a server by `migrate up` alone.
///
/// It leaves to its caller what is the program's: there are no signal handlers, no logs are set up (events go to whatever
/// `tracing` subscriber there is), and the process is never ended. `log.*` and `worker.threads` have no meaning here.
///
/// ```no_run
/// # use celeriac_cli::{App, Embedded};
/// # async fn f(app: App) -> Result<(), Box<dyn std::error::Error>> {
/// let celeriac = Embedded::new(app).set("worker.concurrency", 4).start().await?;
/// let client = celeriac.client().clone();
/// // … serve requests, which enqueue by the client, until the program is to stop …
/// celeriac.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing runs before it is started"]
pub struct Embedded {
    app: App,
    file: Option<PathBuf>,
    settings: Vec<Flag>,
    roles: Roles,
}

impl Embedded {
    /// Begins with a worker, a scheduler, and nothing set.
    pub fn new(app: App) -> Self {
        Self { app, file: None, settings: Vec::new(), roles: Roles::WORKER }
    }

    /// Names the file of settings, in place of `CELERIAC_CONFIG` and of `celeriac.toml` in the working folder. It must
    /// be there.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Sets one key, `worker.concurrency`, whatever file and environment say; `config default` lists them. A value is
    /// written as a variable of the environment has it. The last one of a key holds.
    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        self.settings.push(flag(&format!("Embedded::set(\"{key}\")"), key, value));
        self
    }

    /// Runs no jobs here: workflows, housekeeping and the app's own loops are a worker's, too.
    pub fn without_worker(mut self) -> Self {
        self.roles.worker = false;
        self
    }

    /// Enqueues nothing that the schedule says is due, and does not bring declared entries into it.
    pub fn without_scheduler(mut self) -> Self {
        self.roles.scheduler = false;
        self
    }

    /// Serves API and dashboard, too, where `http.listen` says.
    pub fn with_server(mut self) -> Self {
        self.roles.server = true;
        self
    }

    /// Opens what the settings name and begins to run, on the runtime that this is called on.
    ///
    /// # Errors
    /// [`StartError`]: what stands in the way; nothing runs then, and what was opened is closed.
    pub async fn start(self) -> Result<Running, StartError> {
        let opened = Opened::default();
        // The futures of all that may be opened are large.
        match Box::pin(self.open(opened.clone())).await {
            Ok(running) => Ok(running),
            Err(error) => {
                opened.close().await;
                Err(StartError(error))
            }
        }
    }

    async fn open(self, opened: Opened) -> Result<Running> {
        let mut app = self.app.build()?;
        let named = self.file.map(|path| (path, Origin::Flag { flag: "Embedded::config_file".to_owned() }));
        let loaded = context::load_from(&app, named, self.settings)?;
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        loaded.config.configure_workflows(&mut app)?;
        // Nothing is ever printed; errors are returned, and the rest is told by events.
        let output = Output::new(false, true, ColorChoice::Never);
        let clock = clock::from_environment()?;
        let mut context = Context { app, output, loaded, clock, opened: opened.clone() };
        let prepared = Prepared::new(&mut context, self.roles).await?;
        prepared.platform.warn_of_dangers().await;
        Ok(Running::start(prepared, opened))
    }
}

/// Why an app could not be started within a program.
pub struct StartError(Failure);

impl StartError {
    /// Returns its code in the registry of all errors, which stays the same between versions.
    pub fn code(&self) -> Code {
        self.0.code()
    }

    /// Returns what to do about it, for people, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.advice()
    }
}

impl Display for StartError {
    /// Writes what failed and why, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for StartError {
    /// Writes what `fn main` prints of an error that it returns: the line, and what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hint() {
            Some(hint) => write!(f, "{:?} (hint: {hint})", self.0),
            None => fmt::Debug::fmt(&self.0, f),
        }
    }
}

impl Error for StartError {}
