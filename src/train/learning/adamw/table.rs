//! The numbers of an update of all parameters and trials, uploaded at once.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::train::ops::inputs::{AdamWNumbers, UpdateNumbers};

/// The numbers of one update of all parameters and trials.
pub(super) struct NumbersTable<B: Backend> {
    table: Tensor<B, 1>,
    /// By parameter: the place of its first number.
    firsts: BTreeMap<String, usize>,
    trials: usize,
}

impl<B: Backend> NumbersTable<B> {
    /// Uploads the numbers of the parameters `names`; `of` returns those of a parameter, by trial.
    pub(super) fn upload<'a>(
        names: impl Iterator<Item = &'a String>,
        of: impl Fn(&str) -> Vec<AdamWNumbers>,
        device: &B::Device,
    ) -> Self {
        let (mut numbers, mut firsts, mut trials) = (Vec::new(), BTreeMap::new(), 0);
        for name in names {
            firsts.insert(name.clone(), numbers.len());
            let own = of(name);
            trials = own.len();
            numbers.extend(own.iter().flat_map(|own| [own.keep, own.step_size, own.root]));
        }
        Self { table: Tensor::from_data(TensorData::from(numbers.as_slice()), device), firsts, trials }
    }

    /// The numbers of the parameter `name`, which was uploaded.
    pub(super) fn of(&self, name: &str) -> UpdateNumbers<B> {
        UpdateNumbers { table: self.table.clone(), first: self.firsts[name], trials: self.trials }
    }
}
