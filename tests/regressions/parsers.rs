//! What every parser has to keep up for any bytes at all. The fuzz targets run these functions and so do ordinary tests, over the inputs that
//! were once at fault.
//!
//! A parser gives a value or an error, it never panics; the error names the file; the memory it takes on the way is bounded by what there is to
//! read; and what it gives can be written and read again without a change.

#[cfg(feature = "image")]
use noyau_data::ImageFolder;
use noyau_data::{ColumnKind, Csv, Dataset, Idx, Missing, Text, Vocabulary};
use noyau_formats::{npy, npz, safetensors, torch};
use noyau_tensor::{Array, Error, Result};

use crate::memory;

/// A parser by the name of its fuzz target: true when it takes the bytes for a file.
pub type Parser = fn(&[u8]) -> bool;

/// All of them but those that are in files of their own, for what they need to be built.
pub const PARSERS: &[(&str, Parser)] = &[
    ("idx", idx),
    ("csv", csv),
    ("text", text),
    #[cfg(feature = "image")]
    ("image", image),
    ("npy", npy),
    ("npz", npz),
    ("safetensors", safetensors),
    ("torch", torch),
    #[cfg(feature = "onnx")]
    ("onnx", crate::onnx::onnx),
];

/// The name that stands for the file in messages.
pub const NAME: &str = "hostile file";

/// What any parser may take for its own purposes, whatever the file: buffers of input and output.
const BASE: usize = 1 << 18;

/// What `read` makes of the bytes. `each` is how many bytes of memory a byte of the file may become.
pub fn parsed<T>(bytes: &[u8], each: usize, read: impl FnOnce() -> Result<T>) -> Option<T> {
    let (result, most) = memory::peak(read);
    let limit = BASE + each * bytes.len();
    assert!(most <= limit, "{most} bytes of memory for a file of {}: {limit} would be in order", bytes.len());
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let text = error.to_string();
            assert!(matches!(error, Error::Data { .. }), "not an error of data: {error:?}");
            // Arrays of an archive are named behind it.
            let named = text.strip_prefix(NAME).is_some_and(|rest| rest.starts_with([':', '/']));
            assert!(named, "the file is not named: {text}");
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
    let chosen = |bit: u8| options & bit != 0;
    let mut csv = if chosen(1) { Csv::regression("y") } else { Csv::classes("y") };
    if chosen(2) {
        csv = csv.delimiter(b';');
    }
    if chosen(4) {
        csv = csv.features(&["a", "b"]);
    }
    if chosen(8) {
        csv = csv.class_names(&["no", "yes"]);
    }
    if chosen(16) {
        csv = csv.infer();
    }
    if chosen(64) {
        csv = csv.missing(Missing::Mean).na_values(&["NA"]);
    }
    if chosen(128) {
        csv = csv.column("a", ColumnKind::OneHot).column("b", ColumnKind::Index).missing_in("b", Missing::Value(0.5));
    }
    csv = csv.skip_bad(chosen(32));
    // Two bytes ("1," or "x\n") are a number of four or a class with its name, and each line's place is known until it has been read. Texts become
    // up to 256 features, of four bytes each, that are there twice while a data set is made of them.
    let each = if chosen(16) || chosen(128) { 256 * 4 * 2 / 2 } else { 256 };
    let Some(table) = parsed(bytes, each, || csv.parse(NAME, table)) else { return false };
    assert_eq!(table.dataset.sample_shape()[..], [table.features.len()]);
    assert!(!table.dataset.is_empty());
    assert_eq!(table.columns.iter().map(|column| column.missing > 0 && !chosen(64) && !chosen(128)).filter(|&odd| odd).count(), 0);
    assert!(chosen(32) || table.skipped.is_empty());
    true
}

/// A text; the first byte chooses how it is read.
pub fn text(bytes: &[u8]) -> bool {
    let Some((&options, content)) = bytes.split_first() else { return false };
    let known = Text::characters().parse(NAME, "\n abcdeé".as_bytes()).expect("a text");
    let reader = match options % 3 {
        0 => Text::characters(),
        1 => Text::bytes(),
        _ => Text::like(&known),
    };
    // A character is a token of four bytes, which is copied as it grows, and a different one has places in two trees.
    let Some(text) = parsed(bytes, 128, || reader.skip_bad(options & 0x80 != 0).parse(NAME, content)) else { return false };
    let decoded = text.decode(text.tokens()).expect("its own tokens");
    match text.vocabulary() {
        Vocabulary::Bytes => assert_eq!(text.tokens().len(), content.len()),
        Vocabulary::Characters(_) => assert_eq!(text.encode(&decoded).expect("its own characters"), text.tokens()),
    }
    assert!(options & 0x80 != 0 || options % 3 == 1 || decoded.as_bytes() == content);
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

/// Named arrays as NumPy writes them.
pub fn npz(bytes: &[u8]) -> bool {
    // An array is there twice, as bytes and as words (a byte can be a word, or two while an array in Fortran's order is turned); what is deflated expands.
    let deflated = bytes.windows(12).any(|header| header.starts_with(b"PK\x01\x02") && header[10] == 8);
    let each = if deflated { 1040 * 18 } else { 64 };
    let Some(arrays) = parsed(bytes, each, || npz::from_bytes(NAME, bytes)) else { return false };
    let archive = npz::Npz::from_bytes(NAME, bytes).expect("it was read just now");
    for name in archive.names() {
        let found = archive.bytes(name).expect("it was read just now");
        assert!(found.is_none_or(|(shape, values)| shape.numel() == values.len()));
    }
    if let [first, second, ..] = archive.names().take(2).collect::<Vec<_>>()[..] {
        data_set(bytes, each, first, second);
    }
    // Names may come twice in what others write; the first one counts.
    let mut unlike: Vec<(String, Array)> = Vec::new();
    arrays.into_iter().for_each(|(name, array)| {
        if !name.is_empty() && !unlike.iter().any(|(other, _)| *other == name) {
            unlike.push((name, array));
        }
    });
    let written = npz::to_bytes(&unlike).expect("arrays can be written");
    assert_eq!(npz::from_bytes(NAME, &written).expect("what we write can be read"), unlike);
    true
}

/// Two arrays of an archive as samples and targets.
fn data_set(bytes: &[u8], each: usize, features: &str, targets: &str) {
    let options = Dataset::npz(features, targets);
    let strict = parsed(bytes, 2 * each, || options.parse(NAME, bytes));
    let lenient = parsed(bytes, 2 * each, || options.skip_bad(true).parse(NAME, bytes));
    if let Some((set, skipped)) = strict {
        let (other, none) = lenient.expect("it is good without skipping");
        assert!(skipped.is_empty() && none.is_empty() && set.len() == other.len());
    } else if let Some((set, skipped)) = lenient {
        assert!(!set.is_empty() && skipped.count > 0);
    }
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

/// What PyTorch is given: the same tensors, and a counter beside each running mean.
pub fn torch(bytes: &[u8]) -> bool {
    let Ok(loaded) = safetensors::from_bytes(NAME, bytes) else { return false };
    let tensors: Vec<_> = loaded.tensors.into_iter().collect();
    let written = torch::to_bytes(&tensors).expect("what was read can be written");
    // A counter is written with 64 bits, of which we read 32.
    let small = |array: &Array| array.to_f64().iter().all(|v| v.abs() < 2e9);
    if !tensors.iter().all(|(name, array)| !torch::is_counter(name) || small(array)) {
        return true;
    }
    let again = safetensors::from_bytes(NAME, &written).expect("what we write can be read").tensors;
    for (name, array) in &tensors {
        let counter = torch::is_counter(name);
        assert!(if counter { again[name].shape() == array.shape() } else { again[name] == *array }, "{name}");
        let beside = name.strip_suffix("running_mean").filter(|path| path.is_empty() || path.ends_with('.'));
        assert!(beside.is_none_or(|path| again.contains_key(&format!("{path}{}", torch::COUNTER))), "{name}");
    }
    assert!(again.keys().all(|name| torch::is_counter(name) || tensors.iter().any(|(known, _)| known == name)));
    true
}

/// An image as a folder's reader takes it; the first byte chooses how.
#[cfg(feature = "image")]
pub fn image(bytes: &[u8]) -> bool {
    let Some((&options, content)) = bytes.split_first() else { return false };
    let mut reader = if options & 1 == 0 { ImageFolder::rgb() } else { ImageFolder::grey() };
    if options & 2 != 0 {
        reader = reader.resize(5, 7);
    }
    // What a byte can stand for: 8 x 1040 pixels of one bit in a PNG, of which each is a byte in each of three channels, twice, and then a number of four;
    // 64 pixels for each bit in a JPEG, with its coefficients besides. And tables.
    let each = if content.first() == Some(&0x89) { 8 * 1040 * 20 } else { 8 * 64 * 40 };
    let read = || {
        // A decoder's panic is caught and becomes an error. What a hook does about it first (a backtrace in memory, libFuzzer's end of the process) is not the reader's.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let image = reader.max_pixels(1 << 20).decode(NAME, content);
        std::panic::set_hook(hook);
        image
    };
    let Some(array) = parsed(bytes, each + 4096, read) else { return false };
    assert_eq!(array.shape()[0], if options & 1 == 0 { 3 } else { 1 });
    assert!(options & 2 == 0 || array.shape()[1..] == [5, 7]);
    assert!(array.to_f64().iter().all(|v| (0.0..=1.0).contains(v)));
    true
}
