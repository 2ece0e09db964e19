//! Well-formed files for fuzzing to begin with, made by noyau's own writers where there are any.

use std::collections::BTreeMap;
use std::io::Write;

use noyau::prelude::*;
use noyau_formats::{npy, npz, safetensors, torch};

type Seeds = Vec<(String, Vec<u8>)>;

/// The seeds of a parser: file names and contents.
pub fn of(parser: &str) -> Seeds {
    match parser {
        "idx" => idx(),
        "csv" => csv(),
        "text" => text(),
        "npy" => npy(),
        "npz" => npz(),
        "safetensors" => safetensors(),
        "torch" => torch(),
        "checkpoint" => checkpoint(),
        "image" => image(),
        #[cfg(feature = "onnx")]
        "onnx" => crate::onnx::seeds(),
        _ => Vec::new(),
    }
}

fn idx() -> Seeds {
    let types = [("u8", 0x08, 1), ("i8", 0x09, 1), ("i16", 0x0b, 2), ("i32", 0x0c, 4), ("f32", 0x0d, 4), ("f64", 0x0e, 8)];
    let mut seeds: Seeds = types
        .iter()
        .map(|&(name, code, size)| {
            let mut bytes = vec![0, 0, code, 2, 0, 0, 0, 2, 0, 0, 0, 3];
            bytes.extend((0..6 * size).map(|i| (i as u8).wrapping_mul(37)));
            (name.to_string(), bytes)
        })
        .collect();
    seeds.push(("scalar".into(), vec![0, 0, 0x08, 0, 7]));
    seeds.push(("empty".into(), vec![0, 0, 0x08, 1, 0, 0, 0, 0]));
    let plain = seeds[3].1.clone();
    seeds.push(("gzip".into(), gzip(&plain)));
    // Two members, as `cat a.gz b.gz` makes them, and a stream that expands a thousandfold.
    let (first, second) = plain.split_at(9);
    seeds.push(("gzip-members".into(), [gzip(first), gzip(second)].concat()));
    let mut zeros = vec![0, 0, 0x08, 1, 0, 0, 0xff, 0xff];
    zeros.resize(8 + 0xffff, 0);
    seeds.push(("gzip-zeros".into(), gzip(&zeros)));
    seeds
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn csv() -> Seeds {
    // The first byte chooses how the table is read: see `parsers::csv`.
    let tables = [
        ("classes", 0, "a,b,y\n1,2,no\n-3.5,4e2,yes\n"),
        ("numbers-as-classes", 0, "y,a\n10,1\n9,2\n10,3\n"),
        ("regression", 1, "a,b,y\n1,2,0.5\n3,4,-1\n"),
        ("semicolons", 2, "\u{feff}a;y\r\n1;x\r\n\r\n2;\"y;\"\"z\"\r\n"),
        ("chosen", 5, "b,c,a,y\n1,text,2,3\n"),
        ("inferred", 16, "size,colour,new,y\n1,red,true,no\n2,blue,false,yes\n"),
        ("skipped", 32, "a,b,y\n1,x,no\n2,3,yes\n4\n"),
        ("missing", 64, "a,b,y\n1,,no\nNA,2,yes\n3,4,no\n"),
        ("texts", 128, "a,b,y\nred,x,no\nblue,y,yes\n"),
        ("all-at-once", 16 + 32 + 64, "a,b,y\nred,1,no\nblue,,yes\nred\nred,oops,no\nNA,4,no\nblue,5,yes\n"),
        ("named", 8, "a,y\n 1 , yes \n2,no\n"),
    ];
    tables.iter().map(|&(name, options, text)| (name.to_string(), [&[options], text.as_bytes()].concat())).collect()
}

fn text() -> Seeds {
    let texts: [(&str, u8, &[u8]); 5] = [
        ("characters", 0, "To be, or not\nà être.\n".as_bytes()),
        ("bytes", 1, b"any\xffthing\0"),
        ("like", 2, "abc dé\n".as_bytes()),
        ("skipped", 0x81, b"good\nb\xffd\ngood\n"),
        ("like-skipped", 0x80, "abc\nxyz\n".as_bytes()),
    ];
    texts.iter().map(|&(name, options, text)| (name.to_string(), [&[options], text].concat())).collect()
}

fn arrays() -> Vec<(String, Array)> {
    let counted = Array::new([2, 3], &[1f32, -2.5, 0.0, f32::NAN, f32::INFINITY, 1e-40]).unwrap();
    let types = [DType::F32, DType::F16, DType::BF16, DType::I32, DType::U32, DType::Bool];
    let mut arrays: Vec<_> = types.iter().map(|&dtype| (dtype.to_string(), counted.to(dtype))).collect();
    arrays.push(("scalar".into(), Array::scalar(7i32)));
    arrays.push(("empty".into(), Array::full([0, 3], Scalar::Float(0.0))));
    arrays
}

fn npy() -> Seeds {
    let mut seeds: Seeds = arrays().iter().map(|(name, array)| (name.clone(), npy::to_bytes(array).unwrap())).collect();
    // What NumPy writes and we do not: other element types, Fortran's order, the later versions.
    for (name, version, text, values) in [
        ("i8", 1, "{'descr': '|i1', 'fortran_order': False, 'shape': (4,), }\n", 4),
        ("i64", 2, "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 1), }\n", 16),
        ("u64", 3, "{'descr': '<u8', 'fortran_order': False, 'shape': (1, 2), }\n", 16),
        ("f64-fortran", 1, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }\n", 48),
    ] {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        let len = (text.len() as u32).to_le_bytes();
        bytes.extend(if version == 1 { &len[..2] } else { &len[..] });
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len() + values, 0);
        seeds.push((name.into(), bytes));
    }
    seeds
}

fn npz() -> Seeds {
    let mut seeds: Seeds = vec![
        ("all-types".into(), npz::to_bytes(&arrays()).unwrap()),
        ("one".into(), npz::to_bytes(&arrays()[..1]).unwrap()),
        ("nothing".into(), npz::to_bytes(&[]).unwrap()),
    ];
    // What NumPy writes and we do not: deflated, sizes of 64 bits.
    seeds.push(("compressed".into(), include_bytes!("../../crates/formats/src/npz/compressed.npz").to_vec()));
    let fortran = npy().pop().unwrap().1;
    seeds.push(("deflated".into(), deflated("x.npy", &fortran)));
    seeds
}

/// A ZIP archive of one deflated file.
fn deflated(name: &str, content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    let packed = encoder.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let mut common = Vec::new();
    [20u16, 0, 8, 0, 33].iter().for_each(|two| common.extend(two.to_le_bytes()));
    [crc.sum(), packed.len() as u32, content.len() as u32].iter().for_each(|four| common.extend(four.to_le_bytes()));
    [name.len() as u16, 0].iter().for_each(|two| common.extend(two.to_le_bytes()));
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat();
    let list = [b"PK\x01\x02\x14\0", &common[..], &[0; 14], name.as_bytes()].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    [list.len() as u32, local.len() as u32].iter().for_each(|four| end.extend(four.to_le_bytes()));
    end.extend([0; 2]);
    [local, list, end].concat()
}

fn torch() -> Seeds {
    let named = |name: &str| (name.to_string(), arrays()[0].1.clone());
    let tensors =
        [named("0.weight"), named("1.running_mean"), named("running_mean"), ("2.num_batches_tracked".into(), Array::scalar(3.0f32))];
    let safe = safetensors::to_bytes(&tensors, &BTreeMap::new()).unwrap();
    vec![("model".into(), safe), ("written".into(), torch::to_bytes(&tensors).unwrap())]
}

/// A training in its second epoch of three, and its description alone, for a file without values.
fn checkpoint() -> Seeds {
    let folder = tempfile::tempdir().unwrap();
    let x: Vec<f32> = (0..60).map(|i| (i as f32 * 0.7).sin()).collect();
    let y: Vec<u32> = (0..30).map(|i| i % 3).collect();
    let data = Dataset::new(&Array::new([30, 2], &x).unwrap(), &Array::new([30], &y).unwrap()).unwrap();
    let mut trainer = Trainer::new(Device::cpu(), Sequential::new().then(Linear::new(2, 3))).seed(1);
    let checkpoints = Checkpoints::new(folder.path()).every_steps(7).configuration("a network");
    trainer.fit(&data, Fit::epochs(3).batch_size(8).callback(EarlyStopping::new("train_loss")).checkpoint(checkpoints)).unwrap();
    let first = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let file = std::fs::read(first).unwrap();
    let text = safetensors::from_bytes("f", &file).unwrap().metadata["checkpoint"].clone();
    // The checksum of no values at all.
    let at = text.find("\"checksum\":\"").unwrap() + 12;
    let alone = format!("{}cbf29ce484222325{}", &text[..at], &text[at + 16..]);
    vec![("whole".into(), [&[0], &file[..]].concat()), ("description".into(), [&[1], alone.as_bytes()].concat())]
}

/// Made by PIL: `fuzz/seeds/image` holds them.
fn image() -> Seeds {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/image");
    let mut names: Vec<String> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

fn safetensors() -> Seeds {
    let metadata: BTreeMap<String, String> = [("format".to_string(), "pt".to_string()), ("rng.step".into(), "42".into())].into();
    let mut seeds: Seeds = vec![
        ("all-types".into(), safetensors::to_bytes(&arrays(), &metadata).unwrap()),
        ("one".into(), safetensors::to_bytes(&arrays()[..1], &BTreeMap::new()).unwrap()),
        ("nothing".into(), safetensors::to_bytes(&[], &BTreeMap::new()).unwrap()),
    ];
    // Types that we read and do not write.
    for (dtype, size) in [("F64", 8), ("I8", 1), ("I16", 2), ("I64", 8), ("U8", 1), ("U16", 2), ("U64", 8)] {
        let header = format!(r#"{{"t":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{}]}}}}"#, 2 * size);
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + 2 * size, 0);
        seeds.push((dtype.to_lowercase(), bytes));
    }
    seeds
}
