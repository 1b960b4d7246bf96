//! Asking for jobs: one, or many together.

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use celeriac_control::access::Caller;
use celeriac_control::{check_call, find_task};
use celeriac_engine::Call;
use celeriac_protocol::{Arguments, JobId, RawValue, Timestamp};
use celeriac_store::query::jobs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

use super::instants::Instant;
use crate::code::Code;
use crate::failure::Failure;
use crate::problem::Problem;
use crate::request::{Body, invalid};
use crate::state::ServerState;

/// The most jobs of one request.
const MANY: usize = 1_000;

/// The longest idempotency key, in characters.
const MAX_KEY: usize = 200;

/// Names a request so that sending it twice does it once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A job that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnqueueJob {
    /// The task, by its name or an alias.
    #[schema(example = "greet")]
    task: String,
    /// Its arguments in order.
    #[serde(default)]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    args: Option<Box<RawValue>>,
    /// Its named arguments.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    kwargs: Option<Box<RawValue>>,
    /// The queue, in place of the task's own.
    #[serde(default)]
    queue: Option<String>,
    /// 0 to 9, higher first.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// Hold it back until then: RFC 3339, or a span from now such as `10m`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    eta: Option<Instant>,
    /// Cancel it if it has not begun by then: RFC 3339, or a span from now.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    expires: Option<Instant>,
    /// Enqueue nothing while a job with this key waits or runs.
    #[serde(default)]
    unique: Option<String>,
    /// Give the job this id.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    id: Option<JobId>,
    /// Allow this many retries.
    #[serde(default)]
    max_retries: Option<u32>,
    /// Tell the task to stop after this long.
    #[serde(default)]
    soft_limit_ms: Option<u64>,
    /// List it under this label.
    #[serde(default)]
    job_type: Option<String>,
    /// Send it although this app does not know the task, or its arguments don't fit: other workers may.
    #[serde(default)]
    unchecked: bool,
}

/// Jobs that are asked for together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnqueueJobs {
    /// The jobs, up to a thousand.
    jobs: Vec<EnqueueJob>,
}

/// A job that was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EnqueuedView {
    /// Its id.
    id: String,
    /// The task.
    task: String,
    /// Whether a job with the same id, key or unique key was there already, and nothing was added.
    duplicate: bool,
}

impl EnqueuedView {
    /// Returns the job's id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Jobs that were asked for, in the order of the request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EnqueuedManyView {
    /// The jobs.
    items: Vec<EnqueuedView>,
}

/// Asks for a job; its record can be read at once.
///
/// With the header `Idempotency-Key`, the same request sent again answers with the first one's job for as long as that has
/// a record.
#[utoipa::path(
    post,
    path = "/api/v1/jobs",
    tag = "jobs",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that sending it again adds nothing")),
    request_body = EnqueueJob,
    responses((status = CREATED, body = EnqueuedView), (status = OK, body = EnqueuedView, description = "It was there already."))
)]
pub(crate) async fn enqueue_job(
    State(state): State<ServerState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(asked): Body<EnqueueJob>,
) -> Result<impl IntoResponse, Problem> {
    let key = key_of(&headers, &caller)?;
    let view = enqueue(&state, asked, key).await?;
    let status = if view.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let location = location(&view.id);
    Ok((status, [(LOCATION, location)], Json(view)))
}

/// Asks for many jobs, all or none of them: nothing is added if one of them can't be.
///
/// With the header `Idempotency-Key`, each job has its own key, made of that and its place.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/many",
    tag = "jobs",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request, so that sending it again adds nothing")),
    request_body = EnqueueJobs,
    responses((status = CREATED, body = EnqueuedManyView))
)]
pub(crate) async fn enqueue_jobs(
    State(state): State<ServerState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(asked): Body<EnqueueJobs>,
) -> Result<impl IntoResponse, Problem> {
    if asked.jobs.is_empty() || asked.jobs.len() > MANY {
        return Err(invalid("jobs", format!("there are {}, and 1 to {MANY} are possible", asked.jobs.len())));
    }
    let (key, now) = (key_of(&headers, &caller)?, state.clock().now());
    let mut items = Vec::with_capacity(asked.jobs.len());
    let mut calls = Vec::with_capacity(asked.jobs.len());
    for (place, job) in asked.jobs.into_iter().enumerate() {
        let key = key.as_ref().map(|key| JobId::derived(key, &place.to_string()));
        let at_place = |problem: Problem| problem.field(format!("jobs[{place}]"));
        let (task, told) = (job.task.clone(), Told::of(&job));
        let (id, call) = call_of(&state, job, key.clone(), now).map_err(at_place)?;
        let known = key.is_some() && told.is_known(&state, &id).await.map_err(at_place)?;
        if !known {
            calls.push(call);
        }
        items.push(EnqueuedView { id: id.to_string(), task, duplicate: known });
    }
    let handles = state.client().send_many(calls).await?;
    let added = items.iter_mut().filter(|item| !item.duplicate);
    for (item, handle) in added.zip(handles) {
        item.duplicate = handle.id().as_str() != item.id;
        item.id = handle.id().to_string();
    }
    Ok((StatusCode::CREATED, Json(EnqueuedManyView { items })))
}

/// Asks for a job; `key` is the id that it has by the caller's idempotency key.
pub(super) async fn enqueue(
    state: &ServerState,
    asked: EnqueueJob,
    key: Option<JobId>,
) -> Result<EnqueuedView, Problem> {
    let (task, told) = (asked.task.clone(), Told::of(&asked));
    let (is_keyed, is_named) = (key.is_some(), asked.id.is_some());
    let (id, call) = call_of(state, asked, key, state.clock().now())?;
    if is_keyed && told.is_known(state, &id).await? {
        return Ok(EnqueuedView { id: id.to_string(), task, duplicate: true });
    }
    let waits = (is_keyed || is_named) && state.client().find(&id).await?.is_some();
    let handle = state.client().send(call).await?;
    let duplicate = waits || *handle.id() != id;
    Ok(EnqueuedView { id: handle.id().to_string(), task, duplicate })
}

impl EnqueueJob {
    /// Asks for a task by its named arguments.
    pub(super) fn with_kwargs(task: &str, kwargs: &Value) -> Self {
        let kwargs = serde_json::value::to_raw_value(kwargs).expect("JSON can be written as JSON");
        Self {
            task: task.to_owned(),
            args: None,
            kwargs: Some(kwargs),
            queue: None,
            priority: None,
            eta: None,
            expires: None,
            unique: None,
            id: None,
            max_retries: None,
            soft_limit_ms: None,
            job_type: None,
            unchecked: false,
        }
    }
}

/// Returns the path of a job.
pub(super) fn location(id: &str) -> String {
    let escaped: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/api/v1/jobs/{}", escaped.replace('+', "%20"))
}

/// Returns the id that a job has by the key of a request: the same caller and key give the same one.
pub(super) fn key_of(headers: &HeaderMap, caller: &Caller) -> Result<Option<JobId>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().map_err(|_| invalid(IDEMPOTENCY_KEY, "it has characters that are not ASCII"))?;
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(invalid(
            IDEMPOTENCY_KEY,
            format!("it has {} characters, 1 to {MAX_KEY} are possible", key.len()),
        ));
    }
    // The length keeps a caller's name from reaching into the key.
    let space = JobId::parse("celeriac:idempotency").expect("it is a short text");
    let name = format!("{}:{}:{key}", caller.name.len(), caller.name);
    Ok(Some(JobId::derived(&space, &name)))
}

/// Makes the call, with the id that its job will have.
fn call_of(
    state: &ServerState,
    asked: EnqueueJob,
    key: Option<JobId>,
    now: Timestamp,
) -> Result<(JobId, Call), Problem> {
    if key.is_some() && asked.id.is_some() {
        return Err(invalid("id", "the idempotency key says already which id the job has"));
    }
    let args = asked.args.unwrap_or_else(|| Arguments::default().positional);
    let kwargs = asked.kwargs.unwrap_or_else(|| Arguments::default().named);
    if !args.get().starts_with('[') {
        return Err(invalid("args", "it must be an array"));
    }
    if !kwargs.get().starts_with('{') {
        return Err(invalid("kwargs", "it must be an object"));
    }
    let id = key.or(asked.id).unwrap_or_else(|| JobId::fresh(now));
    let mut call = Call::new(&asked.task, Arguments { positional: args, named: kwargs }).id(id.clone());
    if !asked.unchecked {
        let task = find_task(state.registry(), &asked.task)?;
        check_call(&call, task).map_err(|misfit| {
            let (error, takes) = *misfit;
            Problem::from(Failure::from(error)).hint(takes).field("args")
        })?;
    }
    call = asked.queue.into_iter().fold(call, Call::queue);
    call = asked.priority.into_iter().fold(call, Call::priority);
    call = asked.eta.into_iter().fold(call, |call, eta| call.eta(eta.ahead(now)));
    call = asked.expires.into_iter().fold(call, |call, expires| call.expires_at(expires.ahead(now)));
    call = asked.unique.into_iter().fold(call, Call::unique);
    call = asked.max_retries.into_iter().fold(call, Call::max_retries);
    call = asked.job_type.into_iter().fold(call, Call::job_type);
    let limit = asked.soft_limit_ms.map(Duration::from_millis);
    call = limit.into_iter().fold(call, Call::soft_limit);
    state.client().check(call.clone())?;
    Ok((id, call))
}

/// What was asked for under a key, as far as a record tells it as well.
struct Told {
    task: String,
    args: Option<Value>,
    kwargs: Option<Value>,
    queue: Option<String>,
}

impl Told {
    fn of(asked: &EnqueueJob) -> Self {
        let read =
            |raw: &Option<Box<RawValue>>| raw.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok());
        let (args, kwargs) = (read(&asked.args), read(&asked.kwargs));
        Self { task: asked.task.clone(), args, kwargs, queue: asked.queue.clone() }
    }

    /// Says whether the job is there already; one that was asked for otherwise is refused.
    async fn is_known(&self, state: &ServerState, id: &JobId) -> Result<bool, Problem> {
        let Some(record) = jobs::find(state.database().reader(), id).await? else { return Ok(false) };
        let read = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
        let is_same_task = match state.registry().find(&self.task) {
            Some(task) => task.name == record.summary.task || self.task == record.summary.task,
            None => self.task == record.summary.task,
        };
        // What was too long to be kept can't be compared, and is taken for the same.
        let fits = |said: &Option<Value>, kept: &RawValue, empty: Value| {
            let kept = read(kept);
            let is_cut = kept.get(celeriac_store::limits::TRUNCATED).is_some();
            is_cut || *said.as_ref().unwrap_or(&empty) == kept
        };
        let is_same = is_same_task
            && fits(&self.args, &record.args, Value::Array(Vec::new()))
            && fits(&self.kwargs, &record.kwargs, Value::Object(serde_json::Map::new()))
            && self.queue.as_ref().is_none_or(|queue| *queue == record.summary.queue);
        if is_same {
            return Ok(true);
        }
        let said = format!("the idempotency key was used for job {id}, which was asked for otherwise");
        let failure = Failure::plain(Code::IdempotencyConflict, said).about("job", id);
        Err(Problem::from(failure).field(IDEMPOTENCY_KEY))
    }
}
