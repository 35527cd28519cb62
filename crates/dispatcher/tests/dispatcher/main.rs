//! The dispatcher as its callers see it: the real router behind a socket, a real Redis, a real database, and workers of
//! both kinds behind the queues.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod harness;
mod http;
mod worker;

mod callbacks;
mod cancel;
mod catalogue;
mod events;
mod flows;
mod jobs;
mod limits;
mod maintenance;
mod queues;
mod schedulers;
mod search;
mod service;

mod keys;
mod outages;
mod refusals;

mod archive;
mod process;
mod sweep;
