#![doc = include_str!("../README.md")]

pub mod postgres;
pub mod redis;

pub mod node;
pub mod process;

pub mod fault;

pub mod ports;
mod signal;
pub mod wait;

pub use node::{BullMq, NodePeer};
pub use redis::{RedisClient, RedisServer, Reply};
pub use wait::eventually;
