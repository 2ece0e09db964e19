//! [NPY](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): one array, as `numpy.save` writes it.
//!
//! Read: format versions 1 to 3, little-endian elements, both orders (`fortran_order` is turned into row-major); which element types
//! become which is in the [crate's documentation](crate). Written: version 1, row-major.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use noyau_tensor::{Array, DType, Error, Result, Shape};

use crate::stored::{Stored, count, read_array, write_array};
use crate::write_atomically;

mod header;

use header::Header;

/// The first bytes of every NPY file.
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Writes an array to a file, which appears whole or not at all (see [`write_atomically`]).
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be written.
pub fn write(path: impl AsRef<Path>, array: &Array) -> Result<()> {
    write_atomically(path, |writer| write_to(writer, array))
}

/// The bytes that [`write()`] would write.
///
/// # Errors
///
/// None that a caller can cause.
pub fn to_bytes(array: &Array) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_to(&mut bytes, array).map_err(|e| Error::Internal(format!("writing to memory failed: {e}")))?;
    Ok(bytes)
}

/// Reads an array from a file.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read. [`Error::Data`] when it is no NPY file, is cut short, has bytes left over, holds
/// big-endian numbers, records, text or objects, or a value does not fit in 32 bits.
pub fn read(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(path, "read", &e))?;
    let len = file.metadata().map_err(|e| Error::io(path, "read", &e))?.len();
    read_from(path, &mut BufReader::with_capacity(1 << 16, file), len)
}

/// Reads the content of a file that is already in memory; `name` stands for it in messages.
///
/// # Errors
///
/// [`Error::Data`] as for [`read`].
pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Array> {
    read_from(name.as_ref(), &mut &bytes[..], bytes.len() as u64)
}

fn write_to(writer: &mut dyn Write, array: &Array) -> io::Result<()> {
    // NumPy knows no bf16.
    let wide;
    let array = if array.dtype() == DType::BF16 {
        wide = array.to(DType::F32);
        &wide
    } else {
        array
    };
    let header = Header { stored: Stored::of(array.dtype()), fortran_order: false, shape: array.shape().clone() };
    let mut text = header.to_string();
    // The length takes two bytes in version 1 and four in version 2, which only an absurd rank needs. Values start at a multiple of 64.
    let long = text.len() + 64 > usize::from(u16::MAX);
    let prefix = MAGIC.len() + 2 + if long { 4 } else { 2 };
    let padded = (prefix + text.len() + 1).next_multiple_of(64) - prefix;
    text.extend(std::iter::repeat_n(' ', padded - text.len() - 1));
    text.push('\n');
    writer.write_all(MAGIC)?;
    if long {
        writer.write_all(&[2, 0])?;
        writer.write_all(&(text.len() as u32).to_le_bytes())?;
    } else {
        writer.write_all(&[1, 0])?;
        writer.write_all(&(text.len() as u16).to_le_bytes())?;
    }
    writer.write_all(text.as_bytes())?;
    write_array(array, writer)
}

/// Reads the header, whose promises the rest of the `len` bytes keep, and says where the values start.
fn read_header(path: &Path, reader: &mut dyn Read, len: u64) -> Result<(Header, u64)> {
    let fault = |message: String| Error::data(path, message);
    let mut start = [0; 8];
    read_exact(path, reader, &mut start)?;
    if start[..6] != *MAGIC {
        return Err(fault(format!(
            "not an NPY file: it starts with {:02x?}, not with {MAGIC:02x?}; numpy.save writes such files",
            &start[..6]
        )));
    }
    let (header_len, header_at) = match start[6] {
        1 => {
            let mut bytes = [0; 2];
            read_exact(path, reader, &mut bytes)?;
            (u64::from(u16::from_le_bytes(bytes)), 10)
        }
        2 | 3 => {
            let mut bytes = [0; 4];
            read_exact(path, reader, &mut bytes)?;
            (u64::from(u32::from_le_bytes(bytes)), 12)
        }
        other => return Err(fault(format!("NPY version {other} is not known, only 1, 2 and 3 are"))),
    };
    let values_at = header_at + header_len;
    if values_at > len {
        return Err(fault(format!("the header should take {header_len} bytes from offset {header_at}, but the file has {len} bytes")));
    }
    let mut text = vec![0; header_len as usize];
    read_exact(path, reader, &mut text)?;
    let header = Header::parse(&text).map_err(|message| fault(format!("header at offset {header_at}: {message}")))?;
    drop(text);

    let found = len - values_at;
    let Header { stored, shape, .. } = &header;
    let numel = count(shape).ok_or_else(|| fault(format!("shape {shape} is too large")))?;
    let promised = numel as u64 * stored.size() as u64;
    if promised != found {
        let what = if promised > found { "the file has been cut short" } else { "there are bytes left over" };
        return Err(fault(format!("shape {shape} needs {promised} bytes, {found} follow the header at offset {values_at}: {what}")));
    }
    Ok((header, values_at))
}

/// Shape and values of a file's content, if it holds bytes in row-major order.
pub(crate) fn bytes_of(path: &Path, mut content: Vec<u8>) -> Result<Option<(Shape, Vec<u8>)>> {
    let len = content.len() as u64;
    let (header, values_at) = read_header(path, &mut &content[..], len)?;
    if header.stored != Stored::U8 || header.fortran_order {
        return Ok(None);
    }
    content.drain(..values_at as usize);
    Ok(Some((header.shape, content)))
}

fn read_from(path: &Path, reader: &mut dyn Read, len: u64) -> Result<Array> {
    let (Header { stored, fortran_order, shape }, values_at) = read_header(path, reader, len)?;
    if !fortran_order {
        return read_array(path, reader, stored, shape, "values", values_at);
    }
    // In Fortran's order the first axis runs fastest: it is the row-major array of the reversed shape, transposed.
    let reversed: Shape = shape.iter().rev().copied().collect();
    let array = read_array(path, reader, stored, reversed, "values", values_at)?;
    Array::from_words(shape.clone(), array.dtype(), from_fortran(array.words(), &shape))
}

fn read_exact(path: &Path, reader: &mut dyn Read, bytes: &mut [u8]) -> Result<()> {
    reader.read_exact(bytes).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => Error::data(path, "not an NPY file, or cut short: it ends inside its header"),
        _ => Error::io(path, "read", &e),
    })
}

fn from_fortran(words: &[u32], shape: &Shape) -> Vec<u32> {
    let mut strides = vec![1; shape.rank()];
    for axis in 1..shape.rank() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0; shape.rank()];
    let mut at = 0;
    let mut out = Vec::with_capacity(words.len());
    for _ in 0..words.len() {
        out.push(words[at]);
        // Count up in row-major order, keeping `at` in step.
        for axis in (0..shape.rank()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests;
