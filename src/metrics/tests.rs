//! The figures that follow from counts, compared with scikit-learn's.

use proptest::prelude::*;

use super::{interval::wilson, *};

fn confusion(rows: &[&[u64]]) -> Confusion {
    Confusion { rows: rows.iter().map(|row| row.to_vec()).collect() }
}

#[test]
fn binary_figures_follow_from_the_four_counts() {
    let counts = confusion(&[&[50, 10], &[5, 35]]);
    let rates = counts.rates(Target::Class(1));
    assert!((rates.precision - 35.0 / 45.0).abs() < 1e-12);
    assert!((rates.recall - 35.0 / 40.0).abs() < 1e-12);
    assert!((rates.f1 - 70.0 / 85.0).abs() < 1e-12);
    assert_eq!(counts.true_negatives(1), 50);
    assert!((counts.accuracy() - 0.85).abs() < 1e-12);
}

#[test]
fn a_class_never_predicted_has_precision_and_f1_zero() {
    let rates = confusion(&[&[5, 0], &[5, 0]]).rates(Target::Class(1));
    assert_eq!(rates, PrecisionRecallF1 { precision: 0.0, recall: 0.0, f1: 0.0 });
}

#[test]
fn the_interval_of_f1_is_about_as_wide_as_the_delta_method_says() {
    // n = 500, F1 = .909: ±2.6 points at 95 % (simulated sd 0.01357).
    let counts = confusion(&[&[225, 25], &[20, 230]]);
    let (low, high) = counts.f1_interval(Target::Class(1));
    assert!((high - low - 2.0 * 0.0263).abs() < 0.003, "{low} {high}");
}

/// Expected values: scikit-learn 1.9.1.
///
/// ```python
/// from sklearn.metrics import precision_recall_fscore_support
/// y, z = zip(*[(t, p) for t, row in enumerate(m) for p, n in enumerate(row) for _ in range(n)])
/// for average in [None, "macro", "micro", "weighted"]:
///     print(precision_recall_fscore_support(y, z, labels=range(len(m)), average=average, zero_division=0))
/// ```
fn assert_rates(found: PrecisionRecallF1, [precision, recall, f1]: [f64; 3]) {
    let expected = PrecisionRecallF1 { precision, recall, f1 };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    let all = near(found.precision, precision) && near(found.recall, recall) && near(found.f1, f1);
    assert!(all, "{found:?} instead of {expected:?}");
}

#[test]
fn figures_of_three_classes_are_those_of_scikit_learn() {
    let counts = confusion(&[&[30, 5, 5], &[4, 40, 2], &[1, 3, 20]]);
    let classes = [
        [0.857_142_857_142_857_1, 0.75, 0.8],
        [0.833_333_333_333_333_4, 0.869_565_217_391_304_3, 0.851_063_829_787_234],
        [0.740_740_740_740_740_7, 0.833_333_333_333_333_4, 0.784_313_725_490_196_1],
    ];
    for (class, expected) in classes.into_iter().enumerate() {
        assert_rates(counts.rates(Target::Class(class)), expected);
    }
    assert_eq!([0, 1, 2].map(|class| counts.support(class)), [40, 46, 24]);
    let averages = [
        [0.810_405_643_738_977, 0.817_632_850_241_545_9, 0.811_792_518_425_81],
        [0.818_181_818_181_818_2; 3],
        [0.821_789_321_789_321_7, 0.818_181_818_181_818_2, 0.817_931_505_290_704_4],
    ];
    for (average, expected) in Average::ALL.into_iter().zip(averages) {
        assert_rates(counts.rates(Target::Average(average)), expected);
    }
}

#[test]
fn classes_never_predicted_or_never_there_count_as_scikit_learn_counts_them() {
    // The second class is never predicted, the fourth neither there nor predicted.
    let counts = confusion(&[&[7, 0, 3, 0], &[2, 0, 0, 0], &[1, 0, 9, 0], &[0, 0, 0, 0]]);
    let classes = [[0.7; 3], [0.0; 3], [0.75, 0.9, 0.818_181_818_181_818_2], [0.0; 3]];
    for (class, expected) in classes.into_iter().enumerate() {
        assert_rates(counts.rates(Target::Class(class)), expected);
    }
    let averages = [
        [0.3625, 0.4, 0.379_545_454_545_454_5],
        [0.727_272_727_272_727_3; 3],
        [0.659_090_909_090_909_1, 0.727_272_727_272_727_3, 0.690_082_644_628_099_2],
    ];
    for (average, expected) in Average::ALL.into_iter().zip(averages) {
        assert_rates(counts.rates(Target::Average(average)), expected);
    }
}

#[test]
fn without_a_document_every_average_is_zero() {
    for target in Average::ALL.map(Target::Average) {
        assert_rates(Confusion::new(3).rates(target), [0.0; 3]);
    }
}

#[test]
fn without_a_document_every_averages_interval_is_everything() {
    for target in Average::ALL.map(Target::Average) {
        assert_eq!(Confusion::new(3).f1_interval(target), (0.0, 1.0));
    }
}

/// Counts of `classes` classes with `each` documents, all of which are predicted rightly.
fn perfect(classes: usize, each: u64) -> Confusion {
    let mut counts = Confusion::new(classes);
    for class in 0..classes {
        counts.rows[class][class] = each;
    }
    counts
}

/// Counts in which every document is predicted as of the first class.
fn constant(classes: usize, each: u64) -> Confusion {
    let mut counts = Confusion::new(classes);
    for row in &mut counts.rows {
        row[0] = each;
    }
    counts
}

/// Every kind of F1.
fn targets() -> impl Iterator<Item = Target> {
    Average::ALL.map(Target::Average).into_iter().chain([Target::Class(0), Target::Class(1)])
}

#[test]
fn no_interval_has_width_zero_at_the_edges() {
    for classes in [2, 3, 20] {
        for (counts, target) in [perfect(classes, 9), constant(classes, 9), perfect(classes, 1)]
            .into_iter()
            .flat_map(|counts| targets().map(move |target| (counts.clone(), target)))
        {
            let (low, high) = counts.f1_interval(target);
            assert!(high - low > 0.01, "{classes} {target:?} {low} {high}");
        }
    }
}

#[test]
fn a_perfect_score_on_180_documents_of_20_classes_is_not_certain() {
    let (low, high) = perfect(20, 9).f1_interval(Target::Average(Average::Macro));
    assert!((0.9..0.985).contains(&low) && high == 1.0, "{low} {high}");
}

#[test]
fn a_class_without_a_document_may_have_any_f1() {
    // Two classes of three are perfect on 1000 documents; of the third, nothing is known.
    let mut counts = perfect(3, 500);
    counts.rows[2][2] = 0;
    let (low, high) = counts.f1_interval(Target::Average(Average::Macro));
    assert!((0.65..0.667).contains(&low) && high == 1.0, "{low} {high}");
}

#[test]
fn an_average_of_much_evidence_has_the_interval_of_the_delta_method() {
    // Its standard error by a numerical derivative of macro-F1 by each count is .012129.
    let counts = confusion(&[&[300, 50, 50], &[40, 400, 20], &[10, 30, 200]]);
    let (low, high) = counts.f1_interval(Target::Average(Average::Macro));
    assert!((high - low - 2.0 * 1.96 * 0.012_129).abs() < 0.001, "{low} {high}");
}

#[test]
fn with_few_errors_a_proportions_interval_is_wider_than_wilsons() {
    // Wilson's upper ends of 59, 58 and 57 of 60 are .9971, .9908 and .9829.
    for (errors, wilsons) in [(1, 0.9971), (2, 0.9908), (3, 0.9829)] {
        let (low, high) = wilson(60 - errors, 60);
        assert!(high > wilsons + 0.002 && high < 1.0, "{high}");
        assert!((wilson(errors, 60).0 - (1.0 - high)).abs() < 1e-12 && low < 0.95);
    }
}

#[test]
fn with_four_errors_or_more_a_proportions_interval_is_wilsons() {
    let (low, high) = wilson(56, 60);
    assert!((low - 0.8407).abs() < 1e-4 && (high - 0.9738).abs() < 1e-4, "{low} {high}");
}

#[test]
fn an_interval_of_an_older_log_is_computed_anew() {
    let scores = Scores::new(perfect(3, 20), 0.1, Target::Average(Average::Macro));
    let older = Scores { f1_low: 1.0, f1_high: 1.0, ..scores.clone() };
    assert_eq!(older.with_interval_of_today(), scores);
}

#[test]
fn a_positive_class_that_the_counts_lack_leaves_the_interval_as_it_is() {
    let scores = Scores { positive: Some(7), ..Scores::new(perfect(2, 20), 0.1, Target::Class(1)) };
    assert_eq!(scores.clone().with_interval_of_today(), scores);
}

#[test]
fn every_averages_interval_holds_the_estimate() {
    let counts = confusion(&[&[30, 5, 5], &[4, 40, 2], &[1, 3, 20]]);
    for target in Average::ALL.map(Target::Average) {
        let (low, high) = counts.f1_interval(target);
        let f1 = counts.rates(target).f1;
        assert!(low < f1 && f1 < high && high - low < 0.2, "{target:?} {low} {high}");
    }
}

#[test]
fn the_interval_of_micro_f1_is_the_wilson_interval_of_the_accuracy() {
    let counts = confusion(&[&[30, 5, 5], &[4, 40, 2], &[1, 3, 20]]);
    assert_eq!(counts.f1_interval(Target::Average(Average::Micro)), wilson(90, 110));
}

#[test]
fn scores_remember_which_f1_they_are() {
    for target in [Target::Class(1), Target::Average(Average::Micro), Target::Average(Average::Weighted)] {
        let scores = Scores::new(confusion(&[&[3, 1, 0], &[1, 2, 0], &[1, 0, 4]]), 0.5, target);
        let read: Scores = serde_json::from_str(&serde_json::to_string(&scores).unwrap()).unwrap();
        assert_eq!((read.target(), read.f1), (target, scores.confusion.rates(target).f1));
    }
}

#[test]
fn every_average_is_parsed_from_its_spelling() {
    for average in Average::ALL {
        assert_eq!(Average::parse(average.as_str()), Some(average));
    }
}

proptest! {
    #[test]
    fn counts_add_up_whatever_is_counted(pairs in prop::collection::vec((0_usize..4, 0_usize..4), 0..200)) {
        let mut counts = Confusion::new(4);
        for &(truth, predicted) in &pairs {
            counts.add(truth, predicted);
        }
        prop_assert_eq!(counts.total(), pairs.len() as u64);
        let right = pairs.iter().filter(|(truth, predicted)| truth == predicted).count() as u64;
        prop_assert!((counts.accuracy() - ratio(right, pairs.len() as u64)).abs() < 1e-12);
        for class in 0..4 {
            let all = counts.true_positives(class) + counts.false_positives(class)
                + counts.false_negatives(class) + counts.true_negatives(class);
            prop_assert_eq!(all, pairs.len() as u64);
            let rates = counts.rates(Target::Class(class));
            let (low, high) = counts.f1_interval(Target::Class(class));
            prop_assert!(low <= rates.f1 + 1e-9 && rates.f1 <= high + 1e-9);
        }
        for target in targets() {
            let (low, high) = counts.f1_interval(target);
            let f1 = counts.rates(target).f1;
            prop_assert!(low <= f1 + 1e-9 && f1 <= high + 1e-9, "{target:?}: {f1} in {low} to {high}");
            prop_assert!(0.0 <= low && low < high && high <= 1.0, "{target:?}: {low} to {high}");
        }
    }
}
