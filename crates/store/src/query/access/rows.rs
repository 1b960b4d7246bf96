//! What the tables of who may do what have in common.

use celeriac_db::DbTx;
use celeriac_protocol::{Timestamp, without_nul};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QuerySelect};

use crate::StoreError;
use crate::entity::{token, user};
use crate::micros::Micros;

/// The longest name of a token or a user, in characters.
pub const MAX_NAME_CHARS: usize = 100;

/// The most tokens, users or sessions that a list shows.
pub const MAX_LISTED: u64 = 1_000;

/// The longest of the other short texts that are kept, in bytes: `varchar(255)`.
const MAX_SHORT_BYTES: usize = 255;

/// Locks who may do what, so that it can be read in order to be changed.
///
/// # Errors
/// What the database says.
pub async fn lock(tx: &DbTx) -> Result<(), StoreError> {
    tx.lock("access").await.map_err(StoreError::doing("lock tokens and users"))
}

/// Says whether there has never been a token or a user.
///
/// # Errors
/// What the database says.
pub async fn is_untouched(reader: &impl ConnectionTrait) -> Result<bool, StoreError> {
    let looked = async {
        let tokens = token::Entity::find().select_only().column(token::Column::Id).limit(1);
        let users = user::Entity::find().select_only().column(user::Column::Id).limit(1);
        let token: Option<i64> = tokens.into_tuple().one(reader).await?;
        let user: Option<i64> = users.into_tuple().one(reader).await?;
        Ok::<_, DbErr>(token.is_none() && user.is_none())
    };
    looked.await.map_err(StoreError::doing("look for tokens and users"))
}

/// Returns a short text without NUL, cut at a character and marked where it is too long.
pub(super) fn short(text: &str) -> String {
    cut(text, MAX_SHORT_BYTES)
}

/// Cuts a text likewise at any length.
pub(super) fn cut(text: &str, max: usize) -> String {
    let text = without_nul(text.to_owned());
    if text.len() <= max {
        return text;
    }
    format!("{}…", &text[..text.floor_char_boundary(max - '…'.len_utf8())])
}

pub(super) fn instant(at: Option<Micros>) -> Option<Timestamp> {
    at.map(Timestamp::from)
}
