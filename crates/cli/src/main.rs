//! The `celeriac` binary.

use std::process::ExitCode;

use celeriac_cli::App;
use celeriac_collect::module;

fn main() -> ExitCode {
    celeriac_cli::main_with(|collect| {
        module(App::new("celeriac").version(env!("CARGO_PKG_VERSION")), collect)
    })
}
