//! A back trace as a record keeps it: the frames of the user's code, not those of whatever runs it.

use std::backtrace::Backtrace;

/// The most frames that are kept, innermost first. Whoever recurses deeper than that sees where it ends.
const MAX_FRAMES: usize = 32;

/// What stands between a task's code and its executor; from here on outwards nothing is the task's.
const EXECUTOR: &str = "celeriac_engine::registry::start";

/// The crates that make an error, poll a future or start a thread, and say nothing of why a task failed.
const MACHINERY: &[&str] = &[
    "alloc",
    "anyhow",
    "backtrace",
    "celeriac_engine",
    "core",
    "futures_core",
    "futures_util",
    "std",
    "tokio",
    "tokio_util",
    "tracing",
];

/// Writes a captured trace, without the frames that are none of the task's; says how many were left out.
pub(super) fn of(trace: &Backtrace) -> String {
    trimmed(&trace.to_string())
}

fn trimmed(trace: &str) -> String {
    let frames = frames(trace);
    let inner = frames.iter().take_while(|frame| !frame.is_executor());
    let own: Vec<&Frame<'_>> = inner.filter(|frame| !frame.is_machinery()).take(MAX_FRAMES).collect();
    let mut lines: Vec<&str> = own.iter().flat_map(|frame| frame.lines.iter().copied()).collect();
    let left_out = frames.len() - own.len();
    let note = match left_out {
        0 => String::new(),
        1 => "      (1 other frame left out)".to_owned(),
        count => format!("      ({count} other frames left out)"),
    };
    if left_out > 0 {
        lines.push(&note);
    }
    lines.join("\n")
}

/// One frame as the standard library writes it: a line with its name, and perhaps one with its place.
struct Frame<'a> {
    symbol: &'a str,
    lines: Vec<&'a str>,
}

/// Parts a trace. What was inlined into a frame has a line of its own without a number, and counts as one.
fn frames(trace: &str) -> Vec<Frame<'_>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for line in trace.lines() {
        let text = line.trim_start();
        match frames.last_mut() {
            Some(frame) if text.starts_with("at ") => frame.lines.push(line),
            _ => frames.push(Frame { symbol: without_number(text), lines: vec![line] }),
        }
    }
    frames
}

fn without_number(text: &str) -> &str {
    match text.split_once(": ") {
        Some((number, symbol)) if number.bytes().all(|byte| byte.is_ascii_digit()) => symbol,
        _ => text,
    }
}

impl Frame<'_> {
    /// Says whether it is none of the task's, or has no name that would tell.
    fn is_machinery(&self) -> bool {
        // `<app::Job as core::future::Future>::poll` is the app's, `<F as core::future::Future>::poll` is nobody's.
        let inside = self.symbol.trim_start_matches(['<', '&', '*', '(', '[']);
        let (subject, rest) = inside.split_once(" as ").unwrap_or((inside, ""));
        let named = if subject.contains("::") { subject } else { rest };
        // What is generic over a type of the task's, `poll<app::Job>`, is no more the task's for that.
        let name =
            if self.symbol.starts_with('<') { named } else { named.split('<').next().unwrap_or(named) };
        match name.split_once("::") {
            Some((first, _)) => MACHINERY.contains(&first),
            // `main`, `_start`, `clone3`, `<unknown>`, or one whose path only its place tells.
            None => self.place().is_none_or(is_of_machinery),
        }
    }

    /// Says whether it is the one that calls the task, by its name or, where that is cut short, by its place.
    fn is_executor(&self) -> bool {
        let is_there = |place: &str| {
            let own = file!().trim_end_matches("error/trace.rs");
            place.contains(&format!("{own}registry.rs:"))
        };
        self.symbol.contains(EXECUTOR) || self.place().is_some_and(is_there)
    }

    fn place(&self) -> Option<&str> {
        self.lines.get(1).map(|line| line.trim_start().trim_start_matches("at "))
    }
}

/// Says whether a file is the standard library's, or lies in the folder of a version of one of these crates.
fn is_of_machinery(place: &str) -> bool {
    let is_version = |part: &str| {
        let (name, version) = part.rsplit_once('-').unwrap_or((part, ""));
        version.starts_with(|c: char| c.is_ascii_digit()) && MACHINERY.contains(&&*name.replace('-', "_"))
    };
    place.starts_with("/rustc/") || place.split('/').any(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "   0: anyhow::error::<impl anyhow::Error>::msg
             at /cargo/anyhow/src/backtrace.rs:27:14
   1: <T as core::convert::Into<U>>::into
   2: shop::orders::total
             at ./src/orders.rs:12:9
      shop::orders::inlined
             at ./src/orders.rs:30:5
   3: serde_json::de::from_str
   4: <shop::Ship as celeriac_engine::task::Task>::run::{{closure}}
             at ./src/tasks.rs:7:1
   5: celeriac_engine::registry::start::{{closure}}
             at /cargo/celeriac/registry.rs:3:4
   6: tokio::runtime::task::core::poll
   7: shop::main
   8: __libc_start_main
   9: <unknown>";

    #[test]
    fn the_tasks_frames_are_kept_and_the_others_counted() {
        assert_eq!(
            trimmed(TRACE),
            "   2: shop::orders::total
             at ./src/orders.rs:12:9
      shop::orders::inlined
             at ./src/orders.rs:30:5
   3: serde_json::de::from_str
   4: <shop::Ship as celeriac_engine::task::Task>::run::{{closure}}
             at ./src/tasks.rs:7:1
      (7 other frames left out)"
        );
    }

    /// So they are written where only the tables of lines are kept.
    #[test]
    fn names_that_are_cut_short_are_judged_by_their_place() {
        let own = file!().trim_end_matches("error/trace.rs");
        let trace = format!(
            "   3: {{closure#0}}<shop::Order>
             at ./src/orders.rs:12:9
   4: poll<shop::Order>
             at /cargo/registry/src/index/futures-util-0.3.34/src/future/map.rs:55:44
   5: poll<shop::Order>
             at /rustc/5980/library/core/src/future/future.rs:133:9
   6: {{async_block#0}}<shop::Order>
             at /home/me/{own}registry.rs:221:40
   7: shop::main"
        );
        let kept = "   3: {closure#0}<shop::Order>
             at ./src/orders.rs:12:9
      (4 other frames left out)";
        assert_eq!(trimmed(&trace), kept);
    }

    #[test]
    fn a_deep_recursion_is_bounded_and_a_trace_without_names_is_one_line() {
        let deep: String = (0..500).map(|i| format!("{i:4}: shop::down\n")).collect();
        assert_eq!(trimmed(&deep).lines().count(), MAX_FRAMES + 1);
        assert!(trimmed(&deep).ends_with("(468 other frames left out)"));
        let nameless: String = (0..85).map(|i| format!("{i:4}: <unknown>\n")).collect();
        assert_eq!(trimmed(&nameless), "      (85 other frames left out)");
        assert_eq!(trimmed(""), "");
    }

    #[test]
    fn a_trace_of_this_process_is_read() {
        let trace = Backtrace::force_capture();
        let kept = of(&trace);
        assert!(!kept.contains("tokio::") && kept.lines().count() <= 2 * MAX_FRAMES + 1, "{kept}");
        assert!(kept.lines().count() < trace.to_string().lines().count(), "{kept}");
    }
}
