//! From the command line to the exit code.

use std::process::ExitCode;

use celeriac_collect::CollectSettings;
use celeriac_control::{App, AppParts};
use clap::error::ErrorKind;
use tokio::runtime::{Builder, Runtime};

use crate::arguments::{self, Arguments};
use crate::commands::{Command, doctor};
use crate::config::Origin;
use crate::context::{self, Context, Opened};
use crate::error::{CliError, Code, Result, report};
use crate::exit::Exit;
use crate::output::{ColorChoice, Output};
use crate::{clock, logging};

/// Runs an app's command line: reads the arguments, does what they ask for, and returns the
/// process's exit code ([`Exit`]).
///
/// A user's `fn main` is this one call.
pub fn main(app: App) -> ExitCode {
    start(app, Box::new(|app, _| Ok(app)))
}

/// Runs the command line of an app that collects sites by the settings of `[collect]`, as `celeriac` itself
/// does.
///
/// `build` is called twice: with the defaults, to learn what the app is called and which workflows it has,
/// and with the settings in force. What stands in `[workflow.NAME]` reaches the workflows in either case.
///
/// ```no_run
/// use celeriac_cli::{App, main_with};
/// use celeriac_collect::module;
///
/// main_with(|collect| module(App::new("house"), collect));
/// ```
pub fn main_with(build: impl Fn(CollectSettings) -> App) -> ExitCode {
    start(build(CollectSettings::default()), Box::new(move |_, settings| Ok(build(settings).build()?)))
}

/// Finishes an app by the settings in force. It is boxed so that nothing below is generic: the commands are compiled
/// here once, and not once more in each program that calls [`main`].
type Finish<'a> = Box<dyn FnOnce(AppParts, CollectSettings) -> Result<AppParts> + 'a>;

fn start(app: App, finish: Finish<'_>) -> ExitCode {
    let line: Vec<_> = std::env::args_os().collect();
    let wants_json = line.iter().any(|argument| argument == "--json");
    let arguments = match arguments::parse(app.name(), app.version_text(), line) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error, wants_json).into(),
    };
    let global = &arguments.global;
    let output = Output::new(global.json, global.quiet, global.color);
    match run(app, finish, arguments, &output) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report(&output, &error);
            error.code().exit().into()
        }
    }
}

/// Prints what clap has to say: help and version are results, the rest is an error.
fn refuse(error: &clap::Error, wants_json: bool) -> Exit {
    let is_error = error.use_stderr();
    if !(is_error && wants_json) {
        // Where the stream is closed, nobody is left to be told.
        let _ = error.print();
        let asked_for_nothing = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        return if is_error || asked_for_nothing { Exit::Usage } else { Exit::Done };
    }
    let text = error.render().to_string();
    let headline = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let output = Output::new(true, false, ColorChoice::Never);
    report(&output, &CliError::plain(Code::Usage, headline));
    Exit::Usage
}

fn run(app: App, finish: Finish<'_>, arguments: Arguments, output: &Output) -> Result<Exit> {
    let Arguments { global, command } = arguments;
    let app = app.build()?;
    if !command.needs_settings() {
        return command.run_without_settings(&app, output);
    }
    let loaded = match (context::load(&app, &global, command.flags()), &command) {
        (Err(error), Command::Doctor(args)) => return doctor::without_settings(output, args, &error),
        (loaded, _) => loaded?,
    };
    let asked = *loaded.layers.origin("log.level") != Origin::Default;
    logging::start(&loaded.config.log, output, asked, command.is_chatty());
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut app = finish(app, loaded.config.collecting())?;
    loaded.config.workflow.configure(&mut app)?;
    let runtime = runtime(&command, loaded.config.worker.threads)?;
    let (output, clock, opened) = (output.clone(), clock::from_environment()?, Opened::default());
    let context = Context { app, output, loaded, clock, opened: opened.clone() };
    let exit = runtime.block_on(async {
        let exit = Box::pin(command.run(context)).await;
        // Who interrupts twice does not want to wait for anything.
        if !matches!(exit, Ok(Exit::Interrupted)) {
            opened.close().await;
        }
        exit
    });
    // What is left are threads of blocking tasks that can't be stopped; nobody waits for them.
    runtime.shutdown_background();
    exit
}

/// Commands that end by themselves get by with one thread.
fn runtime(command: &Command, threads: usize) -> Result<Runtime> {
    let mut builder =
        if command.is_long() { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    if command.is_long() && threads > 0 {
        builder.worker_threads(threads);
    }
    let built = builder.enable_all().thread_name("celeriac").build();
    built.map_err(|error| CliError::failed_to(Code::Unavailable, "start threads").caused_by(&error))
}
