//! `schedule explain`: what an expression means, with nothing opened.

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::{Calendar, Due, Schedule, Timetable, Zone};
use clap::Args;
use serde::Serialize;

use super::due::{self, DueView};
use super::moment::Moment;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, Paint};

/// Arguments of `schedule explain`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// When it is due: a crontab, `every 5m`, `at 2027-01-01T10:00` or `solar sunset 52.5,13.4`
    #[arg(value_name = "WHEN", required = true)]
    when: Vec<String>,
    /// The zone on whose wall it is read, where it names none [default: that of `beat.timezone`]
    #[arg(long, short, value_parser = zone)]
    zone: Option<Zone>,
    /// Days and hours that are left out, such as `sat,sun,12-25,22:00-06:00`
    #[arg(long, value_name = "LIST")]
    except: Option<String>,
    /// Begin there: a date and time, or a span from now [default: now]
    #[arg(long, value_name = "INSTANT")]
    from: Option<Moment>,
    /// How many due times are told
    #[arg(long, short = 'n', default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    count: u16,
}

const EXAMPLES: &str = "Examples:
  schedule explain '30 2 * * mon-fri' --zone Europe/Berlin
  schedule explain '0 0 13 * fri vixie'
  schedule explain every 90m
  schedule explain at 2027-03-28 02:30 Europe/Berlin";

/// What an expression means. The field names are stable.
#[derive(Serialize)]
struct ExplainView {
    schedule: String,
    words: String,
    zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    except: Option<String>,
    next: Vec<DueView>,
    clock_changes: Vec<String>,
    rules: Vec<&'static str>,
}

/// Reads a zone's name.
pub(super) fn zone(name: &str) -> Result<Zone, String> {
    name.parse().map_err(|error: celeriac_protocol::schedule::ScheduleError| error.to_string())
}

/// Runs the command.
pub(super) fn run(context: &Context, args: &ExplainArgs) -> Result<Exit> {
    let zone = args.zone.clone().unwrap_or_else(|| context.loaded.config.beat.zone());
    let schedule = Schedule::parse_in(&args.when.join(" "), &zone)?;
    let calendar = args.except.as_deref().map(|text| Calendar::parse_in(text, &zone));
    let explained = Explained::new(
        schedule,
        calendar.transpose()?.unwrap_or_default(),
        args,
        &zone,
        context.clock.now(),
    )?;
    if context.output.is_json() {
        context.output.json(&explained.view())?;
    } else {
        explained.print(&context.output)?;
    }
    Ok(Exit::Done)
}

/// What is known of an expression.
struct Explained {
    timetable: Timetable,
    /// On whose wall due times are shown.
    zone: Zone,
    /// Where due times are told by how far they are from it.
    now: Option<Timestamp>,
    next: Vec<Due>,
    clock_changes: Vec<String>,
}

impl Explained {
    fn new(
        schedule: Schedule,
        calendar: Calendar,
        args: &ExplainArgs,
        given: &Zone,
        now: Timestamp,
    ) -> Result<Self> {
        let from = args.from.as_ref().map_or(Ok(now), |from| from.ahead(given, now))?;
        let zone = match schedule {
            Schedule::Crontab(_) | Schedule::Clocked(_) => schedule.zone().clone(),
            Schedule::Interval(_) | Schedule::Solar(_) => given.clone(),
        };
        // What is due at the very moment counts.
        let after = Timestamp::from_micros(from.as_micros().saturating_sub(1));
        let clock_changes = schedule.dst_notes(after);
        let timetable = Timetable { schedule, calendar };
        let next = due::next(&timetable, after, usize::from(args.count));
        let now = args.from.is_none().then_some(now);
        Ok(Self { timetable, zone, now, next, clock_changes })
    }

    fn except(&self) -> Option<String> {
        let calendar = &self.timetable.calendar;
        (!calendar.is_empty()).then(|| calendar.to_string())
    }

    fn view(&self) -> ExplainView {
        let schedule = &self.timetable.schedule;
        ExplainView {
            schedule: schedule.to_string(),
            words: schedule.describe(),
            zone: self.zone.to_string(),
            except: self.except(),
            next: due::views(&self.next, &self.zone),
            clock_changes: self.clock_changes.clone(),
            rules: schedule.rules(),
        }
    }

    fn print(&self, output: &Output) -> Result {
        let schedule = &self.timetable.schedule;
        output.line(output.paint(Paint::Strong, &schedule.describe()))?;
        output.line(output.paint(Paint::Faint, &schedule.to_string()))?;
        if let Some(except) = self.except() {
            output.line(format_args!("{} {except}", output.paint(Paint::Faint, "except")))?;
        }
        output.line("")?;
        output.table_for_people(&due::table(&self.next, &self.zone, self.now))?;
        print_sentences(output, self.clock_changes.iter().cloned())?;
        print_sentences(output, schedule.rules().into_iter().map(|rule| format!("rule: {rule}")))
    }
}

/// Prints sentences, and an empty line before the first.
pub(super) fn print_sentences(output: &Output, sentences: impl Iterator<Item = String>) -> Result {
    for (index, sentence) in sentences.enumerate() {
        if index == 0 {
            output.line("")?;
        }
        output.paragraph(&sentence)?;
    }
    Ok(())
}
