//! The digits that the page ships, in a file of some hundred kilobytes.
//!
//! The file: `NYD1`; the numbers of images to train on and to test on (two bytes each, low byte first); a byte for each label; the images one after the
//! other, as half bytes, low half first; a checksum (FNV-1a of all before it, 4 bytes, low byte first). A half byte from 1 to 15 is a pixel, 15 is full ink. 0 begins a run of
//! empty pixels: a half byte n below 15 follows for n + 1 of them, or 15 and two half bytes, low one first, for 16 + n. Runs end with their image.

use std::path::Path;

use noyau_data::Mnist;
use noyau_tensor::{Error, Result};

use super::{CLASSES, PIXELS, SIDE};

const MAGIC: &[u8; 4] = b"NYD1";
/// Before the labels: the magic and two counts.
const HEADER: usize = 8;
const CHECKSUM: usize = 4;
/// What a pixel is at most.
const INK: u8 = 15;
/// The longest run of empty pixels that one pair of half bytes tells.
const SHORT: usize = 15;

/// Images with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// [`PIXELS`] an image, row by row, 0 to 15.
    pub pixels: Vec<u8>,
    /// 0 to 9.
    pub labels: Vec<u8>,
}

impl Half {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// One image, 0 to 1, if there are so many.
    pub fn image(&self, index: usize) -> Option<Vec<f32>> {
        Some(self.pixels.chunks_exact(PIXELS).nth(index)?.iter().map(|&pixel| f32::from(pixel) / f32::from(INK)).collect())
    }

    /// All images, 0 to 1.
    pub(super) fn values(&self) -> Vec<f32> {
        self.pixels.iter().map(|&pixel| f32::from(pixel) / f32::from(INK)).collect()
    }
}

/// The digits to train on and to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// To train on.
    pub train: Half,
    /// To test on.
    pub test: Half,
}

impl Images {
    /// Some images of MNIST's, taken at even distances: `train` of those to train on, `test` of those to test on. Fails as [`Mnist::open`] does, and when there
    /// are not so many, or they are no digits of 28 x 28 pixels.
    pub fn of_mnist(folder: impl AsRef<Path>, train: usize, test: usize) -> Result<Images> {
        let (folder, mnist) = (folder.as_ref(), Mnist::open(folder.as_ref())?);
        let half = |data: &noyau_data::Dataset, count: usize| {
            if count > data.len() || count > u16::MAX.into() {
                return Err(Error::data(
                    folder,
                    format!("{count} images were asked for; there are {}, and a file holds {}", data.len(), u16::MAX),
                ));
            }
            if data.sample_shape()[..] != [SIDE, SIDE] || mnist.classes != CLASSES {
                let message = format!("images are {} in {} classes, not {SIDE} x {SIDE} in {CLASSES}", data.sample_shape(), mnist.classes);
                return Err(Error::data(folder, message));
            }
            let places: Vec<u32> = (0..count).map(|i| (i * data.len() / count) as u32).collect();
            let batch = data.batch(&places)?;
            let pixels = batch.x.to_vec::<f32>()?.iter().map(|v| (v * f32::from(INK)).round() as u8).collect();
            let labels = batch.y.to_vec::<u32>()?.iter().map(|&label| label as u8).collect();
            Ok(Half { pixels, labels })
        };
        Ok(Images { train: half(&mnist.train, train)?, test: half(&mnist.test, test)? })
    }

    /// As a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for half in [&self.train, &self.test] {
            bytes.extend((half.len() as u16).to_le_bytes());
        }
        for half in [&self.train, &self.test] {
            bytes.extend(&half.labels);
        }
        let mut halves = Vec::new();
        for image in [&self.train, &self.test].into_iter().flat_map(|half| half.pixels.chunks_exact(PIXELS)) {
            let mut rest = image;
            while let Some(&pixel) = rest.first() {
                if pixel > 0 {
                    halves.push(pixel.min(INK));
                    rest = &rest[1..];
                    continue;
                }
                let run = rest.iter().take_while(|&&p| p == 0).count().min(SHORT + 1 + usize::from(u8::MAX));
                halves.push(0);
                match run.checked_sub(SHORT + 1) {
                    None => halves.push((run - 1) as u8),
                    Some(more) => halves.extend([15, more as u8 & 15, (more as u8) >> 4]),
                }
                rest = &rest[run..];
            }
        }
        bytes.extend(halves.chunks(2).map(|pair| pair[0] | pair.get(1).unwrap_or(&0) << 4));
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }

    /// Reads a file. Fails when the bytes are not what they should be, and says in which way.
    pub fn from_bytes(bytes: &[u8]) -> Result<Images> {
        let fault = |message: String| Error::data("digits.bin", message);
        let len = bytes.len();
        let Some((body, sum)) = bytes.split_last_chunk::<CHECKSUM>().filter(|(body, _)| body.len() >= HEADER) else {
            return Err(fault(format!("{len} bytes are too few: the header takes {HEADER}, the checksum {CHECKSUM}")));
        };
        if !body.starts_with(MAGIC) {
            return Err(fault(format!(
                "it does not begin with NYD1 but with {:?}: this is no file of digits",
                body[..4].escape_ascii().to_string()
            )));
        }
        if checksum(body) != u32::from_le_bytes(*sum) {
            return Err(fault(format!(
                "the checksum at offset {} does not fit the {} bytes before it: the file is damaged or cut off; load it anew",
                body.len(),
                body.len()
            )));
        }
        let count = |at: usize| usize::from(u16::from_le_bytes([body[at], body[at + 1]]));
        let (train, test) = (count(4), count(6));
        if train == 0 || test == 0 {
            return Err(fault(format!("{train} images to train on and {test} to test on: there must be some of both")));
        }
        let Some((labels, images)) = body[HEADER..].split_at_checked(train + test) else {
            return Err(fault(format!(
                "{} images are promised, but {} bytes cannot even hold their labels",
                train + test,
                body.len() - HEADER
            )));
        };
        if let Some(place) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
            return Err(fault(format!("offset {}: label {} of image {place} is none of 0 to 9", HEADER + place, labels[place])));
        }
        let offset = HEADER + labels.len();
        let pixels = unpacked(images, train + test).map_err(|(at, why)| fault(format!("offset {}: {why}", offset + at / 2)))?;
        let (train_pixels, test_pixels) = pixels.split_at(train * PIXELS);
        let (train_labels, test_labels) = labels.split_at(train);
        Ok(Images {
            train: Half { pixels: train_pixels.to_vec(), labels: train_labels.to_vec() },
            test: Half { pixels: test_pixels.to_vec(), labels: test_labels.to_vec() },
        })
    }
}

/// The pixels of so many images; or the half byte that makes no sense, and why.
fn unpacked(bytes: &[u8], images: usize) -> std::result::Result<Vec<u8>, (usize, String)> {
    let half = |at: usize| bytes.get(at / 2).map(|byte| if at.is_multiple_of(2) { byte & 15 } else { byte >> 4 });
    // A pixel takes half a byte, 271 empty ones take two bytes: what is promised is compared with what can be before memory is asked for.
    let most = (images * PIXELS).min(bytes.len().saturating_mul(2 * (SHORT + 1 + usize::from(u8::MAX))));
    let mut pixels = Vec::with_capacity(most);
    let mut at = 0;
    for image in 0..images {
        let end = pixels.len() + PIXELS;
        while pixels.len() < end {
            let ended = |at: usize| (at, format!("the file ends in image {image} of {images}"));
            let mut next = || {
                at += 1;
                half(at - 1).ok_or(ended(at - 1))
            };
            match next()? {
                0 => {
                    let run = match next()? {
                        15 => {
                            let (low, high) = (next()?, next()?);
                            SHORT + 1 + usize::from(low | high << 4)
                        }
                        n => usize::from(n) + 1,
                    };
                    if pixels.len() + run > end {
                        return Err((at - 1, format!("a run of {run} empty pixels goes over the end of image {image}")));
                    }
                    pixels.resize(pixels.len() + run, 0);
                }
                pixel => pixels.push(pixel),
            }
        }
    }
    match bytes.len() - at.div_ceil(2) {
        0 => Ok(pixels),
        left => Err((at, format!("{left} bytes are left after the last image"))),
    }
}

/// FNV-1a (Fowler, Noll, Vo), 32 bits.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> &'static [u8] {
        include_bytes!("../../web/digits.bin")
    }

    /// The bytes with their checksum made anew: what has to be found out by other means.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len() - CHECKSUM);
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }

    fn message(bytes: &[u8]) -> String {
        // The images themselves would be much to print.
        Images::from_bytes(bytes).map(|_| ()).expect_err("the file is bad").to_string()
    }

    #[test]
    fn the_shipped_file_holds_mnist() {
        let images = Images::from_bytes(shipped()).unwrap();
        assert_eq!((images.train.len(), images.test.len()), (5000, 1000));
        assert_eq!(images.train.pixels.len(), 5000 * PIXELS);
        for half in [&images.train, &images.test] {
            for class in 0..10 {
                let share = half.labels.iter().filter(|&&label| label == class).count() as f64 / half.len() as f64;
                assert!((0.07..0.13).contains(&share), "{class}: {share}");
            }
        }
        let mnist = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist");
        assert_eq!(Images::of_mnist(mnist, 5000, 1000).unwrap(), images);
        assert!(Images::of_mnist(mnist, 5000, 10_001).unwrap_err().to_string().contains("there are 10000"));
    }

    #[test]
    fn any_image_survives() {
        let mut rng = noyau_data::Rng::new(3);
        let half = |rng: &mut noyau_data::Rng, count: usize| Half {
            // From empty to full, with runs of all lengths.
            pixels: (0..count * PIXELS)
                .map(|i| if rng.below(count as u32) < (i / PIXELS) as u32 { 1 + rng.below(15) as u8 } else { 0 })
                .collect(),
            labels: (0..count).map(|i| (i % 10) as u8).collect(),
        };
        for count in [1, 2, 40] {
            let images = Images { train: half(&mut rng, count), test: half(&mut rng, 1) };
            assert_eq!(Images::from_bytes(&images.to_bytes()).unwrap(), images);
        }
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let whole = shipped();
        assert!(message(b"").contains("0 bytes are too few"));
        assert!(message(b"<!doctype html>").contains("it does not begin with NYD1 but with \"<!do\""));
        assert!(message(&whole[..whole.len() / 2]).contains("checksum"));
        for place in [4, 9, whole.len() / 3, whole.len() - 1] {
            let mut bytes = whole.to_vec();
            bytes[place] ^= 16;
            assert!(message(&bytes).contains("damaged"), "{place}");
        }
    }

    #[test]
    fn bytes_that_make_no_sense_are_refused() {
        let one = Half { pixels: vec![0; PIXELS], labels: vec![7] };
        let good = Images { train: one.clone(), test: one }.to_bytes();
        let altered = |place: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[place] = byte;
            message(&sealed(bytes))
        };
        assert!(altered(4, 0).contains("0 images to train on and 1 to test on"));
        assert!(altered(5, 255).contains("65282 images are promised"), "{}", altered(5, 255));
        assert!(altered(9, 10).contains("offset 9: label 10 of image 1 is none of 0 to 9"));
        assert!(altered(4, 2).contains("offset 10: label 240 of image 2 is none of 0 to 9"), "{}", altered(4, 2));
        let mut long = good.clone();
        long.insert(good.len() - CHECKSUM, 0);
        assert!(message(&sealed(long)).contains("1 bytes are left after the last image"));
        let mut short = good.clone();
        short.remove(good.len() - CHECKSUM - 1);
        assert!(message(&sealed(short)).contains("the file ends in image 1 of 2"));
        // A longer last run of the first image.
        let mut over = good.clone();
        over[HEADER + 2 + 5] |= 0xf0;
        assert!(message(&sealed(over)).contains("goes over the end of image 0"));
    }
}
