//! The demonstration, on a small folder of pages that it serves itself.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Bed, Outcome, Running, lines_of};

/// The binary that ships; the other tests run an app of their own.
pub(crate) fn celeriac(bed: &Bed, arguments: &[&str]) -> Command {
    let mut command = bed.command(arguments);
    let mut own = Command::new(env!("CARGO_BIN_EXE_celeriac"));
    own.args(arguments).current_dir(bed.path("")).env_clear().env("PATH", env!("PATH"));
    own.stdin(std::process::Stdio::null());
    std::mem::swap(&mut command, &mut own);
    command
}

/// Makes a site of `pages` pages beside its home page, one link of which leads nowhere.
pub(crate) fn site(bed: &Bed, pages: usize) {
    std::fs::create_dir_all(bed.path("site")).unwrap();
    let links: String = (0..pages).map(|page| format!("<a href=\"{page}.html\">{page}</a>\n")).collect();
    bed.write("site/index.html", format!("<title>Home</title>{links}<a href=\"missing.html\">gone</a>"));
    for page in 0..pages {
        bed.write(&format!("site/{page}.html"), format!("<title>Page {page}</title><a href=\"./\">home</a>"));
    }
}

#[track_caller]
pub(crate) fn collected(bed: &Bed) -> Value {
    let outcome = Outcome::of(&mut celeriac(bed, &["demo", "--site", "site", "--json"]));
    lines_of(&outcome.ok()).remove(0)
}

fn requests(bed: &Bed) -> Vec<String> {
    let log = std::fs::read_to_string(bed.path("celeriac-demo/demo.requests.log")).unwrap_or_default();
    log.lines().map(|line| line.split(' ').nth(2).unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_folder_is_served_collected_and_told_of() {
    let bed = Bed::new();
    site(&bed, 5);
    let told = collected(&bed);
    assert_eq!(told["complete"], true, "{told}");
    assert_eq!((&told["domains"]["done"], &told["sitemaps"]["done"]), (&json!(1), &json!(2)), "{told}");
    assert_eq!((&told["pages"]["done"], &told["pages"]["error"]), (&json!(6), &json!(1)), "{told}");
    let error = &told["errors"][0];
    assert!(error["url"].as_str().unwrap().ends_with("/missing.html"), "{error}");
    assert!(error["reason"].as_str().unwrap().contains("404"), "{error}");
    assert!(told["pages_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn started_again_when_all_is_done_it_asks_for_nothing_and_shows_the_same() {
    let bed = Bed::new();
    site(&bed, 3);
    let first = collected(&bed);
    let before = requests(&bed);
    let second = collected(&bed);
    assert_eq!(requests(&bed), before);
    assert_eq!((&second["pages"], &second["addresses"]), (&first["pages"], &first["addresses"]));
    assert_eq!(second["starts"], 2);
    assert_eq!((&first["was_complete"], &second["was_complete"]), (&json!(false), &json!(true)));
    let text = Outcome::of(&mut celeriac(&bed, &["demo", "--site", "site"])).ok();
    assert!(text.starts_with("Nothing was left to do at http://127.0.0.1:"), "{text}");
    assert!(text.contains("demo --site site --fresh"), "{text}");
    assert!(text.contains("workflow page check -d celeriac-demo/demo.db"), "{text}");
}

#[test]
fn killed_in_the_middle_it_goes_on_at_the_same_address_and_loses_nothing() {
    let bed = Bed::new();
    site(&bed, 400);
    let mut running = Running::start(&mut celeriac(&bed, &["demo", "--site", "site"]));
    running.until("40 requests", || requests(&bed).len() >= 40);
    running.signal(Signal::KILL);
    running.wait();
    let before = requests(&bed).len();
    let told = collected(&bed);
    assert!(before < 400, "it was killed too late to tell");
    assert_eq!((&told["complete"], &told["pages"]["done"]), (&json!(true), &json!(401)), "{told}");
    let mut pages: Vec<String> = requests(&bed).into_iter().filter(|path| path.ends_with(".html")).collect();
    let all = pages.len();
    pages.sort_unstable();
    pages.dedup();
    assert!(all - pages.len() <= 16, "only what was in flight may be asked for twice: {}", all - pages.len());
}

#[test]
fn ctrl_c_says_how_to_go_on() {
    let bed = Bed::new();
    site(&bed, 400);
    let mut running = Running::start(&mut celeriac(&bed, &["demo", "--site", "site", "--json"]));
    running.until("20 requests", || requests(&bed).len() >= 20);
    running.signal(Signal::INT);
    let told = running.next_json();
    assert_eq!(told["complete"], false);
    assert!(told["next"][0]["command"].as_str().unwrap().ends_with("demo --site site"), "{told}");
    assert_eq!(running.wait().code(), Some(130));
    assert_eq!(collected(&bed)["pages"]["done"], 401);
}

#[test]
fn another_site_is_not_mixed_into_what_was_collected() {
    let bed = Bed::new();
    site(&bed, 1);
    collected(&bed);
    let refused = Outcome::of(&mut celeriac(&bed, &["demo"])).refused(2);
    assert!(refused.contains("--fresh"), "{refused}");
    let empty = Outcome::of(&mut celeriac(&bed, &["demo", "--site", "celeriac-demo", "--fresh"])).refused(2);
    assert!(empty.contains("find a page in folder"), "{empty}");
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let bed = Bed::new();
    site(&bed, 1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = Outcome::of(&mut celeriac(&bed, &["demo", "--site", "site", "--port", &port, "--json"]));
    let refused = refused.refused_as(4, "address_in_use");
    assert!(refused["hint"].as_str().unwrap().contains("another one with --port"), "{refused}");
}

#[test]
fn a_start_that_is_refused_forgets_nothing() {
    let bed = Bed::new();
    site(&bed, 2);
    collected(&bed);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let fresh = ["demo", "--site", "site", "--fresh", "--port", &port];
    Outcome::of(&mut celeriac(&bed, &fresh)).refused(4);
    let before = requests(&bed);
    assert_eq!((collected(&bed)["pages"]["done"].clone(), requests(&bed)), (json!(3), before));
}

#[test]
fn a_database_of_somebody_elses_is_neither_removed_nor_written_to() {
    let bed = Bed::new();
    site(&bed, 1);
    let id = bed.enqueue(&["greet", "Ada"]);
    // What a program of the user's keeps beside its database is no state of a demonstration.
    for beside in ["", "{\"theme\": \"dark\"}"] {
        if !beside.is_empty() {
            bed.write("celeriac.json", beside);
        }
        for fresh in [&["--fresh"][..], &[]] {
            let line = [&["demo", "--site", "site", "-d", "celeriac.db"], fresh].concat();
            let refused = Outcome::of(&mut celeriac(&bed, &line)).refused(2);
            assert!(refused.contains("--database"), "{refused}");
        }
    }
    assert_eq!(bed.job(&id)["status"], "pending");
    assert_eq!(std::fs::read_to_string(bed.path("celeriac.json")).unwrap(), "{\"theme\": \"dark\"}");
}

#[test]
fn a_second_demonstration_leaves_the_first_its_database() {
    let bed = Bed::new();
    site(&bed, 400);
    let mut first = Running::start(&mut celeriac(&bed, &["demo", "--site", "site", "--json"]));
    first.until("20 requests", || requests(&bed).len() >= 20);
    for fresh in [&["--fresh"][..], &[]] {
        let line = [&["demo", "--site", "site", "--json"], fresh].concat();
        Outcome::of(&mut celeriac(&bed, &line)).refused_as(4, "demo_running");
    }
    first.signal(Signal::INT);
    assert_eq!(first.wait().code(), Some(130));
    assert_eq!(collected(&bed)["pages"]["done"], 401);
}

#[test]
fn a_site_that_may_not_be_reached_ends_in_error_and_the_answer_is_no() {
    let bed = Bed::new();
    let told = Outcome::of(&mut celeriac(&bed, &["collect", "http://127.0.0.1:9/", "--json"]));
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    let told = lines_of(&told.stdout).remove(0);
    assert_eq!((&told["complete"], &told["domains"]["error"]), (&json!(true), &json!(1)), "{told}");
}

#[test]
fn what_is_no_address_is_refused_before_anything_is_stored() {
    let bed = Bed::new();
    for url in ["not a url", "", "ftp://example.com/", "http:///"] {
        let refused = Outcome::of(&mut celeriac(&bed, &["collect", "https://a.invalid/", url, "--json"]));
        let told = refused.refused_as(2, "usage");
        assert!(told["message"].as_str().unwrap().contains(&format!("collect \"{url}\"")), "{told}");
        assert!(!bed.path("celeriac.db").exists(), "{url}");
    }
}

#[test]
fn what_the_guard_refused_is_opened_by_what_is_to_be_typed_next() {
    let bed = Bed::new();
    let line = [
        "collect",
        "http://127.0.0.1:9/",
        "--json",
        "--set",
        "workflow.domain.max_attempts=1",
        "-d",
        "a b.db",
    ];
    let told = Outcome::of(&mut celeriac(&bed, &line));
    let next = lines_of(&told.stdout).remove(0)["next"].clone();
    assert!(next[0]["command"].as_str().unwrap().ends_with("workflow domain check -d 'a b.db'"), "{next}");
    let again = next[1]["command"].as_str().unwrap();
    let typed = "collect http://127.0.0.1:9/ --set workflow.domain.max_attempts=1 -d 'a b.db'";
    assert!(again.ends_with(&format!("{typed} --set collect.guard.allow_ports=9")), "{again}");
    let words = [&line[..], &["--set", "collect.guard.allow_ports=9"]].concat();
    let told = lines_of(&Outcome::of(&mut celeriac(&bed, &words)).stdout).remove(0);
    let again = told["next"][1]["command"].as_str().unwrap();
    assert!(again.ends_with("allow_ports=9 --set collect.guard.allow_networks=127.0.0.1"), "{told}");
    let words = [&words[..], &["--set", "collect.guard.allow_networks=127.0.0.1"]].concat();
    let told = lines_of(&Outcome::of(&mut celeriac(&bed, &words)).stdout).remove(0);
    let reason = told["errors"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("connect"), "it is asked now: {reason}");
    let text = Outcome::of(&mut celeriac(&bed, &["collect", "http://127.0.0.1:7/"])).stdout;
    assert!(text.contains("not among the ports that may be asked; guard.allow_ports adds others"), "{text}");
}

#[test]
fn settings_that_somebody_made_hold_for_the_demonstration() {
    let bed = Bed::new();
    let told = |settings: &[&str]| {
        let line = [&["demo", "--json", "--fresh"], settings].concat();
        let told = lines_of(&Outcome::of(&mut celeriac(&bed, &line)).ok()).remove(0);
        told["errors"].as_array().unwrap().iter().map(|error| error["attempts"].as_u64().unwrap()).max()
    };
    let quick = ["--set", "collect.hosts.failures_max=1000", "--set", "collect.depth_max=1"];
    assert_eq!(told(&quick), Some(4));
    assert_eq!(told(&[&quick[..], &["--set", "workflow.page.max_attempts=2"]].concat()), Some(2));
}

#[test]
fn collecting_leaves_the_jobs_of_other_programs_alone() {
    let bed = Bed::new();
    let id = bed.enqueue(&["greet", "Ada"]);
    let run = bed.enqueue(&["celeriac.run_workflow", "theirs", "--unchecked", "-Q", "celeriac.workflows"]);
    let told = Outcome::of(&mut celeriac(&bed, &["collect", "http://127.0.0.1:9/"]));
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    assert_eq!(
        (bed.job(&id)["status"].clone(), bed.job(&run)["status"].clone()),
        (json!("pending"), json!("pending"))
    );
    assert_eq!(bed.ok(&["dead", "list"]), "");
    bed.work_until_ended(&id);
    assert_eq!(bed.job(&id)["status"], "completed");
}
