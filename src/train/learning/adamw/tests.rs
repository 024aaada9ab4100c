//! The arithmetic of AdamW, by the whole matrix and by rows.

use super::*;

#[test]
fn an_update_by_rows_is_the_update_of_the_whole_matrix_to_the_bit() {
    let width = 5;
    let start: Vec<f32> = (0..20_u8).map(|value| f32::from(value) - 7.5).collect();
    let steps: [&[(u32, f32)]; 4] = [&[(1, 0.5)], &[(3, -2.0), (1, 1.0)], &[(3, 0.25)], &[(0, 4.0)]];
    for decay in [0.0, 0.01] {
        for resumed_after in 0..steps.len() {
            let [mut whole, mut by_row] = [start.clone(), start.clone()];
            let [mut first, mut second, mut row_first, mut row_second] = [0; 4].map(|_| vec![0.0; 20]);
            let mut touched = Vec::new();
            for (step, rows) in steps.iter().enumerate() {
                let update = Update { decay, ..Update::new(0.1, i32::try_from(step + 1).unwrap()) };
                let update = HostStep { update, scale: 0.7 };
                let mut gradient = vec![0.0; 20];
                let rows: BTreeMap<u32, Vec<f32>> =
                    rows.iter().map(|&(row, value)| (row, vec![value; width])).collect();
                for (&row, values) in &rows {
                    gradient[row as usize * width..][..width].copy_from_slice(values);
                }
                let moments = HostMoments { first: &mut first, second: &mut second };
                on_host(&mut whole, &gradient, moments, update);
                let moments = HostMoments { first: &mut row_first, second: &mut row_second };
                by_rows(&mut by_row, &rows, &mut touched, moments, update);
                if step == resumed_after {
                    touched = Vec::new();
                }
            }
            assert_eq!((&whole, &first, &second), (&by_row, &row_first, &row_second));
        }
    }
}

#[test]
fn two_steps_are_those_of_pytorch() {
    // torch.optim.AdamW([p], lr=0.1, weight_decay=0.1), gradients [1, -2] then [0.5, 0.5], p = [1, 2].
    let (mut values, mut first, mut second) = (vec![1.0, 2.0], vec![0.0; 2], vec![0.0; 2]);
    for (step, gradient) in [[1.0, -2.0], [0.5, 0.5]].iter().enumerate() {
        let update = Update { decay: 0.01, ..Update::new(0.1, i32::try_from(step + 1).unwrap()) };
        let update = HostStep { update, scale: 1.0 };
        let moments = HostMoments { first: &mut first, second: &mut second };
        on_host(&mut values, gradient, moments, update);
    }
    let expected = [0.787_882_1, 2.106_146_8];
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-5, "{values:?}");
    }
}
