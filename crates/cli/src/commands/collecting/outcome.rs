//! What the collecting came to: the closing table, and the same as one JSON object.

use std::time::Duration;

use celeriac_collect::summary::{FailedRow, PageKinds, Summary, Tally, failed_rows};
use celeriac_db::sea_orm::{DatabaseConnection, DbErr};
use serde::Serialize;

use crate::error::Result;
use crate::output::{ByteSize, Cell, Column, Output, Paint, Table, brief, grouped};

/// How many rows in *error* a person sees; programs get ten times as many.
const ERRORS_SHOWN: u64 = 12;

/// What the collecting came to.
#[derive(Debug)]
pub(in crate::commands) struct Outcome {
    summary: Summary,
    kinds: PageKinds,
    errors: Vec<FailedRow>,
}

/// A command to type next, and what it is for.
#[derive(Clone, Debug, Serialize)]
pub(in crate::commands) struct Next {
    pub(in crate::commands) command: String,
    pub(in crate::commands) purpose: &'static str,
}

/// What is said around the numbers.
pub(in crate::commands) struct Frame<'a> {
    /// What was collected.
    pub(in crate::commands) addresses: &'a [String],
    /// Where the database lies.
    pub(in crate::commands) database: String,
    /// Where the site's request log lies, if the site is ours.
    pub(in crate::commands) request_log: Option<String>,
    /// How long it took, over all starts.
    pub(in crate::commands) elapsed: Duration,
    /// How often it was started.
    pub(in crate::commands) starts: u32,
    /// Whether every row has ended.
    pub(in crate::commands) is_complete: bool,
    /// What to type next.
    pub(in crate::commands) next: Vec<Next>,
}

impl Outcome {
    /// Reads what the collecting of some domains came to.
    pub(super) async fn read(reader: &DatabaseConnection, domains: &[i64]) -> Result<Self, DbErr> {
        Ok(Self {
            summary: Summary::read(reader, domains).await?,
            kinds: PageKinds::read(reader, domains).await?,
            errors: failed_rows(reader, domains, ERRORS_SHOWN * 10).await?,
        })
    }

    /// Says whether a domain as a whole could not be collected.
    pub(in crate::commands) fn has_failed_domain(&self) -> bool {
        self.summary.domains.failed > 0
    }

    /// Prints it.
    ///
    /// # Errors
    /// Nobody reads the output.
    pub(in crate::commands) fn print(&self, output: &Output, frame: &Frame<'_>) -> Result {
        if output.is_json() {
            return output.json(&OutcomeView::new(self, frame));
        }
        output.line(self.headline(output, frame))?;
        output.line("")?;
        output.table_for_people(&self.table())?;
        output.line("")?;
        for (label, text) in self.facts(frame) {
            output.line(format_args!("{}{text}", output.paint(Paint::Faint, &format!("{label:<10}"))))?;
        }
        self.print_errors(output, frame)?;
        print_next(output, &frame.next)
    }

    fn headline(&self, output: &Output, frame: &Frame<'_>) -> String {
        let what = frame.addresses.join(", ");
        let (word, paint) = match frame.is_complete {
            true => ("Collected", Paint::Good),
            false => ("Stopped before the end of", Paint::Warning),
        };
        let ended = grouped(self.summary.pages.ended());
        let pace = match self.pages_per_second(frame) {
            Some(rate) => format!(" in {}, {rate:.1} a second", brief(frame.elapsed)),
            None => String::new(),
        };
        format!("{} {}: {ended} pages{pace}", output.paint(paint, word), output.paint(Paint::Strong, &what))
    }

    #[expect(clippy::cast_precision_loss, reason = "no table has 2^52 rows")]
    fn pages_per_second(&self, frame: &Frame<'_>) -> Option<f64> {
        let seconds = frame.elapsed.as_secs_f64();
        (seconds > 0.0).then(|| self.summary.pages.ended() as f64 / seconds)
    }

    fn table(&self) -> Table {
        let Summary { domains, sitemaps, pages } = &self.summary;
        let columns = [
            Column::new(""),
            Column::number("FOUND"),
            Column::number("DONE"),
            Column::number("ERROR"),
            Column::number("OPEN"),
            Column::number("RETRIES"),
        ];
        let mut table = Table::new(columns, "");
        for (name, tally) in [("domains", domains), ("sitemaps", sitemaps), ("pages", pages)] {
            table.row([
                Cell::new(name),
                Cell::painted(Paint::Strong, grouped(tally.total())),
                number(tally.done, Paint::Good),
                number(tally.failed, Paint::Bad),
                number(tally.open(), Paint::Waiting),
                number(tally.retries, Paint::Warning),
            ]);
        }
        table
    }

    fn facts(&self, frame: &Frame<'_>) -> Vec<(&'static str, String)> {
        let (kinds, pages) = (&self.kinds, &self.summary.pages);
        let mut facts = vec![
            (
                "URLs",
                listed([
                    (kinds.from_sitemaps, "from sitemaps"),
                    (kinds.from_links, "from links"),
                    (kinds.from_elsewhere, "from elsewhere"),
                ]),
            ),
            (
                "pages",
                listed([
                    (kinds.read, "read"),
                    (kinds.redirects, "lead to another page"),
                    (pages.done.saturating_sub(kinds.read + kinds.redirects), "no HTML"),
                    (pages.failed, "in error"),
                ]),
            ),
            ("received", ByteSize(kinds.wire_bytes).to_string()),
            ("database", frame.database.clone()),
        ];
        facts.extend(frame.request_log.iter().map(|log| ("requests", log.clone())));
        if frame.starts > 1 {
            facts.push(("started", format!("{} times", frame.starts)));
        }
        facts
    }

    fn print_errors(&self, output: &Output, frame: &Frame<'_>) -> Result {
        if self.errors.is_empty() {
            return Ok(());
        }
        let mut table =
            Table::new([Column::elastic("ERROR AT"), Column::number("TRIES"), Column::elastic("REASON")], "");
        let shown = usize::try_from(ERRORS_SHOWN).unwrap_or(usize::MAX);
        for row in self.errors.iter().take(shown) {
            let place = frame.addresses.iter().find_map(|origin| {
                row.url.strip_prefix(origin.trim_end_matches('/')).filter(|rest| rest.starts_with('/'))
            });
            let place = place.unwrap_or(&row.url);
            table.row([
                Cell::new(place),
                Cell::new(row.attempts.to_string()),
                Cell::painted(Paint::Bad, shortened(&row.reason, &row.url)),
            ]);
        }
        output.line("")?;
        output.table_for_people(&table)?;
        match self.summary.failed().checked_sub(ERRORS_SHOWN).filter(|more| *more > 0) {
            Some(more) => output.line(output.paint(Paint::Faint, &format!("and {} more", grouped(more)))),
            None => Ok(()),
        }
    }
}

/// Leaves the address out of a reason, since it stands beside it.
fn shortened(reason: &str, url: &str) -> String {
    let shorter = [" for ", " of ", " at "]
        .iter()
        .fold(reason.to_owned(), |text, word| text.replace(&format!("{word}{url}"), ""));
    shorter.strip_prefix(url).map_or(shorter.clone(), |rest| rest.trim_start_matches([':', ' ']).to_owned())
}

fn number(count: u64, paint: Paint) -> Cell {
    match count {
        0 => Cell::painted(Paint::Faint, "0"),
        count => Cell::painted(paint, grouped(count)),
    }
}

fn listed<const N: usize>(parts: [(u64, &str); N]) -> String {
    let shown = parts.iter().filter(|(count, _)| *count > 0);
    let texts: Vec<String> = shown.map(|(count, word)| format!("{} {word}", grouped(*count))).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

fn print_next(output: &Output, next: &[Next]) -> Result {
    if next.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(output.paint(Paint::Faint, "WHAT TO TYPE NEXT"))?;
    for Next { command, purpose } in next {
        // Each command on a line of its own, so that it is copied whole.
        output.line(output.paint(Paint::Faint, &format!("# {purpose}")))?;
        output.line(output.paint(Paint::Busy, command))?;
    }
    Ok(())
}

/// What the collecting came to, for programs. The field names are stable.
#[derive(Serialize)]
struct OutcomeView<'a> {
    complete: bool,
    addresses: &'a [String],
    domains: TallyView,
    sitemaps: TallyView,
    urls: u64,
    pages: TallyView,
    urls_from_sitemaps: u64,
    urls_from_links: u64,
    pages_read: u64,
    redirects: u64,
    wire_bytes: u64,
    retries: u64,
    errors: Vec<ErrorView<'a>>,
    elapsed_seconds: f64,
    pages_per_second: Option<f64>,
    starts: u32,
    database: &'a str,
    request_log: Option<&'a str>,
    next: &'a [Next],
}

#[derive(Serialize)]
struct TallyView {
    total: u64,
    waiting: u64,
    retrying: u64,
    processing: u64,
    done: u64,
    error: u64,
    retries: u64,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    workflow: &'static str,
    url: &'a str,
    reason: &'a str,
    attempts: u32,
}

impl<'a> OutcomeView<'a> {
    fn new(outcome: &'a Outcome, frame: &'a Frame<'a>) -> Self {
        let (summary, kinds) = (&outcome.summary, &outcome.kinds);
        Self {
            complete: frame.is_complete,
            addresses: frame.addresses,
            domains: summary.domains.into(),
            sitemaps: summary.sitemaps.into(),
            urls: summary.pages.total(),
            pages: summary.pages.into(),
            urls_from_sitemaps: kinds.from_sitemaps,
            urls_from_links: kinds.from_links,
            pages_read: kinds.read,
            redirects: kinds.redirects,
            wire_bytes: kinds.wire_bytes,
            retries: summary.retries(),
            errors: outcome.errors.iter().map(ErrorView::from).collect(),
            elapsed_seconds: frame.elapsed.as_secs_f64(),
            pages_per_second: outcome.pages_per_second(frame),
            starts: frame.starts,
            database: &frame.database,
            request_log: frame.request_log.as_deref(),
            next: &frame.next,
        }
    }
}

impl From<Tally> for TallyView {
    fn from(tally: Tally) -> Self {
        let total = tally.total();
        let Tally { waiting, retrying, processing, done, failed, retries } = tally;
        Self { total, waiting, retrying, processing, done, error: failed, retries }
    }
}

impl<'a> From<&'a FailedRow> for ErrorView<'a> {
    fn from(row: &'a FailedRow) -> Self {
        Self { workflow: row.workflow, url: &row.url, reason: &row.reason, attempts: row.attempts }
    }
}
