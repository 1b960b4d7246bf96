//! `up`: runs everything in one process: API and dashboard, a worker, a scheduler.

use clap::Args;

use super::server::{Said, ServerArgs};
use super::worker::{self, WorkerArgs};
use crate::config::Flag;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::readiness;
use crate::service::{self, Prepared, Roles};
use crate::shutdown::Shutdown;

/// Arguments of `up`.
#[derive(Args, Debug)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    worker: WorkerArgs,
}

impl UpArgs {
    /// Returns the keys that these flags set.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let mut flags = self.server.flags();
        flags.extend(self.worker.flags());
        flags
    }
}

/// Runs everything until a signal comes, then lets running jobs finish.
pub(super) async fn run(mut context: Context) -> Result<Exit> {
    let shutdown = Shutdown::listen()?;
    let prepared = Prepared::new(&mut context, Roles::ALL).await?;
    let crew = prepared.crew.expect("these roles have a worker prepared");
    let server = prepared.server.expect("these roles have a server prepared");
    let (registry, options) = (crew.registry.clone(), crew.options.clone());
    worker::announce(&context, &prepared.platform, &registry, &options)?;
    let said = Said::of(&context.output, &server);
    said.started()?;
    prepared.platform.warn_of_dangers().await;
    readiness::tell(readiness::READY);
    let service = service::start(Some(crew), prepared.driver, Some(server));
    let exit = worker::until_stopped(&context.output, &service, shutdown, &options).await;
    worker::say(&context.output, "stopped", &registry, &options)?;
    said.stopped()?;
    match service.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(exit),
    }
}
