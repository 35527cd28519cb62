#![doc = include_str!("../README.md")]

mod config;
mod error;
mod store;

mod cursor;
mod jobs;
mod sweep_marks;

mod database;
mod text;

pub use config::StoreConfig;
pub use cursor::{Cursor, InvalidCursor};
pub use error::StoreError;
pub use jobs::{Page, RecordCount, RecordFilter};
pub use store::Store;
