//! `version`: what this binary is.

use celeriac_control::AppParts;
use serde::Serialize;

use crate::error::Result;
use crate::output::Output;

/// The platform's own version.
const PLATFORM: &str = env!("CARGO_PKG_VERSION");

/// The answer as JSON. The field names are stable.
#[derive(Serialize)]
struct VersionView<'a> {
    app: &'a str,
    version: &'a str,
    celeriac: &'static str,
}

/// Prints the app's version, and the platform's where that is another thing.
pub(super) fn run(app: &AppParts, output: &Output) -> Result {
    let (name, version) = (app.name.as_str(), app.version.as_deref().unwrap_or(PLATFORM));
    if output.is_json() {
        return output.json(&VersionView { app: name, version, celeriac: PLATFORM });
    }
    if name == "celeriac" {
        output.line(format_args!("{name} {version}"))
    } else {
        output.line(format_args!("{name} {version} (celeriac {PLATFORM})"))
    }
}
