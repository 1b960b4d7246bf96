//! Tokens: made, shown once, verified, revoked.

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use celeriac_store::query::access::{
    self, Bearer, NewToken, Scope, SessionsOf, StoredSecret, TokenRecord, Via,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::desk::NOTED_EVERY;
use super::{AccessDesk, AccessError, Caller, Deed, Refusal, Verified, name, secret};

/// The name of the token that the first start makes.
const FIRST: &str = "admin";

/// A token that was made just now, with its text, which is nowhere else.
#[derive(Debug)]
pub struct FreshToken {
    /// The name.
    pub name: String,
    /// How its text begins.
    pub prefix: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is not accepted any more.
    pub expires_at: Option<Timestamp>,
    /// The text, to be shown once.
    pub text: SecretString,
}

impl AccessDesk {
    /// Makes a token.
    ///
    /// # Errors
    /// [`AccessError::Name`], [`AccessError::EndsInThePast`], [`AccessError::TokenExists`].
    pub async fn add_token(
        &self,
        by: &Caller,
        name: &str,
        scope: Scope,
        expires_at: Option<Timestamp>,
    ) -> Result<FreshToken, AccessError> {
        let name = name::token(name)?;
        let now = self.now();
        if expires_at.is_some_and(|end| end <= now) {
            return Err(AccessError::EndsInThePast { name });
        }
        let (text, token) = draw(&name, scope, expires_at, now, &by.name);
        let detail = json!({ "scope": scope.as_str(), "expires_at": expires_at.map(|end| end.to_string()) });
        let entry = self.entry(by, Deed::done("tokens.add", &name).with(detail));
        let kept = token.clone();
        let added = self.change("add token", async move |tx| {
            let added = access::add_token(tx, &kept).await?;
            if added.is_some() {
                access::add_audit(tx, &entry).await?;
            }
            Ok(added)
        });
        match added.await? {
            Some(_) => Ok(fresh(token, text)),
            None => Err(AccessError::TokenExists { name }),
        }
    }

    /// Makes a token that may do everything where there has never been a token or a user, and otherwise none: the first
    /// start shows it. Of several processes that start at once, one makes it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn first_admin_token(&self) -> Result<Option<FreshToken>, AccessError> {
        if !access::is_untouched(self.database().reader()).await? {
            return Ok(None);
        }
        let by = Caller::cli("first start");
        let (text, token) = draw(FIRST, Scope::Admin, None, self.now(), &by.name);
        let entry = self.entry(&by, Deed::done("tokens.add", FIRST).with(json!({ "scope": "admin" })));
        let kept = token.clone();
        let added = self.change("add first token", async move |tx| {
            access::lock(tx).await?;
            if !access::is_untouched(tx).await? {
                return Ok(None);
            }
            access::add_audit(tx, &entry).await?;
            access::add_token(tx, &kept).await
        });
        Ok(added.await?.map(|_| fresh(token, text)))
    }

    /// Lists tokens by name; those that are revoked or expired only where `all` are asked for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tokens(&self, all: bool) -> Result<Vec<TokenRecord>, AccessError> {
        Ok(access::tokens(self.database().reader(), self.now(), all).await?)
    }

    /// Revokes a token, and ends the sessions that were begun with it.
    ///
    /// # Errors
    /// [`AccessError::UnknownToken`].
    pub async fn revoke_token(&self, by: &Caller, name: &str) -> Result<(), AccessError> {
        let (now, who, wanted) = (self.now(), by.name.clone(), name.to_owned());
        let entry = self.entry(by, Deed::done("tokens.revoke", name));
        let revoked = self.change("revoke token", async move |tx| {
            let Some(id) = access::revoke_token(tx, &wanted, now, &who).await? else { return Ok(false) };
            access::end_sessions(tx, SessionsOf::One(Bearer::Token(id)), now).await?;
            access::add_audit(tx, &entry).await?;
            Ok(true)
        });
        if revoked.await? { Ok(()) } else { Err(AccessError::UnknownToken { name: name.to_owned() }) }
    }

    /// Returns who presents a token, such as an `Authorization: Bearer` header carries.
    ///
    /// # Errors
    /// [`AccessError::Refused`], and what the database says.
    pub async fn verify_token(&self, text: &str) -> Result<Verified, AccessError> {
        let presented = secret::of_token(text).ok_or(Refusal::Unknown)?;
        if let Some(known) = self.verified().find(&presented.hash, self.steady(), self.now()) {
            return Ok(known);
        }
        let record = self.find_token(&presented).await?;
        let verified = accept(&record, self.now())?;
        self.note_token_use(&record).await;
        self.verified().keep(presented.hash, verified.clone(), self.steady());
        Ok(verified)
    }

    async fn find_token(&self, presented: &StoredSecret) -> Result<TokenRecord, AccessError> {
        let found = access::find_tokens(self.database().reader(), &presented.prefix).await?;
        let fitting = found.into_iter().find(|(_, kept)| secret::fits(presented, kept));
        Ok(fitting.ok_or(Refusal::Unknown)?.0)
    }

    async fn note_token_use(&self, record: &TokenRecord) {
        let (id, now) = (record.id, self.now());
        let before = now - NOTED_EVERY;
        if record.last_used_at.is_none_or(|at| at <= before) {
            self.note_use(async move |tx: &DbTx| access::touch_token(tx, id, now, before).await).await;
        }
    }
}

/// Says who a token is, where it is in force.
pub(super) fn accept(record: &TokenRecord, now: Timestamp) -> Result<Verified, Refusal> {
    if record.revoked_at.is_some() {
        return Err(Refusal::Revoked);
    }
    if record.expires_at.is_some_and(|end| end <= now) {
        return Err(Refusal::Expired);
    }
    let scope = record.scope.ok_or(Refusal::Disabled)?;
    let caller = Caller { name: record.name.clone(), scope, via: Via::Token };
    Ok(Verified { caller, bearer: Bearer::Token(record.id), session: None, expires_at: record.expires_at })
}

fn draw(
    name: &str,
    scope: Scope,
    expires_at: Option<Timestamp>,
    now: Timestamp,
    by: &str,
) -> (SecretString, NewToken) {
    let text = secret::draw_token();
    let kept = secret::of_token(text.expose_secret()).expect("what is drawn is a token");
    let token = NewToken {
        name: name.to_owned(),
        secret: kept,
        scope,
        created_at: now,
        created_by: by.to_owned(),
        expires_at,
    };
    (text, token)
}

fn fresh(token: NewToken, text: SecretString) -> FreshToken {
    FreshToken {
        name: token.name,
        prefix: token.secret.prefix,
        scope: token.scope,
        created_at: token.created_at,
        expires_at: token.expires_at,
        text,
    }
}
