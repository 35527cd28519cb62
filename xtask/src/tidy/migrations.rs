//! Both databases have the same migrations: the same numbers with the same names.

use super::tree::{Finding, Tree};

const POSTGRES: &str = "migrations/postgres/";
const SQLITE: &str = "migrations/sqlite/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    [(POSTGRES, SQLITE), (SQLITE, POSTGRES)]
        .into_iter()
        .flat_map(|(ours, theirs)| without_twin(tree, ours, theirs))
        .collect()
}

fn without_twin(tree: &Tree, ours: &str, theirs: &str) -> Vec<Finding> {
    let migrations = tree.files.iter().filter_map(|file| Some((file, file.path.strip_prefix(ours)?)));
    let alone =
        migrations.filter(|(_, name)| name.ends_with(".sql") && tree.file(&format!("{theirs}{name}")).is_none());
    alone.map(|(file, name)| file.finding(format!("has no twin {theirs}{name}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::assert_findings;
    use super::*;

    #[test]
    fn a_migration_for_one_database_alone_is_found() {
        let files = [
            ("migrations/postgres/0001_jobs.sql", ""),
            ("migrations/sqlite/0001_jobs.sql", ""),
            ("migrations/sqlite/0002_agents.sql", ""),
        ];
        assert_findings(check, &files, &["migrations/sqlite/0002_agents.sql"]);
    }
}
