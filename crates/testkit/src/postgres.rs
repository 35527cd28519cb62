//! Private PostgreSQL databases for tests: one server per test binary, one fresh database per test.
//! It knows how to start and end a server and nothing about SQL; what is in a database is the store's business.

mod programs;
mod server;

pub use server::PostgresServer;
