//! `doctor`: checks that everything is as it should be, and says what to do where it is not.

use celeriac_control::health::Finding;
use clap::Args;

use crate::config::Period;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::{ByteSize, Output};

mod broker;
mod database;
mod finding;
mod jobs;
mod machine;
mod outbox;

use finding::{failed, report};

/// Arguments of `doctor`.
#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
    /// Fail where the database's disk has less free space
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    min_free: ByteSize,
    /// Fail where the write-ahead log is larger
    #[arg(long, value_name = "SIZE", default_value = "128MiB")]
    max_wal: ByteSize,
    /// Fail where a job has been ready for longer and no worker took it
    #[arg(long, value_name = "SPAN", default_value = "10m")]
    max_wait: Period,
}

/// Checks everything that can be checked.
pub(super) async fn run(context: &Context, args: &DoctorArgs) -> Result<Exit> {
    let mut findings = vec![settings(context)];
    let has_broker = broker::check(context, &mut findings).await;
    database::check(context, args, has_broker, &mut findings).await;
    report(&context.output, &findings, args.strict)
}

/// Reports a configuration that can't be read; nothing else can be checked then.
pub(crate) fn without_settings(output: &Output, args: &DoctorArgs, error: &Failure) -> Result<Exit> {
    report(output, &[failed("config", error)], args.strict)
}

fn settings(context: &Context) -> Finding {
    let warnings = &context.loaded.warnings;
    if !warnings.is_empty() {
        return Finding::warning("config", warnings.join("; "), "take them out of the environment");
    }
    let from = match &context.loaded.file {
        Some(file) => format!("from {}", file.display()),
        None => "defaults, no file".to_owned(),
    };
    Finding::ok("config", from)
}
