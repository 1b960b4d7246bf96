//! Serves the demonstration site until it is interrupted: `cargo run -p celeriac-server --example demo_site -- [PORT] [DIR]`.

use std::path::Path;
use std::sync::Arc;

use celeriac_protocol::{Clock, Timestamp, WhenReached};
use celeriac_server::demo_site::DemoSite;

/// The system's clock, which a program makes once and hands down.
#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the site is handed")]
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH + std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        Box::pin(tokio::time::sleep(instant.since(self.now())))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let site = arguments
        .next()
        .map_or_else(|| Ok(DemoSite::builtin()), |dir| DemoSite::from_dir(Path::new(&dir)))?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let log = std::env::temp_dir().join("celeriac-demo-site.log");
    let open = site.open(listener, &log, Arc::new(SystemClock))?;
    #[expect(clippy::print_stdout, reason = "an example speaks to its terminal")]
    {
        println!(
            "{} lists {} pages; requests are logged in {}",
            open.origin(),
            open.listed_addresses(),
            log.display()
        );
    }
    open.serve(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
