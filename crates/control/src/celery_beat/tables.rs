//! Finds the tables of Celery's schedulers in a database and reads them, as far as this version of them has them.

use std::collections::{BTreeMap, BTreeSet};

use celeriac_db::DbError;
use sea_orm::sea_query::{
    DynIden, Expr, ExprTrait, Func, Iden, IntoTableRef, Query, SelectStatement, SimpleExpr, TableRef,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, DeriveIden, EntityTrait, FromQueryResult,
    IdenStatic, Iterable,
};

use self::entity::{clocked, crontab, interval, solar, task};
use self::layout::{LAYOUTS, Layout, Table};

pub(super) mod entity;
mod layout;

/// The most rows that are read of a table.
const MAX_ROWS: u64 = 200_000;

/// A package that keeps the entries of Celery's beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// django-celery-beat, in tables of Django's database.
    Django,
    /// sqlalchemy-celery-beat, in tables of its own.
    SqlAlchemy,
    /// celery-redbeat, in Redis.
    Redbeat,
}

impl Package {
    /// All that are understood.
    pub const ALL: [Self; 3] = [Self::Django, Self::SqlAlchemy, Self::Redbeat];

    /// Returns the word that command line and reports use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Django => "django",
            Self::SqlAlchemy => "sqlalchemy",
            Self::Redbeat => "redbeat",
        }
    }
}

/// The tables can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// There are none.
    #[error("there are no tables of {wanted} in it{}", .schema.as_ref().map(|s| format!(", in schema \"{s}\"")).unwrap_or_default())]
    NotFound {
        /// Whose were looked for.
        wanted: String,
        /// The schema that was named.
        schema: Option<String>,
    },
    /// There are several, and none was said to be meant.
    #[error("there are several tables of schedules in it: {}", .found.join("; "))]
    Several {
        /// What there is: a package and a schema each.
        found: Vec<String>,
    },
    /// There are more rows than anybody can have meant.
    #[error("table \"{table}\" has more than {MAX_ROWS} rows")]
    TooMany {
        /// The table.
        table: String,
    },
    /// The database does not answer, or not so.
    #[error("read table \"{table}\"")]
    Database {
        /// The table.
        table: String,
        /// What it says.
        #[source]
        source: DbError,
    },
}

/// All rows of one package's tables, as text.
#[derive(Debug)]
pub struct Tables {
    /// The package.
    pub package: Package,
    /// What people call it, with the versions that have such tables.
    pub title: &'static str,
    pub(super) tasks: Vec<task::Model>,
    pub(super) intervals: BTreeMap<String, interval::Model>,
    pub(super) crontabs: BTreeMap<String, crontab::Model>,
    pub(super) solars: BTreeMap<String, solar::Model>,
    pub(super) clockeds: BTreeMap<String, clocked::Model>,
}

impl Tables {
    /// Finds the tables and reads them. Nothing is written.
    ///
    /// Without `package` whichever are there are read; without `schema`, on a server, in whichever schema they are.
    ///
    /// # Errors
    /// There are none, or several; or what the database says.
    pub async fn read(
        database: &DatabaseConnection,
        package: Option<Package>,
        schema: Option<&str>,
    ) -> Result<Self, TablesError> {
        let place = find(database, package, schema).await?;
        let layout = place.layout;
        Ok(Self {
            package: layout.package,
            title: layout.title,
            tasks: place.rows::<task::Entity>(database, layout.task).await?,
            intervals: by_id(place.rows::<interval::Entity>(database, layout.interval).await?, |row| &row.id),
            crontabs: by_id(place.rows::<crontab::Entity>(database, layout.crontab).await?, |row| &row.id),
            solars: by_id(place.rows::<solar::Entity>(database, layout.solar).await?, |row| &row.id),
            clockeds: by_id(place.rows::<clocked::Entity>(database, layout.clocked).await?, |row| &row.id),
        })
    }
}

fn by_id<M>(rows: Vec<M>, id: impl Fn(&M) -> &String) -> BTreeMap<String, M> {
    rows.into_iter().map(|row| (id(&row).clone(), row)).collect()
}

/// Where one package's tables are.
struct Place<'a> {
    layout: &'static Layout,
    schema: Option<&'a str>,
    found_in: Option<String>,
}

async fn find<'a>(
    database: &DatabaseConnection,
    package: Option<Package>,
    schema: Option<&'a str>,
) -> Result<Place<'a>, TablesError> {
    let mut places = Vec::new();
    for layout in LAYOUTS.iter().filter(|layout| package.is_none_or(|package| package == layout.package)) {
        let schemas: BTreeSet<Option<String>> =
            columns(database, schema, layout.task).await?.into_keys().collect();
        places.extend(schemas.into_iter().map(|found_in| Place { layout, schema, found_in }));
    }
    match places.len() {
        1 => Ok(places.remove(0)),
        0 => {
            let wanted: Vec<&str> = match package {
                Some(package) => LAYOUTS.iter().filter(|l| l.package == package).map(|l| l.title).collect(),
                None => LAYOUTS.iter().map(|layout| layout.title).collect(),
            };
            Err(TablesError::NotFound { wanted: wanted.join(", nor of "), schema: schema.map(str::to_owned) })
        }
        _ => {
            let shown = |place: &Place<'_>| match &place.found_in {
                Some(schema) => format!("{} in schema \"{schema}\"", place.layout.title),
                None => place.layout.title.to_owned(),
            };
            Err(TablesError::Several { found: places.iter().map(shown).collect() })
        }
    }
}

impl Place<'_> {
    fn table(&self, table: Table) -> TableRef {
        match &self.found_in {
            Some(schema) => (DynIden::from(schema.clone()), table).into_table_ref(),
            None => table.into_table_ref(),
        }
    }

    /// Reads every row of a table, each column as text, in the order of their numbers. A column that this version of
    /// the table lacks is empty, and so is a table that it lacks.
    async fn rows<E>(&self, database: &DatabaseConnection, table: Table) -> Result<Vec<E::Model>, TablesError>
    where
        E: EntityTrait,
        E::Column: IdenStatic + Iterable,
        E::Model: FromQueryResult,
    {
        let schema = self.found_in.as_deref().or(self.schema);
        let there = columns(database, schema, table).await?.into_values().next().unwrap_or_default();
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let mut select = Query::select();
        for column in E::Column::iter() {
            let value: SimpleExpr = match there.contains(column.as_str()) {
                true => Expr::col((Foreign::Row, column)),
                false => Expr::val(Option::<String>::None),
            };
            select.expr_as(value.cast_as("text"), column);
        }
        select.from_as(self.table(table), Foreign::Row).limit(MAX_ROWS + 1);
        select.order_by((Foreign::Row, Foreign::Id), sea_orm::Order::Asc);
        let read = async {
            let rows = database.query_all(&select).await?;
            rows.iter().map(|row| E::Model::from_query_result(row, "")).collect::<Result<Vec<_>, DbErr>>()
        };
        let rows = read.await.map_err(failed(table))?;
        if rows.len() as u64 > MAX_ROWS {
            Err(TablesError::TooMany { table: table.to_string() })
        } else {
            Ok(rows)
        }
    }
}

/// What databases are asked about their own tables.
#[derive(DeriveIden)]
enum Catalog {
    PragmaTableInfo,
    Name,
    InformationSchema,
    Columns,
    TableSchema,
    TableName,
    ColumnName,
}

/// What a foreign table is called while it is read.
#[derive(Clone, Copy, DeriveIden)]
enum Foreign {
    Row,
    Id,
}

/// Returns the columns of a table, for each schema that has one of this name; none where there is no such table.
async fn columns(
    database: &DatabaseConnection,
    schema: Option<&str>,
    table: Table,
) -> Result<BTreeMap<Option<String>, BTreeSet<String>>, TablesError> {
    let is_server = database.get_database_backend() == DbBackend::Postgres;
    let name = table.to_string();
    let question = if is_server { of_server(schema, &name) } else { of_file(&name) };
    let mut found: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for row in database.query_all(&question).await.map_err(failed(table))? {
        let read = || -> Result<(Option<String>, String), DbErr> {
            Ok(match is_server {
                true => (Some(row.try_get_by_index(0)?), row.try_get_by_index(1)?),
                false => (None, row.try_get_by_index(0)?),
            })
        };
        let (schema, column) = read().map_err(failed(table))?;
        found.entry(schema).or_default().insert(column);
    }
    Ok(found)
}

fn of_server(schema: Option<&str>, table: &str) -> SelectStatement {
    let text = |column: Catalog| Expr::col(column).cast_as("text");
    let mut select = Query::select();
    select.exprs([text(Catalog::TableSchema), text(Catalog::ColumnName)]);
    select.from((Catalog::InformationSchema, Catalog::Columns)).and_where(text(Catalog::TableName).eq(table));
    if let Some(schema) = schema {
        select.and_where(text(Catalog::TableSchema).eq(schema));
    }
    select
}

fn of_file(table: &str) -> SelectStatement {
    let info = Func::cust(Catalog::PragmaTableInfo).arg(table);
    Query::select().column(Catalog::Name).from_function(info, Foreign::Row).to_owned()
}

fn failed(table: Table) -> impl Fn(DbErr) -> TablesError {
    move |error| TablesError::Database { table: table.to_string(), source: error.into() }
}
