//! Folders of images, a folder for each class.

use std::path::{Path, PathBuf};

use noyau_tensor::{Array, Error, Result};

use crate::skipped::Bad;
use crate::{Dataset, Skipped};

mod decode;
mod folder;

use decode::{Size, Wanted};

/// An image may have so many pixels unless told otherwise: 268 MB while it is decoded as four bytes a pixel.
const MAX_PIXELS: usize = 1 << 26;

/// Images from a folder that has a folder for each class, as torchvision's `ImageFolder` reads them.
///
/// ```text
/// flowers/train/daisy/100.jpg
/// flowers/train/daisy/101.png          classes: daisy 0, rose 1
/// flowers/train/rose/7.jpg
///
/// let train = ImageFolder::rgb().resize(64, 64).skip_bad(true).open("flowers/train")?;
/// let test = ImageFolder::like(&train).open("flowers/test")?;
/// println!("{:?}: {}", train.classes, train.skipped);
/// trainer.fit(&train.dataset, Fit::epochs(10).validate(&test.dataset))?;
/// ```
///
/// PNG and JPEG are read: the content decides, not the file's name. Classes are the names of the folders in Unicode's order, samples come class by
/// class in the order of their files' names, those of a folder inside of a class behind the class' own: the same folder is the same data set
/// everywhere. Names that begin with a dot are passed over, as are files beside the folders of the classes.
///
/// Transparency is dropped, 16 bits a channel become 8, colours are taken as the file has them (no profile is applied), and an image that a camera
/// has marked as turned is read as it is stored.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    /// Samples of bytes `[channels, height, width]` (a batch holds 0 to 1), one channel for grey and three for red, green and blue; targets are classes.
    pub dataset: Dataset,
    /// The name of each class: its folder's.
    pub classes: Vec<String>,
    /// The file of each sample.
    pub files: Vec<PathBuf>,
    /// Files that were passed over (see [`ImageOptions::skip_bad`]). A class of nothing but such files is a class still.
    pub skipped: Skipped,
}

/// How to read a folder of images.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    grey: bool,
    size: Size,
    max_pixels: usize,
    skip_bad: bool,
    classes: Option<Vec<String>>,
}

impl ImageFolder {
    /// To be read in colours: three channels, also of images that are grey.
    pub fn rgb() -> ImageOptions {
        ImageOptions { grey: false, size: Size::First, max_pixels: MAX_PIXELS, skip_bad: false, classes: None }
    }

    /// To be read as grey: one channel, of colours the brightness `0.299 r + 0.587 g + 0.114 b` (ITU-R BT.601, as PIL's).
    pub fn grey() -> ImageOptions {
        ImageOptions { grey: true, ..ImageFolder::rgb() }
    }

    /// To be read as another folder was, such as the one to train on: the same classes under the same numbers (one that it did not have is an
    /// error, one that is missing is not), the same channels, and images brought to the same size.
    pub fn like(other: &ImageFolder) -> ImageOptions {
        let classes = Some(other.classes.clone());
        match other.dataset.sample_shape()[..] {
            [channels, height, width] => ImageOptions { grey: channels == 1, classes, ..ImageFolder::rgb() }.resize(height, width),
            _ => ImageOptions { classes, ..ImageFolder::rgb() },
        }
    }
}

impl ImageOptions {
    /// Brings every image to this size, in pixels, as a whole (sides change their proportion), by a triangle filter as wide as a pixel of the smaller
    /// image: bilinear with antialiasing. Without it all images must have the size of the first one.
    pub fn resize(mut self, height: usize, width: usize) -> ImageOptions {
        self.size = Size::Resize([height, width]);
        self
    }

    /// Every image must have this size, in pixels; another is bad.
    pub fn size(mut self, height: usize, width: usize) -> ImageOptions {
        self.size = Size::Exact([height, width]);
        self
    }

    /// How many pixels an image may have before it is decoded: 67,108,864 unless told otherwise. One with more is bad, as is one that promises more
    /// than a file of its length can hold: small files that would fill all memory are refused by their headers.
    pub fn max_pixels(mut self, most: usize) -> ImageOptions {
        self.max_pixels = most;
        self
    }

    /// Passes over bad files (no image, damaged, too large, of another size), counting them in [`ImageFolder::skipped`], where without it the first one
    /// is an error. A folder of nothing but bad files is an error still, and so is a file that cannot be read.
    pub fn skip_bad(mut self, skip: bool) -> ImageOptions {
        self.skip_bad = skip;
        self
    }

    /// Reads a folder.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a folder or a file cannot be read. [`Error::Data`] when there is no folder for a class, a class has no file, or a file is no
    /// image, is damaged, or is of another size than the others: the message names the file. [`Error::Argument`] when a size is 0.
    pub fn open(&self, root: impl AsRef<Path>) -> Result<ImageFolder> {
        let root = root.as_ref();
        let mut wanted = self.wanted()?;
        let (classes, found) = folder::list(root, self.classes.as_deref())?;
        let mut bad = Bad::new(self.skip_bad);
        let (mut pixels, mut labels, mut files) = (Vec::new(), Vec::new(), Vec::new());
        let mut left = found.len();
        for (path, class) in found {
            match folder::content(&path, wanted.max_bytes()).and_then(|bytes| decode::decode(&path, &bytes, &wanted)) {
                Ok(image) => {
                    // Room for all that are to come, once the first one has told how large they are.
                    if pixels.capacity() - pixels.len() < image.pixels.len() && pixels.try_reserve(image.pixels.len() * left).is_err() {
                        let [h, w] = image.size;
                        let message = format!(
                            "{left} more images of {h} x {w} pixels do not fit in memory; bring them to a smaller size with resize"
                        );
                        return Err(Error::data(root, message));
                    }
                    wanted.first(&path, image.size);
                    pixels.extend_from_slice(&image.pixels);
                    labels.push(class);
                    files.push(path);
                }
                Err(error) => bad.meet(error)?,
            }
            left -= 1;
        }
        let skipped = bad.finish(files.len(), "files", |message| Error::data(root, message))?;
        let Some([height, width]) = wanted.size.known() else {
            return Err(Error::data(root, "there is no image in it; a folder for each class, with PNG or JPEG files, was expected"));
        };
        let shape = [if self.grey { 1 } else { 3 }, height, width];
        let dataset = Dataset::from_bytes(shape, pixels, &Array::new([labels.len()], &labels)?)?.with_classes(classes.len())?;
        Ok(ImageFolder { dataset, classes, files, skipped })
    }

    /// Reads one image from memory, as a folder's would be: `[channels, height, width]` of `F32`, 0 to 1. `name` stands for the file in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] when it is no image, is damaged, or is not of the size asked for. [`Error::Argument`] when a size is 0.
    pub fn decode(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<Array> {
        let image = decode::decode(name.as_ref(), bytes, &self.wanted()?)?;
        let [height, width] = image.size;
        // As a batch of the data set has them, to the last bit.
        let values: Vec<f32> = image.pixels.iter().map(|&byte| f32::from(byte) * (1.0 / 255.0)).collect();
        Array::new([if self.grey { 1 } else { 3 }, height, width], &values)
    }

    fn wanted(&self) -> Result<Wanted> {
        if let Some([height, width]) = self.size.known()
            && height.checked_mul(width).is_none_or(|pixels| pixels == 0 || pixels > self.max_pixels)
        {
            let message = format!("{height} x {width} pixels: both must be at least 1, and their product at most {}", self.max_pixels);
            return Err(Error::argument("ImageFolder: size", message));
        }
        Ok(Wanted { grey: self.grey, size: self.size.clone(), max_pixels: self.max_pixels })
    }
}

#[cfg(test)]
mod tests;
