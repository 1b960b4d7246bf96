//! The disk that an embedded database lies on: has it room?

use std::path::Path;

use celeriac_db::Database;

use super::Finding;
use crate::words::size;

const CHECK: &str = "disk";

/// Looks at the disk of an embedded database; that of a server is the server's matter.
pub(super) fn check(database: &Database, wanted: u64) -> Finding {
    match database.sqlite_path() {
        Some(path) => free_space(path, wanted),
        None => Finding::skipped(CHECK, "the database lies on a server"),
    }
}

/// Checks that the disk of a file has this many bytes free.
pub fn free_space(file: &Path, wanted: u64) -> Finding {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let free = match rustix::fs::statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            let detail = format!("failed to ask for the free space of \"{}\": {error}", folder.display());
            return Finding { hint: None, ..Finding::wrong(CHECK, detail, "") };
        }
    };
    if free < wanted {
        let hint = "free some space; when the disk is full, nothing can be enqueued or recorded";
        return Finding::wrong(CHECK, format!("{} free, less than {}", size(free), size(wanted)), hint);
    }
    Finding::ok(CHECK, format!("{} free", size(free)))
}
