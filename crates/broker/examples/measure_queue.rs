//! Measures the queue in a database by itself, without an engine: put in, drained, and woken across processes.
//!
//! `measure_queue FOLDER` runs everything on SQLite, `measure_queue postgres://...` on a server, in an empty database;
//! `measure_queue FILE fill`, `... FILE drain SLOTS` and `... FILE echo` are its parts, of use under a profiler.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the machine's clock and arguments")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use celeriac_broker::{Broker, Delivery, FetchRequest, Notice, Settle, Settlement, sql};
use celeriac_db::{Database, Durability, PostgresOptions, SqliteOptions};
use celeriac_protocol::{Clock, Content, Envelope, JobId, Timestamp, WhenReached};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const MESSAGES: usize = 100_000;
const LEASE: Duration = Duration::from_secs(30);

type Queue = Arc<dyn Broker>;
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().unwrap_or_else(|| ".".into()));
    match arguments.next().as_deref() {
        Some("echo") => echo(&path).await,
        Some("fill") => {
            let broker = open(&path, Durability::Process).await?;
            rate("publish in calls of 1000", MESSAGES, fill(&broker, MESSAGES)).await
        }
        Some("follow") => {
            let broker = open(&path, Durability::Process).await?;
            let slots = arguments.next().map_or(Ok(128), |n| n.parse())?;
            rate("followed by another process", MESSAGES / 5, drain_beside(&broker, slots, MESSAGES / 5))
                .await
        }
        Some("both") => both_at_once(&path).await,
        Some("latency") => latency(&path).await,
        Some("drain") => drain_and_tell(&path, arguments.next().map_or(Ok(128), |n| n.parse())?).await,
        _ => measure(&path).await,
    }
}

async fn measure(folder: &Path) -> Result<(), Failure> {
    // On a server durability is the server's.
    let durabilities = if server(folder).is_some() { 1 } else { 2 };
    for durability in [Durability::Process, Durability::Power].into_iter().take(durabilities) {
        println!("-- {durability:?}");
        let broker = open(&place(folder, &format!("measure-{durability:?}.db")), durability).await?;
        put_in(&broker, durability).await?;
        for slots in [1, 16, 128, 512] {
            let count = if slots == 1 { MESSAGES / 10 } else { MESSAGES };
            fill(&broker, count).await?;
            rate(&format!("drain in turns, {slots} slots"), count, drain(&broker, slots, count)).await?;
            fill(&broker, count).await?;
            rate(
                &format!("drain, settling beside, {slots} slots"),
                count,
                drain_beside(&broker, slots, count),
            )
            .await?;
        }
        close(broker).await?;
    }
    other_process_drains(folder).await?;
    both_at_once(folder).await?;
    latency(folder).await?;
    println!("peak RSS {} KiB", peak_rss()?);
    Ok(())
}

async fn put_in(broker: &Queue, durability: Durability) -> Result<(), Failure> {
    rate("publish in calls of 1000", MESSAGES, fill(broker, MESSAGES)).await?;
    for callers in [1, 16, 128] {
        let count = if durability == Durability::Power { 2_000 } else { 20_000 };
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let broker = broker.clone();
            tasks.spawn(async move {
                for number in 0..count / callers {
                    broker.publish(vec![message(&format!("{callers}/{caller}/{number}"))]).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        tasks.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        tell(&format!("publish singly, {callers} callers"), count, started.elapsed());
    }
    while !broker.admin().purge("celery", 10_000).await?.is_empty() {}
    Ok(())
}

async fn fill(broker: &Queue, count: usize) -> Result<(), Failure> {
    for start in (0..count).step_by(1_000) {
        let ids = start..(start + 1_000).min(count);
        broker.publish(ids.map(|number| message(&format!("job-{number:030}"))).collect()).await?;
    }
    Ok(())
}

async fn drain(broker: &Queue, slots: usize, count: usize) -> Result<(), Failure> {
    let mut done = 0;
    while done < count {
        let deliveries = fetch(broker, slots).await?;
        done += deliveries.len();
        broker.settle(&acks(deliveries)).await?;
    }
    Ok(())
}

/// As a worker does it: what was fetched is settled while the next is fetched.
async fn drain_beside(broker: &Queue, slots: usize, count: usize) -> Result<(), Failure> {
    let (out, mut into) = mpsc::channel::<Delivery>(slots);
    let fetcher = async move {
        let mut fetched = 0;
        while fetched < count {
            for delivery in fetch(broker, slots).await? {
                fetched += 1;
                out.send(delivery).await?;
            }
        }
        Ok::<_, Failure>(())
    };
    let settler = async {
        let mut batch = Vec::new();
        while into.recv_many(&mut batch, 512).await > 0 {
            broker.settle(&acks(std::mem::take(&mut batch))).await?;
        }
        Ok::<_, Failure>(())
    };
    let (fetched, settled) = tokio::join!(fetcher, settler);
    fetched.and(settled)
}

async fn other_process_drains(folder: &Path) -> Result<(), Failure> {
    let path = place(folder, "measure-other.db");
    for slots in [1, 16, 128] {
        let broker = open(&path, Durability::Process).await?;
        let count = if slots == 1 { MESSAGES / 10 } else { MESSAGES };
        fill(&broker, count).await?;
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?);
        let child = child.arg(&path).arg("drain").arg(slots.to_string());
        let said = child.stdout(Stdio::piped()).spawn()?.wait_with_output()?;
        println!("{}", String::from_utf8_lossy(&said.stdout).trim());
        tell(&format!("drain by another process, {slots} slots, start included"), count, started.elapsed());
        close(broker).await?;
    }
    Ok(())
}

/// One process publishes one by one while another drains: who waits for whom?
async fn both_at_once(folder: &Path) -> Result<(), Failure> {
    for callers in [1, 16] {
        let path = place(folder, &format!("measure-both-{callers}.db"));
        let broker = open(&path, Durability::Process).await?;
        let mut child = Command::new(std::env::current_exe()?);
        let mut child = child.arg(&path).arg("follow").arg("16").spawn()?;
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let broker = broker.clone();
            tasks.spawn(async move {
                let mut waits = Vec::new();
                for number in 0..MESSAGES / 5 / callers {
                    let sent = Instant::now();
                    broker.publish(vec![message(&format!("{caller}/{number}"))]).await?;
                    waits.push(i64::try_from(sent.elapsed().as_micros())?);
                }
                Ok::<_, Failure>(waits)
            });
        }
        let waits: Vec<Vec<i64>> = tasks.join_all().await.into_iter().collect::<Result<_, _>>()?;
        tell(&format!("publish singly beside a drain, {callers} callers"), MESSAGES / 5, started.elapsed());
        tell_waits("of them each", waits.concat());
        child.wait()?;
        close(broker).await?;
    }
    Ok(())
}

async fn drain_and_tell(path: &Path, slots: usize) -> Result<(), Failure> {
    let broker = open(path, Durability::Process).await?;
    let count = usize::try_from(broker.admin().depths().await?.iter().map(|depth| depth.ready).sum::<u64>())?;
    rate(&format!("drain in this process, {slots} slots"), count, drain_beside(&broker, slots, count))
        .await?;
    println!("peak RSS of the draining process {} KiB", peak_rss()?);
    Ok(())
}

/// Publishes 50 a second; the other process says when each arrived.
async fn latency(folder: &Path) -> Result<(), Failure> {
    let path = place(folder, "measure-latency.db");
    let broker = open(&path, Durability::Process).await?;
    let mut child = Command::new(std::env::current_exe()?);
    let mut child = child.arg(&path).arg("echo").stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    lines.next().ok_or("no answer")??;
    let mut waits = Vec::new();
    for number in 0..500 {
        let sent = micros();
        broker.publish(vec![message(&number.to_string())]).await?;
        let arrived: i64 = lines.next().ok_or("no answer")??.parse()?;
        waits.push(arrived - sent);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill()?;
    child.wait()?;
    tell_waits("publish here, fetched there:", waits);
    close(broker).await
}

async fn echo(path: &Path) -> Result<(), Failure> {
    let broker = open(path, Durability::Process).await?;
    let mut notices = broker.notifier().listen();
    println!("listening");
    loop {
        if let Ok(Ok(Notice::Queue(_))) = tokio::time::timeout(Duration::from_secs(1), notices.recv()).await {
            let deliveries = fetch(&broker, 10).await?;
            deliveries.iter().for_each(|_| println!("{}", micros()));
            broker.settle(&acks(deliveries)).await?;
        }
    }
}

async fn open(path: &Path, durability: Durability) -> Result<Queue, Failure> {
    let db = match server(path) {
        Some(url) => Database::open_postgres(PostgresOptions::at(url)).await?,
        None => Database::open(SqliteOptions { durability, ..SqliteOptions::at(path) }).await?,
    };
    Ok(sql::open(db, Arc::new(MachineClock)).await?)
}

/// Returns the server's address, if that is what the place is.
fn server(place: &Path) -> Option<&str> {
    place.to_str().filter(|place| place.starts_with("postgres"))
}

/// Names a file of its own in a folder, or the one database of a server.
fn place(folder: &Path, name: &str) -> PathBuf {
    server(folder).map_or_else(|| folder.join(name), PathBuf::from)
}

async fn close(broker: Queue) -> Result<(), Failure> {
    let database = broker.sql().ok_or("it is a database")?.database().clone();
    database.close().await;
    if let Some(path) = database.sqlite_path() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

async fn fetch(broker: &Queue, max: usize) -> Result<Vec<Delivery>, Failure> {
    let queues = ["celery".to_owned()];
    let request = FetchRequest { queues: &queues, max, lease: LEASE, holder: "measure" };
    Ok(broker.fetch(&request).await?.deliveries)
}

fn acks(deliveries: Vec<Delivery>) -> Vec<Settlement> {
    deliveries.into_iter().map(|delivery| Settlement { delivery, settle: Settle::Ack }).collect()
}

fn message(id: &str) -> Envelope {
    let headers = "{\"lang\":\"py\",\"task\":\"demo.add\",\"id\":\"\",\"shadow\":null,\"eta\":null,\"expires\":null,\
        \"group\":null,\"group_index\":null,\"retries\":0,\"timelimit\":[null,null],\"root_id\":null,\
        \"parent_id\":null,\"argsrepr\":\"(1, 2)\",\"kwargsrepr\":\"{}\",\"origin\":\"gen1@here\",\
        \"ignore_result\":false,\"replaced_task_nesting\":0,\"celeriac\":{\"v\":1}}";
    Envelope {
        id: JobId::parse(id).expect("ids here are valid"),
        queue: "celery".into(),
        priority: None,
        due_at: None,
        unique_key: None,
        content: Content {
            headers: headers.into(),
            properties: "{}".into(),
            content_type: "application/json".into(),
            content_encoding: "utf-8".into(),
            body:
                b"[[1, 2], {}, {\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]"
                    .to_vec(),
        },
    }
}

async fn rate(
    what: &str,
    count: usize,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let started = Instant::now();
    work.await?;
    tell(what, count, started.elapsed());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a rate is shown in whole numbers")]
fn tell(what: &str, count: usize, took: Duration) {
    println!("{what:56} {:9.0} /s", count as f64 / took.as_secs_f64());
}

fn tell_waits(what: &str, mut waits: Vec<i64>) {
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() - 1) * share / 1_000];
    println!("{what:56} p50 {} us, p99 {} us, longest {} us", at(500), at(990), at(1_000));
}

fn peak_rss() -> Result<String, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").to_owned())
}

fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The machine's clock.
#[derive(Debug)]
struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(micros())
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        Box::pin(tokio::time::sleep(instant.since(self.now())))
    }
}
