//! What an earlier run has left with workers: trials that are still in their hands, or whose ends nobody has read.

use std::io;

use crate::{
    mailbox::{Given, Letter, Mailbox, Message, Registration, WorkerName},
    trial::TrialId,
};

/// A process that an earlier run has given trials to.
#[derive(Clone, Debug)]
pub(in crate::executor) struct Found {
    pub(in crate::executor) worker: WorkerName,
    pub(in crate::executor) session: u32,
    pub(in crate::executor) registration: Registration,
    pub(in crate::executor) given: Given,
    /// Trials that it was given together with these and that are over, as far as the log tells.
    pub(in crate::executor) over: Vec<TrialId>,
}

/// Looks for processes that an earlier run has given trials to. Notes about workers that are not registered any more
/// are removed, with all that these said.
///
/// # Errors
/// When a folder cannot be read.
pub(in crate::executor) fn survey(mailbox: &Mailbox) -> io::Result<Vec<Found>> {
    let workers = mailbox.workers()?;
    let letters = mailbox.letters()?;
    for letter in letters.iter().filter(|letter| !workers.contains(&letter.worker)) {
        mailbox.remove_letter(letter)?;
    }
    let mut found = Vec::new();
    for (worker, session, given) in mailbox.all_given()? {
        let registration = workers.contains(&worker).then(|| mailbox.read_registration(&worker));
        let Some(Ok(registration)) = registration else {
            mailbox.forget_given(&worker, session)?;
            continue;
        };
        let own: Vec<&Letter> = letters.iter().filter(|letter| is_of(letter, &worker, session)).collect();
        if !was_ordered(mailbox, &worker, &own, given.order)? {
            mailbox.forget_given(&worker, session)?;
            continue;
        }
        found.push(Found { worker, session, registration, given, over: Vec::new() });
    }
    Ok(found)
}

fn is_of(letter: &Letter, worker: &WorkerName, session: u32) -> bool {
    !letter.is_passing && letter.worker == *worker && letter.session == session
}

/// Whether the order that gives the trials was written: the note comes before it.
fn was_ordered(mailbox: &Mailbox, worker: &WorkerName, letters: &[&Letter], order: u64) -> io::Result<bool> {
    let is_answered = |letter: &&&Letter| matches!(mailbox.read_letter(letter), Ok(Message::Given(number)) if number == order);
    Ok(mailbox.orders(worker)?.contains(&order) || letters.iter().any(|letter| is_answered(&letter)))
}
