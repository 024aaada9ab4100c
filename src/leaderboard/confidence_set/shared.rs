//! How much of the noise of several models' F1 they share, since they are measured on the same documents.

use super::{
    SamePredictions,
    flattery::shown,
    models::Models,
    resamples::{self, RESAMPLES},
};
use crate::{metrics::Target, numbers::count};

/// The share of the variance of an F1 over test documents that all models have in common: their mean covariance in
/// resamples of the documents by their mean variance; from 0 to 1. 1 where no F1 varies.
///
/// `classes` is the number of classes of the task.
#[must_use]
pub fn shared_variance(same: &SamePredictions, target: Target, classes: usize) -> f64 {
    let models = Models::new(same, target);
    let members: Vec<usize> = (0..models.different.len()).collect();
    let mut f1s = resamples::f1s(&models, &members);
    for f1 in f1s.iter_mut().flatten() {
        *f1 = shown(*f1, target, (classes, models.labels.len()));
    }
    let all = || models.places.iter().map(|&place| &f1s[place]);
    let number = count(models.places.len());
    let variances: f64 = all().map(|own| variance(own)).sum();
    let sums: Vec<f64> = (0..RESAMPLES).map(|round| all().map(|own| own[round]).sum()).collect();
    // The variance of a sum is the sum of all variances and of all covariances, of which there are n (n − 1).
    let covariance = (variance(&sums) - variances) / (number * (number - 1.0));
    let share = covariance / (variances / number);
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 }
}

fn variance(own: &[f64]) -> f64 {
    let mean = own.iter().sum::<f64>() / count(own.len());
    own.iter().map(|each| (each - mean) * (each - mean)).sum::<f64>() / count(own.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaderboard::Prediction;

    /// The share that two models of 400 documents have in common which err on these documents.
    fn share(errs: [fn(u64) -> bool; 2]) -> f64 {
        let [first, second] = errs.map(|errs| {
            let predict = |id: u64| {
                let label = usize::from(id % 2 == 1);
                Prediction { id, label, predicted: if errs(id) { 1 - label } else { label } }
            };
            (0..400).map(predict).collect::<Vec<_>>()
        });
        let mut same = SamePredictions::starting_with(&first);
        assert!(same.add(&second));
        shared_variance(&same, Target::Class(1), 2)
    }

    #[test]
    fn models_with_the_same_errors_share_all_noise() {
        assert!(share([|id| id < 80, |id| id < 80]) > 0.999);
    }

    #[test]
    fn models_with_errors_of_their_own_share_hardly_any_noise() {
        assert!(share([|id| id < 60, |id| id >= 340]) < 0.1);
    }

    #[test]
    fn models_with_half_of_their_errors_in_common_share_about_half_of_the_noise() {
        let share = share([|id| id < 80, |id| (40..120).contains(&id)]);
        assert!((0.3..0.6).contains(&share), "{share}");
    }

    #[test]
    fn perfect_models_share_all_noise() {
        assert_eq!(share([|_| false, |_| false]), 1.0);
    }
}
