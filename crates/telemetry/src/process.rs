//! What the operating system and the runtime say about this process, read when someone asks for it.
//!
//! These bypass the recorder because its counters hold whole numbers and processor time is a fraction.

use std::fmt::Write;
use std::fs;

use tokio::runtime::Handle;

use crate::names::{self, Kind};

/// The unit of times in `/proc`: Linux fixes it at 100 for programs on every platform we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends the process metrics to `text`; what the platform does not tell is left out.
pub(crate) fn render(text: &mut String) {
    let tasks = Handle::try_current().ok().map(|runtime| as_value(runtime.metrics().num_alive_tasks() as u64));
    write_metric(text, names::RUNTIME_TASKS, tasks);
    write_metric(text, names::PROCESS_RESIDENT_MEMORY, resident_memory_bytes());
    write_metric(text, names::PROCESS_OPEN_FDS, open_fds());
    let times = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| Times::parse(&stat));
    write_metric(text, names::PROCESS_CPU, times.as_ref().map(|times| times.cpu_seconds));
    write_metric(text, names::PROCESS_START_TIME, times.and_then(|times| Some(boot_time()? + times.started_seconds)));
}

fn write_metric(text: &mut String, name: &str, value: Option<f64>) {
    let (Some(metric), Some(value)) = (names::find(name), value) else { return };
    let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
    let about = metric.about;
    let written = write!(text, "# HELP {name} {about}\n# TYPE {name} {kind}\n{name} {value}\n\n");
    written.expect("writing to a String cannot fail");
}

#[expect(clippy::cast_precision_loss, reason = "bytes, files and tasks stay far below 2^53")]
fn as_value(count: u64) -> f64 {
    count as f64
}

fn resident_memory_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(as_value(kilobytes * 1024))
}

fn open_fds() -> Option<f64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // One of them is the listing itself.
    Some(as_value(listed.saturating_sub(1)))
}

/// When the machine started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The times in `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Times {
    /// In user and kernel mode together.
    cpu_seconds: f64,
    /// After the machine's start.
    started_seconds: f64,
}

impl Times {
    /// The second field is the program's name in parentheses and may contain anything, so counting begins after its
    /// end: `utime`, `stime` and `starttime` are fields 14, 15 and 22.
    fn parse(stat: &str) -> Option<Self> {
        let after_name = stat.rsplit_once(')')?.1;
        let ticks: Vec<f64> = after_name.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
        let seconds = |field: usize| ticks.get(field - 4).map(|ticks| ticks / TICKS_PER_SECOND);
        Some(Self { cpu_seconds: seconds(14)? + seconds(15)?, started_seconds: seconds(22)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_past_any_program_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 4 0 1234 1000 200 18446744073709551615";
        assert_eq!(Times::parse(stat), Some(Times { cpu_seconds: 3.0, started_seconds: 12.34 }));
        assert_eq!(Times::parse("7 (a) S 1"), None);
        assert_eq!(Times::parse(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_described() {
        let mut text = String::new();
        render(&mut text);
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).expect(name);
            line.parse().unwrap()
        };
        let megabyte = 1024.0 * 1024.0;
        assert!((megabyte..1024.0 * megabyte).contains(&value(names::PROCESS_RESIDENT_MEMORY)), "{text}");
        assert!((3.0..10_000.0).contains(&value(names::PROCESS_OPEN_FDS)), "{text}");
        assert!(value(names::PROCESS_CPU) >= 0.0, "{text}");
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let age = now - value(names::PROCESS_START_TIME);
        assert!((-2.0..86_400.0).contains(&age), "the process seems to be {age} s old");
    }
}
