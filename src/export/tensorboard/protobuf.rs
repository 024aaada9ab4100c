//! Messages of Protocol Buffers, as far as TensorBoard's files need them: written, never read.
//!
//! The encoding is that of <https://protobuf.dev/programming-guides/encoding/>. A field is its number and wire type, and
//! then its value. A crate with generated types would be larger than these few lines, and need TensorBoard's definitions.

/// A message, as far as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

/// How the value of a field is written.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    EightBytes = 1,
    Length = 2,
    FourBytes = 5,
}

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// A `bool`, an enum or a whole number of any width.
    #[must_use]
    pub(super) fn number(mut self, field: u32, value: u64) -> Self {
        self.begin(field, Wire::Varint);
        self.varint(value);
        self
    }

    #[must_use]
    pub(super) fn double(mut self, field: u32, value: f64) -> Self {
        self.begin(field, Wire::EightBytes);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A `float`, the nearest one to `value`.
    #[must_use]
    pub(super) fn float(mut self, field: u32, value: f64) -> Self {
        self.begin(field, Wire::FourBytes);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rounded to the nearest number that the field holds"
        )]
        let value = value as f32;
        self.0.extend(value.to_le_bytes());
        self
    }

    #[must_use]
    pub(super) fn text(self, field: u32, text: &str) -> Self {
        self.delimited(field, text.as_bytes())
    }

    #[must_use]
    pub(super) fn message(self, field: u32, message: &Self) -> Self {
        self.delimited(field, &message.0)
    }

    #[must_use]
    fn delimited(mut self, field: u32, bytes: &[u8]) -> Self {
        self.begin(field, Wire::Length);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn begin(&mut self, field: u32, wire: Wire) {
        self.varint(u64::from(field) << 3 | wire as u64);
    }

    /// Seven bits in a byte, the lowest first; all bytes but the last have the highest bit set.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7F).to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's description.
    #[test]
    fn fields_are_written_as_in_the_description_of_the_encoding() {
        assert_eq!(Message::new().number(1, 150).bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").bytes(), *b"\x12\x07testing");
        let inner = Message::new().number(1, 150);
        assert_eq!(Message::new().message(3, &inner).bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn numbers_of_fixed_width_have_their_lowest_byte_first() {
        assert_eq!(Message::new().double(1, 1.0).bytes(), [0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F]);
        assert_eq!(Message::new().float(2, 0.5).bytes(), [0x15, 0, 0, 0, 0x3F]);
    }

    #[test]
    fn a_field_number_above_15_takes_two_bytes() {
        assert_eq!(Message::new().number(16, 1).bytes(), [0x80, 0x01, 0x01]);
    }
}
