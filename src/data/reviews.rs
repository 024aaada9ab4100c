//! `builtin:reviews`: Chinese reviews of hotels, restaurants, books and electronics, made from a seed.
//!
//! A review is a row of clauses; its sentiment is a rule of their structure
//! ([`verdict`]), not of the words alone: negation turns an opinion over, a
//! conceded or reported opinion does not count, and a clause after 但 decides.
//! Markers stand several characters before the word they act on, so that counts
//! of short character sequences see only half of it. All decisions are integer
//! arithmetic on a ChaCha8 stream: the same texts on every machine.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::Document;

mod phrases;
#[cfg(test)]
mod tests;

use phrases::{Aspect, Domain};

/// Class names, by [`Document::label`].
pub const LABELS: [&str; 2] = ["negative", "positive"];

/// Documents of `builtin:reviews`.
pub const DOCUMENTS: usize = 3_000;

/// Labels turned over, in thousandths.
const NOISE_PERMILLE: u32 = 25;

/// The first `documents` reviews of `seed`: ids from 1, labels by [`LABELS`], about half of each.
///
/// A longer list begins with the shorter one. 2–3 % of the labels are wrong on purpose.
#[must_use]
pub fn generate(seed: u64, documents: usize) -> Vec<Document> {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
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
        &["，。！"],
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

/// Draws a review's structure, then its words.
fn compose(draw: &mut Draw) -> Review {
    let domain = draw.pick(phrases::DOMAINS);
    let opinions = structure(draw);
    let long = draw.chance(40);
    let mut clauses: Vec<String> = Vec::new();
    for opinion in &opinions {
        let fillers = if long { 3 + draw.below(6) } else { draw.below(5) / 3 };
        clauses.extend((0..fillers).map(|_| filler(draw, &domain)));
        clauses.push(clause(draw, &domain, *opinion));
    }
    if draw.chance(300) {
        clauses.push(filler(draw, &domain));
    }
    let mut text = String::new();
    for (index, clause) in clauses.iter().enumerate() {
        text.push_str(clause);
        text.push(match index + 1 == clauses.len() {
            false => '，',
            true if draw.chance(200) => '！',
            true => '。',
        });
    }
    Review { text, positive: verdict(&opinions) }
}

/// Draws who says what: the mean of a review is decided here.
fn structure(draw: &mut Draw) -> Vec<Opinion> {
    let positive = draw.chance(500);
    let opinion = |draw: &mut Draw, positive: bool, role: Role| Opinion {
        positive,
        strength: draw.pick(&[Strength::Mild, Strength::Plain, Strength::Plain, Strength::Strong]),
        role,
    };
    match draw.below(100) {
        0..57 => {
            let count = 1 + draw.below(3);
            (0..count).map(|_| opinion(draw, positive, Role::Plain)).collect()
        }
        57..59 => {
            let strong = Opinion { positive, strength: Strength::Strong, role: Role::Plain };
            let mild = Opinion { positive: !positive, strength: Strength::Mild, role: Role::Plain };
            if draw.chance(500) { vec![strong, mild] } else { vec![mild, strong] }
        }
        59..89 => {
            let mut opinions = vec![opinion(draw, !positive, Role::Plain)];
            if draw.chance(300) {
                let first = draw.chance(500);
                opinions.push(opinion(draw, first, Role::Plain));
            }
            opinions.push(opinion(draw, positive, Role::Decisive));
            opinions
        }
        89..95 => {
            let counted = opinion(draw, positive, Role::Plain);
            let conceded = opinion(draw, !positive, Role::Conceded);
            if draw.chance(500) { vec![counted, conceded] } else { vec![conceded, counted] }
        }
        _ => {
            let counted = opinion(draw, positive, Role::Plain);
            let reported = opinion(draw, !positive, Role::Reported);
            if draw.chance(500) { vec![counted, reported] } else { vec![reported, counted] }
        }
    }
}

/// Words for `opinion`: opener, negation, aspect, adverb, predicate.
fn clause(draw: &mut Draw, domain: &Domain, opinion: Opinion) -> String {
    let aspect = draw.pick(domain.aspects);
    let opener = match opinion.role {
        Role::Plain if draw.chance(200) => draw.pick(phrases::OPENERS),
        Role::Plain => "",
        Role::Decisive => draw.pick(phrases::BUT),
        Role::Conceded => draw.pick(phrases::ALTHOUGH),
        Role::Reported => draw.pick(phrases::HEARSAY),
    };
    let name = aspect.name;
    match draw.below(100) {
        0..18 if opinion.role == Role::Plain && opinion.strength != Strength::Strong => {
            let predicate = predicate(draw, &aspect, !opinion.positive);
            if draw.chance(700) {
                let not = draw.pick(phrases::NOT_BEFORE);
                format!("{opener}{not}{name}{}{predicate}", draw.pick(phrases::PLAIN))
            } else {
                let not = draw.pick(phrases::NOT_WITHIN);
                format!("{opener}{name}{not}{predicate}")
            }
        }
        draw_of_form => {
            let affirmed = if draw_of_form >= 97 { draw.pick(phrases::NOT_NOT) } else { "" };
            let adverb = draw.pick(match (opinion.strength, opinion.positive) {
                (Strength::Mild, true) => phrases::MILD_GOOD,
                (Strength::Mild, false) => phrases::MILD_BAD,
                (Strength::Plain, _) => phrases::PLAIN,
                (Strength::Strong, _) => phrases::STRONG,
            });
            let predicate = predicate(draw, &aspect, opinion.positive);
            format!("{opener}{affirmed}{name}{adverb}{predicate}")
        }
    }
}

fn predicate(draw: &mut Draw, aspect: &Aspect, positive: bool) -> &'static str {
    let general = draw.chance(750);
    draw.pick(match (general, positive) {
        (true, true) => phrases::GOOD,
        (true, false) => phrases::BAD,
        (false, true) => aspect.good,
        (false, false) => aspect.bad,
    })
}

fn filler(draw: &mut Draw, domain: &Domain) -> String {
    let of_domain = draw.chance(600);
    draw.pick(if of_domain { domain.fillers } else { phrases::FILLERS }).to_owned()
}

/// Integer draws from one stream.
struct Draw(ChaCha8Rng);

impl Draw {
    /// A number below `bound`, which is positive; the bias is below `bound` in 2^32.
    fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// True in `permille` of a thousand draws.
    fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < permille
    }

    /// One of `items`, which are not empty.
    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }
}
