//! `server`: serves API and dashboard, until it is stopped.

use celeriac_server::Server;
use clap::Args;
use serde::Serialize;

use super::beat::until_stopped;
use crate::arguments::flag;
use crate::config::Flag;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, Paint};
use crate::readiness;
use crate::service::{self, Prepared, Roles};
use crate::shutdown::Shutdown;

/// Arguments of `server`, and of whatever else serves.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    // Not a doc comment: rustdoc would take what stands in brackets for a link.
    #[arg(
        long,
        short = 'l',
        value_name = "ADDRESS",
        help = "Serve at this address and port, or at this port of this machine [default: 127.0.0.1:8470]"
    )]
    listen: Option<String>,
    /// Refuse whatever would change something
    #[arg(long)]
    read_only: bool,
}

impl ServerArgs {
    /// Returns the keys that these flags set.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        flags.extend(self.listen.as_ref().map(|value| flag("--listen", "http.listen", value)));
        flags.extend(self.read_only.then(|| flag("--read-only", "http.read_only", true)));
        flags
    }
}

/// What the server says of itself to programs. The field names are stable.
#[derive(Serialize)]
struct ServerView<'a> {
    event: &'static str,
    url: String,
    address: String,
    read_only: bool,
    database: &'a str,
}

/// Serves until a signal comes, then lets answers that are under way leave.
pub(super) async fn run(mut context: Context) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let prepared = Prepared::new(&mut context, Roles::SERVER).await?;
    let server = prepared.server.expect("a server's roles have it prepared");
    let said = Said::of(&context.output, &server);
    said.started()?;
    prepared.platform.warn_of_dangers().await;
    readiness::tell(readiness::READY);
    let service = service::start(None, prepared.driver, Some(server));
    let exit = until_stopped(&context, &service, &mut shutdown).await;
    said.stopped()?;
    match service.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(exit),
    }
}

/// What is said of a server.
pub(super) struct Said<'a> {
    output: &'a Output,
    url: String,
    address: String,
    read_only: bool,
    database: String,
}

impl<'a> Said<'a> {
    /// Notes what is to be said of a server that is about to serve.
    pub(super) fn of(output: &'a Output, server: &Server) -> Self {
        let state = server.state();
        Self {
            output,
            url: server.url(),
            address: server.address().to_string(),
            read_only: state.options().read_only,
            database: state.database().name().to_owned(),
        }
    }

    /// Says where it serves.
    pub(super) fn started(&self) -> Result {
        let what =
            if self.read_only { "API and dashboard, to be looked at only:" } else { "API and dashboard:" };
        let url = self.output.paint_stderr(Paint::Strong, &self.url);
        self.output.note(format_args!("{what} {url}/"));
        self.say("started")
    }

    /// Says that it serves no more.
    pub(super) fn stopped(&self) -> Result {
        self.say("stopped")
    }

    fn say(&self, event: &'static str) -> Result {
        if !self.output.is_json() {
            return Ok(());
        }
        let (url, address) = (self.url.clone(), self.address.clone());
        let (read_only, database) = (self.read_only, self.database.as_str());
        self.output.json(&ServerView { event, url, address, read_only, database })
    }
}
