//! Every Lua script, joined with the parts it uses, and the keys it is called with.
//!
//! The shared parts of `lua/include/` come first, in the order they need each other, then the script itself.

/// A script and the suffixes of the keys it declares, in `KEYS` order.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// The file under `lua/`, without ending; also the label of its metrics.
    pub name: &'static str,
    /// The whole text.
    pub text: &'static str,
    /// Key suffixes within the queue; `<job>` stands for the job's own key and `<job>:…` for one that belongs to it.
    pub keys: &'static [&'static str],
}

macro_rules! script {
    ($(#[$doc:meta])* $ident:ident = $name:literal, [$($part:literal),*], [$($key:literal),*]) => {
        $(#[$doc])*
        pub static $ident: Script = Script {
            name: $name,
            text: concat!(
                $(include_str!(concat!("../lua/include/", $part, ".lua")), "\n",)*
                include_str!(concat!("../lua/", $name, ".lua"))
            ),
            keys: &[$($key),*],
        };
    };
}

script!(
    /// Adds jobs.
    ADD = "add", ["meta", "enqueue", "parent", "remove", "dedup", "add"],
    ["wait", "prioritized", "delayed", "active", "marker", "meta", "id", "pc", "events"]
);
script!(
    /// Adds flows.
    FLOW = "flow", ["meta", "enqueue", "parent", "remove", "dedup", "add"], ["id"]
);
script!(
    /// Settles outcomes and claims jobs.
    SETTLE = "settle", ["meta", "enqueue", "parent", "remove", "dedup", "promote", "metrics", "settle", "claim"],
    [
        "wait", "prioritized", "delayed", "active", "marker", "meta", "completed", "failed", "stalled", "limiter",
        "pc", "events", "operator:history"
    ]
);
script!(
    /// Makes the next job of a scheduler.
    ADVANCE = "advance", ["meta", "enqueue", "scheduler"],
    ["repeat", "wait", "prioritized", "delayed", "active", "marker", "meta", "id", "pc", "events", "<job>"]
);
script!(
    /// Makes a scheduler or changes one.
    UPSERT_SCHEDULER = "upsert_scheduler", ["meta", "enqueue", "parent", "remove", "dedup", "scheduler"],
    [
        "repeat", "wait", "prioritized", "delayed", "active", "marker", "meta", "id", "pc", "events", "paused",
        "<job>"
    ]
);
script!(
    /// Ends a scheduler.
    REMOVE_SCHEDULER = "remove_scheduler", ["meta", "enqueue", "parent", "remove", "scheduler"],
    ["repeat", "delayed", "events", "<job>"]
);
script!(
    /// Finds schedulers that have stopped.
    STOPPED_SCHEDULERS = "stopped_schedulers", ["meta", "enqueue", "scheduler", "iteration_state"], ["repeat"]
);
script!(
    /// Sets a stopped scheduler going again.
    REPAIR_SCHEDULER = "repair_scheduler",
    ["meta", "enqueue", "parent", "remove", "scheduler", "iteration_state"],
    ["repeat", "wait", "prioritized", "delayed", "active", "marker", "meta", "id", "pc", "events", "<job>"]
);
script!(
    /// Renews locks.
    EXTEND = "extend", [], ["stalled"]
);
script!(
    /// Recovers jobs of silent workers.
    STALLED = "stalled", ["meta", "enqueue"],
    ["stalled", "stalled-check", "active", "wait", "marker", "meta", "repeat", "events"]
);
script!(
    /// Finds what a lost reply had claimed.
    RECLAIM = "reclaim", [], ["active"]
);
script!(
    /// Pauses and resumes.
    PAUSE = "pause", ["enqueue"], ["meta", "marker", "wait", "paused", "prioritized", "delayed", "events"]
);
script!(
    /// Says where a job is.
    STATE = "state", ["states"], ["active"]
);
script!(
    /// Removes a job.
    REMOVE = "remove", ["meta", "enqueue", "parent", "remove", "dedup", "states"], ["repeat", "events"]
);
script!(
    /// Lets a delayed job run now.
    PROMOTE = "promote", ["meta", "enqueue"],
    ["wait", "prioritized", "delayed", "active", "marker", "meta", "pc", "events"]
);
script!(
    /// Runs a finished job again.
    RETRY = "retry", ["meta", "enqueue"],
    ["wait", "prioritized", "completed", "failed", "active", "marker", "meta", "pc", "events"]
);
script!(
    /// Notes progress.
    PROGRESS = "progress", ["meta"], ["meta", "events", "<job>"]
);
script!(
    /// Appends log lines.
    LOG = "log", [], ["<job>", "<job>:logs"]
);
script!(
    /// Replaces a job's data.
    UPDATE_DATA = "update_data", [], ["<job>"]
);
script!(
    /// Says what the user may not do.
    RIGHTS = "rights", [], ["operator:queues"]
);
script!(
    /// Looks whether a job has finished.
    FINISHED = "finished", [], ["completed", "failed", "events", "<job>"]
);
script!(
    /// Pages through the waiting jobs.
    WAITING = "waiting", [], ["wait", "paused"]
);

/// Every script, for checks that cover them all.
#[rustfmt::skip]
pub static ALL: &[&Script] = &[
    &ADD,
    &ADVANCE,
    &EXTEND,
    &FINISHED,
    &FLOW,
    &LOG,
    &PAUSE,
    &PROGRESS,
    &PROMOTE,
    &RECLAIM,
    &REMOVE,
    &REMOVE_SCHEDULER,
    &REPAIR_SCHEDULER,
    &RETRY,
    &RIGHTS,
    &SETTLE,
    &STALLED,
    &STATE,
    &STOPPED_SCHEDULERS,
    &UPDATE_DATA,
    &UPSERT_SCHEDULER,
    &WAITING,
];
