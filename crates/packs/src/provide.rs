//! From the job types of a pack to executors: what runs each, with its data checked before and its result after, and no
//! more at a time than it allows.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use operator_core::pack::{Mismatch, Schema};
use operator_core::{Failure, FailureKind, Json};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::excerpt::Excerpt;
use crate::manifest::{ExecutorSpec, HttpSpec, JobTypeSpec, Manifest};
use crate::secrets::Secrets;
use crate::service::{Endpoint, Service, ServiceSettings, SigningKey};
use crate::{Context, Executor, Registry};
#[cfg(target_os = "linux")]
use crate::{command::Command, sandbox::Sandbox};

/// The longest list of mismatches that is stored with a job.
const MAX_TOLD_BYTES: usize = 1000;

/// What the executors of a worker share.
pub struct Equipment {
    /// Confines programs; needed where there are any.
    #[cfg(target_os = "linux")]
    pub sandbox: Option<Sandbox>,
    /// Where secrets come from.
    pub secrets: Secrets,
    /// What services share.
    pub services: ServiceSettings,
}

/// A job type that cannot be run here.
#[derive(Debug, Error)]
#[error("the job type {name} of the pack {pack} cannot be run by this worker: {problem}")]
pub struct CannotProvide {
    /// The job type.
    pub name: String,
    /// Its pack and version.
    pub pack: String,
    /// Why, and what to do.
    pub problem: String,
}

/// Registers the job types of `manifest`.
///
/// # Errors
/// [`CannotProvide`] for the first that cannot be run here.
pub fn provide(registry: &mut Registry, manifest: &Manifest, equipment: &Equipment) -> Result<(), CannotProvide> {
    for spec in manifest.job_types.values() {
        let executor = executor_of(spec, equipment, registry).map_err(|problem| CannotProvide {
            name: spec.name.clone(),
            pack: spec.pack.to_string(),
            problem,
        })?;
        registry.register_executor(&spec.name, Arc::new(Checked::new(spec, executor)));
    }
    Ok(())
}

fn executor_of(spec: &JobTypeSpec, equipment: &Equipment, registry: &Registry) -> Result<Arc<dyn Executor>, String> {
    let registered = registry.get(&spec.name);
    match &spec.executor {
        ExecutorSpec::Rust => registered.ok_or_else(|| {
            format!(
                "it is `rust`, and nobody registered a function: call job({:?}, …) where the worker is built",
                spec.name
            )
        }),
        _ if registered.is_some() => Err("something else is registered under its name: give it another".to_owned()),
        ExecutorSpec::Command(_) => command(spec, equipment),
        ExecutorSpec::Http(http) => service(http, equipment),
    }
}

fn service(spec: &HttpSpec, equipment: &Equipment) -> Result<Arc<dyn Executor>, String> {
    let url = spec.url.parse().map_err(|error| format!("url: {error}"))?;
    let key = match &spec.secret {
        Some(name) => {
            let secret = equipment.secrets.get(name).map_err(|error| error.to_string())?;
            Some(SigningKey::new(secret.expose()).map_err(|problem| format!("the secret {name}: {problem}"))?)
        }
        None => None,
    };
    let headers = spec.headers.iter().map(|(name, value)| {
        let pair = (name.parse().ok(), value.parse().ok());
        let (Some(name), Some(value)) = pair else { return Err(format!("the header {name} cannot be sent")) };
        Ok((name, value))
    });
    let endpoint = Endpoint {
        url,
        headers: headers.collect::<Result<_, _>>()?,
        key,
        allow_private: spec.allow_private,
        callback_within: spec.callback_within,
        max_response_bytes: usize::try_from(spec.max_response_bytes).unwrap_or(usize::MAX),
    };
    Ok(Arc::new(Service::new(endpoint, equipment.services.clone())?))
}

#[cfg(target_os = "linux")]
fn command(spec: &JobTypeSpec, equipment: &Equipment) -> Result<Arc<dyn Executor>, String> {
    let sandbox = equipment.sandbox.as_ref().ok_or("this worker has no sandbox for programs")?;
    let made = Command::of(sandbox, &equipment.secrets, spec).map_err(|error| error.to_string())?;
    made.map(|command| Arc::new(command) as Arc<dyn Executor>).ok_or_else(|| "no program runs it".to_owned())
}

#[cfg(not(target_os = "linux"))]
fn command(_: &JobTypeSpec, _: &Equipment) -> Result<Arc<dyn Executor>, String> {
    Err("programs are run on Linux only: run this worker there".to_owned())
}

/// An executor with what its job type says around it.
struct Checked {
    input: Option<Arc<Schema>>,
    output: Option<Arc<Schema>>,
    /// One permit for each job that may run at a time.
    places: Option<Arc<Semaphore>>,
    /// For jobs of producers that know nothing of the job type.
    timeout: Option<Duration>,
    not_retried: Arc<[String]>,
    executor: Arc<dyn Executor>,
}

impl Checked {
    fn new(spec: &JobTypeSpec, executor: Arc<dyn Executor>) -> Self {
        let places = spec.defaults.concurrency.and_then(|count| usize::try_from(count).ok());
        Self {
            input: spec.input.clone(),
            output: spec.output.clone(),
            places: places.map(|count| Arc::new(Semaphore::new(count))),
            timeout: spec.defaults.timeout_ms.filter(|ms| *ms > 0).map(Duration::from_millis),
            not_retried: spec.defaults.not_retried.clone().into(),
            executor,
        }
    }
}

impl Executor for Checked {
    fn execute(&self, context: Context) -> BoxFuture<'static, Result<Json, Failure>> {
        let (places, output) = (self.places.clone(), self.output.clone());
        let (input, executor) = (self.input.clone(), Arc::clone(&self.executor));
        let not_retried = Arc::clone(&self.not_retried);
        let timeout = self.timeout.filter(|_| context.job().opts.timeout_ms.is_none());
        async move {
            let name = context.name().to_owned();
            fits(input.as_deref(), context.data(), || format!("the data does not fit `{name}`"))?;
            // Held until the job ends, also when it is dropped. The semaphore is never closed.
            let _place = match places {
                Some(places) => tokio::select! {
                    place = places.acquire_owned() => place.ok(),
                    () = context.cancelled().cancelled() => return Err(context.stopped()),
                },
                None => None,
            };
            let ended = match timeout {
                None => executor.execute(context).await,
                Some(limit) => tokio::time::timeout(limit, executor.execute(context))
                    .await
                    .unwrap_or_else(|_| Err(timed_out(limit))),
            };
            let result = ended.map_err(|failure| decided(failure, &not_retried))?;
            fits(output.as_deref(), &result, || format!("the result does not fit `{name}`"))?;
            Ok(result)
        }
        .boxed()
    }
}

fn timed_out(limit: Duration) -> Failure {
    Failure::retryable(format!("timed out after {} ms", limit.as_millis())).with_code("timeout")
}

/// A failure after which the job type allows no attempt ends the job.
fn decided(failure: Failure, not_retried: &[String]) -> Failure {
    let is_last = failure.code.as_ref().is_some_and(|code| not_retried.contains(code));
    let ends = is_last && failure.kind == FailureKind::Retryable;
    if ends { Failure { kind: FailureKind::Unrecoverable, ..failure } } else { failure }
}

fn fits(schema: Option<&Schema>, document: &Json, what: impl FnOnce() -> String) -> Result<(), Failure> {
    let mismatches = schema.map(|schema| schema.mismatches(document)).unwrap_or_default();
    if mismatches.is_empty() {
        return Ok(());
    }
    let told = mismatches.iter().map(Mismatch::to_string).collect::<Vec<_>>().join("; ");
    Err(Failure::unrecoverable(format!("{}: {}", what(), Excerpt(&told, MAX_TOLD_BYTES))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::Rehearsal;
    use crate::manifest::PackSource;

    fn checked(executor: Arc<dyn Executor>, concurrency: Option<u32>) -> Checked {
        let schema = |source: Value| Some(Arc::new(Schema::compile(&source.into()).unwrap()));
        let mut spec = JobTypeSpec {
            name: "t".to_owned(),
            pack: Arc::new(PackSource { id: "p".to_owned(), version: "1.0.0".parse().unwrap(), folder: "/".into() }),
            description: String::new(),
            input: schema(json!({"required": ["n"], "properties": {"n": {"type": "integer"}}})),
            output: schema(json!({"type": "integer"})),
            executor: ExecutorSpec::Rust,
            defaults: serde_json::from_str("{}").unwrap(),
            permissions: crate::manifest::Permissions::default(),
        };
        spec.defaults.concurrency = concurrency;
        Checked::new(&spec, executor)
    }

    async fn run(executor: &Checked, data: Value) -> Result<Json, Failure> {
        executor.execute(Rehearsal::of("t", data).context()).await
    }

    #[tokio::test]
    async fn data_is_checked_before_and_the_result_after() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let executor = checked(
            Arc::new(move |context: Context| {
                counted.fetch_add(1, Ordering::SeqCst);
                async move {
                    let fields: BTreeMap<String, Json> = context.data().decode()?;
                    Ok(fields.get("result").cloned().unwrap_or_else(Json::null))
                }
            }),
            None,
        );
        assert_eq!(run(&executor, json!({"n": 1, "result": 2})).await.unwrap().as_str(), "2");
        for (data, told, count) in [
            (json!({}), "the data does not fit `t`: /n: is missing", 1),
            (json!({"n": "HUNTER2"}), "the data does not fit `t`: /n: value is not of type", 1),
            (json!({"n": 1, "result": "HUNTER2"}), "the result does not fit `t`: value is not of type", 2),
        ] {
            let failure = run(&executor, data).await.unwrap_err();
            assert_eq!((failure.kind, runs.load(Ordering::SeqCst)), (FailureKind::Unrecoverable, count));
            assert!(failure.message.starts_with(told) && !failure.message.contains("HUNTER2"), "{}", failure.message);
        }
    }

    #[tokio::test]
    async fn no_more_run_at_a_time_than_the_type_allows() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (entered, highest) = (Arc::clone(&running), Arc::clone(&most));
        let executor = checked(
            Arc::new(move |_: Context| {
                let (running, most) = (Arc::clone(&entered), Arc::clone(&highest));
                async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok(Json::from(json!(1)))
                }
            }),
            Some(2),
        );
        let results = futures::future::join_all((0..6).map(|n| run(&executor, json!({"n": n})))).await;
        assert!(results.iter().all(Result::is_ok));
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_says_nothing_of_limits_has_those_of_its_type() {
        let spec = |executor| {
            let mut checked = checked(executor, None);
            checked.timeout = Some(Duration::from_millis(50));
            checked.not_retried = ["gone".to_owned()].into();
            checked
        };
        let endless = spec(Arc::new(|_: Context| futures::future::pending()));
        let failure = run(&endless, json!({"n": 1})).await.unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Retryable, "timed out after 50 ms"));
        for (code, kind) in [("gone", FailureKind::Unrecoverable), ("busy", FailureKind::Retryable)] {
            let failing =
                spec(Arc::new(move |_: Context| async move { Err(Failure::retryable("no").with_code(code)) }));
            assert_eq!(run(&failing, json!({"n": 1})).await.unwrap_err().kind, kind);
        }
    }

    #[tokio::test]
    async fn a_job_that_waits_for_its_place_can_be_stopped() {
        let executor = checked(Arc::new(|_: Context| futures::future::pending()), Some(1));
        let _holder = tokio::spawn(executor.execute(Rehearsal::of("t", json!({"n": 1})).context()));
        tokio::task::yield_now().await;
        let waiting = Rehearsal::of("t", json!({"n": 2}));
        let job = tokio::spawn(executor.execute(waiting.context()));
        waiting.cancel();
        assert_eq!(job.await.unwrap().unwrap_err().kind, FailureKind::Retryable);
    }

    #[test]
    fn a_rust_job_type_that_nobody_registered_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = "{id: p, version: 1.0.0, job_types: {x.y: {executor: {rust: {}}}}}";
        std::fs::write(folder.path().join("pack.yaml"), text).unwrap();
        let manifest = Manifest::load(folder.path()).unwrap();
        let equipment = Equipment::for_tests();
        let mut registry = Registry::default();
        let error = provide(&mut registry, &manifest, &equipment).unwrap_err().to_string();
        assert!(error.contains("x.y of the pack p@1.0.0") && error.contains("job(\"x.y\""), "{error}");
        registry.register("x.y", async |_: Json, _| Ok(1));
        provide(&mut registry, &manifest, &equipment).unwrap();
    }

    impl Equipment {
        fn for_tests() -> Self {
            let nothing: std::collections::HashMap<&str, &str> = std::collections::HashMap::new();
            Self {
                #[cfg(target_os = "linux")]
                sandbox: None,
                secrets: Secrets::new(Arc::new(nothing), None),
                services: ServiceSettings::default(),
            }
        }
    }
}
