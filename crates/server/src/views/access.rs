//! Tokens, users, sessions, and what was done.

use celeriac_control::access::{
    AuditRecord, Bearer, ExposeSecret as _, FreshToken, Scope, SessionRecord, TokenRecord, UserRecord,
};
use celeriac_protocol::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Moment;

/// A token by which a program calls the API.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// How its text begins.
    pub prefix: String,
    /// What it may do: `read`, `enqueue`, `operate` or `admin`, each containing those before it; null is a word that this
    /// version does not know, and allows nothing.
    pub scope: Option<&'static str>,
    /// How it stands: `active`, `expired` or `revoked`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: Moment,
    /// Who made it.
    pub created_by: String,
    /// From when on it is not accepted any more; null is never.
    pub expires_at: Option<Moment>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Moment>,
    /// When it was revoked.
    pub revoked_at: Option<Moment>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
}

impl TokenView {
    /// Shows a token as it stands at an instant.
    pub fn new(token: TokenRecord, now: Timestamp) -> Self {
        Self {
            state: match () {
                () if token.revoked_at.is_some() => "revoked",
                () if !token.is_in_force(now) => "expired",
                () => "active",
            },
            name: token.name,
            prefix: token.prefix,
            scope: token.scope.map(Scope::as_str),
            created_at: token.created_at.into(),
            created_by: token.created_by,
            expires_at: Moment::or_none(token.expires_at),
            last_used_at: Moment::or_none(token.last_used_at),
            revoked_at: Moment::or_none(token.revoked_at),
            revoked_by: token.revoked_by,
        }
    }
}

/// A token that was made just now, with its text, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewToken)]
pub struct FreshTokenView {
    /// Its name.
    pub name: String,
    /// Its text, to be sent as `Authorization: Bearer …`.
    pub token: String,
    /// How the text begins, as lists show it.
    pub prefix: String,
    /// What it may do.
    pub scope: &'static str,
    /// When it was made.
    pub created_at: Moment,
    /// From when on it is not accepted any more; null is never.
    pub expires_at: Option<Moment>,
}

impl From<FreshToken> for FreshTokenView {
    fn from(token: FreshToken) -> Self {
        Self {
            token: token.text.expose_secret().to_owned(),
            name: token.name,
            prefix: token.prefix,
            scope: token.scope.as_str(),
            created_at: token.created_at.into(),
            expires_at: Moment::or_none(token.expires_at),
        }
    }
}

/// A person who logs in.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// The name, in lower case.
    pub name: String,
    /// What the user may do; null is a word that this version does not know, and allows nothing.
    pub scope: Option<&'static str>,
    /// When the user was made.
    pub created_at: Moment,
    /// By whom.
    pub created_by: String,
    /// Since when the password is the one it is.
    pub password_at: Moment,
    /// Since when the user may not log in; null is a user who may.
    pub disabled_at: Option<Moment>,
    /// When the user last logged in.
    pub last_login_at: Option<Moment>,
}

impl From<UserRecord> for UserView {
    fn from(user: UserRecord) -> Self {
        Self {
            name: user.name,
            scope: user.scope.map(Scope::as_str),
            created_at: user.created_at.into(),
            created_by: user.created_by,
            password_at: user.password_at.into(),
            disabled_at: Moment::or_none(user.disabled_at),
            last_login_at: Moment::or_none(user.last_login_at),
        }
    }
}

/// A login that goes on.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// Its number.
    pub id: i64,
    /// The name of the user, or of the token that was logged in with.
    pub name: String,
    /// What was logged in with: `password` or `token`.
    pub with: &'static str,
    /// What it may do at most.
    pub scope: Option<&'static str>,
    /// When it began.
    pub created_at: Moment,
    /// When it was last used, to a minute.
    pub seen_at: Moment,
    /// When it ends, however much it is used.
    pub expires_at: Moment,
    /// From where it was begun.
    pub address: String,
    /// With which program.
    pub user_agent: String,
}

impl From<SessionRecord> for SessionView {
    fn from(session: SessionRecord) -> Self {
        Self {
            id: session.id,
            name: session.name,
            with: match session.bearer {
                Some(Bearer::Token(_)) => "token",
                _ => "password",
            },
            scope: session.scope.map(Scope::as_str),
            created_at: session.created_at.into(),
            seen_at: session.seen_at.into(),
            expires_at: session.expires_at.into(),
            address: session.address,
            user_agent: session.user_agent,
        }
    }
}

/// Something that somebody did, or was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditView {
    /// Orders them.
    pub seq: i64,
    /// When.
    pub at: Moment,
    /// Who: a user, a token, or an operator at the command line.
    pub who: String,
    /// By which way in: `token`, `session`, `cli` or `loopback`.
    pub via: String,
    /// What, as a noun and a verb: `jobs.cancel`.
    pub action: String,
    /// To what.
    pub object: String,
    /// More about it.
    #[schema(value_type = Option<serde_json::Value>)]
    pub detail: Option<Box<RawValue>>,
    /// What came of it: `done`, `refused` or `failed`.
    pub outcome: String,
}

impl From<AuditRecord> for AuditView {
    fn from(entry: AuditRecord) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at.into(),
            who: entry.who,
            via: entry.via,
            action: entry.action,
            object: entry.object,
            // What is no JSON was not written by us.
            detail: entry.detail.and_then(|detail| RawValue::from_string(detail).ok()),
            outcome: entry.outcome,
        }
    }
}
