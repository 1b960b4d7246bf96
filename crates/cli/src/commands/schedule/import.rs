//! `schedule import`: entries from a file, or those of Celery's schedulers.

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

mod celery;
mod draft;
mod file;

/// Arguments of `schedule import`.
#[derive(Args, Debug)]
#[command(
    after_help = "From a file all are imported or none; what is wrong is told by its line. Schedules that are here under the same name and say something else stand in the way, unless --replace or --keep is \
    given; those that are not in the file stay.\n\nFrom another scheduler nothing is written there. What was imported \
    before and has not been changed here follows its own side; what was changed here is kept, unless --replace is given."
)]
pub(super) struct ImportArgs {
    /// A file that `schedule export` has written, or sections [schedule.NAME], or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "from", conflicts_with = "from")]
    file: Option<PathBuf>,
    /// Say what would come of it and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Overwrite what is here under the same name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    own: file::FileArgs,
    #[command(flatten)]
    celery: celery::CeleryArgs,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: ImportArgs) -> Result<Exit> {
    let how = How { dry_run: args.dry_run, replace: args.replace };
    match &args.file {
        Some(file) => file::run(context, file, how, &args.own).await,
        None => celery::run(context, how, args.celery).await,
    }
}

/// What both ways have in common.
#[derive(Clone, Copy, Debug)]
struct How {
    dry_run: bool,
    replace: bool,
}
