//! Sessions: begun by a login, looked up on each call, ended.

use std::net::IpAddr;

use celeriac_db::DbTx;
use celeriac_protocol::Timestamp;
use celeriac_store::query::access::{
    self, Bearer, NewSession, Scope, SessionRecord, SessionsOf, UserRecord, Via,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::desk::NOTED_EVERY;
use super::throttle::Who;
use super::{AccessDesk, AccessError, Caller, Deed, Refusal, Verified, secret, tokens};

/// The most sessions that one user or token has; the oldest makes room.
const MOST_OF_ONE: u64 = 50;

/// From where somebody comes.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The address; none where a socket of this machine was used.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub user_agent: String,
}

/// What somebody logs in with.
#[derive(Clone, Debug)]
pub enum Login {
    /// A user's name and password.
    Password {
        /// The name, in any case.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// A token's text.
    Token(SecretString),
}

/// A session that began just now.
#[derive(Debug)]
pub struct OpenSession {
    /// What the cookie is to hold.
    pub text: SecretString,
    /// Who it is.
    pub caller: Caller,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
}

/// Whose session is to begin.
struct Begun {
    bearer: Bearer,
    name: String,
    scope: Scope,
    /// When its token ends.
    until: Option<Timestamp>,
}

impl AccessDesk {
    /// Begins a session. Who fails has to wait longer and longer, by user and by address; an unknown user, a wrong password
    /// and a user who may not log in are one answer, after the same time.
    ///
    /// # Errors
    /// [`AccessError::Refused`], [`AccessError::Throttled`], [`AccessError::Busy`], and what the database says.
    pub async fn log_in(&self, login: Login, origin: &Origin) -> Result<OpenSession, AccessError> {
        let mut who: Vec<Who> = origin.address.map(Who::address).into_iter().collect();
        if let Login::Password { user, .. } = &login {
            who.push(Who::user(user));
        }
        self.throttle()
            .admit(&who, self.steady())
            .map_err(|retry_after| AccessError::Throttled { retry_after })?;
        let begun = match login {
            Login::Password { user, password } => self.check_password(&user, password, origin).await,
            Login::Token(text) => self.check_token(&text).await,
        };
        let is_refused = matches!(begun, Err(AccessError::Refused(_)));
        if !is_refused {
            // What failed for another reason is no guess.
            self.throttle().forgive(&who);
        }
        self.begin(begun?, origin).await
    }

    async fn check_token(&self, text: &SecretString) -> Result<Begun, AccessError> {
        let Verified { caller, bearer, expires_at, .. } = self.verify_token(text.expose_secret()).await?;
        Ok(Begun { bearer, name: caller.name, scope: caller.scope, until: expires_at })
    }

    async fn check_password(
        &self,
        user: &str,
        password: SecretString,
        origin: &Origin,
    ) -> Result<Begun, AccessError> {
        let name = user.to_lowercase();
        let found = access::find_user(self.database().reader(), &name).await?;
        let (record, kept) = found.unzip();
        let fits = self.passwords().verify(password, kept).await?;
        let Some(record) = record else {
            tracing::warn!(user = %name.escape_debug(), address = ?origin.address, "an unknown user tried to log in");
            return Err(Refusal::WrongPassword.into());
        };
        match record.scope.filter(|_| fits && record.disabled_at.is_none()) {
            Some(scope) => Ok(Begun { bearer: Bearer::User(record.id), name, scope, until: None }),
            None => {
                self.note_refused(&record, fits, origin).await;
                Err(Refusal::WrongPassword.into())
            }
        }
    }

    /// Writes down that somebody was refused as a user who is known: the wait of each user keeps these few.
    async fn note_refused(&self, user: &UserRecord, fits: bool, origin: &Origin) {
        let reason = if fits { "disabled" } else { "wrong password" };
        let caller = Caller { name: user.name.clone(), scope: Scope::Read, via: Via::Session };
        let detail =
            json!({ "reason": reason, "address": origin.address.map(|address| address.to_string()) });
        self.note(&caller, Deed::refused("sessions.login", &user.name).with(detail)).await;
    }

    async fn begin(&self, begun: Begun, origin: &Origin) -> Result<OpenSession, AccessError> {
        let now = self.now();
        let text = secret::draw_session();
        let latest = now + self.settings().session_lifetime;
        let expires_at = begun.until.map_or(latest, |until| until.min(latest));
        let address = origin.address.map(|address| address.to_string()).unwrap_or_default();
        let caller = Caller { name: begun.name.clone(), scope: begun.scope, via: Via::Session };
        let detail = json!({ "address": address });
        let entry = self.entry(&caller, Deed::done("sessions.login", &begun.name).with(detail));
        let bearer = begun.bearer;
        let session = NewSession {
            secret: secret::of_session(text.expose_secret()).expect("what is drawn is a session's"),
            bearer,
            name: begun.name,
            scope: begun.scope,
            created_at: now,
            expires_at,
            address,
            user_agent: origin.user_agent.clone(),
        };
        let begin = async move |tx: &DbTx| {
            access::add_session(tx, &session, MOST_OF_ONE).await?;
            if let Bearer::User(id) = bearer {
                access::note_login(tx, id, now).await?;
            }
            access::add_audit(tx, &entry).await
        };
        self.change("begin session", begin).await?;
        Ok(OpenSession { text, caller, expires_at })
    }

    /// Returns who a session's cookie belongs to.
    ///
    /// # Errors
    /// [`AccessError::Refused`], and what the database says.
    pub async fn verify_session(&self, text: &SecretString) -> Result<Verified, AccessError> {
        let presented = secret::of_session(text.expose_secret()).ok_or(Refusal::Unknown)?;
        if let Some(known) = self.verified().find(&presented.hash, self.steady(), self.now()) {
            return Ok(known);
        }
        let found = access::find_sessions(self.database().reader(), &presented.prefix).await?;
        let fitting = found.into_iter().find(|(_, kept)| secret::fits(&presented, kept));
        let record = fitting.ok_or(Refusal::Unknown)?.0;
        let verified = self.accept_session(&record).await?;
        self.note_session_use(&record).await;
        self.verified().keep(presented.hash, verified.clone(), self.steady());
        Ok(verified)
    }

    /// A session may do what its user or token may do by now, and no more than when it began.
    async fn accept_session(&self, record: &SessionRecord) -> Result<Verified, AccessError> {
        let now = self.now();
        let idle_at = record.seen_at + self.settings().session_idle;
        if record.ended_at.is_some() {
            return Err(Refusal::Revoked.into());
        }
        if record.expires_at <= now || idle_at <= now {
            return Err(Refusal::Expired.into());
        }
        let bearer = record.bearer.ok_or(Refusal::Unknown)?;
        let allowed = self.scope_of(bearer, now).await?;
        let scope = record.scope.ok_or(Refusal::Disabled)?.min(allowed);
        let caller = Caller { name: record.name.clone(), scope, via: Via::Session };
        let expires_at = Some(record.expires_at);
        Ok(Verified { caller, bearer, session: Some(record.id), expires_at })
    }

    async fn scope_of(&self, bearer: Bearer, now: Timestamp) -> Result<Scope, AccessError> {
        let reader = self.database().reader();
        match bearer {
            Bearer::User(id) => {
                let user = access::user_by_id(reader, id).await?.ok_or(Refusal::Unknown)?;
                let scope = user.scope.filter(|_| user.disabled_at.is_none());
                Ok(scope.ok_or(Refusal::Disabled)?)
            }
            Bearer::Token(id) => {
                let token = access::token_by_id(reader, id).await?.ok_or(Refusal::Unknown)?;
                Ok(tokens::accept(&token, now)?.caller.scope)
            }
        }
    }

    async fn note_session_use(&self, record: &SessionRecord) {
        let (id, now) = (record.id, self.now());
        let before = now - NOTED_EVERY;
        if record.seen_at <= before {
            self.note_use(async move |tx: &DbTx| access::touch_session(tx, id, now, before).await).await;
        }
    }

    /// Returns the token that a session's forms carry, against posts from other sites.
    pub fn form_token(&self, session: &SecretString) -> String {
        secret::form_token(session)
    }

    /// Says whether a form carries the token of that session.
    pub fn form_fits(&self, session: &SecretString, presented: &str) -> bool {
        secret::form_fits(session, presented)
    }

    /// Lists the sessions that go on, the one used last first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sessions(&self, whose: SessionsOf) -> Result<Vec<SessionRecord>, AccessError> {
        let now = self.now();
        let seen_after = now - self.settings().session_idle;
        Ok(access::sessions(self.database().reader(), whose, now, seen_after).await?)
    }

    /// Ends a session: a logout, or somebody else's.
    ///
    /// # Errors
    /// [`AccessError::UnknownSession`].
    pub async fn end_session(&self, by: &Caller, id: i64) -> Result<(), AccessError> {
        let now = self.now();
        let entry = self.entry(by, Deed::done("sessions.revoke", id.to_string()));
        let ended = self.change("end session", async move |tx| {
            let ended = access::end_session(tx, id, now).await?;
            if ended {
                access::add_audit(tx, &entry).await?;
            }
            Ok(ended)
        });
        if ended.await? { Ok(()) } else { Err(AccessError::UnknownSession { id }) }
    }

    /// Ends the sessions of one user by name, or all, and returns how many.
    ///
    /// # Errors
    /// [`AccessError::UnknownUser`].
    pub async fn end_sessions(&self, by: &Caller, of_user: Option<&str>) -> Result<u64, AccessError> {
        let whose = match of_user {
            None => SessionsOf::Everybody,
            Some(name) => SessionsOf::One(self.bearer_of(name).await?),
        };
        let now = self.now();
        let deed = Deed::done("sessions.revoke", of_user.unwrap_or("all"));
        let (caller, desk) = (by.clone(), self.clone());
        self.change("end sessions", async move |tx| {
            let ended = access::end_sessions(tx, whose, now).await?;
            let entry = desk.entry(&caller, deed.with(json!({ "sessions": ended })));
            access::add_audit(tx, &entry).await?;
            Ok(ended)
        })
        .await
    }

    async fn bearer_of(&self, user: &str) -> Result<Bearer, AccessError> {
        let name = user.to_lowercase();
        match access::find_user(self.database().reader(), &name).await? {
            Some((user, _)) => Ok(Bearer::User(user.id)),
            None => Err(AccessError::UnknownUser { name }),
        }
    }
}
