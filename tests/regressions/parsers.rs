//! What every parser has to keep up for any bytes at all. The fuzz targets run these functions and so do ordinary tests, over the inputs that
//! were once at fault.
//!
//! A parser gives a value or an error, it never panics; the error names the file; the memory it takes on the way is bounded by what there is to
//! read; and what it gives can be written and read again without a change.

use noyau_data::{Csv, Idx};
use noyau_formats::{npy, safetensors};
use noyau_tensor::{Error, Result};

use crate::memory;

/// A parser by the name of its fuzz target: true when it takes the bytes for a file.
pub type Parser = fn(&[u8]) -> bool;

/// All of them.
pub const PARSERS: [(&str, Parser); 4] = [("idx", idx), ("csv", csv), ("npy", npy), ("safetensors", safetensors)];

/// The name that stands for the file in messages.
const NAME: &str = "hostile file";

/// What any parser may take for its own purposes, whatever the file: buffers of input and output.
const BASE: usize = 1 << 18;

/// What `read` makes of the bytes. `each` is how many bytes of memory a byte of the file may become.
fn parsed<T>(bytes: &[u8], each: usize, read: impl FnOnce() -> Result<T>) -> Option<T> {
    let (result, most) = memory::peak(read);
    let limit = BASE + each * bytes.len();
    assert!(most <= limit, "{most} bytes of memory for a file of {}: {limit} would be in order", bytes.len());
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let text = error.to_string();
            assert!(matches!(error, Error::Data { .. }), "not an error of data: {error:?}");
            assert!(text.starts_with(&format!("{NAME}: ")), "the file is not named: {text}");
            assert!(text.len() < 2000 + 2 * bytes.len(), "a message of {} bytes", text.len());
            None
        }
    }
}

/// Deflate makes at most 1032 bytes of one.
fn expansion(bytes: &[u8]) -> usize {
    if bytes.starts_with(&[0x1f, 0x8b]) { 1040 } else { 1 }
}

/// IDX, plain or gzip.
pub fn idx(bytes: &[u8]) -> bool {
    // The bytes, and the elements made of them; a byte more as memory grows.
    let Some(idx) = parsed(bytes, 4 * expansion(bytes), || Idx::from_bytes(NAME, bytes)) else { return false };
    let array = idx.to_array().expect("what was read has the shape that it was read with");
    assert_eq!(array.shape()[..], *idx.shape());
    true
}

/// A table; the first byte chooses how it is read.
pub fn csv(bytes: &[u8]) -> bool {
    let Some((&options, table)) = bytes.split_first() else { return false };
    let mut csv = if options & 1 == 0 { Csv::classes("y") } else { Csv::regression("y") };
    if options & 2 != 0 {
        csv = csv.delimiter(b';');
    }
    if options & 4 != 0 {
        csv = csv.features(&["a", "b"]);
    }
    if options & 8 != 0 {
        csv = csv.class_names(&["no", "yes"]);
    }
    if options & 16 != 0 {
        csv = csv.infer();
    }
    csv = csv.skip_bad(options & 32 != 0);
    // Two bytes ("1," or "x\n") are a number of four or a class with its name, and each line's place is known until it has been read.
    let Some(table) = parsed(bytes, 256, || csv.parse(NAME, table)) else { return false };
    assert_eq!(table.dataset.sample_shape()[..], [table.features.len()]);
    assert!(!table.dataset.is_empty());
    true
}

/// An array as NumPy writes it.
pub fn npy(bytes: &[u8]) -> bool {
    // A byte becomes a word, or two while an array in Fortran's order is turned.
    let Some(array) = parsed(bytes, 16, || npy::from_bytes(NAME, bytes)) else { return false };
    let written = npy::to_bytes(&array).expect("an array can be written");
    let again = npy::from_bytes(NAME, &written).expect("what we write can be read");
    // NumPy has no bf16, but nor has a file that was read from it.
    assert_eq!(again, array);
    true
}

/// Named tensors.
pub fn safetensors(bytes: &[u8]) -> bool {
    // The header's JSON takes most: "0," in a list is a value of 32 bytes, twice as memory grows.
    let Some(loaded) = parsed(bytes, 128, || safetensors::from_bytes(NAME, bytes)) else { return false };
    let tensors: Vec<_> = loaded.tensors.iter().map(|(name, array)| (name.clone(), array.clone())).collect();
    let written = safetensors::to_bytes(&tensors, &loaded.metadata).expect("what was read can be written");
    assert_eq!(safetensors::from_bytes(NAME, &written).expect("what we write can be read"), loaded);
    true
}
