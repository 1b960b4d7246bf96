//! The platform's line of migrations, oldest first.

use celeriac_db::{Migration, MigrationSet};

mod m20261122_jobs;
mod m20261122_schedules;
mod m20261122_workflows;
mod m20261123_access;
mod m20261123_disabled_words;
mod m20261123_job_schedules;
mod m20261123_workers;
mod m20261123_workflow_settings;

/// The tables that this crate owns.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    owner: "platform",
    migrations: &[
        Migration { name: "m20261122_jobs", up: m20261122_jobs::up, down: Some(m20261122_jobs::down) },
        Migration {
            name: "m20261122_workflows",
            up: m20261122_workflows::up,
            down: Some(m20261122_workflows::down),
        },
        Migration {
            name: "m20261122_schedules",
            up: m20261122_schedules::up,
            down: Some(m20261122_schedules::down),
        },
        Migration {
            name: "m20261123_job_schedules",
            up: m20261123_job_schedules::up,
            down: Some(m20261123_job_schedules::down),
        },
        Migration {
            name: "m20261123_disabled_words",
            up: m20261123_disabled_words::up,
            down: Some(m20261123_disabled_words::down),
        },
        Migration {
            name: "m20261123_workflow_settings",
            up: m20261123_workflow_settings::up,
            down: Some(m20261123_workflow_settings::down),
        },
        Migration { name: "m20261123_access", up: m20261123_access::up, down: Some(m20261123_access::down) },
        Migration {
            name: "m20261123_workers",
            up: m20261123_workers::up,
            down: Some(m20261123_workers::down),
        },
    ],
};
