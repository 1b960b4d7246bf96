//! The machine: free space, the log's size.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::error::{CliError, Code};
use crate::output::ByteSize;

/// Checks that the disk has room.
pub(super) fn free_space(database: &Path, wanted: ByteSize) -> Finding {
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let free = match rustix::fs::statvfs(folder) {
        Ok(disk) => ByteSize(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => {
            let action = format!("ask for the free space of \"{}\"", folder.display());
            return Finding::failed(
                "disk",
                &CliError::failed_to(Code::Unavailable, action).caused_by(&error),
            );
        }
    };
    if free < wanted {
        let hint = "free some space; when the disk is full, nothing can be enqueued or recorded";
        return Finding::wrong("disk", format!("{free} free, less than {wanted}"), hint);
    }
    Finding::ok("disk", format!("{free} free"))
}

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
