//! Fewer points of a long curve: a picture has no room for all of them.

use crate::event::Evaluation;

/// At most `most` of `evaluations`, evenly spaced from the first; and the last one and the best one besides.
pub(super) fn thinned(evaluations: &[Evaluation], most: usize) -> impl Iterator<Item = &Evaluation> {
    let every = evaluations.len().div_ceil(most.max(2)).max(1);
    let last = evaluations.len().saturating_sub(1);
    let best = evaluations.iter().rposition(|each| each.best);
    let is_kept = move |at: usize| at.is_multiple_of(every) || at == last || Some(at) == best;
    evaluations.iter().enumerate().filter(move |(at, _)| is_kept(*at)).map(|(_, each)| each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::record;

    #[test]
    fn a_short_curve_stays_whole() {
        let record = record(1, &[0.5, 0.4, 0.3]);
        assert_eq!(thinned(&record.evaluations, 3).count(), 3);
    }

    #[test]
    fn a_long_curve_keeps_its_best_and_its_last_point() {
        let mut losses = vec![0.5; 1000];
        losses[333] = 0.1;
        let record = record(1, &losses);
        let kept: Vec<f64> = thinned(&record.evaluations, 50).map(|each| each.epoch).collect();
        assert!(kept.len() <= 52 && kept.contains(&334.0) && kept.contains(&1000.0), "{kept:?}");
    }
}
