//! Folders of images that are none.

use std::fs;
use std::path::Path;

use noyau::prelude::*;

use crate::case::Section;
use crate::png::png;

/// The folder `flowers` with these files, and none else.
fn flowers(files: &[(&str, Vec<u8>)]) {
    fs::remove_dir_all("flowers").ok();
    fs::create_dir("flowers").unwrap();
    for (name, bytes) in files {
        let path = Path::new("flowers").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A grey image.
fn image(height: u32, width: u32) -> Vec<u8> {
    png(height, width, |_, _| [100; 3])
}

/// A whole file of few bytes whose header says that it has so many rows and columns.
fn promises(height: u32, width: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    crate::png::chunk(&mut file, b"IHDR", &header);
    crate::png::chunk(&mut file, b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]);
    crate::png::chunk(&mut file, b"IEND", &[]);
    file
}

pub fn section() -> Section {
    let cases = vec![
        bad! { "Images beside each other, not in a folder for each class",
            what: "no folder in it: a folder for each class was expected", place: "flowers: ", remedy: "with that class' images",
            code: {
                flowers(&[("rose.png", image(8, 8)), ("tulip.png", image(8, 8))]);
                ImageFolder::rgb().open("flowers")
            }
        },
        bad! { "A folder of a class without an image",
            what: "the folder of a class is empty", place: "flowers/tulip", remedy: "put its PNG or JPEG images there, or take the folder away",
            code: {
                flowers(&[("rose/1.png", image(8, 8)), ("tulip/.gitkeep", vec![])]);
                ImageFolder::rgb().open("flowers")
            }
        },
        bad! { "A file that is no image",
            what: "no PNG or JPEG image", place: "flowers/rose/notes.txt", remedy: "take it out of the folder, or pass over such files with skip_bad(true)",
            code: {
                flowers(&[("rose/1.png", image(8, 8)), ("rose/notes.txt", b"the best ones".to_vec())]);
                ImageFolder::rgb().open("flowers")
            }
        },
        bad! { "An image that was not copied to its end",
            what: "the image is damaged", place: "flowers/rose/1.png", remedy: "fetch it again, or take it out of the folder",
            code: {
                flowers(&[("rose/1.png", image(8, 8)[..50].to_vec())]);
                ImageFolder::rgb().open("flowers")
            }
        },
        bad! { "Images of several sizes",
            what: "10 x 12 pixels (height x width), but flowers/rose/1.png has 8 x 8", place: "flowers/rose/2.png", remedy: "bring all images to one size with resize(8, 8)",
            code: {
                flowers(&[("rose/1.png", image(8, 8)), ("rose/2.png", image(10, 12))]);
                ImageFolder::rgb().open("flowers")
            }
        },
        bad! { "A small file that would fill all memory",
            what: "60000 x 60000 pixels are more than the 67108864 that an image may have", place: "flowers/rose/1.png", remedy: "raise max_pixels if it is to be read",
            code: {
                flowers(&[("rose/1.png", promises(60_000, 60_000))]);
                ImageFolder::rgb().resize(64, 64).open("flowers")
            }
        },
        bad! { "An image whose header promises more than the file holds",
            what: "its header promises 4000 x 4000 pixels, more than", place: "flowers/rose/1.png", remedy: "it is damaged",
            code: {
                flowers(&[("rose/1.png", promises(4000, 4000))]);
                ImageFolder::rgb().open("flowers")
            }
        },
        bad! { "A class that the images to train on did not have",
            what: "class \"daisy\" is none of rose, tulip", place: "flowers/daisy", remedy: "rename the folder, or take it away",
            code: {
                flowers(&[("rose/1.png", image(8, 8)), ("tulip/1.png", image(8, 8))]);
                let train = ImageFolder::rgb().open("flowers").unwrap();
                flowers(&[("daisy/1.png", image(8, 8))]);
                ImageFolder::like(&train).open("flowers")
            }
        },
        bad! { "Nothing but bad files",
            what: "all 2 files are bad, nothing is left", place: "flowers: ", remedy: "the first: flowers/rose/1.png: the file is empty; a PNG or JPEG image was expected",
            code: {
                flowers(&[("rose/1.png", vec![]), ("rose/2.png", vec![0; 9])]);
                ImageFolder::rgb().skip_bad(true).open("flowers")
            }
        },
    ];
    Section {
        title: "Folders of images",
        words: "With the feature `image`. `flowers(files)` makes a folder of that name with these files; `image(height, width)` is a PNG file, and \
                `promises(height, width)` one whose header says so much and that holds nothing.",
        cases,
    }
}
