//! The loops that a worker drives beside its jobs: housekeeping, workflows, the app's own.

use std::time::Duration;

use celeriac_control::workflow::{Lookouts, WorkflowStarter, Workflows};
use celeriac_control::{
    Beat, Driver, LoopMakers, Pruner, Relay, Rescuer, RescuerSettings, ResultReader, ResultRecorder,
};
use celeriac_engine::States;

use crate::config::Config;
use crate::error::Result;
use crate::platform::Platform;

/// Puts together the loops that a worker drives, but for the beat. The platform's own may run in every worker: what
/// two of them do at once is done once.
pub(crate) fn of_worker(
    config: &Config,
    platform: &Platform,
    states: &States,
    own: LoopMakers,
) -> Result<Driver> {
    let mut driver = relaying(none(platform), platform)?;
    for starter in starters(platform, states) {
        driver = driver.with(starter)?;
    }
    if config.worker.housekeeping {
        let pruner = Pruner::new(platform.database.clone(), config.records.pruner())?;
        let rescuer =
            Rescuer::new(platform.client.clone(), platform.database.clone(), rescuer(config.worker.lease.0))?;
        driver = driver.with(pruner)?.with(rescuer)?;
    }
    let reads = |results: &&ResultRecorder| reads_results(config.worker.housekeeping, results.is_sent());
    if let Some(results) = platform.results.as_ref().filter(reads) {
        driver = driver.with(ResultReader::new(results.clone(), platform.client.clone()))?;
    }
    Ok(own.add_to(driver, &platform.environment())?)
}

/// Adds the loop that enqueues what the schedule says is due; jobs of these workflows only when rows are.
pub(crate) fn with_beat(
    driver: Driver,
    config: &Config,
    platform: &Platform,
    lookouts: &Lookouts,
) -> Result<Driver> {
    let beat = Beat::new(&platform.environment(), config.beat.settings())?;
    Ok(driver.with(beat.looking_at(lookouts.clone()))?)
}

/// Makes a driver without loops, which others can wake.
pub(crate) fn none(platform: &Platform) -> Driver {
    let driver = Driver::new(platform.client.clock().clone());
    driver.woken_by(platform.broker().notifier().listen())
}

/// Adds the loop that hands on what transactions have enqueued, where that waits in the database.
pub(crate) fn relaying(driver: Driver, platform: &Platform) -> Result<Driver> {
    let Some(notifier) = platform.client.outbox_notifier() else { return Ok(driver) };
    Ok(driver.woken_by(notifier.listen()).with(Relay::new(platform.client.clone()))?)
}

/// Puts together the loops that start the workflows' runs, in this queue, and no others. There is no schedule beside
/// them, so they go by the interval as well.
pub(crate) fn starters_alone(platform: &Platform, states: &States, queue: &'static str) -> Result<Driver> {
    let starters = starters(platform, states).into_iter();
    let alone = starters.map(|starter| starter.in_queue(queue).alone());
    alone.into_iter().try_fold(none(platform), |driver, starter| Ok(driver.with(starter)?))
}

fn starters(platform: &Platform, states: &States) -> Vec<WorkflowStarter> {
    let all = |workflows| WorkflowStarter::all(workflows, &platform.environment());
    states.get::<Workflows>().map(all).unwrap_or_default()
}

/// Says whether a worker looks for results. What is kept for all may be left to whoever keeps house; what is sent comes to
/// the process that has asked, and nobody else can look for it.
const fn reads_results(keeps_house: bool, is_sent: bool) -> bool {
    keeps_house || is_sent
}

/// A lost worker's message needs the time of a lease to be handed out again, and its next holder
/// some to be heard of; before that nobody is to look for it.
fn rescuer(lease: Duration) -> RescuerSettings {
    let defaults = RescuerSettings::default();
    let look_after = defaults.look_after.max(lease * 2);
    let give_up_after = defaults.give_up_after.max(look_after * 2);
    let give_up_early_acked_after = defaults.give_up_early_acked_after.max(give_up_after);
    RescuerSettings { look_after, give_up_after, give_up_early_acked_after, ..defaults }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_heard_by_every_worker_and_kept_results_by_those_that_keep_house() {
        let reads = [(true, true), (true, false), (false, true), (false, false)];
        assert_eq!(reads.map(|(house, sent)| reads_results(house, sent)), [true, true, true, false]);
    }

    #[test]
    fn the_rescuer_is_patient_with_long_leases() {
        assert_eq!(rescuer(Duration::from_secs(30)), RescuerSettings::default());
        let patient = rescuer(Duration::from_secs(3_600));
        assert_eq!(patient.look_after, Duration::from_secs(7_200));
        patient.validate().unwrap();
    }
}
