//! Addresses and tables that were once at fault, and those that fuzzing begins with: what `fuzz/playground.rs` demands of any holds for them, whole, cut
//! short at every place and with every byte changed.

#[path = "../../../fuzz/playground.rs"]
mod playground;

use std::fs;
use std::path::Path;

/// The files of a folder in the order of their names; none where it is not there.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn what_was_at_fault_is_not_now() {
    for bytes in files("tests/regressions/playground") {
        playground::playground(&bytes);
    }
}

#[test]
fn seeds_are_taken_and_damaged_ones_answered() {
    let seeds = files("fuzz/seeds/playground");
    assert!(seeds.len() >= 8);
    for bytes in seeds {
        assert!(playground::playground(&bytes), "{}", String::from_utf8_lossy(&bytes));
        for at in 0..bytes.len().min(300) {
            playground::playground(&bytes[..at]);
            for value in [b'0', b'&', b'.', 0x7f, bytes[at] ^ 0x20] {
                let mut changed = bytes.clone();
                changed[at] = value;
                playground::playground(&changed);
            }
        }
    }
}
