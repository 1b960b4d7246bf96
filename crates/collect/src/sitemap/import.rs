//! One sitemap on its way from the network to rows, in bounded memory.

use celeriac_db::{DbError, DbTx};
use sea_orm::DbErr;

use super::entity::{self as sitemap, SitemapSource};
use super::extract::{EntryTarget, SitemapEntry, SitemapReader, SitemapReport};
use super::found::{self as sitemaps, FoundSitemap};
use crate::collector::Collector;
use crate::domain::scope::Scope;
use crate::error::RowError;
use crate::fetch::{FetchError, FetchStream};
use crate::page::entity::PageSource;
use crate::page::found::{self as pages, FoundPage};

/// How many entries are written together. Each part is a short transaction of its own, so that the writer
/// is free for others in between; what is written twice after a crash meets the tables' keys.
const PART_ENTRIES: usize = 512;

/// Is responsible for one sitemap's entries.
pub(super) struct Import<'a> {
    collector: &'a Collector,
    row: &'a sitemap::Model,
    scope: &'a Scope,
    pages: Vec<FoundPage>,
    sitemaps: Vec<FoundSitemap>,
    totals: Totals,
}

/// What became of a sitemap's entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) pages_added: u64,
    pub(crate) sitemaps_added: u64,
    /// Belong to another site, lie too deep, or are more than the domain may have.
    pub(crate) left_out: u64,
}

impl<'a> Import<'a> {
    pub(super) fn new(collector: &'a Collector, row: &'a sitemap::Model, scope: &'a Scope) -> Self {
        let (pages, sitemaps) = (Vec::with_capacity(PART_ENTRIES), Vec::new());
        Self { collector, row, scope, pages, sitemaps, totals: Totals::default() }
    }

    /// Reads a sitemap to its end. What came before it broke off is kept, and the report says so.
    ///
    /// # Errors
    /// [`RowError`] where nothing of use came.
    pub(super) async fn run(
        mut self,
        stream: &mut FetchStream,
        reader: &mut SitemapReader,
    ) -> Result<(Totals, SitemapReport, Option<FetchError>), RowError> {
        let mut broken = None;
        while !reader.is_done() {
            match stream.next_chunk().await {
                Ok(Some(piece)) => reader.feed(piece),
                Ok(None) => break,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
            self.take(reader).await?;
        }
        reader.finish();
        self.take(reader).await?;
        self.flush().await?;
        Ok((self.totals, reader.report(), broken))
    }

    /// Takes what the reader has ready.
    async fn take(&mut self, reader: &mut SitemapReader) -> Result<(), RowError> {
        loop {
            let entry = reader.next_entry();
            let entry = entry.map_err(|source| RowError::Sitemap { url: self.row.url.clone(), source })?;
            let Some(entry) = entry else { return Ok(()) };
            self.sort(entry);
            if self.pages.len() + self.sitemaps.len() >= PART_ENTRIES {
                self.flush().await?;
            }
        }
    }

    fn sort(&mut self, entry: SitemapEntry) {
        let depth = self.row.depth.saturating_add(1);
        let is_too_deep = u32::try_from(depth).unwrap_or(0) > self.collector.settings().sitemap_depth_max;
        // A sitemap that somebody added by itself is taken at its word.
        let is_ours = self.row.domain_id.is_none() || self.scope.contains(&entry.url);
        match entry.target {
            EntryTarget::Page if is_ours => self.pages.push(FoundPage {
                depth: 1,
                sitemap_id: Some(self.row.id),
                lastmod_at: entry.lastmod,
                changefreq: entry.changefreq,
                priority: entry.priority,
                ..FoundPage::new(entry.url, PageSource::Sitemap)
            }),
            EntryTarget::Sitemap if !is_too_deep && (is_ours || entry.scope.is_internal()) => {
                self.sitemaps.push(FoundSitemap {
                    depth,
                    parent_id: Some(self.row.id),
                    lastmod_at: entry.lastmod,
                    ..FoundSitemap::new(entry.url, SitemapSource::Index)
                });
            }
            EntryTarget::Page | EntryTarget::Sitemap => self.totals.left_out += 1,
        }
    }

    async fn flush(&mut self) -> Result<(), DbError> {
        let pages = std::mem::replace(&mut self.pages, Vec::with_capacity(PART_ENTRIES));
        let sitemaps = std::mem::take(&mut self.sitemaps);
        if pages.is_empty() && sitemaps.is_empty() {
            return Ok(());
        }
        let (collector, domain_id) = (self.collector.clone(), self.row.domain_id);
        let write = async move |tx: &DbTx| {
            write(tx, &collector, domain_id, pages, sitemaps).await.map_err(DbError::from)
        };
        let more = self.collector.database().write("keep part of sitemap", write).await?;
        self.totals.pages_added += more.pages_added;
        self.totals.sitemaps_added += more.sitemaps_added;
        self.totals.left_out += more.left_out;
        Ok(())
    }
}

async fn write(
    tx: &DbTx,
    collector: &Collector,
    domain_id: Option<i64>,
    found: Vec<FoundPage>,
    sitemaps: Vec<FoundSitemap>,
) -> Result<Totals, DbErr> {
    let expected = found.len() as u64;
    let known = found.clone();
    let pages = pages::add(tx, collector, domain_id, found).await?;
    if pages.inserted < expected {
        pages::update_from_sitemap(tx, &known).await?;
    }
    let sitemaps = sitemaps::add(tx, collector, domain_id, sitemaps).await?;
    Ok(Totals {
        pages_added: pages.inserted,
        sitemaps_added: sitemaps.inserted,
        left_out: pages.left_out + sitemaps.left_out,
    })
}
