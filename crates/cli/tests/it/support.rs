//! A folder of its own for each test, and the binary run in it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use celeriac_db::{Database, DbError, SqliteOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Is responsible for a folder in which commands are run; it is removed when the test ends.
pub(crate) struct Bed {
    folder: TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Returns a path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Returns the test's app, to be run in the folder with an environment of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.through(&[], arguments)
    }

    /// Returns the test's app, started by another program.
    pub(crate) fn through(&self, starter: &[&str], arguments: &[&str]) -> Command {
        let app = testbed();
        let mut line: Vec<&OsStr> = starter.iter().map(AsRef::as_ref).collect();
        line.push(app.as_os_str());
        line.extend(arguments.iter().map(|argument| -> &OsStr { argument.as_ref() }));
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).current_dir(self.folder.path()).env_clear();
        command.env("PATH", env!("PATH")).stdin(Stdio::null());
        if matches!(arguments.first(), Some(&"worker" | &"beat" | &"up")) {
            // Tests count jobs and entries, and some run across one of these due times.
            command
                .env("CELERIAC_BEAT__HEALTH_CHECK", "false")
                .env("CELERIAC_BEAT__CLEANUP_OLD_JOBS", "false");
        }
        command
    }

    /// Runs the test's app to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// Runs the test's app, which must do what it is asked for, and returns what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok()
    }

    /// Runs the test's app with `--json` and returns the objects that it printed.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        lines_of(&self.ok(&arguments))
    }

    /// Enqueues a job and returns its id.
    #[track_caller]
    pub(crate) fn enqueue(&self, arguments: &[&str]) -> String {
        let arguments: Vec<&str> = ["enqueue"].iter().chain(arguments).copied().collect();
        self.ok(&arguments).trim().to_owned()
    }

    /// Returns what `jobs show` tells of a job.
    #[track_caller]
    pub(crate) fn job(&self, id: &str) -> Value {
        self.json(&["jobs", "show", id]).remove(0)
    }

    /// Starts a worker and returns when it takes jobs.
    pub(crate) fn worker(&self, arguments: &[&str]) -> Running {
        let arguments: Vec<&str> = ["worker", "--json"].iter().chain(arguments).copied().collect();
        let mut running = Running::start(&mut self.command(&arguments));
        assert_eq!(running.next_json()["event"], "started");
        running
    }

    /// Waits until the record says that a job runs; a start is recorded a moment after it.
    pub(crate) fn until_running(&self, id: &str) {
        while self.job(id)["status"] != "running" {}
    }

    /// Runs a worker until a job has ended.
    pub(crate) fn work_until_ended(&self, id: &str) {
        let worker = self.worker(&["-Q", "celery,math"]);
        self.run(&["jobs", "wait", id, "--timeout", "20s"]);
        worker.stop();
    }

    /// Opens the database beside the app.
    pub(crate) async fn database(&self) -> Database {
        Database::open(SqliteOptions::at(self.path("celeriac.db"))).await.unwrap()
    }

    /// Does something while this process holds the database's write lock.
    pub(crate) async fn while_locked<T: Send + 'static>(
        self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let database = self.database().await;
        let (taken, told_taken) = oneshot::channel();
        let (release, released) = oneshot::channel::<()>();
        let holding = database.write_within("hold the lock", Duration::from_secs(60), async move |_| {
            taken.send(()).unwrap();
            released.await.unwrap();
            Ok::<_, DbError>(())
        });
        let working = async {
            told_taken.await.unwrap();
            let done = tokio::task::spawn_blocking(move || work(&self)).await.unwrap();
            release.send(()).unwrap();
            done
        };
        let (held, done) = tokio::join!(holding, working);
        held.unwrap();
        done
    }

    /// Listens for a `hold` task.
    pub(crate) fn line(&self) -> Line {
        let path = self.path("line");
        Line { listener: UnixListener::bind(&path).unwrap(), path }
    }
}

/// Returns where cargo puts the app, which is an example of this crate.
pub(crate) fn testbed() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_celeriac")).parent().unwrap();
    folder.join("examples/testbed")
}

/// What a command came to.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Checks the exit code and returns what was said on the error stream.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.stderr
    }

    /// Checks exit code and error code of a command that was run with `--json`.
    #[track_caller]
    pub(crate) fn refused_as(self, exit: i32, code: &str) -> Value {
        let error: Value = serde_json::from_str(&self.stderr).unwrap_or_else(|_| panic!("{}", self.stderr));
        assert_eq!(error["error"]["code"], code, "{error}");
        assert_eq!(self.code, Some(exit), "{error}");
        assert_eq!(error["error"]["exit_code"], exit);
        error["error"].clone()
    }
}

/// Reads JSON lines.
pub(crate) fn lines_of(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A command that runs; it is ended with the test.
pub(crate) struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stdout, stderr }
    }

    /// Waits for the next line of the result.
    pub(crate) fn next_json(&mut self) -> Value {
        let Some(line) = self.stdout.next() else {
            let said: Vec<String> = self.stderr.by_ref().map_while(Result::ok).collect();
            panic!("the command ended and said: {}", said.join("\n"));
        };
        serde_json::from_str(&line.unwrap()).unwrap()
    }

    /// Waits for a line of the error stream with this text in it.
    pub(crate) fn hear(&mut self, text: &str) -> String {
        let mut lines = self.stderr.by_ref().map_while(Result::ok);
        lines.find(|line| line.contains(text)).unwrap_or_else(|| panic!("nobody said \"{text}\""))
    }

    /// Returns the rest of the error stream, once the command has ended.
    pub(crate) fn rest_of_stderr(&mut self) -> String {
        self.stderr.by_ref().map_while(Result::ok).collect::<Vec<_>>().join("\n")
    }

    /// Waits until something outside the process has come true; says what the process said where that
    /// takes too long, or the process ends first.
    #[expect(clippy::disallowed_methods, reason = "a file that another process writes gives no signal")]
    pub(crate) fn until(&mut self, what: &str, mut is_true: impl FnMut() -> bool) {
        const LONGEST: Duration = Duration::from_secs(30);
        let begun = Instant::now();
        while !is_true() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || begun.elapsed() > LONGEST {
                drop(self.child.kill());
                panic!("{what}: not after {:?}, {ended:?}\n{}", begun.elapsed(), self.rest_of_stderr());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Returns the memory that the process has for itself, its code and files apart, in KiB.
    pub(crate) fn own_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Stops a worker as a service manager does, and checks that it ends well.
    pub(crate) fn stop(self) {
        self.signal(Signal::TERM);
        assert!(self.wait().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where a `hold` task calls when it begins.
pub(crate) struct Line {
    listener: UnixListener,
    path: PathBuf,
}

impl Line {
    pub(crate) fn address(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Waits until the task has begun.
    pub(crate) fn called(&self) -> Call {
        Call(self.listener.accept().unwrap().0)
    }
}

/// A `hold` task that runs.
pub(crate) struct Call(UnixStream);

impl Call {
    /// Lets it end with this result.
    pub(crate) fn answer(mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Lets it end with this result, if it has not been killed.
    pub(crate) fn answer_if_it_lives(mut self, text: &str) {
        drop(self.0.write_all(text.as_bytes()));
    }

    /// Waits until it has hung up.
    pub(crate) fn hung_up(mut self) {
        drop(self.0.read(&mut [0]));
    }
}
