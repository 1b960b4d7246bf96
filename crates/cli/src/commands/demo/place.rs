//! Where a demonstration lies: the database, and beside it what the next start must know.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::DatabaseUrl;
use crate::error::{CliError, Code, Result};

/// Is responsible for the files of one demonstration.
#[derive(Debug)]
pub(super) struct Place {
    database: PathBuf,
}

/// What one start leaves for the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Where the site was served; what was collected bears this address, so it must be the same again.
    pub(super) address: Option<SocketAddr>,
    /// The folder that was served, or none for the built-in site.
    pub(super) site: Option<PathBuf>,
    /// How long collecting took so far, in milliseconds.
    pub(super) elapsed_ms: u64,
    /// How often it was started.
    pub(super) starts: u32,
}

impl Place {
    /// Takes the database's path, and makes the folder it lies in.
    pub(super) fn at(database: PathBuf) -> Result<Self> {
        if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| refused(Code::DatabaseDenied, "make folder", folder, &error))?;
        }
        Ok(Self { database })
    }

    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    pub(super) fn database_url(&self) -> DatabaseUrl {
        DatabaseUrl::at(self.database.clone())
    }

    /// Returns where the site writes down what it was asked for.
    pub(super) fn request_log(&self) -> PathBuf {
        self.database.with_extension("requests.log")
    }

    fn state(&self) -> PathBuf {
        self.database.with_extension("json")
    }

    /// Reads what the last start left; a site other than its is refused.
    pub(super) fn open(&self, site: Option<&Path>) -> Result<State> {
        let site = site.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.to_owned()));
        let Some(kept) = self.read()? else { return Ok(State { site, ..State::default() }) };
        if kept.site == site {
            return Ok(kept);
        }
        let name = |site: &Option<PathBuf>| match site {
            Some(folder) => folder.display().to_string(),
            None => "the built-in site".to_owned(),
        };
        let (before, database) = (name(&kept.site), self.database.display());
        Err(CliError::failed_to(Code::Usage, format_args!("collect {} into {database}", name(&site)))
            .because(format_args!("{before} is collected there"))
            .hint("begin anew with --fresh, or name another database with --database"))
    }

    fn read(&self) -> Result<Option<State>> {
        let path = self.state();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(Code::FileUnreadable, "read", &path, &error)),
        };
        let state = serde_json::from_str(&text).map_err(|error| {
            refused(Code::FileUnreadable, "read", &path, &error).hint("begin anew with --fresh")
        });
        state.map(Some)
    }

    /// Writes what the next start must know, whole or not at all.
    pub(super) fn save(&self, state: &State) -> Result {
        let path = self.state();
        let text =
            serde_json::to_string_pretty(state).expect("paths that were read from text can be written");
        let fresh = path.with_extension("json.new");
        let written = std::fs::write(&fresh, text + "\n").and_then(|()| std::fs::rename(&fresh, &path));
        written.map_err(|error| refused(Code::Unavailable, "write", &path, &error))
    }

    /// Writes it in passing: what is lost then is a second of the stopwatch.
    pub(super) fn save_if_possible(&self, state: &State) {
        if let Err(error) = self.save(state) {
            tracing::debug!(%error, "state of the demonstration was not written");
        }
    }

    /// Removes the database and what lies beside it.
    pub(super) fn clear(&self) -> Result {
        let with = |ending: &str| {
            let mut path = self.database.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        };
        let files = [self.state(), self.database.clone(), with("-wal"), with("-shm"), self.request_log()];
        for path in files {
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(refused(Code::DatabaseDenied, "remove", &path, &error)),
            }
        }
        Ok(())
    }
}

impl State {
    /// Counts a start at this address.
    pub(super) fn begin(&mut self, address: SocketAddr) {
        self.address = Some(address);
        self.starts += 1;
    }
}

fn refused(code: Code, action: &str, path: &Path, error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::failed_to(code, format_args!("{action} {}", path.display())).caused_by(error)
}
