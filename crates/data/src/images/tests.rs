use std::fs;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba};
use tempfile::TempDir;

use super::*;

fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Every pixel of this colour.
fn plain(height: u32, width: u32, colour: [u8; 3]) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_pixel(width, height, Rgb(colour)))
}

fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(image).unwrap();
    bytes
}

/// A folder with these files.
fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    root
}

fn refused(options: &ImageOptions, files: &[(&str, Vec<u8>)]) -> String {
    let error = options.open(folder(files).path()).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn classes_and_samples_are_in_the_order_of_names() {
    let pixel = |i: u8| png(&plain(1, 1, [i, 0, 255]));
    let files = [
        ("b/2.png", pixel(2)),
        ("b/10.png", pixel(1)),
        ("é/x.png", pixel(5)),
        ("a/inner/0.png", pixel(8)),
        ("a/z.png", pixel(7)),
        ("a/.DS_Store", vec![1]),
        (".cache/x.png", vec![]),
        ("README.txt", vec![0]),
    ];
    let root = folder(&files);
    let read = ImageFolder::rgb().open(root.path()).unwrap();
    assert_eq!(read.classes, ["a", "b", "é"]);
    let names: Vec<_> = read.files.iter().map(|file| file.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a/z.png", "a/inner/0.png", "b/10.png", "b/2.png", "é/x.png"]);
    let packed = read.dataset.packed();
    assert_eq!(packed.targets.to_f64(), [0.0, 0.0, 1.0, 1.0, 2.0]);
    let batch = read.dataset.batch(&[0, 1, 2, 3, 4]).unwrap();
    assert_eq!(batch.x.shape()[..], [5, 3, 1, 1]);
    let reds: Vec<f32> = batch.x.to_vec::<f32>().unwrap().iter().step_by(3).map(|v| (v * 255.0).round()).collect();
    assert_eq!(reds, [7.0, 8.0, 1.0, 2.0, 5.0]);
    assert!(read.skipped.is_empty());
}

#[test]
fn planes_rows_and_grey() {
    let pixels = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [10, 20, 30]];
    let picture = RgbImage::from_fn(3, 2, |x, y| Rgb(pixels[(y * 3 + x) as usize]));
    let bytes = png(&DynamicImage::ImageRgb8(picture));
    let colours = ImageFolder::rgb().decode("x", &bytes).unwrap();
    assert_eq!(colours.shape()[..], [3, 2, 3]);
    for channel in 0..3 {
        for (place, pixel) in pixels.iter().enumerate() {
            assert_eq!(colours.to_vec::<f32>().unwrap()[channel * 6 + place], f32::from(pixel[channel]) * (1.0 / 255.0));
        }
    }
    // PIL: Image.open("x").convert("L")
    let grey = ImageFolder::grey().decode("x", &bytes).unwrap();
    assert_eq!(grey.shape()[..], [1, 2, 3]);
    let found: Vec<u32> = grey.to_f64().iter().map(|v| (v * 255.0).round() as u32).collect();
    assert_eq!(found, [76, 150, 29, 255, 0, 18]);
    // What is grey in the file is the same in one channel and in three.
    let file = png(&DynamicImage::ImageLuma8(GrayImage::from_fn(2, 2, |x, y| Luma([(x * 7 + y * 100) as u8]))));
    let (one, three) = (ImageFolder::grey().decode("x", &file).unwrap(), ImageFolder::rgb().decode("x", &file).unwrap());
    assert_eq!(three.to_f64(), [one.to_f64(), one.to_f64(), one.to_f64()].concat());
}

#[test]
fn transparency_sixteen_bits_and_jpeg() {
    let clear = DynamicImage::ImageRgba8(ImageBuffer::from_pixel(1, 1, Rgba([40u8, 80, 120, 0])));
    let found = ImageFolder::rgb().decode("x", &png(&clear)).unwrap().to_f64();
    assert_eq!(found.iter().map(|v| (v * 255.0).round()).collect::<Vec<_>>(), [40.0, 80.0, 120.0]);
    let deep = DynamicImage::ImageLuma16(ImageBuffer::from_pixel(1, 1, Luma([0x8080u16])));
    assert_eq!((ImageFolder::grey().decode("x", &png(&deep)).unwrap().item() * 255.0).round(), 128.0);
    for picture in [plain(20, 30, [200, 100, 50]), DynamicImage::ImageLuma8(plain(9, 9, [77; 3]).to_luma8())] {
        let found = ImageFolder::rgb().decode("x", &jpeg(&picture)).unwrap();
        let whole = ImageFolder::rgb().decode("x", &png(&picture)).unwrap();
        assert_eq!(found.shape(), whole.shape());
        let most = found.to_f64().iter().zip(whole.to_f64()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(most < 3.0 / 255.0, "{most}");
    }
}

#[test]
fn sizes() {
    let files = [("a/1.png", png(&plain(4, 6, [90; 3]))), ("b/2.png", png(&plain(2, 2, [30; 3])))];
    let error = refused(&ImageFolder::rgb(), &files);
    assert!(error.contains("2.png: 2 x 2 pixels (height x width), but ") && error.contains("1.png has 4 x 6"), "{error}");
    assert!(error.contains("resize(4, 6)"), "{error}");
    let error = refused(&ImageFolder::rgb().size(2, 2), &files);
    assert!(error.contains("1.png: 4 x 6 pixels") && error.contains("but 2 x 2 are asked for"), "{error}");
    let root = folder(&files);
    let train = ImageFolder::grey().resize(3, 5).open(root.path()).unwrap();
    assert_eq!(train.dataset.sample_shape()[..], [1, 3, 5]);
    let values = train.dataset.batch(&[0, 1]).unwrap().x.to_f64();
    assert!(
        values[..15].iter().all(|v| (v * 255.0).round() == 90.0) && values[15..].iter().all(|v| (v * 255.0).round() == 30.0),
        "{values:?}"
    );
    // A smaller image is an average of the larger one: black and white columns in turn become grey.
    let columns = DynamicImage::ImageRgb8(RgbImage::from_fn(64, 4, |x, _| Rgb([if x % 2 == 0 { 0 } else { 255 }; 3])));
    let small = ImageFolder::grey().resize(4, 4).decode("x", &png(&columns)).unwrap();
    assert!(small.to_f64().iter().all(|v| (v - 0.5).abs() < 0.06), "{:?}", small.to_f64());
    for (height, width) in [(0, 4), (4, 0), (1 << 20, 1 << 20), (usize::MAX, 2)] {
        let error = ImageFolder::rgb().resize(height, width).open(root.path()).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    }
}

#[test]
fn like_another_folder() {
    let a = |colour| png(&plain(2, 2, [colour; 3]));
    let train = ImageFolder::grey().open(folder(&[("cat/1.png", a(1)), ("dog/1.png", a(2)), ("eel/1.png", a(3))]).path()).unwrap();
    let test = ImageFolder::like(&train).open(folder(&[("eel/9.png", png(&plain(8, 8, [3; 3]))), ("dog/1.png", a(2))]).path()).unwrap();
    assert_eq!((&test.classes, test.dataset.classes()), (&train.classes, Some(3)));
    assert_eq!(test.dataset.packed().targets.to_f64(), [1.0, 2.0]);
    assert_eq!(test.dataset.sample_shape(), train.dataset.sample_shape());
    let error = refused(&ImageFolder::like(&train), &[("fox/1.png", a(1))]);
    assert!(error.contains("class \"fox\" is none of cat, dog, eel"), "{error}");
}

#[test]
fn what_is_no_set_of_images_is_named() {
    let good = png(&plain(2, 2, [9; 3]));
    let mut no_such_thing = good.clone();
    no_such_thing[40] ^= 0x55;
    let picture = jpeg(&plain(16, 16, [100, 2, 3]));
    for (files, file, part) in [
        (vec![], "", "no folder in it: a folder for each class was expected, with that class' images; it is empty"),
        (vec![("x.png", good.clone())], "", "it holds 1 files"),
        (vec![("a/.hidden", good.clone())], "a", "the folder of a class is empty"),
        (vec![("a/1.png", good.clone()), ("b/.x", vec![])], "b", "the folder of a class is empty"),
        (vec![("a/1.png", good.clone()), ("a/2.txt", b"hello".to_vec())], "2.txt", "no PNG or JPEG image: it starts with [68, 65, 6c, 6c]"),
        (vec![("a/1.png", vec![])], "1.png", "the file is empty"),
        (vec![("a/1.png", good[..good.len() - 20].to_vec())], "1.png", "the image is damaged"),
        (vec![("a/1.png", no_such_thing)], "1.png", "the image is damaged"),
        (vec![("a/1.png", good[..4].to_vec())], "1.png", "the image is damaged"),
        (vec![("a/1.jpg", picture[..picture.len() - 2].to_vec())], "1.jpg", "the image has been cut short"),
        (vec![("a/1.jpg", picture[..4].to_vec())], "1.jpg", "the image has been cut short"),
    ] {
        let message = refused(&ImageFolder::rgb(), &files);
        assert!(message.contains(&format!("{file}: ")) && message.contains(part), "{message}");
    }
    let error = ImageFolder::rgb().open("no/such/folder").unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("no/such/folder"), "{error}");
}

/// Nothing of a file that was cut short may be taken for the whole image.
#[test]
fn cut_at_every_byte_and_changed() {
    let picture = DynamicImage::ImageRgb8(RgbImage::from_fn(17, 9, |x, y| Rgb([(x * 14) as u8, (y * 25) as u8, (x * y) as u8])));
    for whole in [png(&picture), jpeg(&picture)] {
        assert!(ImageFolder::rgb().decode("x", &whole).is_ok());
        for end in 0..whole.len() {
            // PNG's last chunk holds nothing: a decoder may do without.
            let error = ImageFolder::rgb().decode("x", &whole[..end]);
            assert!(error.is_err() || whole[0] == 0x89 && end + 12 >= whole.len(), "{end} bytes of {}", whole.len());
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x5a;
            if let Err(error) = ImageFolder::rgb().size(9, 17).decode("x", &changed) {
                assert!(matches!(error, Error::Data { .. }), "{error:?}");
            }
        }
    }
}

#[test]
fn small_files_that_would_fill_memory() {
    // A header of 65,000 x 65,000, its checksum right: refused before anything is made of it.
    let mut bomb = png(&plain(1, 1, [0; 3]));
    bomb[16..20].copy_from_slice(&65_000u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&65_000u32.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let error = ImageFolder::rgb().decode("bomb.png", &bomb).unwrap_err().to_string();
    assert!(error.starts_with("bomb.png: 65000 x 65000 pixels are more than the 67108864"), "{error}");
    let error = ImageFolder::rgb().max_pixels(usize::MAX).decode("bomb.png", &bomb).unwrap_err().to_string();
    assert!(error.contains("more than") && error.contains("bytes can hold"), "{error}");
    let mut bomb = jpeg(&plain(8, 8, [0; 3]));
    let frame = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
    for (options, part) in [(ImageFolder::grey(), "max_pixels"), (ImageFolder::grey().max_pixels(usize::MAX), "bytes can hold")] {
        let error = options.decode("bomb.jpg", &bomb).unwrap_err().to_string();
        assert!(error.contains("65000 x 65000 pixels") && error.contains(part), "{error}");
    }
    // An image that is what it says: the limit is the program's.
    let large = png(&plain(100, 100, [7; 3]));
    assert!(ImageFolder::rgb().max_pixels(10_000).decode("x", &large).is_ok());
    assert!(ImageFolder::rgb().max_pixels(9_999).decode("x", &large).unwrap_err().to_string().contains("more than the 9999"));
}

#[test]
fn bad_files_are_skipped_and_counted() {
    let good = |colour| png(&plain(2, 2, [colour; 3]));
    let files = [
        ("a/0.txt", b"no image".to_vec()),
        ("a/1.png", good(1)),
        ("b/1.png", good(2)[..30].to_vec()),
        ("b/2.png", png(&plain(3, 3, [0; 3]))),
        ("c/1.png", good(3)),
    ];
    let read = ImageFolder::rgb().skip_bad(true).open(folder(&files).path()).unwrap();
    assert_eq!((read.dataset.len(), read.classes.len(), read.dataset.classes(), read.skipped.count), (2, 3, Some(3), 3));
    assert_eq!(read.dataset.packed().targets.to_f64(), [0.0, 2.0]);
    for (reason, file) in read.skipped.reasons.iter().zip(["0.txt: no PNG", "b/1.png: the image is damaged", "b/2.png: 3 x 3"]) {
        assert!(reason.contains(file), "{reason}");
    }
    let error = refused(&ImageFolder::rgb().skip_bad(true), &files[..1]);
    assert!(error.contains("all 1 files are bad, nothing is left; the first: ") && error.contains("0.txt"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_that_lead_back_end() {
    let root = folder(&[("a/1.png", png(&plain(1, 1, [0; 3])))]);
    std::os::unix::fs::symlink(root.path(), root.path().join("a/up")).unwrap();
    let error = ImageFolder::rgb().open(root.path()).unwrap_err().to_string();
    assert!(error.contains("does a link lead back"), "{error}");
    // Another kind of file is no image, and reading it would wait for ever.
    let socket = folder(&[("a/1.png", png(&plain(1, 1, [0; 3])))]);
    let _kept = std::os::unix::net::UnixListener::bind(socket.path().join("a/2.png")).unwrap();
    assert!(ImageFolder::rgb().open(socket.path()).unwrap_err().to_string().contains("2.png: it is no ordinary file"));
}
