#![doc = include_str!("../README.md")]

pub mod command;

pub mod operation;
pub mod sequence;

pub mod generate;
pub mod invariants;
pub mod mixed;
pub mod random;
pub mod shrink;

pub mod bench;
pub mod verdict;

pub mod node;
pub mod ours;

pub mod answer;
pub mod keyspace;

mod claims;
mod compare;
pub mod differences;
mod normal;

pub use answer::Answer;
pub use bench::Bench;
pub use operation::Operation;
pub use sequence::Sequence;
pub use verdict::Verdict;
