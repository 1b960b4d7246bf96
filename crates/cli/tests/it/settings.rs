//! Settings of workflows and of collecting, through the binary that ships.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use insta::assert_snapshot;

use crate::demo::{celeriac, collected, site};
use crate::support::{Bed, Outcome, lines_of};

/// Returns a setting's value and where it comes from.
fn shown(bed: &Bed, key: &str, environment: &[(&str, &str)]) -> (String, String) {
    let mut command = celeriac(bed, &["config", "show", key]);
    let out = Outcome::of(command.envs(environment.iter().copied())).ok();
    let cells: Vec<&str> = out.trim_end_matches('\n').split('\t').collect();
    (cells[1].to_owned(), cells[2].to_owned())
}

fn pair(value: &str, origin: &str) -> (String, String) {
    (value.to_owned(), origin.to_owned())
}

/// Returns the state of every workflow, by name.
fn states(bed: &Bed, environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut command = celeriac(bed, &["workflow", "list", "--json", "-d", "own.db"]);
    let listed = lines_of(&Outcome::of(command.envs(environment.iter().copied())).ok());
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    listed.iter().map(|workflow| (word(&workflow["name"]), word(&workflow["state"]))).collect()
}

#[test]
fn our_variable_wins_over_the_schedulers_name_over_the_file_over_the_default() {
    let bed = Bed::new();
    let key = "workflow.page.batch_size";
    assert_eq!(shown(&bed, key, &[]), pair("64", "default"));
    bed.write("celeriac.toml", "[workflow.page]\nbatch_size = 5\n");
    assert_eq!(shown(&bed, key, &[]), pair("5", "celeriac.toml:2"));
    let second = ("PAGE_SCHEDULER_BATCH_SIZE", "6");
    assert_eq!(shown(&bed, key, &[second]), pair("6", second.0));
    let first = ("CELERIAC_WORKFLOW__PAGE__BATCH_SIZE", "7");
    assert_eq!(shown(&bed, key, &[first, second]), pair("7", first.0));
}

#[test]
fn the_schedulers_interval_counts_minutes() {
    let bed = Bed::new();
    let interval = |minutes| {
        let variable = ("DOMAIN_SCHEDULER_INTERVAL_MINUTES", minutes);
        shown(&bed, "workflow.domain.interval", &[variable]).0
    };
    assert_eq!((interval("5").as_str(), interval("0.5").as_str()), ("5m", "30s"));
}

#[test]
fn a_workflow_that_is_disabled_by_file_or_environment_is_disabled() {
    let bed = Bed::new();
    Outcome::of(&mut celeriac(&bed, &["migrate", "up", "-d", "own.db"])).ok();
    let all =
        |domain: &str, page: &str| vec![pair("domain", domain), pair("page", page), pair("sitemap", "idle")];
    assert_eq!(states(&bed, &[]), all("idle", "idle"));
    bed.write("celeriac.toml", "[workflow.domain]\nenabled = false\n");
    assert_eq!(states(&bed, &[]), all("disabled", "idle"));
    assert_eq!(states(&bed, &[("PAGE_SCHEDULER_ENABLED", "False")]), all("disabled", "disabled"));
}

#[test]
fn a_demonstration_goes_by_the_settings_and_runs_what_is_disabled() {
    let bed = Bed::new();
    site(&bed, 9);
    bed.write(
        "celeriac.toml",
        "[workflow.page]\nenabled = false\nbatch_size = 3\n[collect]\npages_max = 4\n",
    );
    let told = collected(&bed);
    assert_eq!((&told["complete"], &told["pages"]["total"]), (&true.into(), &4.into()), "{told}");
}

#[test]
fn a_run_outside_of_the_demonstration_goes_by_the_settings_too() {
    let bed = Bed::new();
    site(&bed, 1);
    let told = collected(&bed);
    let address = told["addresses"][0].as_str().unwrap().trim_end_matches('/');
    let port = address.rsplit(':').next().unwrap();
    let workflow =
        |action: &str| celeriac(&bed, &["workflow", "page", action, "--json", "-d", "celeriac-demo/demo.db"]);
    Outcome::of(workflow("reset").args(["--status", "done,error", "--yes"])).ok();
    let mut run = workflow("run");
    run.envs([
        ("CELERIAC_COLLECT__GUARD__ALLOW_NETWORKS", "127.0.0.0/8"),
        ("CELERIAC_COLLECT__GUARD__ALLOW_PORTS", port),
        ("PAGE_SCHEDULER_MAX_ATTEMPTS", "2"),
        ("PAGE_SCHEDULER_BACKOFF_BASE", "1h"),
    ]);
    // Nobody serves the site any more. That is tried again; an address that is refused is not.
    let report = lines_of(&Outcome::of(&mut run).ok()).remove(0);
    assert_eq!((&report["failed"], &report["retried"]), (&0.into(), &3.into()), "{report}");
}

#[test]
fn a_house_may_collect_its_own_network_and_says_who_it_is() {
    let bed = Bed::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (heard, agents) = mpsc::channel();
    // It ends with the test's process; a thread that waits for a connection can't be told to.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = vec![0; 8_192];
            let length = stream.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let status = if head.starts_with("GET / ") { "200 OK" } else { "404 Not Found" };
            let page = "<title>House</title>";
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
                page.len()
            );
            drop(stream.write_all(answer.as_bytes()));
            drop(heard.send(head.to_ascii_lowercase()));
        }
    });
    let mut command = celeriac(&bed, &["collect", &format!("http://127.0.0.1:{port}/"), "--json"]);
    command.envs([
        ("CELERIAC_COLLECT__CONTACT", "https://house.example/bot"),
        ("CELERIAC_COLLECT__GUARD__ALLOW_NETWORKS", "127.0.0.0/8"),
        ("CELERIAC_COLLECT__GUARD__ALLOW_PORTS", port.as_str()),
        ("CELERIAC_COLLECT__HOSTS__MIN_DELAY", "0"),
    ]);
    let told = lines_of(&Outcome::of(&mut command).ok()).remove(0);
    assert_eq!(told["pages"]["done"], 1, "{told}");
    let first = agents.recv().unwrap();
    assert!(first.contains("(+https://house.example/bot)"), "{first}");
}

#[test]
fn wrong_settings_are_named_with_their_place_and_what_was_meant() {
    let bed = Bed::new();
    let said = |file: &str, environment: &[(&str, &str)]| {
        bed.write("celeriac.toml", file);
        let mut command = celeriac(&bed, &["tasks"]);
        Outcome::of(command.envs(environment.iter().copied())).refused(2)
    };
    assert_snapshot!(said("[workflow.pag]\nbatch_size = 3", &[]), @r#"
    error: failed to read configuration: celeriac.toml:2: unknown key "workflow.pag.batch_size": this app has no workflow "pag"
     hint: did you mean `page`?
    "#);
    assert_snapshot!(said("[workflow.orders]\nbatch_size = 3", &[]), @r#"
    error: failed to read configuration: celeriac.toml:2: unknown key "workflow.orders.batch_size": this app has no workflow "orders"
     hint: there is: domain, page, sitemap
    "#);
    assert_snapshot!(said("", &[("CELERIAC_WORKFLOW__PAG__BATCH_SIZE", "3")]), @r#"
    error: failed to read configuration: unknown variable CELERIAC_WORKFLOW__PAG__BATCH_SIZE: this app has no workflow "pag"
     hint: did you mean `page`?
    "#);
    assert_snapshot!(said("[workflow.page]\nbatchsize = 3", &[]), @r#"
    error: failed to read configuration: celeriac.toml:2: unknown key "workflow.page.batchsize"
     hint: did you mean `workflow.page.batch_size`?
    "#);
    assert_snapshot!(said("", &[("CELERIAC_COLLECT__HOSTS__MIN_DELY", "3")]), @r#"
    error: failed to read configuration: unknown variable CELERIAC_COLLECT__HOSTS__MIN_DELY
     hint: did you mean `CELERIAC_COLLECT__HOSTS__MIN_DELAY`?
    "#);
    assert_snapshot!(said("[workflow.page]\nbatch_size = 0", &[]), @"error: failed to read configuration: celeriac.toml:2: workflow.page.batch_size = 0: 1 to 10000 are possible");
    assert_snapshot!(said("", &[("PAGE_SCHEDULER_BATCH_SIZE", "0")]), @"error: failed to read configuration: PAGE_SCHEDULER_BATCH_SIZE = 0: 1 to 10000 are possible");
    assert_snapshot!(said("", &[("PAGE_SCHEDULER_INTERVAL_MINUTES", "soon")]), @"error: failed to read configuration: PAGE_SCHEDULER_INTERVAL_MINUTES = soon: a number of minutes is wanted");
    assert_snapshot!(said("[collect]\ncontact = \"me\"", &[]), @"error: failed to read configuration: celeriac.toml:2: collect.contact = me: write a URL, or mailto: and an address");
    assert_snapshot!(said("[collect.hosts]\nbackoff_start = \"2h\"", &[]), @r#"error: failed to read configuration: celeriac.toml:2: collect.hosts.backoff_start = 2h: a value above zero, up to "backoff_max" is possible"#);
    assert_snapshot!(said("[collect.fetch]\nbody_bytes_max = \"much\"", &[]), @r#"error: failed to read configuration: celeriac.toml:2: collect.fetch.body_bytes_max: "much" is no size; write 4096, 64KiB, 10MiB or 2GB"#);
    assert_snapshot!(said("", &[("CELERIAC_COLLECT__GUARD__ALLOW_NETWORKS", "10.0.0.0/99")]), @r#"error: failed to read configuration: CELERIAC_COLLECT__GUARD__ALLOW_NETWORKS: "10.0.0.0/99" is no network; write 10.0.0.0/8 or fc00::/7"#);
    assert_snapshot!(said("[collect]\nscope = \"world\"", &[]), @"error: failed to read configuration: celeriac.toml:2: collect.scope: unknown variant `world`, expected `host` or `site`");
}

#[test]
fn a_misspelt_scheduler_variable_is_warned_of() {
    let bed = Bed::new();
    let mut command = celeriac(&bed, &["tasks", "--log-format", "human"]);
    let outcome = Outcome::of(command.env("PAGE_SCHEDULER_BATCHSIZE", "5"));
    assert!(outcome.stderr.contains("is PAGE_SCHEDULER_BATCH_SIZE meant?"), "{}", outcome.stderr);
}
