//! What the app can run, as it tells.

use insta::assert_snapshot;

use crate::support::Bed;

#[test]
fn tasks_are_listed_and_described() {
    let bed = Bed::new();
    assert_snapshot!(bed.ok(&["tasks", "--module", "math"]), @"math.add	<x> [y]	math	math	Adds two numbers.");
    let described = bed.ok(&["tasks", "silent"]);
    // The line in the source moves as the test's app grows.
    let described: Vec<&str> = described.lines().filter(|line| !line.contains("defined at")).collect();
    assert_snapshot!(described.join("\n"), @r#"
    silent
      Leaves no record.
      module       slow
      queue        celery
      priority     not said: the middle, in Redis and RabbitMQ the last
      retries      3, 1m apart
      soft limit   none
      delivery     at most once
      recorded     nothing
      job type     silent
    "#);
    let described = bed.json(&["tasks", "math.add"]).remove(0);
    assert_eq!(described["params"][1], serde_json::json!({"name": "y", "type": "i64", "required": false}));
    assert_eq!(described["priority"], 7);
    assert!(described["defined_at"].as_str().unwrap().contains("testbed.rs:"));
}

#[test]
fn an_alias_finds_its_task_and_a_slip_is_corrected() {
    let bed = Bed::new();
    assert_eq!(bed.json(&["tasks", "old.greet"])[0]["name"], "greet");
    for (given, hint) in [
        ("math.ad", "did you mean `math.add`?"),
        ("add", "did you mean `math.add`?"),
        ("zzzzzz", "there is: fail, greet, old.greet, hold, math.add, order, silent"),
    ] {
        let error = bed.run(&["tasks", given, "--json"]).refused_as(3, "unknown_task");
        assert_eq!(error["hint"], hint);
    }
    let stderr = bed.run(&["tasks", "--module", "maths"]).refused(2);
    assert!(
        stderr.contains("no task belongs to it (there are: celeriac.house, main, math, slow)"),
        "{stderr}"
    );
}
