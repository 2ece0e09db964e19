//! IDX, the format of MNIST and its relatives: a big-endian header (element type, number and sizes of the axes), then the values.
//!
//! Plain or compressed by gzip: the content decides, not the file's name.

use std::collections::TryReserveError;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use noyau_tensor::{Array, DType, Error, Result};

/// No compressed stream expands by more than this (deflate's limit is 1032): a gzip file that promises more than that holds less.
const MAX_EXPANSION: u64 = 1040;

/// How much is read at a time: memory grows with what the file has delivered, not with what it promises.
const STEP: u64 = 1 << 20;

/// The values of an IDX file, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum IdxValues {
    /// Type 0x08.
    U8(Vec<u8>),
    /// Type 0x09.
    I8(Vec<i8>),
    /// Type 0x0B.
    I16(Vec<i16>),
    /// Type 0x0C.
    I32(Vec<i32>),
    /// Type 0x0D.
    F32(Vec<f32>),
    /// Type 0x0E.
    F64(Vec<f64>),
}

/// The content of an IDX file.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    shape: Vec<usize>,
    values: IdxValues,
}

/// Element type: code in the file, bytes.
#[derive(Clone, Copy)]
enum Kind {
    U8,
    I8,
    I16,
    I32,
    F32,
    F64,
}

impl Idx {
    /// Reads a file, plain or gzip.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read; [`Error::Data`] when it is no IDX file, is cut short, holds more or less than its
    /// header promises, or its compressed stream is damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Idx> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, "read", &e))?;
        let len = file.metadata().map_err(|e| Error::io(path, "read", &e))?.len();
        decode(path, BufReader::with_capacity(1 << 16, file), len)
    }

    /// Reads the content of a file that is already in memory, plain or gzip; `name` stands for it in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] as for [`Idx::read`].
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Idx> {
        decode(name.as_ref(), bytes, bytes.len() as u64)
    }

    /// The sizes of the axes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values, row-major.
    pub fn values(&self) -> &IdxValues {
        &self.values
    }

    /// The sizes and the values, without a copy.
    pub fn into_parts(self) -> (Vec<usize>, IdxValues) {
        (self.shape, self.values)
    }

    /// The values as an array of the same shape: `u8` as `U32`, other integers as `I32`, reals as `F32` (f64 is rounded to it).
    ///
    /// # Errors
    ///
    /// None for a file that was read.
    pub fn to_array(&self) -> Result<Array> {
        let (dtype, words): (DType, Vec<u32>) = match &self.values {
            IdxValues::U8(v) => (DType::U32, v.iter().map(|&v| v.into()).collect()),
            IdxValues::I8(v) => (DType::I32, v.iter().map(|&v| i32::from(v) as u32).collect()),
            IdxValues::I16(v) => (DType::I32, v.iter().map(|&v| i32::from(v) as u32).collect()),
            IdxValues::I32(v) => (DType::I32, v.iter().map(|&v| v as u32).collect()),
            IdxValues::F32(v) => (DType::F32, v.iter().map(|&v| v.to_bits()).collect()),
            IdxValues::F64(v) => (DType::F32, v.iter().map(|&v| (v as f32).to_bits()).collect()),
        };
        Array::from_words(self.shape.clone(), dtype, words)
    }
}

fn decode(path: &Path, mut reader: impl BufRead, len: u64) -> Result<Idx> {
    let start = reader.fill_buf().map_err(|e| Error::io(path, "read", &e))?;
    // An IDX file starts with two zeros, a gzip file with these two bytes.
    if start.starts_with(&[0x1f, 0x8b]) {
        let limit = len.saturating_mul(MAX_EXPANSION);
        Input { path, reader: MultiGzDecoder::new(reader), offset: 0, len, gzip: true }.idx(limit)
    } else {
        Input { path, reader, offset: 0, len, gzip: false }.idx(len)
    }
}

/// The content of a file, decompressed.
struct Input<'a, R> {
    path: &'a Path,
    reader: R,
    /// How far into the (decompressed) content we are.
    offset: u64,
    /// Size of the file.
    len: u64,
    gzip: bool,
}

impl<R: Read> Input<'_, R> {
    /// `limit`: the bytes of content that the file can hold at most.
    fn idx(mut self, limit: u64) -> Result<Idx> {
        let magic = self.header_word("the magic number")?;
        let [0, 0, code, rank] = magic else {
            return Err(self.fault(format!(
                "not an IDX file: a magic number 00 00 TYPE RANK was expected at offset 0, found {:02x} {:02x} {:02x} {:02x}",
                magic[0], magic[1], magic[2], magic[3]
            )));
        };
        let kind = match code {
            0x08 => Kind::U8,
            0x09 => Kind::I8,
            0x0b => Kind::I16,
            0x0c => Kind::I32,
            0x0d => Kind::F32,
            0x0e => Kind::F64,
            _ => {
                return Err(self.fault(format!(
                    "element type {code:#04x} at offset 2 is not one of 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), 0x0d (f32), 0x0e (f64)"
                )));
            }
        };
        let mut sizes = Vec::with_capacity(rank.into());
        for axis in 0..rank {
            sizes.push(u32::from_be_bytes(self.header_word(&format!("the size of axis {axis} of {rank}"))?));
        }
        let bytes = self.promised(&sizes, kind, limit)?;
        let raw = self.values(bytes, &sizes)?;
        self.end(&sizes)?;
        let shape = sizes.iter().map(|&s| s as usize).collect();
        Ok(Idx { shape, values: kind.values(raw) })
    }

    fn header_word(&mut self, what: &str) -> Result<[u8; 4]> {
        let mut word = [0; 4];
        let mut filled = 0;
        while filled < word.len() {
            match self.read(&mut word[filled..])? {
                0 => {
                    let end = self.offset;
                    return Err(
                        self.fault(format!("{what} should end at offset {}, but the content ends at {end}", end - filled as u64 + 4))
                    );
                }
                n => filled += n,
            }
        }
        Ok(word)
    }

    /// The bytes of values that the header promises, if the file can hold them.
    fn promised(&self, sizes: &[u32], kind: Kind, limit: u64) -> Result<u64> {
        // Axes of size 0 are left out, so that nothing that later multiplies some of the sizes can overflow.
        let count = sizes.iter().filter(|&&s| s > 0).try_fold(1u64, |n, &s| n.checked_mul(s.into()));
        let bytes = count.and_then(|n| n.checked_mul(kind.size() as u64)).filter(|&n| n <= isize::MAX as u64);
        let Some(bytes) = bytes else {
            return Err(self.fault(format!("the header promises {} values, more than any memory holds", product(sizes))));
        };
        let bytes = if sizes.contains(&0) { 0 } else { bytes };
        if bytes > limit.saturating_sub(self.offset) {
            return Err(self.fault(format!(
                "the header promises {bytes} bytes of values ({}) from offset {}, but the file has {} bytes{}: it has been cut short or its \
                 header is damaged",
                product(sizes),
                self.offset,
                self.len,
                if self.gzip { ", which cannot decompress to that" } else { "" },
            )));
        }
        Ok(bytes)
    }

    fn values(&mut self, bytes: u64, sizes: &[u32]) -> Result<Vec<u8>> {
        let start = self.offset;
        let mut raw: Vec<u8> = Vec::new();
        // A plain file has been found long enough. A compressed one first has to deliver what a usual compression does not reach.
        let likely = if self.gzip { bytes.min(self.len.saturating_mul(16)) } else { bytes };
        self.reserve(raw.try_reserve_exact(likely as usize), bytes)?;
        while (raw.len() as u64) < bytes {
            let done = raw.len();
            let step = (bytes - done as u64).min(STEP);
            self.reserve(raw.try_reserve(step as usize), bytes)?;
            raw.resize(done + step as usize, 0);
            let n = self.read(&mut raw[done..])?;
            raw.truncate(done + n);
            if n == 0 {
                return Err(self.fault(format!(
                    "the header promises {} values, which end at offset {}, but the content ends at {}: it has been cut short",
                    product(sizes),
                    start + bytes,
                    self.offset
                )));
            }
        }
        Ok(raw)
    }

    fn reserve(&self, reserved: Result<(), TryReserveError>, bytes: u64) -> Result<()> {
        reserved.map_err(|_| self.fault(format!("{bytes} bytes of values do not fit in memory")))
    }

    /// Nothing may follow. Looking for it also makes the decompressor compare the checksum.
    fn end(&mut self, sizes: &[u32]) -> Result<()> {
        let end = self.offset;
        match self.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.fault(format!(
                "the values ({}) end at offset {end}, but more bytes follow: the header is damaged, or the file",
                product(sizes)
            ))),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Ok(n) => {
                    self.offset += n as u64;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if self.gzip && e.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(self.fault(format!(
                        "the compressed file has been cut short: it has {} bytes and ends after {} bytes of content; fetch it again",
                        self.len, self.offset
                    )));
                }
                Err(e) if self.gzip && matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                    return Err(
                        self.fault(format!("the gzip stream is damaged after {} bytes of content ({e}); fetch it again", self.offset))
                    );
                }
                Err(e) => return Err(Error::io(self.path, "read", &e)),
            }
        }
    }

    fn fault(&self, message: String) -> Error {
        Error::data(self.path, message)
    }
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Kind::U8 | Kind::I8 => 1,
            Kind::I16 => 2,
            Kind::I32 | Kind::F32 => 4,
            Kind::F64 => 8,
        }
    }

    fn values(self, raw: Vec<u8>) -> IdxValues {
        match self {
            Kind::U8 => IdxValues::U8(raw),
            Kind::I8 => IdxValues::I8(raw.into_iter().map(|b| b as i8).collect()),
            Kind::I16 => IdxValues::I16(elements(&raw).map(i16::from_be_bytes).collect()),
            Kind::I32 => IdxValues::I32(elements(&raw).map(i32::from_be_bytes).collect()),
            Kind::F32 => IdxValues::F32(elements(&raw).map(f32::from_be_bytes).collect()),
            Kind::F64 => IdxValues::F64(elements(&raw).map(f64::from_be_bytes).collect()),
        }
    }
}

fn elements<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    raw.chunks_exact(N).map(|chunk| {
        let mut element = [0; N];
        element.copy_from_slice(chunk);
        element
    })
}

/// Sizes for people: `60000 x 28 x 28`.
fn product(sizes: &[u32]) -> String {
    if sizes.is_empty() {
        return "1".into();
    }
    // A damaged header may tell of 255 axes.
    let shown = &sizes[..sizes.len().min(8)];
    let more = if shown.len() < sizes.len() { format!(" x ... ({} axes)", sizes.len()) } else { String::new() };
    shown.iter().map(u32::to_string).collect::<Vec<_>>().join(" x ") + &more
}

#[cfg(test)]
pub(crate) mod tests;
