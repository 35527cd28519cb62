//! The differences we declare: where BullMQ does what nobody can want, we do something else, and only there.

use serde::Serialize;

use crate::answer::Answer;
use crate::keyspace::Keyspace;
use crate::operation::Operation;
use crate::verdict::Unequal;

/// A difference on purpose.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Difference {
    /// What it is called.
    pub id: &'static str,
    /// What BullMQ does and what we do instead.
    pub sentence: &'static str,
    /// Whether this place differs in exactly this way.
    #[serde(skip)]
    explains: fn(&Moment<'_>, &Unequal) -> bool,
}

/// A step that both subjects have taken; keyspaces and answers are in their normal form.
#[derive(Debug)]
pub struct Moment<'a> {
    /// What was done.
    pub operation: &'a Operation,
    /// What was in both databases.
    pub before: &'a Keyspace,
    /// What BullMQ made of it.
    pub node: (&'a Answer, &'a Keyspace),
    /// What we made of it.
    pub ours: (&'a Answer, &'a Keyspace),
}

/// Every declared difference. A run over all scripted sequences fails when one of them does not occur.
pub static DIFFERENCES: &[Difference] = &[];

/// The declared difference that explains this place, if there is one.
pub(crate) fn explaining(moment: &Moment<'_>, unequal: &Unequal) -> Option<&'static str> {
    DIFFERENCES.iter().find(|difference| (difference.explains)(moment, unequal)).map(|difference| difference.id)
}
