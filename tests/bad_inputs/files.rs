//! Files of arrays that are damaged, cut short, or something else than their names say.

use std::collections::BTreeMap;
use std::fs;

use noyau::data::Idx;
use noyau::formats::{npy, safetensors};
use noyau::prelude::*;

use crate::case::Section;

/// An IDX file of bytes: its sizes, and so many of them.
fn idx_file(sizes: &[u32], count: usize) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| file.extend(size.to_be_bytes()));
    file.resize(file.len() + count, 0);
    file
}

/// The four files of an MNIST-like set of two images of 4 x 4 each, with other files in place of some.
fn mnist_with(others: &[(&str, Vec<u8>)]) -> Result<Mnist> {
    fs::remove_dir_all("mnist").ok();
    fs::create_dir("mnist").unwrap();
    let (images, labels) = (idx_file(&[2, 4, 4], 32), idx_file(&[2], 2));
    for part in ["train", "t10k"] {
        fs::write(format!("mnist/{part}-images-idx3-ubyte"), &images).unwrap();
        fs::write(format!("mnist/{part}-labels-idx1-ubyte"), &labels).unwrap();
    }
    for (name, bytes) in others {
        fs::write(format!("mnist/{name}"), bytes).unwrap();
    }
    Mnist::open("mnist")
}

pub fn idx() -> Section {
    let cases = vec![
        bad! { "A file that is no IDX file",
            what: "not an IDX file", place: "offset 0", remedy: "a magic number 00 00 TYPE RANK was expected",
            code: {
                fs::write("digits.idx", "hello world").unwrap();
                Idx::read("digits.idx")
            }
        },
        bad! { "An element type that IDX does not have",
            what: "element type 0x0a", place: "offset 2", remedy: "is not one of 0x08 (u8)",
            code: {
                fs::write("digits.idx", [0, 0, 0x0a, 1, 0, 0, 0, 0]).unwrap();
                Idx::read("digits.idx")
            }
        },
        bad! { "A header that promises more than the file holds",
            what: "the header promises 784000 bytes", place: "from offset 16", remedy: "it has been cut short or its header is damaged",
            code: {
                fs::write("digits.idx", idx_file(&[1000, 28, 28], 100)).unwrap();
                Idx::read("digits.idx")
            }
        },
        bad! { "Bytes behind the values",
            what: "more bytes follow", place: "end at offset 16", remedy: "the header is damaged, or the file",
            code: {
                fs::write("digits.idx", idx_file(&[2, 2], 5)).unwrap();
                Idx::read("digits.idx")
            }
        },
        bad! { "A compressed file that was not fetched to its end",
            what: "the compressed file has been cut short", place: "ends after", remedy: "fetch it again",
            code: {
                let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x63];
                fs::write("digits.gz", gzip).unwrap();
                Idx::read("digits.gz")
            }
        },
        bad! { "A folder without MNIST's files",
            what: "no file *train-images*idx3-ubyte[.gz]", place: "nothing-here", remedy: "the set's four files belong there",
            code: {
                fs::create_dir("nothing-here").unwrap();
                Mnist::open("nothing-here")
            }
        },
        bad! { "Another number of labels than of images",
            what: "3", place: "train-labels-idx1-ubyte", remedy: "2 images",
            code: {
                mnist_with(&[("train-labels-idx1-ubyte", idx_file(&[3], 3))])
            }
        },
        bad! { "Images where the labels should be",
            what: "of shape [2, 4, 4]", place: "train-labels-idx1-ubyte", remedy: "labels are bytes (type 0x08) along 1 axes",
            code: {
                mnist_with(&[("train-labels-idx1-ubyte", idx_file(&[2, 4, 4], 32))])
            }
        },
        bad! { "Test images of another size",
            what: "5 x 5", place: "t10k-images-idx3-ubyte", remedy: "4 x 4",
            code: {
                mnist_with(&[("t10k-images-idx3-ubyte", idx_file(&[2, 5, 5], 50))])
            }
        },
    ];
    Section {
        title: "IDX and MNIST",
        words: "`idx_file(sizes, count)` makes an IDX file that promises some sizes and holds so many bytes; `mnist_with(files)` opens a folder of MNIST's four \
                files, two images of 4 x 4 each, in which some are others.",
        cases,
    }
}

/// A safetensors file with this header and so many bytes of values.
fn safetensors_file(header: &str, values: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + values, 0);
    file
}

/// An NPY file with this header and so many bytes of values.
fn npy_file(header: &str, values: usize) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.resize(file.len() + values, 0);
    file
}

pub fn arrays() -> Section {
    let cases = vec![
        bad! { "Text where an NPY file should be",
            what: "not an NPY file", place: "x.npy", remedy: "numpy.save writes such files",
            code: {
                fs::write("x.npy", "1.0, 2.0, 3.0").unwrap();
                npy::read("x.npy")
            }
        },
        bad! { "An NPY file of Python objects",
            what: "element type \"|O\" is not supported", place: "x.npy: header at offset 10", remedy: "only <f2, <f4",
            code: {
                fs::write("x.npy", npy_file("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", 24)).unwrap();
                npy::read("x.npy")
            }
        },
        bad! { "An NPY file of big-endian numbers",
            what: "big-endian element type \">f4\" is not supported", place: "x.npy: header at offset 10", remedy: "convert with array.astype(\"<f4\")",
            code: {
                fs::write("x.npy", npy_file("{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }", 12)).unwrap();
                npy::read("x.npy")
            }
        },
        bad! { "An NPY file cut short",
            what: "shape [1000] needs 4000 bytes, 12 follow", place: "at offset 70", remedy: "the file has been cut short",
            code: {
                fs::write("x.npy", npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (1000,), }", 12)).unwrap();
                npy::read("x.npy")
            }
        },
        bad! { "An integer of 64 bits that does not fit in 32",
            what: "72057594037927936 does not fit in 32 bits", place: "element 1 (offset", remedy: "store smaller numbers or real ones",
            code: {
                let mut file = npy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", 16);
                *file.last_mut().unwrap() = 1;
                fs::write("x.npy", file).unwrap();
                npy::read("x.npy")
            }
        },
        bad! { "A safetensors file cut short",
            what: "the header describes 4000 bytes of values, 12 follow it", place: "w.safetensors", remedy: "use an earlier checkpoint or fetch the file again",
            code: {
                let header = r#"{"w": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}"#;
                fs::write("w.safetensors", safetensors_file(header, 12)).unwrap();
                safetensors::load("w.safetensors")
            }
        },
        bad! { "Something else under the name of a safetensors file",
            what: "not a safetensors file, or cut short", place: "w.safetensors", remedy: "fetch the file again",
            code: {
                fs::write("w.safetensors", "PK\x03\x04 this is a zip file").unwrap();
                safetensors::load("w.safetensors")
            }
        },
        bad! { "Two tensors in the same bytes",
            what: "it overlaps the tensor before it", place: "tensor \"b\" starts at byte 4", remedy: "fetch the file again",
            code: {
                let tensor = |start: usize| format!(r#"{{"dtype": "F32", "shape": [2], "data_offsets": [{start}, {}]}}"#, start + 8);
                let header = format!(r#"{{"a": {}, "b": {}}}"#, tensor(0), tensor(4));
                fs::write("w.safetensors", safetensors_file(&header, 12)).unwrap();
                safetensors::load("w.safetensors")
            }
        },
        bad! { "A shape that does not fill its bytes",
            what: "shape [3] of F32 needs 12 bytes", place: "tensor \"w\"", remedy: "\"data_offsets\" are 0 and 8",
            code: {
                let header = r#"{"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}"#;
                fs::write("w.safetensors", safetensors_file(header, 8)).unwrap();
                safetensors::load("w.safetensors")
            }
        },
        bad! { "An element type from the future",
            what: "element type \"F4_E2M1\" is not supported", place: "tensor \"w\"", remedy: "only F16, BF16, F32",
            code: {
                let header = r#"{"w": {"dtype": "F4_E2M1", "shape": [2], "data_offsets": [0, 1]}}"#;
                fs::write("w.safetensors", safetensors_file(header, 1)).unwrap();
                safetensors::load("w.safetensors")
            }
        },
        bad! { "Two tensors of one name to be saved",
            what: "two tensors are called \"w\"", place: "safetensors", remedy: "names must differ",
            code: {
                let w = Array::scalar(1.0f32);
                safetensors::save("w.safetensors", &[("w".into(), w.clone()), ("w".into(), w)], &BTreeMap::new())
            }
        },
        bad! { "A file to be written where there is no folder",
            what: "cannot", place: "no/such/folder", remedy: "the folder has to be there first",
            code: {
                npy::write("no/such/folder/x.npy", &Array::scalar(1.0f32))
            }
        },
    ];
    Section {
        title: "NPY and safetensors",
        words: "`npy_file(header, count)` and `safetensors_file(header, count)` make a file with that header and so many bytes of values. What a header promises is \
                compared with the size of the file before memory is asked for.",
        cases,
    }
}
