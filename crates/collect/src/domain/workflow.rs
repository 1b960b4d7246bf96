//! The workflow of domains: fetch the home page, keep what the site says of itself, and queue its sitemaps.

use std::sync::Arc;

use celeriac_control::workflow::{ClaimRequest, ClaimedRow, ItemCtx, ItemError, Processed, Workflow};
use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::DbErr;

use super::entity::{self as domain, Entity};
use super::extract::extract_home;
use super::findings::Findings;
use super::scope::Scope;
use crate::collector::Collector;
use crate::error::RowError;
use crate::fetch::{FetchError, FetchRequest, Fetched, PRODUCT_TOKEN, RobotsOutcome, decode};
use crate::host::claim::claim;
use crate::host::visit::{Answer, Visits};
use crate::page::entity::{self as page, PageSource};
use crate::page::findings::{Findings as PageFindings, Shown};
use crate::page::found::{self, FoundPage};
use crate::page::links::LinkRules;
use crate::page::workflow::{is_page, may_be_page, read_page};
use crate::sitemap::entity::SitemapSource;
use crate::sitemap::found::{self as sitemaps, FoundSitemap};
use crate::url::CanonicalUrl;

/// Where a sitemap is looked for when robots.txt names none.
const USUAL_SITEMAP: &str = "/sitemap.xml";

/// Moves domains from *pending* to what their home page says of them.
///
/// Redirects of the home page are followed, to other hosts too, by the rules of each. The home page becomes
/// a page like any other, but it is fetched once only: here.
#[derive(Debug)]
pub struct DomainWorkflow {
    collector: Collector,
}

impl DomainWorkflow {
    /// Takes what it shares with its siblings.
    pub fn new(collector: Collector) -> Self {
        Self { collector }
    }
}

impl Workflow for DomainWorkflow {
    type Table = Entity;
    const NAME: &'static str = "domain";
    const JOB: &'static str = "process_pending_domains";
    const DESCRIPTION: &'static str =
        "fetches home pages, keeps what they say of their sites and queues sitemaps";

    async fn get_pending_items(
        &self,
        tx: &DbTx,
        request: ClaimRequest,
    ) -> Result<Vec<ClaimedRow<Self>>, DbErr> {
        self.collector.ledger().write(tx).await?;
        claim::<Entity>(tx, &self.collector.settings().hosts, request).await
    }

    async fn process(&self, row: domain::Model, _item: ItemCtx) -> Result<Processed, ItemError> {
        let turn = Timestamp::from_micros(row.due_at);
        let mut visits = Visits::new(self.collector.clone(), row.host_id, turn);
        let outcome = Box::pin(self.collect(&row, &mut visits)).await;
        let outlook = self.outlook(&row, &outcome, &visits).await;
        let (lessons, collector) = (visits.finish(), self.collector.clone());
        match outcome {
            Ok(outcome) => Ok(Processed::with(async move |tx| {
                outcome.write(tx, &collector, &row).await?;
                outlook.write(tx, &collector, &row).await?;
                lessons.write(tx).await
            })),
            Err(error) => {
                let (shown, now) = (Shown::of(&error), self.collector.clock().now());
                Err(error.into_item_error(self.collector.clock()).with(async move |tx| {
                    if let Some(shown) = shown {
                        Entity::update_from_processing(tx, row.id, &shown, now).await?;
                    }
                    outlook.write(tx, &collector, &row).await?;
                    lessons.write(tx).await
                }))
            }
        }
    }
}

/// What is written when a home page is done.
struct Outcome {
    findings: Findings,
    /// Where the home page was found in the end.
    url: CanonicalUrl,
    /// The addresses that redirected to it, in order, and by which status.
    chain: Vec<(CanonicalUrl, u16)>,
    scope: Scope,
    home: PageFindings,
    pages: Vec<FoundPage>,
}

impl Outcome {
    async fn write(self, tx: &DbTx, collector: &Collector, row: &domain::Model) -> Result<(), DbErr> {
        let (now, id, shared) = (collector.clock().now(), row.id, collector.clone());
        Entity::update_from_result(tx, id, self.findings, now).await?;
        tx.after_commit(move || shared.scopes().forget(id));
        if !self.scope.contains(&self.url) {
            return Ok(());
        }
        let targets = self.chain.iter().skip(1).map(|(url, _)| url).chain([&self.url]);
        for ((from, status), to) in self.chain.iter().zip(targets) {
            if self.scope.contains(from) {
                let findings = PageFindings::of_redirect(*status, to.as_str(), now);
                add_page(tx, id, from, findings, now).await?;
            }
        }
        let home = add_page(tx, id, &self.url, self.home, now).await?;
        let pages = self.pages.into_iter().map(|page| FoundPage { parent_id: home, ..page }).collect();
        found::add(tx, collector, Some(id), pages).await?;
        Ok(())
    }
}

/// Gives a page that was fetched here its row, done, and returns its id.
async fn add_page(
    tx: &DbTx,
    domain_id: i64,
    url: &CanonicalUrl,
    findings: PageFindings,
    now: Timestamp,
) -> Result<Option<i64>, DbErr> {
    let found = FoundPage::new(url.clone(), PageSource::Home);
    let id = found::add_done(tx, Some(domain_id), found, now).await?;
    if let Some(id) = id {
        page::Entity::update_from_result(tx, id, findings).await?;
    }
    Ok(id)
}

/// What robots.txt opens up, whatever became of the home page.
#[derive(Default)]
struct Outlook {
    robots: Option<Arc<RobotsOutcome>>,
    sitemaps: Vec<FoundSitemap>,
}

impl Outlook {
    async fn write(self, tx: &DbTx, collector: &Collector, row: &domain::Model) -> Result<(), DbErr> {
        if let Some(robots) = &self.robots {
            Entity::update_from_robots(tx, row.id, robots).await?;
        }
        sitemaps::add(tx, collector, Some(row.id), self.sitemaps).await?;
        Ok(())
    }
}

impl DomainWorkflow {
    async fn collect(&self, row: &domain::Model, visits: &mut Visits) -> Result<Outcome, RowError> {
        let start = CanonicalUrl::parse(&row.url)
            .map_err(|source| RowError::Url { text: row.url.clone(), source })?;
        let (answer, url, chain) = self.open(start.clone(), visits).await?;
        let head = answer.stream.head().clone();
        let refused = || {
            let kind = head.content_type.as_deref().unwrap_or("of an unknown kind");
            RowError::permanent(format!("the home page {url} is no HTML page: it is {kind}"))
        };
        if !may_be_page(&head) {
            visits.close(&answer, Ok(head.status));
            return Err(refused());
        }
        let fetched = visits.read(answer).await?;
        if !is_page(&fetched) {
            return Err(refused());
        }
        self.outcome(row, start, url, chain, fetched).await
    }

    /// Follows redirects from host to host until something answers.
    async fn open(
        &self,
        start: CanonicalUrl,
        visits: &mut Visits,
    ) -> Result<(Answer, CanonicalUrl, Vec<(CanonicalUrl, u16)>), RowError> {
        let limit = self.collector.settings().redirects_max as usize;
        let (mut url, mut chain) = (start, Vec::new());
        loop {
            let (status, to) = match visits.open(&url, FetchRequest::new(url.to_url())).await {
                Ok(answer) => return Ok((answer, url, chain)),
                Err(RowError::Fetch(FetchError::Redirected { status, to, .. })) => (status, to),
                Err(error) => return Err(error),
            };
            let next = CanonicalUrl::parse(&to).map_err(|source| RowError::Url {
                text: format!("{url} redirects to {to}, which"),
                source,
            })?;
            chain.push((url, status));
            if chain.iter().any(|(known, _)| *known == next) {
                return Err(FetchError::RedirectLoop { url: to }.into());
            }
            if chain.len() > limit {
                return Err(FetchError::TooManyRedirects { url: chain[0].0.to_string(), limit }.into());
            }
            url = next;
        }
    }

    async fn outcome(
        &self,
        row: &domain::Model,
        start: CanonicalUrl,
        url: CanonicalUrl,
        chain: Vec<(CanonicalUrl, u16)>,
        fetched: Fetched,
    ) -> Result<Outcome, RowError> {
        let settings = self.collector.settings();
        let scope = Scope::new(&start, Some(&url), settings.scope);
        let now = self.collector.clock().now();
        let findings = {
            let decoded = decode(&fetched.body, fetched.head.content_type.as_deref(), Some(url.host()));
            let home = extract_home(&url, &decoded.text);
            Findings::of_home(&url, &fetched.head, &home, decoded.encoding)
        };
        let (fetched, page, charset) = read_page(url.clone(), fetched).await?;
        let nofollow = page.directives.for_robot(PRODUCT_TOKEN).nofollow;
        let followed = LinkRules::new(&scope, settings, now).follow(&page, &url, 0, nofollow);
        let home = PageFindings::of_page(&fetched, &page, charset, &followed).at(now);
        tracing::debug!(domain = row.name, links = followed.pages.len(), "home page read");
        Ok(Outcome { findings, url, chain, scope, home, pages: followed.pages })
    }

    /// Looks at what robots.txt opens up. A row that will be tried again looks then.
    async fn outlook(
        &self,
        row: &domain::Model,
        outcome: &Result<Outcome, RowError>,
        visits: &Visits,
    ) -> Outlook {
        let url = match outcome {
            Ok(outcome) if outcome.scope.contains(&outcome.url) => Some(outcome.url.clone()),
            Err(RowError::Fetch(error)) if error.is_retryable() => None,
            Ok(_) | Err(RowError::Fetch(_) | RowError::Permanent(_)) => CanonicalUrl::parse(&row.url).ok(),
            Err(_) => None,
        };
        let Some(url) = url else { return Outlook::default() };
        let Some(robots) = visits.known_robots(&url).await else { return Outlook::default() };
        let sitemaps = sitemaps_of(&url, &robots);
        Outlook { robots: Some(robots), sitemaps }
    }
}

/// Returns the sitemaps that robots.txt names, or else the one that may lie in the usual place.
fn sitemaps_of(url: &CanonicalUrl, robots: &RobotsOutcome) -> Vec<FoundSitemap> {
    let named = match robots {
        RobotsOutcome::Rules(robots) => robots.sitemaps(),
        _ => &[],
    };
    let named: Vec<FoundSitemap> = named
        .iter()
        .filter_map(|line| url.resolve(line).ok())
        .map(|url| FoundSitemap::new(url, SitemapSource::Robots))
        .collect();
    if !named.is_empty() {
        return named;
    }
    let usual = url.resolve(USUAL_SITEMAP).ok();
    usual.into_iter().map(|url| FoundSitemap::new(url, SitemapSource::Guess)).collect()
}
