//! `schedule import --from URL`: takes over the entries of Celery's schedulers.

use celeriac_broker::{Notice, RedisOptions, read_redbeat};
use celeriac_control::BEAT;
use celeriac_control::celery_beat::{
    Carrier, Change, Definition, Import, Imported, LeftOut, Package, Rules, Tables, Verdict,
    redbeat_definition,
};
use celeriac_db::{Database, PostgresOptions, SqliteOptions};
use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::Zone;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use crate::config::BrokerUrl;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table, counted, until};
use crate::platform::{Use, open_to_look};
use crate::views::instant_or_none;

use super::How;

mod source;

use source::Source;

/// Flags that are about Celery's schedulers.
#[derive(Args, Debug)]
#[command(next_help_heading = "From Celery's schedulers")]
pub(super) struct CeleryArgs {
    /// Where they are: sqlite:PATH, postgres://..., or redis://... for redbeat
    #[arg(long, value_name = "URL")]
    from: Option<Source>,
    /// Which package has stored them, where the tables of several are there
    #[arg(long, requires = "from", value_parser = packages())]
    kind: Option<Package>,
    /// The schema of the tables, where several have some (the setting `beat_schema`)
    #[arg(long, requires = "from", value_name = "NAME")]
    schema: Option<String>,
    /// What redbeat's keys begin with (the setting `redbeat_key_prefix`)
    #[arg(long, requires = "from", value_name = "PREFIX", default_value = "redbeat:")]
    key_prefix: String,
    /// The zone of Celery's app (its setting `timezone`), for crontabs that name none
    #[arg(long, requires = "from", default_value = "UTC", value_parser = zone)]
    zone: Zone,
    /// The zone of times that were stored without one (Django's TIME_ZONE, with USE_TZ = False)
    #[arg(long, requires = "from", value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    naive_zone: Zone,
    /// What Celery's messages went through: it says which priority is the first [default: as ours]
    #[arg(long, requires = "from", value_name = "PRODUCT", value_parser = carriers())]
    celery_broker: Option<Carrier>,
    /// Say how the entries are switched off where they come from
    #[arg(long, requires = "from")]
    disable_source_hint: bool,
}

fn packages() -> impl TypedValueParser<Value = Package> {
    PossibleValuesParser::new(Package::ALL.map(Package::as_str)).map(|word| {
        let found = Package::ALL.into_iter().find(|package| package.as_str() == word);
        found.expect("the parser lets only these words through")
    })
}

fn carriers() -> impl TypedValueParser<Value = Carrier> {
    PossibleValuesParser::new(["redis", "rabbitmq", "other"]).map(|word| match word.as_str() {
        "redis" => Carrier::Redis,
        "rabbitmq" => Carrier::RabbitMq,
        _ => Carrier::Other,
    })
}

fn zone(text: &str) -> Result<Zone, String> {
    text.parse().map_err(|error: celeriac_protocol::schedule::ScheduleError| error.to_string())
}

/// What has become of one entry, or would. The field names are stable.
#[derive(Serialize)]
struct ImportedView {
    name: String,
    task: Option<String>,
    outcome: &'static str,
    reason: Option<String>,
    schedule: Option<String>,
    zone: Option<String>,
    enabled: Option<bool>,
    next_due_at: Option<String>,
    last_run_at: Option<String>,
    total_run_count: Option<u64>,
    changes: Vec<ChangeView>,
    dry_run: bool,
    #[serde(skip)]
    verdict: Verdict,
    #[serde(skip)]
    due: Option<Timestamp>,
}

/// One thing that is not as it was. The field names are stable.
#[derive(Serialize)]
struct ChangeView {
    about: &'static str,
    text: String,
}

/// Runs the command.
pub(super) async fn run(context: &Context, how: How, args: CeleryArgs) -> Result<Exit> {
    let Some(from) = &args.from else {
        return Err(Failure::plain(Code::Usage, "name a file, or another scheduler by --from"));
    };
    let found = read(context, from, &args).await.map_err(|error| at_source(error, from))?;
    let carrier = args.celery_broker.unwrap_or_else(|| carrier(&context.loaded.config.broker.url));
    let rules = Rules { now: context.clock.now(), zone: args.zone.clone(), carrier };
    let import = Import { package: found.package, replace: how.replace, rules };
    let imported = match how.dry_run {
        true => rehearse(context, &import, found.entries).await?,
        false => {
            let platform = context.open(Use::Creating).await?;
            let imported = import.run(&platform.database, found.entries).await?;
            platform.broker().notifier().notify(Notice::Loop(BEAT.to_owned()));
            imported
        }
    };
    let views: Vec<ImportedView> = imported.into_iter().map(|one| view(one, how.dry_run)).collect();
    context.output.list(&views, |views| table(views, import.rules.now))?;
    tell(context, found.title, &views);
    match how.dry_run {
        true => context.output.note("nothing was written; the same without --dry-run does it"),
        false => say_what_is_next(context, &args, found.package),
    }
    Ok(Exit::Done)
}

/// Names what could not be read, and leaves out hints that are about our own database and queue.
fn at_source(error: Failure, from: &Source) -> Failure {
    let hint = match error.code() {
        Code::Usage | Code::SchedulesMissing => return error,
        Code::DatabaseFileMissing => "there is no such file: look at --from",
        Code::DatabaseNotSqlite => "it is no SQLite file: look at --from",
        _ => "look at host, user, password and database in --from",
    };
    error.used_for("source", &from.shown()).hint(hint)
}

/// What was found where entries come from.
struct Found {
    package: Package,
    title: &'static str,
    entries: Vec<Result<Definition, LeftOut>>,
}

async fn read(context: &Context, from: &Source, args: &CeleryArgs) -> Result<Found> {
    let is_redis = matches!(from, Source::Redis(_));
    if args.kind.is_some_and(|kind| (kind == Package::Redbeat) != is_redis) {
        return Err(Failure::failed_to(Code::Usage, "find entries of that kind")
            .because("those of redbeat are in Redis, and the others in a database"));
    }
    let database = match from {
        Source::Redis(url) => return read_redis(context, url, &args.key_prefix).await,
        Source::File(path) => {
            Database::open_read_only(SqliteOptions { create: false, ..SqliteOptions::at(path) }).await?
        }
        Source::Server(url) => {
            // Nothing is written, so nobody is to be kept ready for that.
            let few = PostgresOptions {
                write_connections: 1,
                queue_connections: 1,
                read_connections: 1,
                ..PostgresOptions::at(url)
            };
            Database::open_postgres(few).await?
        }
    };
    context.opened.add(&database);
    let tables = Tables::read(database.reader(), args.kind, args.schema.as_deref()).await?;
    let entries = tables.definitions(args.naive_zone.as_jiff());
    Ok(Found { package: tables.package, title: tables.title, entries })
}

async fn read_redis(context: &Context, url: &str, prefix: &str) -> Result<Found> {
    let broker = &context.loaded.config.broker;
    let master_name = Some(broker.master_name.clone());
    let options = RedisOptions { master_name, deadline: broker.deadline.0, ..RedisOptions::at(url) };
    let keys = read_redbeat(&options, prefix).await?;
    if keys.is_empty() {
        return Err(Failure::failed_to(Code::SchedulesMissing, "find entries of redbeat")
            .because(format!("there is nothing at `{prefix}:schedule`"))
            .hint(
                "name the database in the URL (redis://HOST/1), or what the keys begin with by --key-prefix",
            ));
    }
    let entries = keys.iter().map(|key| redbeat_definition(key, prefix)).collect();
    Ok(Found { package: Package::Redbeat, title: "redbeat", entries })
}

/// Says what would become of entries. A database that is not there, or not up to date, is left so, and then all would
/// be new.
async fn rehearse(
    context: &Context,
    import: &Import,
    entries: Vec<Result<Definition, LeftOut>>,
) -> Result<Vec<Imported>> {
    let is_missing = context.loaded.config.database.url.file().is_some_and(|file| !file.exists());
    if is_missing {
        return Ok(import.rehearse(None, entries).await?);
    }
    let database = open_to_look(context).await?;
    context.opened.add(&database);
    let is_current = celeriac_store::MIGRATIONS.check(database.reader()).await?.is_empty();
    Ok(import.rehearse(is_current.then(|| database.reader()), entries).await?)
}

/// Celery's messages are taken to go through what ours do.
fn carrier(broker: &BrokerUrl) -> Carrier {
    match broker {
        BrokerUrl::Redis(_) => Carrier::Redis,
        BrokerUrl::Amqp(_) => Carrier::RabbitMq,
        BrokerUrl::Database => Carrier::Other,
    }
}

fn view(imported: Imported, dry_run: bool) -> ImportedView {
    let Imported { name, task, verdict, reason, proposal } = imported;
    let proposal = proposal.as_ref();
    let entry = proposal.map(|proposal| &proposal.entry);
    let due = proposal.and_then(|proposal| proposal.next_due_at);
    let change = |change: &Change| ChangeView { about: change.about, text: change.text.clone() };
    ImportedView {
        name,
        task,
        outcome: verdict.as_str(),
        reason,
        schedule: entry.map(|entry| entry.spec.clone()),
        zone: entry.map(|entry| entry.zone.clone()),
        enabled: entry.map(|entry| entry.enabled),
        next_due_at: instant_or_none(due),
        last_run_at: instant_or_none(proposal.and_then(|proposal| proposal.last_run_at)),
        total_run_count: proposal.map(|proposal| proposal.total_run_count),
        changes: proposal.map(|proposal| proposal.changes.iter().map(change).collect()).unwrap_or_default(),
        dry_run,
        verdict,
        due,
    }
}

fn table(views: &[ImportedView], now: Timestamp) -> Table {
    let columns = [
        Column::elastic("NAME"),
        Column::new("OUTCOME"),
        Column::elastic("SCHEDULE"),
        Column::new("NEXT"),
        Column::wrapping("WHAT IS NOT THE SAME"),
    ];
    let mut table = Table::new(columns, "no entries");
    for view in views {
        let paint = match view.verdict {
            Verdict::Added | Verdict::Updated | Verdict::Replaced => Paint::Good,
            Verdict::Unchanged => Paint::Faint,
            Verdict::Kept => Paint::Warning,
            Verdict::LeftOut => Paint::Bad,
        };
        let next = match (view.due, view.enabled) {
            (Some(due), _) => until(due, now),
            (None, Some(false)) => "off".to_owned(),
            (None, _) => String::new(),
        };
        table.row([
            Cell::new(&view.name),
            Cell::painted(paint, view.outcome.replace('_', " ")).exactly(view.outcome),
            Cell::new(view.timing()),
            Cell::painted(Paint::Faint, next).exactly(view.next_due_at.clone().unwrap_or_default()),
            Cell::new(view.told()),
        ]);
    }
    table
}

impl ImportedView {
    fn timing(&self) -> String {
        let (spec, zone) =
            (self.schedule.as_deref().unwrap_or_default(), self.zone.as_deref().unwrap_or_default());
        // A text that names its zone itself ends with it.
        let has_wall = spec.starts_with("crontab") && zone != "UTC";
        if has_wall { format!("{spec} {zone}") } else { spec.to_owned() }
    }

    fn told(&self) -> String {
        let changes = self.changes.iter().map(|change| change.text.as_str());
        self.reason.as_deref().into_iter().chain(changes).collect::<Vec<_>>().join("; ")
    }
}

/// Counts what came of it.
fn tell(context: &Context, title: &str, views: &[ImportedView]) {
    let count = |verdict: Verdict| views.iter().filter(|view| view.verdict == verdict).count();
    let counts =
        Verdict::ALL.into_iter().map(|verdict| (count(verdict), verdict)).filter(|(count, _)| *count > 0);
    let counts: Vec<String> =
        counts.map(|(count, verdict)| format!("{count} {}", verdict.as_str().replace('_', " "))).collect();
    let found = counted(views.len() as u64, "schedule");
    context.output.note(format_args!("{found} of {title}: {}", counts.join(", ")));
}

/// Says what to do before both sides fire.
fn say_what_is_next(context: &Context, args: &CeleryArgs, package: Package) {
    let output = &context.output;
    output.note("next: stop `celery beat`, or both fire; import once more after that for what ran meanwhile");
    if args.disable_source_hint {
        output.note(format_args!("to switch the entries off there, too:\n{}", switch_off(package)));
    }
}

/// What is typed where the entries come from, so that a `celery beat` that is started by mistake sends nothing.
fn switch_off(package: Package) -> &'static str {
    match package {
        Package::Django => {
            "  python manage.py shell -c \"from django_celery_beat.models import *; \\\n  \
             PeriodicTask.objects.update(enabled=False); PeriodicTasks.update_changed()\""
        }
        Package::SqlAlchemy => {
            "  from sqlalchemy_celery_beat.models import PeriodicTask\n  \
             for task in session.query(PeriodicTask): task.enabled = False\n  \
             session.commit()"
        }
        Package::Redbeat => {
            "  from redbeat.schedulers import RedBeatSchedulerEntry as Entry, get_redis\n  \
             for key in get_redis(app).zrange('redbeat::schedule', 0, -1):\n  \
             \u{20}   entry = Entry.from_key(key, app=app); entry.enabled = False; entry.save()"
        }
    }
}
