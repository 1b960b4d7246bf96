//! The API, walked by a client over a socket.

use celeriac_engine::{Registry, TaskError, task};
use celeriac_protocol::JobId;
use hyper::Method;
use serde_json::{Value, json};

use crate::house::{Answer, House};

#[task(crate = celeriac_engine, name = "greet", aliases("old.greet"))]
async fn greet(name: String, times: Option<u32>) -> Result<String, TaskError> {
    Ok(name.repeat(times.unwrap_or(1) as usize))
}

#[task(crate = celeriac_engine, name = "scrape_account", queue = "scraping", job_type = "scrape_account")]
async fn scrape_account(account_key: String) -> Result<String, TaskError> {
    Ok(account_key)
}

async fn house() -> House {
    House::new(Registry::builder().task::<greet>().task::<scrape_account>().build().unwrap()).await
}

async fn enqueue(house: &House, name: &str) -> String {
    let made = house.post("/api/v1/jobs", &json!({ "task": "greet", "args": [name] })).await.ok(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn with_key(house: &House, key: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    house.ask(Method::POST, "/api/v1/jobs", &headers, &body.to_string()).await
}

#[tokio::test]
async fn a_job_can_be_read_at_once_and_goes_through_its_life() {
    let house = house().await;
    let body = json!({ "task": "greet", "kwargs": { "name": "Ada" }, "priority": 7, "job_type": "hello" });
    let made = house.post("/api/v1/jobs", &body).await;
    let id = made.ok(201)["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/jobs/{id}"));
    let job = house.get(&format!("/api/v1/jobs/{id}")).await.ok(200);
    assert_eq!((&job["status"], &job["kwargs"]), (&"pending".into(), &json!({ "name": "Ada" })));
    assert_eq!((&job["priority"], &job["job_type"]), (&7.into(), &"hello".into()));
    assert_eq!(job["message"]["state"], "ready");
    let of = async |method: Method, rest: &str| {
        house.ask(method, &format!("/api/v1/jobs/{id}{rest}"), &[], "").await
    };
    of(Method::DELETE, "").await.refused(409, "job_state");
    of(Method::POST, "/retry").await.refused(409, "job_state");
    let cancelled = of(Method::POST, "/cancel").await.ok(200);
    assert_eq!((&cancelled["outcome"], &cancelled["status"]), (&"cancelled".into(), &"cancelled".into()));
    assert_eq!(of(Method::GET, "").await.ok(200)["cancel_reason"], "cancelled by loopback");
    of(Method::POST, "/cancel").await.refused(409, "job_state");
    let retried = of(Method::POST, "/retry").await.ok(200);
    assert_eq!(retried["outcome"], "copied");
    assert_ne!(retried["runs_as"], retried["id"]);
    assert_eq!(of(Method::DELETE, "").await.status, 204);
    of(Method::GET, "").await.refused(404, "unknown_job");
    house.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged_by_cursor() {
    let house = house().await;
    let mut made = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        made.push(enqueue(&house, name).await);
    }
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = house.get("/api/v1/jobs?limit=2&task=greet&status=pending").await.ok(200);
    let next = first["next"].as_str().unwrap();
    let second = house.get(&format!("/api/v1/jobs?limit=3&cursor={next}")).await.ok(200);
    let found: Vec<String> = ids(&first).into_iter().chain(ids(&second)).collect();
    made.reverse();
    assert_eq!((found, &second["next"]), (made, &Value::Null));
    assert!(ids(&house.get("/api/v1/jobs?status=dead").await.ok(200)).is_empty());
    assert_eq!(ids(&house.get("/api/v1/jobs?status=open&since=1h").await.ok(200)).len(), 5);
    let refused = async |query: &str, field: &str| {
        let problem = house.get(&format!("/api/v1/jobs?{query}")).await.refused(400, "invalid_request");
        assert_eq!(problem["field"], field);
        problem
    };
    refused("limit=0", "limit").await;
    refused("limit=1001", "limit").await;
    refused("status=weird", "status").await;
    refused("since=tomorrow", "since").await;
    assert_eq!(refused("taks=greet", "taks").await["hint"], "did you mean `task`?");
    house.stop().await;
}

#[tokio::test]
async fn what_cant_be_enqueued_is_refused_and_nothing_is_added() {
    let house = house().await;
    let refused = async |body: Value, status: u16, code: &str| {
        house.post("/api/v1/jobs", &body).await.refused(status, code)
    };
    let problem = refused(json!({ "task": "gret" }), 404, "unknown_task").await;
    assert!(problem["hint"].as_str().unwrap().contains("`greet`"), "{problem}");
    let problem = refused(json!({ "task": "greet" }), 422, "invalid_arguments").await;
    assert!(problem["hint"].as_str().unwrap().contains("<name: String>"), "{problem}");
    assert_eq!(refused(json!({ "task": 1 }), 400, "invalid_request").await["field"], "task");
    assert_eq!(refused(json!({ "tsak": "greet" }), 400, "invalid_request").await["field"], "tsak");
    refused(json!({ "task": "greet", "args": ["a"], "priority": 11 }), 422, "invalid_arguments").await;
    refused(json!({ "task": "greet", "args": { "a": 1 } }), 400, "invalid_request").await;
    let plain = house.ask(Method::POST, "/api/v1/jobs", &[("content-type", "text/plain")], "{}").await;
    plain.refused(415, "unsupported_media_type");
    let json = [("content-type", "application/json")];
    house.ask(Method::POST, "/api/v1/jobs", &json, "{").await.refused(400, "invalid_request");
    let many = json!({ "jobs": [{ "task": "greet", "args": ["a"] }, { "task": "nothing" }] });
    assert_eq!(house.post("/api/v1/jobs/many", &many).await.refused(404, "unknown_task")["field"], "jobs[1]");
    house.post("/api/v1/jobs/many", &json!({ "jobs": [] })).await.refused(400, "invalid_request");
    assert_eq!(house.get("/api/v1/jobs").await.ok(200)["items"], json!([]));
    house.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let house = House::with(Registry::default(), |options| options.body_bytes_max = 1024).await;
    let body = json!({ "task": "a".repeat(2_000) });
    house.post("/api/v1/jobs", &body).await.refused(413, "body_too_large");
    house.stop().await;
}

#[tokio::test]
async fn many_jobs_are_enqueued_together() {
    let house = house().await;
    let body =
        json!({ "jobs": [{ "task": "greet", "args": ["a"] }, { "task": "old.greet", "args": ["b"] }] });
    let made = house.post("/api/v1/jobs/many", &body).await.ok(201);
    assert_eq!(made["items"].as_array().unwrap().len(), 2);
    assert_eq!(house.get("/api/v1/jobs").await.ok(200)["items"].as_array().unwrap().len(), 2);
    let headers = [("content-type", "application/json"), ("idempotency-key", "batch")];
    let mut first = Vec::new();
    for duplicate in [false, true] {
        let made = house.ask(Method::POST, "/api/v1/jobs/many", &headers, &body.to_string()).await.ok(201);
        let items = made["items"].as_array().unwrap().clone();
        assert!(items.iter().all(|item| item["duplicate"] == duplicate), "{made}");
        let ids: Vec<Value> = items.iter().map(|item| item["id"].clone()).collect();
        first.push(ids);
    }
    assert_eq!(first[0], first[1]);
    house.stop().await;
}

#[tokio::test]
async fn the_same_key_is_answered_with_the_same_job_and_refused_for_another() {
    let house = house().await;
    let body = json!({ "task": "greet", "args": ["Ada"] });
    let first = with_key(&house, "k1", &body).await.ok(201);
    let again = with_key(&house, "k1", &body).await.ok(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &true.into()));
    let other = json!({ "task": "greet", "args": ["Bob"] });
    assert_eq!(
        with_key(&house, "k1", &other).await.refused(409, "idempotency_conflict")["field"],
        "idempotency-key"
    );
    assert_ne!(with_key(&house, "k2", &body).await.ok(201)["id"], first["id"]);
    with_key(&house, &"k".repeat(201), &body).await.refused(400, "invalid_request");
    house.stop().await;
}

#[tokio::test]
async fn tasks_tell_their_parameters() {
    let house = house().await;
    let tasks = house.get("/api/v1/tasks").await.ok(200);
    let names: Vec<&Value> = tasks["items"].as_array().unwrap().iter().map(|task| &task["name"]).collect();
    assert_eq!(names, ["greet", "scrape_account"]);
    let task = house.get("/api/v1/tasks/old.greet").await.ok(200);
    assert_eq!(task["params"][0], json!({ "name": "name", "type": "String", "required": true }));
    house.get("/api/v1/tasks/gret").await.refused(404, "unknown_task");
    house.stop().await;
}

#[tokio::test]
async fn queues_pause_and_resume() {
    let house = house().await;
    enqueue(&house, "Ada").await;
    let post = async |path: &str| house.ask(Method::POST, path, &[], "").await;
    assert_eq!(post("/api/v1/queues/celery/pause").await.ok(200)["paused"], true);
    let queues = house.get("/api/v1/queues").await.ok(200);
    assert_eq!(queues["items"][0]["ready"], 1);
    assert!(queues["items"][0]["paused_at"].is_string());
    assert_eq!(post("/api/v1/queues/celery/resume").await.ok(200)["paused"], false);
    post("/api/v1/queues/celeri/pause").await.refused(404, "unknown_queue");
    post("/api/v1/queues/celeri/resume").await.refused(404, "unknown_queue");
    post("/api/v1/queues/other/pause?force=true").await.ok(200);
    house.stop().await;
}

#[tokio::test]
async fn dead_letters_are_empty_at_first() {
    let house = house().await;
    assert_eq!(house.get("/api/v1/dead-letters").await.ok(200), json!({ "items": [], "next": null }));
    house.get("/api/v1/dead-letters/nothing").await.refused(404, "unknown_dead_letter");
    let retried = house.ask(Method::POST, "/api/v1/dead-letters/nothing/retry", &[], "").await;
    retried.refused(404, "unknown_dead_letter");
    house.stop().await;
}

#[tokio::test]
async fn the_collectors_routes_speak_its_words() {
    let house = house().await;
    let begun = house.ask(Method::POST, "/api/jobs/scrape-account/abc", &[], "").await.ok(202);
    let id = begun["job_id"].as_str().unwrap().to_owned();
    assert_eq!(begun["status"], "pending");
    let job = house.get(&format!("/api/jobs/{id}")).await.ok(200);
    assert_eq!((&job["job_type"], &job["account_key"]), (&"scrape_account".into(), &"abc".into()));
    let body = json!({ "account_key": "xyz" });
    house.post("/api/run-scraper", &body).await.ok(202);
    house.ask(Method::POST, "/api/jobs/scrape-all", &[], "").await.refused(404, "unknown_task");
    assert_eq!(house.get("/api/jobs?account_key=abc").await.ok(200)["items"][0]["job_id"], id);
    let path = format!("/api/jobs/{id}");
    house.ask(Method::DELETE, &path, &[], "").await.refused(409, "job_state");
    let cancelled = house.ask(Method::POST, &format!("{path}/cancel"), &[], "").await.ok(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(house.ask(Method::DELETE, &path, &[], "").await.status, 204);
    house.stop().await;
}

#[tokio::test]
async fn a_tasks_status_is_told_in_celerys_words() {
    let house = house().await;
    let of = async |id: &str| house.get(&format!("/tasks/{id}/status")).await.ok(200);
    let unknown = json!({ "task_id": "nobody", "status": "PENDING", "result": null, "error": null });
    assert_eq!(of("nobody").await, unknown);
    let id = enqueue(&house, "Ada").await;
    assert_eq!(of(&id).await["status"], "PENDING");
    house.state.client().cancel(&JobId::parse(&id).unwrap(), "no more").await.unwrap();
    let revoked = of(&id).await;
    assert_eq!((&revoked["status"], &revoked["error"]["message"]), (&"REVOKED".into(), &"no more".into()));
    house.stop().await;
}

#[tokio::test]
async fn the_description_names_every_route() {
    let house = house().await;
    let document = house.get("/api/v1/openapi.json").await.ok(200);
    assert_eq!(document["paths"]["/api/v1/jobs"]["get"]["operationId"], "list_jobs");
    for route in celeriac_server::routes().list().iter().filter(|route| route.described) {
        let operation = &document["paths"][&route.path][route.method.to_lowercase()];
        assert!(operation["operationId"].is_string(), "{route:?}");
        let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(is_open, route.scope.is_none(), "{route:?}");
    }
    house.stop().await;
}

#[test]
fn the_description_is_as_it_was() {
    insta::assert_snapshot!("openapi", celeriac_server::document().to_pretty_json().unwrap());
}
