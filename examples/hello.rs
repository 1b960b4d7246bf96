//! A whole program: one task, and a command line that runs it.
//!
//! ```sh
//! cargo run --example hello -- enqueue greet Ada --wait   # in one terminal
//! cargo run --example hello -- worker                     # in another
//! ```

use std::process::ExitCode;

use celeriac::prelude::*;

/// Greets somebody by name.
#[task(name = "greet", max_retries = 5)]
async fn greet(
    name: String,
    #[default("Hello".to_owned())] greeting: String,
    ctx: Ctx,
) -> Result<String, TaskError> {
    if name.is_empty() {
        return Err(TaskError::discard("nobody to greet"));
    }
    ctx.progress(50, format!("greeting {name}"));
    Ok(format!("{greeting}, {name}!"))
}

fn main() -> ExitCode {
    celeriac::main(App::new("hello").version(env!("CARGO_PKG_VERSION")).task::<greet>())
}
