//! Asks before something is done that can't be undone.

use std::io::{self, BufRead, IsTerminal};

use crate::error::{Code, Failure, Result};
use crate::output::Output;

/// Asks whether to do it; `action` says what, with the number of what it concerns.
///
/// # Errors
/// Nobody is there to be asked: the command fails, and `--yes` is its hint.
pub(super) fn confirm(output: &Output, action: &str) -> Result<bool> {
    if !io::stdin().is_terminal() || output.is_json() {
        return Err(Failure::failed_to(Code::Usage, action)
            .because("nobody is here to be asked")
            .hint("say --yes"));
    }
    output.complain(&format!("{action}? [y/N]"));
    let mut answer = String::new();
    // An answer that can't be read is no yes.
    let _ = io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
