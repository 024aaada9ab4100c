//! Opens data: recognises what it is by its first bytes, unpacks it, and gives its text as UTF-8.
//!
//! The first bytes decide, not the ending of a name: a workbook that is called `.csv` is a workbook. What
//! is unpacked is bounded, so that a small file is not read for days.

use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    rc::Rc,
    time::SystemTime,
};

use encoding_rs::Encoding;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::{
    encoding::{self, Decoding},
    error::{TableError, Unreadable},
};
use crate::{display::shorten, system::files::named};

/// Bytes that a workbook may have when it is unpacked, and a compressed file whatever it was before.
pub(super) const UNPACKED_BYTES_MAX: u64 = 2 << 30;
/// How many times as large as before a compressed file may be beyond [`UNPACKED_BYTES_MAX`]. Texts become 3 to 20 times
/// as large.
const UNPACKED_RATIO_MAX: u64 = 200;
/// Bytes of a window of zstd, which is memory of the decoder: that of its strongest ordinary level.
const ZSTD_WINDOW_BYTES_MAX: u64 = 128 << 20;
/// Bytes in which an encoding is guessed.
const SAMPLE_BYTES: u64 = 4 << 20;
/// Bytes read at a time.
const BLOCK: usize = 1 << 16;

/// Data that was opened.
pub(super) struct Opened<'a> {
    pub(super) contents: Contents<'a>,
    /// What was recognised beyond the ending of the name, for the user: `is gzip`.
    pub(super) taken: Vec<String>,
}

/// What the data is.
pub(super) enum Contents<'a> {
    /// Text in UTF-8.
    Text(Box<dyn BufRead + 'a>),
    /// An Excel workbook, which is read at random.
    Workbook,
    /// A Parquet file, which is read at random.
    Parquet,
}

/// Recognises `input`, whose text is in `encoding` or, without one, in UTF-8 or UTF-16.
pub(super) fn open<'a>(
    input: Box<dyn BufRead + 'a>,
    encoding: Option<&'static Encoding>,
) -> Result<Opened<'a>, TableError> {
    let mut taken = Vec::new();
    let mut input = unpack(input)?;
    let start = start(&mut *input).map_err(TableError::start)?;
    if let Some(unreadable) = unreadable(&start) {
        return Err(TableError::Unreadable(unreadable));
    }
    let contents = if start.starts_with(b"PK\x03\x04") {
        Contents::Workbook
    } else if start.starts_with(b"PAR1") {
        Contents::Parquet
    } else {
        let encoding = match encoding {
            Some(encoding) => Some(encoding),
            None => encoding::of_start(&start).inspect(|found| {
                taken.push(format!("is read as {}", found.name()));
            }),
        };
        Contents::Text(match encoding.filter(|encoding| !encoding::is_utf8(encoding)) {
            Some(encoding) => Box::new(BufReader::with_capacity(BLOCK, Decoding::new(input, encoding))),
            None => input,
        })
    };
    Ok(Opened { contents, taken })
}

/// The input, unpacked if it is gzip or zstd.
fn unpack<'a>(mut input: Box<dyn BufRead + 'a>) -> Result<Box<dyn BufRead + 'a>, TableError> {
    let start = start(&mut *input).map_err(TableError::start)?;
    let packed = Rc::new(Cell::new(0));
    let counted = |input| Counted { input, taken: Rc::clone(&packed) };
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        let unpacked = MultiGzDecoder::new(counted(input));
        Box::new(BufReader::with_capacity(BLOCK, Bounded::new(unpacked, packed.clone())))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let unpacked = ZstdFrames { frame: None, input: Some(counted(input)) };
        Box::new(BufReader::with_capacity(BLOCK, Bounded::new(unpacked, packed.clone())))
    } else {
        input
    })
}

/// An input whose bytes are counted as they are taken.
struct Counted<R> {
    input: R,
    taken: Rc<Cell<u64>>,
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken.set(self.taken.get() + count as u64);
        self.input.consume(count);
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}

/// The bytes that `input` has now, at least one unless it is empty; they stay in it.
fn start(input: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    loop {
        match input.fill_buf() {
            Ok(bytes) => return Ok(bytes.to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a file that begins with `start` is, if it is known and not read here.
fn unreadable(start: &[u8]) -> Option<Unreadable> {
    let save = "save the table as .xlsx or as \"CSV UTF-8\"";
    let unpack = "unpack it, or pack it with gzip or zstd";
    let known: [(&[u8], &str, &str); 9] = [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls), or one with a password", save),
        (b"BZh91AY&SY", "packed with bzip2", unpack),
        (b"\xfd7zXZ\0", "packed with xz", unpack),
        (b"7z\xbc\xaf\x27\x1c", "packed with 7z", unpack),
        (b"Rar!\x1a\x07", "packed with RAR", unpack),
        (b"\xff\xfe\0\0", "UTF-32", "save it as UTF-8, for example with: iconv -f UTF-32 -t UTF-8"),
        (b"\0\0\xfe\xff", "UTF-32", "save it as UTF-8, for example with: iconv -f UTF-32 -t UTF-8"),
        (
            b"SQLite format 3\0",
            "an SQLite database",
            "write the table as CSV: sqlite3 -header -csv FILE \"select …\"",
        ),
        (
            b"ARROW1\0\0",
            "an Arrow or Feather file",
            "in Python: pandas.read_feather(…).to_csv(\"data.csv\", index=False)",
        ),
    ];
    let (_, what, help) = known.into_iter().find(|(mark, ..)| start.starts_with(mark))?;
    Some(Unreadable { what: format!("is {what}, which is not read here"), help: help.to_owned() })
}

/// What changes when a file is written: its length and its time.
pub(super) type Stamp = (u64, SystemTime);

/// The stamp of the file at `path`; `None` if it cannot be looked at.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let about = named::metadata(path).ok()?;
    Some((about.len(), about.modified().ok()?))
}

/// The encoding that the file at `path`, which is not UTF-8, most likely has, and the start of its line
/// `line` when it is read so; `None` if that cannot be found out.
pub(super) fn guess_encoding(path: &Path, line: u64) -> Option<(&'static Encoding, String)> {
    let input = Box::new(BufReader::with_capacity(BLOCK, named::open(path).ok()?));
    let mut sample = Vec::new();
    unpack(input).ok()?.take(SAMPLE_BYTES).read_to_end(&mut sample).ok()?;
    if sample.contains(&0) {
        return None;
    }
    let guess = encoding::guess(&sample);
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let bytes = sample.split(|byte| *byte == b'\n').nth(line)?;
    let (text, _) = guess.decode_without_bom_handling(bytes);
    Some((guess, shorten(text.trim(), 60)))
}

/// What `input` unpacks, until it is more than anybody packs: then an error.
struct Bounded<R> {
    input: R,
    unpacked: u64,
    /// Bytes that were taken of the packed input.
    packed: Rc<Cell<u64>>,
}

impl<R> Bounded<R> {
    const fn new(input: R, packed: Rc<Cell<u64>>) -> Self {
        Self { input, unpacked: 0, packed }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.unpacked += read as u64;
        if self.unpacked > UNPACKED_BYTES_MAX.max(self.packed.get().saturating_mul(UNPACKED_RATIO_MAX)) {
            let (gibibytes, times) = (UNPACKED_BYTES_MAX >> 30, UNPACKED_RATIO_MAX);
            let message = format!("it unpacks to more than {gibibytes} GiB and {times} times its size");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(read)
    }
}

/// All frames of zstd data, one after another.
struct ZstdFrames<R: Read> {
    frame: Option<StreamingDecoder<R, FrameDecoder>>,
    /// The packed bytes between two frames.
    input: Option<R>,
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
            }
            if let Some(frame) = self.frame.take() {
                self.input = Some(frame.into_inner());
            }
            let Some(mut input) = self.input.take() else { return Ok(0) };
            if input.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let frame = StreamingDecoder::new_with_max_window_size(input, ZSTD_WINDOW_BYTES_MAX);
            self.frame =
                Some(frame.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String, TableError> {
        let Opened { contents, .. } = open(Box::new(bytes), None)?;
        let Contents::Text(mut input) = contents else { panic!("no text") };
        let mut text = String::new();
        input.read_to_string(&mut text).map_err(TableError::start)?;
        Ok(text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packer, text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn every_member_of_a_packed_file_is_read() {
        assert_eq!(text(&[gzip("a\n"), gzip("b\n")].concat()).unwrap(), "a\nb\n");
        assert_eq!(text(&[zstd("a\n"), zstd("b\n")].concat()).unwrap(), "a\nb\n");
    }

    #[test]
    fn a_packed_file_that_was_cut_is_an_error() {
        for packed in [gzip(&"好的\n".repeat(99)), zstd(&"好的\n".repeat(99))] {
            assert!(text(&packed[..packed.len() - 9]).is_err());
        }
    }

    #[test]
    fn what_is_unpacked_is_bounded() {
        let bounded = |packed: u64| {
            let input = io::repeat(b'a').take(3 * UNPACKED_BYTES_MAX / 2);
            io::copy(&mut Bounded::new(input, Rc::new(Cell::new(packed))), &mut io::sink())
        };
        assert_eq!(bounded(1 << 20).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(bounded(UNPACKED_BYTES_MAX / 20).is_ok(), "of texts, that is usual");
    }

    #[test]
    fn a_known_file_that_is_not_read_is_named() {
        let error = text(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest").unwrap_err();
        assert!(matches!(&error, TableError::Unreadable(it) if it.what.contains("old Excel workbook")));
    }
}
