//! A loop of one's own: every worker drives it beside its jobs. This one asks for a job now and then.
//!
//! ```sh
//! cargo run --example nudge -- worker
//! cargo run --example nudge -- jobs list
//! ```

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use celeriac::prelude::*;
use celeriac::{Loop, LoopCtx, LoopError, PassReport, async_trait};

/// Looks after something.
#[task(name = "look")]
async fn look() -> &'static str {
    "all is well"
}

struct Nudge(Client);

#[async_trait]
impl Loop for Nudge {
    fn name(&self) -> &'static str {
        "nudge"
    }

    fn describe(&self) -> &'static str {
        "asks for a look once a minute"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn pass(&self, _ctx: &LoopCtx) -> Result<PassReport, LoopError> {
        // However many workers nudge, one look waits or runs at a time.
        self.0.enqueue(look().unique("look")).await?;
        Ok(PassReport::default().with("asked", 1))
    }
}

fn main() -> ExitCode {
    let app = App::new("nudge").version(env!("CARGO_PKG_VERSION")).task::<look>();
    celeriac::main(app.add_loop(|environment| Ok::<_, Infallible>(Nudge(environment.client().clone()))))
}
