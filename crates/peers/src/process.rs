//! A server's process: started so that it dies with its owner, waited for, stopped, killed, frozen.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::PeerError;

/// How long a server may take to be ready. RabbitMQ takes fifteen seconds on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How long it may take to stop before it is killed.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// How often a server that starts or stops is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How much of a log an error shows, in lines.
const TOLD_LINES: usize = 20;

/// Is responsible for one server's process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    server: &'static str,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a server; what it says goes to `log`.
    ///
    /// It gets SIGTERM from the kernel should the thread that started it end without stopping it, so start it from
    /// one that lives long enough. `user` is another user to run as.
    pub(crate) fn start(
        server: &'static str,
        program: &Path,
        user: Option<&str>,
        log: PathBuf,
        arrange: impl FnOnce(&mut Command),
    ) -> Result<Self, PeerError> {
        let fail = |action| move |source| PeerError::System { server, action, source };
        let output = File::options().create(true).append(true).open(&log).map_err(fail("open its log"))?;
        let errors = output.try_clone().map_err(fail("open its log"))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]);
        if let Some(user) = user {
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        }
        command.arg("--").arg(program);
        arrange(&mut command);
        // A group of its own: RabbitMQ is a script and the server that it starts.
        command.process_group(0).stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().map_err(fail("start it"))?;
        Ok(Self { server, log, child })
    }

    /// Waits until `is_ready` says so.
    #[expect(
        clippy::disallowed_methods,
        reason = "a server that starts gives no signal that all of them share"
    )]
    pub(crate) fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) -> Result<(), PeerError> {
        let begun = Instant::now();
        while !is_ready() {
            let has_ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if has_ended || begun.elapsed() > READY_WITHIN {
                let told = std::fs::read_to_string(&self.log).unwrap_or_default();
                let from = told.lines().count().saturating_sub(TOLD_LINES);
                return Err(PeerError::NotReady {
                    server: self.server,
                    waited: begun.elapsed(),
                    log: self.log.clone(),
                    told: told.lines().skip(from).collect::<Vec<_>>().join("\n"),
                });
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it and whatever it has started.
    pub(crate) fn signal(&self, signal: Signal) {
        // It has ended by itself where nobody hears it.
        kill_process_group(Pid::from_child(&self.child), signal).ok();
    }

    /// Stops it by this signal, and kills it if that takes too long.
    #[expect(clippy::disallowed_methods, reason = "the standard library can't wait for a child with a limit")]
    pub(crate) fn stop(&mut self, signal: Signal) {
        self.signal(signal);
        let begun = Instant::now();
        while begun.elapsed() < STOPPED_WITHIN {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        self.kill();
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a port of the loopback address that nobody uses now.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Finds a program on the path.
pub(crate) fn on_path(server: &'static str, program: &'static str) -> Result<PathBuf, PeerError> {
    let folders = ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/local/sbin", "/bin", "/sbin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    found.ok_or(PeerError::NotInstalled { server, program })
}

/// Says whether this process may start others as other users.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
