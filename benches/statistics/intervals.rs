//! How often a 95 % interval holds the true F1, and how wide it is.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sweep::metrics::{Average, Confusion, Target};

use crate::{Wanted, before};

/// Numbers of test documents.
const DOCUMENTS: [usize; 5] = [20, 60, 180, 1_000, 5_000];
const MACRO: Target = Target::Average(Average::Macro);
const WEIGHTED: Target = Target::Average(Average::Weighted);

/// How a model classifies, in the long run.
struct Population {
    name: String,
    /// Share of documents by true class, then predicted class.
    shares: Vec<Vec<f64>>,
}

/// How wrong predictions are spread.
#[derive(Clone, Copy)]
enum Wrong {
    Evenly,
    NextClass,
    LargeClasses,
}

impl Population {
    /// Classes of these sizes, each of which is predicted rightly with its accuracy.
    fn new(name: String, sizes: &[f64], accuracy: impl Fn(usize) -> f64, wrong: Wrong) -> Self {
        let (classes, all) = (sizes.len(), sizes.iter().sum::<f64>());
        let row = |truth: usize| {
            let part = |class: usize| match wrong {
                _ if class == truth => 0.0,
                Wrong::Evenly => 1.0,
                Wrong::NextClass => f64::from(u8::from(class == (truth + 1) % classes)),
                Wrong::LargeClasses => sizes[class],
            };
            let parts: f64 = (0..classes).map(part).sum();
            let share = |class: usize| {
                let right = accuracy(truth);
                if class == truth { right } else { (1.0 - right) * part(class) / parts }
            };
            (0..classes).map(|class| sizes[truth] / all * share(class)).collect()
        };
        Self { name, shares: (0..classes).map(row).collect() }
    }

    /// The F1 of endlessly many documents.
    fn f1(&self, target: Target) -> f64 {
        let row = |class: usize| self.shares[class].iter().sum::<f64>();
        let f1 = |class: usize| {
            let both = row(class) + self.shares.iter().map(|row| row[class]).sum::<f64>();
            if both > 0.0 { 2.0 * self.shares[class][class] / both } else { 0.0 }
        };
        let classes = self.shares.len();
        match target {
            Target::Class(class) => f1(class),
            Target::Average(Average::Micro) => (0..classes).map(|class| self.shares[class][class]).sum(),
            Target::Average(Average::Macro) => (0..classes).map(f1).sum::<f64>() / classes as f64,
            Target::Average(Average::Weighted) => (0..classes).map(|class| row(class) * f1(class)).sum(),
        }
    }

    fn draw(&self, documents: usize, seed: u64) -> Confusion {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let classes = self.shares.len();
        let ends: Vec<f64> = self
            .shares
            .iter()
            .flatten()
            .scan(0.0, |end, share| {
                *end += share;
                Some(*end)
            })
            .collect();
        let mut confusion = Confusion::new(classes);
        for _ in 0..documents {
            let place = rng.random::<f64>() * ends[ends.len() - 1];
            let cell = ends.partition_point(|end| *end <= place).min(ends.len() - 1);
            confusion.add(cell / classes, cell % classes);
        }
        confusion
    }
}

/// The classifiers whose average F1 is measured.
fn averaged() -> Vec<Population> {
    let mut all = Vec::new();
    for classes in [2_usize, 3, 5, 10, 20] {
        let even = vec![1.0; classes];
        let mut rare = even.clone();
        rare[classes - 1] = 0.05;
        let falling: Vec<f64> = (0..classes).map(|class| 0.6_f64.powf(class as f64)).collect();
        let mut add = |name: &str, sizes: &[f64], accuracy: &dyn Fn(usize) -> f64, wrong: Wrong| {
            all.push(Population::new(format!("{classes} classes, {name}"), sizes, accuracy, wrong));
        };
        for accuracy in [0.999, 0.99, 0.95, 0.8, 0.5] {
            add(&format!("accuracy {accuracy}"), &even, &|_| accuracy, Wrong::Evenly);
        }
        add("one rare, accuracy 0.95", &rare, &|_| 0.95, Wrong::Evenly);
        add("falling sizes, accuracy 0.8", &falling, &|_| 0.8, Wrong::LargeClasses);
        add("accuracies 0.99 and 0.6", &even, &|class| [0.99, 0.6][class % 2], Wrong::NextClass);
        add(
            "the first named always",
            &falling,
            &|class| f64::from(u8::from(class == 0)),
            Wrong::LargeClasses,
        );
        if classes > 2 {
            let mut absent = even.clone();
            absent[classes - 1] = 0.0;
            add("one without a document, accuracy 0.9", &absent, &|_| 0.9, Wrong::LargeClasses);
        }
    }
    all
}

/// Classifiers of two classes, whose F1 is that of the second class.
fn binary() -> Vec<Population> {
    let mut all = Vec::new();
    for positive in [0.5, 0.1] {
        for accuracy in [0.999, 0.99, 0.95, 0.8, 0.5] {
            let name = format!("{positive} positive, accuracy {accuracy}");
            all.push(Population::new(name, &[1.0 - positive, positive], |_| accuracy, Wrong::Evenly));
        }
        let name = format!("{positive} positive, always named");
        let always = |class: usize| f64::from(u8::from(class == 1));
        all.push(Population::new(name, &[1.0 - positive, positive], always, Wrong::Evenly));
    }
    all
}

pub(crate) fn print(wanted: &Wanted) {
    if wanted.table("intervals binary") {
        table("F1 of one class", &binary(), Target::Class(1), wanted);
    }
    if wanted.table("intervals micro") {
        let populations: Vec<Population> =
            averaged().into_iter().filter(|each| each.name.starts_with("3 ")).collect();
        table("Micro-F1", &populations, Target::Average(Average::Micro), wanted);
    }
    if wanted.table("intervals macro") {
        table("Macro-F1", &averaged(), MACRO, wanted);
    }
    if wanted.table("intervals weighted") {
        table("Weighted F1", &averaged(), WEIGHTED, wanted);
    }
}

/// How often the interval held the true F1, and its mean width.
#[derive(Clone, Copy, Default)]
struct Coverage {
    held: f64,
    width: f64,
}

fn table(title: &str, populations: &[Population], target: Target, wanted: &Wanted) {
    println!("\n### {title}: coverage in % (mean width), before → now\n");
    println!("| classifier | {} |", DOCUMENTS.map(|n| format!("{n} documents")).join(" | "));
    println!("| --- |{}", " --: |".repeat(DOCUMENTS.len()));
    let (mut low, mut high, mut cells) = (0, 0, 0);
    for population in populations {
        let row = DOCUMENTS.map(|documents| {
            let [before, now] = coverage(population, documents, target, wanted);
            cells += 1;
            low += usize::from(now.held < 0.93);
            high += usize::from(now.held > 0.97);
            let show = |each: Coverage| format!("{:.1} ({:.3})", 100.0 * each.held, each.width);
            if wanted.before { format!("{} → {}", show(before), show(now)) } else { show(now) }
        });
        println!("| {} | {} |", population.name, row.join(" | "));
    }
    println!("\nOf {cells} cells, {low} are below 93 % and {high} above 97 % now.");
}

fn coverage(population: &Population, documents: usize, target: Target, wanted: &Wanted) -> [Coverage; 2] {
    // The bootstrap of large sets takes long.
    let bootstraps = if matches!(target, MACRO | WEIGHTED) { wanted.sets / 10 } else { wanted.sets };
    let truth = population.f1(target);
    let of = |sets: u32, interval: &(dyn Fn(&Confusion) -> (f64, f64) + Sync)| {
        let one = |seed: u64| {
            let (low, high) = interval(&population.draw(documents, seed));
            let held = low - 1e-12 <= truth && truth <= high + 1e-12;
            [f64::from(u8::from(held)), high - low]
        };
        let sums = (0..u64::from(sets)).into_par_iter().map(one);
        let [held, width] = sums.reduce(|| [0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        Coverage { held: held / f64::from(sets), width: width / f64::from(sets) }
    };
    let before = if wanted.before {
        of(bootstraps, &|confusion| before_interval(confusion, target))
    } else {
        Coverage::default()
    };
    [before, of(wanted.sets, &|confusion| confusion.f1_interval(target))]
}

/// The interval of before.
fn before_interval(confusion: &Confusion, target: Target) -> (f64, f64) {
    match target {
        Target::Class(class) => {
            let hits = confusion.true_positives(class);
            let errors = confusion.false_positives(class) + confusion.false_negatives(class);
            let (low, high) = before::wilson(hits, hits + errors);
            (2.0 * low / (1.0 + low), 2.0 * high / (1.0 + high))
        }
        Target::Average(Average::Micro) => {
            let hits = (0..confusion.classes()).map(|class| confusion.true_positives(class)).sum();
            before::wilson(hits, confusion.total())
        }
        Target::Average(Average::Macro | Average::Weighted) => before::bootstrap(confusion, target),
    }
}
