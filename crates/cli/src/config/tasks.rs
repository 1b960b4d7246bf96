//! How tasks are asked for.

use serde::{Deserialize, Serialize};

/// How tasks are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TasksSection {
    pub(crate) always_eager: bool,
}
