//! Instants and spans as people read them.

use celeriac_protocol::Timestamp;

pub(crate) use celeriac_control::words::{ago, brief, until};

/// Writes an instant as the viewer's own clock shows it, to the second.
pub(crate) fn local(at: Timestamp) -> String {
    let zoned = at.to_jiff().to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}
