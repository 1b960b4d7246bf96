//! One row per host: when it may be asked again, whose rows wait for it, and how it answered.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

use sea_orm::entity::prelude::*;

/// A host is an origin: scheme, name and port, as robots.txt has it (RFC 9309, 2.3).
///
/// The row is small on purpose, because every claim reads some and every request to a host that wants
/// pauses writes one. Its rules stand beside it, in [`super::rules`].
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "celeriac_hosts")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// `https://example.com`, with the port where it is not the scheme's own.
    #[sea_orm(unique)]
    pub origin: String,
    /// The Crawl-delay of its robots.txt, in microseconds, as written there.
    pub crawl_delay: Option<i64>,
    /// The least pause between two requests in microseconds, where an operator set one for this host.
    pub min_delay: Option<i64>,
    /// The earliest instant at which the next request may begin: every turn given out moves it on.
    pub next_allowed_at: i64,
    /// Until when the host is left alone because it asked for it or fails.
    pub parked_until: Option<i64>,
    /// Why it is, in words for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub parked_reason: Option<String>,
    /// How many times in a row it did not answer, or said "too much".
    pub failures: i32,
    /// How many stays away in a row led to nothing better.
    pub backoffs: i32,
    /// Until when its rows fail without a request, because it did not answer for too long.
    pub given_up_until: Option<i64>,
    /// A lower bound of when a claim finds a row of domains to take here; null where none waits.
    pub domains_ready_at: Option<i64>,
    /// Likewise for sitemaps.
    pub sitemaps_ready_at: Option<i64>,
    /// Likewise for pages.
    pub pages_ready_at: Option<i64>,
    /// What fetching robots.txt came to: `rules`, `none` or `unreachable`; null before the first try.
    pub robots_outcome: Option<String>,
    /// When it was last fetched.
    pub robots_fetched_at: Option<i64>,
    /// Until when what was fetched holds; 0 before the first try.
    pub robots_expires_at: i64,
    /// How many tries in a row came to nothing.
    pub robots_tries: i32,
    /// Requests made.
    pub requests: i64,
    /// Bytes of bodies received, as they came over the wire.
    pub bytes: i64,
    /// The status of the last answer.
    pub last_status: Option<i32>,
    /// The last failure, in words for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error: Option<String>,
    /// When the last request ended.
    pub last_request_at: Option<i64>,
    /// When it was first heard of.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
