//! Dropout masks from a counter: keyed by trial, step, place in the model and element.
//!
//! No state, so results depend neither on threads nor on what ran before, and a
//! resumed trial needs no saved generator. The masks of a step are a function
//! of its key alone.

use std::cell::Cell;

use burn::tensor::{Distribution, Tensor, TensorData, backend::Backend};

/// Weyl increment of SplitMix64 (Steele et al., OOPSLA 2014): spreads neighbouring counters.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The masks of one forward pass.
pub(crate) struct Masks {
    rate: f64,
    key: u64,
    on_host: bool,
    place: Cell<u64>,
}

/// SplitMix64's finaliser.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// One key from several numbers, order mattering.
pub(crate) fn key(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |key, &part| mix(key.wrapping_add(GOLDEN) ^ mix(part.wrapping_add(GOLDEN))))
}

impl Masks {
    /// No dropout: inference.
    pub(crate) const fn off() -> Self {
        Self { rate: 0.0, key: 0, on_host: true, place: Cell::new(0) }
    }

    /// Dropout at `rate` in \[0, 1) with masks from `key`; `on_host`: see [`super::backend::Compute::ON_HOST`].
    pub(crate) const fn new(rate: f64, key: u64, on_host: bool) -> Self {
        Self { rate, key, on_host, place: Cell::new(0) }
    }

    /// Zeroes a share `rate` of the elements and scales the others by 1/(1 − rate).
    ///
    /// Each call of one pass is a place of its own.
    pub(crate) fn apply<B: Backend, const D: usize>(&self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        if self.rate <= 0.0 {
            return tensor;
        }
        let place = self.place.replace(self.place.get() + 1);
        let key = key(&[self.key, place]);
        let shape = tensor.shape();
        let device = tensor.device();
        let mask = if self.on_host {
            let values = values(self.rate, key, shape.num_elements());
            Tensor::from_data(TensorData::new(values, shape), &device)
        } else {
            B::seed(&device, key);
            let kept: Tensor<B, D> = Tensor::random(shape, Distribution::Bernoulli(1.0 - self.rate), &device);
            kept.mul_scalar(1.0 / (1.0 - self.rate))
        };
        tensor.mul(mask)
    }
}

/// The mask: 0 with probability `rate` (to 2⁻³²), else 1/(1 − rate). Two elements from each hash.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate in [0, 1) times 2^32 is a u32; the halves of a hash are its low and high words"
)]
fn values(rate: f64, key: u64, elements: usize) -> Vec<f32> {
    let threshold = (rate * 4_294_967_296.0) as u32;
    let scale = (1.0 / (1.0 - rate)) as f32;
    let mut mask = vec![0.0_f32; elements];
    for (index, pair) in mask.chunks_mut(2).enumerate() {
        let hash = mix(key.wrapping_add((index as u64 + 1).wrapping_mul(GOLDEN)));
        let halves = [hash as u32, (hash >> 32) as u32];
        for (element, half) in pair.iter_mut().zip(halves) {
            *element = if half < threshold { 0.0 } else { scale };
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn dropped(mask: &[f32]) -> f64 {
        mask.iter().filter(|&&value| value == 0.0).count() as f64 / mask.len() as f64
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

    #[test]
    fn neighbouring_elements_places_and_steps_are_uncorrelated() {
        let elements = 200_000;
        let base = values(0.5, key(&[1, 10, 0]), elements);
        let others = [
            values(0.5, key(&[1, 10, 1]), elements),
            values(0.5, key(&[1, 11, 0]), elements),
            values(0.5, key(&[2, 10, 0]), elements),
        ];
        let correlation = |a: &[f32], b: &[f32]| {
            let products: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x - 1.0) * f64::from(y - 1.0)).sum();
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            let root = (a.len().min(b.len()) as f64).sqrt();
            products / root
        };
        for other in &others {
            assert!(correlation(&base, other).abs() < 4.5);
        }
        for lag in 1..=64 {
            assert!(correlation(&base, &base[lag..]).abs() < 4.5, "lag {lag}");
        }
    }

    #[test]
    fn the_same_key_gives_the_same_mask() {
        assert_eq!(values(0.3, key(&[4, 5]), 1_001), values(0.3, key(&[4, 5]), 1_001));
    }
}
