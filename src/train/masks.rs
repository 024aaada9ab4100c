//! Dropout masks as a function of trial, step, place in the model and element.
//!
//! The mask is computed from these numbers by a counter-based generator, without any state.
//! So results depend neither on the number of threads nor on the steps before, a resumed
//! trial needs no saved generator, and a backward pass computes masks again instead of
//! keeping them.

use std::{
    any::Any,
    cell::Cell,
    sync::{Arc, OnceLock},
};

use burn::tensor::{Tensor, TensorData, backend::Backend};

/// The increment of the Weyl sequence in `SplitMix64`, 2⁶⁴ over the golden ratio, made odd (Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", OOPSLA 2014).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The dropout of one forward pass: one [`Drops`] for each place in the model, in the order of the pass.
pub(crate) struct Masks {
    pass: Arc<PassMasks>,
    /// The number of the next place.
    place: Cell<u64>,
}

/// What the masks of a pass over one trial's batch begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrialMasks {
    /// In \[0, 1).
    pub(crate) rate: f64,
    pub(crate) key: u64,
}

/// What the masks of a pass begin with, by trial.
#[derive(Debug)]
pub(crate) struct PassMasks {
    trials: Vec<TrialMasks>,
    /// What a backend keeps in its device's memory of this; it is made and read by that backend alone.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "only GPUs keep something")
    )]
    pub(crate) on_device: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// Dropout at one place of a model, for each of the trials that are computed side by side.
#[derive(Clone, Debug)]
pub(crate) struct Drops {
    pass: Arc<PassMasks>,
    place: u64,
}

/// Dropout at one place of the model.
//
// Inverted dropout (Srivastava et al. 2014, JMLR 15), as in `torch.nn.Dropout`: an element is multiplied by 0 with the
// probability `rate` and by 1 / (1 − rate) otherwise, so that its mean stays and inference needs no factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    rate: f64,
    key: u64,
}

/// The output function of `SplitMix64`: a bijection whose output bits each depend on all input bits.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Combines several numbers into one key. Their order matters.
pub(crate) fn key(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |key, &part| mix(key.wrapping_add(GOLDEN) ^ scattered(part)))
}

/// What a number is in [`key`].
const fn scattered(part: u64) -> u64 {
    mix(part.wrapping_add(GOLDEN))
}

impl Masks {
    /// No dropout: inference.
    pub(crate) fn off() -> Self {
        Self::new(0.0, 0)
    }

    /// Dropout at `rate`, in \[0, 1), with masks from `key`.
    pub(crate) fn new(rate: f64, key: u64) -> Self {
        Self::side_by_side(vec![TrialMasks { rate, key }])
    }

    /// The dropout of a pass over the batches of several trials.
    pub(crate) fn side_by_side(trials: Vec<TrialMasks>) -> Self {
        Self { pass: Arc::new(PassMasks { trials, on_device: OnceLock::new() }), place: Cell::new(0) }
    }

    /// The dropout at the next place.
    pub(crate) fn next(&self) -> Drops {
        let place = self.place.replace(self.place.get() + 1);
        Drops { pass: self.pass.clone(), place }
    }
}

impl Drops {
    /// No dropout.
    pub(crate) fn off() -> Self {
        Masks::off().next()
    }

    /// Whether the dropout changes no element.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn is_off(&self) -> bool {
        self.pass.trials.iter().all(|trial| trial.rate <= 0.0)
    }

    /// The dropout of the only trial, or of the first one.
    pub(crate) fn alone(&self) -> Dropout {
        self.pass
            .trials
            .first()
            .map_or(Dropout::off(), |trial| Dropout { rate: trial.rate, key: key(&[trial.key, self.place]) })
    }

    /// The number of trials.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn trials(&self) -> usize {
        self.pass.trials.len()
    }

    /// Which masks the pass has, and where in the pass this is: the key of a trial's mask follows from the key of its
    /// pass by [`key`] and this number.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn parts(&self) -> (&PassMasks, u64) {
        (&self.pass, scattered(self.place))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl PassMasks {
    /// By trial four words, from which a device computes its masks: the low and the high word of the key of the pass, the
    /// number below which an element is dropped, and the bits of the factor of the others.
    #[expect(clippy::cast_possible_truncation, reason = "the low word")]
    pub(crate) fn words(&self) -> Vec<u32> {
        let words = |trial: &TrialMasks| {
            let (key, own) = (key(&[trial.key]), Dropout { rate: trial.rate, key: 0 });
            [key as u32, (key >> 32) as u32, own.threshold(), own.scale().to_bits()]
        };
        self.trials.iter().flat_map(words).collect()
    }
}

impl Dropout {
    /// No dropout.
    pub(crate) const fn off() -> Self {
        Self { rate: 0.0, key: 0 }
    }

    /// Whether the dropout changes no element.
    pub(crate) fn is_off(self) -> bool {
        self.rate <= 0.0
    }

    /// Applies the dropout to a tensor whose elements are numbered row-major.
    pub(crate) fn apply<B: Backend, const D: usize>(self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        if self.is_off() {
            return tensor;
        }
        let (shape, device) = (tensor.shape(), tensor.device());
        let mut mask = vec![0.0; shape.num_elements()];
        self.fill(&mut mask, 0);
        tensor.mul(Tensor::from_data(TensorData::new(mask, shape), &device))
    }

    /// Applies the dropout to a tensor. `number` returns the number of an element from its indices.
    pub(crate) fn apply_numbered<B: Backend>(
        self,
        tensor: Tensor<B, 4>,
        number: impl Fn([usize; 4]) -> usize,
    ) -> Tensor<B, 4> {
        if self.is_off() {
            return tensor;
        }
        let (shape, device) = (tensor.shape(), tensor.device());
        let [first, second, third, fourth] = tensor.dims();
        let mut mask = Vec::with_capacity(first * second * third * fourth);
        for a in 0..first {
            for b in 0..second {
                for c in 0..third {
                    mask.extend((0..fourth).map(|d| self.factor(number([a, b, c, d]))));
                }
            }
        }
        tensor.mul(Tensor::from_data(TensorData::new(mask, shape), &device))
    }

    /// The number below which an element's 32 random bits zero the element: `rate` times 2³², rounded down.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate in [0, 1) times 2^32 is a u32"
    )]
    fn threshold(self) -> u32 {
        (self.rate * 4_294_967_296.0) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
    fn scale(self) -> f32 {
        (1.0 / (1.0 - self.rate)) as f32
    }

    /// The random bits of elements 2 · `pair` and 2 · `pair` + 1.
    // The output number `pair` of `SplitMix64` with the seed `key`. Its 64 bits serve two elements.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the low and the high word")]
    const fn bits(self, pair: usize) -> [u32; 2] {
        let hash = mix(self.key.wrapping_add((pair as u64 + 1).wrapping_mul(GOLDEN)));
        [hash as u32, (hash >> 32) as u32]
    }

    /// The factor of the element with this number.
    fn factor(self, number: usize) -> f32 {
        let dropped = !self.is_off() && self.bits(number / 2)[number % 2] < self.threshold();
        if dropped { 0.0 } else { self.scale() }
    }

    /// Writes the factors of elements `first`, `first` + 1, … into `mask`; all ones without dropout.
    #[inline(always)]
    pub(crate) fn fill(self, mask: &mut [f32], first: usize) {
        if self.is_off() {
            mask.fill(1.0);
            return;
        }
        let (threshold, scale) = (self.threshold(), self.scale());
        // An odd first element is the second one of its pair.
        let odd = (first % 2).min(mask.len());
        let (head, mask) = mask.split_at_mut(odd);
        for element in head {
            *element = self.factor(first);
        }
        let begin = first.div_ceil(2);
        let (pairs, last) = mask.as_chunks_mut::<2>();
        for (index, pair) in pairs.iter_mut().enumerate() {
            let bits = self.bits(begin + index);
            for (element, bits) in pair.iter_mut().zip(bits) {
                *element = if bits < threshold { 0.0 } else { scale };
            }
        }
        for element in last {
            *element = self.factor(2 * (begin + pairs.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::count;

    fn values(rate: f64, key: u64, elements: usize) -> Vec<f32> {
        let mut mask = vec![0.0; elements];
        Dropout { rate, key }.fill(&mut mask, 0);
        mask
    }

    #[test]
    fn a_mask_in_pieces_is_the_mask_as_a_whole() {
        let drop = Dropout { rate: 0.4, key: 5 };
        let whole = values(0.4, 5, 40);
        for (first, length) in [(0, 0), (0, 7), (3, 8), (5, 1), (11, 20), (39, 1)] {
            let mut piece = vec![9.0; length];
            drop.fill(&mut piece, first);
            assert_eq!(piece, whole[first..first + length]);
        }
        assert!((0..40).all(|number| drop.factor(number) == whole[number]));
    }

    #[test]
    fn without_dropout_a_used_mask_becomes_ones() {
        let mut mask = [0.0, 2.0, 0.0];
        Dropout::off().fill(&mut mask, 1);
        assert_eq!(mask, [1.0; 3]);
    }

    fn dropped(mask: &[f32]) -> f64 {
        count(mask.iter().filter(|&&value| value == 0.0).count()) / count(mask.len())
    }

    #[test]
    fn the_share_of_dropped_elements_is_the_rate() {
        for rate in [0.1, 0.3, 0.5] {
            let mask = values(rate, key(&[7, 3]), 400_000);
            // Five standard deviations of a binomial share.
            let tolerance = 5.0 * (rate * (1.0 - rate) / 400_000.0_f64).sqrt();
            assert!((dropped(&mask) - rate).abs() < tolerance);
            let mean = mask.iter().map(|&value| f64::from(value)).sum::<f64>() / 400_000.0;
            assert!((mean - 1.0).abs() < tolerance / (1.0 - rate) + 1e-6);
        }
    }

    /// The correlation of two masks, in standard deviations of that of independent ones.
    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        let products: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x - 1.0) * f64::from(y - 1.0)).sum();
        products / count(a.len().min(b.len())).sqrt()
    }

    fn half_dropped(parts: &[u64]) -> Vec<f32> {
        values(0.5, key(parts), 200_000)
    }

    #[test]
    fn masks_of_neighbouring_places_steps_and_trials_are_uncorrelated() {
        let base = half_dropped(&[1, 10, 0]);
        for other in [[1, 10, 1], [1, 11, 0], [2, 10, 0]] {
            assert!(correlation(&base, &half_dropped(&other)).abs() < 4.5, "{other:?}");
        }
    }

    #[test]
    fn neighbouring_elements_are_uncorrelated() {
        let base = half_dropped(&[1, 10, 0]);
        for lag in 1..=64 {
            assert!(correlation(&base, &base[lag..]).abs() < 4.5, "lag {lag}");
        }
    }

    #[test]
    fn the_same_key_gives_the_same_mask() {
        assert_eq!(values(0.3, key(&[4, 5]), 1_001), values(0.3, key(&[4, 5]), 1_001));
    }
}
