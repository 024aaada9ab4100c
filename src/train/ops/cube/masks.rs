//! The masks of [`crate::train::masks`] on the device: the same bits for the same numbers.
//!
//! WGSL has no whole numbers of 64 bits on many devices, so a number is a low and a high word. What the masks of all
//! trials of a pass begin with is uploaded once; a kernel makes the key of a place from it.

use std::sync::Arc;

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{launch::empty, packing::upload};
use crate::train::masks::Drops;

/// What the masks at one place of a pass are computed from.
#[derive(CubeType, CubeLaunch)]
pub(super) struct MaskNumbers {
    /// By trial: see [`crate::train::masks::PassMasks::words`].
    words: Array<u32>,
    place_low: u32,
    place_high: u32,
}

/// The mask of one trial at one place.
#[derive(CubeType)]
pub(super) struct TrialMask {
    key: Wide,
    /// An element whose random bits are below this number is dropped.
    threshold: u32,
    /// The factor of the others.
    scale: f32,
}

/// A number of 64 bits.
#[derive(CubeType)]
struct Wide {
    low: u32,
    high: u32,
}

/// The numbers of `drops`, as an argument of a kernel on the device of `like`.
pub(super) fn argument<R: CubeRuntime>(drops: &Drops, like: &CubeTensor<R>) -> MaskNumbersLaunch<R> {
    if drops.is_off() {
        // Nothing is read.
        return MaskNumbersLaunch::new(empty(like, [1]).into_array_arg(), 0, 0);
    }
    let (pass, place) = drops.parts();
    let make = || Arc::new(upload(like, &pass.words())) as Arc<_>;
    let kept = pass.on_device.get_or_init(make).downcast_ref::<CubeTensor<R>>().cloned();
    let words = kept.unwrap_or_else(|| upload(like, &pass.words()));
    MaskNumbersLaunch::new(words.into_array_arg(), place as u32, (place >> 32) as u32)
}

/// a + b
#[cube]
fn add(a: &Wide, #[comptime] b: u64) -> Wide {
    let low = a.low + comptime!(b as u32);
    let carry = u32::cast_from(low < comptime!(b as u32));
    Wide { low, high: a.high + comptime!((b >> 32) as u32) + carry }
}

/// a · b
#[cube]
fn multiply(a: &Wide, #[comptime] b: u64) -> Wide {
    let low = a.low * comptime!(b as u32);
    let high = u32::mul_hi(a.low, comptime!(b as u32))
        + a.low * comptime!((b >> 32) as u32)
        + a.high * comptime!(b as u32);
    Wide { low, high }
}

/// a ^ (a >> bits), for fewer bits than a word has.
#[cube]
fn fold(a: &Wide, #[comptime] bits: u32) -> Wide {
    Wide {
        low: a.low ^ ((a.low >> bits) | (a.high << comptime!(32 - bits))),
        high: a.high ^ (a.high >> bits),
    }
}

/// See [`crate::train::masks::mix`].
#[cube]
fn mix(value: &Wide) -> Wide {
    let first = multiply(&fold(value, 30u32), 0xBF58_476D_1CE4_E5B9u64);
    let second = multiply(&fold(&first, 27u32), 0x94D0_49BB_1331_11EBu64);
    fold(&second, 31u32)
}

/// The increment of `SplitMix64`.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The mask of a trial; one that is not used where nothing is masked.
#[cube]
pub(super) fn trial_mask(mask: &MaskNumbers, trial: u32, #[comptime] is_masked: bool) -> TrialMask {
    let mut low = 0u32;
    let mut high = 0u32;
    let mut threshold = 0u32;
    let mut scale = 0u32;
    if comptime!(is_masked) {
        let first = (4u32 * trial) as usize;
        // One more number in `crate::train::masks::key`.
        let pass = Wide { low: mask.words[first], high: mask.words[first + 1] };
        let sum = add(&pass, comptime!(GOLDEN));
        let key = mix(&Wide { low: sum.low ^ mask.place_low, high: sum.high ^ mask.place_high });
        low = key.low;
        high = key.high;
        threshold = mask.words[first + 2];
        scale = mask.words[first + 3];
    }
    TrialMask { key: Wide { low, high }, threshold, scale: f32::reinterpret(scale) }
}

/// The factor of the element with this number: 0, or 1 / (1 − rate).
#[cube]
pub(super) fn factor(mask: &TrialMask, number: u32) -> f32 {
    // The output number `pair` of SplitMix64 with the key as the seed; see `Dropout::bits`.
    let pair = Wide { low: number / 2 + 1, high: 0u32 };
    let step = multiply(&pair, comptime!(GOLDEN));
    let low = mask.key.low + step.low;
    let carry = u32::cast_from(low < step.low);
    let bits = mix(&Wide { low, high: mask.key.high + step.high + carry });
    let own = select((number & 1u32) == 0u32, bits.low, bits.high);
    select(own < mask.threshold, 0.0f32, mask.scale)
}
