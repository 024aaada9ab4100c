//! The masks of [`crate::train::masks`] on the device: the same bits for the same numbers.
//!
//! WGSL has no whole numbers of 64 bits on many devices, so a number is a low and a high word.

use cubecl::prelude::*;

use crate::train::masks::Dropout;

/// What a mask is computed from.
#[derive(CubeType, CubeLaunch)]
pub(super) struct MaskNumbers {
    key_low: u32,
    key_high: u32,
    /// See [`crate::train::masks::DeviceMask`].
    threshold: u32,
    scale: f32,
}

/// The numbers of `drop`, as an argument of a kernel.
pub(super) fn argument<R: Runtime>(drop: Dropout) -> MaskNumbersLaunch<R> {
    let mask = drop.device_mask();
    MaskNumbersLaunch::new(mask.key_low, mask.key_high, mask.threshold, mask.scale)
}

/// The factor of the element with this number: 0, or 1 / (1 − rate).
#[cube]
pub(super) fn factor(mask: &MaskNumbers, number: u32) -> f32 {
    // The output number `pair` of SplitMix64 with the key as the seed; see `Dropout::bits`.
    let pair = number / 2 + 1;
    let step_low = pair * 0x7F4A_7C15u32;
    let step_high = u32::mul_hi(pair, 0x7F4A_7C15u32) + pair * 0x9E37_79B9u32;
    let low = mask.key_low + step_low;
    let carry = u32::cast_from(low < step_low);
    let high = mask.key_high + step_high + carry;
    // value ^ (value >> 30), times 0xBF58476D1CE4E5B9
    let low_1 = low ^ ((low >> 30u32) | (high << 2u32));
    let high_1 = high ^ (high >> 30u32);
    let low_2 = low_1 * 0x1CE4_E5B9u32;
    let high_2 = u32::mul_hi(low_1, 0x1CE4_E5B9u32) + low_1 * 0xBF58_476Du32 + high_1 * 0x1CE4_E5B9u32;
    // value ^ (value >> 27), times 0x94D049BB133111EB
    let low_3 = low_2 ^ ((low_2 >> 27u32) | (high_2 << 5u32));
    let high_3 = high_2 ^ (high_2 >> 27u32);
    let low_4 = low_3 * 0x1331_11EBu32;
    let high_4 = u32::mul_hi(low_3, 0x1331_11EBu32) + low_3 * 0x94D0_49BBu32 + high_3 * 0x1331_11EBu32;
    // value ^ (value >> 31)
    let low_5 = low_4 ^ ((low_4 >> 31u32) | (high_4 << 1u32));
    let high_5 = high_4 ^ (high_4 >> 31u32);
    let bits = select((number & 1u32) == 0u32, low_5, high_5);
    select(bits < mask.threshold, 0.0f32, mask.scale)
}
