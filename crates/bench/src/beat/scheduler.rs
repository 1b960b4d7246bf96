//! A scheduler as a process of its own: the beat by a clock that may run faster, the relay by the world's.

use std::sync::Arc;

use celeriac_control::{Beat, BeatClock, BeatSettings, Driver, Environment, Relay};

use super::ScaledClock;
use crate::process::{input_closed, usage};
use crate::setup::{self, Place, Records};
use crate::tasks;

/// Runs a scheduler until its input is closed, then says what it has used.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    clock: ScaledClock,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let (database, client) = setup::open_for(&options.place, Records::All, tasks::registry()).await?;
    let environment = Environment::new(database, client.clone());
    let settings = BeatSettings { clock: BeatClock::Own, ..BeatSettings::default() };
    let beat = Driver::new(Arc::new(options.clock)).woken_by(client.broker().notifier().listen());
    let beat = beat.with(Beat::new(&environment, settings)?)?;
    let mut relay = Driver::new(client.clock().clone());
    if let Some(notifier) = client.outbox_notifier() {
        relay = relay.woken_by(notifier.listen()).with(Relay::new(client.clone()))?;
    }
    let stop = input_closed();
    println!("ready");
    tokio::join!(beat.run(stop.clone()), relay.run(stop));
    println!("{}", serde_json::to_string(&usage()?)?);
    Ok(())
}
