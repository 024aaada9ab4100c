//! The colours of the pictures. They can be distinguished with every kind of colour vision, and in grey.

/// Red, green and blue in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8);

/// Text and frames.
pub(super) const INK: Colour = Colour(0x22, 0x22, 0x22);
/// Secondary text.
pub(super) const SOFT: Colour = Colour(0x5c, 0x5c, 0x5c);
/// Grid lines.
pub(super) const GRID: Colour = Colour(0xe4, 0xe4, 0xe4);
/// Curves of trials without a rank.
pub(super) const GREY: Colour = Colour(0xb8, 0xb8, 0xb8);
/// Trials that are of no use: collapsed or diverged.
pub(super) const UNFIT: Colour = Colour(0x8c, 0x8c, 0x8c);
/// The middle half of some figures.
pub(super) const HALF: Colour = Colour(0xea, 0xea, 0xea);
/// The background.
pub(super) const WHITE: Colour = Colour(255, 255, 255);

// The next four are from the palette of Okabe and Ito (2008, "Color universal design").
/// Training loss.
pub(super) const BLUE: Colour = Colour(0x00, 0x72, 0xb2);
/// Validation loss, and the best trial.
pub(super) const VERMILLION: Colour = Colour(0xd5, 0x5e, 0x00);
/// Validation F1.
pub(super) const GREEN: Colour = Colour(0x00, 0x9e, 0x73);
/// Stretches of overfitting.
pub(super) const ORANGE: Colour = Colour(0xe6, 0x9f, 0x00);

/// The colour map viridis (van der Walt and Smith 2015, CC0) at every eighth.
///
/// [`ranked`] does not use its yellow end, which does not stand out from a white background.
const VIRIDIS: [Colour; 9] = [
    Colour(0x44, 0x01, 0x54),
    Colour(0x47, 0x2d, 0x7b),
    Colour(0x3b, 0x52, 0x8b),
    Colour(0x2c, 0x72, 0x8e),
    Colour(0x21, 0x91, 0x8c),
    Colour(0x28, 0xae, 0x80),
    Colour(0x5e, 0xc9, 0x62),
    Colour(0xad, 0xdc, 0x30),
    Colour(0xfd, 0xe7, 0x25),
];

impl Colour {
    /// This colour with `share` (0 to 1) of `other` mixed in.
    pub(super) fn mix(self, other: Self, share: f64) -> Self {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let channel = |a: u8, b: u8| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
            let mixed = (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
            mixed
        };
        Self(channel(self.0, other.0), channel(self.1, other.1), channel(self.2, other.2))
    }

    /// Relative luminance (WCAG 2), 0 for black to 1 for white.
    pub(super) fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// White or ink, whichever has the higher contrast (WCAG 2) on this colour.
    pub(super) fn readable(self) -> Self {
        let contrast = |other: Self| {
            let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
            a.max(b) / a.min(b)
        };
        if contrast(WHITE) >= contrast(INK) { WHITE } else { INK }
    }
}

/// Largest position in [`VIRIDIS`] that [`ranked`] uses.
const RANKED_MAX: f64 = 6.6;

/// The colour of a rank: dark for `share` 0 (the best trial), light for 1 (the worst).
pub(super) fn ranked(share: f64) -> Colour {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 };
    let at = share * RANKED_MAX;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 6")]
    let below = at.floor() as usize;
    VIRIDIS[below].mix(VIRIDIS[below + 1], at.fract())
}

/// The colour of 1 in [`heat`].
const DARK: Colour = Colour(0x0b, 0x2f, 0x5b);
/// The colour of 0.5 in [`heat`].
const MIDDLE: Colour = Colour(0x5b, 0x9b, 0xc8);

/// The colour of a share of documents: white for 0, dark blue for 1.
pub(super) fn heat(share: f64) -> Colour {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    if share < 0.5 { WHITE.mix(MIDDLE, share * 2.0) } else { MIDDLE.mix(DARK, share * 2.0 - 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_grow_lighter_without_a_step_back() {
        let shades: Vec<f64> = (0..=20).map(|rank| ranked(f64::from(rank) / 20.0).luminance()).collect();
        assert!(shades.windows(2).all(|pair| pair[0] < pair[1]), "{shades:?}");
    }

    #[test]
    fn text_on_every_cell_of_the_heat_map_has_a_contrast_of_four() {
        for share in 0..=100 {
            let cell = heat(f64::from(share) / 100.0);
            let (a, b) = (cell.luminance() + 0.05, cell.readable().luminance() + 0.05);
            assert!(a.max(b) / a.min(b) > 4.0, "{share}");
        }
    }
}
