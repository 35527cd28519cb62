//! Jobs that wait, without a slot, for a service to call back.
//!
//! A job that expects a callback has two fields of its own in its hash, which BullMQ leaves alone: `operator:callback`
//! says what it waits with, `operator:answer` holds what came. It waits delayed until the callback expires, so that a
//! service that never calls back costs an attempt and not the job.

use backon::Retryable;
use operator_core::{Callback, CallbackAnswer, Json};
use thiserror::Error;
use uuid::Uuid;

use crate::error::{QueueError, Refusal};
use crate::queue::Queue;
use crate::redis::RedisError;
use crate::scripts;
use crate::worker::Hold;
use crate::worker::reconnects;

/// Why a callback was not taken; the job is as it was.
#[derive(Debug, Error)]
pub enum CallbackError {
    /// No job of that id waits with that token.
    #[error("no job waits for this callback")]
    Unknown,
    /// It came too late: the attempt has failed, or is about to.
    #[error("the callback has expired")]
    Expired,
    /// It is the second one, or the job has finished.
    #[error("the callback was made already, or its job has finished")]
    Answered,
    /// Nothing is known of it.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Queue {
    /// Ends the wait of the job `id`, whose worker told somebody `token`: it runs again, and finds `answer`.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub async fn call_back(&self, id: &str, token: &str, answer: &CallbackAnswer) -> Result<(), CallbackError> {
        let answer = Json::encode(answer).expect("an answer of JSON and text is JSON");
        let args = vec![id.into(), token.into(), answer.as_str().into(), self.now_ms().into()];
        match self.job_script(&scripts::CALLBACK, id, args).await {
            Ok(_) => Ok(()),
            Err(QueueError::Refused { refusal: Refusal::JobMissing, .. }) => Err(CallbackError::Unknown),
            Err(QueueError::Refused { refusal: Refusal::LockMissing, .. }) => Err(CallbackError::Expired),
            Err(QueueError::Refused { .. }) => Err(CallbackError::Answered),
            Err(error) => Err(error.into()),
        }
    }

    async fn has_answer(&self, id: &str) -> Result<bool, QueueError> {
        let args = vec![self.keys.key(id).into(), "operator:answer".into()];
        Ok(self.redis.command("HGET", args).await?.text().is_some_and(|answer| !answer.is_empty()))
    }
}

impl Hold {
    /// What this attempt of the job waits with: a new callback that expires at `expires_ms` (epoch milliseconds), or the
    /// one it has already, with what came of it. Whoever is to call back is told the token.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when the job is not held any more, [`QueueError::Redis`].
    pub async fn expect_callback(&self, expires_ms: u64) -> Result<Callback, QueueError> {
        let id = self.job().id.as_str();
        let token = Uuid::new_v4().simple().to_string();
        let args = vec![
            self.token().into(),
            u64::from(self.job().attempts_made.saturating_add(1)).into(),
            expires_ms.into(),
            token.as_str().into(),
        ];
        let reply = self.queue().script(&scripts::EXPECT_CALLBACK, Some(id), args).await?;
        if let Some(code) = reply.int() {
            return Err(QueueError::Refused { id: id.to_owned(), refusal: Refusal::from_code(code) });
        }
        let [waits, answer] = <[String; 2]>::try_from(reply.into_texts())
            .map_err(|_| RedisError::Answer { what: scripts::EXPECT_CALLBACK.name })?;
        read(&waits, &answer).map_err(|problem| QueueError::Corrupt { what: self.queue().keys.key(id), problem })
    }

    /// Parks the job until its callback comes, or `expires_ms` (epoch milliseconds). The attempt does not end.
    ///
    /// # Errors
    /// As [`Hold::move_to_delayed`].
    pub async fn wait_for_callback(&self, expires_ms: u64) -> Result<(), QueueError> {
        self.move_to_delayed(expires_ms).await?;
        // One that came before the job was parked could let nothing run.
        let (queue, id) = (self.queue(), self.job().id.as_str());
        let look = || async {
            match queue.has_answer(id).await {
                Ok(true) => queue.promote(id).await,
                other => other.map(drop),
            }
        };
        let looked = look.retry(reconnects()).when(|error| matches!(error, QueueError::Redis(_))).await;
        match looked {
            // It runs already, or is gone.
            Ok(()) | Err(QueueError::Refused { .. }) => {}
            Err(error) => tracing::warn!(%error, id, "a callback may have to wait until it expires"),
        }
        Ok(())
    }
}

fn read(waits: &str, answer: &str) -> Result<Callback, String> {
    let mut words = waits.split(' ').skip(1);
    let (Some(expires_ms), Some(token)) = (words.next().and_then(|text| text.parse().ok()), words.next()) else {
        return Err("operator:callback is no expiry and token".to_owned());
    };
    let decode = |text: &str| Json::parse(text).and_then(|json| json.decode());
    let answer = if answer.is_empty() { None } else { Some(decode(answer).map_err(|error| error.to_string())?) };
    Ok(Callback { token: token.to_owned(), expires_ms, answer })
}
