//! The words of a domain's status.

use celeriac_control::workflow::Statuses;

/// What the table calls waiting, processing, done and error.
pub const STATUSES: Statuses =
    Statuses { waiting: "pending", processing: "processing", done: "completed", error: "error" };
