//! `collect`: collects sites, politely, in this process.

use std::time::Duration;

use celeriac_collect::fetch::HostPolicy;
use clap::Args;

use super::collecting::{Ended, Frame, Next, Session, install};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Paint, brief};
use crate::shutdown::Shutdown;

/// Arguments of `collect`.
#[derive(Args, Debug)]
pub(crate) struct CollectArgs {
    /// Where to begin: a site's address, as it is typed into a browser
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
}

/// Runs the command.
pub(super) async fn run(mut context: Context, args: CollectArgs) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let settings = context.loaded.config.collecting();
    let policy = settings.hosts;
    install(&mut context, settings)?;
    let session = Session::open(&mut context, &args.urls).await?;
    let database = context.loaded.config.database.url.path().to_owned();
    announce(&context, &session, &policy, &database.display().to_string());
    let mut elapsed = Duration::ZERO;
    let ended = session.run(&context, &mut shutdown, |so_far| elapsed = so_far).await?;
    if ended == Ended::Killed {
        return Ok(Exit::Interrupted);
    }
    let outcome = session.outcome().await?;
    let again = format!("{} collect {}", super::program(), args.urls.join(" "));
    let frame = Frame {
        addresses: &args.urls,
        database: database.display().to_string(),
        request_log: None,
        elapsed,
        starts: 1,
        is_complete: ended == Ended::Complete,
        next: next(ended, again, &super::quoted(&database)),
    };
    outcome.print(&context.output, &frame)?;
    Ok(match ended.exit() {
        Exit::Done if outcome.has_failed_domain() => Exit::Negative,
        exit => exit,
    })
}

fn announce(context: &Context, session: &Session, policy: &HostPolicy, database: &str) {
    let output = &context.output;
    let names: Vec<&str> = session.domains().iter().map(|domain| domain.name.as_str()).collect();
    let known = session.domains().iter().filter(|domain| !domain.is_new).count();
    let goes_on = if known > 0 { " (going on where it was)" } else { "" };
    let HostPolicy { concurrency, min_delay, .. } = policy;
    output.note(format_args!(
        "{} {}\n",
        output.paint_stderr(Paint::Strong, "celeriac collect"),
        names.join(", ")
    ));
    for (label, value) in [
        (
            "politely",
            format!("{concurrency} requests at a time, {} apart or as robots.txt asks", brief(*min_delay)),
        ),
        ("database", format!("{database}{goes_on}")),
    ] {
        output.note(format_args!("{} {value}", output.paint_stderr(Paint::Faint, &format!("  {label:<9}"))));
    }
    output.note("");
}

fn next(ended: Ended, again: String, database: &str) -> Vec<Next> {
    let program = super::program();
    if ended != Ended::Complete {
        return vec![Next { command: again, purpose: "go on where it was" }];
    }
    let next = |command: String, purpose| Next { command, purpose };
    vec![
        next(format!("{program} workflow page check -d {database}"), "how the pages stand"),
        next(
            format!("{program} workflow page reset --status error -d {database} && {again}"),
            "try again what failed",
        ),
    ]
}
