//! Writing down what was done, and by whom.

use celeriac_db::DbTx;
use celeriac_protocol::error_text;
use celeriac_store::query::access::{self, AuditEntry, AuditFilter, AuditOutcome, AuditPage};
use serde_json::Value;

use super::{AccessDesk, AccessError, Caller};

/// Something that was done, or tried: `Deed::done("jobs.cancel", id)`.
#[derive(Clone, Debug)]
pub struct Deed {
    /// What, as a noun and a verb: `jobs.cancel`.
    pub action: &'static str,
    /// To what: a name or an id.
    pub object: String,
    /// More about it.
    pub detail: Option<Value>,
    /// What came of it.
    pub outcome: AuditOutcome,
}

impl Deed {
    /// Says that something was done.
    pub fn done(action: &'static str, object: impl Into<String>) -> Self {
        Self { action, object: object.into(), detail: None, outcome: AuditOutcome::Done }
    }

    /// Says that something was not allowed.
    pub fn refused(action: &'static str, object: impl Into<String>) -> Self {
        Self { outcome: AuditOutcome::Refused, ..Self::done(action, object) }
    }

    /// Says that something was allowed, and did not succeed.
    pub fn failed(action: &'static str, object: impl Into<String>) -> Self {
        Self { outcome: AuditOutcome::Failed, ..Self::done(action, object) }
    }

    /// Adds more about it; no secrets.
    #[must_use]
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }
}

impl AccessDesk {
    /// Writes down what somebody did, or tried.
    ///
    /// # Errors
    /// What the database says.
    pub async fn audit(&self, caller: &Caller, deed: Deed) -> Result<(), AccessError> {
        let entry = self.entry(caller, deed);
        let add = async move |tx: &DbTx| access::add_audit(tx, &entry).await;
        Ok(self.database().write("audit", add).await?)
    }

    /// Writes down what somebody has done, and logs it where that can't be written: what is done is done.
    pub async fn note(&self, caller: &Caller, deed: Deed) {
        let (action, object) = (deed.action, deed.object.clone());
        if let Err(error) = self.audit(caller, deed).await {
            let (who, via) = (&caller.name, caller.via);
            tracing::error!(%who, %via, action, object, error = error_text(&error), "the audit log can't be written");
        }
    }

    /// Writes down what somebody does in the transaction in which it is done.
    ///
    /// # Errors
    /// What the database says.
    pub async fn audit_in(&self, tx: &DbTx, caller: &Caller, deed: Deed) -> Result<(), AccessError> {
        Ok(access::add_audit(tx, &self.entry(caller, deed)).await?)
    }

    /// Lists what was done before the cursor, newest first; `limit` is moved into 1 to 1000.
    ///
    /// # Errors
    /// What the database says.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u64,
    ) -> Result<AuditPage, AccessError> {
        Ok(access::audit(self.database().reader(), filter, before, limit).await?)
    }

    pub(super) fn entry(&self, caller: &Caller, deed: Deed) -> AuditEntry {
        AuditEntry {
            at: self.now(),
            who: caller.name.clone(),
            via: caller.via,
            action: deed.action.to_owned(),
            object: deed.object,
            detail: deed.detail,
            outcome: deed.outcome,
        }
    }
}
