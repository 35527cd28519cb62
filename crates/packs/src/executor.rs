//! What runs a job, and how a typed function becomes something that runs jobs.
//!
//! Retries, time limits and panics are the worker's business: an executor only turns a context into a result.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use operator_core::{Failure, Json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Context;
use crate::excerpt::Excerpt;

/// The longest description of bad data that is kept: enough for any path, short of repeating the data itself.
const MAX_PROBLEM_BYTES: usize = 500;

/// What runs the jobs of one type.
///
/// Any `Fn(Context) -> impl Future<Output = Result<Json, Failure>>` is one. A worker that gives the job up cancels
/// [`Context::cancelled`] and may then drop the future at an await, so what must not be left half-done belongs in a
/// task of its own.
pub trait Executor: Send + Sync + 'static {
    /// Runs one attempt of a job.
    fn execute(&self, context: Context) -> BoxFuture<'static, Result<Json, Failure>>;
}

impl<F, Fut> Executor for F
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Json, Failure>> + Send + 'static,
{
    fn execute(&self, context: Context) -> BoxFuture<'static, Result<Json, Failure>> {
        self(context).boxed()
    }
}

/// The executor that decodes the data, calls `function` with it and encodes what it returns.
pub(crate) fn typed<D, R, F, Fut>(function: F) -> Arc<dyn Executor>
where
    D: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    F: Fn(D, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Failure>> + Send + 'static,
{
    let function = Arc::new(function);
    Arc::new(move |context: Context| {
        let function = Arc::clone(&function);
        async move {
            let data = decode::<D>(&context)?;
            let name = context.name().to_owned();
            let result = function(data, context).await?;
            Json::encode(&result)
                .map_err(|error| Failure::unrecoverable(format!("the result of `{name}` cannot be JSON: {error}")))
        }
    })
}

/// As [`typed`], for a function that blocks its thread.
pub(crate) fn blocking<D, R, F>(function: F) -> Arc<dyn Executor>
where
    D: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    F: Fn(D, Context) -> Result<R, Failure> + Send + Sync + 'static,
{
    let function = Arc::new(function);
    typed(move |data: D, context: Context| {
        let function = Arc::clone(&function);
        async move {
            let span = tracing::Span::current();
            let run = tokio::task::spawn_blocking(move || span.in_scope(|| function(data, context)));
            match run.await {
                Ok(result) => result,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => Err(Failure::retryable(format!("the job's thread was ended: {error}"))),
                },
            }
        }
    })
}

fn decode<D: DeserializeOwned>(context: &Context) -> Result<D, Failure> {
    let mut deserializer = serde_json::Deserializer::from_str(context.data().as_str());
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = match error.path().to_string() {
            root if root == "." => String::new(),
            path => format!("{path}: "),
        };
        let problem = error.into_inner().to_string();
        bad_data(context, &format!("{path}{problem}"))
    })
}

/// The failure of a job whose data its type cannot use; `problem` begins with the path of the field.
pub(crate) fn bad_data(context: &Context, problem: &str) -> Failure {
    let problem = Excerpt(problem, MAX_PROBLEM_BYTES);
    Failure::unrecoverable(format!("the data does not fit `{}`: {problem}", context.name()))
}
