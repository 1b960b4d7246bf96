//! What a check came to.

use serde::Serialize;

use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::output::{Output, Paint};

/// What a check came to. The field names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    hint: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
    Skipped,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, detail: detail.into(), hint: None }
    }

    /// It works, and somebody should know.
    pub(super) fn warning(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, detail: detail.into(), hint: Some(hint.into()) }
    }

    /// It does not work, or soon will not.
    pub(super) fn wrong(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Failed, detail: detail.into(), hint: Some(hint.into()) }
    }

    /// Trying it failed.
    pub(super) fn failed(check: &'static str, error: &CliError) -> Self {
        let hint = error.advice().map(str::to_owned);
        Self { check, verdict: Verdict::Failed, detail: error.to_string(), hint }
    }

    /// Says whether all is well.
    pub(super) fn is_ok(&self) -> bool {
        self.verdict == Verdict::Ok
    }

    /// It could not be looked at, because of what was found before.
    pub(super) fn skipped(check: &'static str, reason: &'static str) -> Self {
        Self { check, verdict: Verdict::Skipped, detail: reason.to_owned(), hint: None }
    }
}

impl Verdict {
    const fn mark(self) -> (Paint, &'static str) {
        match self {
            Self::Ok => (Paint::Good, "ok  "),
            Self::Warning => (Paint::Warning, "warn"),
            Self::Failed => (Paint::Bad, "FAIL"),
            Self::Skipped => (Paint::Faint, "skip"),
        }
    }
}

/// Prints what was found; the exit code says whether something must be done.
pub(super) fn report(output: &Output, findings: &[Finding], strict: bool) -> Result<Exit> {
    for finding in findings {
        if output.is_json() {
            output.json(finding)?;
        } else {
            print(output, finding)?;
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    if !output.is_json() {
        output.line(summary(failed, warnings))?;
    }
    let bad = failed > 0 || (strict && warnings > 0);
    Ok(if bad { Exit::Negative } else { Exit::Done })
}

fn print(output: &Output, finding: &Finding) -> Result {
    let (paint, mark) = finding.verdict.mark();
    output.line(format_args!("{} {:<11} {}", output.paint(paint, mark), finding.check, finding.detail))?;
    match &finding.hint {
        Some(hint) => output.line(format_args!("{:>16} {} {hint}", "", output.paint(Paint::Hint, "hint:"))),
        None => Ok(()),
    }
}

fn summary(failed: usize, warnings: usize) -> String {
    let counted = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    match (failed, warnings) {
        (0, 0) => "all is well".to_owned(),
        (0, warnings) => counted(warnings, "warning"),
        (failed, 0) => format!("{} failed", counted(failed, "check")),
        (failed, warnings) => {
            format!("{} failed, {}", counted(failed, "check"), counted(warnings, "warning"))
        }
    }
}
