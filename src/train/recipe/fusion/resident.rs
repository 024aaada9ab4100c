//! The parameters and moments of several trials side by side in a device's memory.

use burn::{module::AutodiffModule, tensor::Tensor};

use super::member::Member;
use crate::train::{
    backend::Compute, encoder::model::stacked::StackedHead, learning::adamw::stacked::StackedMoments,
};

/// Where the parameters of trials live that are trained together.
pub(in crate::train::recipe) enum Parameters<C: Compute> {
    /// With each trial, in this process's memory.
    ByTrial,
    /// Side by side in the device's memory.
    Resident(Option<Resident<C>>),
}

/// The parameters and moments of several trials in a device's memory.
pub(in crate::train::recipe) struct Resident<C: Compute> {
    /// The places of the trials, in the order of the stack.
    places: Vec<usize>,
    pub(super) stack: StackedHead<C::InnerBackend>,
    pub(super) moments: StackedMoments<C::InnerBackend>,
}

impl<C: Compute> Resident<C> {
    /// The stack of `members`: `last`, if it is theirs, or a new one, for which the members of `last` get back their own.
    pub(super) fn of(last: Option<Self>, members: &mut [Member<'_, C>]) -> Self {
        let places: Vec<usize> = members.iter().map(|member| member.place).collect();
        if let Some(last) = last {
            if last.places == places {
                return last;
            }
            for member in members.iter_mut() {
                last.bring_home(member);
            }
        }
        let models: Vec<_> = members.iter().map(|member| member.learner.model.valid()).collect();
        let stack = StackedHead::of(&models.iter().collect::<Vec<_>>());
        let optimizers: Vec<_> = members.iter().map(|member| &member.learner.optimizer).collect();
        let moments = StackedMoments::of(&optimizers, &stack.parameters());
        Self { places, stack, moments }
    }

    /// Gives a member its parameters and moments, if it has a place in the stack.
    fn bring_home(&self, member: &mut Member<'_, C>) {
        let Some(trial) = self.places.iter().position(|place| *place == member.place) else { return };
        let stack = self.stack.copy().map::<C>(&mut |_, value| Tensor::from_inner(value));
        let model = member.learner.model.clone();
        member.learner.model = model.with_head_of(&stack, trial);
        self.moments.write_to(trial, &mut member.learner.optimizer);
    }
}

impl<C: Compute> Parameters<C> {
    /// Where they live on this backend.
    pub(in crate::train::recipe) const fn of_backend() -> Self {
        if C::ON_HOST { Self::ByTrial } else { Self::Resident(None) }
    }

    /// Gives a member its parameters and moments, where they live in a stack.
    pub(super) fn bring_home(&self, member: &mut Member<'_, C>) {
        if let Self::Resident(Some(resident)) = self {
            resident.bring_home(member);
        }
    }
}
