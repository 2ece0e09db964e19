//! MNIST and the sets that come in its files.

use std::path::{Path, PathBuf};

use noyau_tensor::{Array, Error, Result};

use crate::skipped::Bad;
use crate::{Dataset, Idx, IdxValues, Skipped};

/// A set of grey images and their labels in the four files of MNIST: MNIST itself, Fashion-MNIST, KMNIST, EMNIST and others.
///
/// Images are samples of bytes, `[height, width]` (28 x 28 for all of these); a batch holds 0 to 1. EMNIST's images are stored lying on
/// their side: swap the two axes to see them upright.
#[derive(Clone, Debug)]
pub struct Mnist {
    /// The images to train on.
    pub train: Dataset,
    /// The images to test on.
    pub test: Dataset,
    /// The number of classes, the same for both.
    pub classes: usize,
    /// Records of both halves that were passed over (see [`MnistOptions::skip_bad`]).
    pub skipped: Skipped,
}

/// How to read a set in MNIST's files.
#[derive(Clone, Debug, Default)]
pub struct MnistOptions {
    classes: Option<usize>,
    skip_bad: bool,
}

/// One of the two halves.
struct Half {
    name: &'static str,
    /// What the names of its files contain.
    marks: &'static [&'static str],
}

const TRAIN: Half = Half { name: "train", marks: &["train"] };
const TEST: Half = Half { name: "test", marks: &["t10k", "test"] };

impl Mnist {
    /// Reads the four files from a folder: `*train-images*idx3-ubyte`, `*train-labels*idx1-ubyte`, and the same with `t10k` or `test` for
    /// `train`; each plain or with `.gz` (where both are there, the plain one is read).
    ///
    /// The number of classes is the highest label to train on + 1.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the folder or a file cannot be read. [`Error::Data`] when a file is missing or there are several that it could
    /// be, a file is damaged, images and labels do not agree in number, there are no images, the two halves differ in the size of images,
    /// a label to test on is higher than all to train on (the message names the record), or there are labels above 9 and some below them
    /// do not occur, as one damaged byte would do (see [`Mnist::open_with`]).
    pub fn open(folder: impl AsRef<Path>) -> Result<Mnist> {
        Mnist::options().open(folder)
    }

    /// As [`Mnist::open`] for a set of `classes` classes, of which some may not occur.
    ///
    /// # Errors
    ///
    /// As [`Mnist::open`]; and [`Error::Data`] when a label is not in `0..classes`.
    pub fn open_with(folder: impl AsRef<Path>, classes: usize) -> Result<Mnist> {
        Mnist::options().classes(classes).open(folder)
    }

    /// To be read with options: `Mnist::options().classes(10).skip_bad(true).open("mnist")`.
    pub fn options() -> MnistOptions {
        MnistOptions::default()
    }
}

impl MnistOptions {
    /// The number of classes, of which some may not occur.
    pub fn classes(mut self, classes: usize) -> MnistOptions {
        self.classes = Some(classes);
        self
    }

    /// Passes over records whose label is not among the classes (given, or those of the images to train on), counting them in [`Mnist::skipped`],
    /// where without it the first one is an error. A half of nothing but such records is an error still; and so is a file that is damaged or does
    /// not go with the others, for then no image can be told from which label is its own.
    pub fn skip_bad(mut self, skip: bool) -> MnistOptions {
        self.skip_bad = skip;
        self
    }

    /// Reads the four files from a folder.
    ///
    /// # Errors
    ///
    /// As [`Mnist::open`] and [`Mnist::open_with`].
    pub fn open(&self, folder: impl AsRef<Path>) -> Result<Mnist> {
        read(folder.as_ref(), self)
    }
}

fn read(folder: &Path, options: &MnistOptions) -> Result<Mnist> {
    let io = |e: &std::io::Error| Error::io(folder, "read", e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| io(&e))? {
        // A name that is not Unicode is none of ours.
        if let Ok(name) = entry.map_err(|e| io(&e))?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    // All four are looked for before any is read: the first thing to tell is what is missing.
    let train = (TRAIN.find(folder, &names, "images", 3)?, TRAIN.find(folder, &names, "labels", 1)?);
    let test = (TEST.find(folder, &names, "images", 3)?, TEST.find(folder, &names, "labels", 1)?);

    let train = Raw::read(&train.0, &train.1)?;
    let classes = match options.classes {
        Some(classes) => classes,
        None => train.count_classes()?,
    };
    let shape = train.shape;
    let (train, mut skipped) = train.into_dataset(classes, options.skip_bad)?;
    let test = Raw::read(&test.0, &test.1)?;
    if test.shape != shape {
        let [h, w] = test.shape;
        return Err(Error::data(
            &test.images,
            format!("images of {h} x {w} pixels, but those to train on have {} x {}", shape[0], shape[1]),
        ));
    }
    let (test, more) = test.into_dataset(classes, options.skip_bad)?;
    skipped.add(more);
    Ok(Mnist { train, test, classes, skipped })
}

impl Half {
    fn find(&self, folder: &Path, names: &[String], what: &str, rank: usize) -> Result<PathBuf> {
        let ending = format!("idx{rank}-ubyte");
        let fits = |name: &str| {
            let plain = name.strip_suffix(".gz").unwrap_or(name);
            plain.ends_with(&ending) && self.marks.iter().any(|mark| plain.contains(&format!("{mark}-{what}")))
        };
        let found: Vec<&String> = names.iter().filter(|name| fits(name)).collect();
        // Sorted, the plain file comes directly before its compressed twin.
        let same = |a: &str, b: &str| b.strip_suffix(".gz") == Some(a);
        match found[..] {
            [one] => Ok(folder.join(one)),
            [plain, packed] if same(plain, packed) => Ok(folder.join(plain)),
            [] => {
                let wanted: Vec<String> = self.marks.iter().map(|mark| format!("*{mark}-{what}*{ending}[.gz]")).collect();
                let there = match names {
                    [] => "it is empty".to_string(),
                    _ => format!("it holds {}{}", names[..names.len().min(8)].join(", "), if names.len() > 8 { ", ..." } else { "" }),
                };
                Err(Error::data(
                    folder,
                    format!(
                        "no file {} with the {} {what} in this folder; {there}; the set's four files belong there",
                        wanted.join(" or "),
                        self.name
                    ),
                ))
            }
            _ => {
                let all: Vec<&str> = found.iter().map(|name| name.as_str()).collect();
                let message = format!("several files could be the {} {what}: {}; keep one set in a folder", self.name, all.join(", "));
                Err(Error::data(folder, message))
            }
        }
    }
}

/// The content of an image file and its label file.
struct Raw {
    images: PathBuf,
    labels: PathBuf,
    /// Height and width.
    shape: [usize; 2],
    pixels: Vec<u8>,
    classes: Vec<u8>,
}

impl Raw {
    fn read(images: &Path, labels: &Path) -> Result<Raw> {
        let (shape, classes) = bytes(labels, 1, "labels")?;
        let count = shape[0];
        let (shape, pixels) = bytes(images, 3, "images")?;
        if shape[0] != count {
            let message = format!("{} images, but {} holds {count} labels: the two do not belong together", shape[0], labels.display());
            return Err(Error::data(images, message));
        }
        if pixels.is_empty() {
            return Err(Error::data(
                images,
                format!("{} images of {} x {} pixels: there is nothing to learn from", shape[0], shape[1], shape[2]),
            ));
        }
        Ok(Raw { images: images.into(), labels: labels.into(), shape: [shape[1], shape[2]], pixels, classes })
    }

    /// The highest label + 1, if that can be believed.
    fn count_classes(&self) -> Result<usize> {
        let mut first = [None; 256];
        for (record, &class) in self.classes.iter().enumerate() {
            first[usize::from(class)].get_or_insert(record);
        }
        let highest = self.classes.iter().copied().max().map_or(0, usize::from);
        let lowest = self.classes.iter().copied().min().map_or(0, usize::from);
        // One damaged byte would otherwise turn ten classes into two hundred without a word.
        let missing = (lowest..highest).rev().find(|&class| first[class].is_none());
        if let (10.., Some(missing), Some(record)) = (highest, missing, first[highest]) {
            return Err(Error::data(
                &self.labels,
                format!(
                    "record {record} (offset {} of the content) has label {highest}, but no record has label {missing}: the file is damaged, \
                     or the number of classes has to be given (Mnist::open_with)",
                    8 + record
                ),
            ));
        }
        Ok(highest + 1)
    }

    fn into_dataset(self, classes: usize, skip_bad: bool) -> Result<(Dataset, Skipped)> {
        let mut bad = Bad::new(skip_bad);
        let mut good = Vec::with_capacity(self.classes.len());
        for (record, &label) in self.classes.iter().enumerate() {
            if usize::from(label) < classes {
                good.push(record);
                continue;
            }
            let message = format!(
                "record {record} (offset {} of the content) has label {label}, but there are {classes} classes, from 0 on",
                8 + record
            );
            bad.meet(Error::data(&self.labels, message))?;
        }
        let skipped = bad.finish(good.len(), "records", |message| Error::data(&self.labels, message))?;
        // All records are kept, and those that are bad never chosen: their images need no copy of all others.
        let words: Vec<u32> = self.classes.iter().map(|&label| if usize::from(label) < classes { label.into() } else { 0 }).collect();
        let labels = Array::new([words.len()], &words)?;
        let all = Dataset::from_bytes(self.shape, self.pixels, &labels)?.with_classes(classes)?;
        Ok((if skipped.is_empty() { all } else { all.subset(good)? }, skipped))
    }
}

/// The sizes and bytes of an IDX file that should hold bytes along `rank` axes.
fn bytes(path: &Path, rank: usize, what: &str) -> Result<(Vec<usize>, Vec<u8>)> {
    let (shape, values) = Idx::read(path)?.into_parts();
    match values {
        IdxValues::U8(bytes) if shape.len() == rank => Ok((shape, bytes)),
        _ => Err(Error::data(
            path,
            format!("{what} are bytes (type 0x08) along {rank} axes; this file's header tells of other values, of shape {shape:?}"),
        )),
    }
}

#[cfg(test)]
mod tests;
