//! Makes the tables of who may do what: tokens, users, sessions, and the log of what they did.
//!
//! Written out and not made from the entities, which will grow: a migration never changes.

use celeriac_db::DbTx;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{
    ColumnDef, ConditionalStatement as _, Expr, ExprTrait as _, Index, IndexCreateStatement, Table,
    TableCreateStatement,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait};

use crate::entity::{audit, session, token, user};

pub(super) fn up(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        for table in [tokens(), users(), sessions(), audits()] {
            tx.execute(&table).await?;
        }
        for index in indexes() {
            tx.execute(&index).await?;
        }
        Ok(())
    })
}

pub(super) fn down(tx: &DbTx) -> BoxFuture<'_, Result<(), DbErr>> {
    Box::pin(async move {
        tx.execute(Table::drop().table(audit::Entity)).await?;
        tx.execute(Table::drop().table(session::Entity)).await?;
        tx.execute(Table::drop().table(user::Entity)).await?;
        tx.execute(Table::drop().table(token::Entity)).await?;
        Ok(())
    })
}

fn tokens() -> TableCreateStatement {
    use token::Column as C;
    Table::create()
        .table(token::Entity)
        .col(ColumnDef::new(C::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::Name).string().not_null())
        .col(ColumnDef::new(C::Prefix).string_len(32).not_null())
        .col(ColumnDef::new(C::Hash).string_len(64).not_null())
        .col(ColumnDef::new(C::Scope).string_len(16).not_null())
        .col(ColumnDef::new(C::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(C::CreatedBy).string().not_null())
        .col(ColumnDef::new(C::ExpiresAt).big_integer())
        .col(ColumnDef::new(C::LastUsedAt).big_integer())
        .col(ColumnDef::new(C::RevokedAt).big_integer())
        .col(ColumnDef::new(C::RevokedBy).string())
        .to_owned()
}

fn users() -> TableCreateStatement {
    use user::Column as C;
    Table::create()
        .table(user::Entity)
        .col(ColumnDef::new(C::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::Name).string().not_null().unique_key())
        .col(ColumnDef::new(C::Password).text().not_null())
        .col(ColumnDef::new(C::Scope).string_len(16).not_null())
        .col(ColumnDef::new(C::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(C::CreatedBy).string().not_null())
        .col(ColumnDef::new(C::PasswordAt).big_integer().not_null())
        .col(ColumnDef::new(C::DisabledAt).big_integer())
        .col(ColumnDef::new(C::LastLoginAt).big_integer())
        .to_owned()
}

fn sessions() -> TableCreateStatement {
    use session::Column as C;
    Table::create()
        .table(session::Entity)
        .col(ColumnDef::new(C::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::Prefix).string_len(32).not_null())
        .col(ColumnDef::new(C::Hash).string_len(64).not_null())
        .col(ColumnDef::new(C::UserId).big_integer())
        .col(ColumnDef::new(C::TokenId).big_integer())
        .col(ColumnDef::new(C::Name).string().not_null())
        .col(ColumnDef::new(C::Scope).string_len(16).not_null())
        .col(ColumnDef::new(C::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(C::SeenAt).big_integer().not_null())
        .col(ColumnDef::new(C::ExpiresAt).big_integer().not_null())
        .col(ColumnDef::new(C::EndedAt).big_integer())
        .col(ColumnDef::new(C::Address).string().not_null())
        .col(ColumnDef::new(C::UserAgent).string().not_null())
        .to_owned()
}

fn audits() -> TableCreateStatement {
    use audit::Column as C;
    Table::create()
        .table(audit::Entity)
        .col(ColumnDef::new(C::Seq).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(C::At).big_integer().not_null())
        .col(ColumnDef::new(C::Who).string().not_null())
        .col(ColumnDef::new(C::Via).string_len(16).not_null())
        .col(ColumnDef::new(C::Action).string_len(64).not_null())
        .col(ColumnDef::new(C::Object).string().not_null())
        .col(ColumnDef::new(C::Detail).text())
        .col(ColumnDef::new(C::Outcome).string_len(16).not_null())
        .to_owned()
}

/// A name is free again once its token is revoked. Tokens and sessions are found by how they begin; what is long over is
/// found by its time; the rest is for lists.
fn indexes() -> Vec<IndexCreateStatement> {
    let name = Index::create()
        .name("celeriac_tokens_name")
        .table(token::Entity)
        .col(token::Column::Name)
        .unique()
        .and_where(Expr::col(token::Column::RevokedAt).is_null())
        .to_owned();
    vec![
        name,
        index("celeriac_tokens_prefix", token::Entity, &[token::Column::Prefix]),
        index("celeriac_sessions_prefix", session::Entity, &[session::Column::Prefix]),
        index("celeriac_sessions_user", session::Entity, &[session::Column::UserId]),
        index("celeriac_sessions_token", session::Entity, &[session::Column::TokenId]),
        index("celeriac_sessions_expires", session::Entity, &[session::Column::ExpiresAt]),
        index("celeriac_audit_at", audit::Entity, &[audit::Column::At]),
        index("celeriac_audit_who", audit::Entity, &[audit::Column::Who, audit::Column::Seq]),
        index("celeriac_audit_action", audit::Entity, &[audit::Column::Action, audit::Column::Seq]),
        index("celeriac_audit_object", audit::Entity, &[audit::Column::Object, audit::Column::Seq]),
    ]
}

fn index<E: EntityTrait, C: ColumnTrait>(name: &str, table: E, columns: &[C]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}
