//! `builtin:reviews`: Chinese reviews of hotels, restaurants, books and electronics, made from a seed.
//!
//! A review is a row of clauses; its sentiment is a rule of their structure
//! (`verdict`), not of the words alone: negation turns an opinion over, a
//! conceded or reported opinion does not count, and a clause after 但 decides.
//! Markers stand several characters before the word they act on, so that counts
//! of short character sequences see only half of it. All decisions are integer
//! arithmetic on a `ChaCha8Rng` stream: the same texts on every machine.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::Document;

mod phrases;
#[cfg(test)]
mod tests;

use phrases::Aspect;

/// Class names, by [`Document::label`].
pub const LABELS: [&str; 2] = ["negative", "positive"];

/// Documents of `builtin:reviews`.
pub const DOCUMENTS: usize = 3_600;

/// Between and after clauses.
const PUNCTUATION: &[&str] = &["，", "。", "！"];

/// Labels turned over, in thousandths.
const NOISE_PERMILLE: u32 = 25;

/// The first `documents` reviews of `seed`: ids from 1, labels by [`LABELS`], about half of each.
///
/// A longer list begins with the shorter one. 2–3 % of the labels are wrong on purpose.
#[must_use]
pub fn generate(seed: u64, documents: usize) -> Vec<Document> {
    let mut draw = Draw::seeded(seed);
    (1..=documents)
        .map(|id| {
            let review = compose(&mut draw);
            let noisy = draw.chance(NOISE_PERMILLE);
            Document { id, text: review.text, label: usize::from(review.positive != noisy) }
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
    let of_domains = phrases::DOMAINS.iter().flat_map(|domain| {
        let of_aspects = domain
            .aspects
            .iter()
            .flat_map(|aspect| aspect.good.iter().chain(aspect.bad).copied().chain([aspect.name]));
        domain.fillers.iter().copied().chain(of_aspects)
    });
    let mut characters: Vec<char> =
        general.into_iter().flatten().copied().chain(of_domains).flat_map(str::chars).collect();
    characters.sort_unstable();
    characters.dedup();
    characters
}

/// One review, with the label before noise.
struct Review {
    text: String,
    positive: bool,
}

/// What a clause does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Counts by its weight.
    Plain,
    /// Follows 但 and the like: decides alone.
    Decisive,
    /// Follows 虽然 and the like: does not count.
    Conceded,
    /// What others say: does not count.
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

/// What a clause says, before it has words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opinion {
    positive: bool,
    strength: Strength,
    role: Role,
}

/// The rule: the decisive clause, or else the sign of the weighted sum of the plain ones.
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
fn compose(draw: &mut Draw) -> Review {
    let domain = draw.pick(phrases::DOMAINS);
    let opinions = structure(draw);
    let long = draw.chance(40);
    let mut aspects = domain.aspects.to_vec();
    let mut fillers = [domain.fillers, phrases::FILLERS].concat();
    let mut clauses: Vec<String> = Vec::new();
    for opinion in &opinions {
        let count = if long { 4 + draw.below(6) } else { draw.below(5) / 3 };
        clauses.extend((0..count).filter_map(|_| draw.take(&mut fillers)).map(str::to_owned));
        clauses.extend(draw.take(&mut aspects).map(|aspect| clause(draw, &aspect, *opinion)));
    }
    if draw.chance(300) {
        clauses.extend(draw.take(&mut fillers).map(str::to_owned));
    }
    let end = if draw.chance(200) { '！' } else { '。' };
    let mut text = clauses.join("，");
    text.push(end);
    Review { text, positive: verdict(&opinions) }
}

/// Draws who says what: the sentiment of a review is decided here.
fn structure(draw: &mut Draw) -> Vec<Opinion> {
    let positive = draw.chance(500);
    match draw.below(100) {
        0..60 => (0..=draw.below(3)).map(|_| opinion(draw, positive, Role::Plain)).collect(),
        60..62 => {
            let strong = Opinion { positive, strength: Strength::Strong, role: Role::Plain };
            let mild = Opinion { positive: !positive, strength: Strength::Mild, role: Role::Plain };
            in_any_order(draw, strong, mild)
        }
        62..92 => {
            let mut opinions = vec![opinion(draw, !positive, Role::Plain)];
            if draw.chance(300) {
                let second = draw.chance(500);
                opinions.push(opinion(draw, second, Role::Plain));
            }
            opinions.push(opinion(draw, positive, Role::Decisive));
            opinions
        }
        form => {
            let counted = opinion(draw, positive, Role::Plain);
            let role = if form < 97 { Role::Conceded } else { Role::Reported };
            let discounted = opinion(draw, !positive, role);
            in_any_order(draw, counted, discounted)
        }
    }
}

fn opinion(draw: &mut Draw, positive: bool, role: Role) -> Opinion {
    let strength = draw.pick(&[Strength::Mild, Strength::Plain, Strength::Plain, Strength::Strong]);
    Opinion { positive, strength, role }
}

fn in_any_order(draw: &mut Draw, one: Opinion, other: Opinion) -> Vec<Opinion> {
    if draw.chance(500) { vec![one, other] } else { vec![other, one] }
}

/// Words for `opinion`: opener, negation, aspect, adverb, predicate.
///
/// Only plain clauses are negated, so that no opinion is turned over by one marker and
/// discounted by another; a strong opinion is never the negation of its opposite.
fn clause(draw: &mut Draw, aspect: &Aspect, opinion: Opinion) -> String {
    let opener = match opinion.role {
        Role::Plain if draw.chance(200) => draw.pick(phrases::OPENERS),
        Role::Plain => "",
        Role::Decisive => draw.pick(phrases::BUT),
        Role::Conceded => draw.pick(phrases::ALTHOUGH),
        Role::Reported => draw.pick(phrases::HEARSAY),
    };
    let name = aspect.name;
    let form = draw.below(100);
    if form < 18 && opinion.role == Role::Plain && opinion.strength != Strength::Strong {
        let opposite = predicate(draw, aspect, !opinion.positive);
        return if draw.chance(700) {
            let (not, adverb) = (draw.pick(phrases::NOT_BEFORE), draw.pick(phrases::PLAIN));
            format!("{opener}{not}{name}{adverb}{opposite}")
        } else {
            let not = draw.pick(phrases::NOT_WITHIN);
            format!("{opener}{name}{not}{opposite}")
        };
    }
    let affirmed = if form >= 97 { draw.pick(phrases::NOT_NOT) } else { "" };
    let adverb = draw.pick(match (opinion.strength, opinion.positive) {
        (Strength::Mild, true) => phrases::MILD_GOOD,
        (Strength::Mild, false) => phrases::MILD_BAD,
        (Strength::Plain, _) => phrases::PLAIN,
        (Strength::Strong, _) => phrases::STRONG,
    });
    let predicate = predicate(draw, aspect, opinion.positive);
    format!("{opener}{affirmed}{name}{adverb}{predicate}")
}

fn predicate(draw: &mut Draw, aspect: &Aspect, positive: bool) -> &'static str {
    let general = draw.chance(820);
    draw.pick(match (general, positive) {
        (true, true) => phrases::GOOD,
        (true, false) => phrases::BAD,
        (false, true) => aspect.good,
        (false, false) => aspect.bad,
    })
}

/// Integer draws from one stream.
struct Draw(ChaCha8Rng);

impl Draw {
    fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `bound`; some are likelier than others by `bound` in 2^32.
    fn below(&mut self, bound: u32) -> u32 {
        let [_, _, _, _, high @ ..] = (u64::from(self.0.next_u32()) * u64::from(bound)).to_le_bytes();
        u32::from_le_bytes(high)
    }

    /// True in `permille` of a thousand draws.
    fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < permille
    }

    /// One of `items`: a table of ours, never empty.
    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items[self.below(count) as usize]
    }

    /// One of `items`, taken out of them; `None` when none is left.
    fn take<T>(&mut self, items: &mut Vec<T>) -> Option<T> {
        let count = u32::try_from(items.len()).ok().filter(|count| *count > 0)?;
        Some(items.swap_remove(self.below(count) as usize))
    }
}
