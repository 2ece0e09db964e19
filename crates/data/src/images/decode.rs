//! From a file's bytes to pixels, one plane a channel.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use noyau_tensor::{Error, Result};

/// What to do about a file that is no image.
const REMEDY: &str = "take it out of the folder, or pass over such files with skip_bad(true)";

/// How large images are to be, height first.
#[derive(Clone, Debug)]
pub(super) enum Size {
    /// As the first one, which is not known yet.
    First,
    /// As this file, which was the first.
    Like([usize; 2], PathBuf),
    Exact([usize; 2]),
    Resize([usize; 2]),
}

impl Size {
    pub(super) fn known(&self) -> Option<[usize; 2]> {
        match self {
            Size::First => None,
            Size::Like(size, _) | Size::Exact(size) | Size::Resize(size) => Some(*size),
        }
    }
}

/// What an image has to be.
pub(super) struct Wanted {
    pub grey: bool,
    pub size: Size,
    pub max_pixels: usize,
}

impl Wanted {
    /// No file of so many pixels is longer: eight bytes a pixel, and what cameras write beside them.
    pub(super) fn max_bytes(&self) -> u64 {
        (self.max_pixels as u64).saturating_mul(8).saturating_add(16 << 20)
    }

    /// The first image has been read, if this is it.
    pub(super) fn first(&mut self, path: &Path, size: [usize; 2]) {
        if matches!(self.size, Size::First) {
            self.size = Size::Like(size, path.to_path_buf());
        }
    }
}

/// An image's bytes, channel by channel, each row-major.
pub(super) struct Pixels {
    /// Height and width.
    pub size: [usize; 2],
    pub pixels: Vec<u8>,
}

pub(super) fn decode(path: &Path, bytes: &[u8], wanted: &Wanted) -> Result<Pixels> {
    // Decoders meet files that their authors did not think of (zune-jpeg 0.5.15 panics at some). Nothing outlives a panic: bytes and wishes are only read.
    catch_unwind(AssertUnwindSafe(|| decoded(path, bytes, wanted))).unwrap_or_else(|_| {
        Err(Error::data(path, format!("the image is damaged in a way that its decoder is not made for; fetch it again, or {REMEDY}")))
    })
}

fn decoded(path: &Path, bytes: &[u8], wanted: &Wanted) -> Result<Pixels> {
    let fault = |message: String| Error::data(path, message);
    let damaged = |error: image::ImageError| fault(format!("the image is damaged ({}); fetch it again, or {REMEDY}", short(&error)));
    let start = &bytes[..bytes.len().min(4)];
    let (format, each) = match start {
        // Deflate makes at most 1032 bytes of one, and a byte is at most eight pixels.
        [0x89, b'P', b'N', b'G'] => (ImageFormat::Png, 8 * 1040),
        // A block of 8 x 8 takes at least a bit.
        [0xff, 0xd8, 0xff, _] => (ImageFormat::Jpeg, 8 * 64),
        [] => return Err(fault(format!("the file is empty; a PNG or JPEG image was expected: {REMEDY}"))),
        _ => return Err(fault(format!("no PNG or JPEG image: it starts with {start:02x?}; {REMEDY}"))),
    };
    if format == ImageFormat::Jpeg && !jpeg_has_end(bytes) {
        return Err(fault(format!("the image has been cut short: its mark of the end is missing; fetch it again, or {REMEDY}")));
    }
    if format == ImageFormat::Png && !png_palette_is_whole(bytes) {
        return Err(fault(format!("the image is damaged (its palette is no list of colours); fetch it again, or {REMEDY}")));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    // Sixteen bytes a pixel are more than any kind takes, and what is beside the pixels is no larger than a large file.
    limits.max_alloc = Some((wanted.max_pixels as u64).saturating_mul(16).min(bytes.len() as u64 * each * 16) + (4 << 20));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let size = [height as usize, width as usize];
    let pixels = u64::from(width) * u64::from(height);
    if pixels > wanted.max_pixels as u64 {
        let most = wanted.max_pixels;
        return Err(fault(format!(
            "{height} x {width} pixels are more than the {most} that an image may have; raise max_pixels if it is to be read"
        )));
    }
    // A JPEG is decoded in tiles of up to 32 x 32: a strip of one row takes as much as one of 32.
    let tile = if format == ImageFormat::Jpeg { 32 } else { 1 };
    let decoded = u64::from(width).next_multiple_of(tile) * u64::from(height).next_multiple_of(tile);
    if decoded > bytes.len() as u64 * each {
        let len = bytes.len();
        return Err(fault(format!(
            "its header promises {height} x {width} pixels, more than {len} bytes can hold: it is damaged; {REMEDY}"
        )));
    }
    match &wanted.size {
        Size::Like(other, first) if *other != size => {
            let [h, w] = other;
            let first = first.display();
            return Err(fault(format!(
                "{height} x {width} pixels (height x width), but {first} has {h} x {w}; bring all images to one size with resize({h}, {w})"
            )));
        }
        Size::Exact(other) if *other != size => {
            let [h, w] = other;
            return Err(fault(format!(
                "{height} x {width} pixels (height x width), but {h} x {w} are asked for; resize({h}, {w}) brings all images to that size"
            )));
        }
        _ => {}
    }
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(planes(image, wanted))
}

fn planes(image: DynamicImage, wanted: &Wanted) -> Pixels {
    let scaled = match wanted.size {
        Size::Resize([height, width]) if (height, width) != (image.height() as usize, image.width() as usize) => {
            Some((height as u32, width as u32))
        }
        _ => None,
    };
    if wanted.grey {
        let mut grey = if image.color().has_color() { brightness(&image) } else { image.into_luma8() };
        if let Some((height, width)) = scaled {
            grey = imageops::resize(&grey, width, height, FilterType::Triangle);
        }
        return Pixels { size: [grey.height() as usize, grey.width() as usize], pixels: grey.into_raw() };
    }
    let mut colours = image.into_rgb8();
    if let Some((height, width)) = scaled {
        colours = imageops::resize(&colours, width, height, FilterType::Triangle);
    }
    let size = [colours.height() as usize, colours.width() as usize];
    let colours = colours.into_raw();
    let plane = |channel: usize| colours.iter().skip(channel).step_by(3).copied();
    Pixels { size, pixels: plane(0).chain(plane(1)).chain(plane(2)).collect() }
}

/// ITU-R BT.601's brightness in PIL's fixed-point arithmetic.
fn brightness(image: &DynamicImage) -> image::GrayImage {
    let mut grey = image::GrayImage::new(image.width(), image.height());
    for (to, from) in grey.pixels_mut().zip(image.to_rgb8().pixels()) {
        let [r, g, b] = from.0.map(u32::from);
        to.0 = [((19_595 * r + 38_470 * g + 7_471 * b + 0x8000) >> 16) as u8];
    }
    grey
}

/// Whether there is a mark of the end behind the first scan. The decoder fills up what is missing with grey and says nothing.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    // Segments with a length, among them small pictures with marks of their own, are stepped over up to the first scan.
    let mut at = 2;
    while let Some(&[mark, kind]) = bytes.get(at..at + 2).and_then(|pair| pair.first_chunk()) {
        match (mark, kind) {
            (0xff, 0xff) => at += 1,
            (0xff, 0xda) => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            (0xff, 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => {
                let Some(&length) = bytes.get(at + 2..).and_then(|rest| rest.first_chunk()) else { return false };
                at += 2 + usize::from(u16::from_be_bytes(length));
            }
            _ => at += 1,
        }
    }
    false
}

/// Whether the palette, if there is one, has three bytes a colour. The decoder (png 0.18.1) panics where a byte of the last one is missing.
fn png_palette_is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((&length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(length) as usize;
        match after.get(..4) {
            Some(b"PLTE") if !length.is_multiple_of(3) => return false,
            Some(b"IDAT") | None => return true,
            // The kind, the content and the checksum.
            Some(_) => rest = length.checked_add(8).and_then(|skip| after.get(skip..)).unwrap_or_default(),
        }
    }
    true
}

/// The first words of a decoder's message: some quote what they found, which may be anything.
fn short(error: &image::ImageError) -> String {
    let text = error.to_string();
    if text.chars().count() <= 200 { text } else { text.chars().take(200).chain("...".chars()).collect() }
}
