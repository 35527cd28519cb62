#![doc = include_str!("../README.md")]

pub mod postgres;
pub mod redis;

pub mod ports;
mod signal;
pub mod wait;

pub use redis::{RedisClient, RedisServer, Reply};
pub use wait::eventually;
