//! Opening a database: each thing that can stand in the way is said by its own name.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::{Helper, create_notes, notes, say, told_database, write_note};
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbError, Durability, SqliteOptions, StorageFault};

async fn fault_of(options: SqliteOptions) -> Option<StorageFault> {
    Database::open(options).await.unwrap_err().fault()
}

#[tokio::test]
async fn what_stands_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let beside = |name: &str| folder.path().join(name);
    fs::write(beside("text.db"), "this is no database, whatever its name says. ".repeat(100)).unwrap();
    fs::create_dir(beside("folder.db")).unwrap();
    for (name, create, fault) in [
        ("text.db", true, StorageFault::NotADatabase),
        ("folder.db", true, StorageFault::IsFolder),
        ("missing/x.db", true, StorageFault::FolderMissing),
        ("text.db/x.db", true, StorageFault::Io),
        ("absent.db", false, StorageFault::FileMissing),
    ] {
        let options = SqliteOptions { create, ..SqliteOptions::at(beside(name)) };
        assert_eq!(fault_of(options).await, Some(fault), "{name}");
    }
    assert!(!beside("absent.db").exists());
}

#[tokio::test]
async fn damaged_file_is_named() {
    let db = TestDatabase::open().await.unwrap();
    create_notes(&db).await;
    db.close().await;
    let mut bytes = fs::read(db.path()).unwrap();
    bytes[100..].fill(0xee);
    fs::write(db.path(), bytes).unwrap();
    let opened = Database::open(SqliteOptions::at(db.path())).await;
    let fault = match opened {
        Err(error) => error.fault(),
        Ok(db) => write_note(&db, "x").await.unwrap_err().fault(),
    };
    assert_eq!(fault, Some(StorageFault::Corrupt));
}

#[tokio::test]
async fn lock_held_by_another_process_is_waited_for_and_then_named() {
    let db = TestDatabase::open().await.unwrap();
    create_notes(&db).await;
    let mut helper = Helper::start("open::holds_the_write_lock", db.path());
    assert_eq!(helper.next_said().as_deref(), Some("holding"));
    let patience = Duration::from_millis(50);
    let options = SqliteOptions { busy_timeout: patience, ..SqliteOptions::at(db.path()) };
    assert_eq!(fault_of(options).await, Some(StorageFault::Locked));
    // Readers are not kept out.
    assert!(notes(&db).await.is_empty());
    let (waited, ()) = tokio::join!(write_note(&db, "after the lock"), async { helper.kill() });
    waited.unwrap();
    assert_eq!(notes(&db).await, ["after the lock"]);
}

#[tokio::test]
async fn lock_that_is_not_had_keeps_nobody_longer_for_those_before_them() {
    let patience = Duration::from_millis(200);
    let db = TestDatabase::open_with(|options| SqliteOptions { busy_timeout: patience, ..options }).await;
    let db = db.unwrap();
    create_notes(&db).await;
    let mut helper = Helper::start("open::holds_the_write_lock", db.path());
    assert_eq!(helper.next_said().as_deref(), Some("holding"));
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..20 {
        let db = db.database().clone();
        writes.spawn(async move { write_note(&db, number.to_string()).await });
    }
    // One after the other they would take twenty times as long as the first.
    let all = tokio::time::timeout(patience * 10, writes.join_all()).await.unwrap();
    for refused in all {
        assert_eq!(refused.unwrap_err().fault(), Some(StorageFault::Locked));
    }
    helper.kill();
    write_note(&db, "after the lock").await.unwrap();
    assert_eq!(notes(&db).await, ["after the lock"]);
}

#[tokio::test]
#[ignore = "is a process that another test starts and kills"]
async fn holds_the_write_lock() {
    let Some(path) = told_database() else { return };
    let db = Database::open(SqliteOptions::at(path)).await.unwrap();
    db.write_within("hold", Duration::from_secs(60), async |_| {
        say("holding");
        std::future::pending::<Result<(), DbError>>().await
    })
    .await
    .unwrap();
}

/// Runs a test of this binary so that file permissions count, which they do not for root.
fn without_privileges(test: &str, database: &Path) -> Option<String> {
    let exe = std::env::current_exe().unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new(if is_root { Path::new("setpriv") } else { exe.as_path() });
    if is_root {
        let bounds = "-dac_override,-dac_read_search";
        command.args(["--bounding-set", bounds, "--inh-caps", bounds]).arg(&exe);
    }
    let mut helper = Helper::start_by(&mut command, test, database);
    let said = helper.next_said();
    helper.kill();
    said
}

#[tokio::test]
#[ignore = "is a process that another test starts"]
async fn says_why_it_cannot_open_and_write() {
    let Some(path) = told_database() else { return };
    match Database::open(SqliteOptions::at(path)).await {
        Ok(_) => say("opened"),
        Err(error) => say(format!("{:?}", error.fault())),
    }
}

#[tokio::test]
#[ignore = "is a process that another test starts"]
async fn says_why_it_cannot_open_and_read() {
    let Some(path) = told_database() else { return };
    match Database::open_read_only(SqliteOptions::at(path)).await {
        Ok(_) => say("opened"),
        Err(error) => say(format!("{:?}", error.fault())),
    }
}

#[tokio::test]
async fn missing_permissions_are_named() {
    let db = TestDatabase::open().await.unwrap();
    create_notes(&db).await;
    db.close().await;
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let test = "open::says_why_it_cannot_open_and_write";
    let reading = "open::says_why_it_cannot_open_and_read";
    mode(db.path(), 0o444);
    assert_eq!(without_privileges(test, db.path()).as_deref(), Some("Some(ReadOnly)"));
    assert_eq!(without_privileges(reading, db.path()).as_deref(), Some("opened"));
    mode(db.path(), 0o000);
    assert_eq!(without_privileges(test, db.path()).as_deref(), Some("Some(Denied)"));
    assert_eq!(without_privileges(reading, db.path()).as_deref(), Some("Some(Denied)"));
    mode(db.path(), 0o644);
    let folder = db.path().parent().unwrap();
    mode(folder, 0o555);
    assert_eq!(without_privileges(test, &folder.join("new.db")).as_deref(), Some("Some(Denied)"));
    mode(folder, 0o755);
}

#[tokio::test]
async fn reader_from_outside_sees_commits_and_cannot_write() {
    let db = TestDatabase::open().await.unwrap();
    create_notes(&db).await;
    let outside = Database::open_read_only(SqliteOptions::at(db.path())).await.unwrap();
    write_note(&db, "seen").await.unwrap();
    assert_eq!(notes(&outside).await, ["seen"]);
    let error = write_note(&outside, "refused").await.unwrap_err();
    assert_eq!(error.fault(), Some(StorageFault::ReadOnly));
    let missing = Database::open_read_only(SqliteOptions::at(db.beside("none.db"))).await.unwrap_err();
    assert_eq!(missing.fault(), Some(StorageFault::FileMissing));
    assert!(!db.beside("none.db").exists());
    fs::write(db.beside("text.db"), "no database ".repeat(100)).unwrap();
    let text = Database::open_read_only(SqliteOptions::at(db.beside("text.db"))).await.unwrap_err();
    assert_eq!(text.fault(), Some(StorageFault::NotADatabase));
}

#[tokio::test]
async fn readers_cannot_write_by_mistake() {
    use celeriac_db::sea_orm::{ActiveValue::Set, EntityTrait};
    let db = TestDatabase::open().await.unwrap();
    create_notes(&db).await;
    let row = crate::common::note::ActiveModel { text: Set("x".into()), ..Default::default() };
    assert!(crate::common::note::Entity::insert(row).exec_without_returning(db.reader()).await.is_err());
}

#[tokio::test]
async fn both_durabilities_open_and_commit() {
    for durability in [Durability::Process, Durability::Power] {
        let db = TestDatabase::open_with(|options| SqliteOptions { durability, ..options }).await.unwrap();
        create_notes(&db).await;
        write_note(&db, "one").await.unwrap();
        assert_eq!(notes(&db).await, ["one"], "{durability:?}");
    }
}
