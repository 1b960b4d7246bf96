//! Tokens, users, sessions and the audit log as they are printed.

use celeriac_protocol::Timestamp;
use celeriac_server::views::{AuditView, Moment, SessionView, TokenView, UserView};

use crate::output::{Cell, Column, Paint, Table, ago, until};

/// Lists tokens.
pub(crate) fn tokens_table(views: &[TokenView], now: Timestamp) -> Table {
    let columns = [
        Column::elastic("NAME"),
        Column::new("SCOPE"),
        Column::new("STATE"),
        Column::new("BEGINS").spare(),
        Column::new("LAST USED"),
        Column::new("EXPIRES"),
        Column::elastic("MADE BY").spare(),
    ];
    let mut table =
        Table::new(columns, "no token is in use; make one with `tokens add NAME --scope operate`");
    for view in views {
        let state = match view.state {
            "active" => Cell::painted(Paint::Good, view.state),
            state => Cell::painted(Paint::Bad, state),
        };
        table.row([
            Cell::painted(Paint::Strong, &view.name),
            Cell::new(scope(view.scope)),
            state,
            Cell::painted(Paint::Faint, format!("{}…", view.prefix)).exactly(&view.prefix),
            gone(view.last_used_at, now, "never"),
            ahead(view.expires_at, now, "never"),
            Cell::painted(Paint::Faint, &view.created_by),
        ]);
    }
    table
}

/// Lists users.
pub(crate) fn users_table(views: &[UserView], now: Timestamp) -> Table {
    let columns = [
        Column::elastic("NAME"),
        Column::new("SCOPE"),
        Column::new("STATE"),
        Column::new("LAST LOGIN"),
        Column::new("PASSWORD SET"),
    ];
    let mut table = Table::new(columns, "there are no users; make one with `users add NAME --scope operate`");
    for view in views {
        let state = match view.disabled_at {
            Some(_) => Cell::painted(Paint::Warning, "disabled"),
            None => Cell::painted(Paint::Good, "active"),
        };
        table.row([
            Cell::painted(Paint::Strong, &view.name),
            Cell::new(scope(view.scope)),
            state,
            gone(view.last_login_at, now, "never"),
            gone(Some(view.password_at), now, ""),
        ]);
    }
    table
}

/// Lists sessions.
pub(crate) fn sessions_table(views: &[SessionView], now: Timestamp) -> Table {
    let columns = [
        Column::number("ID"),
        Column::elastic("NAME"),
        Column::new("WITH").spare(),
        Column::new("SCOPE"),
        Column::new("LAST SEEN"),
        Column::new("EXPIRES"),
        Column::new("ADDRESS"),
        Column::elastic("PROGRAM").spare(),
    ];
    let mut table = Table::new(columns, "nobody is logged in");
    for view in views {
        table.row([
            Cell::new(view.id.to_string()),
            Cell::painted(Paint::Strong, &view.name),
            Cell::new(view.with),
            Cell::new(scope(view.scope)),
            gone(Some(view.seen_at), now, ""),
            ahead(Some(view.expires_at), now, ""),
            Cell::new(&view.address),
            Cell::painted(Paint::Faint, &view.user_agent),
        ]);
    }
    table
}

/// Lists what was done.
pub(crate) fn audit_table(views: &[AuditView], now: Timestamp) -> Table {
    let columns = [
        Column::new("WHEN"),
        Column::elastic("WHO"),
        Column::new("VIA").spare(),
        Column::new("ACTION"),
        Column::elastic("OBJECT"),
        Column::new("OUTCOME"),
        Column::elastic("MORE").spare(),
    ];
    let mut table = Table::new(columns, "nothing is in the log");
    for view in views {
        let outcome = match view.outcome.as_str() {
            "done" => Paint::Good,
            "refused" => Paint::Warning,
            _ => Paint::Bad,
        };
        let more = view.detail.as_ref().map(|detail| detail.get()).unwrap_or_default();
        table.row([
            gone(Some(view.at), now, ""),
            Cell::painted(Paint::Strong, &view.who),
            Cell::painted(Paint::Faint, &view.via),
            Cell::new(&view.action),
            Cell::new(&view.object),
            Cell::painted(outcome, &view.outcome),
            Cell::painted(Paint::Faint, more),
        ]);
    }
    table
}

fn scope(scope: Option<&str>) -> &str {
    scope.unwrap_or("unknown")
}

fn gone(at: Option<Moment>, now: Timestamp, none: &str) -> Cell {
    told(at, none, |at| ago(at, now))
}

fn ahead(at: Option<Moment>, now: Timestamp, none: &str) -> Cell {
    told(at, none, |at| if at > now { until(at, now) } else { ago(at, now) })
}

fn told(at: Option<Moment>, none: &str, tell: impl Fn(Timestamp) -> String) -> Cell {
    match at {
        Some(at) => Cell::new(tell(at.0)).exactly(at.to_string()),
        None => Cell::painted(Paint::Faint, none).exactly(""),
    }
}
