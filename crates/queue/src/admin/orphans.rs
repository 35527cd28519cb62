//! Removing jobs that their queue has lost: whose hash is there, and whose id is in no state.

use std::collections::HashSet;

use crate::error::QueueError;
use crate::queue::Queue;
use crate::redis::Arg;
use crate::scripts;

use super::keyspace::Part;
use super::{Progress, STEP};

/// How many ids one call of the script looks up: in lists each look-up takes as long as they are.
const CHUNK: usize = 100;

/// The states that are kept in lists.
const LISTS: [&str; 3] = ["wait", "paused", "active"];

impl Queue {
    /// Removes jobs that are in no state, with what belongs to them, and returns how many. A key that does not look like
    /// a job (a hash with name, data, opts and timestamp) is left alone.
    ///
    /// Looks through all keys of the server, in small steps, and holds the ids of the waiting jobs meanwhile.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn remove_orphans(&self, mut progress: impl FnMut(Progress) + Send) -> Result<u64, QueueError> {
        let listed = self.listed_ids().await?;
        let mut jobs = 0;
        let mut scan = self.scan_keys();
        while let Some(page) = scan.next_page().await? {
            let suspects = page.iter().filter_map(|rest| match Part::of(rest) {
                Part::Job(id) if !listed.contains(id) => Some(id),
                _ => None,
            });
            jobs += self.remove_stateless(&suspects.collect::<Vec<_>>()).await?;
            progress(Progress { jobs, done: false });
        }
        progress(Progress { jobs, done: true });
        Ok(jobs)
    }

    /// Removes those of these jobs that are in no state.
    pub(super) async fn remove_stateless(&self, ids: &[&str]) -> Result<u64, QueueError> {
        let mut jobs = 0;
        for chunk in ids.chunks(CHUNK) {
            let mut args: Vec<Arg> = vec![self.keys.prefix().into()];
            args.extend(chunk.iter().copied().map(Arg::from));
            jobs += self.script(&scripts::ORPHANS, None, args).await?.count();
        }
        Ok(jobs)
    }

    /// The ids in the lists. It spares the script most of the look-ups in them; it need not be complete, because the
    /// script looks again.
    async fn listed_ids(&self) -> Result<HashSet<String>, QueueError> {
        let mut listed = HashSet::new();
        for list in LISTS {
            let mut first = 0;
            loop {
                let args = vec![self.keys.key(list).into(), first.into(), (first + STEP - 1).into()];
                let page = self.redis.command("LRANGE", args).await?.into_texts();
                if page.is_empty() {
                    break;
                }
                listed.extend(page);
                first += STEP;
            }
        }
        Ok(listed)
    }
}
