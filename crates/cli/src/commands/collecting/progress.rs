//! How far the collecting has come: live where a person watches, else a plain line now and then.

use std::collections::VecDeque;
use std::time::Duration;

use celeriac_collect::summary::{Summary, Tally};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{Output, Paint, brief, grouped};

/// How often a plain line is written where no person watches.
const PLAIN: Duration = Duration::from_secs(5);

/// The span over which the present rate is taken.
const RATE_SPAN: Duration = Duration::from_secs(3);

/// The widest and the narrowest bar, in columns.
const BAR: (usize, usize) = (48, 12);

/// What stands beside the bar, in columns.
const BESIDE_BAR: usize = 34;

/// Is responsible for telling how far it is.
pub(super) struct Progress {
    output: Output,
    /// How long earlier starts took.
    already: Duration,
    bar: Option<ProgressBar>,
    plain_at: Duration,
    /// Rows of pages that had ended, and when; not older than [`RATE_SPAN`] but for the first.
    seen: VecDeque<(Duration, u64)>,
}

/// What is shown at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment {
    summary: Summary,
    elapsed: Duration,
    /// Pages per second; nothing is known at first.
    rate: Option<f64>,
}

impl Progress {
    pub(super) fn new(output: &Output, already: Duration) -> Self {
        let bar = output.can_animate().then(|| {
            let style =
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
        });
        Self { output: output.clone(), already, bar, plain_at: PLAIN, seen: VecDeque::new() }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, summary: &Summary, elapsed: Duration) {
        let rate = self.rate(summary, elapsed);
        let moment = Moment { summary: *summary, elapsed: self.already + elapsed, rate };
        if let Some(bar) = &self.bar {
            let paint = |paint: Paint, text: &str| self.output.paint_stderr(paint, text);
            bar.set_message(moment.lines(self.output.width(), paint).join("\n"));
            bar.tick();
        } else if elapsed >= self.plain_at {
            self.output.note(moment.line());
            self.plain_at = elapsed + PLAIN;
        }
    }

    /// Takes what was shown off the screen.
    pub(super) fn clear(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn rate(&mut self, summary: &Summary, elapsed: Duration) -> Option<f64> {
        let ended = summary.pages.ended();
        self.seen.push_back((elapsed, ended));
        while self.seen.get(1).is_some_and(|(at, _)| *at + RATE_SPAN <= elapsed) {
            self.seen.pop_front();
        }
        let (at, before) = *self.seen.front()?;
        let span = (elapsed - at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "no table has 2^52 rows")]
        (span > 0.5).then(|| ended.saturating_sub(before) as f64 / span)
    }
}

impl Moment {
    /// Writes it as a few lines, none of them wider than the terminal.
    fn lines(&self, width: usize, paint: impl Fn(Paint, &str) -> String) -> Vec<String> {
        let Summary { domains, sitemaps, pages } = &self.summary;
        let label = |text: &str| paint(Paint::Faint, &format!("  {text:<9}"));
        let mut lines = vec![
            format!("{} {}", label("domains"), few(domains, &paint)),
            format!("{} {}", label("sitemaps"), few(sitemaps, &paint)),
            format!("{} {}", label("URLs"), paint(Paint::Strong, &grouped(pages.total()))),
            format!("{} {}", label("pages"), self.bar(width, &paint)),
        ];
        lines.push(format!("{} {}", label(""), many(pages, &paint)));
        lines.push(format!("{} {}", label("elapsed"), self.pace(&paint)));
        lines
    }

    fn bar(&self, width: usize, paint: &impl Fn(Paint, &str) -> String) -> String {
        let pages = &self.summary.pages;
        let columns = width.saturating_sub(BESIDE_BAR).clamp(BAR.1, BAR.0);
        let (ended, total) = (pages.ended(), pages.total());
        let filled = usize::try_from(ended * columns as u64 / total.max(1)).unwrap_or(columns);
        let percent = ended * 100 / total.max(1);
        let (full, rest) = ("━".repeat(filled), "─".repeat(columns - filled));
        format!(
            "{}{} {percent:>3} % {}",
            paint(Paint::Good, &full),
            paint(Paint::Faint, &rest),
            paint(Paint::Faint, &format!("{} of {}", grouped(ended), grouped(total))),
        )
    }

    fn pace(&self, paint: &impl Fn(Paint, &str) -> String) -> String {
        // Whole seconds: what changes faster than it can be read is left out.
        let elapsed = match self.elapsed.as_secs() {
            seconds @ 0..60 => format!("{seconds}s"),
            seconds => brief(Duration::from_secs(seconds)),
        };
        match self.rate {
            Some(rate) => {
                format!("{elapsed} {}", paint(Paint::Faint, &format!("· {rate:.1} pages a second")))
            }
            None => elapsed,
        }
    }

    /// Writes it as one plain line.
    fn line(&self) -> String {
        let pages = &self.summary.pages;
        let mut line = format!("{} of {} pages", pages.ended(), pages.total());
        if pages.failed > 0 {
            line.push_str(&format!(", {} in error", pages.failed));
        }
        if let Some(rate) = self.rate {
            line.push_str(&format!(", {rate:.1} a second"));
        }
        line
    }
}

/// Writes a short table's counts, leaving out what is not there.
fn few(tally: &Tally, paint: &impl Fn(Paint, &str) -> String) -> String {
    match tally.total() {
        0 => paint(Paint::Faint, "none yet"),
        _ => many(tally, paint),
    }
}

fn many(tally: &Tally, paint: &impl Fn(Paint, &str) -> String) -> String {
    let parts = [
        (tally.done, "done", Paint::Good),
        (tally.processing, "processing", Paint::Busy),
        (tally.waiting, "waiting", Paint::Waiting),
        (tally.retrying, "to retry", Paint::Warning),
        (tally.failed, "in error", Paint::Bad),
    ];
    let shown = parts.iter().filter(|(count, _, _)| *count > 0);
    let texts: Vec<String> =
        shown.map(|(count, word, color)| format!("{} {word}", paint(*color, &grouped(*count)))).collect();
    texts.join(&paint(Paint::Faint, " · "))
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn moment() -> Moment {
        let done = |done| Tally { done, ..Tally::default() };
        let pages = Tally { waiting: 4_000, retrying: 1, processing: 8, done: 1_200, failed: 3, retries: 2 };
        let summary = Summary { domains: done(1), sitemaps: Tally::default(), pages };
        Moment { summary, elapsed: Duration::from_millis(61_900), rate: Some(48.26) }
    }

    #[test]
    fn a_person_sees_what_is_done_and_what_is_left() {
        let lines = moment().lines(60, |_, text| text.to_owned());
        assert_eq!(
            lines,
            [
                "  domains   1 done",
                "  sitemaps  none yet",
                "  URLs      5 212",
                "  pages     ━━━━━━────────────────────  23 % 1 203 of 5 212",
                "            1 200 done · 8 processing · 4 000 waiting · 1 to retry · 3 in error",
                "  elapsed   1m1s · 48.3 pages a second",
            ]
        );
    }

    #[test]
    fn the_bar_fits_into_a_terminal_of_80_columns() {
        for width in [60, 80, 120] {
            let lines = moment().lines(width, |_, text| text.to_owned());
            assert!(lines[3].width() < width, "{:?}", lines[3]);
        }
    }

    #[test]
    fn a_pipe_gets_one_plain_line() {
        let young = Moment { elapsed: Duration::from_millis(900), rate: None, ..moment() };
        assert_eq!(young.lines(60, |_, text| text.to_owned())[5], "  elapsed   0s");
        assert_eq!(moment().line(), "1203 of 5212 pages, 3 in error, 48.3 a second");
    }
}
