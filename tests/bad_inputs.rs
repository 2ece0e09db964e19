//! Everything that a person can get wrong, and what noyau says to it: docs/ERRORS.md is made from these cases.
//!
//! A case is a few lines of a program that are refused. Its message must say what is wrong, where, and what to do about it; nothing may panic.
//! `NOYAU_BLESS=1 cargo test --all-features --test bad_inputs` writes the page anew.

#[path = "bad_inputs/case.rs"]
#[macro_use]
mod case;
#[path = "bad_inputs/archives.rs"]
mod archives;
#[path = "bad_inputs/checkpoints.rs"]
mod checkpoints;
#[path = "bad_inputs/expressions.rs"]
mod expressions;
#[path = "bad_inputs/files.rs"]
mod files;
#[cfg(feature = "image")]
#[path = "bad_inputs/images.rs"]
mod images;
#[cfg(feature = "onnx")]
#[path = "bad_inputs/onnx.rs"]
mod onnx;
#[path = "bad_inputs/options.rs"]
mod options;
#[path = "bad_inputs/page.rs"]
mod page;
#[cfg(feature = "image")]
#[path = "support/png.rs"]
mod png;
#[path = "bad_inputs/programs.rs"]
mod program;
#[path = "support/programs.rs"]
mod programs;
#[path = "bad_inputs/steps.rs"]
mod steps;
#[path = "bad_inputs/tables.rs"]
mod tables;
#[path = "bad_inputs/training.rs"]
mod training;

use std::fs;
use std::path::Path;

use case::Section;

/// In the order of the page.
fn sections() -> Vec<Section> {
    vec![
        expressions::shapes(),
        expressions::types(),
        expressions::gradients(),
        options::layers(),
        options::optimizers(),
        steps::section(),
        steps::devices(),
        tables::datasets(),
        tables::tables(),
        files::idx(),
        #[cfg(feature = "image")]
        images::section(),
        files::arrays(),
        archives::section(),
        #[cfg(feature = "onnx")]
        onnx::section(),
        training::trainings(),
        training::weights(),
        checkpoints::section(),
        program::section(),
    ]
}

#[test]
fn every_bad_input_is_told_what_where_and_what_to_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The cases' files have short names and lie in a folder of their own. This is the only test here, so nobody else misses the old one.
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let mut faults = Vec::new();
    let page = page::write(&sections(), root, &mut faults);
    std::env::set_current_dir(root).unwrap();

    let cases = sections().iter().map(|section| section.cases.len()).sum::<usize>();
    assert!(faults.is_empty(), "{} of {cases} messages fall short:\n\n{}", faults.len(), faults.join("\n"));
    assert!(cases >= 60, "{cases} cases");

    if !cfg!(all(feature = "image", feature = "onnx")) {
        eprintln!("docs/ERRORS.md was not compared: it has the cases of all features, cargo test --all-features runs them");
        return;
    }
    let path = root.join("docs/ERRORS.md");
    if std::env::var_os("NOYAU_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    if let Some((number, (new, old))) =
        page.lines().zip(kept.lines().chain(std::iter::repeat(""))).enumerate().find(|(_, (new, old))| new != old)
    {
        panic!("docs/ERRORS.md, line {}: the page says\n{old}\nand noyau says\n{new}\nNOYAU_BLESS=1 writes the page anew", number + 1);
    }
    assert_eq!(page.len(), kept.len(), "docs/ERRORS.md has more than there are cases; NOYAU_BLESS=1 writes it anew");
}
