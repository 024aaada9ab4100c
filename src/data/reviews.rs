//! `builtin:reviews`: Chinese reviews of hotels, restaurants, books and electronics, generated from a seed.
//!
//! A review is a sequence of clauses. Its sentiment follows from their structure (`verdict`) and not from
//! the words alone: negation reverses an opinion, a conceded or reported opinion does not count, and a
//! clause after 但 decides. Negations and conjunctions stand several characters before the word they act
//! on, so that a classifier that counts short character sequences misses many of them. Every decision is
//! integer arithmetic on a `ChaCha8Rng` stream: the same seed gives the same texts on every machine.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

mod phrases;
#[cfg(test)]
mod tests;

use phrases::Aspect;

/// One generated review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedReview {
    /// Its number, from 1.
    pub id: u32,
    /// The text.
    pub text: String,
    /// Index into [`LABELS`].
    pub label: u32,
}

/// Class names, by [`GeneratedReview::label`].
pub const LABELS: [&str; 2] = ["negative", "positive"];

/// Number of documents of `builtin:reviews`.
pub const DOCUMENTS: usize = 3_600;

/// The punctuation between and after clauses.
const PUNCTUATION: &[&str] = &["，", "。", "！"];

/// Labels that are wrong on purpose, in thousandths.
const NOISE_PERMILLE: u32 = 25;

/// The first `documents` reviews of `seed`: ids from 1, labels are indices into [`LABELS`], about half of
/// each.
///
/// A longer list begins with the shorter one. 2.5 % of the labels are wrong on purpose, as in real data.
#[must_use]
pub fn generate(seed: u64, documents: usize) -> Vec<GeneratedReview> {
    let mut dice = Dice::seeded(seed);
    (1..)
        .take(documents)
        .map(|id| {
            let review = compose(&mut dice);
            let noisy = dice.chance(NOISE_PERMILLE);
            GeneratedReview { id, text: review.text, label: u32::from(review.positive != noisy) }
        })
        .collect()
}

/// Every character that a review can contain, sorted, each once.
#[must_use]
pub fn vocabulary() -> Vec<char> {
    let general = [
        phrases::GOOD,
        phrases::BAD,
        phrases::MILD_GOOD,
        phrases::MILD_BAD,
        phrases::PLAIN,
        phrases::STRONG,
        phrases::NOT_BEFORE,
        phrases::NOT_WITHIN,
        phrases::NOT_NOT,
        phrases::BUT,
        phrases::ALTHOUGH,
        phrases::HEARSAY,
        phrases::OPENERS,
        phrases::FILLERS,
        PUNCTUATION,
    ];
    let of_topics = phrases::TOPICS.iter().flat_map(|topic| {
        let of_aspects = topic
            .aspects
            .iter()
            .flat_map(|aspect| aspect.good.iter().chain(aspect.bad).copied().chain([aspect.name]));
        topic.fillers.iter().copied().chain(of_aspects)
    });
    let mut characters: Vec<char> =
        general.into_iter().flatten().copied().chain(of_topics).flat_map(str::chars).collect();
    characters.sort_unstable();
    characters.dedup();
    characters
}

/// One review and its true sentiment, before labels are made wrong.
struct Review {
    text: String,
    positive: bool,
}

/// How the opinion of a clause counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Counts by its weight.
    Plain,
    /// Follows 但 or another "but": decides alone.
    Decisive,
    /// Follows 虽然 or another "although": does not count.
    Conceded,
    /// Hearsay: does not count.
    Reported,
}

/// How strongly an opinion is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    Mild,
    Plain,
    Strong,
}

impl Strength {
    const fn weight(self) -> i32 {
        match self {
            Self::Mild => 1,
            Self::Plain => 2,
            Self::Strong => 4,
        }
    }
}

/// The opinion of a clause, before words are chosen for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opinion {
    positive: bool,
    strength: Strength,
    role: Role,
}

/// Whether a review is positive: its decisive clause's opinion, or else the sign of the weighted sum of its
/// plain opinions.
fn verdict(opinions: &[Opinion]) -> bool {
    if let Some(decisive) = opinions.iter().find(|opinion| opinion.role == Role::Decisive) {
        return decisive.positive;
    }
    let sum: i32 = opinions
        .iter()
        .filter(|opinion| opinion.role == Role::Plain)
        .map(|opinion| if opinion.positive { opinion.strength.weight() } else { -opinion.strength.weight() })
        .sum();
    sum > 0
}

/// Draws a review's structure, then its words; no filler and no aspect comes twice.
fn compose(dice: &mut Dice) -> Review {
    let topic = dice.pick(phrases::TOPICS);
    let opinions = structure(dice);
    let long = dice.chance(40);
    let mut aspects = topic.aspects.to_vec();
    let mut fillers = [topic.fillers, phrases::FILLERS].concat();
    let mut clauses: Vec<String> = Vec::new();
    for opinion in &opinions {
        let count = if long { 4 + dice.below(6) } else { dice.below(5) / 3 };
        clauses.extend((0..count).filter_map(|_| dice.take(&mut fillers)).map(str::to_owned));
        clauses.extend(dice.take(&mut aspects).map(|aspect| clause(dice, &aspect, *opinion)));
    }
    if dice.chance(300) {
        clauses.extend(dice.take(&mut fillers).map(str::to_owned));
    }
    let end = if dice.chance(200) { '！' } else { '。' };
    let mut text = clauses.join("，");
    text.push(end);
    Review { text, positive: verdict(&opinions) }
}

/// Draws the opinions of a review, which decide its sentiment.
fn structure(dice: &mut Dice) -> Vec<Opinion> {
    let positive = dice.chance(500);
    match dice.below(100) {
        0..60 => (0..=dice.below(3)).map(|_| opinion(dice, positive, Role::Plain)).collect(),
        60..62 => {
            let strong = Opinion { positive, strength: Strength::Strong, role: Role::Plain };
            let mild = Opinion { positive: !positive, strength: Strength::Mild, role: Role::Plain };
            in_any_order(dice, strong, mild)
        }
        62..92 => {
            let mut opinions = vec![opinion(dice, !positive, Role::Plain)];
            if dice.chance(300) {
                let second = dice.chance(500);
                opinions.push(opinion(dice, second, Role::Plain));
            }
            opinions.push(opinion(dice, positive, Role::Decisive));
            opinions
        }
        form => {
            let counted = opinion(dice, positive, Role::Plain);
            let role = if form < 97 { Role::Conceded } else { Role::Reported };
            let discounted = opinion(dice, !positive, role);
            in_any_order(dice, counted, discounted)
        }
    }
}

fn opinion(dice: &mut Dice, positive: bool, role: Role) -> Opinion {
    let strength = dice.pick(&[Strength::Mild, Strength::Plain, Strength::Plain, Strength::Strong]);
    Opinion { positive, strength, role }
}

fn in_any_order(dice: &mut Dice, one: Opinion, other: Opinion) -> Vec<Opinion> {
    if dice.chance(500) { vec![one, other] } else { vec![other, one] }
}

/// Words for `opinion` on `aspect`: opener, negation, aspect, adverb, predicate.
///
/// Only plain clauses are negated, so that no opinion is both negated and discounted. A strong opinion is
/// never written as the negation of its opposite: "not bad at all" is no strong praise.
fn clause(dice: &mut Dice, aspect: &Aspect, opinion: Opinion) -> String {
    let opener = match opinion.role {
        Role::Plain if dice.chance(200) => dice.pick(phrases::OPENERS),
        Role::Plain => "",
        Role::Decisive => dice.pick(phrases::BUT),
        Role::Conceded => dice.pick(phrases::ALTHOUGH),
        Role::Reported => dice.pick(phrases::HEARSAY),
    };
    let name = aspect.name;
    let form = dice.below(100);
    if form < 18 && opinion.role == Role::Plain && opinion.strength != Strength::Strong {
        let opposite = predicate(dice, aspect, !opinion.positive);
        return if dice.chance(700) {
            let (not, adverb) = (dice.pick(phrases::NOT_BEFORE), dice.pick(phrases::PLAIN));
            format!("{opener}{not}{name}{adverb}{opposite}")
        } else {
            let not = dice.pick(phrases::NOT_WITHIN);
            format!("{opener}{name}{not}{opposite}")
        };
    }
    let affirmed = if form >= 97 { dice.pick(phrases::NOT_NOT) } else { "" };
    let adverb = dice.pick(match (opinion.strength, opinion.positive) {
        (Strength::Mild, true) => phrases::MILD_GOOD,
        (Strength::Mild, false) => phrases::MILD_BAD,
        (Strength::Plain, _) => phrases::PLAIN,
        (Strength::Strong, _) => phrases::STRONG,
    });
    let predicate = predicate(dice, aspect, opinion.positive);
    format!("{opener}{affirmed}{name}{adverb}{predicate}")
}

fn predicate(dice: &mut Dice, aspect: &Aspect, positive: bool) -> &'static str {
    let general = dice.chance(820);
    dice.pick(match (general, positive) {
        (true, true) => phrases::GOOD,
        (true, false) => phrases::BAD,
        (false, true) => aspect.good,
        (false, false) => aspect.bad,
    })
}

/// Random integers from one stream.
struct Dice(ChaCha8Rng);

impl Dice {
    fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `bound`: the high word of a 64-bit product, whose probabilities differ by at most
    /// 2^-32.
    fn below(&mut self, bound: u32) -> u32 {
        let [_, _, _, _, high @ ..] = (u64::from(self.0.next_u32()) * u64::from(bound)).to_le_bytes();
        u32::from_le_bytes(high)
    }

    /// True with a probability of `permille` in a thousand.
    fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < permille
    }

    /// One of `items`, which must not be empty.
    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items[self.below(count) as usize]
    }

    /// Removes one of `items` and returns it; `None` when there is none.
    fn take<T>(&mut self, items: &mut Vec<T>) -> Option<T> {
        let count = u32::try_from(items.len()).ok().filter(|count| *count > 0)?;
        Some(items.swap_remove(self.below(count) as usize))
    }
}
