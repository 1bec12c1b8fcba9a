//! Statements over many rows.
//!
//! One statement for a whole batch costs one trip to the thread of the connection instead of
//! one for each row. Numbers of rows are rounded up to powers of two, so that few statements
//! have to be prepared and kept; the places that are left over stay unbound, which is NULL,
//! and every statement leaves rows with NULL in the first column alone.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// The most rows of one statement.
pub(crate) const MAX_ROWS: usize = 256;

pub(crate) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// A statement with `{rows}` where the rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Many {
    pub(crate) sql: &'static str,
    pub(crate) columns: usize,
}

/// The texts that were made already.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    made: HashMap<(&'static str, usize), Arc<str>>,
}

impl Statements {
    /// The query for this many rows; at most [`MAX_ROWS`].
    pub(crate) fn query(&mut self, many: Many, rows: usize) -> Bound {
        let rows = rows.next_power_of_two();
        let text = self
            .made
            .entry((many.sql, rows))
            .or_insert_with(|| text(many, rows));
        // Made of constants: nothing from outside is ever part of a text.
        let sql: SqlStr = AssertSqlSafe(Arc::clone(text)).into_sql_str();
        sqlx::query(sql)
    }
}

fn text(many: Many, rows: usize) -> Arc<str> {
    let row = format!("({})", vec!["?"; many.columns].join(","));
    many.sql
        .replace("{rows}", &vec![row; rows].join(","))
        .into()
}
