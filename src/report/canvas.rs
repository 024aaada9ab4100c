//! A bitmap to draw on, in logical pixels, and its PNG.
//!
//! Plotters' bitmap backend fills shapes without smoothing their edges. So everything is drawn
//! [`SCALE`] times as large, and each logical pixel is the mean of its device pixels
//! (supersampling). Coordinates start at the upper left; shapes outside of the bitmap are cut off.

use plotters::{
    backend::{BitMapBackend, DrawingBackend},
    style::{RGBAColor, RGBColor, ShapeStyle},
};

pub(super) use super::shapes::{Anchor, Area, Label, Point, Stroke};
use super::{
    error::ReportError,
    palette::Colour,
    shapes::dashes,
    text::{self, Glyph},
};

/// Width and height of a logical pixel in device pixels.
const SCALE: u32 = 3;
/// Number of device pixels in a logical pixel.
#[expect(clippy::cast_possible_truncation, reason = "a small number")]
const SAMPLES: u16 = (SCALE * SCALE) as u16;
/// Bytes of one row of device pixels in a logical pixel: three channels each.
const BLOCK_BYTES: usize = 3 * SCALE as usize;
/// Number of logical rows that [`in_bands`] holds in memory at once.
const BAND_ROWS: u32 = 256;
/// Largest absolute device coordinate. Far outside of every picture, and small enough that plotters computes
/// with it in 32 bits.
const DEVICE_MAX: i32 = 20_000;
/// [`SCALE`] as a factor of lengths.
const FACTOR: f64 = SCALE as f64;

/// Rotates offsets of a text, in device pixels: from along and below its base line to right and down.
type Rotation = fn(i32, i32) -> (i32, i32);

/// A bitmap, the whole picture or a band of it. The first error of drawing is kept until [`Canvas::png`].
pub(super) struct Canvas {
    /// Width and height of the bitmap, in logical pixels.
    size: (u32, u32),
    /// Number of logical rows of the picture that are above the bitmap.
    above: u32,
    pixels: Vec<u8>,
    failure: Option<ReportError>,
}

/// A length in device pixels.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and what is far outside is cut off")]
fn device(length: f64) -> i32 {
    ((length * FACTOR).round() as i32).clamp(-DEVICE_MAX, DEVICE_MAX)
}

/// A shape that is filled with a colour.
fn filled(colour: Colour) -> ShapeStyle {
    ShapeStyle { color: RGBColor(colour.0, colour.1, colour.2).into(), filled: true, stroke_width: 1 }
}

impl Canvas {
    /// A white bitmap of this size in logical pixels.
    pub(super) fn new(width: u32, height: u32) -> Self {
        let pixels = vec![255; width as usize * height as usize * 3 * (SCALE * SCALE) as usize];
        Self { size: (width, height), above: 0, pixels, failure: None }
    }

    /// A place on the bitmap, in device pixels.
    fn place(&self, (x, y): Point) -> (i32, i32) {
        (device(x), device(y).saturating_sub(self.device_rows_above()))
    }

    fn device_rows_above(&self) -> i32 {
        i32::try_from(self.above * SCALE).unwrap_or(i32::MAX)
    }

    /// Whether any of the device rows from `from` to `to` is on the bitmap.
    fn is_in_sight(&self, from: i32, to: i32) -> bool {
        to >= 0 && i64::from(from) <= i64::from(self.device_size().1)
    }

    /// Width and height in logical pixels.
    pub(super) fn size(&self) -> (f64, f64) {
        (f64::from(self.size.0), f64::from(self.size.1))
    }

    fn device_size(&self) -> (u32, u32) {
        (self.size.0 * SCALE, self.size.1 * SCALE)
    }

    /// Draws a shape, and keeps the error if it is the first one.
    fn draw<E: std::error::Error + Send + Sync>(
        &mut self,
        shape: impl FnOnce(&mut BitMapBackend<'_>) -> Result<(), E>,
    ) {
        let size = self.device_size();
        if let Err(error) = shape(&mut BitMapBackend::with_buffer(&mut self.pixels, size)) {
            self.failure.get_or_insert(ReportError::Drawing { message: error.to_string() });
        }
    }

    /// Fills `area`.
    pub(super) fn rectangle(&mut self, area: Area, colour: Colour) {
        let from = self.place((area.left, area.top));
        let to = self.place((area.right, area.bottom));
        if to.0 > from.0 && to.1 > from.1 && self.is_in_sight(from.1, to.1) {
            self.draw(|backend| backend.draw_rect(from, to, &filled(colour), true));
        }
    }

    /// Fills a polygon.
    pub(super) fn polygon(&mut self, corners: &[Point], colour: Colour) {
        let corners: Vec<_> = corners.iter().map(|&corner| self.place(corner)).collect();
        let rows = || corners.iter().map(|corner| corner.1);
        if !self.is_in_sight(rows().min().unwrap_or(0), rows().max().unwrap_or(0)) {
            return;
        }
        self.draw(|backend| backend.fill_polygon(corners, &filled(colour)));
    }

    /// Fills a circle.
    pub(super) fn disc(&mut self, centre: Point, radius: f64, colour: Colour) {
        self.circle(centre, radius, filled(colour));
    }

    /// Fills a circle through which the share 1 - `cover` of what lies below is seen.
    pub(super) fn translucent_disc(&mut self, centre: Point, radius: f64, colour: Colour, cover: f64) {
        let ink = RGBAColor(colour.0, colour.1, colour.2, cover);
        self.circle(centre, radius, ShapeStyle { color: ink, ..filled(colour) });
    }

    /// Draws a circle in this style.
    fn circle(&mut self, centre: Point, radius: f64, style: ShapeStyle) {
        let centre = self.place(centre);
        let radius = device(radius).unsigned_abs();
        let reach = i32::try_from(radius).unwrap_or(i32::MAX).saturating_add(1);
        if !self.is_in_sight(centre.1.saturating_sub(reach), centre.1.saturating_add(reach)) {
            return;
        }
        self.draw(|backend| backend.draw_circle(centre, radius, &style, true));
    }

    /// Draws lines from point to point, with round joints and ends.
    pub(super) fn line(&mut self, points: &[Point], stroke: Stroke) {
        match stroke.dash {
            Some(dash) => dashes(points, dash).iter().for_each(|piece| self.solid(piece, stroke)),
            None => self.solid(points, stroke),
        }
    }

    /// Draws a solid line: a rectangle for each segment, and a disc at each joint of a wide line.
    fn solid(&mut self, points: &[Point], stroke: Stroke) {
        let half = stroke.width / 2.0;
        for pair in points.windows(2) {
            let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
            let length = (x1 - x0).hypot(y1 - y0);
            if length > 0.0 {
                let (dx, dy) = ((y1 - y0) / length * half, (x0 - x1) / length * half);
                let corners =
                    [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)];
                self.polygon(&corners, stroke.colour);
            }
        }
        if half >= 0.75 {
            for &point in points {
                self.disc(point, half - 0.5 / FACTOR, stroke.colour);
            }
        }
    }

    /// Draws a text, transliterated where no font has its characters.
    pub(super) fn text(&mut self, (x, y): Point, text: &str, label: Label) {
        let (x, y, size) = (x * FACTOR, y * FACTOR, label.size * FACTOR);
        let width = text::width(text, size, label.bold);
        let shift = match label.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        let drop = text::capital_height(size) / 2.0;
        let (origin, rotate): (Point, Rotation) = if label.upwards {
            ((x + drop, y - shift), |along, down| (down, -along))
        } else {
            ((x + shift, y + drop), |along, down| (along, down))
        };
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
        let origin =
            (origin.0.round() as i32, (origin.1.round() as i32).saturating_sub(self.device_rows_above()));
        for glyph in text::glyphs(text, size, label.bold) {
            self.glyph(&glyph, origin, rotate, label.colour);
        }
    }

    /// Draws one glyph of a text whose base line begins at `origin`.
    fn glyph(&mut self, glyph: &Glyph, origin: (i32, i32), rotate: Rotation, colour: Colour) {
        glyph.draw(|along, down, cover| {
            let (x, y) = rotate(along, down);
            self.blend(origin.0.saturating_add(x), origin.1.saturating_add(y), colour, cover);
        });
    }

    /// Mixes a colour into a device pixel, of which the share `cover` is covered.
    fn blend(&mut self, x: i32, y: i32, colour: Colour, cover: f32) {
        let (width, height) = self.device_size();
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if x >= width || y >= height {
            return;
        }
        let at = (y as usize * width as usize + x as usize) * 3;
        let ink = [colour.0, colour.1, colour.2];
        for (channel, ink) in self.pixels[at..at + 3].iter_mut().zip(ink) {
            let mixed = f32::from(*channel) + (f32::from(ink) - f32::from(*channel)) * cover.clamp(0.0, 1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
            let mixed = mixed.round() as u8;
            *channel = mixed;
        }
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// When something could not be drawn or encoded.
    pub(super) fn png(self) -> Result<Vec<u8>, ReportError> {
        let (width, height) = self.size;
        encoded(width, height, &self.finished()?)
    }

    /// The pixels, unless something could not be drawn.
    fn finished(self) -> Result<Vec<u8>, ReportError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.averaged()),
        }
    }

    /// Each logical pixel as the mean of its device pixels.
    fn averaged(&self) -> Vec<u8> {
        let stride = self.size.0 as usize * BLOCK_BYTES;
        let mut sums = vec![0_u16; stride];
        let mut averaged = Vec::with_capacity(self.pixels.len() / usize::from(SAMPLES));
        for rows in self.pixels.chunks_exact(stride * SCALE as usize) {
            // Rows are added first: their bytes are side by side in memory, so the compiler adds many at
            // once.
            sums.fill(0);
            for row in rows.chunks_exact(stride) {
                sums.iter_mut().zip(row).for_each(|(sum, &channel)| *sum += u16::from(channel));
            }
            for block in sums.as_chunks::<BLOCK_BYTES>().0 {
                averaged.extend([0, 1, 2].map(|channel| {
                    let sum: u16 = (0..SCALE as usize).map(|pixel| block[3 * pixel + channel]).sum();
                    mean(sum)
                }));
            }
        }
        averaged
    }
}

/// The rounded mean of [`SAMPLES`] bytes with this sum.
#[expect(clippy::cast_possible_truncation, reason = "a mean of bytes is one")]
const fn mean(sum: u16) -> u8 {
    ((sum + SAMPLES / 2) / SAMPLES) as u8
}

/// The PNG of a picture that `draw` draws, with at most [`BAND_ROWS`] rows in memory at a time.
///
/// `draw` is called once for each band, and must draw the same whole picture each time.
///
/// # Errors
/// As [`Canvas::png`].
pub(super) fn in_bands(width: u32, height: u32, draw: impl Fn(&mut Canvas)) -> Result<Vec<u8>, ReportError> {
    let mut averaged = Vec::with_capacity(width as usize * height as usize * 3);
    let mut above = 0;
    while above < height {
        let rows = BAND_ROWS.min(height - above);
        let mut canvas = Canvas { above, ..Canvas::new(width, rows) };
        draw(&mut canvas);
        averaged.extend(canvas.finished()?);
        above += rows;
    }
    encoded(width, height, &averaged)
}

/// The PNG of these pixels.
fn encoded(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Pictures have flat areas: filters would make the file larger, and higher levels save next to nothing.
    encoder.set_filter(png::Filter::NoFilter);
    encoder.set_deflate_compression(png::DeflateCompression::Level(4));
    let mut writer = encoder.write_header().map_err(ReportError::Encoding)?;
    writer.write_image_data(pixels).map_err(ReportError::Encoding)?;
    writer.finish().map_err(ReportError::Encoding)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::palette::{BLUE, INK};

    fn decoded(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, pixels)
    }

    #[test]
    fn a_picture_has_its_logical_size_and_its_colours() {
        let mut canvas = Canvas::new(40, 20);
        canvas.rectangle(Area { left: 10.0, top: 5.0, right: 20.0, bottom: 15.0 }, BLUE);
        let (width, height, pixels) = decoded(&canvas.png().unwrap());
        assert_eq!((width, height), (40, 20));
        let pixel = |x: usize, y: usize| &pixels[(y * 40 + x) * 3..][..3];
        assert_eq!(pixel(10, 5), [BLUE.0, BLUE.1, BLUE.2]);
        assert_eq!(pixel(19, 14), [BLUE.0, BLUE.1, BLUE.2]);
        assert_eq!(pixel(20, 15), [255, 255, 255]);
    }

    #[test]
    fn shapes_outside_of_the_bitmap_are_cut_off() {
        let mut canvas = Canvas::new(10, 10);
        canvas.line(&[(-1e9, 5.0), (1e9, f64::NAN)], Stroke::solid(INK, 2.0));
        canvas.disc((1e12, -1e12), 3.0, INK);
        canvas.text((9.0, 9.0), "cut 中文", Label::new(20.0, INK));
        canvas.text((0.0, 0.0), "cut", Label::new(20.0, INK).upwards());
        assert!(canvas.png().is_ok());
    }

    #[test]
    fn a_picture_in_bands_is_the_same_to_the_byte() {
        let size = (300, 2 * BAND_ROWS + 50);
        let draw = |canvas: &mut Canvas| {
            let seam = f64::from(BAND_ROWS);
            canvas.line(&[(5.0, 3.0), (280.0, 540.0), (30.0, seam)], Stroke::solid(INK, 2.6));
            let dashed = Stroke::solid(BLUE, 1.4).dashed(6.0, 5.0);
            canvas.line(&[(200.0, 10.0), (20.0, 555.0)], dashed);
            canvas.disc((60.0, seam + 1.0), 6.4, BLUE);
            canvas
                .rectangle(Area { left: 90.0, top: seam - 7.0, right: 110.0, bottom: 2.0 * seam + 3.3 }, INK);
            canvas.text((120.0, seam), "on the seam 好评", Label::new(25.0, INK).bold());
            canvas.text((250.0, 2.0 * seam), "on the seam", Label::new(18.0, BLUE).upwards());
        };
        let mut whole = Canvas::new(size.0, size.1);
        draw(&mut whole);
        assert!(in_bands(size.0, size.1, draw).unwrap() == whole.png().unwrap());
    }
}
