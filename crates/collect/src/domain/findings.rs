//! What fetching a home page brought, and how the domain's row takes it.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter};

use super::entity::{ActiveModel, Column, Entity};
use super::extract::{Home, IconKind};
use crate::fetch::{FetchedHead, RobotsOutcome};
use crate::host::Outcome;
use crate::page::findings::{Shown, list};
use crate::url::CanonicalUrl;

/// What is written of a domain once its home page has been fetched.
#[derive(Debug)]
pub(crate) struct Findings(ActiveModel);

impl Findings {
    /// Takes a home page that was read.
    pub(crate) fn of_home(url: &CanonicalUrl, head: &FetchedHead, home: &Home, charset: &str) -> Self {
        Self(ActiveModel {
            final_url: Set(Some(url.as_str().to_owned())),
            status_code: Set(Some(i32::from(head.status))),
            title: Set(home.title.clone()),
            description: Set(home.description.clone()),
            canonical: Set(home.canonical.as_ref().map(|canonical| canonical.url.as_str().to_owned())),
            language: Set(home.language.clone()),
            charset: Set(Some(charset.to_owned())),
            site_name: Set(home.site_name.clone()),
            generator: Set(home.generator.clone()),
            icon: Set(best_icon(home)),
            image: Set(home.image.as_ref().map(|image| image.as_str().to_owned())),
            icons: Set(Some(list(&home.icons))),
            feeds: Set(Some(list(&home.feeds))),
            open_graph: Set(Some(list(&home.open_graph))),
            twitter: Set(Some(list(&home.twitter))),
            ..Default::default()
        })
    }
}

impl Entity {
    /// Writes what was found on a home page, in the transaction that ends its processing.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn update_from_result(
        tx: &DbTx,
        id: i64,
        findings: Findings,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        let row = ActiveModel { fetched_at: Set(Some(now.as_micros())), ..findings.0 };
        Self::update_many().set(row).filter(Column::Id.eq(id)).exec(tx).await?;
        Ok(())
    }

    /// Writes what an attempt showed that came to nothing; what an earlier one found stays.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn update_from_processing(
        tx: &DbTx,
        id: i64,
        shown: &Shown,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        let row = ActiveModel {
            fetched_at: Set(Some(now.as_micros())),
            status_code: Set(shown.status.map(i32::from)),
            ..Default::default()
        };
        Self::update_many().set(row).filter(Column::Id.eq(id)).exec(tx).await?;
        Ok(())
    }

    /// Writes what robots.txt came to, whatever became of the home page.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn update_from_robots(tx: &DbTx, id: i64, robots: &RobotsOutcome) -> Result<(), DbErr> {
        let sitemaps = match robots {
            RobotsOutcome::Rules(robots) => robots.sitemaps().len(),
            _ => 0,
        };
        let row = ActiveModel {
            robots: Set(Some(Outcome::of(robots).word().to_owned())),
            robots_sitemaps: Set(Some(i64::try_from(sitemaps).unwrap_or(i64::MAX))),
            ..Default::default()
        };
        Self::update_many().set(row).filter(Column::Id.eq(id)).exec(tx).await?;
        Ok(())
    }
}

/// Chooses the icon that stands for the site: one that is announced as such, else what is there.
fn best_icon(home: &Home) -> Option<String> {
    let rank = |kind: IconKind| match kind {
        IconKind::Icon => 0,
        IconKind::AppleTouch => 1,
        IconKind::Mask => 2,
        IconKind::Fallback => 3,
    };
    home.icons.iter().min_by_key(|icon| rank(icon.kind)).map(|icon| icon.url.as_str().to_owned())
}
