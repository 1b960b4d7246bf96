//! The machine: the size of the write-ahead log.

use std::path::{Path, PathBuf};

use crate::output::ByteSize;
use celeriac_control::health::Finding;

/// Checks that the write-ahead log is moved into the file as it should be.
pub(super) fn log_size(database: &Path, allowed: ByteSize) -> Finding {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    // A database that nobody has open has no log.
    let size = ByteSize(std::fs::metadata(PathBuf::from(name)).map_or(0, |metadata| metadata.len()));
    if size > allowed {
        let hint =
            "some process reads for very long and so keeps the log from being emptied; find it with `fuser`";
        return Finding::wrong("log", format!("write-ahead log has {size}, more than {allowed}"), hint);
    }
    Finding::ok("log", format!("write-ahead log has {size}"))
}
