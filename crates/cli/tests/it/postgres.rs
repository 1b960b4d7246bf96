//! A database on a PostgreSQL server: the same commands, two workers, and what a server can refuse.

use celeriac_db::testing::postgres;
use serde_json::json;

use crate::support::Bed;

/// A folder whose configuration names an empty schema of the server, with a password that nobody is to see.
async fn on_server() -> Bed {
    let url = postgres::corner().await.unwrap().url.replace("postgres@", "postgres:s3cret@");
    let bed = Bed::new();
    bed.write("celeriac.toml", format!("[database]\nurl = \"{url}\"\n"));
    bed
}

#[tokio::test]
async fn shared_schema_is_changed_by_who_says_so_and_by_nobody_else() {
    let bed = on_server().await;
    for command in [&["worker"][..], &["enqueue", "greet", "Ada"], &["jobs", "list"]] {
        let refused = bed.run(command).refused(4);
        assert!(refused.contains("migrate up") && !refused.contains("s3cret"), "{refused}");
    }
    bed.ok(&["migrate", "up"]);
    assert!(bed.ok(&["migrate", "status"]).contains("m20261122_create_queue_on_postgres"));
    bed.enqueue(&["greet", "Ada"]);
}

#[tokio::test]
async fn jobs_go_through_two_workers_and_their_records_are_there() {
    let bed = on_server().await;
    bed.ok(&["migrate", "up"]);
    let (first, second) = (bed.worker(&[]), bed.worker(&[]));
    let ids: Vec<String> = (0..20).map(|_| bed.enqueue(&["greet", "Ada"])).collect();
    for id in &ids {
        bed.ok(&["jobs", "wait", id, "--timeout", "20s"]);
        assert_eq!(bed.job(id)["status"], json!("completed"));
    }
    first.stop();
    second.stop();
    bed.ok(&["queues"]);
}

#[tokio::test]
async fn doctor_finds_nothing_wrong_and_shows_no_password() {
    let bed = on_server().await;
    bed.ok(&["migrate", "up"]);
    let found = bed.ok(&["doctor"]);
    assert!(found.contains("postgres://postgres@") && !found.contains("s3cret"), "{found}");
    assert!(!bed.ok(&["config", "show"]).contains("s3cret"));
}

#[test]
fn server_that_is_not_there_is_named_with_what_to_do() {
    let bed = Bed::new();
    let url = "postgres://me:s3cret@127.0.0.1:1/shop";
    let refused = bed.run(&["queues", "--database", url, "--json"]).refused_as(4, "server_unreachable");
    let text = refused.to_string();
    assert!(text.contains("postgres://me@127.0.0.1:1/shop") && !text.contains("s3cret"), "{text}");
}
