//! NumPy's archives of arrays, and data sets from them.

use std::fs;

use noyau::formats::npz;
use noyau::prelude::*;

use crate::case::Section;

/// The file `set.npz` of four samples `x` of two numbers, and other arrays.
fn archive(others: &[(&str, Array)]) {
    let x = Array::new([4, 2], &[0.5f32; 8]).unwrap();
    let mut arrays = vec![("x".to_string(), x)];
    arrays.extend(others.iter().map(|(name, array)| (name.to_string(), array.clone())));
    npz::write("set.npz", &arrays).unwrap();
}

fn labels(values: &[i32]) -> Array {
    Array::new([values.len()], values).unwrap()
}

pub fn section() -> Section {
    let cases = vec![
        bad! { "Something else under the name of an archive",
            what: "not a ZIP archive, or cut short", place: "set.npz", remedy: "it has no list of its content at its end",
            code: {
                fs::write("set.npz", "1.0, 2.0, 3.0").unwrap();
                npz::read("set.npz")
            }
        },
        bad! { "An archive with a changed byte",
            what: "its checksum is", place: "set.npz: x.npy", remedy: "it is damaged", cut: "its checksum is",
            code: {
                archive(&[]);
                let mut bytes = fs::read("set.npz").unwrap();
                bytes[180] ^= 1;
                fs::write("set.npz", bytes).unwrap();
                npz::read("set.npz")
            }
        },
        bad! { "An array that the archive does not have",
            what: "there is no array \"labels\"", place: "set.npz", remedy: "it has x, y",
            code: {
                archive(&[("y", labels(&[0, 1, 1, 0]))]);
                Dataset::from_npz("set.npz", "x", "labels")
            }
        },
        bad! { "Another number of targets than of samples, in an archive",
            what: "\"x\" holds 4 samples, but \"y\" 3 targets", place: "set.npz", remedy: "every sample needs one",
            code: {
                archive(&[("y", labels(&[0, 1, 1]))]);
                Dataset::from_npz("set.npz", "x", "y")
            }
        },
        bad! { "A class out of range",
            what: "is class 7, but there are 2 classes", place: "set.npz: record 2 of \"y\"", remedy: "from 0 on",
            code: {
                archive(&[("y", labels(&[0, 1, 7, 0]))]);
                Dataset::npz("x", "y").classes(2).open("set.npz")
            }
        },
        bad! { "Real numbers where classes were promised",
            what: "\"y\" holds real numbers, not classes", place: "NpzOptions::classes", remedy: "save whole numbers, such as targets.astype(\"int64\")",
            code: {
                archive(&[("y", Array::new([4], &[0.0f32, 1.0, 1.0, 0.0]).unwrap())]);
                Dataset::npz("x", "y").classes(2).open("set.npz")
            }
        },
    ];
    Section {
        title: "NPZ",
        words: "`archive(arrays)` writes the file `set.npz` with four samples `x` of two numbers, and these arrays.",
        cases,
    }
}
