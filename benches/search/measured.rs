//! What many searches of a kind came to, at several lengths.

use crate::{
    replay::{Ended, chosen_test_f1, epochs},
    statistics::{Sample, count},
    table::Table,
};

/// Numbers of trials at which a search is looked at: whole generations.
pub(crate) const LOOKS: [usize; 4] = [8, 16, 32, 48];

/// What one search came to.
#[derive(Clone, Copy)]
struct Found {
    /// Test F1 of the trial that validation chooses, in points.
    test_f1: f64,
    epochs: f64,
}

/// By look and table: what each repetition came to. A look has no tables that are too small for it.
pub(crate) struct Measured(Vec<Vec<Vec<Found>>>);

impl Measured {
    /// Searches each table as many times as there are `repetitions`. `search` is given the table, the number of trials
    /// and the repetition.
    pub(crate) fn new(
        tables: &[Table],
        repetitions: u64,
        search: &dyn Fn(&Table, usize, u64) -> Vec<Ended>,
    ) -> Self {
        let mut looks: Vec<Vec<Vec<Found>>> = LOOKS.map(|_| Vec::new()).into();
        for table in tables {
            let served = LOOKS.into_iter().filter(|look| *look <= table.serves()).count();
            let Some(last) = LOOKS[..served].last() else { continue };
            looks[..served].iter_mut().for_each(|tables| tables.push(Vec::new()));
            for repetition in 0..repetitions {
                let search = search(table, *last, repetition);
                for (tables, look) in looks.iter_mut().zip(LOOKS).take(served) {
                    let search = &search[..look];
                    let found = Found {
                        test_f1: 100.0 * chosen_test_f1(table, search),
                        epochs: count(epochs(search)),
                    };
                    tables.last_mut().unwrap().push(found);
                }
            }
        }
        Self(looks)
    }

    /// The mean test F1.
    pub(crate) fn level(&self, look: usize) -> f64 {
        let mean =
            |found: &Vec<Found>| found.iter().map(|found| found.test_f1).sum::<f64>() / count(found.len());
        self.0[look].iter().map(mean).sum::<f64>() / count(self.0[look].len())
    }

    /// By how much test F1 is above that of `base` in the same repetitions.
    pub(crate) fn over(&self, base: &Self, look: usize) -> Sample {
        let tables = self.0[look].iter().zip(&base.0[look]).map(|(own, base)| {
            let pairs = own.iter().zip(base);
            Sample::of(&pairs.map(|(own, base)| own.test_f1 - base.test_f1).collect::<Vec<f64>>())
        });
        Sample::mean_of(&tables.collect::<Vec<Sample>>())
    }

    /// Epochs as a share of those of `base`.
    pub(crate) fn share(&self, base: &Self, look: usize) -> f64 {
        let sum = |found: &[Found]| found.iter().map(|found| found.epochs).sum::<f64>();
        let shares = self.0[look].iter().zip(&base.0[look]).map(|(own, base)| sum(own) / sum(base));
        shares.sum::<f64>() / count(self.0[look].len())
    }
}
