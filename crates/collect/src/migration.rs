//! The line of migrations of what is collected, oldest first.

use celeriac_db::{Migration, MigrationSet};

mod m20261122_collect;

/// The tables that this crate owns.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    owner: "collect",
    migrations: &[Migration {
        name: "m20261122_collect",
        up: m20261122_collect::up,
        down: Some(m20261122_collect::down),
    }],
};
