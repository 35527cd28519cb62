//! What a command prints: lines and tables for people, one JSON value a line for programs.

use std::io::{self, Write};

use serde::Serialize;

/// Standard output in one of two forms.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints `value` as JSON, or else what `text` makes.
    pub(crate) fn print(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        let line = if self.json { json_line(value)? } else { text() };
        writeln!(io::stdout().lock(), "{line}")
    }

    /// Prints each of `values` as JSON, or else all as a table under `columns`.
    pub(crate) fn table<T: Serialize, const N: usize>(
        &self,
        values: &[T],
        columns: [&str; N],
        row: impl Fn(&T) -> [String; N],
    ) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.json {
            return values.iter().try_for_each(|value| writeln!(stdout, "{}", json_line(value)?));
        }
        let rows: Vec<[String; N]> =
            std::iter::once(columns.map(str::to_uppercase)).chain(values.iter().map(row)).collect();
        stdout.write_all(aligned(&rows).as_bytes())
    }
}

/// JSON that was passed through as text may have line breaks, which in JSON stand between its parts only.
fn json_line(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)?.replace(['\n', '\r'], " "))
}

/// Rows with each column as wide as its widest cell.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["ID".to_owned(), "NAME".to_owned()], ["job-1".to_owned(), "é".to_owned()]];
        assert_eq!(aligned(&rows), "ID     NAME\njob-1  é\n");
    }
}
