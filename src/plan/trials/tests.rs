//! The trials of a spec: order, seeds and draws.

use std::{collections::BTreeMap, path::PathBuf};

use proptest::prelude::*;

use super::*;
use crate::{
    chance::Chance,
    checkpoint::Checkpoint,
    data::{Shares, Source},
    plan::draws::{Attempt, DIGITS_MAX, DrawSource, drawn},
    policy::Policy,
    samples,
    search::RungFigure,
    spec::{ExecutorSpec, SearchSpec},
};

/// A spec that sweeps `space`, with 3 draws and 2 repeats.
pub(in crate::plan) fn spec(space: Vec<(&str, Domain)>) -> Spec {
    let space =
        space.into_iter().map(|(name, domain)| SweptSetting { name: name.to_owned(), domain }).collect();
    Spec {
        name: "plan".to_owned(),
        seed: 42,
        data: samples::data_spec(Source::Reviews { split: Shares::default() }),
        settings: Settings::default(),
        space,
        samples: 3,
        sampler: RangeSampler::Random,
        repeats: 2,
        search: SearchSpec::default(),
        policy: Policy::default(),
        executor: ExecutorSpec::Local,
        checkpoint_base: PathBuf::from("/base"),
        checkpoints: BTreeMap::new(),
    }
}

fn rates(values: &[f64]) -> Domain {
    Domain::Grid(values.iter().copied().map(Value::Float).collect())
}

fn lengths(values: &[i64]) -> Domain {
    Domain::Grid(values.iter().copied().map(Value::Int).collect())
}

/// Each trial in a line.
fn shown(trials: &[Trial]) -> Vec<String> {
    trials.iter().map(|trial| format!("{} {} #{}", trial.id, trial.params, trial.repeat)).collect()
}

#[test]
fn cells_come_in_the_order_of_the_spec_with_the_last_parameter_fastest() {
    let mut spec = spec(vec![("dropout", rates(&[0.3, 0.1])), ("chunk_length", lengths(&[64, 128]))]);
    spec.repeats = 1;
    assert_eq!(
        shown(&trials(&spec)),
        [
            "0001 dropout=0.3 chunk_length=64 #0",
            "0002 dropout=0.3 chunk_length=128 #0",
            "0003 dropout=0.1 chunk_length=64 #0",
            "0004 dropout=0.1 chunk_length=128 #0",
        ]
    );
}

#[test]
fn a_given_spec_has_the_same_plan_for_ever() {
    let mut spec = spec(vec![
        ("learning_rate", Domain::LogUniform(1e-5, 3e-4)),
        ("dropout", rates(&[0.1])),
        ("weight_decay", Domain::Uniform(0.0, 0.1)),
        ("batch_size", Domain::Int(8, 64)),
    ]);
    spec.repeats = 1;
    let trials = trials(&spec);
    let seeds: Vec<u64> = trials.iter().map(|trial| trial.seed).collect();
    insta::assert_debug_snapshot!((shown(&trials), seeds));
}

#[test]
fn equal_configurations_are_run_once() {
    let mut spec = spec(vec![("batch_size", Domain::Int(8, 9))]);
    spec.samples = 50;
    assert_eq!(trials(&spec).len(), 4);
}

/// A spec that draws `samples` learning rates from a narrow range.
fn narrow(samples: u32) -> Spec {
    let mut spec = spec(vec![("learning_rate", Domain::LogUniform(2e-5, 5e-5))]);
    (spec.samples, spec.repeats) = (samples, 1);
    spec
}

#[test]
fn a_range_is_drawn_as_often_as_asked_although_numbers_are_rounded() {
    let rates: HashSet<String> = trials(&narrow(1000)).iter().map(|trial| trial.params.to_string()).collect();
    assert_eq!(rates.len(), 1000);
}

/// What a draw of [`narrow`] is if nothing is known of the other draws.
fn rounded_draw(draw: u32) -> Params {
    Draws::new(&narrow(1), &[]).params(draw, Attempt::default())
}

#[test]
fn only_a_draw_that_collides_with_an_earlier_one_has_more_digits() {
    let trials = trials(&narrow(1000));
    let mut seen = HashSet::new();
    for (draw, trial) in (0..).zip(&trials) {
        let usual = rounded_draw(draw);
        let is_first = seen.insert(canonical(&usual.0));
        assert_eq!(trial.params == usual, is_first, "draw {draw}: {} or {usual}", trial.params);
        assert!((2e-5..=5e-5).contains(&trial.settings.learning_rate));
    }
}

#[test]
fn a_number_with_more_digits_rounds_to_the_draw_that_it_was() {
    let trials = trials(&narrow(1000));
    let longest = trials.iter().map(|trial| trial.params.to_string().len()).max().unwrap();
    assert!(
        longest > "learning_rate=2.34e-5".len() && longest < "learning_rate=2.3456789e-5".len(),
        "{longest}"
    );
}

#[test]
fn whole_numbers_are_drawn_until_each_one_was_drawn_once() {
    for samples in [5, 6, 50] {
        let mut spec = spec(vec![("batch_size", Domain::Int(8, 12))]);
        (spec.samples, spec.repeats) = (samples, 1);
        let mut sizes: Vec<usize> = trials(&spec).iter().map(|trial| trial.settings.batch_size).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [8, 9, 10, 11, 12]);
    }
}

#[test]
fn a_range_of_two_neighbouring_numbers_has_two_draws() {
    let low = 0.1_f64;
    let mut spec = spec(vec![("weight_decay", Domain::Uniform(low, low.next_up()))]);
    (spec.samples, spec.repeats) = (30, 1);
    assert_eq!(trials(&spec).len(), 2);
}

#[test]
fn fewer_configurations_than_asked_for_are_explained() {
    let mut spec = spec(vec![("batch_size", Domain::Int(8, 12)), ("dropout", rates(&[0.1, 0.2]))]);
    spec.samples = 6;
    let note = merged(&spec, trials(&spec).len()).unwrap();
    assert_eq!(
        note,
        "`samples` = 6 asks for 12 configurations, 6 in each grid cell; only 10 different ones exist (batch_size has \
         5 values, 8 to 12), and equal ones are run once"
    );
}

#[test]
fn as_many_configurations_as_asked_for_need_no_words() {
    let mut spec = spec(vec![("batch_size", Domain::Int(8, 12)), ("dropout", rates(&[0.1, 0.2]))]);
    for samples in [1, 5] {
        spec.samples = samples;
        assert_eq!(merged(&spec, trials(&spec).len()), None);
    }
    assert_eq!(merged(&super::tests::spec(Vec::new()), 2), None);
}

#[test]
fn repeats_differ_in_their_seed() {
    let mut spec = spec(vec![("batch_size", Domain::Int(8, 9))]);
    spec.samples = 50;
    let trials = trials(&spec);
    let seeds: HashSet<u64> = trials.iter().map(|trial| trial.seed).collect();
    assert_eq!(seeds.len(), 4);
}

#[test]
fn a_seed_does_not_depend_on_unseeded_settings() {
    let seeds = |space| -> Vec<u64> { trials(&spec(space)).iter().map(|trial| trial.seed).collect() };
    let rates = ("learning_rate", rates(&[1e-5, 3e-5]));
    let alone = seeds(vec![rates.clone()]);
    let precisions = Domain::Grid(["f32", "bf16"].map(|name| Value::Text(name.to_owned())).to_vec());
    let others =
        [("epochs", lengths(&[2, 5])), ("patience", lengths(&[1, 3])), ("matmul_precision", precisions)];
    let both = seeds([&others[..], &[rates]].concat());
    assert_eq!(both, alone.repeat(8));
    assert_eq!(seeds(others.to_vec()), seeds(Vec::new()).repeat(8));
}

#[test]
fn a_draw_does_not_depend_on_the_number_of_epochs() {
    let range = ("learning_rate", Domain::LogUniform(1e-5, 1e-3));
    let mut spec = spec(vec![("epochs", lengths(&[2, 5])), range]);
    spec.samples = 3;
    let trials = trials(&spec);
    let rates = |epochs: usize| -> Vec<f64> {
        let of_length = trials.iter().filter(|trial| trial.settings.epochs == epochs);
        of_length.map(|trial| trial.settings.learning_rate).collect()
    };
    assert_eq!(rates(2), rates(5));
    assert!(rates(2).len() >= 3);
}

#[test]
fn a_spec_without_search_is_one_configuration() {
    let trials = trials(&spec(Vec::new()));
    assert_eq!(shown(&trials), ["0001  #0", "0002  #1"]);
    assert_eq!(trials[0].settings, Settings::default());
}

#[test]
fn a_swept_checkpoint_is_written_as_in_the_spec_but_resolved_from_its_folder() {
    let checkpoint = Value::Text("models/a".to_owned());
    let trials = trials(&spec(vec![("checkpoint", Domain::Grid(vec![checkpoint.clone()]))]));
    assert_eq!(trials[0].params.0, [("checkpoint".to_owned(), checkpoint)]);
    assert_eq!(trials[0].settings.checkpoint, Checkpoint::parse("/base/models/a"));
}

#[test]
fn a_hub_checkpoint_is_written_as_in_the_spec_but_its_trials_name_its_commit() {
    let commit = format!("a/b@{}", "1".repeat(40));
    let written = ["a/b", "models/a"].map(|text| Value::Text(text.to_owned()));
    let mut spec = spec(vec![("checkpoint", Domain::Grid(written.to_vec()))]);
    spec.checkpoints = [("a/b", commit.as_str()), ("models/a", "/base/models/a")]
        .map(|(written, name)| (written.to_owned(), Checkpoint::parse(name)))
        .into();
    let trials = trials(&spec);
    assert_eq!(trials[0].params.0, [("checkpoint".to_owned(), written[0].clone())]);
    assert_eq!(trials[0].settings.checkpoint, Checkpoint::parse(&commit));
}

#[test]
fn a_configuration_has_a_trial_for_each_fold_of_each_repeat() {
    let mut spec = spec(vec![("dropout", rates(&[0.1, 0.3]))]);
    spec.data.folds = Some(3);
    let trials = trials(&spec);
    let found: Vec<(u32, Option<u32>)> = trials.iter().map(|trial| (trial.repeat, trial.fold)).collect();
    let each = [(0, Some(1)), (0, Some(2)), (0, Some(3)), (1, Some(1)), (1, Some(2)), (1, Some(3))];
    assert_eq!(found, each.repeat(2));
    let firsts: Vec<u32> =
        trials.iter().filter(|trial| trial.is_first_of_configuration()).map(|trial| trial.id.0).collect();
    assert_eq!(firsts, [1, 7]);
    assert_eq!(
        trials.iter().map(|trial| trial.seed).collect::<HashSet<_>>().len(),
        12,
        "each has a seed of its own"
    );
    assert_eq!(merged(&spec, trials.len()), None);
}

#[test]
fn more_folds_leave_the_seeds_of_the_first_ones_as_they_are() {
    let mut spec = spec(vec![("dropout", rates(&[0.1, 0.3]))]);
    let mut seeds = |folds| {
        spec.data.folds = Some(folds);
        trials(&spec)
            .into_iter()
            .map(|trial| (trial.params.to_string(), trial.repeat, trial.fold, trial.seed))
            .collect()
    };
    let (few, many): (Vec<_>, Vec<_>) = (seeds(3), seeds(5));
    assert!(few.iter().all(|trial| many.contains(trial)));
}

fn without_ids(trials: Vec<Trial>) -> Vec<(Params, u32, u64)> {
    trials.into_iter().map(|trial| (trial.params, trial.repeat, trial.seed)).collect()
}

proptest! {
    #[test]
    fn a_grid_has_as_many_trials_as_the_product_of_its_sides(a in 1_i64..6, b in 1_i64..6, repeats in 1_u32..4) {
        let mut spec = spec(vec![
            ("batch_size", lengths(&(1..=a).collect::<Vec<_>>())),
            ("epochs", lengths(&(1..=b).collect::<Vec<_>>())),
        ]);
        spec.repeats = repeats;
        let product = usize::try_from(a * b).unwrap() * repeats as usize;
        prop_assert_eq!(trials(&spec).len(), product);
    }

    #[test]
    fn seeds_stay_below_2_to_53(seed: u64) {
        prop_assert!(super::seed(seed, &Params::default(), 0, None) < 1 << 53);
    }

    #[test]
    fn draws_stay_in_their_bounds(
        low in 1e-7_f64..1e-3, ratio in 1.000_001_f64..1e3, seed: u64, int in -50_i64..50, width in 1_i64..50,
        more in 0..=DIGITS_MAX,
    ) {
        let high = low * ratio;
        let mut spec = spec(vec![
            ("learning_rate", Domain::LogUniform(low, high)),
            ("weight_decay", Domain::Uniform(low, high)),
            ("batch_size", Domain::Int(int, int + width)),
        ]);
        spec.seed = seed;
        for draw in 0..20 {
            let mut source = DrawSource::Chance(Box::new(Chance::new(&[&draw.to_string()])));
            for swept in &spec.space {
                match (drawn(&swept.domain, more, &mut source), &swept.domain) {
                    (Value::Float(float), _) => prop_assert!((low..=high).contains(&float)),
                    (Value::Int(value), _) => prop_assert!((int..=int + width).contains(&value)),
                    (Value::Text(text), _) => prop_assert!(false, "{}", text),
                }
            }
        }
    }

    #[test]
    fn another_grid_value_or_draw_leaves_every_other_trial_as_it_was(samples in 1_u32..5, seed: u64) {
        let mut small = spec(vec![
            ("learning_rate", Domain::LogUniform(1e-5, 3e-4)),
            ("dropout", rates(&[0.1, 0.3])),
        ]);
        (small.samples, small.seed) = (samples, seed);
        let mut large = small.clone();
        large.samples = samples + 1;
        large.space[1].domain = rates(&[0.1, 0.2, 0.3]);
        let large = without_ids(trials(&large));
        for trial in without_ids(trials(&small)) {
            prop_assert!(large.contains(&trial));
        }
    }
}

#[test]
fn sobol_draws_have_one_in_each_slice_of_every_range() {
    let mut spec = spec(vec![
        ("learning_rate", Domain::LogUniform(1e-6, 1e-2)),
        ("dropout", rates(&[0.1, 0.3])),
        ("weight_decay", Domain::Uniform(0.0, 0.8)),
        ("batch_size", Domain::Int(1, 16)),
    ]);
    (spec.samples, spec.repeats, spec.sampler) = (16, 1, RangeSampler::Sobol);
    let trials = trials(&spec);
    assert_eq!(trials.len(), 32);
    for cell in trials.chunks(16) {
        let slices = |of: &dyn Fn(&Settings) -> f64| {
            let mut slices: Vec<f64> = cell.iter().map(|trial| of(&trial.settings).floor()).collect();
            slices.sort_unstable_by(f64::total_cmp);
            slices
        };
        let all: Vec<f64> = (0..16_u8).map(f64::from).collect();
        assert_eq!(slices(&|settings| (settings.learning_rate.log10() + 6.0) * 4.0), all);
        assert_eq!(slices(&|settings| settings.weight_decay * 20.0), all);
        let sizes: HashSet<usize> = cell.iter().map(|trial| trial.settings.batch_size).collect();
        assert_eq!(sizes.len(), 16);
    }
}

#[test]
fn more_sobol_draws_leave_the_first_ones_as_they_are() {
    let drawn = |samples| {
        let mut spec = narrow(samples);
        spec.sampler = RangeSampler::Sobol;
        trials(&spec).into_iter().map(|trial| trial.params).collect::<Vec<_>>()
    };
    assert_eq!(drawn(8), drawn(40)[..8]);
}

#[test]
fn sobol_draws_of_few_whole_numbers_are_all_of_them() {
    let mut spec = spec(vec![("batch_size", Domain::Int(8, 12))]);
    (spec.samples, spec.repeats, spec.sampler) = (5, 1, RangeSampler::Sobol);
    let sizes: HashSet<usize> = trials(&spec).iter().map(|trial| trial.settings.batch_size).collect();
    assert_eq!(sizes.len(), 5);
}

#[test]
fn a_configuration_that_is_confirmed_has_the_seeds_of_so_many_repeats() {
    let spec = spec(vec![("dropout", Domain::Grid(vec![Value::Float(0.1), Value::Float(0.3)]))]);
    let all = trials(&Spec { repeats: 4, ..spec.clone() });
    let first = trials(&spec).remove(2);
    let why = Confirmation {
        trial: first.id,
        place: 1,
        of: 2,
        by: RungFigure::ValLoss,
        loss: 0.1,
        f1: 0.9,
        seeds: 1,
    };
    let further = confirming(&spec, &first, &[1, 3], &why, 9);
    let expected: Vec<Trial> = [(9, 5), (10, 7)]
        .map(|(id, at)| Trial { id: TrialId(id), confirms: Some(why.clone()), ..all[at].clone() })
        .to_vec();
    assert_eq!(further, expected);
}
