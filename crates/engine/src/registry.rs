//! The tasks that a process knows, by name: explicit, so that a test can have its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use celeriac_protocol::{Arguments, ErrorKind, JobError, RunError, RunResult};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::arguments::bind;
use crate::{Ctx, Param, States, Task, TaskOptions};

/// The tasks that a process knows. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Registry {
    tasks: Arc<BTreeMap<&'static str, Arc<RegisteredTask>>>,
    names: Arc<BTreeMap<String, Arc<RegisteredTask>>>,
}

impl Registry {
    /// Begins a registry.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder { module: ROOT_MODULE, tasks: Vec::new() }
    }

    /// Finds a task by its name or by one of its aliases.
    pub fn find(&self, name: &str) -> Option<&Arc<RegisteredTask>> {
        self.names.get(name)
    }

    /// Returns all tasks in the order of their names.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<RegisteredTask>> {
        self.tasks.values()
    }

    /// Returns a registry with only the tasks of these modules.
    ///
    /// # Errors
    /// A module that no task belongs to.
    pub fn subset(&self, modules: &[String]) -> Result<Self, RegistryError> {
        let known: BTreeSet<&str> = self.tasks().map(|task| task.module).collect();
        if let Some(unknown) = modules.iter().find(|module| !known.contains(module.as_str())) {
            let known = known.into_iter().map(str::to_owned).collect();
            return Err(RegistryError::UnknownModule { module: unknown.clone(), known });
        }
        let wanted = self.tasks().filter(|task| modules.iter().any(|m| m == task.module)).cloned();
        build(wanted.collect())
    }

    /// Checks that every state which a task asks for is there.
    ///
    /// # Errors
    /// The first that is missing.
    pub fn check_states(&self, states: &States) -> Result<(), RegistryError> {
        for task in self.tasks() {
            if let Some(need) = task.options.needs.iter().find(|need| !states.meets(need)) {
                return Err(RegistryError::MissingState {
                    task: task.name.to_owned(),
                    state: need.type_name,
                });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.tasks.keys()).finish()
    }
}

/// The module of tasks that were registered outside of any.
pub const ROOT_MODULE: &str = "main";

/// Collects tasks; what is wrong with them is said by [`RegistryBuilder::build`].
pub struct RegistryBuilder {
    module: &'static str,
    tasks: Vec<Arc<RegisteredTask>>,
}

impl RegistryBuilder {
    /// Adds a task to the present module.
    #[must_use]
    pub fn task<T: Task>(mut self) -> Self {
        self.tasks.push(Arc::new(RegisteredTask::of::<T>(self.module)));
        self
    }

    /// Adds a task to the present module, without those of its aliases that a task which was added before answers to.
    #[must_use]
    pub fn task_yielding<T: Task>(mut self) -> Self {
        let mut task = RegisteredTask::of::<T>(self.module);
        let answers = |name: &str| {
            self.tasks.iter().any(|known| known.name == name || known.options.aliases.contains(&name))
        };
        task.options.aliases.retain(|alias| !answers(alias));
        self.tasks.push(Arc::new(task));
        self
    }

    /// Adds the tasks that `fill` adds, under a module's name.
    #[must_use]
    pub fn module(mut self, name: &'static str, fill: impl FnOnce(Self) -> Self) -> Self {
        let outer = std::mem::replace(&mut self.module, name);
        let mut filled = fill(self);
        filled.module = outer;
        filled
    }

    /// Makes the registry.
    ///
    /// # Errors
    /// Two tasks that answer to one name; both places are named.
    pub fn build(self) -> Result<Registry, RegistryError> {
        build(self.tasks)
    }
}

fn build(list: Vec<Arc<RegisteredTask>>) -> Result<Registry, RegistryError> {
    let mut tasks = BTreeMap::new();
    let mut names: BTreeMap<String, Arc<RegisteredTask>> = BTreeMap::new();
    for task in list {
        for name in std::iter::once(task.name).chain(task.options.aliases.iter().copied()) {
            if let Some(first) = names.insert(name.to_owned(), Arc::clone(&task)) {
                let (first, second) = (first.options.defined_at, task.options.defined_at);
                return Err(RegistryError::Duplicate { name: name.to_owned(), first, second });
            }
        }
        tasks.insert(task.name, task);
    }
    Ok(Registry { tasks: Arc::new(tasks), names: Arc::new(names) })
}

/// A registry that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Two tasks answer to one name.
    #[error("register task \"{name}\": it is defined at {first} and again at {second}")]
    Duplicate {
        /// The name or alias.
        name: String,
        /// Where the first is defined.
        first: &'static Location<'static>,
        /// Where the second is defined.
        second: &'static Location<'static>,
    },
    /// A task asks for a state that was not given.
    #[error("start task \"{task}\": it asks for state {state}, which was not given")]
    MissingState {
        /// The task.
        task: String,
        /// The state's type.
        state: &'static str,
    },
    /// No task belongs to a module of this name.
    #[error("select module \"{module}\": no task belongs to it (there are: {})", known.join(", "))]
    UnknownModule {
        /// What was asked for.
        module: String,
        /// What there is.
        known: Vec<String>,
    },
}

type RetryOn = fn(&anyhow::Error) -> bool;
type Start = fn(&Arguments, Ctx, RetryOn) -> Result<BoxFuture<'static, RunResult>, JobError>;

/// A task without its types, as a worker runs it.
pub struct RegisteredTask {
    /// Its name.
    pub name: &'static str,
    /// The module it was registered in.
    pub module: &'static str,
    /// Its parameters, in order.
    pub params: &'static [Param],
    /// Its options.
    pub options: TaskOptions,
    start: Start,
    check: fn(&Arguments) -> Result<(), JobError>,
}

impl RegisteredTask {
    fn of<T: Task>(module: &'static str) -> Self {
        Self {
            name: T::NAME,
            module,
            params: T::PARAMS,
            options: T::options(),
            start: start::<T>,
            check: |args| bind::<T::Args>(T::NAME, T::PARAMS, args).map(drop),
        }
    }

    /// Says whether a call with these arguments could run.
    ///
    /// # Errors
    /// What does not fit, in Python's words.
    pub fn check(&self, args: &Arguments) -> Result<(), JobError> {
        (self.check)(args)
    }

    /// Returns the label its jobs are listed under.
    pub fn job_type(&self) -> &'static str {
        self.options.job_type.unwrap_or(self.name)
    }

    /// Begins a run: fails at once where the arguments do not fit.
    pub(crate) fn start(
        &self,
        args: &Arguments,
        ctx: Ctx,
    ) -> Result<BoxFuture<'static, RunResult>, JobError> {
        (self.start)(args, ctx, self.options.retry_on)
    }
}

impl fmt::Debug for RegisteredTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredTask").field("name", &self.name).field("module", &self.module).finish()
    }
}

fn start<T: Task>(
    args: &Arguments,
    ctx: Ctx,
    retry_on: RetryOn,
) -> Result<BoxFuture<'static, RunResult>, JobError> {
    let args = bind::<T::Args>(T::NAME, T::PARAMS, args)?;
    let run = async move {
        let output = T::run(args, ctx).await.map_err(|error| error.into_run_error(retry_on))?;
        serde_json::value::to_raw_value(&output).map_err(|e| {
            let text = format!("result can't be written as JSON: {e}");
            RunError::Discard(JobError::new(ErrorKind::Error, text).with_type("EncodeError"))
        })
    };
    Ok(run.boxed())
}
