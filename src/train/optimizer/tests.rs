//! The arithmetic of AdamW, by the whole matrix and by rows; which parameters learn, decay, and how fast.

use super::*;

#[test]
fn frozen_layers_take_the_embeddings_with_them() {
    assert!(learns("encoder.layers.2.output.weight", Freeze::Layers(2)));
    assert!(!learns("encoder.layers.1.output.weight", Freeze::Layers(2)));
    assert!(!learns("encoder.words.weight", Freeze::Layers(1)));
    assert!(learns("encoder.words.weight", Freeze::Layers(0)));
    assert!(!learns("encoder.layers.3.output.weight", Freeze::Encoder));
    assert!(learns("pooler.weight", Freeze::Encoder));
}

#[test]
fn lower_layers_learn_more_slowly_and_the_head_at_its_own_rate() {
    let settings =
        Settings { learning_rate: 1e-4, head_learning_rate: 1e-3, layer_decay: 0.5, ..Settings::default() };
    let rates = Rates::new(&settings, 3);
    let factors =
        ["encoder.layers.2.output.weight", "encoder.layers.0.output.weight", "encoder.words.weight"]
            .map(|name| rates.factor(name));
    assert_eq!(factors, [1.0, 0.25, 0.125]);
    assert!((rates.factor("head.weight") - 10.0).abs() < 1e-12);
    assert!((rates.factor("pooler.bias") - 10.0).abs() < 1e-12);
    let plain = Rates::new(&Settings::default(), 3);
    assert_eq!(["encoder.words.weight", "head.weight"].map(|name| plain.factor(name)), [1.0, 1.0]);
}

#[test]
fn biases_and_layer_norms_do_not_decay() {
    assert!(decays("encoder.layers.0.output.weight") && decays("encoder.words.weight"));
    for name in ["classifier.bias", "encoder.embedding_norm.gamma", "encoder.layers.0.output_norm.beta"] {
        assert!(!decays(name), "{name}");
    }
}

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
                let count = i32::try_from(step + 1).unwrap();
                let update = Update {
                    rate: 0.1,
                    scale: 0.7,
                    correction_1: 1.0 - BETA_1.powi(count),
                    correction_2: 1.0 - BETA_2.powi(count),
                };
                let mut gradient = vec![0.0; 20];
                let rows: BTreeMap<u32, Vec<f32>> =
                    rows.iter().map(|&(row, value)| (row, vec![value; width])).collect();
                for (&row, values) in &rows {
                    gradient[row as usize * width..][..width].copy_from_slice(values);
                }
                on_host(&mut whole, &gradient, &mut first, &mut second, update, decay);
                let moments = [&mut *row_first, &mut *row_second];
                by_rows(&mut by_row, &rows, &mut touched, moments, update, decay);
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
        let steps = i32::try_from(step + 1).unwrap();
        let update = Update {
            rate: 0.1,
            scale: 1.0,
            correction_1: 1.0 - BETA_1.powi(steps),
            correction_2: 1.0 - BETA_2.powi(steps),
        };
        on_host(&mut values, gradient, &mut first, &mut second, update, 0.01);
    }
    let expected = [0.787_882_1, 2.106_146_8];
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-5, "{values:?}");
    }
}
