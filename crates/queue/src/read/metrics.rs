//! How many jobs finished in each minute, as workers with that option count them, and BullMQ's Prometheus text.

use std::fmt::Write as _;

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Reply;

/// What is counted by the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Jobs that completed.
    Completed,
    /// Jobs that failed for good.
    Failed,
}

impl MetricKind {
    /// BullMQ's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// The jobs that finished, in total and by the minute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MinuteMetrics {
    /// All that were ever counted.
    pub total: u64,
    /// When the last minute was closed, epoch ms; 0 when nothing was counted yet.
    pub previous_ms: u64,
    /// The total at that time.
    pub previous_total: u64,
    /// Jobs per minute, the newest minute first: the page that was asked for.
    pub points: Vec<u64>,
    /// How many minutes are kept.
    pub point_count: u64,
}

/// The most minutes one read returns: as many as a worker of ours keeps.
const MAX_POINTS: i64 = 100_000;

impl Queue {
    /// The minutes from `first` (0 is the newest) to `last` (negative counts from the oldest), both included. Nothing is
    /// there unless a worker counts minutes.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn metrics(&self, kind: MetricKind, first: i64, last: i64) -> Result<MinuteMetrics, QueueError> {
        let key = self.keys.key(&format!("metrics:{}", kind.as_str()));
        let points = format!("{key}:data");
        let last = if first >= 0 && last >= 0 { last.min(first.saturating_add(MAX_POINTS - 1)) } else { last };
        let answers = self
            .redis
            .commands(vec![
                ("HMGET", vec![key.into(), "count".into(), "prevTS".into(), "prevCount".into()]),
                ("LRANGE", vec![points.as_str().into(), first.into(), last.into()]),
                ("LLEN", vec![points.into()]),
            ])
            .await?;
        let [meta, points, point_count] = <[Reply; 3]>::try_from(answers).expect("three commands give three answers");
        let meta = meta.into_list();
        let number = |at: usize| meta.get(at).map_or(0, Reply::count);
        Ok(MinuteMetrics {
            total: number(0),
            previous_ms: number(1),
            previous_total: number(2),
            points: points.into_list().iter().map(Reply::count).collect(),
            point_count: point_count.count(),
        })
    }

    /// The queue's counts and totals in Prometheus' text form, with BullMQ's names; `labels` are added to every line.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] for a label that Prometheus does not know as one, [`QueueError::Redis`].
    pub async fn prometheus_text(&self, labels: &[(&str, &str)]) -> Result<String, QueueError> {
        let mut own = String::new();
        for (name, value) in labels {
            check_label(name)?;
            let _ = write!(own, ", {name}=\"{}\"", escape(value));
        }
        let counts = self.counts().await?;
        let queue = escape(self.name.as_str());
        let mut text = String::from("# HELP bullmq_job_count Number of jobs in the queue by state\n");
        text.push_str("# TYPE bullmq_job_count gauge\n");
        for (state, count) in &counts.by_state {
            let _ = writeln!(text, "bullmq_job_count{{queue=\"{queue}\", state=\"{state}\"{own}}} {count}");
        }
        for kind in [MetricKind::Completed, MetricKind::Failed] {
            let (word, total) = (kind.as_str(), self.metrics(kind, 0, 0).await?.total);
            let _ = writeln!(text, "# HELP bullmq_job_{word}_total Total number of {word} jobs");
            let _ = writeln!(text, "# TYPE bullmq_job_{word}_total counter");
            let _ = writeln!(text, "bullmq_job_{word}_total{{queue=\"{queue}\"{own}}} {total}");
        }
        Ok(text)
    }
}

fn check_label(name: &str) -> Result<(), QueueError> {
    let is_fine = |(at, letter): (usize, char)| {
        letter == '_' || letter.is_ascii_alphabetic() || (at > 0 && letter.is_ascii_digit())
    };
    if !name.is_empty() && name.chars().enumerate().all(is_fine) && !["queue", "state"].contains(&name) {
        return Ok(());
    }
    let problem = format!("`{name}` cannot be added: use letters, digits and `_`, and not `queue` or `state`");
    Err(QueueError::InvalidArgument { field: "labels", problem })
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
