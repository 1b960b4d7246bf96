//! Reads how many tests ran from the closing lines of the two runners.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Counts {
    /// Leaves out what was skipped, since others were chosen.
    pub(crate) fn of_chosen(self) -> Self {
        Self { skipped: 0, ..self }
    }

    /// Returns the counts with at least one failure if the runner itself did not succeed, as when a build fails.
    pub(crate) fn confirmed_by(mut self, succeeded: bool) -> Self {
        if !succeeded {
            self.failed = self.failed.max(1);
        }
        self
    }

    /// Returns how many were left out: by the filter, or marked to be run by another test only.
    pub(crate) fn skipped(&self) -> usize {
        self.skipped
    }

    /// Returns whether something ran and nothing failed.
    pub(crate) fn are_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Reads nextest's `Summary [ 1.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
pub(crate) fn of_nextest_line(line: &str) -> Option<Counts> {
    let (_, counted) = line.trim_start().strip_prefix("Summary [")?.split_once(" run: ")?;
    let failed = ["failed", "timed out", "exec failed"].iter().map(|word| before(counted, word)).sum();
    Some(Counts { passed: before(counted, "passed"), failed, skipped: before(counted, "skipped") })
}

/// Reads libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
pub(crate) fn of_libtest_line(line: &str) -> Option<Counts> {
    let (_, counted) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let [passed, failed, skipped] = ["passed", "failed", "ignored"].map(|word| before(counted, word));
    Some(Counts { passed, failed, skipped })
}

/// Returns the number that stands before `word`, or 0.
fn before(counted: &str, word: &str) -> usize {
    counted
        .split([',', ';', '(', ')'])
        .filter_map(|part| part.trim().split_once(' '))
        .find(|(_, name)| *name == word)
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

/// Removes the escape sequences that colour a terminal's text.
pub(crate) fn without_colour(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: fn(&str) -> Option<Counts>, line: &str, expected: &str) {
        let counts =
            read(&without_colour(line)).map(|counts| format!("{counts}, {} skipped", counts.skipped));
        assert_eq!(counts.as_deref().unwrap_or_default(), expected);
    }

    #[test]
    fn nextest_summary_is_counted() {
        check(
            of_nextest_line,
            "     Summary [   0.012s] 3 tests run: 3 passed, 0 skipped",
            "3 passed, 0 failed, 0 skipped",
        );
        check(
            of_nextest_line,
            "     Summary [   0.012s] 1 test run: 1 passed, 4 skipped",
            "1 passed, 0 failed, 4 skipped",
        );
        check(
            of_nextest_line,
            "     Summary [ 61.0s] 7 tests run: 3 passed (1 slow), 2 failed, 1 timed out, 1 exec failed, 0 skipped",
            "3 passed, 4 failed, 0 skipped",
        );
        check(
            of_nextest_line,
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.01s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped",
            "2 passed, 0 failed, 0 skipped",
        );
        check(of_nextest_line, "        PASS [   0.01s] a b", "");
    }

    #[test]
    fn libtest_result_is_counted() {
        let line = "test result: FAILED. 4 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        check(of_libtest_line, line, "4 passed, 1 failed, 2 skipped");
        check(of_libtest_line, "running 4 tests", "");
    }

    #[test]
    fn a_run_without_a_test_is_not_good() {
        assert!(!Counts::default().are_good());
        assert!(!Counts { passed: 2, ..Counts::default() }.confirmed_by(false).are_good());
        assert!(Counts { passed: 2, ..Counts::default() }.confirmed_by(true).are_good());
    }
}
