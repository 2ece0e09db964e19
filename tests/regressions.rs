//! Inputs that were once at fault, and the seeds that fuzzing begins with, through the parsers that read them.
//!
//! `tests/regressions/<parser>/` holds an input for each fault that was found, `fuzz/seeds/<parser>/` well-formed files of every kind
//! (`NOYAU_BLESS=1` writes those that are missing). The fuzz targets in `fuzz/` run the same functions: see fuzz/README.md.

#[path = "regressions/checkpoint.rs"]
mod checkpoint;
#[path = "regressions/memory.rs"]
mod memory;
#[cfg(feature = "onnx")]
#[path = "regressions/onnx.rs"]
mod onnx;
#[path = "regressions/parsers.rs"]
mod parsers;
#[path = "regressions/seeds.rs"]
mod seeds;

use std::fs;
use std::path::{Path, PathBuf};

use parsers::{PARSERS, Parser};

/// All parsers, by the names of their fuzz targets.
fn all() -> impl Iterator<Item = (&'static str, Parser)> {
    PARSERS.iter().copied().chain([("checkpoint", checkpoint::checkpoint as Parser)])
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder in the order of their names; none where it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn inputs_that_were_at_fault_are_none_now() {
    for (name, parser) in all() {
        for file in files(&root().join("tests/regressions").join(name)) {
            eprintln!("{}", file.display());
            parser(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn seeds_are_read() {
    for (name, parser) in all() {
        let folder = root().join("fuzz/seeds").join(name);
        let made = seeds::of(name);
        assert!(!made.is_empty(), "no seeds for {name}");
        for (seed, bytes) in made {
            let path = folder.join(seed);
            if std::env::var_os("NOYAU_BLESS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            let kept = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; NOYAU_BLESS=1 writes it", path.display()));
            assert!(parser(&kept) && parser(&bytes), "{}: a seed is a whole file", path.display());
        }
    }
}

/// Seeds cut short at every place, and with every byte changed in turn: what a fuzzer does first.
#[test]
fn damaged_seeds_are_errors() {
    for (name, parser) in all() {
        for (_, bytes) in seeds::of(name) {
            for at in 0..bytes.len().min(400) {
                parser(&bytes[..at]);
                for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 0x20] {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    parser(&changed);
                }
            }
        }
    }
}

/// The bound on memory is one that is kept: a parser that takes what a file promises is found out.
#[test]
fn memory_is_counted() {
    let (vec, most) = memory::peak(|| vec![1u8; 1 << 20]);
    assert!((1 << 20..1 << 21).contains(&most), "{most}");
    drop(vec);
    let (_, most) = memory::peak(|| (0..10u8).map(|i| vec![i; 1000].len()).sum::<usize>());
    assert!((1000..2000).contains(&most), "{most}: what has been freed does not count");
}
