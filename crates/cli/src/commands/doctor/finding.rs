//! What a check came to.

use celeriac_control::health::{Finding, Verdict};

use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::{Output, Paint};

/// Trying it failed.
pub(super) fn failed(check: &'static str, error: &Failure) -> Finding {
    let hint = error.advice().map(str::to_owned);
    Finding { hint, ..Finding::wrong(check, error.to_string(), "") }
}

const fn mark(verdict: Verdict) -> (Paint, &'static str) {
    match verdict {
        Verdict::Ok => (Paint::Good, "ok  "),
        Verdict::Warning => (Paint::Warning, "warn"),
        Verdict::Failed => (Paint::Bad, "FAIL"),
        Verdict::Skipped => (Paint::Faint, "skip"),
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
    let (paint, mark) = mark(finding.verdict);
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
