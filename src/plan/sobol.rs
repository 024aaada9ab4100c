//! Sobol points: draws that cover the ranges evenly, however many of them there are.
//!
//! The first 2ᵐ points have one in each of 2ᵐ equal slices of every range, and so have all further
//! groups of 2ᵐ. Point number n does not depend on how many there are. The points are scrambled
//! (Owen 1995), each dimension by its own key, which keeps the slices and leaves no pattern that
//! all sweeps share.
//!
//! Sources: Joe and Kuo 2008, "Constructing Sobol sequences with better two-dimensional projections"
//! (the numbers below are the first of `new-joe-kuo-6.21201`); Burley 2020, "Practical hash-based
//! Owen scrambling" (JCGT 9, 4), whose permutation of reversed bits is that of Laine and Karras 2011.

use crate::chance::Chance;

/// The most dimensions.
pub(super) const DIMENSIONS_MAX: usize = POLYNOMIALS.len() + 1;

/// By dimension from the second one on: the coefficients between the first and the last of a primitive polynomial of
/// as many degrees as there are initial direction numbers, and these.
const POLYNOMIALS: [(u32, &[u32]); 23] = [
    (0, &[1]),
    (1, &[1, 3]),
    (1, &[1, 3, 1]),
    (2, &[1, 1, 1]),
    (1, &[1, 1, 3, 3]),
    (4, &[1, 3, 5, 13]),
    (2, &[1, 1, 5, 5, 17]),
    (4, &[1, 1, 5, 5, 5]),
    (7, &[1, 1, 7, 11, 19]),
    (11, &[1, 1, 5, 1, 1]),
    (13, &[1, 1, 1, 3, 11]),
    (14, &[1, 3, 5, 5, 31]),
    (1, &[1, 3, 3, 9, 7, 49]),
    (13, &[1, 1, 1, 15, 21, 21]),
    (16, &[1, 3, 1, 13, 27, 49]),
    (19, &[1, 1, 1, 15, 7, 5]),
    (22, &[1, 3, 1, 15, 13, 25]),
    (25, &[1, 1, 5, 5, 19, 61]),
    (1, &[1, 3, 7, 11, 23, 15, 103]),
    (4, &[1, 3, 7, 13, 13, 15, 69]),
    (7, &[1, 1, 3, 13, 7, 35, 63]),
    (8, &[1, 3, 5, 9, 1, 25, 53]),
    (14, &[1, 3, 1, 13, 9, 35, 107]),
];

/// The coordinate of point `index` in `dimension`, scrambled by the stream of `key`, in [0, 1): the 32 bits that Sobol
/// points have, and below them bits from the stream.
pub(super) fn coordinate(dimension: usize, index: u32, key: &[&str]) -> f64 {
    let mut chance = Chance::new(key);
    let seed = u32::try_from(chance.below(1 << 32)).unwrap_or(u32::MAX);
    let bits = scrambled(point(dimension, index), seed);
    // Further bits below those, so that points are not all multiples of 2^-32 on a wide range.
    let below = Chance::new(&[key, &["below", &index.to_string()]].concat()).unit();
    (f64::from(bits) + below) / 4_294_967_296.0
}

/// The 32 bits of point `index` in `dimension`, not scrambled; 0 for a dimension that there is not.
// In the order of Antonov and Saleev 1979: the XOR of the direction numbers at the ones of the Gray code of the index.
fn point(dimension: usize, index: u32) -> u32 {
    let directions = directions(dimension);
    let gray = index ^ (index >> 1);
    (0..32).filter(|bit| gray >> bit & 1 == 1).fold(0, |point, bit| point ^ directions[bit])
}

/// The direction numbers v₁ … v₃₂ of a dimension, the binary point before the first bit.
// v_i = a₁ v_{i−1} ⊕ … ⊕ a_{s−1} v_{i−s+1} ⊕ v_{i−s} ⊕ (v_{i−s} >> s), from the second dimension on.
fn directions(dimension: usize) -> [u32; 32] {
    let mut directions = std::array::from_fn(|index| 1 << (31 - index));
    let Some((coefficients, initial)) = dimension.checked_sub(1).and_then(|index| POLYNOMIALS.get(index))
    else {
        return directions;
    };
    let degree = initial.len();
    for index in 0..32 {
        directions[index] = if let Some(number) = initial.get(index) {
            number << (31 - index)
        } else {
            let last = directions[index - degree];
            (1..degree).fold(last ^ (last >> degree), |sum, back| {
                let is_in = coefficients >> (degree - 1 - back) & 1 == 1;
                if is_in { sum ^ directions[index - back] } else { sum }
            })
        };
    }
    directions
}

/// Scrambles a coordinate: each bit is flipped or not as a function of the seed and the bits above it.
const fn scrambled(bits: u32, seed: u32) -> u32 {
    let mut x = bits.reverse_bits();
    x = x.wrapping_add(seed);
    x ^= x.wrapping_mul(0x6c50_b47c);
    x ^= x.wrapping_mul(0xb82f_1e52);
    x ^= x.wrapping_mul(0xc7af_e638);
    x ^= x.wrapping_mul(0x8d22_f6e6);
    x.reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_points_are_those_of_scipy() {
        // scipy.stats.qmc.Sobol(8, scramble=False).random(8) * 8
        let expected: [[u32; 8]; 8] = [
            [0, 0, 0, 0, 0, 0, 0, 0],
            [4, 4, 4, 4, 4, 4, 4, 4],
            [6, 2, 2, 2, 6, 6, 2, 6],
            [2, 6, 6, 6, 2, 2, 6, 2],
            [3, 3, 5, 7, 3, 1, 3, 7],
            [7, 7, 1, 3, 7, 5, 7, 3],
            [5, 1, 7, 5, 5, 7, 1, 1],
            [1, 5, 3, 1, 1, 3, 5, 5],
        ];
        for (index, row) in (0..).zip(expected) {
            assert_eq!(std::array::from_fn(|dimension| point(dimension, index) >> 29), row, "point {index}");
        }
    }

    #[test]
    fn scrambled_points_have_one_in_each_slice_of_every_dimension() {
        for dimension in 0..DIMENSIONS_MAX {
            for count in [8_u32, 64, 256] {
                for group in 0..3 {
                    let key = ["7", &dimension.to_string()];
                    let of = |index| coordinate(dimension, index, &key) * f64::from(count);
                    let mut slices: Vec<f64> =
                        (group * count..(group + 1) * count).map(|index| of(index).floor()).collect();
                    slices.sort_unstable_by(f64::total_cmp);
                    let all: Vec<f64> = (0..count).map(f64::from).collect();
                    assert_eq!(slices, all, "dimension {dimension}, {count} points, group {group}");
                }
            }
        }
    }

    #[test]
    fn pairs_of_the_first_dimensions_fill_a_grid_of_squares() {
        // The first two dimensions are a (0, 2)-sequence: 16 points have one in each of 4 by 4 squares.
        let mut squares: Vec<(u32, u32)> =
            (0..16).map(|index| (point(0, index) >> 30, point(1, index) >> 30)).collect();
        squares.sort_unstable();
        squares.dedup();
        assert_eq!(squares.len(), 16);
    }

    #[test]
    fn other_keys_scramble_otherwise() {
        let points = |key: &str| (0..8).map(|index| coordinate(3, index, &[key])).collect::<Vec<_>>();
        assert_ne!(points("1"), points("2"));
        assert_eq!(points("1"), points("1"));
    }
}
