//! A private Redis server for one test, and a client of our own to look at its keys.
//! The client shares nothing with the product's, so a test sees what is on the wire and not what the product believes.

mod client;
mod dump;
mod reply;
mod server;

pub use client::RedisClient;
pub use dump::{Content, Entry};
pub use reply::Reply;
pub use server::{RedisBuilder, RedisServer};
