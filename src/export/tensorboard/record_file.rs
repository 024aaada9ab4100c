//! The file format of TensorFlow's records: each with its length, and checksums of both.
//!
//! A record is its length (8 bytes, the lowest first), the masked checksum of the length (4 bytes), its bytes, and their
//! masked checksum. The checksum is CRC-32C (Castagnoli). The mask, a turn by 15 bits and the sum with a constant, is
//! TensorFlow's: <https://www.tensorflow.org/tutorials/load_data/tfrecord>.

/// The Castagnoli polynomial, its lowest bit last.
const POLYNOMIAL: u32 = 0x82F6_3B78;
/// What the mask adds.
const MASK: u32 = 0xA282_EAD8;

/// The checksum of each byte by itself.
const TABLE: [u32; 256] = {
    let mut table = [0_u32; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut value = byte;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte as usize] = value;
        byte += 1;
    }
    table
};

/// Adds a record to `file`.
pub(super) fn append(file: &mut Vec<u8>, record: &[u8]) {
    let length = (record.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(checksum(&length)).to_le_bytes());
    file.extend(record);
    file.extend(masked(checksum(record)).to_le_bytes());
}

/// CRC-32C.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |value, byte| {
        let [lowest, ..] = value.to_le_bytes();
        value >> 8 ^ TABLE[usize::from(lowest ^ byte)]
    })
}

const fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of RFC 3720, appendix B.4, and of the usual check of a CRC.
    #[test]
    fn checksums_are_those_of_the_standard() {
        let rising: Vec<u8> = (0..32).collect();
        for (bytes, expected) in [
            (&[0; 32][..], 0x8A91_36AA),
            (&[0xFF; 32], 0x62A8_AB43),
            (&rising, 0x46DD_794E),
            (b"123456789", 0xE306_9283),
            (b"", 0),
        ] {
            assert_eq!(checksum(bytes), expected, "{bytes:?}");
        }
    }

    /// The checksums are those that TensorBoard 2.21 computes for the same bytes.
    #[test]
    fn a_record_has_its_length_and_the_masked_checksums_of_both() {
        let mut file = Vec::new();
        append(&mut file, b"abc");
        let expected = [
            &3_u64.to_le_bytes()[..],
            &0x0E49_99B0_u32.to_le_bytes(),
            b"abc",
            &0x21F1_576E_u32.to_le_bytes(),
        ];
        assert_eq!(file, expected.concat());
    }
}
