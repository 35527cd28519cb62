//! What a parent knows of its children, and a child of its parent.

use std::collections::BTreeMap;

use operator_core::Json;
use serde::Deserialize;

use super::MAX_PAGE;
use crate::error::QueueError;
use crate::keys::JobKey;
use crate::queue::Queue;
use crate::redis::{Arg, Reply};
use crate::wire::job::json_or_text;

/// How a child stands with its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyKind {
    /// It has completed.
    Processed,
    /// It has not settled; the parent waits for it.
    Unprocessed,
    /// It failed, and the parent went on.
    Ignored,
    /// It failed, and the parent fails with it.
    Failed,
}

impl DependencyKind {
    /// In the order in which a flow's children are told.
    pub(super) const ALL: [Self; 4] = [Self::Processed, Self::Unprocessed, Self::Failed, Self::Ignored];

    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Unprocessed => "dependencies",
            Self::Ignored => "failed",
            Self::Failed => "unsuccessful",
        }
    }
}

/// How many children a parent has, by how they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DependencyCounts {
    /// Those that completed.
    pub processed: u64,
    /// Those it waits for.
    pub unprocessed: u64,
    /// Those that failed without consequence.
    pub ignored: u64,
    /// Those that failed and make it fail.
    pub failed: u64,
}

/// A child as its parent keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The child's full key; see [`JobKey::parse`].
    pub key: String,
    /// What a processed child returned. A value that is not JSON is given as text.
    pub value: Option<Json>,
    /// Why an ignored child failed.
    pub reason: Option<String>,
}

/// Some of a parent's children.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DependencyPage {
    /// The children, in no order that would mean anything.
    pub items: Vec<Dependency>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<u64>,
}

impl Queue {
    /// What the children of `id` that completed returned, by their full keys.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn children_values(&self, id: &str) -> Result<BTreeMap<String, Json>, QueueError> {
        let children = self.all_dependencies(id, DependencyKind::Processed).await?;
        Ok(children.into_iter().filter_map(|child| Some((child.key, child.value?))).collect())
    }

    /// Why children of `id` failed whose failure is ignored, by their full keys.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn ignored_children_failures(&self, id: &str) -> Result<BTreeMap<String, String>, QueueError> {
        let children = self.all_dependencies(id, DependencyKind::Ignored).await?;
        Ok(children.into_iter().filter_map(|child| Some((child.key, child.reason?))).collect())
    }

    /// The full keys of the children whose failure makes `id` fail.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn failed_children(&self, id: &str) -> Result<Vec<String>, QueueError> {
        let children = self.all_dependencies(id, DependencyKind::Failed).await?;
        Ok(children.into_iter().map(|child| child.key).collect())
    }

    /// How many children `id` has, by how they stand.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn dependency_counts(&self, id: &str) -> Result<DependencyCounts, QueueError> {
        let key = |kind: DependencyKind| vec![self.keys.of_job(id, kind.suffix()).into()];
        let answers = self
            .redis
            .commands(vec![
                ("HLEN", key(DependencyKind::Processed)),
                ("SCARD", key(DependencyKind::Unprocessed)),
                ("HLEN", key(DependencyKind::Ignored)),
                ("ZCARD", key(DependencyKind::Failed)),
            ])
            .await?;
        let count = |at: usize| answers.get(at).map_or(0, Reply::count);
        Ok(DependencyCounts { processed: count(0), unprocessed: count(1), ignored: count(2), failed: count(3) })
    }

    /// About `count` children of `id` that stand like this, from `cursor` (0 at first). Small collections come whole, and
    /// a child that settles while one turns the pages may be told twice or under both kinds.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn dependencies(
        &self,
        id: &str,
        kind: DependencyKind,
        cursor: u64,
        count: u64,
    ) -> Result<DependencyPage, QueueError> {
        let (command, args) = page_command(self.keys.of_job(id, kind.suffix()), kind, cursor, count);
        Ok(read_page(kind, self.redis.command(command, args).await?, cursor, count))
    }

    /// The parent of `id`, if it has one.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn parent(&self, id: &str) -> Result<Option<JobKey>, QueueError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Parent {
            id: String,
            queue_key: String,
        }
        let args = vec![self.keys.key(id).into(), "parent".into(), "parentKey".into()];
        let fields = self.redis.command("HMGET", args).await?.into_list();
        let text = |at: usize| fields.get(at).and_then(Reply::text);
        // Where the id of the parent contains a colon, only `parent` says where it begins.
        let parent = text(0).and_then(|parent| serde_json::from_str::<Parent>(&parent).ok());
        let parent = parent.and_then(|parent| JobKey::of(&parent.queue_key, &parent.id));
        Ok(parent.or_else(|| JobKey::parse(&text(1)?)))
    }

    async fn all_dependencies(&self, id: &str, kind: DependencyKind) -> Result<Vec<Dependency>, QueueError> {
        let mut page = self.dependencies(id, kind, 0, MAX_PAGE).await?;
        let mut all = std::mem::take(&mut page.items);
        while let Some(cursor) = page.next {
            page = self.dependencies(id, kind, cursor, MAX_PAGE).await?;
            all.append(&mut page.items);
        }
        Ok(all)
    }
}

/// How a page of the children of this kind is asked for.
pub(super) fn page_command(key: String, kind: DependencyKind, cursor: u64, count: u64) -> (&'static str, Vec<Arg>) {
    let count = count.clamp(1, MAX_PAGE);
    // Cursors are unsigned, and arguments are not.
    let scan = |key: String| vec![key.into(), cursor.to_string().into(), "COUNT".into(), count.into()];
    match kind {
        DependencyKind::Processed | DependencyKind::Ignored => ("HSCAN", scan(key)),
        DependencyKind::Unprocessed => ("SSCAN", scan(key)),
        DependencyKind::Failed => ("ZRANGE", vec![key.into(), cursor.into(), (cursor + count - 1).into()]),
    }
}

/// Reads the answer to [`page_command`].
pub(super) fn read_page(kind: DependencyKind, reply: Reply, cursor: u64, count: u64) -> DependencyPage {
    let bare = |key| Dependency { key, value: None, reason: None };
    if kind == DependencyKind::Failed {
        let items: Vec<_> = reply.into_texts().into_iter().map(bare).collect();
        let next = (items.len() as u64 >= count.clamp(1, MAX_PAGE)).then(|| cursor + items.len() as u64);
        return DependencyPage { items, next };
    }
    let mut parts = reply.into_list().into_iter();
    let next = parts.next().and_then(|next| next.text()?.parse().ok()).filter(|next| *next != 0);
    let texts = parts.next().map(Reply::into_texts).unwrap_or_default();
    let items = match kind {
        DependencyKind::Unprocessed => texts.into_iter().map(bare).collect(),
        DependencyKind::Processed => {
            pairs(texts, |key, text| Dependency { value: Some(json_or_text(text)), ..bare(key) })
        }
        _ => pairs(texts, |key, reason| Dependency { reason: Some(reason), ..bare(key) }),
    };
    DependencyPage { items, next }
}

fn pairs(texts: Vec<String>, child: impl Fn(String, String) -> Dependency) -> Vec<Dependency> {
    let mut texts = texts.into_iter();
    std::iter::from_fn(|| Some(child(texts.next()?, texts.next()?))).collect()
}
