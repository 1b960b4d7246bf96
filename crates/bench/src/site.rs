//! `soak site`: the real `celeriac demo --site` is killed with SIGKILL in the middle of a documentation tree and
//! started again, and then the site's log and the database are compared page by page.

use std::path::{Path, PathBuf};
use std::time::Instant;

use celeriac_collect::inventory::Inventory;
use celeriac_db::{Database, SqliteOptions};

mod demo;
mod pages;
mod verdict;

use demo::Demo;
use pages::{Log, Target};
use verdict::{Kill, Verdict};

/// How `soak site` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A folder of HTML, such as `/usr/share/doc/postgresql-doc-15/html`.
    #[arg(long)]
    dir: PathBuf,
    /// The program; the `celeriac` that was built beside this one unless told otherwise.
    #[arg(long)]
    program: Option<PathBuf>,
    /// It is killed when so many per cent of the folder's pages stand in the site's log.
    #[arg(long, value_delimiter = ',', default_value = "25,50,75")]
    kills_at: Vec<usize>,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let dir = options.dir.canonicalize()?;
    let wanted = pages::of_folder(&dir)?;
    let place = tempfile::tempdir()?;
    let program = program(options.program)?;
    let begun = Instant::now();
    let mut kills = Vec::new();
    for percent in options.kills_at {
        let share = (wanted.len() * percent).div_ceil(100);
        let mut demo = Demo::start(&program, &dir, place.path())?;
        demo.until(|| Ok(log(place.path())?.pages_among(&wanted) >= share))?;
        demo.kill()?;
        kills.push(Kill::new(percent, &log(place.path())?, &inventory(place.path()).await?, &kills)?);
    }
    let told = Demo::start(&program, &dir, place.path())?.finish()?;
    let elapsed = begun.elapsed();
    let verdict = Verdict::new(&wanted, &log(place.path())?, &inventory(place.path()).await?, &kills)?;
    println!("{verdict}");
    println!("elapsed, seconds:                     {:.1}", elapsed.as_secs_f64());
    println!("starts:                               {}", told.starts);
    println!(
        "A request counts as one for a page unless it asks for robots.txt or for a sitemap that has a row: each start may\n\
         read these anew. So the home page counts, and so does an address that no file stands behind."
    );
    anyhow::ensure!(told.complete, "the last start says itself that it is not complete");
    verdict.check()
}

/// Reads the site's log; before the first request there is none.
fn log(place: &Path) -> anyhow::Result<Log> {
    Log::read(&place.join("celeriac-demo/demo.requests.log"))
}

/// Reads every row, beside whoever has the database open or left it behind.
async fn inventory(place: &Path) -> anyhow::Result<Inventory> {
    let options = SqliteOptions::at(place.join("celeriac-demo/demo.db"));
    let database = Database::open_read_only(options).await?;
    let inventory = Inventory::read(database.reader()).await?;
    database.close().await;
    Ok(inventory)
}

fn program(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let program = match given {
        Some(program) => program.canonicalize()?,
        None => std::env::current_exe()?.with_file_name("celeriac"),
    };
    anyhow::ensure!(
        program.is_file(),
        "{} is not there; build it: cargo build --release -p celeriac-cli",
        program.display()
    );
    Ok(program)
}
