//! RabbitMQ.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::{PeerError, TlsFiles};

const SERVER: &str = "RabbitMQ";

/// Where Debian keeps its programs; what lies on the path insists on a user of its own.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// How long its management API may take for an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How often its name service is told to end, 20 ms apart.
const NAMES_TRIES: u32 = 100;

/// Is responsible for a RabbitMQ server of its own, with its management API and its own name service.
#[derive(Debug)]
pub struct RabbitMq {
    process: Process,
    ports: Ports,
    folder: TempDir,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    management: u16,
    distribution: u16,
    /// Erlang's name service, which would outlive it at its usual port.
    names: u16,
    tls: Option<u16>,
}

impl RabbitMq {
    /// Starts it. That takes ten seconds or so.
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
        Path::new(PROGRAM).is_file()
    }

    /// Starts it without waiting until it is ready.
    ///
    /// # Errors
    /// It is not installed.
    pub fn begin() -> Result<Self, PeerError> {
        Self::begin_with(None, "")
    }

    /// Starts one with more lines in its configuration.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start_with(settings: &str) -> Result<Self, PeerError> {
        let mut server = Self::begin_with(None, settings)?;
        server.wait()?;
        Ok(server)
    }

    /// Starts one that also speaks TLS, with clients that show a certificate of `files.authority`.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start_with_tls(files: TlsFiles<'_>) -> Result<Self, PeerError> {
        let mut server = Self::begin_with(Some(files), "")?;
        server.wait()?;
        Ok(server)
    }

    fn begin_with(files: Option<TlsFiles<'_>>, settings: &str) -> Result<Self, PeerError> {
        let fail = |action| move |source| PeerError::System { server: SERVER, action, source };
        if !Self::is_installed() {
            return Err(PeerError::NotInstalled { server: SERVER, program: "rabbitmq-server" });
        }
        let folder = tempfile::tempdir().map_err(fail("make its folder"))?;
        let port = || free_port().map_err(fail("find a port"));
        let tls = files.map(|_| port()).transpose()?;
        let ports = Ports { amqp: port()?, management: port()?, distribution: port()?, names: port()?, tls };
        configure(folder.path(), ports, files, settings).map_err(fail("write its configuration"))?;
        let process = serve(folder.path(), ports)?;
        Ok(Self { process, ports, folder })
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// It ends, or takes too long.
    pub fn wait(&mut self) -> Result<(), PeerError> {
        let ports = self.ports;
        self.process.wait_until(|| {
            speaks_amqp(ports.amqp) && TcpStream::connect(("127.0.0.1", ports.management)).is_ok()
        })
    }

    /// Returns where a virtual host of it lies; `/` is always there.
    pub fn url(&self, vhost: &str) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/{}", self.ports.amqp, vhost.replace('/', "%2F"))
    }

    /// Returns where a virtual host of it lies by TLS; `None` for one that does not speak it.
    pub fn tls_url(&self, vhost: &str) -> Option<String> {
        let port = self.ports.tls?;
        Some(format!("amqps://guest:guest@127.0.0.1:{port}/{}", vhost.replace('/', "%2F")))
    }

    /// Returns where its management API lies, with a user.
    pub fn management_url(&self) -> String {
        format!("http://guest:guest@127.0.0.1:{}", self.ports.management)
    }

    /// Asks its management API, and returns the JSON that it answers with.
    ///
    /// # Errors
    /// It does not answer in time, or refuses.
    pub fn ask_management(&self, path: &str) -> Result<String, PeerError> {
        let request = ureq::get(format!("{}{path}", self.management_url()));
        let answer = request.config().timeout_global(Some(ANSWERS_WITHIN)).build().call();
        let answer = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        answer.map_err(|error| PeerError::Refused {
            server: SERVER,
            action: "ask the management API",
            told: error.to_string(),
        })
    }

    /// Returns its process id, by which the system tells what it and what it has started use.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
        self.stop_names();
    }

    /// Stops it in order.
    pub fn stop(&mut self) {
        self.process.stop(Signal::TERM);
        self.stop_names();
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
        self.process = serve(self.folder.path(), self.ports)?;
        self.wait()
    }

    /// Ends Erlang's name service, which goes on by itself. It refuses until it has noticed that its node is gone.
    #[expect(clippy::disallowed_methods, reason = "it gives no signal when it has noticed")]
    fn stop_names(&self) {
        let port = self.ports.names;
        for _ in 0..NAMES_TRIES {
            if TcpStream::connect(("127.0.0.1", port)).is_err() {
                return;
            }
            let mut epmd = Command::new("epmd");
            epmd.args(["-port", &port.to_string(), "-kill"]);
            epmd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
    }
}

fn configure(folder: &Path, ports: Ports, files: Option<TlsFiles<'_>>, more: &str) -> std::io::Result<()> {
    let Ports { amqp, management, .. } = ports;
    let mut settings = format!(
        "listeners.tcp.default = 127.0.0.1:{amqp}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {management}\n\
         log.console.level = warning\n\
         disk_free_limit.absolute = 50MB\n\
         {more}\n"
    );
    if let (Some(TlsFiles { authority, certificate, key }), Some(port)) = (files, ports.tls) {
        settings += &format!(
            "listeners.ssl.default = 127.0.0.1:{port}\n\
             ssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\n\
             ssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\n",
            authority.display(),
            certificate.display(),
            key.display(),
        );
    }
    std::fs::write(folder.join("rabbitmq.conf"), settings)?;
    std::fs::write(folder.join("enabled_plugins"), "[rabbitmq_management].\n")
}

fn serve(folder: &Path, ports: Ports) -> Result<Process, PeerError> {
    let at = |name: &str| -> PathBuf { folder.join(name) };
    Process::start(SERVER, Path::new(PROGRAM), None, at("rabbitmq.log"), |command| {
        command.current_dir(folder).env("HOME", folder).env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        command.env("RABBITMQ_NODENAME", format!("celeriac-{}@localhost", ports.amqp));
        command.env("RABBITMQ_DIST_PORT", ports.distribution.to_string());
        command.env("ERL_EPMD_PORT", ports.names.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_MNESIA_BASE", at("data")).env("RABBITMQ_LOG_BASE", at("log"));
        command.env("RABBITMQ_LOGS", "-").env("RABBITMQ_PID_FILE", at("pid"));
        command.env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"));
        // Two schedulers are enough for tests, and it starts sooner with them.
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none");
    })
}

/// Says hello in AMQP 0-9-1; a server that is ready answers with its first method.
fn speaks_amqp(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(Duration::from_secs(2)))?;
        connection.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut frame_type = [0; 1];
        connection.read_exact(&mut frame_type)?;
        Ok(frame_type == [1])
    };
    ask().unwrap_or(false)
}

/// Makes a virtual host in which `guest` may do everything.
pub(crate) fn make_vhost(management: &str, name: &str) -> Result<(), PeerError> {
    put(management, &format!("/api/vhosts/{name}"), "{}")?;
    let everything = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
    put(management, &format!("/api/permissions/{name}/guest"), everything)
}

fn put(management: &str, path: &str, body: &str) -> Result<(), PeerError> {
    let answer = ureq::put(format!("{management}{path}")).content_type("application/json").send(body);
    let refused = |error: ureq::Error| PeerError::Refused {
        server: SERVER,
        action: "make a virtual host",
        told: error.to_string(),
    };
    answer.map(drop).map_err(refused)
}
