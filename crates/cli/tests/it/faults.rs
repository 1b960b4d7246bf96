//! Everything that can be wrong with the database file, provoked for real and told in a line with a hint.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use celeriac_db::{Migration, MigrationSet};
use insta::assert_snapshot;

use crate::support::{Bed, Outcome};

/// Runs a command that must fail as `code`, and returns what people read.
#[track_caller]
fn told(bed: &Bed, arguments: &[&str], code: &str) -> String {
    let json: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    bed.run(&json).refused_as(4, code);
    bed.run(arguments).refused(4)
}

#[test]
fn the_folder_is_missing() {
    let arguments = ["enqueue", "greet", "Ada", "-d", "data/jobs.db"];
    assert_snapshot!(told(&Bed::new(), &arguments, "database_folder_missing"), @r#"
    error: failed to use database "data/jobs.db": its folder does not exist
     hint: create the folder with `mkdir -p data`, or name another file with --database
    "#);
}

#[test]
fn the_file_is_missing() {
    let bed = Bed::new();
    assert_snapshot!(told(&bed, &["jobs", "list"], "database_file_missing"), @r#"
    error: failed to use database "celeriac.db": no such file
     hint: `migrate up` creates it, and so does the first job that is enqueued
    "#);
    assert!(!bed.path("celeriac.db").exists());
}

#[test]
fn the_path_is_a_folder() {
    assert_snapshot!(told(&Bed::new(), &["worker", "-d", "."], "database_is_folder"), @r#"
    error: failed to use database ".": is a folder
     hint: name a file in it with --database
    "#);
}

#[test]
fn the_file_is_something_else() {
    let bed = Bed::new();
    let text = "My notes. ".repeat(500);
    bed.write("notes.txt", &text);
    let arguments = ["enqueue", "greet", "Ada", "-d", "notes.txt"];
    assert_snapshot!(told(&bed, &arguments, "database_not_sqlite"), @r#"
    error: failed to use database "notes.txt": is not a SQLite database
     hint: name another file with --database; this one was not touched
    "#);
    assert_eq!(fs::read_to_string(bed.path("notes.txt")).unwrap(), text);
}

#[test]
fn the_file_is_damaged() {
    let bed = Bed::new();
    bed.enqueue(&["greet", "Ada"]);
    let mut bytes = fs::read(bed.path("celeriac.db")).unwrap();
    bytes[100..].fill(0xee);
    bed.write("celeriac.db", bytes);
    assert_snapshot!(told(&bed, &["jobs", "list"], "database_corrupt"), @r#"
    error: failed to use database "celeriac.db": is damaged
     hint: stop everything that uses it, keep a copy, and restore a backup or try `sqlite3 FILE .recover`
    "#);
}

#[tokio::test]
async fn another_process_holds_the_lock() {
    let bed = Bed::new();
    bed.ok(&["migrate", "up"]);
    let told = bed.while_locked(|bed| {
        let arguments = ["enqueue", "greet", "Ada", "--set", "database.busy_timeout=50ms"];
        let told = told(bed, &arguments, "database_locked");
        // Looking is not kept out.
        bed.ok(&["jobs", "list"]);
        told
    });
    assert_snapshot!(told.await, @r#"
    error: failed to use database "celeriac.db": is locked by another process
     hint: another process is writing to the file; try again, or raise `database.busy_timeout`
    "#);
}

/// Starts a command so that file permissions count, which they do not for root.
fn without_privileges(bed: &Bed, arguments: &[&str]) -> Outcome {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let bounds = "-dac_override,-dac_read_search";
    let starter: &[&str] = &["setpriv", "--bounding-set", bounds, "--inh-caps", bounds];
    Outcome::of(&mut bed.through(if is_root { starter } else { &[] }, arguments))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_file_is_read_only() {
    let bed = Bed::new();
    bed.enqueue(&["greet", "Ada"]);
    set_mode(&bed.path("celeriac.db"), 0o444);
    without_privileges(&bed, &["enqueue", "greet", "Ada", "--json"]).refused_as(4, "database_read_only");
    assert_snapshot!(without_privileges(&bed, &["enqueue", "greet", "Ada"]).refused(4), @r#"
    error: failed to use database "celeriac.db": is read-only
     hint: give this user write access to the file and its folder
    "#);
    // Looking needs no more than reading.
    assert_eq!(without_privileges(&bed, &["jobs", "list"]).ok().lines().count(), 1);
}

#[test]
fn access_is_denied() {
    let bed = Bed::new();
    bed.enqueue(&["greet", "Ada"]);
    set_mode(&bed.path("celeriac.db"), 0o000);
    without_privileges(&bed, &["jobs", "list", "--json"]).refused_as(4, "database_denied");
    assert_snapshot!(without_privileges(&bed, &["jobs", "list"]).refused(4), @r#"
    error: failed to use database "celeriac.db": permission denied
     hint: give this user access to the file and its folder, or name another one with --database
    "#);
}

#[test]
fn the_disk_is_full() {
    let bed = Bed::new();
    fs::create_dir(bed.path("small")).unwrap();
    // A disk of its own, small and filled to the brim once the tables are made.
    let script = r#"mount -t tmpfs -o size=1m none small && cd small || exit 99
        "$0" migrate up >&2 || exit 98
        cat /dev/zero > filler 2> /dev/null
        exec "$0" "$@""#;
    let starter = ["unshare", "--map-root-user", "--mount", "sh", "-c", script];
    let text = "x".repeat(100_000);
    let stderr = Outcome::of(&mut bed.through(&starter, &["enqueue", "greet", &text])).refused(4);
    assert_snapshot!(stderr, @r#"
    broker m20261122_create_queue made
    broker m20261123_keep_cancel_reasons made
    platform m20261122_jobs made
    platform m20261122_workflows made
    platform m20261122_schedules made
    platform m20261123_job_schedules made
    platform m20261123_disabled_words made
    platform m20261123_workflow_settings made
    platform m20261123_access made
    platform m20261123_workers made
    error: failed to use database "celeriac.db": no space left on its disk
     hint: free some space on its disk; nothing that was stored before is lost
    "#);
}

#[tokio::test]
async fn the_schema_is_newer_than_the_binary() {
    let bed = Bed::new();
    bed.ok(&["migrate", "up"]);
    migrate_from_the_future(&bed).await;
    assert_snapshot!(told(&bed, &["worker"], "database_newer"), @r#"
    error: failed to use the database: it is newer than this binary, which does not know migration "m20990101_future" of "platform"
     hint: install the newer version; this one does not know that schema
    "#);
}

/// Makes a migration that the binary does not know.
pub(crate) async fn migrate_from_the_future(bed: &Bed) {
    let database = bed.database().await;
    let mut migrations = celeriac_store::MIGRATIONS.migrations.to_vec();
    let next = Migration { name: "m20990101_future", up: |_| Box::pin(async { Ok(()) }), down: None };
    migrations.push(next);
    let newer = MigrationSet { owner: celeriac_store::MIGRATIONS.owner, migrations: migrations.leak() };
    newer.up(&database, 0).await.unwrap();
    database.close().await;
}
