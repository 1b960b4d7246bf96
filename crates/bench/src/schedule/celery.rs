//! Celery's beat as a process beside this one, with its own scheduler and its own file.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use celeriac_engine::SystemClock;
use celeriac_protocol::{Clock as _, Timestamp};

use super::ONE_IN;
use super::ours::{MINUTE, Run};
use crate::ground::{Ground, Transport};
use crate::process::{cpu_of_tree, memory_of_tree};

/// The application, as its author would write it.
const APP: &str = include_str!("beat.py");

/// What it is started with.
const ARGUMENTS: &str = "-m celery -A app beat --loglevel ERROR --schedule schedule --pidfile=";

/// How long it may take for its first job.
const LONGEST_START: Duration = Duration::from_secs(60);

/// How long after its first job it may have caught up with what fell due while it started.
const CAUGHT_UP: Duration = Duration::from_secs(2);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// Is responsible for the process, which ends with this.
struct Beat(Child);

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A message, as it stands in the file.
struct Sent {
    at: Timestamp,
    number: usize,
}

/// Watches it with so many entries.
pub(super) fn watch(python: &Path, entries: usize, long: Duration) -> anyhow::Result<Run> {
    let ground = Ground::start(Transport::Redis, Transport::Redis.durabilities()[0])?;
    let file = ground.folder().join("sent");
    std::fs::write(ground.folder().join("app.py"), APP)?;
    std::fs::write(&file, "")?;
    let start = SystemClock.now();
    let beat = spawn(python, &ground, &file, entries, start)?;
    let mut run = Run {
        who: "Celery's beat, shelve".to_owned(),
        entries,
        start: None,
        late: Vec::new(),
        cpu: 0.0,
        server_cpu: 0.0,
        mib: 0.0,
    };
    let begun = Instant::now();
    while read(&file)?.is_empty() {
        if begun.elapsed() > LONGEST_START {
            return Ok(run);
        }
        std::thread::sleep(LOOK);
    }
    let (cpu, watched) = (cpu_of_tree(beat.0.id())?, Instant::now());
    std::thread::sleep(long);
    run.cpu = (cpu_of_tree(beat.0.id())? - cpu) * 60.0 / watched.elapsed().as_secs_f64();
    run.mib = memory_of_tree(beat.0.id())?;
    let sent = read(&file)?;
    let first = sent[0].at;
    run.start = Some(first.since(start));
    run.late = lateness(&sent, entries / ONE_IN, start, first + CAUGHT_UP);
    Ok(run)
}

fn spawn(
    python: &Path,
    ground: &Ground,
    file: &Path,
    entries: usize,
    start: Timestamp,
) -> anyhow::Result<Beat> {
    let mut command = Command::new(std::path::absolute(python)?);
    command.args(ARGUMENTS.split_whitespace()).current_dir(ground.folder());
    command.env("BROKER", ground.place().queue.unwrap_or_default()).env("SENT", file);
    command
        .env("ENTRIES", entries.to_string())
        .env("START", format!("{:.6}", start.as_micros() as f64 / 1e6));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Beat(command.spawn().context("start Celery's beat")?))
}

fn read(file: &Path) -> anyhow::Result<Vec<Sent>> {
    let told = std::fs::read_to_string(file)?;
    // A line that is not whole yet is left.
    let whole = told.rfind('\n').map_or("", |end| &told[..end]);
    let sent = |line: &str| -> anyhow::Result<Sent> {
        let (at, number) = line.split_once(' ').with_context(|| format!("read \"{line}\""))?;
        let micros = at.parse::<f64>()? * 1e6;
        Ok(Sent { at: Timestamp::from_micros(micros as i64), number: number.parse()? })
    };
    whole.lines().map(sent).collect()
}

/// Returns how late the first job of each entry was that was due behind an instant. A later one is due a minute after
/// the one before, however late that was, so it says nothing.
fn lateness(sent: &[Sent], due: usize, start: Timestamp, from: Timestamp) -> Vec<Duration> {
    let (mut seen, mut late) = (HashSet::new(), Vec::new());
    for one in sent.iter().filter(|one| seen.insert(one.number)) {
        let nth = u32::try_from(one.number).unwrap_or(u32::MAX);
        let was_due = start + MINUTE * nth / u32::try_from(due).unwrap_or(u32::MAX);
        if was_due >= from {
            late.push(one.at.since(was_due));
        }
    }
    late.sort_unstable();
    late
}
