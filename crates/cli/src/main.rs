//! The `celeriac` binary.

use std::process::ExitCode;

use celeriac_cli::App;

fn main() -> ExitCode {
    celeriac_cli::main(App::new("celeriac").version(env!("CARGO_PKG_VERSION")))
}
