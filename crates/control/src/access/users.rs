//! Users: made, changed, listed.

use celeriac_store::query::access::{self, Bearer, NewUser, Scope, SessionsOf, UserChange, UserRecord};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{AccessDesk, AccessError, Caller, Deed, name};

impl AccessDesk {
    /// Makes a user.
    ///
    /// # Errors
    /// [`AccessError::Name`], [`AccessError::Password`], [`AccessError::UserExists`], [`AccessError::Busy`].
    pub async fn add_user(
        &self,
        by: &Caller,
        name: &str,
        password: SecretString,
        scope: Scope,
    ) -> Result<(), AccessError> {
        let name = name::user(name)?;
        let password = self.passwords().hash(&name, password).await?;
        let user = NewUser {
            name: name.clone(),
            password,
            scope,
            created_at: self.now(),
            created_by: by.name.clone(),
        };
        let detail = json!({ "scope": scope.as_str() });
        let entry = self.entry(by, Deed::done("users.add", &name).with(detail));
        let added = self.change("add user", async move |tx| {
            let added = access::add_user(tx, &user).await?;
            if added {
                access::add_audit(tx, &entry).await?;
            }
            Ok(added)
        });
        if added.await? { Ok(()) } else { Err(AccessError::UserExists { name }) }
    }

    /// Gives a user another password, and ends the user's sessions.
    ///
    /// # Errors
    /// [`AccessError::UnknownUser`], [`AccessError::Password`], [`AccessError::Busy`].
    pub async fn set_password(
        &self,
        by: &Caller,
        name: &str,
        password: SecretString,
    ) -> Result<(), AccessError> {
        let name = name::user(name)?;
        if access::find_user(self.database().reader(), &name).await?.is_none() {
            return Err(AccessError::UnknownUser { name });
        }
        let password = Some(self.passwords().hash(&name, password).await?);
        self.change_user(by, &name, "users.password", UserChange { password, ..UserChange::default() }, None)
            .await
    }

    /// Lets a user log in no more, and ends the user's sessions; or lets the user log in again.
    ///
    /// # Errors
    /// [`AccessError::UnknownUser`].
    pub async fn set_disabled(&self, by: &Caller, name: &str, disabled: bool) -> Result<(), AccessError> {
        let action = if disabled { "users.disable" } else { "users.enable" };
        let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
        self.change_user(by, name, action, change, None).await
    }

    /// Changes what a user may do; sessions go on, with less where it is less.
    ///
    /// # Errors
    /// [`AccessError::UnknownUser`].
    pub async fn set_scope(&self, by: &Caller, name: &str, scope: Scope) -> Result<(), AccessError> {
        let change = UserChange { scope: Some(scope), ..UserChange::default() };
        let detail = json!({ "scope": scope.as_str() });
        self.change_user(by, name, "users.scope", change, Some(detail)).await
    }

    /// Lists users by name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn users(&self) -> Result<Vec<UserRecord>, AccessError> {
        Ok(access::users(self.database().reader()).await?)
    }

    async fn change_user(
        &self,
        by: &Caller,
        name: &str,
        action: &'static str,
        change: UserChange,
        detail: Option<Value>,
    ) -> Result<(), AccessError> {
        let name = name.to_lowercase();
        let (now, wanted) = (self.now(), name.clone());
        let entry = self.entry(by, Deed { detail, ..Deed::done(action, &name) });
        let shuts_out = change.password.is_some() || change.disabled == Some(true);
        let changed = self.change("change user", async move |tx| {
            let Some(id) = access::change_user(tx, &wanted, &change, now).await? else { return Ok(false) };
            if shuts_out {
                access::end_sessions(tx, SessionsOf::One(Bearer::User(id)), now).await?;
            }
            access::add_audit(tx, &entry).await?;
            Ok(true)
        });
        if changed.await? { Ok(()) } else { Err(AccessError::UnknownUser { name }) }
    }
}
