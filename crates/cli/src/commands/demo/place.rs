//! Where a demonstration lies: the database, and beside it what the next start must know.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::DatabaseUrl;
use crate::error::{Code, Failure, Result};

/// Is responsible for the files of one demonstration, while it alone has them.
#[derive(Debug)]
pub(super) struct Place {
    files: Files,
    /// Held until the process ends, however it ends.
    _lock: File,
}

/// Where the files of a demonstration are.
#[derive(Debug)]
struct Files {
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
    /// Takes the database's path, and makes the folder it lies in. What a demonstration did not make is refused,
    /// and so is what another one is at.
    pub(super) fn at(database: PathBuf) -> Result<Self> {
        if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| refused(Code::DatabaseDenied, "make folder", folder, &error))?;
        }
        let files = Files { database };
        files.refuse_foreign()?;
        let lock = files.lock()?;
        Ok(Self { files, _lock: lock })
    }

    pub(super) fn database(&self) -> &Path {
        &self.files.database
    }

    pub(super) fn database_url(&self) -> DatabaseUrl {
        DatabaseUrl::at(self.files.database.clone())
    }

    /// Returns where the site writes down what it was asked for.
    pub(super) fn request_log(&self) -> PathBuf {
        self.files.request_log()
    }

    /// Reads what the last start left; a site other than its is refused.
    pub(super) fn open(&self, site: Option<&Path>) -> Result<State> {
        let asked = State::of(site);
        let Some(kept) = self.files.read()? else { return Ok(asked) };
        if kept.site == asked.site {
            return Ok(kept);
        }
        let name = |site: &Option<PathBuf>| match site {
            Some(folder) => folder.display().to_string(),
            None => "the built-in site".to_owned(),
        };
        let (before, database) = (name(&kept.site), self.database().display());
        Err(Failure::failed_to(Code::Usage, format_args!("collect {} into {database}", name(&asked.site)))
            .because(format_args!("{before} is collected there"))
            .hint("begin anew with --fresh, or name another database with --database"))
    }

    /// Writes what the next start must know, whole or not at all.
    pub(super) fn save(&self, state: &State) -> Result {
        let path = self.files.state();
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

    /// Removes the database and what lies beside it; last of all what tells whose it is, so that one who is
    /// killed in between can do it again.
    pub(super) fn clear(&self) -> Result {
        let Files { database } = &self.files;
        let with = |ending: &str| {
            let mut path = database.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        };
        let files = [database.clone(), with("-wal"), with("-shm"), self.request_log(), self.files.state()];
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

impl Files {
    fn state(&self) -> PathBuf {
        self.database.with_extension("json")
    }

    fn request_log(&self) -> PathBuf {
        self.database.with_extension("requests.log")
    }

    /// Refuses a database that holds something and has no state of a demonstration beside it: it is somebody's.
    fn refuse_foreign(&self) -> Result {
        let holds_something = std::fs::metadata(&self.database).is_ok_and(|file| file.len() > 0);
        if self.read()?.is_some() || !holds_something {
            return Ok(());
        }
        Err(Failure::failed_to(
            Code::Usage,
            format_args!("use {} for the demonstration", self.database.display()),
        )
        .because("it was not made by `demo`, which may remove what it works on")
        .hint("name a file that is not there yet with --database; this one was not touched"))
    }

    /// Takes the place for this process. The file stays when it ends: whoever removed it could let two in.
    fn lock(&self) -> Result<File> {
        let path = self.database.with_extension("lock");
        let opened = File::options().create(true).append(true).open(&path);
        let file = opened.map_err(|error| refused(Code::DatabaseDenied, "open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                let place = self.database.display();
                Err(Failure::failed_to(Code::DemoRunning, format_args!("begin a demonstration in {place}"))
                    .because("one is running there already"))
            }
            Err(TryLockError::Error(error)) => Err(refused(Code::Unavailable, "lock", &path, &error)),
        }
    }

    fn read(&self) -> Result<Option<State>> {
        let path = self.state();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(Code::FileUnreadable, "read", &path, &error)),
        };
        let state = serde_json::from_str(&text).map_err(|error| {
            refused(Code::FileUnreadable, "read what an earlier demonstration left in", &path, &error)
                .hint("name another database with --database; nothing was touched")
        });
        state.map(Some)
    }
}

impl State {
    /// Begins with nothing collected from a site.
    pub(super) fn of(site: Option<&Path>) -> Self {
        let site = site.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.to_owned()));
        Self { site, ..Self::default() }
    }

    /// Counts a start at this address.
    pub(super) fn begin(&mut self, address: SocketAddr) {
        self.address = Some(address);
        self.starts += 1;
    }
}

fn refused(code: Code, action: &str, path: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::failed_to(code, format_args!("{action} {}", path.display())).caused_by(error)
}
