//! Which addresses belong to a domain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use celeriac_db::Database;
use celeriac_protocol::Timestamp;
use sea_orm::{DbErr, EntityTrait, QuerySelect};

use super::entity::{Column, Entity};
use crate::settings::CrawlScope;
use crate::url::CanonicalUrl;

/// How long a domain's row is believed before it is read again.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// How many domains are remembered; beyond it all are forgotten.
const SCOPES_MAX: usize = 1_000;

/// Knows which addresses belong to a domain. Nothing belongs to no domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Host names with their ports, or registrable domains.
    names: Vec<String>,
    by_site: bool,
}

impl Scope {
    /// Takes the domain's home page and where it redirected to, if that is within the same site.
    pub(crate) fn new(home: &CanonicalUrl, final_url: Option<&CanonicalUrl>, scope: CrawlScope) -> Self {
        let by_site = scope == CrawlScope::Site;
        let name = |url: &CanonicalUrl| if by_site { url.site() } else { url.authority() }.to_owned();
        let mut names = vec![name(home)];
        names.extend(final_url.filter(|url| url.site() == home.site()).map(name));
        names.dedup();
        Self { names, by_site }
    }

    /// Says whether an address belongs to it.
    pub(crate) fn contains(&self, url: &CanonicalUrl) -> bool {
        let name = if self.by_site { url.site() } else { url.authority() };
        self.names.iter().any(|known| known == name)
    }
}

/// Is responsible for remembering scopes for a moment, so that not every page reads its domain.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    known: Mutex<HashMap<i64, (Arc<Scope>, Timestamp)>>,
}

impl Scopes {
    /// Returns what belongs to a domain.
    pub(crate) async fn find(
        &self,
        database: &Database,
        scope: CrawlScope,
        domain_id: i64,
        now: Timestamp,
    ) -> Result<Arc<Scope>, DbErr> {
        if let Some((known, read_at)) = self.lock().get(&domain_id)
            && *read_at + BELIEVED_FOR > now
        {
            return Ok(Arc::clone(known));
        }
        let row: Option<(String, Option<String>)> = Entity::find_by_id(domain_id)
            .select_only()
            .columns([Column::Url, Column::FinalUrl])
            .into_tuple()
            .one(database.reader())
            .await?;
        let (url, final_url) = row.unwrap_or_default();
        let final_url = final_url.and_then(|url| CanonicalUrl::parse(&url).ok());
        let home = CanonicalUrl::parse(&url);
        let read = home.map(|home| Scope::new(&home, final_url.as_ref(), scope)).unwrap_or_default();
        let read = Arc::new(read);
        let mut known = self.lock();
        if known.len() >= SCOPES_MAX {
            known.clear();
        }
        known.insert(domain_id, (Arc::clone(&read), now));
        Ok(read)
    }

    /// Forgets a domain whose row has just been changed.
    pub(crate) fn forget(&self, domain_id: i64) {
        self.lock().remove(&domain_id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, (Arc<Scope>, Timestamp)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_its_host_or_its_whole_site() {
        let url = |text: &str| CanonicalUrl::parse(text).unwrap();
        let (home, www) = (url("http://example.co.uk/"), url("https://www.example.co.uk/"));
        for (scope, address, expected) in [
            (CrawlScope::Host, "https://example.co.uk/a", true),
            (CrawlScope::Host, "https://www.example.co.uk/a", true),
            (CrawlScope::Host, "https://docs.example.co.uk/a", false),
            (CrawlScope::Host, "https://example.co.uk:8443/a", false),
            (CrawlScope::Site, "https://docs.example.co.uk/a", true),
            (CrawlScope::Site, "https://example.org/a", false),
        ] {
            let scope = Scope::new(&home, Some(&www), scope);
            assert_eq!(scope.contains(&url(address)), expected, "{address}");
        }
        let moved = Scope::new(&home, Some(&url("https://other.example/")), CrawlScope::Host);
        assert!(!moved.contains(&url("https://other.example/")), "a site that moved away is not followed");
        assert!(!Scope::default().contains(&home));
    }
}
