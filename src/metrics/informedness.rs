//! Whether predictions say anything about the true class.

use super::Confusion;
use crate::numbers::count_u64;

/// Largest probability of a result by chance alone that still counts as informative.
const CHANCE_MAX: f64 = 0.05;
/// The 95 % quantile of the standard normal distribution, for one-sided tests at [`CHANCE_MAX`].
const Z_ONE_SIDED: f64 = 1.644_853_626_951_472_2;
/// Informedness above which the number of documents does not matter: a tenth of the way from chance to perfect. In a
/// small set a weak classifier, and even a good one, does not pass a test of significance; it is weak or
/// unproven then, but it has not collapsed.
const CLEAR: f64 = 0.1;
/// Equal shares may differ by this much after rounding.
const ROUNDING: f64 = 1e-9;
/// Documents up to which the probability of two classes is computed exactly. The logarithms of factorials of
/// larger numbers lose digits, and the normal approximation is close there.
const EXACT_MAX: u64 = 1_000_000;

impl Confusion {
    /// How far the mean recall of the classes that occur lies above chance: 1 for perfect predictions, 0 for
    /// predictions that are independent of the class, such as a constant one.
    ///
    /// With two classes this is Youden's index, sensitivity + specificity − 1 ("Index for rating diagnostic
    /// tests", Cancer 3, 1950). Unlike accuracy it does not depend on the classes' shares. `None` if fewer
    /// than two classes occur: there is nothing to tell apart then.
    #[must_use]
    pub fn informedness(&self) -> Option<f64> {
        let occurring = count_u64(self.occurring().count() as u64);
        (occurring > 1.0).then(|| (self.recall_sum() - 1.0) / (occurring - 1.0))
    }

    /// Whether the predictions say more about the class than predictions at random would.
    ///
    /// They do if their informedness is above 0.1, or if predictions that are dealt to the documents at
    /// random, as often for each class as here, come out as informative with a probability of at most
    /// 0.05. With two classes this probability is that of Fisher's exact test, one-sided; with more,
    /// the sum of recalls is compared with its mean and variance under random dealing, as a normal variable.
    ///
    /// `None` if fewer than two classes occur.
    #[must_use]
    pub fn is_informative(&self) -> Option<bool> {
        let informedness = self.informedness()?;
        if informedness > CLEAR + ROUNDING {
            return Some(true);
        }
        let excess = self.recall_sum() - self.chance_recall_sum();
        if excess <= 0.0 {
            return Some(false);
        }
        Some(if self.classes() == 2 && self.total() <= EXACT_MAX {
            self.chance_of_two_classes() <= CHANCE_MAX
        } else {
            excess > Z_ONE_SIDED * self.recall_sum_variance().max(0.0).sqrt()
        })
    }

    /// The classes that occur among the documents.
    fn occurring(&self) -> impl Iterator<Item = usize> {
        (0..self.classes()).filter(|&class| self.support(class) > 0)
    }

    /// Number of documents that were predicted as `class`.
    fn predicted(&self, class: usize) -> u64 {
        self.true_positives(class) + self.false_positives(class)
    }

    /// The sum of the recalls of the classes that occur.
    fn recall_sum(&self) -> f64 {
        let recall = |class| count_u64(self.true_positives(class)) / count_u64(self.support(class));
        self.occurring().map(recall).sum()
    }

    /// The mean of [`Self::recall_sum`] when the predictions are dealt to the documents at random.
    fn chance_recall_sum(&self) -> f64 {
        let predicted: u64 = self.occurring().map(|class| self.predicted(class)).sum();
        count_u64(predicted) / count_u64(self.total().max(1))
    }

    /// The variance of [`Self::recall_sum`] when the predictions are dealt to the documents at random.
    //
    // Each cell of the diagonal is hypergeometric. With n documents, r of a class and c predicted as it, the variance of
    // its cell is r c (n − r) (n − c) / (n² (n − 1)), and the covariance of the cells of two classes is
    // r c r' c' / (n² (n − 1)).
    fn recall_sum_variance(&self) -> f64 {
        let documents = count_u64(self.total());
        let (mut own, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for class in self.occurring() {
            let (support, predicted) = (count_u64(self.support(class)), count_u64(self.predicted(class)));
            own += predicted * (documents - predicted) * (documents - support) / support;
            sum += predicted;
            squares += predicted * predicted;
        }
        (own + sum * sum - squares) / (documents * documents * (documents - 1.0).max(1.0))
    }

    /// The probability that dealing the predictions of two classes at random gives at least as many true
    /// positives: the upper tail of the hypergeometric distribution.
    fn chance_of_two_classes(&self) -> f64 {
        let (all, support, predicted) = (self.total(), self.support(1), self.predicted(1));
        let ways = log_choices(all, predicted);
        let probability = |hits: u64| {
            (log_choices(support, hits) + log_choices(all - support, predicted - hits) - ways).exp()
        };
        (self.true_positives(1)..=support.min(predicted)).map(probability).sum()
    }
}

/// The logarithm of the number of ways to choose `chosen` of `all`. It comes from the `libm` crate: the
/// standard library's logarithm differs in the last bit between platforms.
fn log_choices(all: u64, chosen: u64) -> f64 {
    let log_factorial = |number: u64| libm::lgamma(count_u64(number) + 1.0);
    log_factorial(all) - log_factorial(chosen) - log_factorial(all - chosen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn confusion<const K: usize>(rows: [[u64; K]; K]) -> Confusion {
        Confusion::try_from(rows.map(Vec::from).to_vec()).unwrap()
    }

    fn is_informative<const K: usize>(rows: [[u64; K]; K]) -> Option<bool> {
        confusion(rows).is_informative()
    }

    #[test]
    fn a_constant_prediction_has_no_informedness_whichever_class_it_names() {
        for rows in [[[95, 0], [5, 0]], [[0, 95], [0, 5]]] {
            assert_eq!(confusion(rows).informedness(), Some(0.0));
            assert_eq!(is_informative(rows), Some(false));
        }
        assert_eq!(is_informative([[0, 30, 0], [0, 60, 0], [0, 10, 0]]), Some(false));
    }

    #[test]
    fn rare_spam_that_is_found_is_informative_although_naming_no_spam_is_more_accurate() {
        let rows = [[480, 33], [5, 22]];
        assert!(confusion(rows).accuracy() < 513.0 / 540.0);
        assert_eq!(is_informative(rows), Some(true));
    }

    #[test]
    fn a_few_lucky_departures_from_a_constant_are_chance() {
        // Slightly more accurate than the constant: 53 of 100 instead of 51.
        assert_eq!(is_informative([[2, 47], [0, 51]]), Some(false));
        assert_eq!(is_informative([[940, 10], [48, 2]]), Some(false));
    }

    #[test]
    fn two_independent_halves_are_not_informative_but_a_fifth_above_chance_in_a_hundred_is() {
        assert_eq!(is_informative([[25, 25], [25, 25]]), Some(false));
        assert_eq!(is_informative([[30, 20], [20, 30]]), Some(true));
        assert_eq!(is_informative([[27, 23], [23, 27]]), Some(false));
    }

    #[test]
    fn naming_the_other_class_each_time_is_not_informative() {
        assert_eq!(is_informative([[5, 45], [45, 5]]), Some(false));
    }

    #[test]
    fn naming_a_class_twice_in_forty_documents_is_chance() {
        assert_eq!(is_informative([[20, 0], [18, 2]]), Some(false));
    }

    #[test]
    fn a_weak_classifier_is_informative_on_documents_too_few_for_a_test() {
        let weak = confusion([[6, 4], [3, 7]]);
        assert!(weak.chance_of_two_classes() > 2.0 * CHANCE_MAX);
        assert_eq!(weak.is_informative(), Some(true));
    }

    #[test]
    fn a_good_classifier_is_informative_on_four_documents() {
        assert_eq!(is_informative([[2, 0], [0, 2]]), Some(true));
    }

    #[test]
    fn telling_two_of_three_classes_apart_is_informative() {
        assert_eq!(is_informative([[40, 10, 0], [12, 38, 0], [25, 25, 0]]), Some(true));
        assert_eq!(is_informative([[20, 15, 15], [18, 16, 16], [19, 15, 16]]), Some(false));
    }

    #[test]
    fn a_set_of_one_class_tells_nothing() {
        assert_eq!(is_informative([[0, 0], [3, 7]]), None);
        assert_eq!(Confusion::new(3).is_informative(), None);
    }

    #[test]
    fn the_probability_of_two_classes_is_that_of_fishers_exact_test() {
        // The first from sums of whole numbers (`math.comb` of Python); the second is Fisher's own, of tea.
        let chance = |rows| confusion(rows).chance_of_two_classes();
        assert!((chance([[30, 20], [20, 30]]) - 0.035_671_201_745).abs() < 1e-10);
        assert!((chance([[3, 1], [1, 3]]) - 17.0 / 70.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn swapping_the_two_classes_changes_nothing(a in 0_u64..60, b in 0_u64..60, c in 0_u64..60, d in 0_u64..60) {
            prop_assert_eq!(is_informative([[a, b], [c, d]]), is_informative([[d, c], [b, a]]));
        }

        #[test]
        fn any_counts_are_judged(cells in prop::collection::vec(0_u64..(1 << 48), 9)) {
            let rows: Vec<Vec<u64>> = cells.chunks(3).map(<[u64]>::to_vec).collect();
            let confusion = Confusion::try_from(rows).unwrap();
            prop_assert!(confusion.informedness().is_none_or(f64::is_finite));
            prop_assert_eq!(confusion.is_informative().is_some(), confusion.informedness().is_some());
        }
    }
}
