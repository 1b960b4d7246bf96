//! Lines of migrations: up, down, up again, and what is refused.

use celeriac_db::sea_orm::sea_query::{ColumnDef, Query, Table};
use celeriac_db::sea_orm::{ConnectionTrait, DbErr, DeriveIden};
use celeriac_db::testing::TestDatabase;
use celeriac_db::{Database, DbError, DbTx, Migration, MigrationSet, MigrationState};
use futures_util::future::BoxFuture;

#[derive(DeriveIden)]
enum Thing {
    Table,
    Id,
    Colour,
}

fn create(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        let mut id = ColumnDef::new(Thing::Id);
        tx.execute(Table::create().table(Thing::Table).col(id.integer().primary_key())).await?;
        Ok(())
    })
}

fn drop_table(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move { tx.execute(Table::drop().table(Thing::Table)).await.map(drop) })
}

fn colour(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        let mut colour = ColumnDef::new(Thing::Colour);
        tx.execute(Table::alter().table(Thing::Table).add_column(colour.string())).await.map(drop)
    })
}

fn uncolour(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::alter().table(Thing::Table).drop_column(Thing::Colour)).await.map(drop)
    })
}

fn break_off(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        colour(tx).await?;
        Err(DbErr::Custom("half-way".into()))
    })
}

const CREATE: Migration = Migration { name: "m1_create", up: create, down: Some(drop_table) };
const COLOUR: Migration = Migration { name: "m2_colour", up: colour, down: Some(uncolour) };
const BROKEN: Migration = Migration { name: "m2_broken", up: break_off, down: None };

const FIRST: MigrationSet = MigrationSet { owner: "shop", migrations: &[CREATE] };
const BOTH: MigrationSet = MigrationSet { owner: "shop", migrations: &[CREATE, COLOUR] };

async fn states(set: &MigrationSet, db: &Database) -> Vec<(String, MigrationState)> {
    let status = set.status(db.reader()).await.unwrap();
    status.into_iter().map(|line| (line.name, line.state)).collect()
}

async fn insert_thing(db: &Database, id: i64) {
    db.write("insert", async move |tx| {
        let mut insert = Query::insert();
        insert.into_table(Thing::Table).columns([Thing::Id]).values_panic([id.into()]);
        tx.execute(&insert).await?;
        Ok::<_, DbError>(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn up_down_and_up_again_keeps_data() {
    let db = TestDatabase::open().await.unwrap();
    assert_eq!(states(&BOTH, &db).await[1], ("m2_colour".into(), MigrationState::Pending));
    assert_eq!(BOTH.up(&db, 5).await.unwrap(), ["m1_create", "m2_colour"]);
    insert_thing(&db, 1).await;
    assert_eq!(BOTH.up(&db, 6).await.unwrap(), [""; 0]);
    assert_eq!(states(&BOTH, &db).await[1], ("m2_colour".into(), MigrationState::Applied(5)));
    assert_eq!(BOTH.down_to(&db, Some("m1_create")).await.unwrap(), ["m2_colour"]);
    assert_eq!(BOTH.check(db.reader()).await.unwrap(), ["m2_colour"]);
    assert_eq!(BOTH.up(&db, 7).await.unwrap(), ["m2_colour"]);
    let count = Query::select().column(Thing::Id).from(Thing::Table).to_owned();
    assert_eq!(db.reader().query_all(&count).await.unwrap().len(), 1);
    assert_eq!(BOTH.down_to(&db, None).await.unwrap(), ["m2_colour", "m1_create"]);
    assert_eq!(BOTH.up(&db, 8).await.unwrap().len(), 2);
}

#[tokio::test]
async fn database_of_a_newer_binary_is_refused_by_name() {
    let db = TestDatabase::open().await.unwrap();
    BOTH.up(&db, 1).await.unwrap();
    for error in [
        FIRST.check(db.reader()).await.err(),
        FIRST.up(&db, 2).await.err(),
        FIRST.down_to(&db, None).await.err(),
    ] {
        let error = error.unwrap();
        assert!(matches!(&error, DbError::NewerDatabase { name, .. } if name == "m2_colour"), "{error}");
    }
    assert_eq!(states(&FIRST, &db).await[1], ("m2_colour".into(), MigrationState::Unknown(1)));
}

#[tokio::test]
async fn lines_of_other_owners_are_left_alone() {
    let db = TestDatabase::open().await.unwrap();
    BOTH.up(&db, 1).await.unwrap();
    let other = MigrationSet { owner: "other", migrations: &[] };
    assert!(other.up(&db, 2).await.unwrap().is_empty());
    assert!(other.status(db.reader()).await.unwrap().is_empty());
}

#[tokio::test]
async fn failed_migration_leaves_no_half_and_keeps_those_before_it() {
    let db = TestDatabase::open().await.unwrap();
    let set = MigrationSet { owner: "shop", migrations: &[CREATE, BROKEN] };
    let error = set.up(&db, 1).await.unwrap_err();
    assert!(matches!(error, DbError::Migration { name: "m2_broken", .. }), "{error}");
    // The column of the half-made one is not there, so the right one can be added.
    assert_eq!(BOTH.up(&db, 2).await.unwrap(), ["m2_colour"]);
}

#[tokio::test]
async fn migration_slipped_in_before_an_applied_one_is_refused() {
    let db = TestDatabase::open().await.unwrap();
    FIRST.up(&db, 1).await.unwrap();
    let set = MigrationSet { owner: "shop", migrations: &[COLOUR, CREATE] };
    let error = set.up(&db, 2).await.unwrap_err();
    assert!(matches!(error, DbError::MigrationOrder { name: "m2_colour", .. }), "{error}");
}

#[tokio::test]
async fn unknown_target_and_one_way_migrations_are_refused() {
    let db = TestDatabase::open().await.unwrap();
    let one_way = MigrationSet {
        owner: "shop",
        migrations: &[CREATE, Migration { name: "m2_colour", up: colour, down: None }],
    };
    one_way.up(&db, 1).await.unwrap();
    let error = one_way.down_to(&db, Some("m9")).await.unwrap_err();
    assert!(matches!(error, DbError::UnknownMigration { .. }), "{error}");
    let error = one_way.down_to(&db, None).await.unwrap_err();
    assert!(matches!(error, DbError::Irreversible { name: "m2_colour", .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_openers_migrate_at_once_and_each_migration_is_made_once() {
    let db = TestDatabase::open().await.unwrap();
    let second = db.again().await.unwrap();
    let (one, two) = tokio::join!(BOTH.up(&db, 1), BOTH.up(&second, 2));
    let made = one.unwrap().len() + two.unwrap().len();
    assert_eq!(made, 2);
}
