//! Well-formed files for fuzzing to begin with, made by noyau's own writers where there are any.

use std::collections::BTreeMap;
use std::io::Write;

use noyau_formats::{npy, safetensors};
use noyau_tensor::{Array, DType, Scalar};

type Seeds = Vec<(String, Vec<u8>)>;

/// The seeds of a parser: file names and contents.
pub fn of(parser: &str) -> Seeds {
    match parser {
        "idx" => idx(),
        "csv" => csv(),
        "npy" => npy(),
        "safetensors" => safetensors(),
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
        ("named", 8, "a,y\n 1 , yes \n2,no\n"),
    ];
    tables.iter().map(|&(name, options, text)| (name.to_string(), [&[options], text.as_bytes()].concat())).collect()
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
