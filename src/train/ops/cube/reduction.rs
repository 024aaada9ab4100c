//! Sums and maxima over the units of a cube.

use cubecl::prelude::*;

/// The sum of `value` over the units of a cube. All units must come here.
#[cube]
pub(super) fn cube_sum(value: f32, #[comptime] units: u32) -> f32 {
    let mut shared = SharedMemory::<f32>::new(comptime!(units as usize));
    shared[UNIT_POS as usize] = value;
    sync_cube();
    #[unroll]
    for level in 0..comptime!(units.ilog2()) {
        let half = comptime!(units >> (level + 1));
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
    }
    shared[0]
}

/// As [`cube_sum`], the largest value.
#[cube]
pub(super) fn cube_max(value: f32, #[comptime] units: u32) -> f32 {
    let mut shared = SharedMemory::<f32>::new(comptime!(units as usize));
    shared[UNIT_POS as usize] = value;
    sync_cube();
    #[unroll]
    for level in 0..comptime!(units.ilog2()) {
        let half = comptime!(units >> (level + 1));
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            let own = shared[UNIT_POS as usize];
            shared[UNIT_POS as usize] = f32::max(own, other);
        }
        sync_cube();
    }
    shared[0]
}
