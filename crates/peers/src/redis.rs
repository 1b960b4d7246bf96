//! Redis.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, free_port, on_path};
use crate::{PeerError, TlsFiles};

const SERVER: &str = "Redis";

/// How many databases it has, so that each test may take one for itself.
pub(crate) const DATABASES: u32 = 4_096;

/// How long it may take to answer a line.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// The name of its Unix socket, in its folder.
const SOCKET: &str = "redis.sock";

/// Is responsible for a Redis server of its own. It appends every write to a file before it answers, so that
/// it comes back with everything after a kill.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Redis {
    /// Starts it.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self, PeerError> {
        let mut server = Self::begin()?;
        server.wait()?;
        Ok(server)
    }

    /// Says whether its programs are there.
    pub fn is_installed() -> bool {
        on_path(SERVER, "redis-server").is_ok()
    }

    /// Starts it without waiting until it is ready.
    ///
    /// # Errors
    /// It is not installed.
    pub fn begin() -> Result<Self, PeerError> {
        Self::begin_as(Keeps::Everything)
    }

    fn begin_as(keeps: Keeps) -> Result<Self, PeerError> {
        let fail = |action| move |source| PeerError::System { server: SERVER, action, source };
        let folder = tempfile::tempdir().map_err(fail("make its folder"))?;
        let port = free_port().map_err(fail("find a port"))?;
        let process = serve(folder.path(), port, keeps)?;
        Ok(Self { process, port, folder })
    }

    /// Starts one that lives as long as this process, keeps nothing, and leaves nothing behind.
    ///
    /// Returns where it is, without a database.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub(crate) fn start_for_this_process() -> Result<String, PeerError> {
        let fail = |action| move |source| PeerError::System { server: SERVER, action, source };
        let (tell, hear) = std::sync::mpsc::channel();
        // The kernel ends a server with the thread that started it, so this one goes on until the process ends.
        let keep = move || {
            let started =
                Self::begin_as(Keeps::Nothing).and_then(|mut server| server.wait().map(|()| server));
            match started {
                Ok(Self { process, port, folder }) => {
                    // It writes no file, so it needs its folder no more, which nobody would remove at the end.
                    drop(folder);
                    tell.send(Ok(format!("redis://127.0.0.1:{port}"))).ok();
                    let _process = process;
                    loop {
                        std::thread::park();
                    }
                }
                Err(error) => tell.send(Err(error)).ok(),
            };
        };
        std::thread::Builder::new().spawn(keep).map_err(fail("start a thread"))?;
        hear.recv().map_err(|source| fail("hear of it")(std::io::Error::other(source)))?
    }

    /// Starts one that follows another and has its data, until somebody makes it a master.
    ///
    /// # Errors
    /// It does not start, or the other does not let it follow.
    pub fn start_replica_of(master: &Self) -> Result<Self, PeerError> {
        let replica = Self::start()?;
        replica.command(&format!("REPLICAOF 127.0.0.1 {}", master.port), "follow another")?;
        replica.until_synced()
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It ends, or takes too long.
    pub fn wait(&mut self) -> Result<(), PeerError> {
        let (port, process) = (self.port, self.process.id());
        self.process.wait_until(|| answers(port, process))
    }

    /// Returns where one of its databases lies.
    pub fn url(&self, database: u32) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    /// Returns its process id, by which the system tells what it uses.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns where one of its databases lies, by its Unix socket, as Celery writes it.
    pub fn socket_url(&self, database: u32) -> String {
        format!("redis+socket://{}?virtual_host={database}", self.folder.path().join(SOCKET).display())
    }

    /// Sets one of its settings, as an operator would.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn configure(&self, setting: &str, value: &str) -> Result<(), PeerError> {
        self.command(&format!("CONFIG SET {setting} \"{value}\""), "change a setting")
    }

    /// Lets it speak TLS, too, with clients that show a certificate of `files.authority`, and returns where.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn speak_tls(&self, files: TlsFiles<'_>) -> Result<String, PeerError> {
        let fail = |source| PeerError::System { server: SERVER, action: "find a port", source };
        let port = free_port().map_err(fail)?;
        let TlsFiles { authority, certificate, key } = files;
        let settings = [("ca-cert-file", authority), ("cert-file", certificate), ("key-file", key)];
        let settings = settings.map(|(name, path)| format!("tls-{name} \"{}\"", path.display())).join(" ");
        self.command(&format!("CONFIG SET {settings} tls-port {port}"), "speak TLS")?;
        Ok(format!("rediss://127.0.0.1:{port}"))
    }

    fn command(&self, line: &str, action: &'static str) -> Result<(), PeerError> {
        let answer = ask(&format!("127.0.0.1:{}", self.port), line);
        let answer = answer.map_err(|source| PeerError::System { server: SERVER, action, source })?;
        if answer == "+OK" {
            return Ok(());
        }
        Err(PeerError::Refused { server: SERVER, action, told: answer })
    }

    /// Waits until it has what its master has.
    fn until_synced(mut self) -> Result<Self, PeerError> {
        let port = self.port;
        self.process.wait_until(|| {
            let role = ask_whole(&format!("127.0.0.1:{port}"), "INFO replication").unwrap_or_default();
            role.contains("master_link_status:up")
        })?;
        Ok(self)
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops it in order.
    pub fn stop(&mut self) {
        self.process.stop(Signal::TERM);
    }

    /// Lets it hold its breath: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it again where it was, after [`kill`](Self::kill) or [`stop`](Self::stop).
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<(), PeerError> {
        self.process = serve(self.folder.path(), self.port, Keeps::Everything)?;
        self.wait()
    }
}

/// Is responsible for a sentinel that watches over one master and makes its replica one in its place.
#[derive(Debug)]
pub struct Sentinel {
    process: Process,
    port: u16,
    _folder: TempDir,
}

/// What its sentinel calls the master.
pub const MASTER: &str = "jobs";

impl Sentinel {
    /// Starts it, to watch over `master`, whose replica it knows once the master tells of it. It gives a master up that
    /// has been silent for half a second.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(master: &Redis) -> Result<Self, PeerError> {
        let fail = |action| move |source| PeerError::System { server: SERVER, action, source };
        let folder = tempfile::tempdir().map_err(fail("make its folder"))?;
        let port = free_port().map_err(fail("find a port"))?;
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {MASTER} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 2000\n",
            master.port
        );
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, settings).map_err(fail("write its settings"))?;
        let program = on_path(SERVER, "redis-server")?;
        let log = folder.path().join("sentinel.log");
        let mut process = Process::start(SERVER, &program, None, log, |command| {
            command.current_dir(folder.path()).arg(&file).arg("--sentinel");
        })?;
        process.wait_until(|| {
            let known = ask_whole(&format!("127.0.0.1:{port}"), "INFO sentinel").unwrap_or_default();
            known.contains("status=ok") && known.contains("slaves=1")
        })?;
        Ok(Self { process, port, _folder: folder })
    }

    /// Returns where the master is to be asked for, as Celery writes it; the first of the two never answers.
    pub fn url(&self, database: u32) -> String {
        format!("sentinel://127.0.0.1:1;sentinel://127.0.0.1:{}/{database}", self.port)
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// What a server writes to files.
#[derive(Clone, Copy, Debug)]
enum Keeps {
    /// Each write, before it answers.
    Everything,
    /// None.
    Nothing,
}

fn serve(folder: &Path, port: u16, keeps: Keeps) -> Result<Process, PeerError> {
    let program = on_path(SERVER, "redis-server")?;
    Process::start(SERVER, &program, None, folder.join("redis.log"), |command| {
        command.current_dir(folder).args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--dir", ".", "--save", ""]);
        match keeps {
            Keeps::Everything => command.args(["--appendonly", "yes", "--unixsocket", SOCKET]),
            Keeps::Nothing => command.args(["--appendonly", "no"]),
        };
        command.args(["--databases", &DATABASES.to_string()]);
    })
}

/// Asks for a sign of life; a server that still loads its file says something else.
///
/// It must be this process that answers: another may have got the port first, and would be gone without a word.
fn answers(port: u16, process: u32) -> bool {
    let address = format!("127.0.0.1:{port}");
    let is_it = |told: String| told.lines().any(|line| line == format!("process_id:{process}"));
    ask_whole(&address, "INFO server").is_ok_and(is_it)
        && ask(&address, "PING").is_ok_and(|answer| answer == "+PONG")
}

/// Takes the next database that nobody has had; the first one holds the count.
pub(crate) fn next_database(address: &str) -> std::io::Result<u32> {
    let answer = ask(address, "INCR celeriac-test-databases")?;
    let number = answer.strip_prefix(':').and_then(|number| number.parse::<u32>().ok());
    number.filter(|number| *number < DATABASES).ok_or_else(|| std::io::Error::other(answer))
}

/// Sends one line and returns the whole of a long answer.
fn ask_whole(address: &str, line: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(ANSWERS_WITHIN))?;
    connection.write_all(format!("{line}\r\n").as_bytes())?;
    let mut reader = BufReader::new(connection);
    let mut length = String::new();
    reader.read_line(&mut length)?;
    let length = length.trim_end().trim_start_matches('$').parse::<usize>().map_err(std::io::Error::other)?;
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    String::from_utf8(answer).map_err(std::io::Error::other)
}

/// Sends one line and returns the first of the answer.
fn ask(address: &str, line: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(ANSWERS_WITHIN))?;
    connection.write_all(format!("{line}\r\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(connection).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}
