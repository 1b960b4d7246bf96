//! What can be run: the trait, its options, and the form in which a registry keeps it.

use std::any::TypeId;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use celeriac_protocol::{Compression, RecordLevel, RetryPolicy, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Ctx, TaskError, TaskSchedule};

/// Code that can be run, known by a name.
///
/// The attribute `#[task]` writes this from a function; by hand it is no more than this:
///
/// ```
/// use celeriac_engine::{Ctx, Param, Task, TaskError};
///
/// struct Add;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct AddArgs {
///     x: i64,
///     #[serde(default)]
///     y: i64,
/// }
///
/// impl Task for Add {
///     type Args = AddArgs;
///     type Output = i64;
///     const NAME: &'static str = "add";
///     const PARAMS: &'static [Param] = &[Param::required("x", "i64"), Param::optional("y", "i64")];
///
///     async fn run(args: AddArgs, _ctx: Ctx) -> Result<i64, TaskError> {
///         Ok(args.x + args.y)
///     }
/// }
/// # assert_eq!(Add::NAME, "add");
/// ```
pub trait Task: Sized + 'static {
    /// The arguments: a struct whose fields bear the names in [`Task::PARAMS`].
    type Args: Serialize + DeserializeOwned + Send + 'static;
    /// The result.
    type Output: Serialize + Send + 'static;

    /// The name on the wire. It is a constant and not derived from a path, so that moving the code
    /// does not orphan its messages.
    const NAME: &'static str;

    /// The parameters in order, so that positional calls fit as well as named ones.
    const PARAMS: &'static [Param];

    /// Runs the task once.
    fn run(args: Self::Args, ctx: Ctx) -> impl Future<Output = Result<Self::Output, TaskError>> + Send;

    /// Returns how its jobs are queued, limited, retried and recorded.
    fn options() -> TaskOptions {
        TaskOptions::default()
    }
}

/// One parameter of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Param {
    /// Its name, as named arguments use it.
    pub name: &'static str,
    /// Its type as written in the source, for people.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// Whether a call must give it.
    pub required: bool,
}

impl Param {
    /// A parameter that every call must give.
    pub const fn required(name: &'static str, type_name: &'static str) -> Self {
        Self { name, type_name, required: true }
    }

    /// A parameter that has a default.
    pub const fn optional(name: &'static str, type_name: &'static str) -> Self {
        Self { name, type_name, required: false }
    }
}

/// How the jobs of a task are queued, limited, retried and recorded.
#[derive(Clone, Debug)]
pub struct TaskOptions {
    /// Other names under which messages may ask for it, such as those that Celery makes from module paths.
    pub aliases: Vec<&'static str>,
    /// The queue its jobs go to; `None` leaves it to the client's routes and default queue.
    pub queue: Option<&'static str>,
    /// 0 to 9, higher first; `None` stands in the middle.
    pub priority: Option<u8>,
    /// What writes its messages; `None` is the client's serializer.
    pub serializer: Option<Serializer>,
    /// What makes its messages smaller; `None` is the client's compression.
    pub compression: Option<Compression>,
    /// The label its jobs are listed under; `None` is the task's name.
    pub job_type: Option<&'static str>,
    /// What it does, in one line for people.
    pub description: &'static str,
    /// How failures are retried.
    pub retry: RetryPolicy,
    /// Which errors are retried; all, where nothing else is said.
    pub retry_on: fn(&anyhow::Error) -> bool,
    /// After it the task is told to stop ([`Ctx::cancelled`](crate::Ctx::cancelled)).
    pub soft_limit: Option<Duration>,
    /// After it an async task is dropped wherever it waits, and the job fails without another try. A blocking
    /// one can't be ended: it is told to stop, keeps its slot, and is reported as stuck.
    pub hard_limit: Option<Duration>,
    /// Whether the result is thrown away.
    pub ignore_result: bool,
    /// Whether a message is acknowledged only after its outcome is recorded. `false` is at most
    /// once: a worker that dies takes the job with it.
    pub acks_late: bool,
    /// How much of its jobs is recorded.
    pub record: RecordLevel,
    /// States it asks for, checked when a worker is built.
    pub needs: Vec<Need>,
    /// When its jobs are enqueued by themselves; an app makes entries of the schedule of these.
    pub schedules: Vec<TaskSchedule>,
    /// Where it is defined, so that a refusal can name the place.
    pub defined_at: &'static Location<'static>,
}

/// A state that a task can't run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The state's type.
    pub type_id: TypeId,
    /// That type's name, for the refusal.
    pub type_name: &'static str,
}

impl Need {
    /// Asks for a state of type `T`.
    pub fn of<T: 'static>() -> Self {
        Self { type_id: TypeId::of::<T>(), type_name: std::any::type_name::<T>() }
    }
}

impl Default for TaskOptions {
    #[track_caller]
    fn default() -> Self {
        Self {
            aliases: Vec::new(),
            queue: None,
            priority: None,
            serializer: None,
            compression: None,
            job_type: None,
            description: "",
            retry: RetryPolicy::default(),
            retry_on: |_| true,
            soft_limit: None,
            hard_limit: None,
            ignore_result: false,
            acks_late: true,
            record: RecordLevel::All,
            needs: Vec::new(),
            schedules: Vec::new(),
            defined_at: Location::caller(),
        }
    }
}
