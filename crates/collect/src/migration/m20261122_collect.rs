//! Makes the tables of hosts, domains, sitemaps and pages.
//!
//! Written out and not made from the entities, which will grow: a migration never changes.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{
    ColumnDef, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index, IndexCreateStatement,
    IntoIden, Table, TableCreateStatement,
};
use sea_orm::{ConnectionTrait, DbErr};

use crate::domain::entity as domain;
use crate::host::{entity as host, rules};
use crate::page::{content, entity as page};
use crate::sitemap::entity as sitemap;

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        for table in [hosts(), host_robots(), domains(), sitemaps(), pages(), page_contents()] {
            tx.execute(&table).await?;
        }
        for index in ready_indexes().into_iter().chain(waiting_indexes()).chain(lists()) {
            tx.execute(&index).await?;
        }
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::drop().table(content::Entity)).await?;
        tx.execute(Table::drop().table(page::Entity)).await?;
        tx.execute(Table::drop().table(sitemap::Entity)).await?;
        tx.execute(Table::drop().table(domain::Entity)).await?;
        tx.execute(Table::drop().table(rules::Entity)).await?;
        tx.execute(Table::drop().table(host::Entity)).await?;
        Ok(())
    })
}

fn hosts() -> TableCreateStatement {
    use host::Column as C;
    Table::create()
        .table(host::Entity)
        .col(ColumnDef::new(C::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::Origin).string().not_null().unique_key())
        .col(ColumnDef::new(C::CrawlDelay).big_integer())
        .col(ColumnDef::new(C::MinDelay).big_integer())
        .col(ColumnDef::new(C::NextAllowedAt).big_integer().not_null().default(0))
        .col(ColumnDef::new(C::ParkedUntil).big_integer())
        .col(ColumnDef::new(C::ParkedReason).text())
        .col(ColumnDef::new(C::Failures).integer().not_null().default(0))
        .col(ColumnDef::new(C::Backoffs).integer().not_null().default(0))
        .col(ColumnDef::new(C::GivenUpUntil).big_integer())
        .col(ColumnDef::new(C::DomainsReadyAt).big_integer())
        .col(ColumnDef::new(C::SitemapsReadyAt).big_integer())
        .col(ColumnDef::new(C::PagesReadyAt).big_integer())
        .col(ColumnDef::new(C::RobotsOutcome).string_len(16))
        .col(ColumnDef::new(C::RobotsFetchedAt).big_integer())
        .col(ColumnDef::new(C::RobotsExpiresAt).big_integer().not_null().default(0))
        .col(ColumnDef::new(C::RobotsTries).integer().not_null().default(0))
        .col(ColumnDef::new(C::Requests).big_integer().not_null().default(0))
        .col(ColumnDef::new(C::Bytes).big_integer().not_null().default(0))
        .col(ColumnDef::new(C::LastStatus).integer())
        .col(ColumnDef::new(C::LastError).text())
        .col(ColumnDef::new(C::LastRequestAt).big_integer())
        .col(ColumnDef::new(C::CreatedAt).big_integer().not_null())
        .to_owned()
}

fn host_robots() -> TableCreateStatement {
    use rules::Column as C;
    Table::create()
        .table(rules::Entity)
        .col(ColumnDef::new(C::HostId).big_integer().not_null().primary_key())
        .col(ColumnDef::new(C::Rules).text().not_null())
        .foreign_key(&mut to_host("celeriac_host_robots_host", rules::Entity, C::HostId))
        .to_owned()
}

fn domains() -> TableCreateStatement {
    use domain::Column as C;
    let mut table = Table::create();
    table
        .table(domain::Entity)
        .col(ColumnDef::new(C::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::Name).string().not_null().unique_key())
        .col(ColumnDef::new(C::Url).text().not_null())
        .col(ColumnDef::new(C::HostId).big_integer().not_null());
    add_workflow(
        &mut table,
        [C::Status, C::DueAt, C::ClaimedUntil, C::Claim, C::Attempts, C::Error, C::History],
        [C::CreatedAt, C::UpdatedAt],
    );
    for counter in [C::PagesFound, C::SitemapsFound, C::SitemapsRead] {
        table.col(ColumnDef::new(counter).big_integer().not_null().default(0));
    }
    table
        .col(ColumnDef::new(C::FetchedAt).big_integer())
        .col(ColumnDef::new(C::FinalUrl).text())
        .col(ColumnDef::new(C::StatusCode).integer())
        .col(ColumnDef::new(C::Title).text())
        .col(ColumnDef::new(C::Description).text())
        .col(ColumnDef::new(C::Canonical).text())
        .col(ColumnDef::new(C::Language).string())
        .col(ColumnDef::new(C::Charset).string())
        .col(ColumnDef::new(C::SiteName).text())
        .col(ColumnDef::new(C::Generator).text())
        .col(ColumnDef::new(C::Icon).text())
        .col(ColumnDef::new(C::Image).text())
        .col(ColumnDef::new(C::Robots).string_len(16))
        .col(ColumnDef::new(C::RobotsSitemaps).big_integer())
        .col(ColumnDef::new(C::Icons).text())
        .col(ColumnDef::new(C::Feeds).text())
        .col(ColumnDef::new(C::OpenGraph).text())
        .col(ColumnDef::new(C::Twitter).text())
        .foreign_key(&mut to_host("celeriac_domains_host", domain::Entity, C::HostId))
        .to_owned()
}

fn sitemaps() -> TableCreateStatement {
    use sitemap::Column as C;
    let mut table = Table::create();
    table
        .table(sitemap::Entity)
        .col(ColumnDef::new(C::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::UrlKey).var_binary(16).not_null().unique_key())
        .col(ColumnDef::new(C::Url).text().not_null())
        .col(ColumnDef::new(C::HostId).big_integer().not_null())
        .col(ColumnDef::new(C::DomainId).big_integer())
        .col(ColumnDef::new(C::ParentId).big_integer())
        .col(ColumnDef::new(C::Depth).integer().not_null().default(0))
        .col(ColumnDef::new(C::FoundBy).string_len(16).not_null())
        .col(ColumnDef::new(C::LastmodAt).big_integer());
    add_workflow(
        &mut table,
        [C::Status, C::DueAt, C::ClaimedUntil, C::Claim, C::Attempts, C::Error, C::History],
        [C::CreatedAt, C::UpdatedAt],
    );
    table
        .col(ColumnDef::new(C::FetchedAt).big_integer())
        .col(ColumnDef::new(C::FinalUrl).text())
        .col(ColumnDef::new(C::StatusCode).integer())
        .col(ColumnDef::new(C::ContentType).string())
        .col(ColumnDef::new(C::WireBytes).big_integer())
        .col(ColumnDef::new(C::BodyBytes).big_integer())
        .col(ColumnDef::new(C::Kind).string_len(16));
    for count in [C::Entries, C::Skipped, C::LeftOut, C::PagesAdded, C::SitemapsAdded] {
        table.col(ColumnDef::new(count).big_integer());
    }
    table
        .col(ColumnDef::new(C::Warnings).text())
        .foreign_key(&mut to_host("celeriac_sitemaps_host", sitemap::Entity, C::HostId))
        .foreign_key(&mut to_domain("celeriac_sitemaps_domain", sitemap::Entity, C::DomainId))
        .to_owned()
}

fn pages() -> TableCreateStatement {
    use page::Column as C;
    let mut table = Table::create();
    table
        .table(page::Entity)
        .col(ColumnDef::new(C::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::UrlKey).var_binary(16).not_null().unique_key())
        .col(ColumnDef::new(C::Url).text().not_null())
        .col(ColumnDef::new(C::HostId).big_integer().not_null())
        .col(ColumnDef::new(C::DomainId).big_integer())
        .col(ColumnDef::new(C::Depth).integer().not_null().default(0))
        .col(ColumnDef::new(C::FoundBy).string_len(16).not_null())
        .col(ColumnDef::new(C::ParentId).big_integer())
        .col(ColumnDef::new(C::SitemapId).big_integer())
        .col(ColumnDef::new(C::Hops).integer().not_null().default(0))
        .col(ColumnDef::new(C::LastmodAt).big_integer())
        .col(ColumnDef::new(C::Changefreq).string_len(16))
        .col(ColumnDef::new(C::Priority).integer());
    add_workflow(
        &mut table,
        [C::Status, C::DueAt, C::ClaimedUntil, C::Claim, C::Attempts, C::Error, C::History],
        [C::CreatedAt, C::UpdatedAt],
    );
    add_page_findings(&mut table);
    table
        .foreign_key(&mut to_host("celeriac_pages_host", page::Entity, C::HostId))
        .foreign_key(&mut to_domain("celeriac_pages_domain", page::Entity, C::DomainId))
        .to_owned()
}

fn add_page_findings(table: &mut TableCreateStatement) {
    use page::Column as C;
    table
        .col(ColumnDef::new(C::FetchedAt).big_integer())
        .col(ColumnDef::new(C::StatusCode).integer())
        .col(ColumnDef::new(C::RedirectTo).text())
        .col(ColumnDef::new(C::ContentType).string())
        .col(ColumnDef::new(C::WireBytes).big_integer())
        .col(ColumnDef::new(C::BodyBytes).big_integer())
        .col(ColumnDef::new(C::ElapsedMs).big_integer())
        .col(ColumnDef::new(C::Etag).string())
        .col(ColumnDef::new(C::LastModifiedAt).big_integer())
        .col(ColumnDef::new(C::Title).text())
        .col(ColumnDef::new(C::Description).text())
        .col(ColumnDef::new(C::Canonical).text())
        .col(ColumnDef::new(C::Language).string())
        .col(ColumnDef::new(C::Charset).string())
        .col(ColumnDef::new(C::WordCount).big_integer())
        .col(ColumnDef::new(C::ContentHash).string_len(64))
        .col(ColumnDef::new(C::Noindex).boolean())
        .col(ColumnDef::new(C::Nofollow).boolean())
        .col(ColumnDef::new(C::Links).big_integer())
        .col(ColumnDef::new(C::LinksInternal).big_integer())
        .col(ColumnDef::new(C::LinksTrapped).big_integer());
}

fn page_contents() -> TableCreateStatement {
    use content::Column as C;
    Table::create()
        .table(content::Entity)
        .col(ColumnDef::new(C::PageId).big_integer().not_null().primary_key())
        .col(ColumnDef::new(C::Headings).text().not_null())
        .col(ColumnDef::new(C::Links).text().not_null())
        .col(ColumnDef::new(C::Alternates).text().not_null())
        .col(ColumnDef::new(C::Directives).text().not_null())
        .foreign_key(
            ForeignKey::create()
                .name("celeriac_page_contents_page")
                .from(content::Entity, C::PageId)
                .to(page::Entity, page::Column::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// Adds what the workflow loop needs. The defaults make a new row one that waits, so that inserting
/// thousands binds no more values than differ.
fn add_workflow<C: IntoIden>(table: &mut TableCreateStatement, needed: [C; 7], times: [C; 2]) {
    let [status, due_at, claimed_until, claim, attempts, error, history] = needed;
    table
        .col(ColumnDef::new(status).string_len(16).not_null().default("pending"))
        .col(ColumnDef::new(due_at).big_integer().not_null())
        .col(ColumnDef::new(claimed_until).big_integer())
        .col(ColumnDef::new(claim).big_integer())
        .col(ColumnDef::new(attempts).integer().not_null().default(0))
        .col(ColumnDef::new(error).text())
        .col(ColumnDef::new(history).text().not_null().default("[]"));
    for time in times {
        table.col(ColumnDef::new(time).big_integer().not_null());
    }
}

fn to_host(name: &str, table: impl IntoIden, column: impl IntoIden) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table.into_iden(), column)
        .to(host::Entity, host::Column::Id)
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

fn to_domain(name: &str, table: impl IntoIden, column: impl IntoIden) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table.into_iden(), column)
        .to(domain::Entity, domain::Column::Id)
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

/// The index of hosts that have something to claim, by when: `where pages_ready_at <= now order by
/// pages_ready_at limit k` reads k entries, however many hosts and rows there are.
fn ready_indexes() -> [IndexCreateStatement; 3] {
    [
        ("celeriac_hosts_domains_ready", host::Column::DomainsReadyAt),
        ("celeriac_hosts_sitemaps_ready", host::Column::SitemapsReadyAt),
        ("celeriac_hosts_pages_ready", host::Column::PagesReadyAt),
    ]
    .map(|(name, column)| Index::create().name(name).table(host::Entity).col(column).to_owned())
}

/// The rows of one host in one status, oldest due first. It serves the claim (`where status = 'pending'
/// and host_id = ? order by due_at limit k`), the count of what a host is being asked for (`status =
/// 'processing' and host_id = ?`), and by its first column all that the loop asks of claimed rows.
fn waiting_indexes() -> [IndexCreateStatement; 3] {
    [
        index(
            "celeriac_domains_waiting",
            domain::Entity,
            [domain::Column::Status, domain::Column::HostId, domain::Column::DueAt],
        ),
        index(
            "celeriac_sitemaps_waiting",
            sitemap::Entity,
            [sitemap::Column::Status, sitemap::Column::HostId, sitemap::Column::DueAt],
        ),
        index(
            "celeriac_pages_waiting",
            page::Entity,
            [page::Column::Status, page::Column::HostId, page::Column::DueAt],
        ),
    ]
}

/// The lists that people look at: the sitemaps and the pages of one domain. Deleting a domain uses them
/// too.
fn lists() -> [IndexCreateStatement; 2] {
    [
        index("celeriac_sitemaps_domain", sitemap::Entity, [sitemap::Column::DomainId]),
        index("celeriac_pages_domain", page::Entity, [page::Column::DomainId]),
    ]
}

fn index<T: IntoIden, C: IntoIden, const N: usize>(
    name: &str,
    table: T,
    columns: [C; N],
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table.into_iden());
    for column in columns {
        index.col(column.into_iden());
    }
    index
}
