//! Marks of one value side by side, where they would hide each other.

/// For marks of this diameter at these heights, the lane of each: 0 in the middle, negative to the left and
/// positive to the right.
///
/// Every mark keeps its height, and takes the lane nearest to the middle that has room for it. So the width of
/// a swarm shows how many marks have about the same height, and no mark hides another as long as lanes are a
/// diameter apart.
pub(super) fn lanes(heights: &[f64], diameter: f64) -> Vec<i32> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    // Stable: of equal heights, the first one stands nearest to the middle.
    order.sort_by(|&a, &b| heights[a].total_cmp(&heights[b]));
    let mut ends: Vec<f64> = Vec::new();
    let mut lanes = vec![0; heights.len()];
    for index in order {
        let height = heights[index];
        let free = ends.iter().position(|end| height - end >= diameter);
        let at = free.unwrap_or(ends.len());
        match ends.get_mut(at) {
            Some(end) => *end = height,
            None => ends.push(height),
        }
        lanes[index] = lane(at);
    }
    lanes
}

/// The lane that is taken after `before` others: 0, 1, -1, 2, -2, …
fn lane(before: usize) -> i32 {
    let steps = i32::try_from(before.div_ceil(2)).unwrap_or(i32::MAX);
    if before.is_multiple_of(2) { -steps } else { steps }
}

/// The distance of two lanes at which these lanes have room in `room` pixels; a diameter at most.
pub(super) fn lane_width(lanes: impl Iterator<Item = i32>, diameter: f64, room: f64) -> f64 {
    let outermost = lanes.map(i32::unsigned_abs).max().unwrap_or(0);
    diameter.min((room - diameter).max(0.0) / (2.0 * f64::from(outermost.max(1))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_apart_stand_below_each_other() {
        assert_eq!(lanes(&[0.0, 30.0, 10.0, 20.0], 10.0), [0, 0, 0, 0]);
    }

    #[test]
    fn equal_marks_stand_side_by_side_around_the_middle() {
        assert_eq!(lanes(&[5.0; 5], 10.0), [0, 1, -1, 2, -2]);
    }

    #[test]
    fn a_wide_swarm_is_narrowed_to_its_room() {
        assert!((lane_width([0, 30, -30].into_iter(), 10.0, 130.0) - 2.0).abs() < 1e-12);
        assert!((lane_width([0, 1].into_iter(), 10.0, 130.0) - 10.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn no_mark_hides_another(heights in prop::collection::vec(0.0_f64..60.0, 0..80)) {
            let lanes = lanes(&heights, 10.0);
            for a in 0..heights.len() {
                for b in 0..a {
                    prop_assert!(lanes[a] != lanes[b] || (heights[a] - heights[b]).abs() >= 10.0 - 1e-9);
                }
            }
        }

        #[test]
        fn where_a_mark_stands_depends_on_heights_alone(
            mut heights in prop::collection::vec(0.0_f64..60.0, 0..40),
        ) {
            let sorted = |heights: &[f64]| {
                let mut pairs: Vec<(u64, i32)> =
                    heights.iter().map(|height| height.to_bits()).zip(lanes(heights, 10.0)).collect();
                pairs.sort_unstable();
                pairs
            };
            let before = sorted(&heights);
            heights.reverse();
            prop_assert_eq!(before, sorted(&heights));
        }
    }
}
