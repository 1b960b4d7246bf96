//! The registry of error codes, and the one error type that reaches the terminal.

use std::error::Error;
use std::fmt;

use crate::exit::Exit;

mod convert;
mod report;

pub(crate) use report::report;

/// Who has to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nobody: it is an answer, and the answer is no.
    Answer,
    /// Whoever typed the command.
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
            Self::User => "whoever typed the command",
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
    ($(#[doc = $doc:literal] $name:ident $word:literal $kind:ident $exit:ident $hint:expr;)*) => {
        /// Names one way in which a command can fail. The words are stable; scripts may rely on them.
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
                match self { $(Self::$name => $doc,)* }
            }

            /// Returns who has to do something about it.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            /// Returns what the process's exit code becomes.
            pub const fn exit(self) -> Exit {
                match self { $(Self::$name => Exit::$exit,)* }
            }

            /// Returns what to do next, where that can be said without knowing more.
            pub const fn hint(self) -> Option<&'static str> {
                match self { $(Self::$name => $hint,)* }
            }
        }
    };
}

codes! {
    /// The job that was waited for failed.
    JobFailed "job_failed" Answer Negative None;
    /// The job that was waited for was cancelled.
    JobCancelled "job_cancelled" Answer Negative None;
    /// The job can't be changed: it has come to its end, or has not yet.
    JobState "job_state" Answer Negative None;
    /// The job did not end in time.
    TimedOut "timed_out" Answer TimedOut Some("the job goes on; wait again with a longer --timeout");
    /// A check of `doctor` failed.
    CheckFailed "check_failed" Answer Negative None;
    /// It was interrupted.
    Interrupted "interrupted" Answer Interrupted None;
    /// Nobody reads the output any more.
    OutputClosed "output_closed" Answer OutputClosed None;

    /// The command line can't be understood.
    Usage "usage" User Usage None;
    /// No task of this name is registered here.
    UnknownTask "unknown_task" User NotFound Some("list what there is with `tasks`, or send it to other workers with --unchecked");
    /// The arguments don't fit the task.
    InvalidArguments "invalid_arguments" User Usage None;
    /// A line of a bulk file can't be used.
    BulkLine "bulk_line" User Usage None;
    /// The text says no times that a schedule could have.
    InvalidSchedule "invalid_schedule" User Usage None;
    /// Schedules that were to be imported can't be: what stands in the file, or what is here already.
    ScheduleFile "schedule_file" User Usage None;
    /// A file that was named can't be read.
    FileUnreadable "file_unreadable" User Usage None;
    /// The folder of a site can't be served.
    SiteUnreadable "site_unreadable" User Usage None;
    /// There is no such workflow.
    UnknownWorkflow "unknown_workflow" User NotFound Some("list what there is with `workflow list`");
    /// Several jobs' ids begin as was typed.
    AmbiguousJob "ambiguous_job" User Usage Some("write more of the id");
    /// There is no such job.
    UnknownJob "unknown_job" User NotFound Some("list what there is with `jobs list`; records are removed after their retention");
    /// There is no such dead letter.
    UnknownDeadLetter "unknown_dead_letter" User NotFound Some("list what there is with `dead list`");
    /// There is no such queue.
    UnknownQueue "unknown_queue" User NotFound Some("list what there is with `queues`");
    /// No schedules of Celery's are where they were looked for.
    SchedulesMissing "schedules_missing" User NotFound Some("look at --from, --schema and --kind");
    /// There is no such schedule.
    UnknownSchedule "unknown_schedule" User NotFound Some("list what there is with `schedule list`");
    /// Another schedule has this name.
    ScheduleExists "schedule_exists" User Usage Some("change it with `schedule edit`, or give the new one another name");
    /// There is no such migration.
    UnknownMigration "unknown_migration" User NotFound Some("list what there is with `migrate status`");

    /// A configuration file is not TOML.
    ConfigSyntax "config_syntax" Config Usage None;
    /// A key of the configuration is not known.
    ConfigUnknownKey "config_unknown_key" Config Usage Some("list all keys with `config default`");
    /// A value of the configuration can't be used.
    ConfigInvalidValue "config_invalid_value" Config Usage None;
    /// The configuration file that was named is not there.
    ConfigFileMissing "config_file_missing" Config Usage Some("write a commented one with `config default > celeriac.toml`");
    /// The configuration file can't be read.
    ConfigFileUnreadable "config_file_unreadable" Config Usage None;
    /// The app's parts don't fit together.
    AppInvalid "app_invalid" Config Usage None;
    /// The server of the queue or the results does not let us in, lacks what is needed, or refuses what it is asked.
    BrokerRefused "broker_refused" Config Usage None;
    /// A migration has no way down.
    MigrationIrreversible "migration_irreversible" Config Usage Some("restore a backup instead");

    /// Another process held the write lock for too long.
    DatabaseLocked "database_locked" Unavailable Unavailable Some("another process is writing to the file; try again, or raise `database.busy_timeout`");
    /// The disk is full.
    DatabaseFull "database_full" Unavailable Unavailable Some("free some space on its disk; nothing that was stored before is lost");
    /// The file can be read but not written.
    DatabaseReadOnly "database_read_only" Unavailable Unavailable Some("give this user write access to the file and its folder");
    /// The operating system denies access.
    DatabaseDenied "database_denied" Unavailable Unavailable Some("give this user access to the file and its folder, or name another one with --database");
    /// The file is something else than a SQLite database.
    DatabaseNotSqlite "database_not_sqlite" Unavailable Unavailable Some("name another file with --database; this one was not touched");
    /// The file is a damaged SQLite database.
    DatabaseCorrupt "database_corrupt" Unavailable Unavailable Some("stop everything that uses it, keep a copy, and restore a backup or try `sqlite3 FILE .recover`");
    /// The folder of the file does not exist.
    DatabaseFolderMissing "database_folder_missing" Unavailable Unavailable Some("create the folder, or name another file with --database");
    /// The file does not exist.
    DatabaseFileMissing "database_file_missing" Unavailable Unavailable Some("`migrate up` creates it, and so does the first job that is enqueued");
    /// The path names a folder.
    DatabaseIsFolder "database_is_folder" Unavailable Unavailable Some("name a file in it with --database");
    /// The file lies on a file system that cannot hold a write-ahead log.
    DatabaseNoSharedMemory "database_no_shared_memory" Unavailable Unavailable Some("move the file to a local disk; network file systems do not work");
    /// Reading or writing the file failed in another way.
    DatabaseIo "database_io" Unavailable Unavailable Some("look at the disk: `dmesg` says more");
    /// The database was migrated by a newer binary.
    DatabaseNewer "database_newer" Unavailable Unavailable Some("install the newer version; this one does not know that schema");
    /// The schema of a database that others share is older than this binary.
    DatabaseOlder "database_older" Unavailable Unavailable Some("make them with `migrate up`, once the older workers have stopped or can go on with it");
    /// The server of the database cannot be reached.
    ServerUnreachable "server_unreachable" Unavailable Unavailable Some("start it, or look at host and port in `database.url`");
    /// What answers at the database's address is no PostgreSQL server.
    ServerForeign "server_foreign" Unavailable Unavailable Some("look at host and port in `database.url`");
    /// No encrypted connection to the database's server came about.
    ServerTls "server_tls" Unavailable Unavailable Some("look at `sslmode` and `sslrootcert` in `database.url`");
    /// The database's server does not accept the user or the password.
    ServerLogin "server_login" Unavailable Unavailable Some("look at user and password in `database.url`, and at the server's pg_hba.conf");
    /// The server has no such database.
    ServerDatabaseMissing "server_database_missing" Unavailable Unavailable Some("create it with `createdb`, or name another one in `database.url`");
    /// The user may not do this on the database's server.
    ServerDenied "server_denied" Unavailable Unavailable Some("let the user create and change tables in its schema: GRANT ALL ON SCHEMA public TO the user");
    /// The database's server takes no more connections.
    ServerFull "server_full" Unavailable Unavailable Some("raise `max_connections`, let fewer processes run, or put a pooler before it and set `database.pooled`");
    /// The database's server allows reading only.
    ServerReadOnly "server_read_only" Unavailable Unavailable Some("name the primary in `database.url`; this is a standby, or its user may only read");
    /// The database's server is starting or stopping.
    ServerNotReady "server_not_ready" Unavailable Unavailable Some("try again in a moment");
    /// The database's server is older than the oldest one that is supported.
    ServerTooOld "server_too_old" Unavailable Unavailable Some("upgrade the server");
    /// Other transactions on the database's server were in the way.
    ServerBusy "server_busy" Unavailable Unavailable Some("try again; pg_stat_activity shows who holds a lock for long");
    /// The disk of the database's server is full.
    ServerDiskFull "server_disk_full" Unavailable Unavailable Some("free some space on it; nothing that was stored before is lost");
    /// The database takes too long.
    DatabaseSlow "database_slow" Unavailable Unavailable Some("look at the load of the machine and its disk, then try again");
    /// The server of the queue or the results can't be reached, or can't answer now.
    BrokerUnreachable "broker_unreachable" Unavailable Unavailable Some("start the server, or name the right one in `broker.url` or `results.url`; what was asked may have been done");
    /// Somebody else serves at the address.
    AddressInUse "address_in_use" Unavailable Unavailable Some("name another one with --port, or leave it out for one that is free");
    /// A demonstration is running in that place already.
    DemoRunning "demo_running" Unavailable Unavailable Some("stop it first, or name another database with --database");
    /// Something else that is needed can't be reached.
    Unavailable "unavailable" Unavailable Unavailable None;

    /// A migration failed.
    MigrationFailed "migration_failed" Internal Internal Some("the database is as it was before that migration");
    /// What is stored can't be read back.
    RecordCorrupt "record_corrupt" Internal Internal None;
    /// A state, a workflow or a loop of the app could not be made.
    StateFailed "state_failed" Internal Internal None;
    /// Anything else.
    Internal "internal" Internal Internal Some("this should not happen; please report it");
}

/// An error as it reaches the terminal: a code, what was being done, why it failed, what to do next.
pub(crate) struct CliError {
    code: Code,
    headline: String,
    causes: Vec<String>,
    hint: Option<String>,
    job: Option<String>,
}

/// What a command's work comes to.
pub(crate) type Result<T = (), E = CliError> = std::result::Result<T, E>;

impl CliError {
    /// Says what failed; `action` is read after "failed to".
    pub(crate) fn failed_to(code: Code, action: impl fmt::Display) -> Self {
        Self::plain(code, format!("failed to {action}"))
    }

    /// Says something in full.
    pub(crate) fn plain(code: Code, headline: impl Into<String>) -> Self {
        Self { code, headline: headline.into(), causes: Vec::new(), hint: None, job: None }
    }

    /// Adds why it failed.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds why it failed: an error and what caused it in turn.
    #[must_use]
    pub(crate) fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Some libraries repeat their cause in their own text.
            if !self.causes.iter().any(|before| before.ends_with(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds what else failed in the same way, with what to do about that.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        let (mine, more) = (self.causes.join(": "), other.causes.join(": "));
        self.causes = vec![format!("{mine}; {more}")];
        self.hint = match (self.hint, other.hint) {
            (Some(mine), Some(more)) => Some(format!("{mine} {more}")),
            (mine, more) => mine.or(more),
        };
        self
    }

    /// Says what to do next, in place of what the registry says.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the job that it is about, for programs; people read it in the text.
    #[must_use]
    pub(crate) fn about(mut self, job: &impl fmt::Display) -> Self {
        self.job = Some(job.to_string());
        self
    }

    /// Returns the code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Returns what to do next.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref().or(self.code.hint())
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl fmt::Debug for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.code.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_snake_case() {
        let words: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }

    #[test]
    fn kind_and_exit_code_agree() {
        for code in Code::ALL {
            let fits = match code.kind() {
                Kind::Answer => {
                    matches!(
                        code.exit(),
                        Exit::Negative | Exit::TimedOut | Exit::Interrupted | Exit::OutputClosed
                    )
                }
                Kind::User => matches!(code.exit(), Exit::Usage | Exit::NotFound),
                Kind::Config => code.exit() == Exit::Usage,
                Kind::Unavailable => code.exit() == Exit::Unavailable,
                Kind::Internal => code.exit() == Exit::Internal,
            };
            assert!(fits, "{code:?}");
        }
    }

    #[test]
    fn whatever_somebody_else_must_mend_has_a_hint() {
        let silent =
            Code::ALL.iter().filter(|code| code.kind() == Kind::Unavailable && code.hint().is_none());
        assert_eq!(silent.copied().collect::<Vec<_>>(), [Code::Unavailable]);
    }

    /// Writes the reference of all codes.
    fn document() -> String {
        let mut text = "# Error codes\n\n\
            What can go wrong on the command line. With `--json` an error is one object on the error stream: `code`, `kind`,\n\
            `message`, `causes`, `hint`, `exit_code`, and `job` where it is about one. Codes, kinds and exit codes are stable. This\n\
            page is written by a test from `crates/cli/src/error.rs`; what the exit codes mean stands in `--help`.\n"
            .to_owned();
        for kind in Kind::ALL {
            text.push_str(&format!("\n## `{}`: {}\n\n", kind.as_str(), kind.meaning()));
            text.push_str("| code | exit | meaning | what to do |\n| --- | --- | --- | --- |\n");
            for code in Code::ALL.iter().filter(|code| code.kind() == kind) {
                let (exit, hint) = (code.exit().number(), code.hint().unwrap_or(""));
                text.push_str(&format!("| `{}` | {exit} |{} | {hint} |\n", code.as_str(), code.meaning()));
            }
        }
        text
    }

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");

    #[test]
    #[expect(clippy::disallowed_methods, reason = "whoever changes a code asks for the page by a variable")]
    fn the_reference_is_up_to_date() {
        if std::env::var_os("CELERIAC_TEST_WRITE_DOCS").is_some() {
            std::fs::write(DOCUMENT, document()).unwrap();
        }
        let kept = std::fs::read_to_string(DOCUMENT).unwrap();
        assert!(
            kept == document(),
            "run this test with CELERIAC_TEST_WRITE_DOCS=1 and look at the difference"
        );
    }

    #[test]
    fn a_cause_that_repeats_the_next_one_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("write page: {0}")]
        struct WritePage(#[source] std::io::Error);
        let outer = WritePage(std::io::Error::other("disk on fire"));
        let error = CliError::failed_to(Code::Internal, "save").caused_by(&outer);
        assert_eq!(error.to_string(), "failed to save: write page: disk on fire");
    }
}
