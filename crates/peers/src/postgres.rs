//! PostgreSQL.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::PeerError;
use crate::process::{Process, free_port, is_root};

const SERVER: &str = "PostgreSQL";

/// Whom it runs as where we are root, which it refuses to run as.
const USER: &str = "postgres";

/// Is responsible for a PostgreSQL server of its own.
///
/// Unless told otherwise it does not wait for the disk (`fsync = off`), so it survives a crash of its process and not one
/// of the machine.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    folder: TempDir,
    programs: PathBuf,
    settings: Vec<String>,
}

impl Postgres {
    /// Makes a cluster in a folder of its own and serves it.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self, PeerError> {
        Self::start_with(&[])
    }

    /// Starts it with settings of its own, `name=value` each, which win over those that tests have.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start_with(settings: &[&str]) -> Result<Self, PeerError> {
        let mut server = Self::begin_with(settings)?;
        server.wait()?;
        Ok(server)
    }

    /// Says whether its programs are there.
    pub fn is_installed() -> bool {
        programs().is_ok()
    }

    /// Starts it without waiting until it is ready.
    ///
    /// # Errors
    /// It is not installed, or its cluster can't be made.
    pub fn begin() -> Result<Self, PeerError> {
        Self::begin_with(&[])
    }

    fn begin_with(settings: &[&str]) -> Result<Self, PeerError> {
        let settings: Vec<String> = settings.iter().map(|one| (*one).to_owned()).collect();
        let fail = |action| move |source| PeerError::System { server: SERVER, action, source };
        let programs = programs()?;
        let folder = tempfile::tempdir().map_err(fail("make its folder"))?;
        if is_root() {
            let user = owner().map_err(fail("look up its user"))?;
            std::os::unix::fs::chown(folder.path(), Some(user.0), Some(user.1))
                .map_err(fail("give it its folder"))?;
        }
        make_cluster(&programs, folder.path())?;
        let port = free_port().map_err(fail("find a port"))?;
        let process = serve(&programs, folder.path(), port, &settings)?;
        Ok(Self { process, port, folder, programs, settings })
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// It ends, or takes too long.
    pub fn wait(&mut self) -> Result<(), PeerError> {
        let (ask, port) = (self.programs.join("pg_isready"), self.port.to_string());
        self.process.wait_until(|| {
            let mut ask = Command::new(&ask);
            ask.args(["--quiet", "--host", "127.0.0.1", "--port", &port, "--username", USER]);
            TcpStream::connect(("127.0.0.1", port.parse().unwrap_or(0))).is_ok()
                && ask.status().is_ok_and(|status| status.success())
        })
    }

    /// Returns where a database of it lies; `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the id of its first process, the parent of the others, by which the system tells what it uses.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as a crash would: at once, without a checkpoint, so that it recovers from its log when it starts again.
    pub fn kill(&mut self) {
        // After SIGKILL its processes, each in a session of its own, would hold on to their memory for a moment.
        self.process.stop(Signal::QUIT);
    }

    /// Stops it in order, with its clients' sessions cut.
    pub fn stop(&mut self) {
        self.process.stop(Signal::INT);
    }

    /// Starts it again where it was, after [`kill`](Self::kill) or [`stop`](Self::stop).
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<(), PeerError> {
        self.process = serve(&self.programs, self.folder.path(), self.port, &self.settings)?;
        self.wait()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.process.stop(Signal::QUIT);
    }
}

/// Finds the folder of its programs: Debian keeps one for each version, off the path.
fn programs() -> Result<PathBuf, PeerError> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    let found = folders.into_iter().find(|folder| folder.join("initdb").is_file());
    found.ok_or(PeerError::NotInstalled { server: SERVER, program: "initdb" })
}

/// Looks up user and group of [`USER`].
fn owner() -> std::io::Result<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(USER));
    let mut numbers = line.into_iter().flat_map(|line| line.split(':').skip(2)).map_while(|n| n.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(user), Some(group)) => Ok((user, group)),
        _ => Err(std::io::Error::other(format!("there is no user {USER}"))),
    }
}

fn make_cluster(programs: &Path, folder: &Path) -> Result<(), PeerError> {
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]);
            command.arg(programs.join("initdb"));
            command
        }
        false => Command::new(programs.join("initdb")),
    };
    command.arg("--pgdata").arg(folder.join("data"));
    command.args(["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"]);
    command.args(["--no-sync", "--no-instructions"]).current_dir(folder).stdin(Stdio::null());
    let made = command.output();
    let made = made.map_err(|source| PeerError::System { server: SERVER, action: "run initdb", source })?;
    if made.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    Err(PeerError::Refused { server: SERVER, action: "make a cluster", told })
}

fn serve(programs: &Path, folder: &Path, port: u16, settings: &[String]) -> Result<Process, PeerError> {
    let user = is_root().then_some(USER);
    let log = folder.join("postgres.log");
    Process::start(SERVER, &programs.join("postgres"), user, log, |command| {
        command.current_dir(folder).arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
        command.arg("-c").arg(format!("unix_socket_directories={}", folder.display()));
        for setting in
            ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=400", "shared_buffers=64MB"]
        {
            command.args(["-c", setting]);
        }
        for setting in settings {
            command.args(["-c", setting]);
        }
    })
}
