//! What a process says about itself and how it logs and traces, read from the environment.

use axum::http::Uri;
use operator_core::settings::{Reader, vars};
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::LogFormat;

/// Who this process is, as `GET /version` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The name of the service.
    pub service: String,
    /// The version of the program.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// The name of the environment it runs in.
    pub env: String,
}

/// The checked settings of logs, traces and identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// What is logged, in the syntax of `tracing_subscriber::EnvFilter`; parses.
    pub log_filter: String,
    /// How a log line looks; `None` decides by whether the stream is a terminal.
    pub log_format: Option<LogFormat>,
    /// `APP_NAME`, where set.
    pub service: Option<String>,
    /// The version of the program.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// The name of the environment.
    pub environment: String,
    /// The base URL of an OTLP collector; without one no spans are made.
    pub otlp_endpoint: Option<String>,
}

impl TelemetrySettings {
    /// Reads the settings; what is wrong with them is left in `reader`.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            log_filter: log_filter(reader),
            log_format: log_format(reader),
            service: reader.text(&vars::APP_NAME),
            version: reader.text_or(&vars::APP_VERSION, env!("CARGO_PKG_VERSION")),
            commit: reader.text_or(&vars::COMMIT_SHA, "unknown"),
            environment: reader.text_or(&vars::ENVIRONMENT, "development"),
            otlp_endpoint: otlp_endpoint(reader),
        }
    }

    /// Who this process is; `default_service` names it when `APP_NAME` does not.
    #[must_use]
    pub fn identity(&self, default_service: &str) -> Identity {
        Identity {
            service: self.service.clone().unwrap_or_else(|| default_service.to_owned()),
            version: self.version.clone(),
            commit: self.commit.clone(),
            env: self.environment.clone(),
        }
    }
}

/// Says in the log which values came from an older name, after logs have been set up.
pub fn log_older_names(names: &[(&str, &str)]) {
    for (documented, older) in names {
        tracing::warn!("{documented} was read from its older name {older}: set {documented} instead");
    }
}

fn log_filter(reader: &mut Reader<'_>) -> String {
    let text = reader.text_or(&vars::LOG_LEVEL, "info");
    let filter = text.split(',').map(|part| directive(part.trim())).collect::<Vec<_>>().join(",");
    let bare_word = filter.split(',').find(|part| !part.contains(['=', '[']) && part.parse::<LevelFilter>().is_err());
    if let Some(word) = bare_word {
        reader.problem(&vars::LOG_LEVEL, format!("`{word}` is not one of error, warn, info, debug, trace, off"));
    } else if let Err(error) = EnvFilter::builder().parse(&filter) {
        reader.problem(&vars::LOG_LEVEL, format!("`{text}` is not a log filter: {error}"));
    } else {
        return filter;
    }
    "info".to_owned()
}

/// `warning` is how other logging systems spell `warn`.
fn directive(part: &str) -> String {
    if part.eq_ignore_ascii_case("warning") { "warn".to_owned() } else { part.to_owned() }
}

fn log_format(reader: &mut Reader<'_>) -> Option<LogFormat> {
    let text = reader.text(&vars::OPERATOR_LOG_FORMAT)?;
    match text.to_ascii_lowercase().as_str() {
        "json" => Some(LogFormat::Json),
        "text" => Some(LogFormat::Text),
        _ => {
            reader.problem(&vars::OPERATOR_LOG_FORMAT, format!("`{text}` is neither text nor json"));
            None
        }
    }
}

fn otlp_endpoint(reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.text(&vars::OTEL_EXPORTER_OTLP_ENDPOINT)?;
    if text.parse().is_ok_and(|uri| is_base_url(&uri)) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    let problem = "not a base URL such as http://collector:4318; credentials belong in OTEL_EXPORTER_OTLP_HEADERS";
    reader.problem(&vars::OTEL_EXPORTER_OTLP_ENDPOINT, problem);
    None
}

/// Credentials in the URL are refused because the URL appears in logs, and a query because a path is appended.
fn is_base_url(uri: &Uri) -> bool {
    let has_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    matches!(uri.scheme_str(), Some("http" | "https")) && has_host && uri.query().is_none()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(vars: &[(&'static str, &'static str)]) -> (TelemetrySettings, Vec<String>) {
        let source: HashMap<&str, &str> = vars.iter().copied().collect();
        let mut reader = Reader::new(&source);
        let settings = TelemetrySettings::read(&mut reader);
        let problems = reader.finish().err().map(|bad| bad.problems).unwrap_or_default();
        (settings, problems)
    }

    #[test]
    fn nothing_set_means_info_no_traces_and_the_names_of_the_package() {
        let (settings, problems) = read(&[]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((settings.log_filter.as_str(), settings.log_format, &settings.otlp_endpoint), ("info", None, &None));
        let identity = settings.identity("operator-worker");
        assert_eq!((identity.service.as_str(), identity.env.as_str()), ("operator-worker", "development"));
        assert_eq!((identity.version.as_str(), identity.commit.as_str()), (env!("CARGO_PKG_VERSION"), "unknown"));
    }

    #[test]
    fn the_identity_is_what_the_environment_says() {
        let (settings, _) =
            read(&[("APP_NAME", "ops"), ("APP_VERSION", "9"), ("COMMIT_SHA", "abc"), ("BR_OS_ENV", "staging")]);
        let identity = settings.identity("operator-worker");
        assert_eq!((identity.service.as_str(), identity.version.as_str()), ("ops", "9"));
        assert_eq!((identity.commit.as_str(), identity.env.as_str()), ("abc", "staging"));
    }

    #[test]
    fn levels_and_filters_are_accepted_as_people_write_them() {
        for (given, filter) in [
            ("INFO", "INFO"),
            ("WARNING", "warn"),
            ("operator_queue=debug, info", "operator_queue=debug,info"),
            ("off", "off"),
        ] {
            let (settings, problems) = read(&[("RUST_LOG", given)]);
            assert_eq!((settings.log_filter.as_str(), problems.len()), (filter, 0), "{given}");
        }
    }

    #[test]
    fn every_unusable_value_names_its_variable() {
        for (name, value) in [
            ("LOG_LEVEL", "verbose"),
            ("LOG_LEVEL", "operator_queue=loud"),
            ("OPERATOR_LOG_FORMAT", "xml"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "redis://collector"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@collector:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/?key=s3cret"),
        ] {
            let (_, problems) = read(&[(name, value)]);
            assert_eq!(problems.len(), 1, "{name}={value}: {problems:?}");
            assert!(problems[0].starts_with(name) && !problems[0].contains("s3cret"), "{problems:?}");
        }
    }

    #[test]
    fn the_endpoint_loses_its_trailing_slash() {
        let (settings, _) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")]);
        assert_eq!(settings.otlp_endpoint.as_deref(), Some("http://collector:4318"));
    }
}
