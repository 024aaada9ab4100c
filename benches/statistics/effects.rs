//! How often a setting without effect is called important, and how often one with effect is found.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sweep::effects::{Axis, Band, Judged, Sample, expected_best, judge};

use crate::Wanted;

/// How the points of a sweep lie.
#[derive(Clone, Copy)]
enum Points {
    /// So many draws over so many ranges.
    Draws(usize, usize),
    /// A grid of these numbers of values.
    Grid(&'static [usize]),
    /// So many trials for each of so many values of one setting.
    Repeats(usize, usize),
}

const DESIGNS: [Points; 15] = [
    Points::Draws(12, 1),
    Points::Draws(12, 2),
    Points::Draws(12, 5),
    Points::Draws(20, 2),
    Points::Draws(20, 5),
    Points::Draws(40, 2),
    Points::Draws(40, 5),
    Points::Draws(100, 5),
    Points::Grid(&[4, 3]),
    Points::Grid(&[4, 3, 2]),
    Points::Grid(&[5, 5]),
    Points::Grid(&[3, 3, 3]),
    Points::Grid(&[2, 2, 2, 2]),
    Points::Repeats(4, 3),
    Points::Repeats(4, 10),
];

/// The shares of the variance: of the first setting, of the second, and of noise.
const SHARES: [f64; 3] = [0.6, 0.2, 0.2];

impl Points {
    fn name(self) -> String {
        match self {
            Self::Draws(points, settings) => format!("{points} draws of {settings}"),
            Self::Grid(levels) => {
                format!("grid {}", levels.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × "))
            }
            Self::Repeats(values, repeats) => format!("{values} values, {repeats} repeats"),
        }
    }

    fn settings(self) -> usize {
        match self {
            Self::Draws(_, settings) => settings,
            Self::Grid(levels) => levels.len(),
            Self::Repeats(..) => 1,
        }
    }

    /// The importances that the first two settings truly have.
    fn truth(self) -> [f64; 2] {
        let [first, second, noise] = SHARES;
        match self {
            // With one setting, the second one's share is noise too.
            _ if self.settings() == 1 => [first, 0.0],
            // Of the forest's variance, noise is no part, since forests are smooth over ranges.
            Self::Draws(..) => [first / (1.0 - noise), second / (1.0 - noise)],
            Self::Grid(_) | Self::Repeats(..) => [first, second],
        }
    }

    /// Points whose first settings have these shares of the variance, and the rest is noise.
    fn draw(self, shares: [f64; 2], seed: u64) -> Sample {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (axes, columns): (Vec<Axis>, Vec<Vec<f64>>) = match self {
            Self::Draws(points, settings) => {
                let column = |_| (0..points).map(|_| rng.random::<f64>()).collect();
                (vec![Axis::Numbers; settings], (0..settings).map(column).collect())
            }
            Self::Grid(levels) => {
                let cells: usize = levels.iter().product();
                let column = |at: usize| {
                    let below: usize = levels[at + 1..].iter().product();
                    (0..cells).map(|cell| (cell / below % levels[at]) as f64).collect()
                };
                let axes = levels.iter().map(|&count| Axis::Levels { count, is_ordered: true });
                (axes.collect(), (0..levels.len()).map(column).collect())
            }
            Self::Repeats(values, repeats) => {
                let column = (0..values * repeats).map(|at| (at / repeats) as f64).collect();
                (vec![Axis::Levels { count: values, is_ordered: true }], vec![column])
            }
        };
        let noise = (1.0 - shares.iter().take(axes.len()).sum::<f64>()).sqrt();
        let figure = |point: usize| {
            let effect = |at: usize| shares[at].sqrt() * effect(at, axes[at], columns[at][point]);
            (0..axes.len().min(2)).map(effect).sum::<f64>()
        };
        let figures = (0..columns[0].len()).map(|point| figure(point) + noise * normal(&mut rng)).collect();
        Sample { axes, columns, figures }
    }
}

/// What a value of the first or second setting does, with mean 0 and variance 1 over its values: a hill, and a line.
fn effect(setting: usize, axis: Axis, value: f64) -> f64 {
    let slots = match axis {
        Axis::Numbers => 1_000,
        Axis::Levels { count, .. } => count,
    };
    let raw = |value: f64| {
        let at = if axis == Axis::Numbers { value } else { value / (slots - 1) as f64 };
        if setting == 0 { -(at - 0.6).powi(2) } else { at }
    };
    let all: Vec<f64> = (0..slots).map(|slot| raw(axis.at(slot, slots))).collect();
    let mean = all.iter().sum::<f64>() / slots as f64;
    let variance = all.iter().map(|each| (each - mean).powi(2)).sum::<f64>() / slots as f64;
    (raw(value) - mean) / variance.sqrt()
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (one, other): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

/// Means over the sweeps of what `run` finds.
fn means<const N: usize>(sweeps: u32, run: impl Fn(u64) -> [f64; N] + Sync + Send) -> [f64; N] {
    let add = |a: [f64; N], b: [f64; N]| std::array::from_fn(|at| a[at] + b[at]);
    let sums = (0..u64::from(sweeps)).into_par_iter().map(run).reduce(|| [0.0; N], add);
    sums.map(|sum| sum / f64::from(sweeps))
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn holds(band: Band, truth: f64) -> f64 {
    share((band.low..=band.high).contains(&truth))
}

pub(crate) fn print(wanted: &Wanted) {
    if wanted.table("effects") {
        print_settings(wanted);
    }
    if wanted.table("best") {
        print_best(wanted);
    }
}

fn print_settings(wanted: &Wanted) {
    println!("\n### Settings without effect, in % of sweeps\n");
    println!("| points | any called important | any interaction |\n| --- | --: | --: |");
    for points in DESIGNS {
        let [any, together] = means(wanted.sweeps, |seed| {
            let Some(judged) = judge(&points.draw([0.0; 2], seed)) else { return [0.0; 2] };
            let any = judged.effects.iter().any(sweep::effects::Effect::is_clear);
            [share(any), share(judged.together.is_some_and(|it| it.p_value <= 0.05))]
        });
        println!("| {} | {:.1} | {:.1} |", points.name(), 100.0 * any, 100.0 * together);
    }
    println!("\n### Settings with effect: 60 % of the variance, 20 %, none; 20 % is noise\n");
    println!(
        "| points | first found, % | second found, % | another called important, % | mean importance of both, % | true \
         ones, % | in the interval, % | best value among the best, % | in the band of means, % |\n| --- | --: | --: | --: \
         | --: | --: | --: | --: | --: |"
    );
    for points in DESIGNS {
        let truth = points.truth();
        let shares = if points.settings() == 1 { [0.6, 0.0] } else { [0.6, 0.2] };
        let figures = means(wanted.sweeps, |seed| {
            judge(&points.draw(shares, seed)).map_or([0.0; 9], |judged| of_known(points, &judged, truth))
        });
        let [first, second, other, one, two, in_one, in_two, best, band] =
            figures.map(|figure| 100.0 * figure);
        let [true_one, true_two] = truth.map(|truth| 100.0 * truth);
        println!(
            "| {} | {first:.0} | {second:.0} | {other:.1} | {one:.0}, {two:.0} | {true_one:.0}, {true_two:.0} | {in_one:.0}, \
             {in_two:.0} | {best:.0} | {band:.0} |",
            points.name()
        );
    }
}

/// What is found of settings with known effects.
fn of_known(points: Points, judged: &Judged, truth: [f64; 2]) -> [f64; 9] {
    let effects = &judged.effects;
    let is_clear = |at: usize| share(effects.get(at).is_some_and(sweep::effects::Effect::is_clear));
    let importance = |at: usize| effects.get(at).map_or(0.0, |effect| effect.importance.mean);
    let holds = |at: usize| effects.get(at).map_or(1.0, |effect| holds(effect.importance, truth[at]));
    let other = effects.iter().skip(2).any(sweep::effects::Effect::is_clear);
    let axis = points.draw([0.0; 2], 0).axes[0];
    let slots = axis.slots();
    let true_mean = |slot: usize| 0.6_f64.sqrt() * effect(0, axis, axis.at(slot, slots));
    let best = (0..slots).fold(0, |best, slot| if true_mean(slot) > true_mean(best) { slot } else { best });
    let band = (0..slots)
        .map(|slot| {
            let Band { low, high, .. } = effects[0].means[slot];
            share((low..=high).contains(&true_mean(slot)))
        })
        .sum::<f64>()
        / slots as f64;
    [
        is_clear(0),
        is_clear(1),
        share(other),
        importance(0),
        importance(1),
        holds(0),
        holds(1),
        share(effects[0].is_best[best]),
        band,
    ]
}

/// Expected best of n draws of a number that is even over 0 to 1, which is n / (n + 1).
fn print_best(wanted: &Wanted) {
    println!("\n### The expected best of n draws, of a number that is even over 0 to 1\n");
    println!(
        "| draws in all | n | true | mean of estimates | with replacement (Dodge and others) | their standard deviation |\n\
         | --: | --: | --: | --: | --: | --: |"
    );
    for all in [12_usize, 24, 48] {
        for n in [all / 4, all / 2, all] {
            let [mean, square, plugged] = means(wanted.sets, |seed| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let figures: Vec<f64> = (0..all).map(|_| rng.random()).collect();
                let best = expected_best(&figures)[n - 1].mean;
                [best, best * best, with_replacement(figures, n)]
            });
            let truth = n as f64 / (n + 1) as f64;
            let deviation = (square - mean * mean).max(0.0).sqrt();
            println!("| {all} | {n} | {truth:.4} | {mean:.4} | {plugged:.4} | {deviation:.4} |");
        }
    }
}

/// The estimate of Dodge and others 2019: the draws with replacement.
fn with_replacement(mut figures: Vec<f64>, n: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let all = figures.len() as f64;
    let below = |at: usize| (at as f64 / all).powf(n as f64);
    figures.iter().enumerate().map(|(at, figure)| figure * (below(at + 1) - below(at))).sum()
}
