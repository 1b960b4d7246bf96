//! The servers start, answer, and come back after a crash with what they had.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]
use std::process::Command;

use celeriac_peers::{Postgres, RabbitMq, Redis, shared};

fn psql(url: &str, text: &str) -> String {
    let output = Command::new("psql").args(["--no-psqlrc", "-At", "-c", text, url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn redis_cli(url: &str, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-u", url]).args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn postgres_comes_back_after_a_kill_with_what_it_had() {
    let mut server = Postgres::start().unwrap();
    let url = server.url("postgres");
    psql(&url, "create table kept as select 7 as seven");
    server.kill();
    server.restart().unwrap();
    assert_eq!(psql(&url, "select seven from kept"), "7");
}

#[test]
fn redis_comes_back_after_a_kill_with_what_it_had() {
    let mut server = Redis::start().unwrap();
    let url = server.url(3);
    assert_eq!(redis_cli(&url, &["set", "kept", "7"]), "OK");
    server.kill();
    server.restart().unwrap();
    assert_eq!(redis_cli(&url, &["get", "kept"]), "7");
}

#[test]
fn each_test_has_a_corner_of_redis_that_is_started_where_nobody_has() {
    let (one, other) = (shared::redis_corner().unwrap(), shared::redis_corner().unwrap());
    assert_ne!(one, other);
    assert_eq!(redis_cli(&one, &["set", "a", "1"]), "OK");
    assert_eq!(redis_cli(&other, &["dbsize"]), "0");
}

#[test]
fn whoever_runs_the_tests_tells_them_of_the_servers_by_the_environment() {
    let servers = shared::Shared::start().unwrap();
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "finds_what_the_environment_names", "--ignored"]).envs(servers.variables());
    assert!(test.status().unwrap().success());
}

#[test]
#[ignore = "is a process that another test starts"]
#[expect(clippy::disallowed_methods, reason = "the environment is what it tests")]
fn finds_what_the_environment_names() {
    assert_eq!(psql(&shared::postgres_url("postgres").unwrap(), "select 1"), "1");
    assert_ne!(shared::rabbitmq_corner().unwrap(), shared::rabbitmq_corner().unwrap());
    let told = std::env::var("CELERIAC_TEST_REDIS").unwrap();
    assert!(shared::redis_corner().unwrap().starts_with(&told));
}

#[test]
fn rabbitmq_starts_stops_and_leaves_nothing_behind() {
    let mut server = RabbitMq::start().unwrap();
    let url = server.url("/");
    assert!(url.ends_with("/%2F"), "{url}");
    server.stop();
    server.restart().unwrap();
}
