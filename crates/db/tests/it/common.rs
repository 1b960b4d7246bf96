//! What the tests of this crate share: one small table, and children that can be killed.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use celeriac_db::sea_orm::entity::prelude::*;
use celeriac_db::sea_orm::{ActiveValue::Set, ConnectionTrait, Schema};
use celeriac_db::{Database, DbError, DbTx};

pub(crate) mod note {
    //! A row that a test writes.

    #![expect(unreachable_pub, reason = "the entity macro makes public types")]

    use celeriac_db::sea_orm;
    use celeriac_db::sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "note")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(unique)]
        pub text: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) async fn create_notes(db: &Database) {
    db.write("create notes", async |tx| {
        let schema = Schema::new(tx.get_database_backend());
        tx.execute(schema.create_table_from_entity(note::Entity).if_not_exists()).await?;
        Ok::<_, DbError>(())
    })
    .await
    .unwrap();
}

pub(crate) async fn insert(tx: &DbTx, text: impl Into<String>) -> Result<(), DbError> {
    let row = note::ActiveModel { text: Set(text.into()), ..Default::default() };
    note::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Runs what no builder writes, to bring SQLite into a state that a test needs.
#[expect(clippy::disallowed_methods, reason = "pragmas and conflict clauses have no builder")]
pub(crate) async fn run_text(tx: &DbTx, text: &str) -> Result<(), DbError> {
    tx.execute_unprepared(text).await?;
    Ok(())
}

pub(crate) async fn write_note(db: &Database, text: impl Into<String>) -> Result<(), DbError> {
    let text = text.into();
    db.write("write note", async move |tx| insert(tx, text).await).await
}

pub(crate) async fn notes(db: &Database) -> Vec<String> {
    let rows = note::Entity::find().all(db.reader()).await.unwrap();
    rows.into_iter().map(|row| row.text).collect()
}

/// A test of this binary that runs as a process of its own, told its database on standard input.
pub(crate) struct Helper {
    pub(crate) process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    pub(crate) fn start(test: &str, database: &Path) -> Self {
        Self::start_by(&mut Command::new(std::env::current_exe().unwrap()), test, database)
    }

    pub(crate) fn start_by(command: &mut Command, test: &str, database: &Path) -> Self {
        command.args(["--exact", test, "--ignored", "--nocapture"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        writeln!(process.stdin.take().unwrap(), "{}", database.display()).unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Returns the next line that the child said, without the words of the test runner.
    pub(crate) fn next_said(&mut self) -> Option<String> {
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("said: ").map(|(_, said)| said.to_owned()))
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// In a helper process: says something to the test that started it.
pub(crate) fn say(what: impl std::fmt::Display) {
    println!("said: {what}");
}

/// In a helper process: returns the database that it was told of, if it was started as one.
pub(crate) fn told_database() -> Option<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    Some(line.trim().to_owned()).filter(|path| !path.is_empty())
}
