//! The bytes of a pickle, and what can be wrong with them.

/// The longest text, in bytes; names are far shorter. A pickle can refer to a text or a tuple any number of times, so
/// that copies of them must be small.
const TEXT_MAX: usize = 1 << 12;
/// Why a pickle is not a list of tensors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// It ends without a stop instruction, or refers to a value that it has not made.
    #[error("it is damaged at byte {at}")]
    Damaged {
        /// Bytes from the pickle's beginning.
        at: usize,
    },
    /// An instruction that tensors do not need.
    #[error("instruction 0x{opcode:02x} at byte {at} is not one that tensors need")]
    Opcode {
        /// The instruction.
        opcode: u8,
        /// Bytes from the pickle's beginning.
        at: usize,
    },
    /// It asks to call a function that makes no tensor.
    #[error("it asks to call {name}, which makes no tensor; nothing in it was executed")]
    Call {
        /// Module and name.
        name: String,
    },
    /// It holds a value of another kind.
    #[error("it does not hold {expected}")]
    Kind {
        /// The value that was expected.
        expected: &'static str,
    },
}

/// The bytes of a pickle, read from front to back.
pub(super) struct Code<'a> {
    pub(super) bytes: &'a [u8],
    /// Bytes read so far.
    pub(super) at: usize,
}

impl<'a> Code<'a> {
    /// The error of a pickle that is damaged here.
    pub(super) const fn damaged(&self) -> PickleError {
        PickleError::Damaged { at: self.at }
    }

    /// Takes the next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let taken =
            self.bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or_else(|| self.damaged())?;
        self.at += count;
        Ok(taken)
    }

    /// Takes the next byte.
    pub(super) fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.take(1)?[0])
    }

    /// Takes a little-endian number of `count` bytes, at most 8.
    pub(super) fn size(&mut self, count: usize) -> Result<usize, PickleError> {
        let mut bytes = [0; 8];
        bytes[..count].copy_from_slice(self.take(count)?);
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| self.damaged())
    }

    /// Takes a signed little-endian number of `count` bytes.
    pub(super) fn long(&mut self, count: usize) -> Result<i128, PickleError> {
        let bytes = self.take(count)?;
        if count > 16 {
            return Err(self.damaged());
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xFF } else { 0 }; 16];
        wide[..count].copy_from_slice(bytes);
        Ok(i128::from_le_bytes(wide))
    }

    /// Takes a text of `count` bytes.
    pub(super) fn text(&mut self, count: usize) -> Result<String, PickleError> {
        if count > TEXT_MAX {
            return Err(self.damaged());
        }
        let bytes = self.take(count)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.damaged())
    }

    /// Takes a text that a line feed ends.
    pub(super) fn line(&mut self) -> Result<String, PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.damaged())?;
        let line = self.text(end)?;
        self.at += 1;
        Ok(line)
    }
}
