//! `server` and `up`: what serves API and dashboard.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{Bed, Running};

/// Starts a command that serves at a free port, and returns it with its address once it serves.
fn serving(bed: &Bed, arguments: &[&str]) -> (Running, String) {
    let line: Vec<&str> = arguments.iter().copied().chain(["--listen", "0", "--json"]).collect();
    let mut running = Running::start(&mut bed.command(&line));
    loop {
        let said = running.next_json();
        assert_eq!(said["event"], "started", "{said}");
        if let Some(address) = said["address"].as_str() {
            assert_eq!(said["url"], format!("http://{address}"));
            return (running, address.to_owned());
        }
    }
}

/// Asks for a path and returns status line and body.
fn get(address: &str, path: &str) -> (String, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
}

#[test]
fn server_serves_at_the_address_that_it_names_until_it_is_stopped() {
    let bed = Bed::new();
    let (running, address) = serving(&bed, &["server"]);
    let (status, version) = get(&address, "/api/v1/version");
    assert_eq!((status.as_str(), &version["app"]), ("HTTP/1.1 200 OK", &"testbed".into()));
    assert_eq!(get(&address, "/health/ready").1["status"], "ok");
    running.stop();
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn up_serves_and_runs_jobs() {
    let bed = Bed::new();
    let (running, address) = serving(&bed, &["up", "-Q", "celery,math"]);
    assert_eq!(get(&address, "/health/live").1["status"], "ok");
    let id = bed.enqueue(&["greet", "Ada"]);
    bed.ok(&["jobs", "wait", &id, "--timeout", "20s"]);
    running.stop();
}

#[test]
fn an_address_that_somebody_has_is_refused_with_a_way_out() {
    let bed = Bed::new();
    let (running, address) = serving(&bed, &["server"]);
    let refused = bed.run(&["server", "--listen", &address, "--json"]).refused_as(4, "address_in_use");
    assert!(refused["hint"].as_str().unwrap().contains("--listen"), "{refused}");
    running.stop();
}

#[test]
fn nobody_serves_to_others_without_a_login() {
    let bed = Bed::new();
    let open = ["server", "--listen", "0.0.0.0:0", "--set", "http.login=off_loopback", "--json"];
    let refused = bed.run(&open).refused_as(2, "config_invalid_value");
    assert!(refused["causes"][0].as_str().unwrap().contains("this machine alone"), "{refused}");
    let misspelt =
        bed.run(&["server", "--set", "http.lissen=1", "--json"]).refused_as(2, "config_unknown_key");
    assert!(misspelt["hint"].as_str().unwrap().contains("http.listen"), "{misspelt}");
}
