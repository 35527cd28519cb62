//! Redis in its other forms: with TLS, users, numbered databases, Sentinels, as a cluster, and as Valkey. A job lives its
//! whole life on each of them.
#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

mod rig;
mod topologies {
    mod cluster;
    mod life;
    mod sentinel;
    mod single;
    mod slots;
    mod tls;
}
