//! Finds the files that a folder's site consists of.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use celeriac_protocol::Timestamp;

use super::SiteError;

/// How many files a site may have; what is beyond is no site but a disk.
const FILES_MAX: usize = 1_000_000;

/// Returns every file below `root`, by its path in the site, with the time of its last change.
pub(super) fn files(root: &Path) -> Result<BTreeMap<String, Timestamp>, SiteError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), "/".to_owned())];
    while let Some((folder, prefix)) = folders.pop() {
        let fail = |source| SiteError::Folder { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let kind = entry.file_type().map_err(fail)?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{prefix}{name}/")));
            } else if let Some(metadata) = inside(root, &entry.path()) {
                files.insert(format!("{prefix}{name}"), modified(&metadata));
            }
            if files.len() > FILES_MAX {
                return Err(SiteError::TooManyFiles { path: root.to_owned(), limit: FILES_MAX });
            }
        }
    }
    Ok(files)
}

/// Returns when a file was changed last; a file from before 1970 counts as from then.
pub(super) fn modified(metadata: &Metadata) -> Timestamp {
    let since = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Timestamp::EPOCH + since.unwrap_or_default()
}

/// Returns what a path that lies or leads below `root` is, if it is a file.
///
/// A link to a folder is not followed: it could lead back to where it stands.
fn inside(root: &Path, path: &Path) -> Option<Metadata> {
    let real: PathBuf = path.canonicalize().ok()?;
    let metadata = real.metadata().ok()?;
    (real.starts_with(root) && metadata.is_file()).then_some(metadata)
}
