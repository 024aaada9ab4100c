//! What the thread knows of a worker.

use std::time::Instant;

use crate::mailbox::Order;

/// What is known of a worker.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) next_order: u64,
    /// Its latest sign of life that was seen, and when it was first seen.
    pub(super) beat: (Option<u64>, Instant),
    /// The number of the pilot's own next message.
    pub(super) next: u64,
    pub(super) has_left: bool,
    /// Orders that could not be written yet, in order.
    pub(super) unwritten: Vec<Order>,
}

impl Known {
    /// The number that the next order gets.
    pub(super) const fn next_number(&self) -> u64 {
        self.next_order + self.unwritten.len() as u64
    }
}
