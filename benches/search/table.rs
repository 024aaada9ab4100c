//! Tables of real trials, and which of them a search gets.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::Deserialize;

use crate::statistics::{count, median};

/// The tables as they are written.
const TABLES: [&str; 2] =
    [include_str!("../data/search/waimai-mini.json"), include_str!("../data/search/smp-frozen.json")];
/// Settings of a table: learning rate, dropout, weight decay, chunk length.
pub(crate) const SETTINGS: usize = 4;
/// How much the squares of differences in each setting count, on its scale from 0 to 1: a chunk length is kept before
/// anything else, and the learning rate matters more than dropout and decay.
const DISTANCE: [f64; SETTINGS] = [1.0, 0.5, 0.5, 4.0];
/// Epochs without improvement after which a trial ends by itself.
const PATIENCE: usize = 2;

/// A table as it is written.
#[derive(Deserialize)]
struct Written {
    name: String,
    epochs: usize,
    space: Space,
    trials: Vec<WrittenTrial>,
}

/// The ranges of the settings.
#[derive(Clone, Deserialize)]
pub(crate) struct Space {
    pub(crate) learning_rate: Log,
    pub(crate) dropout: Linear,
    pub(crate) weight_decay: Log,
    pub(crate) chunk_length: Grid,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Log {
    pub(crate) log: (f64, f64),
}

#[derive(Clone, Deserialize)]
pub(crate) struct Linear {
    pub(crate) linear: (f64, f64),
}

#[derive(Clone, Deserialize)]
pub(crate) struct Grid {
    pub(crate) grid: Vec<f64>,
}

#[derive(Deserialize)]
struct WrittenTrial {
    params: [f64; SETTINGS],
    val_f1: Vec<f64>,
    val_loss: Vec<Option<f64>>,
    test_f1: f64,
    seconds_per_epoch: f64,
}

pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) epochs: usize,
    pub(crate) space: Space,
    pub(crate) trials: Vec<RealTrial>,
}

/// A trial that was trained, to its end by its own patience.
pub(crate) struct RealTrial {
    /// Its settings, each on a scale from 0 to 1.
    place: [f64; SETTINGS],
    /// Validation F1 after each epoch until it ends by itself.
    pub(crate) val_f1: Vec<f64>,
    /// Validation losses likewise.
    pub(crate) val_loss: Vec<f64>,
    /// How many epochs these are.
    pub(crate) epochs: usize,
    /// Validation F1 of the parameters that stay.
    pub(crate) best_val_f1: f64,
    /// And their test F1.
    pub(crate) test_f1: f64,
    /// How long an epoch takes: the median over the trials of this chunk length, over the mean of all trials.
    pub(crate) cost: f64,
}

impl Table {
    pub(crate) fn all() -> Vec<Self> {
        TABLES.iter().map(|text| Self::read(text)).collect()
    }

    fn read(text: &str) -> Self {
        let written: Written = serde_json::from_str(text).unwrap();
        let space = written.space;
        let costs = costs(&written.trials);
        let real = |(trial, cost): (&WrittenTrial, f64)| RealTrial::new(&space, trial, cost);
        let trials = written.trials.iter().zip(costs).map(real).collect();
        Self { name: written.name, epochs: written.epochs, space, trials }
    }

    /// The most trials of a search that this table can tell something about.
    pub(crate) fn serves(&self) -> usize {
        self.trials.len() * 2 / 5
    }
}

impl RealTrial {
    fn new(space: &Space, trial: &WrittenTrial, cost: f64) -> Self {
        let mut val_loss: Vec<f64> =
            trial.val_loss.iter().map(|loss| loss.unwrap_or(f64::INFINITY)).collect();
        let (epochs, best) = end(&val_loss);
        val_loss.truncate(epochs);
        Self {
            place: space.place(trial.params),
            best_val_f1: trial.val_f1[best],
            val_f1: trial.val_f1[..epochs].to_vec(),
            val_loss,
            epochs,
            test_f1: trial.test_f1,
            cost,
        }
    }
}

/// By trial: [`RealTrial::cost`].
fn costs(trials: &[WrittenTrial]) -> Vec<f64> {
    let median = |trial: &WrittenTrial| {
        let alike = trials.iter().filter(|other| other.params[3] == trial.params[3]);
        median(alike.map(|other| other.seconds_per_epoch).collect())
    };
    let costs: Vec<f64> = trials.iter().map(median).collect();
    let mean = costs.iter().sum::<f64>() / count(costs.len());
    costs.iter().map(|cost| cost / mean).collect()
}

/// The number of epochs after which a trial of these losses ends by itself, and the index of its best epoch.
fn end(losses: &[f64]) -> (usize, usize) {
    let (mut best, mut best_loss) = (0, f64::INFINITY);
    for (at, loss) in losses.iter().enumerate() {
        if *loss < best_loss {
            (best, best_loss) = (at, *loss);
        } else if at - best >= PATIENCE {
            return (at + 1, best);
        }
    }
    (losses.len(), best)
}

impl Space {
    /// Settings on scales from 0 to 1; a chunk length stands in the middle of its share.
    pub(crate) fn place(&self, params: [f64; SETTINGS]) -> [f64; SETTINGS] {
        let linear = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        let log = |value: f64, (low, high): (f64, f64)| linear(value.ln(), (low.ln(), high.ln()));
        let lengths = &self.chunk_length.grid;
        let length = lengths.iter().position(|length| *length == params[3]).unwrap();
        [
            log(params[0], self.learning_rate.log),
            linear(params[1], self.dropout.linear),
            log(params[2], self.weight_decay.log),
            (count(length) + 0.5) / count(lengths.len()),
        ]
    }
}

/// The trials that one search may still get.
pub(crate) struct Pool<'a> {
    table: &'a Table,
    is_free: Vec<bool>,
}

impl<'a> Pool<'a> {
    /// Four fifths of the table, the same ones for the same repetition.
    pub(crate) fn new(table: &'a Table, repetition: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(repetition);
        let mut order: Vec<usize> = (0..table.trials.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, usize::try_from(random.next_u64() % (last as u64 + 1)).unwrap());
        }
        let mut is_free = vec![true; order.len()];
        order[..order.len() / 5].iter().for_each(|at| is_free[*at] = false);
        Self { table, is_free }
    }

    /// The nearest trial to `place` that the search has not had yet.
    pub(crate) fn take(&mut self, place: &[f64; SETTINGS]) -> usize {
        let distance = |at: usize| -> f64 {
            let squares =
                self.table.trials[at].place.iter().zip(place).map(|(own, asked)| (own - asked).powi(2));
            squares.zip(DISTANCE).map(|(square, counts)| square * counts).sum()
        };
        let free = (0..self.is_free.len()).filter(|at| self.is_free[*at]);
        let nearest = free.min_by(|one, other| distance(*one).total_cmp(&distance(*other))).unwrap();
        self.is_free[nearest] = false;
        nearest
    }
}
