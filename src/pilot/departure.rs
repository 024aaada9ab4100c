//! How a pilot leaves: what its trials do meanwhile, and when it is done.

use tokio::time::Instant;

use super::{
    Pilot,
    child::Child,
    leaving::{Leaving, Left},
};
use crate::mailbox::Message;

impl Pilot {
    /// Begins to leave: trials stop with a checkpoint. Asked again, it ends its workers at once.
    pub(super) fn leave(&mut self, why: Left) {
        if let Some(leaving) = &self.leaving {
            if leaving.why != Left::Done && why == Left::Ended {
                self.children.values_mut().for_each(|child| child.end(true));
            }
            return;
        }
        self.leaving = Some(Leaving { why, is_told: false });
        self.outbox.post(0, Message::Leaving(why.why().to_owned()));
        self.children.values_mut().for_each(Child::stop);
    }

    /// Leaves when there has been nothing to do for long.
    pub(super) fn consider_leaving(&mut self, now: Instant) {
        if !self.children.is_empty() {
            self.idle = now;
        } else if now.duration_since(self.idle) >= self.flight.pace.idle {
            self.leave(Left::Done);
        }
    }

    /// Why it left, once nothing is left to be done or said.
    pub(super) fn has_left(&mut self) -> Option<Left> {
        let leaving = self.leaving.as_mut().filter(|_| self.children.is_empty())?;
        if !std::mem::replace(&mut leaving.is_told, true) {
            self.outbox.post(0, Message::Left);
            self.outbox.flush();
        }
        let why = leaving.why;
        self.outbox.is_empty().then_some(why)
    }
}
