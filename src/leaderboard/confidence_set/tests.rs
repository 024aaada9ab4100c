//! Models that are told apart, and models that are not.

use proptest::prelude::*;

use super::{rounds::ROUNDS, *};
use crate::{
    leaderboard::predictions::Prediction,
    metrics::{Average, Confusion},
};

/// Predictions on documents of two classes in turn. They are wrong for the documents that `wrong` accepts.
fn model(documents: u64, wrong: impl Fn(u64) -> bool) -> Vec<Prediction> {
    let predict = |id: u64| {
        let label = usize::from(id.is_multiple_of(2));
        Prediction { id, label, predicted: if wrong(id) { 1 - label } else { label } }
    };
    (0..documents).map(predict).collect()
}

fn together(models: &[Vec<Prediction>]) -> SamePredictions {
    let mut same = SamePredictions::starting_with(&models[0]);
    for model in &models[1..] {
        assert!(same.add(model));
    }
    same
}

fn p(models: &[Vec<Prediction>], target: Target, against: Against) -> Vec<f64> {
    p_values(&together(models), target, against)
}

/// Every kind of F1 that a task with two classes may have.
fn targets() -> impl Iterator<Item = Target> {
    Average::ALL.map(Target::Average).into_iter().chain([Target::Class(1)])
}

const BOTH: [Against; 2] = [Against::Best, Against::First];

#[test]
fn models_with_the_same_predictions_are_never_told_apart() {
    let good = model(400, |id| id % 7 == 0);
    for target in targets() {
        assert_eq!(p(&[good.clone(), good.clone()], target, Against::Best), [1.0, 1.0]);
        let worse = model(400, |id| id % 2 == 0);
        let three = p(&[good.clone(), worse.clone(), worse], target, Against::Best);
        assert!(three[1] < 0.01 && three[1] == three[2], "{three:?}");
    }
}

#[test]
fn twenty_points_of_f1_are_a_difference() {
    let models = [model(400, |id| id % 10 == 0), model(400, |id| id % 10 < 3)];
    for (target, against) in targets().flat_map(|target| BOTH.map(|against| (target, against))) {
        let p = p(&models, target, against);
        assert!(p[0] == 1.0 && p[1] < 0.001, "{target:?} {against:?} {p:?}");
    }
}

#[test]
fn models_over_folds_are_told_apart_by_a_larger_difference() {
    // 20 against 42 errors, on other documents: t = 22 / √62 = 2.8 by the documents, and 1.9 with five folds.
    let models = || together(&[model(400, |id| id < 20), model(400, |id| (20..62).contains(&id))]);
    for against in BOTH {
        let p = |same: SamePredictions| p_values(&same, Target::Class(1), against)[1];
        let [alone, ten, five] = [p(models()), p(models().over_folds(10)), p(models().over_folds(5))];
        assert!(alone < 0.02 && 0.05 < five && alone < ten && ten <= five, "{alone} {ten} {five}");
    }
}

#[test]
fn one_point_of_f1_is_no_difference() {
    let models = [model(400, |id| id % 10 == 0), model(400, |id| id % 10 == 1 || id % 100 == 0)];
    for target in targets() {
        assert!(p(&models, target, Against::Best)[1] > 0.3);
    }
}

#[test]
fn for_two_models_the_p_value_is_that_of_the_sign_test() {
    // 3 documents only the first has wrong, and 12 only the second: two-sided binomial p = .0352.
    let models = [model(100, |id| id < 3), model(100, |id| (3..15).contains(&id))];
    for against in BOTH {
        let p = p(&models, Target::Average(Average::Micro), against)[1];
        assert!((p - 0.0352).abs() < 0.012, "{p}");
    }
}

#[test]
fn no_p_value_is_below_what_the_rounds_can_show() {
    let models = [model(400, |_| false), model(400, |_| true)];
    assert_eq!(p(&models, Target::Class(1), Against::Best)[1], 1.0 / f64::from(ROUNDS + 1));
}

/// 200 trials on 40 documents: half of them have up to five errors, half never name the positive class.
fn two_hundred() -> Vec<Vec<Prediction>> {
    (0..200_u64)
        .map(|trial| {
            let errors = |id: u64| (id * 7 + trial * 13) % 40 < trial % 6;
            let constant = |id: u64| id.is_multiple_of(2);
            if trial.is_multiple_of(2) { model(40, errors) } else { model(40, constant) }
        })
        .collect()
}

#[test]
fn an_f1_of_0_is_told_apart_among_200_trials_on_40_documents() {
    let p = p(&two_hundred(), Target::Class(1), Against::Best);
    assert!(p.iter().skip(1).step_by(2).all(|p| *p <= 0.05), "{p:?}");
}

#[test]
fn the_order_of_the_models_plays_no_part() {
    let mut models: Vec<Vec<Prediction>> = two_hundred().into_iter().take(30).collect();
    let before = p(&models, Target::Class(1), Against::Best);
    models.rotate_left(7);
    models.swap(3, 20);
    let mut after = p(&models, Target::Class(1), Against::Best);
    after.swap(3, 20);
    after.rotate_right(7);
    assert_eq!(before, after);
}

#[test]
fn another_model_hardly_changes_what_is_said_of_two() {
    // A pairwise test with a correction for m models would multiply p by m.
    let two = [model(400, |id| id % 10 == 0), model(400, |id| id % 10 < 3)];
    let many: Vec<_> = two.iter().cloned().chain((0..60).map(|_| model(400, |id| id % 2 == 0))).collect();
    assert!(p(&many, Target::Class(1), Against::Best)[1] < 0.01);
}

#[test]
fn an_f1_that_weighs_classes_by_their_documents_hardly_sees_a_rare_one() {
    // 20 of 400 documents are of the third class: one model knows it, the other never names it,
    // but is better at the first two.
    let documents = |rare: usize, wrong: fn(u64) -> bool| -> Vec<Prediction> {
        let predict = |id: u64| {
            if id < 20 {
                return Prediction { id, label: 2, predicted: rare };
            }
            let label = (id % 2) as usize;
            Prediction { id, label, predicted: if wrong(id) { 1 - label } else { label } }
        };
        (0..400).map(predict).collect()
    };
    let models = [documents(2, |id| id % 10 == 0), documents(0, |id| id % 25 == 0)];
    let p = |average| {
        let p = p(&models, Target::Average(average), Against::Best);
        p[0].min(p[1])
    };
    assert!(p(Average::Macro) < 0.001, "{}", p(Average::Macro));
    assert!(p(Average::Micro) > 0.5 && p(Average::Weighted) > 0.05);
}

#[test]
fn models_measured_on_other_documents_are_not_added() {
    let first = model(40, |_| false);
    let mut same = SamePredictions::starting_with(&first);
    assert!(!same.add(&first[1..]));
    let mut other = first.clone();
    other[3].id = 9_999;
    assert!(!same.add(&other));
}

#[test]
fn without_a_document_no_model_is_told_apart() {
    assert_eq!(p(&[Vec::new(), Vec::new()], Target::Average(Average::Macro), Against::Best), [1.0, 1.0]);
}

proptest! {
    /// What the statistic rests on: the documents' parts sum to the difference in F1.
    #[test]
    fn t_by_its_error_is_the_difference_in_f1(
        truths in prop::collection::vec((0_usize..4, 0_usize..4, 0_usize..4), 1..60),
        average in 0_usize..3,
    ) {
        let predicted = |of: fn(&(usize, usize, usize)) -> usize| -> Vec<Prediction> {
            let predict = |(id, each): (usize, &(usize, usize, usize))| {
                Prediction { id: id as u64, label: each.0, predicted: of(each) }
            };
            truths.iter().enumerate().map(predict).collect()
        };
        let both = [predicted(|each| each.1), predicted(|each| each.2)];
        let target = Target::Average(Average::ALL[average]);
        let f1 = |model: &[Prediction]| {
            let mut counts = Confusion::new(4);
            for each in model {
                counts.add(each.label, each.predicted);
            }
            counts.rates(target).f1
        };
        let (p, equal) = (p(&both, target, Against::Best), f1(&both[0]) == f1(&both[1]));
        let best = usize::from(f1(&both[1]) > f1(&both[0]));
        prop_assert_eq!(p[best], 1.0);
        prop_assert!(!equal || p[1 - best] == 1.0);
        prop_assert!(p.iter().all(|p| *p > 0.0 && *p <= 1.0));
    }
}
