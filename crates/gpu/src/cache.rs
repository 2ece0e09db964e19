//! Compiled kernels kept from one run of a program to the next, as the driver gives them: a file for each adapter and driver in the user's
//! cache folder.
//!
//! It needs a driver that hands its cache out (`Features::PIPELINE_CACHE`: Vulkan only). Losing the file costs time and nothing else, so
//! whatever goes wrong with it is passed over in silence.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::context::lock;

/// The variable that names another folder, or `off`.
const FOLDER: &str = "NOYAU_CACHE";
/// How a file of ours begins.
const MAGIC: &[u8; 16] = b"noyau pipelines1";
/// The most bytes that are kept.
const MOST: u64 = 256 << 20;

/// The folder for what is kept between runs: what `NOYAU_CACHE` names, else `noyau` in the user's cache folder. `None` with
/// `NOYAU_CACHE=off`, and where there is no such folder.
pub(crate) fn folder() -> Option<PathBuf> {
    if cfg!(target_arch = "wasm32") {
        return None;
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match set(FOLDER) {
        Some(folder) if folder == Path::new("off") => None,
        Some(folder) => Some(folder),
        None if cfg!(windows) => Some(set("LOCALAPPDATA")?.join("noyau")),
        None if cfg!(target_os = "macos") => Some(set("HOME")?.join("Library/Caches/noyau")),
        None => Some(set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(".cache")))?.join("noyau")),
    }
}

/// A device's compiled kernels on their way to and from a file.
pub(crate) struct Cache {
    cache: wgpu::PipelineCache,
    /// Where, and of which adapter and driver. `None` where nothing is kept between runs.
    file: Option<(PathBuf, String)>,
    /// The checksum of what the file holds.
    kept: AtomicU64,
    /// One writer at a time.
    writing: Mutex<()>,
}

impl Cache {
    /// The cache of an adapter, with what an earlier run left; `None` where the device was opened without the feature, or nothing is to be
    /// kept.
    pub fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Option<Cache> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        // Software drivers hand out empty caches, or ones that only grow: they take part where the folder is named, for tests.
        if info.device_type == wgpu::DeviceType::Cpu && std::env::var_os(FOLDER).is_none() {
            return None;
        }
        let name = wgpu::util::pipeline_cache_key(info)?;
        // A driver checks again what its own header says; ours names all that can change.
        let key = format!("{name} {} {} {} noyau {}", info.name, info.driver, info.driver_info, env!("CARGO_PKG_VERSION"));
        let file = (folder()?.join(format!("{name}_{:016x}", checksum(key.as_bytes()))), key);
        let data = read(&file.0, &file.1);
        let kept = data.as_deref().map_or(0, checksum);
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("noyau"), data: data.as_deref(), fallback: true };
        // SAFETY: the data came from `get_data` of a cache of this adapter and driver: our file says so, its length and checksum show that
        // it is as it was written, and wgpu and the driver check headers of their own. Who can write to the user's cache folder can change
        // the user's programs too.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(Cache { cache, file: Some(file), kept: AtomicU64::new(kept), writing: Mutex::default() })
    }

    /// What pipelines are made with.
    pub fn pipelines(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Keeps what has been compiled, if that is more than the file has.
    pub fn keep(&self) {
        let _one = lock(&self.writing);
        let (Some((path, key)), Some(data)) = (&self.file, self.cache.get_data()) else { return };
        let sum = checksum(&data);
        if data.len() as u64 <= MOST && self.kept.swap(sum, Ordering::Relaxed) != sum {
            // A folder that cannot be written to is no reason to stop.
            let _ = write(path, key, &data);
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo), of 64 bits, over words of 8 bytes and what is left.
fn checksum(data: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        // Words are wider than the bytes that the function was made for: high bits must come down.
        mixed ^ (mixed >> 32)
    };
    let mut words = data.chunks_exact(8);
    let hash = words.by_ref().fold(0xcbf2_9ce4_8422_2325, |hash, w| step(hash, w.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))));
    let hash = words.remainder().iter().fold(hash, |hash, &byte| step(hash, u64::from(byte)));
    step(hash, data.len() as u64)
}

/// The file's data, if it is one of ours, for this key, and whole.
fn read(path: &Path, key: &str) -> Option<Vec<u8>> {
    let file = fs::File::open(path).ok()?;
    let head = (MAGIC.len() + 16 + 2 + key.len()) as u64;
    // What a header promises is not believed: the file's own length is.
    let length = file.metadata().ok().filter(|m| m.is_file())?.len();
    let size = length.checked_sub(head).filter(|&size| size <= MOST)?;
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text).ok()?;
    let rest = text.strip_prefix(MAGIC)?;
    let (said, rest) = (rest.get(..16)?, rest.get(16..)?);
    let (said_size, sum) = (u64::from_le_bytes(said[..8].try_into().ok()?), u64::from_le_bytes(said[8..].try_into().ok()?));
    let rest = rest.strip_prefix(&u16::try_from(key.len()).ok()?.to_le_bytes())?.strip_prefix(key.as_bytes())?;
    (said_size == size && rest.len() as u64 == size && checksum(rest) == sum).then(|| rest.to_vec())
}

/// Replaces the file, whole or not at all.
fn write(path: &Path, key: &str, data: &[u8]) -> std::io::Result<()> {
    let too_long = |_| std::io::Error::other("the adapter's name is too long");
    let length = u16::try_from(key.len()).map_err(too_long)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::File::create(&temporary).and_then(|mut file| {
        for part in
            [&MAGIC[..], &(data.len() as u64).to_le_bytes(), &checksum(data).to_le_bytes(), &length.to_le_bytes(), key.as_bytes(), data]
        {
            file.write_all(part)?;
        }
        file.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_back_what_was_written_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("noyau-cache-test-{}", std::process::id()));
        let path = folder.join("deep/file");
        let data: Vec<u8> = (0..1003u32).map(|i| (i * 7) as u8).collect();
        assert_eq!(read(&path, "a key"), None);
        write(&path, "a key", &data).unwrap();
        assert_eq!(read(&path, "a key").as_deref(), Some(&data[..]));
        // Another driver's.
        assert_eq!(read(&path, "b key"), None);
        assert_eq!(read(&path, "a ke"), None);
        let whole = fs::read(&path).unwrap();
        for length in [0, 5, 16, 30, 39, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read(&path, "a key"), None, "cut after {length} bytes");
        }
        for place in [0, 17, 25, 33, 36, 60, whole.len() - 1] {
            let mut broken = whole.clone();
            broken[place] ^= 1;
            fs::write(&path, &broken).unwrap();
            assert_eq!(read(&path, "a key"), None, "byte {place} changed");
        }
        fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        assert_eq!(read(&path, "a key"), None);
        // Something in the way, and no folder at all.
        assert!(write(&path.join("beneath a file"), "a key", &data).is_err());
        assert_eq!(read(&folder, "a key"), None);
        write(&path, "a key", &[]).unwrap();
        assert_eq!(read(&path, "a key"), Some(Vec::new()));
        assert_eq!(fs::read_dir(folder.join("deep")).unwrap().count(), 1, "temporary files stay behind");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_checksum_sees_order_length_and_single_bits() {
        let sums =
            [&b"12345678abcdefgh"[..], b"abcdefgh12345678", b"12345678abcdefgi", b"12345678abcdefg", b"12345678abcdefg\0", b"", b"\0"];
        let distinct: std::collections::HashSet<u64> = sums.iter().map(|s| checksum(s)).collect();
        assert_eq!(distinct.len(), sums.len());
    }
}
