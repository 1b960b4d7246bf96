//! From the command line to the exit code.

use std::process::ExitCode;

use celeriac_collect::CollectSettings;
use celeriac_control::{App, AppParts};
use clap::error::ErrorKind;
use tokio::runtime::{Builder, Runtime};

use crate::arguments::{self, Arguments, Shape};
use crate::commands::{Command, doctor};
use crate::config::{COLLECTING, Origin};
use crate::context::{self, Context, Opened};
use crate::error::{Code, Failure, Result, report};
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
    let collects = COLLECTING.iter().all(|name| app.has_workflow(name));
    let shape = Shape { name: app.name(), version: app.version_text(), collects };
    let arguments = match arguments::parse(shape, line) {
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
    let asked_for_nothing = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || asked_for_nothing {
        // Where the stream is closed, nobody is left to be told.
        let _ = error.print();
        return if asked_for_nothing { Exit::Usage } else { Exit::Done };
    }
    let text = error.render().to_string();
    let output = Output::new(wants_json, false, ColorChoice::Auto);
    report(&output, &usage_error(&text));
    if !wants_json {
        text.lines().filter(|line| line.starts_with("Usage: ")).for_each(|line| output.complain(line));
    }
    Exit::Usage
}

/// Reads what clap has written: what is wrong, in a line and perhaps a few that are indented, then tips and usage.
fn usage_error(text: &str) -> Failure {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut headline = first.trim_start_matches("error: ").to_owned();
    for line in
        rest.lines().take_while(|line| line.starts_with("  ") && !line.trim_start().starts_with("tip:"))
    {
        headline.push_str(&format!(" {}", line.trim()));
    }
    let tips: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("tip: ")).collect();
    let error = Failure::plain(Code::Usage, headline);
    if tips.is_empty() { error.hint("--help tells what there is") } else { error.hint(tips.join("; ")) }
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
    loaded.config.configure_workflows(&mut app)?;
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
    built.map_err(|error| Failure::failed_to(Code::Unavailable, "start threads").caused_by(&error))
}
