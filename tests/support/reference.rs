//! Numbers that PyTorch computed in f64, read from safetensors as they are: noyau's own reader would round them to f32.

use std::collections::BTreeMap;
use std::path::Path;

use noyau::cpu::Values;
use noyau::{Array, DType, Shape};
use serde::Deserialize;

/// A tensor of a reference file.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// As safetensors calls it: `F64`.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, exactly.
    pub data: Vec<f64>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// All tensors of a file, by name.
#[track_caller]
pub fn open(path: impl AsRef<Path>) -> BTreeMap<String, Stored> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (length, rest) = bytes.split_first_chunk::<8>().expect("the length of the header");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).expect("the header is JSON");
    let entries = header.into_iter().filter(|(name, _)| name != "__metadata__");
    entries.map(|(name, entry)| (name, stored(serde_json::from_value(entry).expect("a tensor's entry"), data))).collect()
}

fn stored(entry: Entry, data: &[u8]) -> Stored {
    let bytes = &data[entry.data_offsets[0]..entry.data_offsets[1]];
    let data = match &*entry.dtype {
        "F64" => bytes.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        "F32" => bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect(),
        "I32" => bytes.as_chunks::<4>().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
        "U32" => bytes.as_chunks::<4>().0.iter().map(|&b| u32::from_le_bytes(b).into()).collect(),
        "BOOL" => bytes.iter().map(|&b| b.into()).collect(),
        other => panic!("a reference file has no {other}"),
    };
    Stored { dtype: entry.dtype, shape: entry.shape, data }
}

impl Stored {
    /// As what is expected of a device.
    pub fn values(&self, dtype: DType) -> Values {
        Values { shape: Shape::from(self.shape.clone()), dtype, data: self.data.clone() }
    }

    /// As an array of f32, which must hold the values exactly.
    #[track_caller]
    pub fn array(&self) -> Array {
        let values: Vec<f32> = self.data.iter().map(|&v| v as f32).collect();
        assert!(values.iter().zip(&self.data).all(|(&a, &b)| f64::from(a) == b), "the values are not f32 numbers");
        Array::new(self.shape.clone(), &values).expect("as many values as the shape has")
    }

    /// The first element of `found` that is further than `bound` from this, in proportion to the greater of itself and the largest of all.
    pub fn fault(&self, found: &Values, bound: f64) -> Option<String> {
        if found.shape[..] != self.shape[..] {
            return Some(format!("is {}, not {:?}", found.shape, self.shape));
        }
        let scale = self.data.iter().filter(|x| x.is_finite()).fold(0.0f64, |scale, x| scale.max(x.abs()));
        self.data.iter().zip(&found.data).enumerate().find_map(|(i, (&want, &got))| {
            let fits = want == got || (want.is_nan() && got.is_nan()) || (want - got).abs() <= bound * scale;
            (!fits).then(|| {
                format!(
                    "element {i} of {:?} is {got:e}, not {want:e}: off by {:.1e} of {scale:.1e}",
                    self.shape,
                    (want - got).abs() / scale
                )
            })
        })
    }
}
