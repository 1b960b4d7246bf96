//! One Redis or one virtual host of RabbitMQ for one test, with our binary and a real Celery on it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use celeriac_peers::Postgres;
use celeriac_peers::shared::{rabbitmq_corner, redis_corner};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Where the report is written to, a line for each test that has passed.
const REPORT: &str = "CELERIAC_TEST_INTEROP_REPORT";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the queues are, and whether results are kept in Redis or sent by the queues' own server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    Redis,
    RabbitMq,
    RedisByRpc,
    RabbitMqByRpc,
}

/// Is responsible for what one test needs.
pub(crate) struct House {
    celery: String,
    folder: TempDir,
    broker: String,
    results: String,
    python: PathBuf,
    /// What the Python process has said that it is.
    versions: std::cell::RefCell<Option<String>>,
}

/// Runs one line of the report: it passes only with a live Python process, which says what it is.
pub(crate) fn line(server: Server, celery: &str, name: &str, test: fn(&House)) {
    let house = House::new(server, celery);
    test(&house);
    let versions = house.versions.borrow().clone().expect("a Python process has taken part");
    let wanted = format!("celery {celery}.");
    assert!(versions.starts_with(&wanted), "{versions} is not Celery {celery}");
    println!("{versions}, {server:?}: {name}");
    if let Some(report) = variable(REPORT) {
        let mut file = std::fs::File::options().create(true).append(true).open(report).unwrap();
        file.write_all(format!("{versions}, {server:?}: {}\n", name.replace('_', " ")).as_bytes()).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests tells where Python is")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl House {
    fn new(server: Server, celery: &str) -> Self {
        let name = format!("CELERIAC_TEST_PYTHON_{}", celery.replace('.', "_"));
        let python = variable(&name)
            .unwrap_or_else(|| panic!("{name} is not set; `cargo xtask test interop` makes it so"));
        let (folder, redis) = (tempfile::tempdir().unwrap(), redis_corner().unwrap());
        let broker = match server {
            Server::Redis | Server::RedisByRpc => redis.clone(),
            Server::RabbitMq | Server::RabbitMqByRpc => rabbitmq_corner().unwrap(),
        };
        let results = match server {
            Server::Redis | Server::RabbitMq => redis,
            Server::RedisByRpc | Server::RabbitMqByRpc => "rpc://".to_owned(),
        };
        Self {
            celery: celery.to_owned(),
            folder,
            broker,
            results,
            python: python.into(),
            versions: None.into(),
        }
    }

    /// Says whether the Python side is of this version of Celery.
    pub(crate) fn is_celery(&self, version: &str) -> bool {
        self.celery == version
    }

    /// Returns databases for results, as Celery names them, and who is to make the table of each.
    pub(crate) fn databases(&self, server: &Postgres) -> Vec<(String, &'static str)> {
        let on_server = |name| server.url(name).replacen("postgres://", "db+postgresql+psycopg2://", 1);
        vec![
            (format!("db+sqlite:///{}", self.path("ours.db")), "us"),
            (format!("db+sqlite:///{}", self.path("theirs.db")), "python"),
            (on_server("postgres"), "us"),
            (on_server("template1"), "python"),
        ]
    }

    /// Returns where the queues are.
    pub(crate) fn broker(&self) -> &str {
        &self.broker
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str) {
        std::fs::write(self.path(name), "").unwrap();
    }

    pub(crate) fn lines_of(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns our binary, with the variables that a project with Celery has.
    fn command(&self, arguments: &[&str]) -> Command {
        let app = Path::new(env!("CARGO_BIN_EXE_celeriac")).with_file_name("examples").join("interop");
        let mut command = Command::new(app);
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("PATH", env!("PATH"));
        command.env("CELERY_BROKER_URL", &self.broker).env("CELERY_RESULT_BACKEND", &self.results);
        command.env("CELERY_TASK_TRACK_STARTED", "1").env("CELERY_RESULT_EXTENDED", "1");
        command.env("CELERIAC_BEAT__HEALTH_CHECK", "false").env("CELERIAC_BEAT__CLEANUP_OLD_JOBS", "false");
        command.stdin(Stdio::null());
        command
    }

    /// Runs our binary to its end; returns its exit code and what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let mut told = said.clone();
        let _ = write!(told, "{}", String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().unwrap_or(-1);
        (code, if code == 0 { said } else { told })
    }

    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let (code, said) = self.run(arguments);
        assert_eq!(code, 0, "{said}");
        said
    }

    /// Returns what is recorded of a job.
    pub(crate) fn job(&self, id: &str) -> Value {
        serde_json::from_str(&self.ok(&["jobs", "show", id, "--json"])).unwrap()
    }

    pub(crate) fn worker(&self, arguments: &[&str]) -> Running {
        let arguments = [&["worker", "--json"], arguments].concat();
        let mut running = Running::start(&mut self.command(&arguments));
        assert_eq!(running.next()["event"], "started");
        running
    }

    fn python_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.args(arguments).current_dir(self.folder.path());
        command.env("BROKER", &self.broker).env("RESULTS", &self.results).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop")).stdin(Stdio::null());
        command
    }

    /// Runs Python's client; the code ends with a `tell`, which is returned.
    #[track_caller]
    pub(crate) fn python(&self, code: &str) -> Value {
        self.python_with(&[], code)
    }

    /// Runs Python's client with settings that stand in the environment.
    #[track_caller]
    pub(crate) fn python_with(&self, environment: &[(&str, &str)], code: &str) -> Value {
        let code = format!("from house import *\n{code}");
        let mut command = self.python_command(&["-c", &code]);
        command.envs(environment.iter().copied());
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        self.hear(said.lines().last().expect("the code tells something"))
    }

    fn hear(&self, said: &str) -> Value {
        let mut answer: Value = serde_json::from_str(said).unwrap();
        *self.versions.borrow_mut() = answer["versions"].as_str().map(str::to_owned);
        answer["value"].take()
    }

    /// Starts Python's worker, and returns when it takes jobs.
    pub(crate) fn python_worker(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let begin = ["-m", "celery", "-A", "house", "worker", "-l", "warning", "-c", "1"];
        let mut command = self.python_command(&[&begin, arguments].concat());
        command.envs(environment.iter().copied());
        let mut running = Running::start(&mut command);
        loop {
            // Celery prints a banner before.
            let said = running.next_line();
            if said.starts_with('{') {
                assert_eq!(self.hear(&said), "ready");
                return running;
            }
        }
    }
}

/// Waits until something is so.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "neither a Python process nor Redis gives a signal here")]
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A worker, which is ended with the test.
pub(crate) struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdout }
    }

    fn next_line(&mut self) -> String {
        self.stdout.next().expect("the worker still runs").unwrap()
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_line()).unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it as a service manager does.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
