//! What is written is what is read, for every element type, every shape (axes of size 0 and scalars among them) and every bit pattern.

use std::collections::BTreeMap;

use noyau_formats::{npy, npz, safetensors, torch};
use noyau_tensor::{Array, DType, Element, Shape, bf16, f16};
use proptest::prelude::*;

const TYPES: [DType; 6] = [DType::F32, DType::F16, DType::BF16, DType::I32, DType::U32, DType::Bool];

/// Any bits as an element's word, NaNs of every kind among them.
fn word(dtype: DType, bits: u32) -> u32 {
    match dtype {
        DType::F32 | DType::I32 | DType::U32 => bits,
        DType::F16 => f16::from_bits(bits as u16).to_word(),
        DType::BF16 => bf16::from_bits(bits as u16).to_word(),
        DType::Bool => bits & 1,
    }
}

fn array() -> impl Strategy<Value = Array> {
    let shape = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(0usize..4, 1..5),
        prop::collection::vec(1usize..4, 1..5),
        // Longer than what is converted at a time.
        (9_000usize..40_000).prop_map(|n| vec![n]),
    ];
    (prop::sample::select(&TYPES), shape, any::<u32>()).prop_map(|(dtype, shape, seed)| {
        let shape = Shape::from(shape);
        // A generator of Marsaglia's kind (xorshift, 2003): bits enough, and failing cases shrink by their shape.
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        let words = (0..shape.numel()).map(|_| word(dtype, next())).collect();
        Array::from_words(shape, dtype, words).unwrap()
    })
}

/// Arrays by names that differ, of any characters.
fn named() -> impl Strategy<Value = Vec<(String, Array)>> {
    let name = prop_oneof![any::<String>(), "[ab./]{1,3}(\\.npy)?", Just("n.running_mean".to_string())];
    prop::collection::btree_map(name.prop_filter("it has characters", |name| !name.is_empty()), array(), 0..5)
        .prop_map(|map| map.into_iter().collect())
}

/// As NumPy has it, which knows no bf16.
fn widened(array: &Array) -> Array {
    if array.dtype() == DType::BF16 { array.to(DType::F32) } else { array.clone() }
}

/// The same type, shape and bits: NaNs are equal if their bits are.
#[track_caller]
fn same(found: &Array, wanted: &Array) {
    assert_eq!((found.dtype(), found.shape()), (wanted.dtype(), wanted.shape()));
    assert!(found.words() == wanted.words(), "other bits");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn npy_comes_back(array in array()) {
        let bytes = npy::to_bytes(&array).unwrap();
        same(&npy::from_bytes("f", &bytes).unwrap(), &widened(&array));
    }

    #[test]
    fn npz_comes_back(arrays in named()) {
        let bytes = npz::to_bytes(&arrays).unwrap();
        let found = npz::from_bytes("f", &bytes).unwrap();
        prop_assert_eq!(found.len(), arrays.len());
        let archive = npz::Npz::from_bytes("f", bytes).unwrap();
        for ((name, array), (wanted_name, wanted)) in found.iter().zip(&arrays) {
            prop_assert_eq!(name, wanted_name);
            same(array, &widened(wanted));
            same(&archive.array(name).unwrap(), &widened(wanted));
        }
    }

    #[test]
    fn safetensors_come_back(arrays in named(), metadata in prop::collection::btree_map(any::<String>(), any::<String>(), 0..4)) {
        let bytes = safetensors::to_bytes(&arrays, &metadata).unwrap();
        let found = safetensors::from_bytes("f", &bytes).unwrap();
        prop_assert_eq!(&found.metadata, &metadata);
        prop_assert_eq!(found.tensors.len(), arrays.len());
        for (name, array) in &arrays {
            same(&found.tensors[name], array);
        }
        // The reference reads the same bytes of each.
        let reference = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for (name, array) in &arrays {
            let view = reference.tensor(name).unwrap();
            prop_assert_eq!(view.shape(), &array.shape()[..]);
            let one = safetensors::to_bytes(&[(name.clone(), array.clone())], &BTreeMap::new()).unwrap();
            prop_assert!(one.ends_with(view.data()));
        }
    }

    #[test]
    fn files_for_pytorch_come_back(arrays in named()) {
        let found = safetensors::from_bytes("f", &torch::to_bytes(&arrays).unwrap()).unwrap();
        for (name, array) in &arrays {
            same(&found.tensors[name], array);
        }
        let counters = found.tensors.keys().filter(|name| torch::is_counter(name)).count();
        prop_assert_eq!(found.tensors.len(), arrays.len() + counters);
    }
}
