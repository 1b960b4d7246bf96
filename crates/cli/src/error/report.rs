//! Prints an error where a person, or a program, will look for it.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Code, Failure};
use crate::output::{Output, Paint};

/// An error as JSON. The field names are stable.
#[derive(Serialize)]
struct ErrorView<'a> {
    code: &'static str,
    kind: &'static str,
    message: String,
    causes: &'a [String],
    hint: Option<&'a str>,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
}

/// Prints `error` on the error stream: two lines for people, one JSON object for programs.
pub(crate) fn report(output: &Output, error: &Failure) {
    if error.code() == Code::OutputClosed {
        return;
    }
    if output.is_json() {
        let view = ErrorView {
            code: error.code().as_str(),
            kind: error.code().kind().as_str(),
            message: error.to_string(),
            causes: error.causes(),
            hint: error.advice(),
            exit_code: error.code().exit().number(),
            job: error.object().filter(|object| object.kind == "job").map(|object| object.id.as_str()),
        };
        let object = serde_json::json!({ "error": view });
        output.complain(&object.to_string());
    } else {
        output.complain(&for_people(output, error));
    }
}

fn for_people(output: &Output, error: &Failure) -> String {
    let mut text = format!("{} {error}", output.paint_stderr(Paint::Error, "error:"));
    if let Some(hint) = error.advice() {
        let label = output.paint_stderr(Paint::Hint, "hint:");
        write!(text, "\n {label} {hint}").expect("writing to a string does not fail");
    }
    text
}
