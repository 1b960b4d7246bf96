//! Turns the errors of the floors below into the one that reaches people.

use std::error::Error;

use celeriac_broker::BrokerError;
use celeriac_control::celery_beat::{ImportError, TablesError};
use celeriac_control::health::HealthError;
use celeriac_control::jobs::JobsError;
use celeriac_control::workflow::WorkflowError;
use celeriac_control::{
    AppError, DuplicateLoop, LoopSettingsError, QueuesError, SchedulesError, UnknownTask,
};
use celeriac_db::{DbError, ServerFault, StorageFault};
use celeriac_engine::{EnqueueError, RecordError, WaitError, WorkerError};
use celeriac_protocol::schedule::ScheduleError;
use celeriac_protocol::suggest::did_you_mean;
use celeriac_store::StoreError;

use super::Failure;
use crate::code::Code;

mod access;

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Storage { fault, path, .. } => {
                let named =
                    Self::failed_to(code_of(*fault), format_args!("use database {path:?}")).because(fault);
                match fault {
                    StorageFault::FolderMissing => match path.parent() {
                        Some(folder) => named.hint(format!(
                            "create the folder with `mkdir -p {}`, or name another file with --database",
                            folder.display()
                        )),
                        None => named,
                    },
                    _ => named,
                }
            }
            DbError::Server { fault, database, source } => {
                let named = Self::failed_to(code_of_server(*fault), format_args!("use database {database}"));
                match source {
                    Some(source) => named.because(fault).caused_by(source.as_ref()),
                    None => named.because(fault),
                }
            }
            DbError::PostgresTooOld { .. } => {
                Self::failed_to(Code::ServerTooOld, "use the database").caused_by(&error)
            }
            DbError::NewerDatabase { owner, name } => {
                Self::failed_to(Code::DatabaseNewer, "use the database").because(format_args!(
                    "it is newer than this binary, which does not know migration {name:?} of {owner:?}"
                ))
            }
            DbError::Deadline { .. } => {
                Self::failed_to(Code::DatabaseSlow, "use the database").caused_by(&error)
            }
            DbError::Irreversible { .. } => {
                Self::failed_to(Code::MigrationIrreversible, "take a migration back").caused_by(&error)
            }
            DbError::UnknownMigration { .. } => {
                Self::failed_to(Code::UnknownMigration, "migrate").caused_by(&error)
            }
            DbError::Migration { owner, name, source }
                if source.fault().is_none() && source.server_fault().is_none() =>
            {
                Self::failed_to(Code::MigrationFailed, format_args!("make migration {name:?} of {owner:?}"))
                    .caused_by(source.as_ref())
            }
            DbError::Option { name, reason } => {
                let value = format!("use the database with {name}");
                Self::failed_to(Code::ConfigInvalidValue, value).because(reason)
            }
            other => match (other.fault(), other.server_fault()) {
                (Some(fault), _) => Self::failed_to(code_of(fault), "use the database").because(fault),
                (None, Some(fault)) => {
                    Self::failed_to(code_of_server(fault), "use the database").because(fault).caused_by(other)
                }
                (None, None) => Self::failed_to(Code::Internal, "use the database").caused_by(other),
            },
        }
    }
}

fn code_of(fault: StorageFault) -> Code {
    match fault {
        StorageFault::FolderMissing => Code::DatabaseFolderMissing,
        StorageFault::FileMissing => Code::DatabaseFileMissing,
        StorageFault::IsFolder => Code::DatabaseIsFolder,
        StorageFault::Denied => Code::DatabaseDenied,
        StorageFault::ReadOnly => Code::DatabaseReadOnly,
        StorageFault::NotADatabase => Code::DatabaseNotSqlite,
        StorageFault::Corrupt => Code::DatabaseCorrupt,
        StorageFault::Locked => Code::DatabaseLocked,
        StorageFault::Full => Code::DatabaseFull,
        StorageFault::NoSharedMemory => Code::DatabaseNoSharedMemory,
        StorageFault::Io => Code::DatabaseIo,
    }
}

fn code_of_server(fault: ServerFault) -> Code {
    match fault {
        ServerFault::NotPostgres => Code::ServerForeign,
        ServerFault::Tls => Code::ServerTls,
        ServerFault::Login => Code::ServerLogin,
        ServerFault::DatabaseMissing => Code::ServerDatabaseMissing,
        ServerFault::Denied => Code::ServerDenied,
        ServerFault::TooManyConnections => Code::ServerFull,
        ServerFault::ReadOnly => Code::ServerReadOnly,
        ServerFault::NotReady => Code::ServerNotReady,
        ServerFault::StatementTimeout => Code::DatabaseSlow,
        ServerFault::LockTimeout | ServerFault::Deadlock | ServerFault::Serialization => Code::ServerBusy,
        ServerFault::DiskFull => Code::ServerDiskFull,
        // Whatever a later version tells apart keeps us from the server, too.
        _ => Code::ServerUnreachable,
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        let code = match error {
            BrokerError::Database { action, source } => return Self::from(source).while_asked_to(action),
            BrokerError::Unavailable { .. } => Code::BrokerUnreachable,
            BrokerError::Refused { .. } | BrokerError::NotTaken { .. } => Code::BrokerRefused,
        };
        let told = Self::failed_to(code, "use the queue").caused_by(&error);
        match error.advice() {
            Some(advice) => told.hint(advice.to_owned()),
            None => told,
        }
    }
}

impl From<TablesError> for Failure {
    fn from(error: TablesError) -> Self {
        match error {
            TablesError::Database { table, source } => {
                Self::from(source).while_asked_to(&format!("read table {table}"))
            }
            TablesError::NotFound { .. } => {
                Self::failed_to(Code::SchedulesMissing, "find schedules").because(error)
            }
            TablesError::Several { .. } => Self::failed_to(Code::Usage, "tell which schedules are meant")
                .because(error)
                .hint("say it with --kind and --schema"),
            TablesError::TooMany { .. } => Self::failed_to(Code::Usage, "read schedules").because(error),
        }
    }
}

impl From<SchedulesError> for Failure {
    fn from(error: SchedulesError) -> Self {
        let about = |code| Self::failed_to(code, &error).after(&error);
        match error {
            SchedulesError::NotFound { name } => {
                Self::plain(Code::UnknownSchedule, format!("there is no schedule {name}"))
            }
            SchedulesError::NameTaken { .. } => about(Code::ScheduleExists),
            SchedulesError::Invalid { name, faults } => {
                let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                Self::failed_to(Code::InvalidSchedule, format_args!("use schedule {name}")).because(faults)
            }
            SchedulesError::TooMany { .. } => about(Code::ScheduleFile).hint("import them in parts"),
            SchedulesError::Unusable { .. } => about(Code::InvalidSchedule),
            SchedulesError::Unreadable(_) => about(Code::RecordCorrupt),
            SchedulesError::Store(source) => source.into(),
            SchedulesError::Enqueue(source) => source.into(),
            SchedulesError::Database(source) => source.into(),
            _ => about(Code::Internal),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(source) => source.into(),
            ImportError::Database(source) => source.into(),
            ImportError::Stamp { .. } => Self::failed_to(Code::Internal, &error).after(&error),
        }
    }
}

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Self {
        Self::failed_to(Code::InvalidSchedule, "read the schedule").caused_by(&error)
    }
}

impl From<WorkflowError> for Failure {
    fn from(error: WorkflowError) -> Self {
        match error {
            WorkflowError::Database { action, source, .. } => Self::from(source).while_asked_to(action),
            WorkflowError::Unknown { .. } => {
                Self::failed_to(Code::UnknownWorkflow, "use the workflow").caused_by(&error)
            }
        }
    }
}

impl From<JobsError> for Failure {
    fn from(error: JobsError) -> Self {
        match error {
            JobsError::Unknown { id } => Self::plain(Code::UnknownJob, format!("there is no job {id}")),
            JobsError::Unrecorded { id, queue } => Self::plain(
                Code::UnknownJob,
                format!("there is no record of job {id}"),
            )
            .hint(format!(
                "its message is in queue {queue}; its task leaves no record until it fails, or none at all"
            )),
            JobsError::NotEnded { id, status } => {
                Self::plain(Code::JobState, format!("job {id} has not ended, it is {status}"))
            }
            JobsError::ArgumentsCut { id } => Self::failed_to(Code::JobState, format_args!("copy job {id}"))
                .because("its arguments were too long to be kept in the record"),
            JobsError::Arguments { id, source } => {
                Self::failed_to(Code::InvalidArguments, format_args!("change the arguments of job {id}"))
                    .caused_by(&source)
            }
            JobsError::NoLetter { id } => {
                Self::plain(Code::UnknownDeadLetter, format!("there is no dead letter of job {id}"))
            }
            JobsError::Enqueue(error) => error.into(),
            JobsError::Broker(error) => error.into(),
            JobsError::Store(error) => error.into(),
            other => Self::failed_to(Code::Internal, &other),
        }
    }
}

impl From<QueuesError> for Failure {
    fn from(error: QueuesError) -> Self {
        let meant = |queue: &str, known: &[String]| did_you_mean(queue, known.iter().map(String::as_str));
        match error {
            QueuesError::Unnamed { queue, known } => {
                let ahead = format!("`queues pause {queue} --force` pauses it before its first job comes");
                let meant = meant(&queue, &known);
                let hint = meant.as_ref().map_or_else(|| ahead.clone(), |meant| format!("{meant} {ahead}"));
                let text = format!("queue {queue} holds nothing, and no task of this app goes to it");
                let failure = Self::plain(Code::UnknownQueue, text).hint(hint).about("queue", &queue);
                meant.into_iter().fold(failure, Self::http_hint)
            }
            QueuesError::Empty { queue, known } => {
                let text = format!("queue {queue} holds nothing and is not paused");
                let failure = Self::plain(Code::UnknownQueue, text).about("queue", &queue);
                match meant(&queue, &known) {
                    Some(hint) => failure.hint(hint.clone()).http_hint(hint),
                    None => failure,
                }
            }
            QueuesError::Broker(error) => error.into(),
            QueuesError::Outbox(error) => error.into(),
            other => Self::failed_to(Code::Internal, &other),
        }
    }
}

impl From<UnknownTask> for Failure {
    fn from(error: UnknownTask) -> Self {
        let UnknownTask { name, hint } = error;
        let failure = Self::plain(Code::UnknownTask, format!("unknown task `{name}`"));
        match hint {
            Some(hint) => failure.hint(hint.clone()).http_hint(hint),
            None => failure,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database { action, source } => Self::from(source).while_asked_to(action),
            StoreError::Corrupt { .. } => {
                Self::failed_to(Code::RecordCorrupt, "use the job records").caused_by(&error)
            }
            StoreError::Raced { .. } => {
                Self::failed_to(Code::Internal, "use the job records").caused_by(&error)
            }
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Database(source) => source.into(),
            RecordError::Results(source) => {
                Self::from(source).while_asked_to("use the results").advised_to_look_at("results.url")
            }
            RecordError::Corrupt { .. } => {
                Self::failed_to(Code::RecordCorrupt, "use the job records").caused_by(&error)
            }
        }
    }
}

impl From<EnqueueError> for Failure {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Broker(source) => source.into(),
            EnqueueError::Record(source) => source.into(),
            EnqueueError::Database(source) => source.into(),
            EnqueueError::Arguments { task, source } => {
                Self::failed_to(Code::InvalidArguments, format_args!("enqueue task \"{task}\""))
                    .because(source)
            }
            EnqueueError::Id { task, source } => {
                Self::failed_to(Code::InvalidArguments, format_args!("enqueue task \"{task}\""))
                    .because(source)
            }
            EnqueueError::Option { task, reason } => {
                Self::failed_to(Code::InvalidArguments, format_args!("enqueue task \"{task}\""))
                    .because(reason)
            }
            EnqueueError::NotTransactional(_) => Self::failed_to(Code::Internal, "enqueue").caused_by(&error),
        }
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        let code = match error {
            WaitError::Record(source) => return source.into(),
            WaitError::TimedOut { .. } => Code::TimedOut,
            WaitError::Failed { .. } => Code::JobFailed,
            WaitError::Cancelled { .. } => Code::JobCancelled,
            WaitError::Shape { .. } => Code::RecordCorrupt,
        };
        let told = Self::failed_to(code, &error).after(&error);
        match &error {
            WaitError::TimedOut { id, .. } => told.hint(format!("`jobs show {id}` tells where it stands")),
            _ => told,
        }
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let code = match &error {
            AppError::State { .. } | AppError::Workflow { .. } | AppError::Loop { .. } => Code::StateFailed,
            _ => Code::AppInvalid,
        };
        let error: &(dyn Error + 'static) = match &error {
            // "put the app together" and "add loops" only lead to what is wrong.
            AppError::Registry(source) => source,
            AppError::DuplicateLoop(source) => source,
            error => error,
        };
        Self::failed_to(code, error).after(error)
    }
}

impl From<LoopSettingsError> for Failure {
    fn from(error: LoopSettingsError) -> Self {
        Self::failed_to(Code::ConfigInvalidValue, error)
    }
}

impl From<DuplicateLoop> for Failure {
    fn from(error: DuplicateLoop) -> Self {
        Self::failed_to(Code::AppInvalid, error)
    }
}

impl From<HealthError> for Failure {
    fn from(error: HealthError) -> Self {
        match error {
            HealthError::Store(error) => error.into(),
            HealthError::Broker(error) => error.into(),
            HealthError::Database(error) => error.into(),
            other => Self::failed_to(Code::Internal, "make a check").caused_by(&other),
        }
    }
}

impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        match &error {
            WorkerError::Registry(source) => Self::failed_to(Code::AppInvalid, source).after(source),
            WorkerError::Option { .. } => Self::failed_to(Code::ConfigInvalidValue, &error),
        }
    }
}

impl Failure {
    /// Says what it is that can't be used, and where it is.
    pub fn used_for(mut self, what: &str, place: &str) -> Self {
        self.0.headline = format!("failed to use the {what} at {place}");
        // Results that are sent go by the queue's server.
        let key = if what == "queue" || place == "rpc://" { "broker.url" } else { "results.url" };
        if self.0.code == Code::BrokerRefused && self.0.hint.is_none() {
            self.0.hint = Some(format!("look at user, password and database (or virtual host) in `{key}`"));
        }
        self.advised_to_look_at(key)
    }

    /// Says of a place that is none of the records' database which key names it, and nothing of settings that are
    /// only that database's.
    fn advised_to_look_at(mut self, key: &str) -> Self {
        let advice = match self.0.code {
            Code::DatabaseLocked => Some("another process is writing to the file; try again".to_owned()),
            Code::ServerFull => Some("raise `max_connections`, or let fewer processes run".to_owned()),
            Code::DatabaseFileMissing => Some(format!("name a file that is there in `{key}`")),
            _ => self.advice().map(|advice| {
                let there = format!("`{key}`");
                let named = advice.replace("`broker.url` or `results.url`", &there);
                named.replace("`database.url`", &there).replace("with --database", &format!("in {there}"))
            }),
        };
        self.0.hint = advice;
        self
    }

    /// Says what was being done in place of "use", and the rest after it.
    fn while_asked_to(mut self, action: &str) -> Self {
        let headline = std::mem::replace(&mut self.0.headline, format!("failed to {action}"));
        let named = headline.strip_prefix("failed to use ").unwrap_or(&headline);
        self.0.causes.insert(0, named.to_owned());
        self
    }

    /// Adds what caused `error`, whose own text is the headline already.
    fn after(self, error: &(dyn Error + 'static)) -> Self {
        match error.source() {
            Some(source) => self.caused_by(source),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use celeriac_protocol::{JobId, Timestamp};

    use super::*;

    /// What is to be done names the key that says where the place is.
    #[test]
    fn advice_is_about_the_place_that_was_tried() {
        let server = |fault| DbError::Server { fault, database: "x".into(), source: None };
        let file = |fault| DbError::Storage { fault, path: "no/x.db".into(), source: None };
        let unreachable =
            || Failure::from(BrokerError::Unavailable { product: "Redis", source: "refused".into() });
        let refused = || Failure::from(BrokerError::Refused { product: "Redis", source: "no".into() });
        let missing = || Failure::from(server(ServerFault::DatabaseMissing));
        for (error, what, place, key) in [
            (missing(), "results", "db+postgresql://h/x", "results.url"),
            (Failure::from(server(ServerFault::Login)), "results", "db+postgresql://h/x", "results.url"),
            (Failure::from(server(ServerFault::Tls)), "results", "db+postgresql://h/x", "results.url"),
            (
                Failure::from(file(StorageFault::FolderMissing)),
                "results",
                "db+sqlite:///no/x.db",
                "results.url",
            ),
            (Failure::from(file(StorageFault::IsFolder)), "results", "db+sqlite:///no", "results.url"),
            (unreachable(), "results", "redis://h/1", "results.url"),
            (unreachable(), "results", "rpc://", "broker.url"),
            (unreachable(), "queue", "redis://h/1", "broker.url"),
            (refused(), "results", "redis://h/1", "results.url"),
            (refused(), "queue", "amqp://h", "broker.url"),
        ] {
            let error = error.used_for(what, place);
            let advice = error.advice().unwrap();
            assert!(advice.contains(&format!("`{key}`")), "{what} at {place}: {advice}");
            for other in ["database.url", "broker.url", "results.url", "--database"] {
                assert!(other == key || !advice.contains(other), "{what} at {place}: {advice}");
            }
        }
        for (error, word) in
            [(missing(), "`database.url`"), (file(StorageFault::FolderMissing).into(), "--database")]
        {
            assert!(error.advice().unwrap().contains(word));
        }
    }

    #[test]
    fn what_ends_waiting_is_told_as_what_it_is() {
        let id = || JobId::fresh(Timestamp::EPOCH);
        let shape = serde_json::from_str::<u8>("no").unwrap_err();
        let fault = || DbError::Storage { fault: StorageFault::Locked, path: "x.db".into(), source: None };
        for (error, code) in [
            (WaitError::TimedOut { id: id(), status: None }, Code::TimedOut),
            (WaitError::Failed { id: id(), source: None }, Code::JobFailed),
            (WaitError::Cancelled { id: id(), reason: "no need".into() }, Code::JobCancelled),
            (WaitError::Shape { id: id(), source: shape }, Code::RecordCorrupt),
            (WaitError::Record(RecordError::Database(fault())), Code::DatabaseLocked),
        ] {
            assert_eq!(Failure::from(error).code(), code);
        }
    }
}
