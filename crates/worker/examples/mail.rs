//! The jobs of `interop/mail/worker.mjs` in Rust, for the page `docs/move-from-bullmq.md`. `REDIS_URL` and `QUEUE_NAME`
//! say where they come from.

use operator_worker::{Context, Exit, Failure, Registry};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Welcome {
    to: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    sent_to: String,
}

#[derive(Deserialize)]
struct Section {
    topic: String,
}

#[derive(Deserialize)]
struct Reminder {
    run: String,
}

/// The first attempt for every third user fails, as mail servers do.
async fn welcome(mail: Welcome, context: Context) -> Result<Sent, Failure> {
    let user = first_number(&mail.to)
        .ok_or_else(|| Failure::unrecoverable(format!("{} is not an address of ours", mail.to)))?;
    if user % 3 == 0 && context.attempts_made() == 0 {
        return Err(Failure::retryable("the mail server is busy"));
    }
    context.progress(100).await?;
    context.log(&format!("sent to {}", mail.to)).await?;
    Ok(Sent { sent_to: mail.to })
}

async fn section(section: Section, _: Context) -> Result<String, Failure> {
    Ok(format!("everything about {}", section.topic))
}

async fn digest(_: Value, context: Context) -> Result<Value, Failure> {
    let mut sections: Vec<String> = context.children_values().await?.into_values().collect();
    sections.sort_unstable();
    Ok(json!({ "sections": sections }))
}

async fn remind(reminder: Reminder, _: Context) -> Result<String, Failure> {
    Ok(format!("reminded by {}", reminder.run))
}

fn first_number(text: &str) -> Option<u64> {
    let digits = text.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Adds the application's jobs to those of a worker.
pub(crate) fn register(jobs: &mut Registry) {
    jobs.register("welcome", welcome)
        .register("section", section)
        .register("digest", digest)
        .register("remind", remind);
}

fn main() -> Exit {
    operator_worker::run("mail", register)
}
