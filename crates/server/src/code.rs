//! The registry of error codes: what can go wrong, on the command line and over HTTP.

use axum::http::StatusCode;

use crate::exit::Exit;

mod hint;

use hint::Hint;

/// Who has to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nobody: it is an answer, and the answer is no.
    Answer,
    /// Whoever typed the command, or wrote the request.
    User,
    /// Whoever wrote the configuration, or put the app together.
    Config,
    /// Whoever runs the machine; it may also pass by itself.
    Unavailable,
    /// We.
    Internal,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::User, Self::Config, Self::Unavailable, Self::Internal, Self::Answer];

    /// Returns who has to do something, for documents.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Answer => "nobody: it is an answer, and the answer is no",
            Self::User => "whoever typed the command or wrote the request",
            Self::Config => "whoever wrote the configuration, or put the app together",
            Self::Unavailable => "whoever runs the machine; it may also pass by itself",
            Self::Internal => "we, or whoever wrote the app's own code",
        }
    }

    /// Returns the word that JSON uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::User => "user",
            Self::Config => "config",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

macro_rules! codes {
    ($(#[doc = $doc:literal] $name:ident $word:literal $kind:ident $exit:ident $status:ident $hint:expr;)*) => {
        /// Names one way in which a command or a request can fail. The words are stable; scripts may rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = $doc] $name,)* }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the word that JSON and documents use.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Returns what it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                // A doc comment begins with the space that stands behind its slashes.
                match self { $(Self::$name => $doc.trim_ascii_start(),)* }
            }

            /// Returns who has to do something about it.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            /// Returns what the process's exit code becomes.
            pub const fn exit(self) -> Exit {
                match self { $(Self::$name => Exit::$exit,)* }
            }

            /// Returns the status of an HTTP answer.
            ///
            /// A request that can't be read is 400; one that reads well and asks for what does not fit is 422; what
            /// stands in the way of it at present is 409.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            const fn hints(self) -> Hint {
                match self { $(Self::$name => $hint,)* }
            }
        }
    };
}

/// Nothing that whoever sent the request could mend.
const OPERATOR: &str = "whoever runs the server finds more in its log, and with `celeriac doctor`";

codes! {
    /// The job that was waited for failed.
    JobFailed "job_failed" Answer Negative CONFLICT Hint::NONE;
    /// The job that was waited for was cancelled.
    JobCancelled "job_cancelled" Answer Negative CONFLICT Hint::NONE;
    /// The job can't be changed: it has come to its end, or has not yet.
    JobState "job_state" Answer Negative CONFLICT Hint::NONE;
    /// The job did not end in time.
    TimedOut "timed_out" Answer TimedOut GATEWAY_TIMEOUT Hint::each("the job goes on; wait again with a longer --timeout", "the job goes on; ask again");
    /// A check of `doctor` failed.
    CheckFailed "check_failed" Answer Negative SERVICE_UNAVAILABLE Hint::NONE;
    /// It was interrupted.
    Interrupted "interrupted" Answer Interrupted SERVICE_UNAVAILABLE Hint::NONE;
    /// Nobody reads the output any more.
    OutputClosed "output_closed" Answer OutputClosed INTERNAL_SERVER_ERROR Hint::NONE;

    /// The command line can't be understood.
    Usage "usage" User Usage BAD_REQUEST Hint::NONE;
    /// No task of this name is registered here.
    UnknownTask "unknown_task" User NotFound NOT_FOUND Hint::each("list what there is with `tasks`, or send it to other workers with --unchecked", "list what there is with GET /api/v1/tasks");
    /// The arguments don't fit the task.
    InvalidArguments "invalid_arguments" User Usage UNPROCESSABLE_ENTITY Hint::NONE;
    /// A line of a bulk file can't be used.
    BulkLine "bulk_line" User Usage UNPROCESSABLE_ENTITY Hint::NONE;
    /// The text says no times that a schedule could have.
    InvalidSchedule "invalid_schedule" User Usage UNPROCESSABLE_ENTITY Hint::NONE;
    /// Schedules that were to be imported can't be: what stands in the file, or what is here already.
    ScheduleFile "schedule_file" User Usage UNPROCESSABLE_ENTITY Hint::NONE;
    /// A file that was named can't be read.
    FileUnreadable "file_unreadable" User Usage UNPROCESSABLE_ENTITY Hint::NONE;
    /// The folder of a site can't be served.
    SiteUnreadable "site_unreadable" User Usage UNPROCESSABLE_ENTITY Hint::NONE;
    /// There is no such workflow.
    UnknownWorkflow "unknown_workflow" User NotFound NOT_FOUND Hint::each("list what there is with `workflow list`", "list what there is with GET /api/v1/workflows");
    /// Several jobs' ids begin as was typed.
    AmbiguousJob "ambiguous_job" User Usage UNPROCESSABLE_ENTITY Hint::both("write more of the id");
    /// There is no such job.
    UnknownJob "unknown_job" User NotFound NOT_FOUND Hint::each("list what there is with `jobs list`; records are removed after their retention", "list what there is with GET /api/v1/jobs; records are removed after their retention");
    /// There is no such dead letter.
    UnknownDeadLetter "unknown_dead_letter" User NotFound NOT_FOUND Hint::each("list what there is with `dead list`", "look in the list of dead letters; it may have been retried or dropped");
    /// There is no such queue.
    UnknownQueue "unknown_queue" User NotFound NOT_FOUND Hint::each("list what there is with `queues`", "list what there is with GET /api/v1/queues");
    /// No schedules of Celery's are where they were looked for.
    SchedulesMissing "schedules_missing" User NotFound NOT_FOUND Hint::cli("look at --from, --schema and --kind");
    /// There is no such schedule.
    UnknownSchedule "unknown_schedule" User NotFound NOT_FOUND Hint::each("list what there is with `schedule list`", "look in the list of schedules");
    /// Another schedule has this name.
    ScheduleExists "schedule_exists" User Usage CONFLICT Hint::each("change it with `schedule edit`, or give the new one another name", "change that one, or give the new one another name");
    /// There is no such migration.
    UnknownMigration "unknown_migration" User NotFound NOT_FOUND Hint::cli("list what there is with `migrate status`");
    /// There is no such worker.
    UnknownWorker "unknown_worker" User NotFound NOT_FOUND Hint::each("list what there is with `workers`", "list what there is with GET /api/v1/workers");
    /// There is no such token.
    UnknownToken "unknown_token" User NotFound NOT_FOUND Hint::each("list what there is with `tokens list`", "list what there is with GET /api/v1/admin/tokens");
    /// There is no such user.
    UnknownUser "unknown_user" User NotFound NOT_FOUND Hint::each("list what there is with `users list`", "list what there is with GET /api/v1/admin/users");
    /// There is no such session.
    UnknownSession "unknown_session" User NotFound NOT_FOUND Hint::each("list what there is with `sessions list`", "list what there is with GET /api/v1/admin/sessions");
    /// Another user, or another token, has this name.
    NameTaken "name_taken" User Usage CONFLICT Hint::both("choose another name");
    /// A name, a password or an end can't be what it was to be.
    InvalidValue "invalid_value" User Usage UNPROCESSABLE_ENTITY Hint::NONE;
    /// A request over HTTP can't be read: its syntax, a parameter or a field.
    InvalidRequest "invalid_request" User Usage BAD_REQUEST Hint::http("/api/v1/openapi.json describes every request");
    /// Nothing is at this address.
    NotFound "not_found" User NotFound NOT_FOUND Hint::http("/api/v1/openapi.json lists every address");
    /// The address knows other methods than this one.
    MethodNotAllowed "method_not_allowed" User Usage METHOD_NOT_ALLOWED Hint::http("the header Allow lists those that it knows");
    /// The body is larger than the server takes.
    BodyTooLarge "body_too_large" User Usage PAYLOAD_TOO_LARGE Hint::http("send it in parts");
    /// The body is of a type that is not read here.
    UnsupportedMediaType "unsupported_media_type" User Usage UNSUPPORTED_MEDIA_TYPE Hint::http("send JSON, with Content-Type: application/json");
    /// The idempotency key was used for another request.
    IdempotencyConflict "idempotency_conflict" User Usage CONFLICT Hint::http("make a new key for each thing that is to be done once");
    /// Nobody is logged in, and no valid token came along.
    Unauthenticated "unauthenticated" User Usage UNAUTHORIZED Hint::http("send Authorization: Bearer and a token, or log in");
    /// User and password do not fit.
    LoginFailed "login_failed" User Usage UNAUTHORIZED Hint::http("an operator sets another password with `celeriac users password`");
    /// Whoever asks may not do this.
    Forbidden "forbidden" User Usage FORBIDDEN Hint::http("it needs a token of a wider scope");
    /// The request comes from a page of another site.
    CrossSite "cross_site" User Usage FORBIDDEN Hint::http("reload the page and send it from there");
    /// The server was started for reading only.
    ReadOnly "read_only" User Usage FORBIDDEN Hint::NONE;
    /// Whoever asks has asked too often.
    TooManyRequests "too_many_requests" User Usage TOO_MANY_REQUESTS Hint::http("wait as long as Retry-After says");

    /// A configuration file is not TOML.
    ConfigSyntax "config_syntax" Config Usage INTERNAL_SERVER_ERROR Hint::http(OPERATOR);
    /// A key of the configuration is not known.
    ConfigUnknownKey "config_unknown_key" Config Usage INTERNAL_SERVER_ERROR Hint::each("list all keys with `config default`", OPERATOR);
    /// A value of the configuration can't be used.
    ConfigInvalidValue "config_invalid_value" Config Usage INTERNAL_SERVER_ERROR Hint::http(OPERATOR);
    /// The configuration file that was named is not there.
    ConfigFileMissing "config_file_missing" Config Usage INTERNAL_SERVER_ERROR Hint::each("write a commented one with `config default > celeriac.toml`", OPERATOR);
    /// The configuration file can't be read.
    ConfigFileUnreadable "config_file_unreadable" Config Usage INTERNAL_SERVER_ERROR Hint::http(OPERATOR);
    /// The app's parts don't fit together.
    AppInvalid "app_invalid" Config Usage INTERNAL_SERVER_ERROR Hint::http(OPERATOR);
    /// The server of the queue or the results does not let us in, lacks what is needed, or refuses what it is asked.
    BrokerRefused "broker_refused" Config Usage INTERNAL_SERVER_ERROR Hint::http(OPERATOR);
    /// A migration has no way down.
    MigrationIrreversible "migration_irreversible" Config Usage INTERNAL_SERVER_ERROR Hint::each("restore a backup instead", OPERATOR);

    /// Another process held the write lock for too long.
    DatabaseLocked "database_locked" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("another process is writing to the file; try again, or raise `database.busy_timeout`", "try again in a moment");
    /// The disk is full.
    DatabaseFull "database_full" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("free some space on its disk; nothing that was stored before is lost", OPERATOR);
    /// The file can be read but not written.
    DatabaseReadOnly "database_read_only" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("give this user write access to the file and its folder", OPERATOR);
    /// The operating system denies access.
    DatabaseDenied "database_denied" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("give this user access to the file and its folder, or name another one with --database", OPERATOR);
    /// The file is something else than a SQLite database.
    DatabaseNotSqlite "database_not_sqlite" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("name another file with --database; this one was not touched", OPERATOR);
    /// The file is a damaged SQLite database.
    DatabaseCorrupt "database_corrupt" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("stop everything that uses it, keep a copy, and restore a backup or try `sqlite3 FILE .recover`", OPERATOR);
    /// The folder of the file does not exist.
    DatabaseFolderMissing "database_folder_missing" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("create the folder, or name another file with --database", OPERATOR);
    /// The file does not exist.
    DatabaseFileMissing "database_file_missing" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("`migrate up` creates it, and so does the first job that is enqueued", OPERATOR);
    /// The path names a folder.
    DatabaseIsFolder "database_is_folder" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("name a file in it with --database", OPERATOR);
    /// The file lies on a file system that cannot hold a write-ahead log.
    DatabaseNoSharedMemory "database_no_shared_memory" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("move the file to a local disk; network file systems do not work", OPERATOR);
    /// Reading or writing the file failed in another way.
    DatabaseIo "database_io" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("look at the disk: `dmesg` says more", OPERATOR);
    /// The database was migrated by a newer binary.
    DatabaseNewer "database_newer" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("install the newer version; this one does not know that schema", OPERATOR);
    /// The schema of a database that others share is older than this binary.
    DatabaseOlder "database_older" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("make them with `migrate up`, once the older workers have stopped or can go on with it", OPERATOR);
    /// The server of the database cannot be reached.
    ServerUnreachable "server_unreachable" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("start it, or look at host and port in `database.url`", OPERATOR);
    /// What answers at the database's address is no PostgreSQL server.
    ServerForeign "server_foreign" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("look at host and port in `database.url`", OPERATOR);
    /// No encrypted connection to the database's server came about.
    ServerTls "server_tls" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("look at `sslmode` and `sslrootcert` in `database.url`", OPERATOR);
    /// The database's server does not accept the user or the password.
    ServerLogin "server_login" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("look at user and password in `database.url`, and at the server's pg_hba.conf", OPERATOR);
    /// The server has no such database.
    ServerDatabaseMissing "server_database_missing" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("create it with `createdb`, or name another one in `database.url`", OPERATOR);
    /// The user may not do this on the database's server.
    ServerDenied "server_denied" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("let the user create and change tables in its schema: GRANT ALL ON SCHEMA public TO the user", OPERATOR);
    /// The database's server takes no more connections.
    ServerFull "server_full" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("raise `max_connections`, let fewer processes run, or put a pooler before it and set `database.pooled`", OPERATOR);
    /// The database's server allows reading only.
    ServerReadOnly "server_read_only" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("name the primary in `database.url`; this is a standby, or its user may only read", OPERATOR);
    /// The database's server is starting or stopping.
    ServerNotReady "server_not_ready" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::both("try again in a moment");
    /// The database's server is older than the oldest one that is supported.
    ServerTooOld "server_too_old" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("upgrade the server", OPERATOR);
    /// Other transactions on the database's server were in the way.
    ServerBusy "server_busy" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("try again; pg_stat_activity shows who holds a lock for long", "try again in a moment");
    /// The disk of the database's server is full.
    ServerDiskFull "server_disk_full" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("free some space on it; nothing that was stored before is lost", OPERATOR);
    /// The database takes too long.
    DatabaseSlow "database_slow" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("look at the load of the machine and its disk, then try again", OPERATOR);
    /// The server of the queue or the results can't be reached, or can't answer now.
    BrokerUnreachable "broker_unreachable" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("start the server, or name the right one in `broker.url` or `results.url`; what was asked may have been done", OPERATOR);
    /// Somebody else serves at the address.
    AddressInUse "address_in_use" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("name another one with --port, or leave it out for one that is free", OPERATOR);
    /// A demonstration is running in that place already.
    DemoRunning "demo_running" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::each("stop it first, or name another database with --database", OPERATOR);
    /// The server did not finish the request in the time that one may take.
    RequestTimeout "request_timeout" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::both("ask for less at once, or try again in a moment");
    /// More is being asked than the server does at once.
    Overloaded "overloaded" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::both("try again in a moment");
    /// As many live streams are open as the server allows.
    TooManyStreams "too_many_streams" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::both("close some, or try again in a moment");
    /// The server is stopping.
    Stopping "stopping" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::both("try again in a moment");
    /// Something else that is needed can't be reached.
    Unavailable "unavailable" Unavailable Unavailable SERVICE_UNAVAILABLE Hint::http(OPERATOR);

    /// A migration failed.
    MigrationFailed "migration_failed" Internal Internal INTERNAL_SERVER_ERROR Hint::each("the database is as it was before that migration", OPERATOR);
    /// What is stored can't be read back.
    RecordCorrupt "record_corrupt" Internal Internal INTERNAL_SERVER_ERROR Hint::NONE;
    /// A state, a workflow or a loop of the app could not be made.
    StateFailed "state_failed" Internal Internal INTERNAL_SERVER_ERROR Hint::NONE;
    /// Anything else.
    Internal "internal" Internal Internal INTERNAL_SERVER_ERROR Hint::both("this should not happen; please report it");
}

impl Code {
    /// Returns what to do next at a terminal, where that can be said without knowing more.
    pub const fn hint(self) -> Option<&'static str> {
        self.hints().cli
    }

    /// Returns what to do next over HTTP, where that can be said without knowing more: it names no command and no flag.
    pub const fn http_hint(self) -> Option<&'static str> {
        self.hints().http
    }
}

#[cfg(test)]
mod tests;
