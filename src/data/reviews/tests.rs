//! The promises of `builtin:reviews`, and that its sentiment can be learnt but not from short character
//! sequences alone.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SEED: u64 = 42;

fn reviews(count: usize) -> Vec<Review> {
    let mut dice = Dice::seeded(SEED);
    (0..count)
        .map(|_| {
            let review = compose(&mut dice);
            dice.chance(NOISE_PERMILLE);
            review
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_texts_on_every_machine() {
    let documents = generate(SEED, 3);
    let shown: Vec<String> = documents
        .iter()
        .map(|document| format!("{} {} {}", document.id, document.label, document.text))
        .collect();
    assert_eq!(
        shown,
        [
            "1 0 上个月买的，这次浴室非常离谱，等了三天才轮到我，早餐比较单调，第二天才想起来写评价，服务比较令人失望！",
            "2 1 已经是第二次了，早餐非常好。",
            "3 1 键盘并不棒，但耗电确实棒，用的是手机下单。"
        ]
    );
}

#[test]
fn another_seed_gives_other_texts() {
    assert_ne!(generate(SEED, 5), generate(SEED + 1, 5));
}

#[test]
fn a_longer_list_begins_with_the_shorter_one() {
    assert_eq!(generate(SEED, 50), generate(SEED, 80)[..50]);
}

#[test]
fn both_labels_are_about_as_frequent() {
    let documents = generate(SEED, DOCUMENTS);
    let positive = documents.iter().filter(|document| document.label == 1).count();
    assert!((DOCUMENTS * 47 / 100..=DOCUMENTS * 53 / 100).contains(&positive), "{positive}");
}

#[test]
fn two_or_three_labels_in_a_hundred_contradict_the_rule() {
    let documents = generate(SEED, 20_000);
    let clean = reviews(20_000);
    assert!(documents.iter().zip(&clean).all(|(document, review)| document.text == review.text));
    let wrong = documents
        .iter()
        .zip(&clean)
        .filter(|(document, review)| document.label != u32::from(review.positive))
        .count();
    assert!((400..=600).contains(&wrong), "{wrong}");
}

/// The characters of each text.
fn lengths() -> Vec<usize> {
    generate(SEED, DOCUMENTS).iter().map(|document| document.text.chars().count()).collect()
}

/// The share of texts, in percent, whose length passes `test`.
fn share(test: fn(usize) -> bool) -> usize {
    let lengths = lengths();
    lengths.iter().filter(|length| test(**length)).count() * 100 / lengths.len()
}

#[test]
fn most_texts_are_short() {
    assert!(share(|length| (15..=60).contains(&length)) >= 80);
}

#[test]
fn a_few_texts_are_longer_than_128_characters() {
    assert!((1..=5).contains(&share(|length| length > 128)), "{}", share(|length| length > 128));
}

#[test]
fn no_text_is_longer_than_320_characters() {
    let lengths = lengths();
    assert!(lengths.iter().all(|length| *length <= 320), "{:?}", lengths.iter().max());
}

#[test]
fn texts_are_nearly_all_distinct() {
    let documents = generate(SEED, DOCUMENTS);
    let distinct: BTreeSet<&str> = documents.iter().map(|document| document.text.as_str()).collect();
    assert!(distinct.len() * 1000 >= DOCUMENTS * 990, "{}", distinct.len());
}

#[test]
fn the_vocabulary_is_the_set_of_characters_of_all_texts() {
    let seen: BTreeSet<char> = generate(SEED, 20_000)
        .iter()
        .flat_map(|document| document.text.chars().collect::<Vec<_>>())
        .collect();
    assert_eq!(seen.into_iter().collect::<Vec<char>>(), vocabulary());
}

#[test]
fn the_clause_after_but_decides_against_any_weight_before_it() {
    let strong = |positive| Opinion { positive, strength: Strength::Strong, role: Role::Plain };
    let but = |positive| Opinion { positive, strength: Strength::Mild, role: Role::Decisive };
    assert!(verdict(&[strong(false), strong(false), but(true)]));
    assert!(!verdict(&[strong(true), strong(true), but(false)]));
}

#[test]
fn a_conceded_opinion_does_not_count() {
    let opinion = |positive, role| Opinion { positive, strength: Strength::Strong, role };
    assert!(verdict(&[opinion(true, Role::Plain), opinion(false, Role::Conceded)]));
}

#[test]
fn a_reported_opinion_does_not_count() {
    let opinion = |positive, role| Opinion { positive, strength: Strength::Strong, role };
    assert!(!verdict(&[opinion(true, Role::Reported), opinion(false, Role::Plain)]));
}

#[test]
fn a_strong_opinion_outweighs_a_mild_one() {
    let opinion = |positive, strength| Opinion { positive, strength, role: Role::Plain };
    assert!(verdict(&[opinion(false, Strength::Mild), opinion(true, Strength::Strong)]));
    assert!(!verdict(&[opinion(true, Strength::Mild), opinion(false, Strength::Strong)]));
}

/// From the text alone: a review is negative when its last opinion clause opens with 但是 and blames in
/// plain words.
#[test]
fn blame_after_but_makes_a_text_negative_before_noise() {
    let blame = |text: &str| {
        text.rsplit_once("但是").is_some_and(|(_, rest)| {
            let clause = rest.split(['，', '。', '！']).next().unwrap_or_default();
            phrases::BAD.iter().any(|bad| clause.ends_with(bad))
        })
    };
    let found: Vec<Review> = reviews(4_000).into_iter().filter(|review| blame(&review.text)).collect();
    assert!(found.len() > 50, "{}", found.len());
    assert!(found.iter().all(|review| !review.positive));
}

#[test]
fn every_structure_has_a_verdict_of_its_own() {
    let mut dice = Dice::seeded(SEED);
    for _ in 0..2_000 {
        let opinions = structure(&mut dice);
        let reversed: Vec<Opinion> =
            opinions.iter().map(|opinion| Opinion { positive: !opinion.positive, ..*opinion }).collect();
        assert_ne!(verdict(&opinions), verdict(&reversed), "a tie: {opinions:?}");
    }
}

/// Buckets into which sequences of 1 to 3 characters are hashed; each counts once a text.
const BUCKETS: usize = 1 << 15;

/// Logistic regression on hashed character 1–3-grams, by plain stochastic gradient descent.
struct Ngrams(Vec<f32>);

impl Ngrams {
    fn features(text: &str) -> BTreeSet<usize> {
        let characters: Vec<char> = text.chars().collect();
        (1..=3)
            .flat_map(|length| characters.windows(length))
            .map(|window| {
                let hash = window.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, character| {
                    (hash ^ u64::from(u32::from(*character))).wrapping_mul(0x0100_0000_01b3)
                });
                usize::try_from(hash >> 49).unwrap()
            })
            .collect()
    }

    fn logit(&self, features: &BTreeSet<usize>) -> f32 {
        features.iter().map(|feature| self.0[*feature]).sum()
    }

    fn fitted(documents: &[GeneratedReview]) -> Self {
        let mut model = Self(vec![0.0; BUCKETS]);
        let rows: Vec<(BTreeSet<usize>, f32)> = documents
            .iter()
            .map(|document| (Self::features(&document.text), if document.label == 1 { 1.0 } else { 0.0 }))
            .collect();
        for epoch in 0..15_u8 {
            let rate = 0.05 / (1.0 + f32::from(epoch) / 4.0);
            for (features, label) in &rows {
                let error = label - 1.0 / (1.0 + (-model.logit(features)).exp());
                for feature in features {
                    model.0[*feature] += rate * (error - 0.01 * model.0[*feature]);
                }
            }
        }
        model
    }

    fn accuracy(&self, documents: &[GeneratedReview]) -> f64 {
        let right = documents
            .iter()
            .filter(|document| (self.logit(&Self::features(&document.text)) > 0.0) == (document.label == 1))
            .count();
        f64::from(u32::try_from(right).unwrap()) / f64::from(u32::try_from(documents.len()).unwrap())
    }
}

#[test]
fn short_character_sequences_predict_most_sentiments_but_far_from_all() {
    let documents = generate(SEED, DOCUMENTS);
    let (train, test) = documents.split_at(DOCUMENTS * 7 / 10);
    let model = Ngrams::fitted(train);
    let accuracy = model.accuracy(test);
    assert!((0.70..0.84).contains(&accuracy), "{accuracy}");
    assert!(model.accuracy(train) > accuracy + 0.05, "it was not fitted");
}

#[test]
fn opinions_of_each_kind_of_structure_are_frequent() {
    let mut dice = Dice::seeded(SEED);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..1_000 {
        let opinions = structure(&mut dice);
        let has = |role: Role| opinions.iter().any(|opinion| opinion.role == role);
        let kind = match (has(Role::Decisive), has(Role::Conceded), has(Role::Reported)) {
            (true, _, _) => "contrast",
            (_, true, _) => "concession",
            (_, _, true) => "hearsay",
            _ => "plain",
        };
        *seen.entry(kind).or_default() += 1;
    }
    assert!(seen["contrast"] > 250 && seen["concession"] > 30 && seen["hearsay"] > 15, "{seen:?}");
}
