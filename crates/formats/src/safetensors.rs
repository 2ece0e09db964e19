//! [safetensors](https://huggingface.co/docs/safetensors): named tensors and text metadata, the format of checkpoints.
//!
//! A file is the length of the header (u64), the header (JSON: each tensor's element type, shape and place), and the values; all
//! little-endian. Files written here are read by every other safetensors library and the other way round; which element types
//! become which is in the [crate's documentation](crate). Values are read straight into their arrays, so that loading needs the
//! file's size in memory once, not twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use noyau_tensor::{Array, Error, Result, Shape};
use serde_json::{Map, Value};

use crate::stored::{Stored, count, read_array, write_array, write_longs};
use crate::write_atomically;

/// The header's key for metadata, which therefore cannot name a tensor.
const METADATA: &str = "__metadata__";

/// The format's own limit on the header.
const MAX_HEADER: u64 = 100_000_000;

/// What to do about a damaged file.
const REMEDY: &str = "use an earlier checkpoint or fetch the file again";

/// The content of a safetensors file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The tensors by name.
    pub tensors: BTreeMap<String, Array>,
    /// Free text by key: what the writer wanted to remember beside the tensors.
    pub metadata: BTreeMap<String, String>,
}

/// Writes tensors and metadata to a file, which appears whole or not at all (see [`write_atomically`]).
///
/// The same tensors and metadata, in whatever order, make the same bytes. `Bool` is stored as BOOL, one byte 0 or 1.
///
/// # Errors
///
/// [`Error::Argument`] when two tensors have the same name or one is called `__metadata__`; [`Error::Io`] when the file cannot be
/// written.
pub fn save(path: impl AsRef<Path>, tensors: &[(String, Array)], metadata: &BTreeMap<String, String>) -> Result<()> {
    save_as(path.as_ref(), &as_they_are(tensors), metadata)
}

/// A name, its values, and the type in which they are written.
pub(crate) type Item<'a> = (&'a str, &'a Array, Stored);

/// Values, and the type in which they are written.
type Written<'a> = (&'a Array, Stored);

/// [`save`], with the type in the file for each tensor.
pub(crate) fn save_as(path: &Path, items: &[Item], metadata: &BTreeMap<String, String>) -> Result<()> {
    let (header, order) = header(items, metadata)?;
    write_atomically(path, |writer| write(writer, &header, &order))
}

/// The bytes that [`save_as`] would write.
pub(crate) fn bytes_as(items: &[Item], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let (header, order) = header(items, metadata)?;
    let mut bytes = Vec::new();
    write(&mut bytes, &header, &order).map_err(|e| Error::Internal(format!("writing to memory failed: {e}")))?;
    Ok(bytes)
}

fn as_they_are(tensors: &[(String, Array)]) -> Vec<Item<'_>> {
    tensors.iter().map(|(name, array)| (name.as_str(), array, Stored::of(array.dtype()))).collect()
}

/// The bytes that [`save`] would write.
///
/// # Errors
///
/// [`Error::Argument`] as for [`save`].
pub fn to_bytes(tensors: &[(String, Array)], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    bytes_as(&as_they_are(tensors), metadata)
}

/// Reads a file.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read. [`Error::Data`] when it is cut short, has bytes left over, its header is damaged or
/// promises what the file does not hold, two tensors overlap, an element type is not supported, or a value does not fit in 32 bits.
pub fn load(path: impl AsRef<Path>) -> Result<Loaded> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(path, "read", &e))?;
    let len = file.metadata().map_err(|e| Error::io(path, "read", &e))?.len();
    read(path, &mut BufReader::with_capacity(1 << 16, file), len)
}

/// Reads the content of a file that is already in memory; `name` stands for it in messages.
///
/// # Errors
///
/// [`Error::Data`] as for [`load`].
pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Loaded> {
    read(name.as_ref(), &mut &bytes[..], bytes.len() as u64)
}

/// The padded header, and the tensors in the order in which their values follow it.
fn header<'a>(items: &[Item<'a>], metadata: &BTreeMap<String, String>) -> Result<(Vec<u8>, Vec<Written<'a>>)> {
    let mut names = BTreeSet::new();
    for (name, ..) in items {
        if *name == METADATA {
            return Err(Error::argument("safetensors", format!("no tensor can be called {METADATA:?}: the format keeps that name")));
        }
        if !names.insert(name) {
            return Err(Error::argument("safetensors", format!("two tensors are called {name:?}; names must differ")));
        }
    }
    // Wide elements first, so that every tensor is aligned in the file whatever comes before it; then by name.
    let mut sorted: Vec<Item> = items.to_vec();
    sorted.sort_by(|(a, _, x), (b, _, y)| y.size().cmp(&x.size()).then(a.cmp(b)));

    let mut entries = Map::new();
    if !metadata.is_empty() {
        let text = metadata.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
        entries.insert(METADATA.to_string(), Value::Object(text));
    }
    let mut start = 0;
    for &(name, array, stored) in &sorted {
        let end = start + array.len() * stored.size();
        let shape = array.shape().to_vec();
        entries.insert(name.to_string(), serde_json::json!({ "dtype": code(stored), "shape": shape, "data_offsets": [start, end] }));
        start = end;
    }
    let mut header = Value::Object(entries).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > MAX_HEADER {
        return Err(Error::argument(
            "safetensors",
            format!("names and metadata take {} bytes, the format allows {MAX_HEADER}", header.len()),
        ));
    }
    Ok((header, sorted.into_iter().map(|(_, array, stored)| (array, stored)).collect()))
}

fn write(writer: &mut dyn Write, header: &[u8], order: &[Written]) -> io::Result<()> {
    writer.write_all(&(header.len() as u64).to_le_bytes())?;
    writer.write_all(header)?;
    order.iter().try_for_each(|(array, stored)| match stored {
        Stored::I64 => write_longs(array, writer),
        _ => write_array(array, writer),
    })
}

/// One tensor as the header describes it.
struct Entry {
    name: String,
    stored: Stored,
    shape: Shape,
    start: u64,
    end: u64,
}

fn read(path: &Path, reader: &mut dyn Read, len: u64) -> Result<Loaded> {
    let fault = |message: String| Error::data(path, message);
    if len < 8 {
        return Err(fault(format!("a safetensors file starts with 8 bytes that tell the header's length, this one has {len}; {REMEDY}")));
    }
    let mut word = [0; 8];
    read_exact(path, reader, &mut word)?;
    let header_len = u64::from_le_bytes(word);
    let room = len - 8;
    if header_len > room.min(MAX_HEADER) {
        return Err(fault(format!(
            "not a safetensors file, or cut short: the first 8 bytes promise a header of {header_len} bytes, {room} bytes follow \
             (and {MAX_HEADER} is the format's limit); {REMEDY}"
        )));
    }
    let mut header = vec![0; header_len as usize];
    read_exact(path, reader, &mut header)?;
    let (entries, metadata) = parse_header(&header).map_err(|message| fault(format!("header: {message}; {REMEDY}")))?;
    drop(header);

    let promised = entries.last().map_or(0, |e| e.end);
    let found = room - header_len;
    if promised != found {
        let what = if promised > found { "the file has been cut short" } else { "there are bytes left over" };
        return Err(fault(format!("the header describes {promised} bytes of values, {found} follow it: {what}; {REMEDY}")));
    }
    let mut tensors = BTreeMap::new();
    for entry in entries {
        let what = format!("tensor {:?}", entry.name);
        let array = read_array(path, reader, entry.stored, entry.shape, &what, 8 + header_len + entry.start)?;
        tensors.insert(entry.name, array);
    }
    Ok(Loaded { tensors, metadata })
}

fn read_exact(path: &Path, reader: &mut dyn Read, bytes: &mut [u8]) -> Result<()> {
    reader.read_exact(bytes).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => Error::data(path, format!("the file ends inside its header; {REMEDY}")),
        _ => Error::io(path, "read", &e),
    })
}

type Header = (Vec<Entry>, BTreeMap<String, String>);

/// The tensors in the order of their values, which must follow one another without gap or overlap.
fn parse_header(bytes: &[u8]) -> Result<Header, String> {
    let json: Value = serde_json::from_slice(bytes).map_err(|e| format!("not JSON: {e}"))?;
    let Value::Object(json) = json else { return Err("a JSON object was expected".into()) };
    let mut entries = Vec::with_capacity(json.len());
    let mut metadata = BTreeMap::new();
    for (name, value) in json {
        if name == METADATA {
            metadata = parse_metadata(value)?;
        } else {
            entries.push(parse_entry(&name, &value).map_err(|e| format!("tensor {name:?}: {e}"))?);
        }
    }
    // A tensor without values starts where it ends, and so comes before a neighbour that starts there too.
    entries.sort_by_key(|e| (e.start, e.end));
    let mut expected = 0;
    for entry in &entries {
        if entry.start != expected {
            let what = if entry.start < expected { "overlaps the tensor before it" } else { "leaves a gap behind the tensor before it" };
            return Err(format!("tensor {:?} starts at byte {}, not {expected}: it {what}", entry.name, entry.start));
        }
        expected = entry.end;
    }
    Ok((entries, metadata))
}

fn parse_metadata(value: Value) -> Result<BTreeMap<String, String>, String> {
    let Value::Object(map) = value else { return Err(format!("{METADATA} is not a JSON object")) };
    map.into_iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            other => Err(format!("{METADATA}: {key:?} holds {other}, only text is allowed")),
        })
        .collect()
}

fn parse_entry(name: &str, value: &Value) -> Result<Entry, String> {
    let numbers = |key: &str| {
        let list = value.get(key).and_then(Value::as_array).ok_or_else(|| format!("no list {key:?}"))?;
        list.iter().map(|v| v.as_u64().ok_or_else(|| format!("{v} in {key:?} is not a size"))).collect::<Result<Vec<u64>, _>>()
    };
    let dtype = value.get("dtype").and_then(Value::as_str).ok_or("no text \"dtype\"")?;
    let stored = stored(dtype).ok_or_else(|| {
        format!("element type {dtype:?} is not supported, only F16, BF16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64 and BOOL are")
    })?;
    let sizes = numbers("shape")?;
    let shape = sizes.iter().map(|&s| usize::try_from(s).ok()).collect::<Option<Shape>>();
    let (shape, numel) = shape.and_then(|s| count(&s).map(|n| (s, n))).ok_or_else(|| format!("shape {sizes:?} is too large"))?;
    let [start, end] = numbers("data_offsets")?[..] else { return Err("\"data_offsets\" is not a pair".into()) };
    let needed = numel as u64 * stored.size() as u64;
    if end.checked_sub(start) != Some(needed) {
        return Err(format!("shape {shape} of {dtype} needs {needed} bytes, \"data_offsets\" are {start} and {end}"));
    }
    Ok(Entry { name: name.to_string(), stored, shape, start, end })
}

const CODES: [(&str, Stored); 13] = [
    ("F16", Stored::F16),
    ("BF16", Stored::BF16),
    ("F32", Stored::F32),
    ("F64", Stored::F64),
    ("I8", Stored::I8),
    ("I16", Stored::I16),
    ("I32", Stored::I32),
    ("I64", Stored::I64),
    ("U8", Stored::U8),
    ("U16", Stored::U16),
    ("U32", Stored::U32),
    ("U64", Stored::U64),
    ("BOOL", Stored::Bool),
];

fn stored(code: &str) -> Option<Stored> {
    CODES.iter().find(|(c, _)| *c == code).map(|&(_, s)| s)
}

fn code(stored: Stored) -> &'static str {
    CODES.iter().find(|&&(_, s)| s == stored).map_or("F32", |&(c, _)| c)
}

#[cfg(test)]
mod tests;
