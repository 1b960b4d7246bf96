//! The site that ships with the product: the handbook of an invented kitchen garden.
//!
//! Its pages are composed from the texts in `data/`, by rules without chance, so that every run of every version serves
//! the same bytes. [`odd`] adds what a collector meets in the wild.

mod about;
mod almanac;
mod beds;
mod calendar;
mod catalogue;
mod discovery;
mod drawing;
mod guides;
mod journal;
mod library;
pub mod odd;
mod page;
mod phrases;
mod variety;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use celeriac_protocol::Clock;
use library::Library;
use page::Listing;

use super::address;
use super::reply::{HTML, Reply};
use super::request_log::Earlier;

/// Every page of the garden, rendered.
#[derive(Debug)]
pub(super) struct Garden {
    origin: String,
    routes: HashMap<String, Route>,
    listed: usize,
}

/// What a path is answered with, and how.
#[derive(Debug)]
struct Route {
    reply: Reply,
    manner: Manner,
}

#[derive(Debug)]
enum Manner {
    AtOnce,
    /// Answers 503 that many times more.
    BusyAtFirst(AtomicU32),
    /// Keeps the reader waiting.
    Late(Duration),
}

impl Garden {
    /// Composes the site for an origin; `earlier` is what its log says of former runs.
    pub(super) fn grown_at(origin: &str, earlier: &Earlier) -> Self {
        let library = Library::open();
        let mut pages = catalogue::pages(&library);
        pages.extend(beds::pages(&library));
        pages.extend(almanac::pages(&library));
        pages.extend(guides::pages(&library));
        pages.extend(journal::pages(&library));
        pages.extend(about::pages(&library));
        pages.extend(odd::pages(&library));
        let mut garden = Self { origin: origin.to_owned(), routes: HashMap::new(), listed: 0 };
        garden.add_all(discovery::files(origin, &pages));
        garden.add_all(odd::routes(&library, origin, earlier));
        garden.listed =
            pages.iter().filter(|page| page.listing != Listing::Nowhere).count() + odd::LISTED.len();
        garden.add_all(pages.into_iter().map(|page| {
            let reply = page.reply(origin);
            (page.path, Route::at_once(reply))
        }));
        garden
    }

    /// Returns how many addresses the sitemaps list.
    pub(super) fn listed_addresses(&self) -> usize {
        self.listed
    }

    /// Answers a request for a path as it stood in the URL.
    pub(super) async fn reply(&self, path: &str, method: &Method, clock: &dyn Clock) -> Reply {
        let Some(path) = address::decode(path) else { return self.not_found() };
        if let Some(route) = self.routes.get(&path) {
            return route.reply(&self.origin, method, clock).await;
        }
        if let Some(page) = calendar::page(&path) {
            return page.reply(&self.origin);
        }
        let folder = format!("{path}/");
        if self.routes.contains_key(&folder) {
            return Reply::redirect(StatusCode::MOVED_PERMANENTLY, &address::encode(&folder));
        }
        self.not_found()
    }

    fn not_found(&self) -> Reply {
        Reply::new(StatusCode::NOT_FOUND, HTML, about::not_found().render(&self.origin))
    }

    fn add_all(&mut self, routes: impl IntoIterator<Item = (String, Route)>) {
        for (path, route) in routes {
            let before = self.routes.insert(path, route);
            debug_assert!(before.is_none(), "two pages have one path: {before:?}");
        }
    }

    /// Returns the paths that are answered, but for the calendar's.
    #[cfg(test)]
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.routes.keys().map(String::as_str)
    }
}

impl Route {
    fn at_once(reply: Reply) -> Self {
        Self { reply, manner: Manner::AtOnce }
    }

    async fn reply(&self, origin: &str, method: &Method, clock: &dyn Clock) -> Reply {
        match &self.manner {
            Manner::AtOnce => {}
            Manner::Late(period) => clock.sleep(*period).await,
            Manner::BusyAtFirst(left) => {
                // Only reading counts; asking for the headers leaves the page as busy as it was.
                let by = u32::from(method == Method::GET);
                let before = left
                    .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| Some(left.saturating_sub(by)));
                if before.is_ok_and(|left| left > 0) {
                    return odd::busy(origin);
                }
            }
        }
        self.reply.clone()
    }
}
