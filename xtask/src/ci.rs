//! `cargo xtask ci`: everything that must hold before a change lands. What CI runs is exactly this.

use crate::failure::Result;
use crate::program;
use crate::step::Steps;
use crate::workspace::cargo;
use crate::{test, tidy};

pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.take("fmt", || program::run(cargo().args(["fmt", "--all", "--check"])));
    steps.take("clippy", || {
        program::run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.take("doc", || {
        program::run(cargo().args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.take("tidy", || tidy::run(&tidy::Options::default()));
    steps.take("test", || test::run(&test::Options::default()));
    steps.finish()
}
