//! The worker's standard output.

use std::io::Write;

use crate::protocol::WorkerLine;

/// The output is closed: the orchestrator is gone.
pub(super) struct Closed;

pub(super) fn send(output: &mut impl Write, line: &WorkerLine) -> Result<(), Closed> {
    let mut bytes = serde_json::to_vec(line).map_err(|_| Closed)?;
    bytes.push(b'\n');
    output.write_all(&bytes).and_then(|()| output.flush()).map_err(|_| Closed)
}
