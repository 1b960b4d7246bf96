//! The `celeriac` binary.

use std::process::ExitCode;

use celeriac_cli::App;
use celeriac_collect::{CollectSettings, module};

fn main() -> ExitCode {
    let app = App::new("celeriac").version(env!("CARGO_PKG_VERSION"));
    celeriac_cli::main(module(app, CollectSettings::default()))
}
