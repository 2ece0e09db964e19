use super::*;
use noyau_tensor::{DType, bf16, f16};

use ::safetensors::tensor::{Dtype, SafeTensors, TensorView};

fn sample() -> (Vec<(String, Array)>, BTreeMap<String, String>) {
    let tensors = vec![
        ("mask".to_string(), Array::new([3], &[true, false, true]).unwrap()),
        ("net.0.weight".to_string(), Array::new([2, 3], &[1.5f32, -0.0, f32::MAX, 1e-42, f32::NEG_INFINITY, 6.0]).unwrap()),
        ("step".to_string(), Array::scalar(7u32)),
        ("halves".to_string(), Array::new([3], &[f16::from_f32(-0.1), f16::MIN_POSITIVE_SUBNORMAL, f16::MAX]).unwrap()),
        ("brains".to_string(), Array::new([1, 2], &[bf16::from_f32(3e38), bf16::NEG_INFINITY]).unwrap()),
        ("nothing".to_string(), Array::new::<f32>([0, 4], &[]).unwrap()),
        ("a \"name\" \u{e9}\n".to_string(), Array::new([2], &[i32::MIN, -1]).unwrap()),
    ];
    let metadata = [("epoch", "3"), ("note", "line\nbreak \"quoted\"")].map(|(k, v)| (k.to_string(), v.to_string()));
    (tensors, metadata.into())
}

fn with_header(header: &str, values: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), values].concat()
}

fn message(bytes: &[u8]) -> String {
    let error = from_bytes("model.safetensors", bytes).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.starts_with("model.safetensors: "), "{message}");
    message
}

#[test]
fn round_trip_through_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (tensors, metadata) = sample();
    save(&path, &tensors, &metadata).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.metadata, metadata);
    assert_eq!(loaded.tensors, tensors.iter().cloned().collect());
    assert_eq!(std::fs::read(&path).unwrap(), to_bytes(&tensors, &metadata).unwrap());
}

#[test]
fn order_does_not_change_the_bytes_and_empty_is_a_file() {
    let (mut tensors, metadata) = sample();
    let bytes = to_bytes(&tensors, &metadata).unwrap();
    tensors.reverse();
    assert_eq!(to_bytes(&tensors, &metadata).unwrap(), bytes);
    let empty = to_bytes(&[], &BTreeMap::new()).unwrap();
    assert_eq!(from_bytes("f", &empty).unwrap(), Loaded::default());
}

#[test]
fn the_reference_library_reads_our_files() {
    let (tensors, metadata) = sample();
    let bytes = to_bytes(&tensors, &metadata).unwrap();
    let theirs = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.len(), tensors.len());
    for (name, array) in &tensors {
        let view = theirs.tensor(name).unwrap();
        assert_eq!(view.shape(), &array.shape()[..]);
        assert_eq!(view.dtype() == Dtype::BOOL, array.dtype() == DType::Bool);
        let mut values = Vec::new();
        write_array(array, &mut values).unwrap();
        assert_eq!(view.data(), values);
    }
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().clone().unwrap().into_iter().collect::<BTreeMap<_, _>>(), metadata);
}

#[test]
fn we_read_the_reference_librarys_files() {
    let doubles: Vec<u8> = [0.5f64, -3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let longs: Vec<u8> = [-5i64, 9].iter().flat_map(|v| v.to_le_bytes()).collect();
    let views = [
        ("d", TensorView::new(Dtype::F64, vec![2], &doubles).unwrap()),
        ("l", TensorView::new(Dtype::I64, vec![2, 1], &longs).unwrap()),
        ("h", TensorView::new(Dtype::F16, vec![1], &[0x00, 0x3c]).unwrap()),
        ("b", TensorView::new(Dtype::BF16, vec![1], &[0x80, 0x3f]).unwrap()),
        ("u", TensorView::new(Dtype::U8, vec![3], &[0, 7, 255]).unwrap()),
        ("t", TensorView::new(Dtype::BOOL, vec![2], &[1, 0]).unwrap()),
    ];
    let bytes = ::safetensors::serialize(views, None).unwrap();
    let loaded = from_bytes("f", &bytes).unwrap();
    assert_eq!(loaded.tensors["d"], Array::new([2], &[0.5f32, -3.0]).unwrap());
    assert_eq!(loaded.tensors["l"], Array::new([2, 1], &[-5i32, 9]).unwrap());
    assert_eq!(loaded.tensors["h"], Array::new([1], &[f16::ONE]).unwrap());
    assert_eq!(loaded.tensors["b"], Array::new([1], &[bf16::ONE]).unwrap());
    assert_eq!(loaded.tensors["u"], Array::new([3], &[0u32, 7, 255]).unwrap());
    assert_eq!(loaded.tensors["t"], Array::new([2], &[true, false]).unwrap());
}

#[test]
fn cut_at_every_byte() {
    let (tensors, metadata) = sample();
    let bytes = to_bytes(&tensors, &metadata).unwrap();
    for len in 0..bytes.len() {
        message(&bytes[..len]);
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(message(&longer).contains("left over"));
}

#[test]
fn a_file_that_was_cut_short_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.safetensors");
    let (tensors, metadata) = sample();
    let bytes = to_bytes(&tensors, &metadata).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let message = load(&path).unwrap_err().to_string();
    assert!(message.contains("cut.safetensors") && message.contains("cut short") && message.contains("earlier checkpoint"), "{message}");
    assert!(matches!(load(folder.path().join("none")), Err(Error::Io { .. })));
    assert!(load(folder.path()).is_err());
}

#[test]
fn any_flipped_bit_is_read_or_refused() {
    let (tensors, metadata) = sample();
    let bytes = to_bytes(&tensors, &metadata).unwrap();
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1 << bit;
            // Values carry no checksum, so some damage reads well; none may panic.
            let _ = from_bytes("f", &damaged);
        }
    }
}

#[test]
fn damaged_headers() {
    let mut huge = with_header("{}", &[]);
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(message(&huge).contains("promise a header of 18446744073709551615 bytes, 2 bytes follow"));
    let entry = |dtype: &str, shape: &str, offsets: &str| format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#);
    let one = |dtype: &str, shape: &str, offsets: &str| format!(r#"{{"t":{}}}"#, entry(dtype, shape, offsets));
    let two = |a: &str, b: &str| format!(r#"{{"a":{},"b":{}}}"#, entry("F32", "[2]", a), entry("F32", "[2]", b));
    for (header, expected) in [
        ("garbage!".to_string(), "not JSON"),
        ("[]".to_string(), "object"),
        ("[".repeat(10_000), "not JSON"),
        (r#"{"t":5}"#.to_string(), "no text \"dtype\""),
        (r#"{"__metadata__":{"k":1}}"#.to_string(), "only text"),
        (r#"{"__metadata__":1}"#.to_string(), "not a JSON object"),
        (one("F4", "[4]", "[0,16]"), "\"F4\" is not supported"),
        (one("F32", "[4]", "[0,12]"), "needs 16 bytes"),
        (one("F32", "[4]", "[16,0]"), "needs 16 bytes"),
        (one("F32", "[4]", "[0]"), "not a pair"),
        (one("F32", "[-4]", "[0,16]"), "-4 in \"shape\" is not a size"),
        (one("F32", "[4294967296,4294967296,4294967296]", "[0,16]"), "too large"),
        (one("F32", "[4294967296,4294967296,0]", "[0,0]"), "too large"),
        (one("F32", "[4]", "[16,32]"), "leaves a gap"),
        (one("F32", "[4294967296]", "[0,17179869184]"), "cut short"),
        (two("[0,8]", "[4,12]"), "overlaps"),
        (two("[0,8]", "[0,8]"), "overlaps"),
        (two("[0,8]", "[12,20]"), "gap"),
    ] {
        let message = message(&with_header(&header, &[0; 16]));
        assert!(message.contains(expected), "{header}: {message}");
    }
    let mut not_text = with_header(r#"{"t":5}"#, &[]);
    not_text[10] = 0xff;
    message(&not_text);
}

#[test]
fn names_must_differ() {
    let twice = vec![("w".to_string(), Array::scalar(1f32)), ("w".to_string(), Array::scalar(2f32))];
    assert!(to_bytes(&twice, &BTreeMap::new()).unwrap_err().to_string().contains("\"w\""));
    let reserved = vec![(METADATA.to_string(), Array::scalar(1f32))];
    assert!(to_bytes(&reserved, &BTreeMap::new()).is_err());
}
