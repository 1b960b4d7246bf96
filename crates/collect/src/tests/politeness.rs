//! Pauses between requests to a host, as the host itself sees them.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use celeriac_db::testing::open_at;
use celeriac_engine::SystemClock;
use celeriac_protocol::Clock;

use super::rig::{Rig, settings};
use super::site::{Reply, Site};
use crate::fetch::GuardPolicy;

const DELAY: Duration = Duration::from_millis(100);

/// A site of pages that link to each other, asking for a pause.
fn slow_walk(path: &str) -> Option<Reply> {
    Some(match path {
        "/robots.txt" => Reply::text("User-agent: *\nCrawl-delay: 0.1\nSitemap: /map.xml"),
        "/map.xml" => Reply::redirect("/real.xml"),
        "/real.xml" => Reply::xml("<urlset><url><loc>/p20</loc></url><url><loc>/p21</loc></url></urlset>"),
        "/" => Reply::page("Home", &["/p0", "/p1", "/p2", "/old", "/same?b=1&a=2"]),
        "/old" => Reply::redirect("/p3"),
        "/same?a=2&b=1" => Reply::redirect("/same?b=1&a=2"),
        "/same?b=1&a=2" => Reply::page("Same", &[]),
        "/p1" => Reply::page("Slow", &[]).after(Duration::from_millis(700)),
        _ => {
            let number: u32 = path.strip_prefix("/p")?.parse().ok()?;
            let next = format!("/p{}", number + 4);
            if number < 12 { Reply::page(path, &[&next]) } else { Reply::page(path, &[]) }
        }
    })
}

/// How late a request may be noted by a host on a busy machine. What is noted late seems to be close to
/// the next, but never do more requests than that fall into a span.
const NOTED_LATE: Duration = Duration::from_millis(80);

fn is_polite(site: &Site) {
    let hits = site.hits();
    assert!(hits.len() > 1);
    for (nth, first) in hits.iter().enumerate() {
        for (pauses, later) in (0..).zip(&hits[nth..]) {
            let span = later.at.since(first.at) + NOTED_LATE;
            assert!(span >= DELAY * pauses, "{span:?} for {pauses} pauses in {hits:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pause_lies_between_all_requests_whoever_makes_them() {
    let site = Site::start(slow_walk).await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    // Three workflows side by side, each run again until none has anything to do.
    for _ in 0..100 {
        let (domains, sitemaps, pages) = tokio::join!(rig.run("domain"), rig.run("sitemap"), rig.run("page"));
        if domains.done + sitemaps.done + pages.done == 0 {
            break;
        }
    }
    let pages = rig.pages().await;
    assert!(pages.len() > 10 && pages.iter().all(|page| page.status == "completed"), "{pages:#?}");
    assert_eq!(site.count("/robots.txt"), 1);
    is_polite(&site);
    let slow = site.hits().iter().position(|hit| hit.path == "/p1").unwrap();
    let (hits, until) = (site.hits(), site.hits()[slow].at + Duration::from_millis(700));
    let meanwhile = hits[slow + 1..].iter().filter(|hit| hit.at < until).count();
    assert!(meanwhile > 2, "a slow page does not hold up the others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_at_once_keep_the_pause_together() {
    let site = Site::start(slow_walk).await;
    let first = Rig::new(settings(&[&site])).await;
    let database = first.again().await;
    let second = Rig::on_database(database, settings(&[&site]));
    first.add_domain(&site.url("/")).await;
    for _ in 0..100 {
        let (domains, sitemaps, left, right) =
            tokio::join!(first.run("domain"), second.run("sitemap"), first.run("page"), second.run("page"));
        if domains.done + sitemaps.done + left.done + right.done == 0 {
            break;
        }
    }
    assert!(first.pages().await.iter().all(|page| page.status == "completed"));
    assert!(first.pages().await.len() > 10);
    is_polite(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_says_too_much_is_left_alone_and_the_others_are_not() {
    let busy = Site::start(|path| {
        let number: u32 = path.strip_prefix("/p")?.parse().ok()?;
        Some(match number {
            0 => Reply::status(429).header("retry-after", "1"),
            _ => Reply::page(path, &[]),
        })
    })
    .await;
    let well = Site::start(|path| path.starts_with("/p").then(|| Reply::page("Well", &[]))).await;
    let mut settings = settings(&[&busy, &well]);
    settings.hosts.concurrency = 1;
    settings.page_workflow.max_attempts = 1;
    let rig = Rig::new(settings).await;
    for number in 0..3 {
        rig.add_page(&busy.url(&format!("/p{number}"))).await;
        rig.add_page(&well.url(&format!("/p{number}"))).await;
    }
    let began_at = SystemClock.now();
    rig.run_all().await;
    let waited = |site: &Site| site.hits().last().unwrap().at.since(began_at);
    assert!(waited(&busy) >= Duration::from_secs(1), "{:?}", waited(&busy));
    assert!(waited(&well) < Duration::from_secs(1), "{:?}", waited(&well));
    let host = rig.hosts().await.into_iter().find(|host| host.origin == busy.url("")).unwrap();
    assert_eq!((host.backoffs, host.parked_until), (0, None), "it answered well after that");
    let refused = rig.page(&busy.url("/p0")).await;
    assert_eq!((refused.status.as_str(), refused.status_code), ("error", Some(429)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_loses_no_row_and_breaks_no_pause() {
    let site = Site::start(slow_walk).await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    for requests in [4, 9, 12] {
        let mut worker = Worker::start(&rig.address(), &site);
        while site.hits().len() < requests && worker.is_running() {
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
        worker.kill();
    }
    let mut worker = Worker::start(&rig.address(), &site);
    assert_eq!(worker.said(), "done");
    let pages = rig.pages().await;
    assert!(pages.len() > 10 && pages.iter().all(|page| page.status == "completed"), "{pages:#?}");
    let mut keys: Vec<_> = pages.iter().map(|page| page.url_key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), pages.len());
    let mut paths: Vec<String> = site.hits().into_iter().map(|hit| hit.path).collect();
    paths.sort();
    let asked = paths.len();
    paths.dedup();
    // At this pause a request or two are under way at a time.
    assert!(asked - paths.len() <= 3 * 2, "asked again: {:#?}", site.hits());
    is_polite(&site);
}

/// A worker in a process of its own.
struct Worker(Child);

impl Worker {
    fn start(database: &str, site: &Site) -> Self {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::politeness::works_until_nothing_is_left", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = process.unwrap();
        writeln!(process.stdin.take().unwrap(), "{} {database}", site.address).unwrap();
        Self(process)
    }

    fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// SIGKILL, as on Unix it is.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits for what it says at its end.
    fn said(&mut self) -> String {
        let lines = BufReader::new(self.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.filter_map(|line| line.split_once("said: ").map(|(_, said)| said.to_owned())).last();
        self.0.wait().unwrap();
        said.unwrap_or_default()
    }
}

/// In a worker's process: returns the site and the database, if it was started as one.
fn told() -> Option<(SocketAddr, String)> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    let (site, database) = line.trim().split_once(' ')?;
    Some((site.parse().ok()?, database.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is a process that another test starts and kills"]
async fn works_until_nothing_is_left() {
    let Some((site, path)) = told() else { return };
    let database = open_at(&path).await.unwrap();
    let guard = GuardPolicy::default().allow_socket(site);
    let mut settings = settings(&[]);
    settings.fetch.guard = guard;
    // A row may be held at every one of the kills, and each is charged to it.
    for workflow in
        [&mut settings.domain_workflow, &mut settings.sitemap_workflow, &mut settings.page_workflow]
    {
        workflow.max_attempts = 5;
    }
    let rig = Rig::on_database(database, settings);
    let mut idle = 0;
    // Rows of a killed worker come back when its claim has run out.
    while idle < 15 {
        let (domains, sitemaps, pages) = tokio::join!(rig.run("domain"), rig.run("sitemap"), rig.run("page"));
        idle = if domains.done + sitemaps.done + pages.done == 0 { idle + 1 } else { 0 };
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
    println!("said: done");
}
