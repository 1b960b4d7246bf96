//! `demo`: serves a small site from this process and collects it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use celeriac_collect::CollectSettings;
use celeriac_collect::fetch::HostPolicy;
use celeriac_engine::Backoff;
use celeriac_server::demo_site::{DemoSite, OpenSite, SiteError};
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::collecting::{Ended, Frame, Next, Outcome, Session, install, workflows};
use crate::config::{Layers, Origin};
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::Paint;
use crate::shutdown::Shutdown;

mod place;

use place::{Place, State};

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Serve this folder of HTML instead of the site that is built in
    #[arg(long, value_name = "DIR")]
    site: Option<PathBuf>,
    /// Serve it at this port of the loopback address [default: a free one, then always the same]
    #[arg(long)]
    port: Option<u16>,
    /// Forget what was collected before and begin anew
    #[arg(long)]
    fresh: bool,
}

/// Where the demonstration keeps its database unless told otherwise.
const DEFAULT_DATABASE: &str = "celeriac-demo/demo.db";

/// Requests to the built-in site at a time. Its own Crawl-delay of 0.02 s sets the pace.
const BUILTIN_CONCURRENCY: u32 = 8;

/// Requests to a folder's site at a time.
const FOLDER_CONCURRENCY: u32 = 16;

/// How often a page is tried. Two failures of the flaky page and a kill or two still leave one to succeed.
const ATTEMPTS: u32 = 4;

/// Nobody watching a demonstration wants to wait for a retry.
const BACKOFF: Backoff =
    Backoff::Exponential { base: Duration::from_millis(500), cap: Duration::from_secs(2) };

/// Runs the command.
pub(super) async fn run(mut context: Context, args: DemoArgs) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let place = place_of(&context)?;
    let site = site_of(args.site.as_deref())?;
    let folder = args.site.as_deref();
    let mut state = if args.fresh { State::of(folder) } else { place.open(folder)? };
    let listener = listen(args.port, &state, &place).await?;
    // Last of what can be refused, so that nothing is forgotten for a start that comes to nothing.
    if args.fresh {
        place.clear()?;
    }
    let address = listener.local_addr().map_err(|error| cannot_listen(state.address, &error))?;
    state.begin(address);
    place.save(&state)?;
    let site = site.open(listener, &place.request_log(), Arc::clone(&context.clock)).map_err(refused_site)?;
    let settings = settings(&context, address, args.site.is_some());
    let policy = settings.hosts;
    context.loaded.config.database.url = place.database_url();
    install(&mut context, settings)?;
    let session = Session::open(&mut context, &[site.origin().to_owned()]).await?;
    let demo = Demo { context: &context, place: &place, session: &session, args: &args };
    demo.announce(&site, &policy, &state);
    let (ended, state) = demo.serve_and_collect(site, &mut shutdown, state).await?;
    demo.close(ended, &state).await
}

/// What the parts of the command share.
struct Demo<'a> {
    context: &'a Context,
    place: &'a Place,
    session: &'a Session,
    args: &'a DemoArgs,
}

impl Demo<'_> {
    fn announce(&self, site: &OpenSite, policy: &HostPolicy, state: &State) {
        let output = &self.context.output;
        let version = self.context.app.version.as_deref().unwrap_or_default();
        output.note(format_args!("{} {version}\n", output.paint_stderr(Paint::Strong, "celeriac demo")));
        let served = match &self.args.site {
            Some(folder) => folder.display().to_string(),
            None => "a kitchen garden's handbook, built in".to_owned(),
        };
        let pause = match (policy.min_delay, &self.args.site) {
            (Duration::ZERO, None) => "pauses as its robots.txt asks for (0.02 s)".to_owned(),
            (Duration::ZERO, Some(_)) => "no pause between them".to_owned(),
            (pause, _) => format!("{pause:?} apart"),
        };
        let standing = if state.starts > 1 { self.session.standing() } else { "" };
        for (label, value) in [
            ("site", format!("{}/", site.origin())),
            ("", served),
            ("listed", format!("{} pages in its sitemaps", site.listed_addresses())),
            ("politely", format!("{} requests at a time, {pause}", policy.concurrency)),
            ("database", format!("{}{standing}", self.place.database().display())),
        ] {
            output.note(format_args!(
                "{} {value}",
                output.paint_stderr(Paint::Faint, &format!("  {label:<9}"))
            ));
        }
        output.note("");
    }

    /// Serves the site for as long as it is collected.
    async fn serve_and_collect(
        &self,
        site: OpenSite,
        shutdown: &mut Shutdown,
        mut state: State,
    ) -> Result<(Ended, State)> {
        let closing = CancellationToken::new();
        let served = site.serve(closing.clone().cancelled_owned());
        let collected = async {
            let before = state.elapsed_ms;
            let mut written_at = 0;
            let ended = self.session.run(self.context, shutdown, Duration::from_millis(before), |elapsed| {
                state.elapsed_ms = before + u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
                // Once a second is enough: a kill loses no more of the stopwatch than that.
                if state.elapsed_ms / 1_000 != written_at {
                    written_at = state.elapsed_ms / 1_000;
                    self.place.save_if_possible(&state);
                }
            });
            let ended = ended.await;
            closing.cancel();
            ended
        };
        let (served, ended) = tokio::join!(served, collected);
        served.map_err(refused_site)?;
        self.place.save_if_possible(&state);
        Ok((ended?, state))
    }

    async fn close(&self, ended: Ended, state: &State) -> Result<Exit> {
        let output = &self.context.output;
        if ended == Ended::Killed {
            output.note("stopped at once; started again it goes on within five seconds");
            return Ok(Exit::Interrupted);
        }
        let outcome = self.session.outcome().await?;
        let origin = format!("http://{}/", state.address.unwrap_or_else(any_port));
        let frame = Frame {
            addresses: &[origin],
            database: self.place.database().display().to_string(),
            request_log: Some(self.place.request_log().display().to_string()),
            elapsed: Duration::from_millis(state.elapsed_ms),
            starts: state.starts,
            before: *self.session.before(),
            pages_before: 0,
            is_complete: ended == Ended::Complete,
            next: self.next(ended, &outcome),
        };
        outcome.print(output, &frame)?;
        Ok(ended.exit())
    }

    fn next(&self, ended: Ended, outcome: &Outcome) -> Vec<Next> {
        let (program, demo) = (super::program(), super::typed_again());
        let database = super::quoted(self.place.database());
        if ended != Ended::Complete {
            return vec![Next::new(demo, "go on where it was")];
        }
        let mut next = vec![
            Next::new(format!("{program} workflow page check -d {database}"), "how the pages stand"),
            Next::new(format!("{program} jobs list -d {database}"), "which runs collected them"),
        ];
        next.extend(outcome.try_again(&database, &demo));
        next.extend([
            Next::new(format!("{demo} --fresh"), "do it all again"),
            Next::new(format!("{program} collect https://example.com/"), "collect a real site"),
        ]);
        next
    }
}

fn place_of(context: &Context) -> Result<Place> {
    let by_flag = matches!(context.loaded.layers.origin("database.url"), Origin::Flag { .. });
    let database = if by_flag {
        let refused = || {
            let hint = "name a file with --database, or leave it out";
            Failure::plain(Code::Usage, "the demonstration keeps its data in a file").hint(hint)
        };
        context.loaded.config.database.url.file().ok_or_else(refused)?.to_owned()
    } else {
        PathBuf::from(DEFAULT_DATABASE)
    };
    Place::at(database)
}

fn site_of(folder: Option<&Path>) -> Result<DemoSite> {
    folder.map_or_else(|| Ok(DemoSite::builtin()), |folder| DemoSite::from_dir(folder).map_err(refused_site))
}

/// Binds the port that was asked for, or the one of the last start, or any that is free.
async fn listen(port: Option<u16>, state: &State, place: &Place) -> Result<TcpListener> {
    let wanted = match (port, state.address) {
        (Some(port), Some(kept)) if port != 0 && port != kept.port() => {
            let said = format!(
                "use port {port}: what lies in {} was collected at port {}",
                place.database().display(),
                kept.port()
            );
            return Err(Failure::failed_to(Code::Usage, said)
                .hint("leave --port out to go on, or begin anew with --fresh"));
        }
        (_, Some(kept)) => kept,
        (port, None) => SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0))),
    };
    TcpListener::bind(wanted).await.map_err(|error| {
        let refused = cannot_listen(Some(wanted), &error);
        match state.address {
            Some(_) => refused.hint(format!(
                "what lies in {} was collected at this port: stop what holds it, or begin anew with --fresh",
                place.database().display()
            )),
            None => refused,
        }
    })
}

fn cannot_listen(address: Option<SocketAddr>, error: &std::io::Error) -> Failure {
    let address = address.unwrap_or_else(any_port);
    Failure::failed_to(Code::AddressInUse, format_args!("serve the site at {address}")).caused_by(error)
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn refused_site(error: SiteError) -> Failure {
    Failure::failed_to(Code::SiteUnreadable, "serve the site").caused_by(&error)
}

/// Returns the settings in force, changed to the demonstration's where nobody set them: one socket of this machine may
/// be reached, and nobody waits for long.
fn settings(context: &Context, address: SocketAddr, is_folder: bool) -> CollectSettings {
    let layers = &context.loaded.layers;
    let mut settings = context.loaded.config.collecting();
    settings.fetch.guard = settings.fetch.guard.allow_socket(address);
    let concurrency = if is_folder { FOLDER_CONCURRENCY } else { BUILTIN_CONCURRENCY };
    let hosts = &mut settings.hosts;
    change_default(layers, &["collect.hosts.min_delay"], &mut hosts.min_delay, Duration::ZERO);
    let mut stay_away = (hosts.backoff_start, hosts.backoff_max);
    let short = (Duration::from_millis(250), Duration::from_secs(1));
    change_default(
        layers,
        &["collect.hosts.backoff_start", "collect.hosts.backoff_max"],
        &mut stay_away,
        short,
    );
    (hosts.backoff_start, hosts.backoff_max) = stay_away;
    change_default(layers, &["collect.hosts.concurrency"], &mut hosts.concurrency, concurrency);
    for (name, workflow) in workflows(&mut settings) {
        let key = |key: &str| format!("workflow.{name}.{key}");
        change_default(layers, &[&key("max_attempts")], &mut workflow.max_attempts, ATTEMPTS);
        let waits = [key("backoff_base"), key("backoff_cap")];
        change_default(layers, &waits.each_ref().map(String::as_str), &mut workflow.backoff, BACKOFF);
    }
    settings
}

/// Replaces what belongs to keys that nobody set.
fn change_default<T>(layers: &Layers, keys: &[&str], value: &mut T, ours: T) {
    if keys.iter().all(|key| layers.is_default(key)) {
        *value = ours;
    }
}
