//! ZIP archives, as far as NumPy's are concerned: PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.5.3.
//!
//! The list at the end of the file (the central directory) is what counts; local headers are only stepped over. Archives of several
//! parts and encrypted entries are errors.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use noyau_tensor::{Error, Result};

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
/// The end's record, behind which a comment of up to 65,535 bytes may stand.
const END_SIZE: usize = 22;
const LOCAL_SIZE: usize = 30;
const CENTRAL_SIZE: usize = 46;
/// "See the field of 64 bits."
const ELSEWHERE: u64 = u32::MAX as u64;
/// No deflated stream expands by more than this (its limit is 1032).
const MAX_EXPANSION: u64 = 1040;
/// Midnight of 1 January 1980, the first day that the format knows: the same arrays are the same bytes.
const DATE: u16 = (1 << 5) | 1;

/// An archive in memory.
pub(super) struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// A file in it.
struct Entry {
    name: String,
    method: u16,
    encrypted: bool,
    crc: u32,
    packed: u64,
    size: u64,
    /// Where its local header starts.
    at: u64,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("path", &self.path).field("names", &self.names().collect::<Vec<_>>()).finish()
    }
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    Some(field.iter().rev().fold(0, |n, &byte| (n << 8) | u64::from(byte)))
}

impl Archive {
    pub(super) fn new(path: &Path, bytes: Vec<u8>) -> Result<Archive> {
        let fault = |message: String| Error::data(path, message);
        let first = bytes.len().saturating_sub(END_SIZE + usize::from(u16::MAX));
        let ends = (first..=bytes.len().saturating_sub(END_SIZE)).rev();
        let end = ends.into_iter().find(|&at| bytes.get(at..at + 4) == Some(&END));
        let end = end.ok_or_else(|| fault("not a ZIP archive, or cut short: it has no list of its content at its end".into()))?;
        let damaged = |what: &str| fault(format!("the list of the archive's content is damaged: {what}"));
        let field = |at: usize, width: usize| number(&bytes, at, width).ok_or_else(|| damaged("it ends too early"));
        let (mut count, mut at) = (field(end + 10, 2)?, field(end + 16, 4)?);
        if count == u64::from(u16::MAX) || at == ELSEWHERE {
            // The locator of the larger record stands directly before.
            let place = end.checked_sub(20).ok_or_else(|| damaged("its 64-bit record is missing"))?;
            let place = field(place + 8, 8)? as usize;
            if bytes.get(place..place.saturating_add(4)) != Some(&END_64) {
                return Err(damaged("its 64-bit record is missing"));
            }
            (count, at) = (field(place + 32, 8)?, field(place + 48, 8)?);
        }
        if count.saturating_mul(CENTRAL_SIZE as u64) > bytes.len() as u64 {
            return Err(damaged(&format!("it promises {count} entries, more than {} bytes can hold", bytes.len())));
        }
        let mut entries = Vec::new();
        let (mut at, mut total) = (at as usize, 0u64);
        for i in 0..count {
            if bytes.get(at..at.saturating_add(4)) != Some(&CENTRAL) {
                return Err(damaged(&format!("entry {i} is not at offset {at}")));
            }
            let (name_len, extra_len, comment_len) = (field(at + 28, 2)?, field(at + 30, 2)?, field(at + 32, 2)?);
            let name_at = at + CENTRAL_SIZE;
            let extra_at = name_at + name_len as usize;
            let next = extra_at + (extra_len + comment_len) as usize;
            let (Some(name), Some(extra)) = (bytes.get(name_at..extra_at), bytes.get(extra_at..extra_at + extra_len as usize)) else {
                return Err(damaged(&format!("entry {i} runs over the end of the file")));
            };
            let name = std::str::from_utf8(name).map_err(|_| damaged(&format!("the name of entry {i} is not UTF-8 text")))?.to_string();
            let [size, packed, start] = sizes_64([field(at + 24, 4)?, field(at + 20, 4)?, field(at + 42, 4)?], extra)
                .ok_or_else(|| damaged(&format!("entry {i} ({name}) lacks its sizes of 64 bits")))?;
            // Were entries to share bytes, a small file could stand for any amount of data.
            total = total.saturating_add(packed).saturating_add(LOCAL_SIZE as u64);
            if total > bytes.len() as u64 {
                return Err(damaged(&format!("the entries up to {name} take {total} bytes, but the file has {}", bytes.len())));
            }
            let (flags, method, crc) = (field(at + 8, 2)?, field(at + 10, 2)? as u16, field(at + 16, 4)? as u32);
            entries.push(Entry { name, method, encrypted: flags & 1 == 1, crc, packed, size, at: start });
            at = next;
        }
        Ok(Archive { path: path.to_path_buf(), bytes, entries })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.name)
    }

    /// The content of the first entry of a name.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let fault = |message: String| Error::data(&self.path, format!("{name}: {message}"));
        let entry = self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| fault("there is no such entry".into()))?;
        if entry.encrypted {
            return Err(fault("it is encrypted".into()));
        }
        let at = usize::try_from(entry.at).ok().filter(|&at| self.bytes.get(at..at.saturating_add(4)) == Some(&LOCAL));
        let at = at.ok_or_else(|| fault(format!("its header is not at offset {}", entry.at)))?;
        let skip = |field: usize| number(&self.bytes, at + field, 2).map(|n| n as usize);
        let start = skip(26).zip(skip(28)).map(|(name, extra)| at + LOCAL_SIZE + name + extra);
        let packed = start.and_then(|start| self.bytes.get(start..start.checked_add(usize::try_from(entry.packed).ok()?)?));
        let packed = packed.ok_or_else(|| fault(format!("its {} bytes run over the end of the file", entry.packed)))?;
        let content = match entry.method {
            0 if entry.packed == entry.size => packed.to_vec(),
            0 => return Err(fault(format!("it is stored in {} bytes, but should have {}", entry.packed, entry.size))),
            8 => {
                if entry.size > entry.packed.saturating_mul(MAX_EXPANSION) {
                    return Err(fault(format!("{} bytes cannot decompress to the {} promised", entry.packed, entry.size)));
                }
                let mut content = Vec::new();
                // Memory grows with what comes, and one byte more than promised is enough to know.
                DeflateDecoder::new(packed)
                    .take(entry.size + 1)
                    .read_to_end(&mut content)
                    .map_err(|e| fault(format!("the compressed data is damaged after {} bytes of content ({e})", content.len())))?;
                if content.len() as u64 != entry.size {
                    return Err(fault(format!("{} bytes were promised, but it decompresses to {} or more", entry.size, content.len())));
                }
                content
            }
            other => return Err(fault(format!("it is packed by method {other}; only 0 (stored) and 8 (deflate) are read"))),
        };
        let mut crc = Crc::new();
        crc.update(&content);
        if crc.sum() != entry.crc {
            return Err(fault(format!("its checksum is {:08x}, but should be {:08x}: it is damaged", crc.sum(), entry.crc)));
        }
        Ok(content)
    }
}

/// Size, packed size and place, those that say so taken from the extra field of 64-bit numbers, in which they stand in this order.
fn sizes_64(mut sizes: [u64; 3], extra: &[u8]) -> Option<[u64; 3]> {
    if !sizes.contains(&ELSEWHERE) {
        return Some(sizes);
    }
    let mut at = 0;
    while number(extra, at, 2)? != 1 {
        at += 4 + number(extra, at + 2, 2)? as usize;
    }
    at += 4;
    for size in sizes.iter_mut().filter(|size| **size == ELSEWHERE) {
        *size = number(extra, at, 8)?;
        at += 8;
    }
    Some(sizes)
}

/// An archive being written, every entry stored.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    list: Vec<u8>,
    names: std::collections::BTreeSet<String>,
}

impl Writer {
    pub(super) fn add(&mut self, name: &str, content: &[u8]) -> Result<(), String> {
        if name == ".npy" || name.len() > 65_000 {
            return Err(format!("a name of {} bytes: it must have 1 to 65,000", name.len() - 4));
        }
        if !self.names.insert(name.to_string()) {
            return Err(format!("two arrays are called {:?}", name.trim_end_matches(".npy")));
        }
        let most = u32::MAX as usize - 1;
        let after = self.bytes.len() + LOCAL_SIZE + name.len() + content.len();
        if after + self.list.len() + CENTRAL_SIZE + name.len() > most || self.names.len() >= usize::from(u16::MAX) {
            return Err(format!("with {name} the archive becomes larger than 4 GiB or 65,534 entries, which is not written"));
        }
        let mut crc = Crc::new();
        crc.update(content);
        // From the version needed to the length of the extra field, the same in both headers.
        let mut common = Vec::new();
        for two in [20u16, 1 << 11, 0, 0, DATE] {
            common.extend(two.to_le_bytes());
        }
        for four in [crc.sum(), content.len() as u32, content.len() as u32] {
            common.extend(four.to_le_bytes());
        }
        for two in [name.len() as u16, 0] {
            common.extend(two.to_le_bytes());
        }
        self.list.extend(CENTRAL);
        self.list.extend(20u16.to_le_bytes());
        self.list.extend(&common);
        // No comment, part 0, no attributes.
        self.list.extend([0; 10]);
        self.list.extend((self.bytes.len() as u32).to_le_bytes());
        self.list.extend(name.as_bytes());
        self.bytes.extend(LOCAL);
        self.bytes.extend(common);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(content);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let at = self.bytes.len() as u32;
        let count = self.names.len() as u16;
        self.bytes.extend(&self.list);
        self.bytes.extend(END);
        for two in [0, 0, count, count] {
            self.bytes.extend(two.to_le_bytes());
        }
        self.bytes.extend((self.list.len() as u32).to_le_bytes());
        self.bytes.extend(at.to_le_bytes());
        self.bytes.extend([0; 2]);
        self.bytes
    }
}
