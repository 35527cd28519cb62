//! Removing a job, with or without the children below it, and ending what a child is to its parent.

use crate::error::{QueueError, Refusal};
use crate::queue::{Queue, refuse_taken};
use crate::redis::{Arg, Reply};
use crate::scripts;

use super::{Progress, STEP};

/// The most jobs that are removed with their parent in one call: it is all of them or none, so it cannot be in steps.
/// Redis takes some hundred milliseconds for as many.
const MAX_TREE: u64 = 10_000;

/// The most entries of lists that one call looks at for the jobs it takes out of line: each is found by going through
/// the list. Redis takes some two hundred milliseconds for as many.
const MAX_ENTRIES: u64 = 5_000_000;

/// The script's answer to more than [`MAX_TREE`] or [`MAX_ENTRIES`]: no code of the wire.
const TOO_MANY: i64 = -100;

/// What goes with a removed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveOptions {
    /// The children below it, whatever their state and queue. Without, they stay and have no parent any more.
    pub children: bool,
}

impl Default for RemoveOptions {
    /// With the children, as BullMQ does it.
    fn default() -> Self {
        Self { children: true }
    }
}

impl Queue {
    /// Removes a job that no worker holds, and by default the children below it. A parent that waited for this job only
    /// goes back in line.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when the job does not exist, it or a child is held, or it is a scheduler's next
    /// iteration; [`QueueError::InvalidArgument`] when there are more than 10000 jobs below it, or so many of them in a
    /// line so long that it would take too long to find them there. Nothing is removed then.
    pub async fn remove(&self, id: &str, options: RemoveOptions) -> Result<(), QueueError> {
        refuse_taken(id)?;
        let children = if options.children { "1" } else { "0" };
        let args: Vec<Arg> = vec![
            self.keys.prefix().into(),
            id.into(),
            self.now_ms().into(),
            children.into(),
            MAX_TREE.into(),
            MAX_ENTRIES.into(),
        ];
        match self.script(&scripts::REMOVE, Some(id), args).await?.expect_int("of remove")? {
            1 => Ok(()),
            TOO_MANY => Err(too_many()),
            code => Err(QueueError::Refused { id: id.to_owned(), refusal: Refusal::from_code(code) }),
        }
    }

    /// Removes the children that a job still waits for, with what they wait for in turn, in steps. Children that a
    /// worker holds or that have failed stay. The job goes back in line when it waits for none any more.
    /// Returns how many jobs were removed; a job that does not exist has no children.
    ///
    /// # Errors
    /// [`QueueError::InvalidArgument`] when there are more than 10000 jobs below one child, or in a line too long;
    /// [`QueueError::Redis`].
    pub async fn remove_unprocessed_children(
        &self,
        id: &str,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<u64, QueueError> {
        let (mut removed, mut cursor) = (0, "0".to_owned());
        loop {
            let args: Vec<Arg> = vec![
                self.keys.prefix().into(),
                id.into(),
                self.now_ms().into(),
                cursor.as_str().into(),
                STEP.into(),
                MAX_TREE.into(),
                MAX_ENTRIES.into(),
            ];
            let answer = self.script(&scripts::REMOVE_UNPROCESSED, Some(id), args).await?.into_list();
            let [count, next, is_more] = <[Reply; 3]>::try_from(answer).map_err(|_| unreadable())?;
            if count.int() == Some(TOO_MANY) {
                return Err(too_many());
            }
            removed += count.count();
            let done = is_more.count() == 0;
            progress(Progress { jobs: removed, done });
            if done {
                return Ok(removed);
            }
            cursor = next.text().ok_or_else(unreadable)?;
        }
    }

    /// Ends what a job is to its parent, which no longer waits for it. Says whether the parent did.
    ///
    /// # Errors
    /// [`QueueError::Refused`] when the job does not exist, or has no parent, or the parent is gone.
    pub async fn remove_child_dependency(&self, id: &str) -> Result<bool, QueueError> {
        let args = vec![self.now_ms().into()];
        Ok(self.job_script(&scripts::REMOVE_CHILD_DEPENDENCY, id, args).await? == 0)
    }
}

fn too_many() -> QueueError {
    let problem = format!(
        "there are more than {MAX_TREE} jobs below, or it would take too long to find them in line: remove the \
         unprocessed ones first, or the job without its children"
    );
    QueueError::InvalidArgument { field: "children", problem }
}

fn unreadable() -> QueueError {
    let problem = "it is not three values".to_owned();
    QueueError::Corrupt { what: "the answer of remove_unprocessed".to_owned(), problem }
}
