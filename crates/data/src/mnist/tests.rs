use std::fs;

use super::*;
use crate::idx::tests::{gzip, idx};

const NAMES: [&str; 4] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

fn images(n: u32) -> Vec<u8> {
    idx(0x08, &[n, 2, 3], &(0..n * 6).map(|v| v as u8).collect::<Vec<_>>())
}

fn labels(values: &[u8]) -> Vec<u8> {
    idx(0x08, &[values.len() as u32], values)
}

/// A folder with the four files.
fn folder(train: &[u8], test: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = [images(train.len() as u32), labels(train), images(test.len() as u32), labels(test)];
    for (name, bytes) in NAMES.iter().zip(files) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn refused(folder: &tempfile::TempDir) -> String {
    let error = Mnist::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn reads_plain_and_compressed_files() {
    let folder = folder(&[0, 2, 1], &[1, 0]);
    for compressed in [false, true] {
        if compressed {
            for name in NAMES {
                let path = folder.path().join(name);
                fs::write(folder.path().join(format!("{name}.gz")), gzip(&fs::read(&path).unwrap())).unwrap();
                fs::remove_file(path).unwrap();
            }
        }
        let mnist = Mnist::open(folder.path()).unwrap();
        assert_eq!((mnist.train.len(), mnist.test.len(), mnist.classes), (3, 2, 3));
        assert_eq!(mnist.train.sample_shape().to_vec(), [2, 3]);
        assert_eq!(mnist.test.classes(), Some(3));
        let (x, y) = mnist.train.get(1).unwrap();
        assert!((x.to_f64()[0] - 6.0 / 255.0).abs() < 1e-8 && y.item() == 2.0);
    }
}

#[test]
fn other_names() {
    let folder = folder(&[0, 1], &[1]);
    let names = [
        "emnist-x-train-images-idx3-ubyte",
        "emnist-x-train-labels-idx1-ubyte",
        "emnist-x-test-images-idx3-ubyte",
        "emnist-x-test-labels.idx1-ubyte",
    ];
    for (old, new) in NAMES.iter().zip(names) {
        fs::rename(folder.path().join(old), folder.path().join(new)).unwrap();
    }
    assert_eq!(Mnist::open(folder.path()).unwrap().test.len(), 1);
    // The plain file wins over its compressed twin, a second set in the folder does not.
    fs::write(folder.path().join("emnist-x-train-images-idx3-ubyte.gz"), "anything").unwrap();
    assert_eq!(Mnist::open(folder.path()).unwrap().test.len(), 1);
    fs::write(folder.path().join("emnist-y-train-images-idx3-ubyte"), "anything").unwrap();
    assert!(refused(&folder).contains("several files could be the train images"));
}

#[test]
fn a_missing_file_is_named() {
    let folder = folder(&[0, 1], &[1]);
    fs::remove_file(folder.path().join(NAMES[3])).unwrap();
    let message = refused(&folder);
    assert!(message.contains("*t10k-labels*idx1-ubyte[.gz] or *test-labels*idx1-ubyte[.gz]"), "{message}");
    assert!(message.contains(&folder.path().display().to_string()) && message.contains(NAMES[0]), "{message}");
    let empty = tempfile::tempdir().unwrap();
    assert!(refused(&empty).contains("it is empty"));
    assert!(matches!(Mnist::open(empty.path().join("none")), Err(Error::Io { .. })));
}

#[test]
fn counts_must_agree() {
    let folder = folder(&[0, 1, 1], &[1]);
    fs::write(folder.path().join(NAMES[1]), labels(&[0, 1])).unwrap();
    let message = refused(&folder);
    assert!(message.contains("3 images") && message.contains("2 labels"), "{message}");
}

#[test]
fn labels_out_of_range() {
    let message = refused(&folder(&[0, 1, 2], &[1, 3, 0]));
    assert!(message.contains(NAMES[3]) && message.contains("record 1 (offset 9 of the content) has label 3"), "{message}");
    let damaged = folder(&[0, 1, 200, 2], &[1]);
    assert!(refused(&damaged).contains("record 2 (offset 10 of the content) has label 200, but no record has label 199"));
    assert_eq!(Mnist::open_with(damaged.path(), 201).unwrap().classes, 201);
    assert!(Mnist::open_with(damaged.path(), 10).unwrap_err().to_string().contains("record 2"));
    // Classes may start at 1, as EMNIST's letters do, and a few may be missing among the first ten.
    assert_eq!(Mnist::open(folder(&(1..=26).collect::<Vec<u8>>(), &[26]).path()).unwrap().classes, 27);
    assert_eq!(Mnist::open(folder(&[0, 9], &[5]).path()).unwrap().classes, 10);
}

#[test]
fn labels_out_of_range_are_skipped() {
    let set = folder(&[0, 1, 200, 2], &[1, 9, 3]);
    let mnist = Mnist::options().classes(4).skip_bad(true).open(set.path()).unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len(), mnist.classes, mnist.skipped.count), (3, 2, 4, 2));
    // Images stay with their labels.
    let (x, y) = mnist.train.get(2).unwrap();
    assert_eq!((x.to_f64()[0], y.item()), (f64::from(18.0f32 * (1.0 / 255.0)), 2.0));
    assert!(
        mnist.skipped.reasons[0].contains("record 2 (offset 10 of the content) has label 200, but there are 4 classes"),
        "{}",
        mnist.skipped
    );
    assert!(mnist.skipped.reasons[1].contains(NAMES[3]), "{}", mnist.skipped);
    // The labels to train on say what the classes are, where nobody else does.
    assert_eq!(Mnist::options().skip_bad(true).open(folder(&[0, 1], &[1, 2]).path()).unwrap().skipped.count, 1);
    let none = Mnist::options().classes(1).skip_bad(true).open(folder(&[0], &[3, 4]).path()).unwrap_err().to_string();
    assert!(none.contains("all 2 records are bad") && none.contains(NAMES[3]), "{none}");
}

#[test]
fn files_that_do_not_fit_together() {
    let set = folder(&[0, 1], &[1]);
    fs::write(set.path().join(NAMES[2]), idx(0x08, &[1, 3, 3], &[0; 9])).unwrap();
    assert!(refused(&set).contains("3 x 3 pixels, but those to train on have 2 x 3"));
    fs::write(set.path().join(NAMES[2]), labels(&[1])).unwrap();
    assert!(refused(&set).contains("along 3 axes"));
    fs::write(set.path().join(NAMES[0]), &images(2)[..20]).unwrap();
    assert!(refused(&set).contains("cut short"));
    assert!(refused(&folder(&[], &[])).contains("nothing to learn from"));
}

#[test]
fn the_real_thing() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist");
    if !Path::new(path).exists() {
        eprintln!("skipped: {path} is not there");
        return;
    }
    let mnist = Mnist::open(path).unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len(), mnist.classes), (60_000, 10_000, 10));
    assert_eq!(mnist.train.sample_shape().to_vec(), [28, 28]);
    let first: Vec<f32> = (0..8).map(|i| mnist.train.get(i).unwrap().1.item()).collect();
    assert_eq!(first, [5.0, 0.0, 4.0, 1.0, 9.0, 2.0, 1.0, 3.0]);
    let x = mnist.train.packed().features;
    assert_eq!(x.shape().to_vec(), [60_000, 196]);
    // The known mean of all pixels, 0.1307.
    let sum: u64 = x.words().iter().map(|w| w.to_le_bytes().iter().map(|&b| u64::from(b)).sum::<u64>()).sum();
    assert!((sum as f64 / (60_000.0 * 784.0 * 255.0) - 0.1307).abs() < 1e-4);
}
