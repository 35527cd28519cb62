//! How long a job waits before its next attempt.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The wait between two attempts, as the `backoff` option states it: a number of milliseconds, or
/// `{type, delay, jitter}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Backoff {
    /// How the wait grows.
    #[serde(rename = "type")]
    pub kind: BackoffKind,
    /// The base wait in milliseconds.
    #[serde(default, rename = "delay")]
    pub delay_ms: u64,
    /// The share of the wait that is random, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
}

/// How the wait grows with the attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffKind {
    /// The same wait every time.
    Fixed,
    /// Doubling: `delay · 2^(attempts made − 1)`.
    Exponential,
    /// A strategy that the worker which runs the job knows by this name.
    #[serde(untagged)]
    Custom(String),
}

/// The longest wait we compute: JavaScript's largest safe integer would overflow the delayed set's scores, 100 years
/// does not.
const MAX_WAIT_MS: f64 = 3_155_760_000_000.0;

impl Backoff {
    /// The same wait of `delay_ms` milliseconds every time.
    #[must_use]
    pub fn fixed(delay_ms: u64) -> Self {
        Self { kind: BackoffKind::Fixed, delay_ms, jitter: None }
    }

    /// A wait that starts at `delay_ms` milliseconds and doubles.
    #[must_use]
    pub fn exponential(delay_ms: u64) -> Self {
        Self { kind: BackoffKind::Exponential, delay_ms, jitter: None }
    }

    /// The wait in milliseconds before the attempt that follows attempt number `attempts_made` (1 for the first).
    ///
    /// `random` is a number in `0.0..1.0`, used only when there is jitter. `None` for a custom strategy, which only
    /// the worker can compute.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "bounded by MAX_WAIT_MS, where f64 is exact"
    )]
    pub fn wait_ms(&self, attempts_made: u32, random: f64) -> Option<u64> {
        let base = self.delay_ms as f64;
        let full = match self.kind {
            BackoffKind::Fixed => base,
            BackoffKind::Exponential => {
                let doublings = attempts_made.saturating_sub(1).min(1000);
                (base * 2f64.powi(doublings.cast_signed())).round()
            }
            BackoffKind::Custom(_) => return None,
        };
        let full = full.min(MAX_WAIT_MS);
        Some(match self.jitter {
            Some(jitter) if jitter > 0.0 => (random * full * jitter + full * (1.0 - jitter)).floor() as u64,
            _ => full as u64,
        })
    }
}

impl TryFrom<Value> for Backoff {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Some(delay_ms) = value.as_u64() {
            return Ok(Self::fixed(delay_ms));
        }
        let Value::Object(fields) = value else {
            return Err("backoff must be a number of milliseconds or an object {type, delay, jitter}".into());
        };
        let mut backoff = Self::fixed(0);
        let mut has_type = false;
        for (key, value) in fields {
            match key.as_str() {
                "type" => {
                    let kind = value.as_str().ok_or("backoff.type must be text: fixed, exponential or a name")?;
                    backoff.kind = BackoffKind::named(kind);
                    has_type = true;
                }
                "delay" => backoff.delay_ms = whole_ms(&value)?,
                "jitter" => {
                    let jitter = value.as_f64().filter(|jitter| (0.0..=1.0).contains(jitter));
                    backoff.jitter = Some(jitter.ok_or("backoff.jitter must be a number from 0 to 1")?);
                }
                other => return Err(format!("backoff.{other} is not known: use type, delay and jitter")),
            }
        }
        if has_type { Ok(backoff) } else { Err("backoff.type is missing: use fixed or exponential".into()) }
    }
}

impl BackoffKind {
    /// The strategy of this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "fixed" => Self::Fixed,
            "exponential" => Self::Exponential,
            other => Self::Custom(other.to_owned()),
        }
    }
}

fn whole_ms(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| "backoff.delay must be a whole number of milliseconds, 0 or more".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_those_bullmq_computes() {
        assert_eq!(Backoff::fixed(500).wait_ms(3, 0.5), Some(500));
        assert_eq!(Backoff::exponential(100).wait_ms(1, 0.5), Some(100));
        assert_eq!(Backoff::exponential(100).wait_ms(4, 0.5), Some(800));
        let jittered = Backoff { jitter: Some(0.5), ..Backoff::fixed(1000) };
        assert_eq!(jittered.wait_ms(1, 0.0), Some(500));
        assert_eq!(jittered.wait_ms(1, 0.999), Some(999));
    }

    /// What BullMQ 6.7.0 answered with `Math.random` replaced by the four numbers.
    #[test]
    fn waits_with_jitter_are_those_bullmq_drew() {
        let exponential = Backoff::exponential;
        for (backoff, jitter, attempts_made, drawn) in [
            (Backoff::fixed(1000), 0.5, 1, [500, 625, 750, 999]),
            (Backoff::fixed(1000), 1.0, 1, [0, 250, 500, 999]),
            (Backoff::fixed(7), 0.3, 2, [4, 5, 5, 6]),
            (exponential(100), 0.25, 3, [300, 325, 350, 399]),
            (exponential(100), 0.5, 1, [50, 62, 75, 99]),
            (exponential(1000), 1.0, 4, [0, 2000, 4000, 7992]),
        ] {
            let backoff = Backoff { jitter: Some(jitter), ..backoff };
            let waits = [0.0, 0.25, 0.5, 0.999].map(|random| backoff.wait_ms(attempts_made, random).unwrap());
            assert_eq!(waits, drawn, "{backoff:?}");
        }
    }

    #[test]
    fn a_wait_never_overflows() {
        assert_eq!(Backoff::exponential(u64::MAX).wait_ms(u32::MAX, 0.0), Some(3_155_760_000_000));
    }

    #[test]
    fn a_bad_backoff_names_its_field() {
        for (json, part) in [
            (r#""soon""#, "backoff must be"),
            (r#"{"type":"fixed","delay":-1}"#, "backoff.delay"),
            (r#"{"type":"fixed","jitter":2}"#, "backoff.jitter"),
            (r#"{"delay":5}"#, "backoff.type"),
            (r#"{"type":"fixed","dealy":5}"#, "backoff.dealy"),
        ] {
            let error = serde_json::from_str::<Backoff>(json).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
