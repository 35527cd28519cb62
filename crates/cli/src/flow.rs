//! `operator flow`: adds flows from a file.

use std::{fs, io};

use operator_core::FlowJob;
use operator_queue::{AddedFlow, FlowProducer};

use crate::failure::Failure;
use crate::run::Session;

/// Adds the flow, or the list of flows, in `file` (`-` is standard input) and prints their trees.
pub(crate) async fn run(session: &Session, file: &str) -> Result<(), Failure> {
    let text = if file == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let text = text.map_err(|error| Failure::input(file, error))?;
    // Kept as text until its form is known: JSON that jobs carry as it stands cannot be read twice.
    let flows = if text.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<FlowJob>>(&text)
    } else {
        serde_json::from_str(&text).map(|flow| vec![flow])
    };
    let flows = flows.map_err(|error| Failure::input(file, error))?;
    let producer = FlowProducer::new(&session.redis).with_max_data_bytes(session.max_data_bytes());
    for added in producer.add_bulk(&flows).await? {
        session.output.print(&added, || {
            let mut lines = Vec::new();
            draw(&added, 0, &mut lines);
            lines.join("\n")
        })?;
    }
    Ok(())
}

/// One line per job, each below the one that waits for it.
fn draw(added: &AddedFlow, depth: usize, lines: &mut Vec<String>) {
    lines.push(format!("{:indent$}{} {}", "", added.queue_name, added.id, indent = depth * 2));
    for child in &added.children {
        draw(child, depth + 1, lines);
    }
}
