//! Every Lua script, joined with the parts it uses, and the keys it is called with.
//!
//! The shared parts of `lua/include/` come first, in the order they need each other, then the script itself. The two
//! that every job meets have a shortcut of the same name in `lua/plain/`.

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
    // With a shortcut before it, which leaves what is not plain to all the rest, made into one function.
    ($(#[$doc:meta])* $ident:ident = $name:literal, [$($part:literal),*], [$($key:literal),*], plain) => {
        $(#[$doc])*
        pub static $ident: Script = Script {
            name: $name,
            text: concat!(
                "local function with_all_parts()\n",
                $(include_str!(concat!("../lua/include/", $part, ".lua")), "\n",)*
                include_str!(concat!("../lua/", $name, ".lua")),
                "\nend\n",
                include_str!(concat!("../lua/plain/", $name, ".lua"))
            ),
            keys: &[$($key),*],
        };
    };
}

script!(
    /// Adds jobs.
    ADD = "add", ["meta", "enqueue", "parent", "remove", "dedup", "add"],
    ["wait", "prioritized", "delayed", "active", "marker", "meta", "id", "pc", "events"],
    plain
);
script!(
    /// Adds flows.
    FLOW = "flow", ["meta", "enqueue", "parent", "remove", "dedup", "add"], ["id"]
);
script!(
    /// Settles outcomes and claims jobs.
    SETTLE = "settle", ["meta", "enqueue", "line", "parent", "remove", "dedup", "promote", "metrics", "cancel", "settle", "claim"],
    [
        "wait", "prioritized", "delayed", "active", "marker", "meta", "completed", "failed", "stalled", "limiter",
        "pc", "events", "operator:history"
    ],
    plain
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
    EXTEND = "extend", ["cancel"], ["stalled", "operator:cancelling"]
);
script!(
    /// Recovers jobs of silent workers.
    STALLED = "stalled", ["meta", "enqueue"],
    ["stalled", "stalled-check", "active", "wait", "prioritized", "marker", "meta", "repeat", "events"]
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
    /// Ends a job before its time.
    CANCEL = "cancel", ["meta", "enqueue", "parent", "remove", "dedup", "states", "cancel"],
    ["repeat", "failed", "events", "meta", "operator:history", "operator:cancelling"]
);
script!(
    /// Removes a job.
    REMOVE = "remove", ["meta", "enqueue", "parent", "remove", "dedup", "states", "tree"], ["repeat"]
);
script!(
    /// Removes children that have not been processed.
    REMOVE_UNPROCESSED = "remove_unprocessed", ["meta", "enqueue", "parent", "remove", "dedup", "states", "tree"],
    ["<job>:dependencies"]
);
script!(
    /// Ends what a job is to its parent.
    REMOVE_CHILD_DEPENDENCY = "remove_child_dependency", ["meta", "enqueue", "parent", "remove"], ["<job>"]
);
script!(
    /// Notes what a job waits for.
    EXPECT_CALLBACK = "expect_callback", [], ["<job>", "<job>:lock"]
);
script!(
    /// Ends the wait of a job.
    CALLBACK = "callback", ["meta", "enqueue", "line", "let_run"],
    ["wait", "prioritized", "delayed", "active", "marker", "meta", "pc", "events", "<job>"]
);
script!(
    /// Lets a delayed job run now.
    PROMOTE = "promote", ["meta", "enqueue", "line", "let_run"],
    ["wait", "prioritized", "delayed", "active", "marker", "meta", "pc", "events"]
);
script!(
    /// Runs a finished job again.
    RETRY = "retry", ["meta", "enqueue", "line", "reprocess"],
    ["wait", "prioritized", "completed", "failed", "active", "marker", "meta", "pc", "events"]
);
script!(
    /// Runs many finished or delayed jobs.
    BULK = "bulk", ["meta", "enqueue", "line", "reprocess"],
    ["wait", "prioritized", "completed", "failed", "delayed", "active", "marker", "meta", "pc", "events"]
);
script!(
    /// Gives a delayed job another delay.
    CHANGE_DELAY = "change_delay", ["meta", "enqueue", "reprocess"], ["delayed", "marker", "meta", "events", "<job>"]
);
script!(
    /// Gives a job another priority.
    CHANGE_PRIORITY = "change_priority", ["meta", "enqueue", "line"],
    ["wait", "prioritized", "active", "marker", "meta", "pc", "<job>"]
);
script!(
    /// Gives a job other data.
    UPDATE_DATA = "update_data", [], ["<job>"]
);
script!(
    /// Throws away jobs of one state.
    SWEEP = "sweep", ["meta", "enqueue", "line", "parent", "remove", "dedup", "discard"],
    [
        "wait", "paused", "active", "prioritized", "delayed", "completed", "failed", "waiting-children", "repeat",
        "events"
    ]
);
script!(
    /// Removes jobs that are in no state.
    ORPHANS = "orphans", ["meta", "enqueue", "parent", "remove", "states"], ["active"]
);
script!(
    /// Ends a queue.
    OBLITERATE = "obliterate", [],
    [
        "meta", "active", "wait", "paused", "prioritized", "delayed", "completed", "failed", "waiting-children",
        "repeat", "events", "delay", "priority", "stalled-check", "stalled", "id", "pc", "marker", "limiter",
        "metrics:completed", "metrics:completed:data", "metrics:failed", "metrics:failed:data", "operator:history",
        "operator:cancelling"
    ]
);
script!(
    /// Gives up a deduplication id.
    FREE_DEDUPLICATION = "free_deduplication", [], ["<job>"]
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
    /// Says what the user may not do.
    RIGHTS = "rights", [], ["operator:rights"]
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
    &BULK,
    &CALLBACK,
    &CANCEL,
    &CHANGE_DELAY,
    &CHANGE_PRIORITY,
    &EXPECT_CALLBACK,
    &EXTEND,
    &FINISHED,
    &FLOW,
    &FREE_DEDUPLICATION,
    &LOG,
    &OBLITERATE,
    &ORPHANS,
    &PAUSE,
    &PROGRESS,
    &PROMOTE,
    &RECLAIM,
    &REMOVE,
    &REMOVE_CHILD_DEPENDENCY,
    &REMOVE_SCHEDULER,
    &REMOVE_UNPROCESSED,
    &REPAIR_SCHEDULER,
    &RETRY,
    &RIGHTS,
    &SETTLE,
    &STALLED,
    &STATE,
    &STOPPED_SCHEDULERS,
    &SWEEP,
    &UPDATE_DATA,
    &UPSERT_SCHEDULER,
    &WAITING,
];
