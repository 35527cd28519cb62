//! What test runners say at their end: read from the output while it passes through to the person watching.

use std::io::{BufRead, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;

use crate::failure::Result;
use crate::program;

/// How many tests ran and how they ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs a test runner, passes its output through, and counts. The flag tells whether the runner itself was content.
pub(crate) fn count(command: &mut Command) -> Result<(Tally, bool)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| program::start_failure(command, error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let other = thread::spawn(move || stderr.map(|stream| pass_through(stream, std::io::stderr())));
    let mut tally = stdout.map(|stream| pass_through(stream, std::io::stdout())).unwrap_or_default();
    tally += other.join().ok().flatten().unwrap_or_default();
    let status = child.wait().map_err(|error| program::start_failure(command, error))?;
    Ok((tally, status.success()))
}

fn pass_through(from: impl Read, mut to: impl Write) -> Tally {
    let mut tally = Tally::default();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // A closed terminal is no reason to stop counting.
        let _ = to.write_all(&line);
        tally += closing_line(&String::from_utf8_lossy(&line)).unwrap_or_default();
        line.clear();
    }
    tally
}

/// The counts of a closing line of nextest or of the standard test harness. The latter's begin a line; indented, they
/// are what nextest repeats of a single failed test.
fn closing_line(line: &str) -> Option<Tally> {
    let line = without_colour(line);
    if let Some(counts) = line.strip_prefix("test result:") {
        return Some(counts_of(counts, &[';', '.']));
    }
    let (_, summary) = line.trim_start().strip_prefix("Summary [")?.split_once("run:")?;
    Some(counts_of(summary, &[',', '(', ')']))
}

fn counts_of(text: &str, separators: &[char]) -> Tally {
    let mut tally = Tally::default();
    for part in text.split(separators) {
        let Some((number, word)) = part.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match word {
            "passed" => tally.passed += number,
            "failed" | "timed out" | "exec failed" => tally.failed += number,
            "skipped" | "ignored" => tally.skipped += number,
            _ => {}
        }
    }
    tally
}

fn without_colour(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(u64, u64, u64)>) {
        let expected = expected.map(|(passed, failed, skipped)| Tally { passed, failed, skipped });
        assert_eq!(closing_line(line), expected, "{line}");
    }

    #[test]
    fn the_closing_lines_of_both_runners_are_read() {
        check("     Summary [   0.1s] 5 tests run: 5 passed, 1 skipped\n", Some((5, 0, 1)));
        check("Summary [ 9.1s] 7/9 tests run: 4 passed (1 slow), 2 failed, 1 timed out, 0 skipped", Some((4, 3, 0)));
        check(
            "\u{1b}[32m Summary\u{1b}[0m [ 1s] \u{1b}[1m3\u{1b}[0m tests run: \u{1b}[1m3\u{1b}[0m \u{1b}[32mpassed\u{1b}[0m, 0 skipped",
            Some((3, 0, 0)),
        );
        check("test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 9 filtered out", Some((3, 1, 2)));
        check("    test result: FAILED. 0 passed; 1 failed; 0 ignored", None);
        check("test tests::a ... ok", None);
    }

    #[test]
    fn output_passes_through_unchanged() {
        let text = "running 1 test\ntest result: ok. 1 passed; 0 failed\nno newline at the end";
        let mut shown = Vec::new();
        let tally = pass_through(text.as_bytes(), &mut shown);
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: 0 });
        assert_eq!(String::from_utf8(shown).unwrap(), text);
    }
}
