//! The encoding of a text: recognised by its first bytes, or named by the spec, and changed to UTF-8.
//!
//! UTF-16 is recognised with certainty. Every other encoding must be named, since bytes of one are valid in
//! another; a guess is shown to the user and never used.

use std::io::{self, BufRead, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

/// The first bytes in which UTF-16 is looked for.
const LOOKED_AT_BYTES: usize = 4096;
/// NUL bytes that must stand on the same side of byte pairs, where the first pairs do not show it.
const NULS_MIN: usize = 3;

/// The encoding of that name, as browsers know it: `gb18030`, `big5`, `shift_jis`, `windows-1252`.
pub(crate) fn named(name: &str) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(name.trim().as_bytes())?;
    (encoding != encoding_rs::REPLACEMENT).then_some(encoding)
}

/// The encoding that the first bytes of a text show with certainty; `None` for all but UTF-16.
///
/// A text with a byte order mark is UTF-16 without doubt. Without a mark, the NUL bytes of its ASCII
/// characters show it: UTF-8 has none.
pub(super) fn of_start(start: &[u8]) -> Option<&'static Encoding> {
    if start.starts_with(&[0xff, 0xfe]) {
        return Some(UTF_16LE);
    }
    if start.starts_with(&[0xfe, 0xff]) {
        return Some(UTF_16BE);
    }
    let start = start.get(..LOOKED_AT_BYTES).unwrap_or(start);
    if let [a, b, c, d, ..] = *start {
        match (a, b, c, d) {
            (1.., 0, 1.., 0) => return Some(UTF_16LE),
            (0, 1.., 0, 1..) => return Some(UTF_16BE),
            _ => {}
        }
    }
    let nuls = |side: usize| start.iter().skip(side).step_by(2).filter(|byte| **byte == 0).count();
    match (nuls(0), nuls(1)) {
        (0, NULS_MIN..) => Some(UTF_16LE),
        (NULS_MIN.., 0) => Some(UTF_16BE),
        _ => None,
    }
}

/// The encoding that `sample`, which is not UTF-8, most likely has.
pub(super) fn guess(sample: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    // GB18030 has every character of GBK at the same place, and more.
    if guess == GBK { GB18030 } else { guess }
}

/// A text in `encoding`, read as UTF-8. A byte order mark becomes that of UTF-8.
pub(super) struct Decoding<R> {
    input: R,
    encoding: &'static Encoding,
    decoder: Decoder,
    /// Decoded bytes, of which the first `given` were given out.
    decoded: Vec<u8>,
    given: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Malformed,
}

impl<R: BufRead> Decoding<R> {
    pub(super) fn new(input: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        Self { input, encoding, decoder, decoded: Vec::new(), given: 0, state: State::Reading }
    }

    /// Decodes what the input has next.
    fn decode(&mut self) -> io::Result<()> {
        let bytes = self.input.fill_buf()?;
        let is_last = bytes.is_empty();
        let room = self.decoder.max_utf8_buffer_length_without_replacement(bytes.len());
        self.decoded.resize(room.unwrap_or(bytes.len()).max(16), 0);
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(bytes, &mut self.decoded, is_last);
        self.decoded.truncate(written);
        self.given = 0;
        self.input.consume(read);
        match result {
            DecoderResult::InputEmpty if is_last => self.state = State::Ended,
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => self.state = State::Malformed,
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() {
            match self.state {
                State::Reading => self.decode()?,
                State::Ended => return Ok(0),
                State::Malformed => {
                    let message = format!("it has bytes that are not {}", self.encoding.name());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            }
        }
        let left = self.decoded.get(self.given..).unwrap_or_default();
        let count = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}

/// Whether `encoding` needs no decoding here.
pub(super) fn is_utf8(encoding: &'static Encoding) -> bool {
    encoding == UTF_8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, encoding: &'static Encoding) -> Vec<u8> {
        let unit = if encoding == UTF_16LE { u16::to_le_bytes } else { u16::to_be_bytes };
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn utf16_without_a_mark_is_recognised_by_its_header() {
        for encoding in [UTF_16LE, UTF_16BE] {
            assert_eq!(of_start(&utf16("text,label\n好,1\n", encoding)), Some(encoding));
            assert_eq!(of_start(&utf16("文本,标签\n好,1\n", encoding)), Some(encoding));
        }
    }

    #[test]
    fn utf8_is_not_taken_for_utf16() {
        for text in ["text,label\n好,1\n", "", "a", "文本,标签\n", "a\0b,c\n"] {
            assert_eq!(of_start(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_decoded_text_ends_where_its_bytes_are_malformed() {
        let mut bytes = utf16("好\n", UTF_16LE);
        bytes.extend([0x00, 0xd8, 0x41, 0x00]);
        let mut text = Vec::new();
        let error = Decoding::new(bytes.as_slice(), UTF_16LE).read_to_end(&mut text).unwrap_err();
        assert_eq!((text.as_slice(), error.kind()), ("好\n".as_bytes(), io::ErrorKind::InvalidData));
    }

    #[test]
    fn chinese_bytes_are_guessed_to_be_chinese() {
        let (bytes, ..) = GB18030.encode("酒店的服务很好,房间也很干净\n早餐不好吃,网络太慢\n");
        assert_eq!(guess(&bytes), GB18030);
    }
}
