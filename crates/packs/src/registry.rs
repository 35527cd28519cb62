//! Which executor runs a job, by the name of the job.
//!
//! Filled once at start, by the worker's own packs and by the program that embeds it; only read afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use operator_core::{Failure, Json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::excerpt::Excerpt;
use crate::{Context, Executor, SystemSettings, executor, system};

/// The names listed to a job of unknown type: enough to spot a typing mistake, short of a page per failed job.
const MAX_LISTED: usize = 20;

/// The longest unknown name that is repeated to the job that bears it.
const MAX_NAME_BYTES: usize = 200;

/// The executors of a worker by job name. Cheap to clone: clones share their entries until one is changed.
#[derive(Default, Clone)]
pub struct Registry {
    executors: Arc<BTreeMap<String, Arc<dyn Executor>>>,
    fallback: Option<Arc<dyn Executor>>,
}

impl Registry {
    /// A registry of the `system` pack.
    #[must_use]
    pub fn with_system(settings: SystemSettings) -> Self {
        let mut registry = Self::default();
        system::register(&mut registry, settings);
        registry
    }

    /// Runs jobs called `name` with `function`, in place of what ran them before.
    ///
    /// The data of the job is decoded as a `D`; data of another shape fails the job for good, with the path of the
    /// field at fault. A function that takes any data has [`Json`] as `D`, one that wants none `serde::de::IgnoredAny`.
    pub fn register<D, R, F, Fut>(&mut self, name: &str, function: F) -> &mut Self
    where
        D: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        F: Fn(D, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Failure>> + Send + 'static,
    {
        self.register_executor(name, executor::typed(function))
    }

    /// As [`Registry::register`], for a function that blocks its thread: it computes for long, or waits for files,
    /// processes or a database without `await`. It runs on threads that are there for this, so that other jobs go on.
    ///
    /// Nobody can stop such a function but itself: it should look at [`Context::cancelled`] between its steps. What it
    /// still does when its job has ended has no effect.
    pub fn register_blocking<D, R, F>(&mut self, name: &str, function: F) -> &mut Self
    where
        D: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        F: Fn(D, Context) -> Result<R, Failure> + Send + Sync + 'static,
    {
        self.register_executor(name, executor::blocking(function))
    }

    /// Runs jobs called `name` with `executor`, in place of what ran them before.
    pub fn register_executor(&mut self, name: &str, executor: Arc<dyn Executor>) -> &mut Self {
        Arc::make_mut(&mut self.executors).insert(name.to_owned(), executor);
        self
    }

    /// Runs jobs of every other name with `executor`, as a BullMQ worker does with its one processor.
    pub fn register_fallback(&mut self, executor: Arc<dyn Executor>) -> &mut Self {
        self.fallback = Some(executor);
        self
    }

    /// What runs jobs called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<dyn Executor>> {
        self.executors.get(name).or(self.fallback.as_ref()).cloned()
    }

    /// What is registered as `name`, the fallback aside.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<dyn Executor>> {
        self.executors.get(name).cloned()
    }

    /// Whether there is something that runs every other name.
    #[must_use]
    pub fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }

    /// The registered names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.executors.keys().map(String::as_str)
    }

    /// Runs one attempt of a job with the executor of its name.
    ///
    /// # Errors
    /// The executor's failure; an unrecoverable one when the name is unknown.
    #[must_use = "a future does nothing until it is awaited"]
    pub fn execute(&self, context: Context) -> BoxFuture<'static, Result<Json, Failure>> {
        match self.find(context.name()) {
            Some(executor) => executor.execute(context),
            None => future::ready(Err(self.unknown(context.name()))).boxed(),
        }
    }

    fn unknown(&self, name: &str) -> Failure {
        let mut listed: Vec<_> = self.names().take(MAX_LISTED).map(str::to_owned).collect();
        match self.executors.len().saturating_sub(MAX_LISTED) {
            0 if listed.is_empty() => listed.push("none".to_owned()),
            0 => {}
            more => listed.push(format!("and {more} more")),
        }
        let (name, listed) = (Excerpt(name, MAX_NAME_BYTES), listed.join(", "));
        Failure::unrecoverable(format!("no pack on this worker provides the job type `{name}`; it provides {listed}"))
    }
}

#[cfg(test)]
mod tests {
    use operator_core::FailureKind;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::Rehearsal;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        items: Vec<Item>,
    }

    #[derive(Deserialize)]
    struct Item {
        price: u32,
    }

    async fn total(order: Order, _context: Context) -> Result<u32, Failure> {
        Ok(order.items.iter().map(|item| item.price).sum())
    }

    async fn run(registry: &Registry, name: &str, data: serde_json::Value) -> Result<Json, Failure> {
        registry.execute(Rehearsal::of(name, data).context()).await
    }

    #[tokio::test]
    async fn a_typed_function_gets_its_data_and_gives_its_result() {
        let mut registry = Registry::default();
        registry.register("order.total", total);
        let result = run(&registry, "order.total", json!({"items": [{"price": 3}, {"price": 4}]})).await;
        assert_eq!(result.unwrap().as_str(), "7");
    }

    #[tokio::test]
    async fn data_that_does_not_fit_fails_for_good_and_names_its_path() {
        let mut registry = Registry::default();
        registry.register("order.total", total);
        for (data, part) in [
            (json!({"items": [{"price": 3}, {"price": "four"}]}), "items[1].price: invalid type"),
            (json!({"items": [], "discount": 1}), "discount: unknown field `discount`"),
            (json!({}), "the data does not fit `order.total`: missing field `items`"),
            (json!(null), "the data does not fit `order.total`: invalid type: null"),
        ] {
            let failure = run(&registry, "order.total", data.clone()).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unrecoverable);
            assert!(failure.message.contains(part), "{data}: {}", failure.message);
        }
    }

    #[tokio::test]
    async fn a_failure_does_not_repeat_the_data_of_the_job() {
        let mut registry = Registry::default();
        registry.register("order.total", total);
        let failure = run(&registry, "order.total", json!("x".repeat(100_000))).await.unwrap_err();
        assert!(failure.message.len() < 1000, "{} bytes", failure.message.len());
    }

    #[tokio::test]
    async fn a_function_of_json_gets_the_data_byte_for_byte() {
        let mut registry = Registry::default();
        registry.register("same", async |data: Json, _context| Ok(data));
        let text = r#"{ "b": 1.0, "a": "\u00e9" }"#;
        let context = Rehearsal::of("same", Json::parse(text).unwrap()).context();
        assert_eq!(registry.execute(context).await.unwrap().as_str(), text);
    }

    #[tokio::test]
    async fn an_unknown_name_fails_for_good_and_lists_what_there_is() {
        let mut registry = Registry::default();
        let failure = run(&registry, "b.c", json!(null)).await.unwrap_err();
        assert!(failure.message.ends_with("the job type `b.c`; it provides none"), "{}", failure.message);
        registry.register("a.b", total).register("a.a", total);
        let failure = run(&registry, "b.c", json!(null)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unrecoverable);
        assert_eq!(failure.message, "no pack on this worker provides the job type `b.c`; it provides a.a, a.b");
        for number in 0..40 {
            registry.register(&format!("n.{number}"), total);
        }
        let failure = run(&registry, "b.c", json!(null)).await.unwrap_err();
        assert!(failure.message.ends_with("and 22 more"), "{}", failure.message);
    }

    #[tokio::test]
    async fn a_fallback_runs_every_other_name() {
        let mut registry = Registry::default();
        registry.register("order.total", total);
        registry.register_fallback(Arc::new(|context: Context| async move { Ok(json!(context.name()).into()) }));
        assert_eq!(run(&registry, "anything", json!({})).await.unwrap().as_str(), r#""anything""#);
        assert_eq!(run(&registry, "order.total", json!({"items": []})).await.unwrap().as_str(), "0");
        assert_eq!(registry.names().collect::<Vec<_>>(), ["order.total"]);
    }

    #[test]
    fn a_change_to_a_clone_leaves_the_original_alone() {
        let mut original = Registry::default();
        original.register("a", total);
        let mut clone = original.clone();
        clone.register("b", total);
        assert!(original.find("b").is_none());
        assert!(clone.find("a").is_some());
    }
}
