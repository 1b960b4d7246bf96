//! The tables can be made, taken back and made again, with rows in them.

use celeriac_db::DbError;
use celeriac_db::testing::TestDatabase;
use celeriac_protocol::Timestamp;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, PaginatorTrait};

use crate::host::{self, rules};
use crate::page::{content, entity as page};
use crate::sitemap::entity as sitemap;
use crate::{MIGRATIONS, domain::entity as domain};

/// Puts a row into each table and returns how many rows there are.
async fn fill(test: &TestDatabase) -> u64 {
    let fill = async |tx: &celeriac_db::DbTx| {
        let now = Timestamp::from_micros(7);
        let host_id = host::ensure(tx, "https://example.com", now).await?;
        rules::ActiveModel { host_id: Set(host_id), rules: Set("User-agent: *\n".into()) }.insert(tx).await?;
        let domain = domain::ActiveModel {
            name: Set("example.com".into()),
            url: Set("https://example.com/".into()),
            host_id: Set(host_id),
            due_at: Set(7),
            created_at: Set(7),
            updated_at: Set(7),
            ..Default::default()
        };
        let domain = domain.insert(tx).await?;
        assert_eq!((domain.status.as_str(), domain.history.as_str(), domain.attempts), ("pending", "[]", 0));
        sitemap::ActiveModel {
            url_key: Set(vec![1; 16]),
            url: Set("https://example.com/sitemap.xml".into()),
            host_id: Set(host_id),
            domain_id: Set(Some(domain.id)),
            found_by: Set(sitemap::SitemapSource::Guess),
            due_at: Set(7),
            created_at: Set(7),
            updated_at: Set(7),
            ..Default::default()
        }
        .insert(tx)
        .await?;
        let page = page::ActiveModel {
            url_key: Set(vec![1; 16]),
            url: Set("https://example.com/".into()),
            host_id: Set(host_id),
            domain_id: Set(Some(domain.id)),
            found_by: Set(page::PageSource::Home),
            due_at: Set(7),
            created_at: Set(7),
            updated_at: Set(7),
            ..Default::default()
        };
        let page = page.insert(tx).await?;
        content::ActiveModel {
            page_id: Set(page.id),
            headings: Set("[]".into()),
            links: Set("[]".into()),
            alternates: Set("[]".into()),
            directives: Set("{}".into()),
        }
        .insert(tx)
        .await?;
        Ok::<_, DbError>(())
    };
    test.write("fill", fill).await.unwrap();
    rows(test).await
}

async fn rows(test: &TestDatabase) -> u64 {
    let reader = test.reader();
    host::entity::Entity::find().count(reader).await.unwrap()
        + rules::Entity::find().count(reader).await.unwrap()
        + domain::Entity::find().count(reader).await.unwrap()
        + sitemap::Entity::find().count(reader).await.unwrap()
        + page::Entity::find().count(reader).await.unwrap()
        + content::Entity::find().count(reader).await.unwrap()
}

#[tokio::test]
async fn tables_are_made_and_taken_back_and_made_again_with_rows_in_them() {
    let test = TestDatabase::open().await.unwrap();
    for round in 0..2 {
        assert_eq!(MIGRATIONS.up(test.database(), round).await.unwrap().len(), MIGRATIONS.migrations.len());
        assert_eq!(fill(&test).await, 6);
        MIGRATIONS.down_to(test.database(), None).await.unwrap();
    }
    MIGRATIONS.up(test.database(), 2).await.unwrap();
    assert_eq!(rows(&test).await, 0);
}

#[tokio::test]
async fn a_host_that_goes_takes_everything_of_it_along() {
    let test = TestDatabase::open().await.unwrap();
    MIGRATIONS.up(test.database(), 0).await.unwrap();
    fill(&test).await;
    let delete = async |tx: &celeriac_db::DbTx| {
        host::entity::Entity::delete_many().exec(tx).await?;
        Ok::<_, DbError>(())
    };
    test.write("delete host", delete).await.unwrap();
    assert_eq!(rows(&test).await, 0);
}
