//! What the collecting came to: the closing table, and the same as one JSON object.

use std::time::Duration;

use celeriac_collect::summary::{FailedRow, PageKinds, Summary, Tally, absent_sitemaps, failed_rows};
use celeriac_db::sea_orm::{DatabaseConnection, DbErr};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::guard;
use crate::error::Result;
use crate::output::{ByteSize, Cell, Column, Output, Paint, Table, brief, counted, grouped};

/// How many rows in *error* a person sees; programs get ten times as many.
const ERRORS_SHOWN: u64 = 12;

/// What the collecting came to.
#[derive(Debug)]
pub(in crate::commands) struct Outcome {
    summary: Summary,
    kinds: PageKinds,
    /// Sitemaps that nobody named, and that were not there.
    absent: u64,
    errors: Vec<FailedRow>,
}

/// A command to type next, and what it is for.
#[derive(Clone, Debug, Serialize)]
pub(in crate::commands) struct Next {
    pub(in crate::commands) command: String,
    pub(in crate::commands) purpose: &'static str,
}

impl Next {
    pub(in crate::commands) fn new(command: String, purpose: &'static str) -> Self {
        Self { command, purpose }
    }
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
    /// How far it had come before this start.
    pub(in crate::commands) before: Summary,
    /// How many pages had ended when the stopwatch began.
    pub(in crate::commands) pages_before: u64,
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
            absent: absent_sitemaps(reader, domains).await?,
            errors: failed_rows(reader, domains, ERRORS_SHOWN * 10).await?,
        })
    }

    /// Says whether a domain as a whole could not be collected.
    pub(in crate::commands) fn has_failed_domain(&self) -> bool {
        self.summary.domains.failed > 0
    }

    /// Returns what to type to try again what ended in *error*: `again` alone where that is home pages, which a
    /// start puts back by itself, and with what opens what the guard refused.
    pub(in crate::commands) fn try_again(&self, database: &str, again: &str) -> Option<Next> {
        let opened = guard::opening(self.errors.iter().map(|row| row.reason.as_str()));
        let Summary { sitemaps, pages, .. } = &self.summary;
        let program = crate::commands::program();
        let mut command = String::new();
        for (workflow, tally) in [("sitemap", sitemaps), ("page", pages)] {
            if tally.failed > 0 {
                command.push_str(&format!(
                    "{program} workflow {workflow} reset --status error -d {database} && "
                ));
            }
        }
        command.push_str(again);
        match opened {
            _ if self.summary.failed() == 0 => None,
            Some(flags) => Some(Next::new(command + &flags, "allow what was refused, and try again")),
            None => Some(Next::new(command, "try again what failed")),
        }
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
        let ended = counted(self.summary.pages.ended(), "page");
        if frame.was_complete() {
            let what = output.paint(Paint::Strong, &what);
            return format!("{} at {what}: {ended}", output.paint(Paint::Good, "Nothing was left to do"));
        }
        let pace = match self.pages_per_second(frame) {
            Some(rate) => format!(" in {}, {rate:.1} a second", brief(frame.elapsed)),
            None => String::new(),
        };
        format!("{} {}: {ended}{pace}", output.paint(paint, word), output.paint(Paint::Strong, &what))
    }

    #[expect(clippy::cast_precision_loss, reason = "no table has 2^52 rows")]
    fn pages_per_second(&self, frame: &Frame<'_>) -> Option<f64> {
        let seconds = frame.elapsed.as_secs_f64();
        let ended = self.summary.pages.ended().saturating_sub(frame.pages_before);
        (seconds > 0.0 && ended > 0 && !frame.was_complete()).then(|| ended as f64 / seconds)
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
                    (kinds.from_sitemaps, "first found in sitemaps"),
                    (kinds.from_links, "by links"),
                    (kinds.from_elsewhere, "otherwise"),
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
        if self.absent > 0 {
            facts.insert(
                0,
                ("sitemaps", format!("{} only looked for at /sitemap.xml, and not there", self.absent)),
            );
        }
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
        let mut table = Table::new(
            [Column::wrapping("ERROR AT"), Column::number("TRIES"), Column::wrapping("REASON")],
            "",
        );
        let shown = usize::try_from(ERRORS_SHOWN).unwrap_or(usize::MAX);
        for row in self.errors.iter().take(shown) {
            let place = frame.place_of(&row.url);
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

impl Frame<'_> {
    /// Says whether nothing was left to do when it began.
    fn was_complete(&self) -> bool {
        self.is_complete && self.before.is_final() && self.before.domains.total() > 0
    }

    /// Leaves out of an address what is the same for all.
    fn place_of<'a>(&self, url: &'a str) -> &'a str {
        let [origin] = self.addresses else { return url };
        let rest = url.strip_prefix(origin.trim_end_matches('/'));
        rest.filter(|rest| rest.starts_with('/') && rest.len() > 1).unwrap_or(url)
    }
}

/// Leaves the address out of a reason, since it stands beside it; a longer one that begins with it stays.
pub(in crate::commands) fn shortened(reason: &str, url: &str) -> String {
    let mut text = reason.to_owned();
    for word in [" for ", " of ", " at "] {
        let place = format!("{word}{url}");
        let ends = |rest: &str| rest.is_empty() || rest.starts_with([' ', ':', ',', ';', ')']);
        let found = text.match_indices(&place).map(|(at, _)| at).find(|at| ends(&text[at + place.len()..]));
        if let Some(at) = found {
            text.replace_range(at..at + place.len(), "");
        }
    }
    match text.strip_prefix(url) {
        Some(rest) if rest.starts_with([':', ' ']) => rest.trim_start_matches([':', ' ']).to_owned(),
        _ => text,
    }
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
        // Each command on lines of its own, so that it is copied whole; a shell reads on after `&&`.
        output.line(output.paint(Paint::Faint, &format!("# {purpose}")))?;
        let is_wide = output.stdout_is_terminal() && command.width() >= output.width();
        for line in if is_wide { command.replace(" && ", " &&\n  ") } else { command.clone() }.lines() {
            output.line(output.paint(Paint::Busy, line))?;
        }
    }
    Ok(())
}

/// What the collecting came to, for programs. The field names are stable.
#[derive(Serialize)]
struct OutcomeView<'a> {
    complete: bool,
    /// Nothing was left to do when it began.
    was_complete: bool,
    addresses: &'a [String],
    domains: TallyView,
    sitemaps: TallyView,
    /// Of the sitemaps that are done, those that nobody named, and that were not there.
    sitemaps_absent: u64,
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
            was_complete: frame.was_complete(),
            addresses: frame.addresses,
            domains: summary.domains.into(),
            sitemaps: summary.sitemaps.into(),
            sitemaps_absent: outcome.absent,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_loses_the_address_beside_it_and_no_part_of_another() {
        let url = "http://a.example/";
        for (reason, short) in [
            (
                "the server answered 404 (not found) for http://a.example/",
                "the server answered 404 (not found)",
            ),
            ("http://a.example/ redirects in a circle", "redirects in a circle"),
            (
                "no address was found for the host of http://a.example/: no such host",
                "no address was found for the host: no such host",
            ),
            (
                "no address was found for the host of http://a.example/robots.txt: no such host",
                "no address was found for the host of http://a.example/robots.txt: no such host",
            ),
            (
                "http://a.example/robots.txt may not be fetched: so",
                "http://a.example/robots.txt may not be fetched: so",
            ),
        ] {
            assert_eq!(shortened(reason, url), short);
        }
    }
}
