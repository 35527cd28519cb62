//! How log lines look and where they go. What is logged is a filter in the settings.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output: for services, whose output is their log.
    Stdout,
    /// Standard error: for commands, whose output is their answer.
    Stderr,
}

impl LogStream {
    fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }

    fn writer(self) -> BoxMakeWriter {
        match self {
            Self::Stdout => BoxMakeWriter::new(io::stdout),
            Self::Stderr => BoxMakeWriter::new(io::stderr),
        }
    }
}

/// A boxed layer, so that the formats have one type.
pub(crate) type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// The layer that writes log lines to `stream`.
pub(crate) fn layer<S>(filter: EnvFilter, format: Option<LogFormat>, stream: LogStream) -> BoxedLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let terminal = stream.is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    formatted(format, terminal, stream.writer()).with_filter(filter).boxed()
}

fn formatted<S, W>(format: LogFormat, colours: bool, writer: W) -> BoxedLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn written_in(format: LogFormat, log: impl FnOnce()) -> String {
            let lines = Self::default();
            let writer = lines.clone();
            let layer = formatted(format, false, move || writer.clone());
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
            let bytes = lines.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap()
        }
    }

    fn a_line_with_everything() {
        let span = tracing::info_span!("run_job", queue = "mail", job_id = "7");
        let _entered = span.enter();
        tracing::warn!(attempt = 2, reason = "line\nbreak \"quoted\"", "job failed");
    }

    #[test]
    fn a_json_line_parses_and_carries_the_fields_of_event_and_span() {
        let text = Lines::written_in(LogFormat::Json, a_line_with_everything);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"WARN".into(), &"job failed".into()));
        assert_eq!((&line["attempt"], &line["reason"]), (&2.into(), &"line\nbreak \"quoted\"".into()));
        assert_eq!((&line["span"]["queue"], &line["span"]["name"]), (&"mail".into(), &"run_job".into()));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }

    #[test]
    fn a_text_line_is_readable_and_has_no_colour_codes_outside_a_terminal() {
        let text = Lines::written_in(LogFormat::Text, a_line_with_everything);
        assert!(text.contains("WARN run_job{queue=\"mail\" job_id=\"7\"}"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
