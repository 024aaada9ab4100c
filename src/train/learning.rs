//! What a training step needs besides the model: loss, gradients, optimiser, learning rate, early stopping.

pub(super) mod adamw;
pub(super) mod aggregate;
pub(super) mod early_stopping;
pub(super) mod flat_tensor;
pub(super) mod gradients;
pub(super) mod loss;
pub(super) mod parameters;
pub(super) mod schedule;
mod stopping_rule;
