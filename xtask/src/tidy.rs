//! `cargo xtask tidy`: what must be true of the tree and a compiler cannot check. Also a test, so that it always runs.
//!
//! Each check reads the same [`Tree`] and returns what it found; none changes a file. What can be generated (the lists
//! of settings) is written by `--fix`.

mod boundaries;
mod headers;
mod length;
mod links;
mod migrations;
mod proofs;
mod scripts;
mod settings;
mod tree;
mod words;

use clap::Args;

use crate::failure::{Failure, Result};
use crate::workspace;
use tree::{Finding, Tree};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Write what can be generated: .env.example and the tables of docs/configuration.md
    #[arg(long)]
    fix: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root();
    if options.fix {
        settings::write(&root)?;
    }
    let findings = findings(&Tree::read(&root)?)?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { Err(Failure::Untidy { count: findings.len() }) }
}

fn findings(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = boundaries::check(&boundaries::packages()?);
    let checks: [fn(&Tree) -> Vec<Finding>; 9] = [
        boundaries::check_manifests,
        headers::check,
        length::check,
        scripts::check,
        settings::check,
        migrations::check,
        words::check,
        links::check,
        proofs::check,
    ];
    findings.extend(checks.iter().flat_map(|check| check(tree)));
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let findings = findings(&Tree::read(&workspace::root()).unwrap()).unwrap();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }
}
