//! The table `sweep_marks`: how far each finished set of a queue was compared with the records.

use sqlx::query_scalar;

use crate::database::{Pools, ms, reading, stored_ms, writing};
use crate::text::key;

pub(crate) async fn get(pools: &Pools, queue: &str, set: &str) -> Result<u64, sqlx::Error> {
    const SQL: &str = "SELECT finished_on FROM sweep_marks WHERE queue = $1 AND terminal_set = $2";
    let (queue, set) = (key(queue), key(set));
    let mark: Option<i64> =
        reading!(pools, pool => query_scalar(SQL).bind(&*queue).bind(&*set).fetch_optional(pool).await?);
    Ok(mark.map_or(0, ms))
}

/// The condition keeps the later of two times.
pub(crate) async fn advance(pools: &Pools, queue: &str, set: &str, finished_ms: u64) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO sweep_marks (queue, terminal_set, finished_on) VALUES ($1, $2, $3) \
         ON CONFLICT (queue, terminal_set) DO UPDATE SET finished_on = excluded.finished_on \
         WHERE sweep_marks.finished_on < excluded.finished_on";
    let (queue, set, mark) = (key(queue), key(set), stored_ms(finished_ms));
    writing!(pools, pool => {
        sqlx::query(SQL).bind(&*queue).bind(&*set).bind(mark).execute(pool).await?;
    });
    Ok(())
}
