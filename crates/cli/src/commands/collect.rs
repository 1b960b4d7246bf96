//! `collect`: collects sites, politely, in this process.

use std::path::Path;
use std::time::Duration;

use celeriac_collect::fetch::HostPolicy;
use celeriac_collect::url::CanonicalUrl;
use clap::Args;

use super::collecting::{Ended, Frame, Next, Outcome, Session, install};
use crate::context::Context;
use crate::error::{Code, Failure, Result};
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
    args.urls.iter().try_for_each(|url| readable(url))?;
    let mut shutdown = Shutdown::listen()?;
    let settings = context.loaded.config.collecting();
    let policy = settings.hosts;
    install(&mut context, settings)?;
    let session = Session::open(&mut context, &args.urls).await?;
    let database = context.loaded.config.database.url.name();
    announce(&context, &session, &policy, &database);
    let mut elapsed = Duration::ZERO;
    let ended = session.run(&context, &mut shutdown, Duration::ZERO, |so_far| elapsed = so_far).await?;
    if ended == Ended::Killed {
        return Ok(Exit::Interrupted);
    }
    let outcome = session.outcome().await?;
    let frame = Frame {
        addresses: &args.urls,
        database: database.clone(),
        request_log: None,
        elapsed,
        starts: 1,
        before: *session.before(),
        pages_before: session.before().pages.ended(),
        is_complete: ended == Ended::Complete,
        next: next(ended, &outcome, &super::quoted(Path::new(&database))),
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
    let standing = session.standing();
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
        ("database", format!("{database}{standing}")),
    ] {
        output.note(format_args!("{} {value}", output.paint_stderr(Paint::Faint, &format!("  {label:<9}"))));
    }
    output.note("");
}

/// Refuses what is no address before anything is stored of it.
fn readable(url: &str) -> Result {
    CanonicalUrl::parse_typed(url).map(drop).map_err(|error| {
        Failure::failed_to(Code::Usage, format_args!("collect \"{url}\""))
            .because(error)
            .hint("write an address as it is typed into a browser: example.com or https://example.com/")
    })
}

fn next(ended: Ended, outcome: &Outcome, database: &str) -> Vec<Next> {
    let again = super::typed_again();
    if ended != Ended::Complete {
        return vec![Next::new(again, "go on where it was")];
    }
    let program = super::program();
    let (workflow, purpose) = match outcome.has_failed_domain() {
        true => ("domain", "how the sites stand"),
        false => ("page", "how the pages stand"),
    };
    let check = Next::new(format!("{program} workflow {workflow} check -d {database}"), purpose);
    std::iter::once(check).chain(outcome.try_again(database, &again)).collect()
}
