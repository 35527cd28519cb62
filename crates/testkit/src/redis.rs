//! A private Redis server for one test, and a client of our own to look at its keys.
//! The client shares nothing with the product's, so a test sees what is on the wire and not what the product believes.

mod client;
mod dump;
mod program;
mod reply;
mod server;

mod cluster;
mod sentinel;
mod tls;

pub use client::RedisClient;
pub use cluster::RedisCluster;
pub use dump::{Content, Entry};
pub use program::Program;
pub use reply::Reply;
pub use sentinel::RedisSentinel;
pub use server::{RedisBuilder, RedisServer};
pub use tls::TlsRedis;
