//! The example that runs within a web server, used and stopped as one would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use celeriac::{App, Embedded, JobId, JobStatus};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::example;

/// How long anything may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

/// A server that ends with its test.
struct Shop {
    process: Child,
    address: String,
}

impl Shop {
    /// Starts one on a free port; it serves when this returns.
    fn open(folder: &Path) -> Self {
        let process = example("embedded", folder, "127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
        let mut shop = Self { process, address: String::new() };
        let mut said = String::new();
        BufReader::new(shop.process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        shop.address = said.trim().strip_prefix("http://").unwrap().to_owned();
        shop
    }

    /// Sends one request and returns the status and the body.
    fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// Asks until the answer says so.
    #[expect(clippy::disallowed_methods, reason = "what another process does gives no signal")]
    fn wait_for(&self, path: &str, status: &str) -> Value {
        let begun = Instant::now();
        loop {
            let (_, told) = self.ask("GET", path);
            if told["status"] == status {
                return told;
            }
            assert!(begun.elapsed() < LONGEST, "{path} is {told}, not {status}");
        }
    }

    fn order(&self, item: &str) -> (Value, JobId) {
        let (status, told) = self.ask("POST", &format!("/order/{item}"));
        assert_eq!(status, 200, "{told}");
        (told["order"].clone(), JobId::parse(told["job"].as_str().unwrap()).unwrap())
    }

    /// Sends SIGTERM and waits for the end.
    fn terminate(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        self.process.wait().unwrap()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn a_web_server_enqueues_jobs_that_run_within_it_and_moves_its_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path());
    let (order, job) = shop.order("teapot");
    let done = shop.wait_for(&format!("/jobs/{job}"), "completed");
    assert_eq!(done["result"], format!("invoice of order {order}, 1 pages"));
    let shipped = shop.wait_for(&format!("/orders/{order}"), "shipped");
    assert_eq!(shipped["item"], "teapot");
    assert_eq!(shop.ask("GET", "/orders/77").0, 404);
    assert!(shop.terminate().success());
}

#[tokio::test]
async fn stopped_by_sigterm_it_lets_a_running_job_finish_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path());
    let (_, job) = shop.order("atlas");
    shop.wait_for(&format!("/jobs/{job}"), "running");
    assert!(shop.terminate().success());
    assert!(!folder.path().join("celeriac.db-wal").exists(), "the database was closed last");
    let database = folder.path().join("celeriac.db");
    let reader = Embedded::new(App::new("reader")).without_worker().without_scheduler();
    let reader = reader.set("database.url", database.display()).start().await.unwrap();
    let ended = reader.client().snapshot(&job).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.attempt), (JobStatus::Completed, 1));
    reader.shutdown().await.unwrap();
}
