//! `completions`: a script that completes commands and flags in a shell.

use celeriac_control::AppParts;
use clap::Args;
use clap_complete::Shell;

use crate::arguments::{Shape, definition};
use crate::config::COLLECTING;
use crate::error::Result;
use crate::output::Output;

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  celeriac completions bash > ~/.local/share/bash-completion/completions/celeriac"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(app: &AppParts, output: &Output, args: &CompletionsArgs) -> Result {
    let mut script = Vec::new();
    let collects = COLLECTING.iter().all(|name| app.has_workflow(name));
    let mut definition = definition(Shape { name: &app.name, version: app.version.as_deref(), collects });
    clap_complete::generate(args.shell, &mut definition, app.name.as_str(), &mut script);
    output.text(&String::from_utf8_lossy(&script))
}
