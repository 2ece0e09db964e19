use super::*;

fn file(header: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{header}\n");
    [&MAGIC[..], &[1, 0], &(text.len() as u16).to_le_bytes(), text.as_bytes(), values].concat()
}

fn message(bytes: &[u8]) -> String {
    let error = from_bytes("x.npy", bytes).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    error.to_string()
}

fn samples() -> Vec<Array> {
    vec![
        Array::new([2, 3], &[1f32, -2.5, 0.0, f32::MIN_POSITIVE, 1e30, 6.0]).unwrap(),
        Array::new([4], &[i32::MIN, -1, 0, i32::MAX]).unwrap(),
        Array::new([2, 1, 1], &[0u32, u32::MAX]).unwrap(),
        Array::new([3], &[true, false, true]).unwrap(),
        Array::scalar(2.5f32),
        Array::new::<f32>([3, 0], &[]).unwrap(),
    ]
}

#[test]
fn round_trips() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    for array in samples() {
        let bytes = to_bytes(&array).unwrap();
        assert_eq!((bytes.len() - array.len() * Stored::of(array.dtype()).size()) % 64, 0);
        assert_eq!(from_bytes("x.npy", &bytes).unwrap(), array);
        write(&path, &array).unwrap();
        assert_eq!(read(&path).unwrap(), array);
    }
    assert!(matches!(read(folder.path().join("none")), Err(Error::Io { .. })));
}

#[test]
fn our_bytes_are_numpys() {
    // numpy.save of numpy.array([1, 2], dtype='<i4')
    let mut expected = b"\x93NUMPY\x01\x00v\x00{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }".to_vec();
    expected.resize(127, b' ');
    expected.extend(b"\n\x01\0\0\0\x02\0\0\0");
    assert_eq!(to_bytes(&Array::new([2], &[1i32, 2]).unwrap()).unwrap(), expected);
}

#[test]
fn cut_at_every_byte_and_bytes_left_over() {
    for array in samples() {
        let bytes = to_bytes(&array).unwrap();
        for len in 0..bytes.len() {
            message(&bytes[..len]);
        }
        assert!(message(&[&bytes[..], &[0]].concat()).contains("left over"));
    }
}

#[test]
fn any_flipped_bit_is_read_or_refused() {
    let bytes = to_bytes(&samples()[0]).unwrap();
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1 << bit;
            let _ = from_bytes("x.npy", &damaged);
        }
    }
}

#[test]
fn other_types_orders_and_versions() {
    let values: Vec<u8> = [1f64, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let fortran = file("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }", &values);
    assert_eq!(from_bytes("x", &fortran).unwrap(), Array::new([2, 3], &[1f32, 3.0, 5.0, 2.0, 4.0, 6.0]).unwrap());
    let cube: Vec<u8> = (0..24).collect();
    let cube = file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4)}", &cube);
    let cube = from_bytes("x", &cube).unwrap().to_vec::<u32>().unwrap();
    for (i, j, k) in [(0, 0, 0), (1, 2, 3), (1, 0, 2), (0, 2, 1)] {
        assert_eq!(cube[i * 12 + j * 4 + k] as usize, i + 2 * j + 6 * k);
    }
    // Other spacing, quotes and order of keys, and Python 2's long integers.
    let odd = file("{ \"shape\":(1L,2L) ,\"descr\":\"|u1\",\"fortran_order\":False }", &[3, 200]);
    assert_eq!(from_bytes("x", &odd).unwrap(), Array::new([1, 2], &[3u32, 200]).unwrap());
    let mut second = b"\x93NUMPY\x02\x00".to_vec();
    let text = "{'descr': '<i8', 'fortran_order': False, 'shape': ()}";
    second.extend((text.len() as u32).to_le_bytes());
    second.extend(text.bytes());
    second.extend((-9i64).to_le_bytes());
    assert_eq!(from_bytes("x", &second).unwrap(), Array::scalar(-9i32));
}

#[test]
fn damaged_headers() {
    for (header, expected) in [
        ("", "'{' expected"),
        ("{", "text expected"),
        ("{}", "no 'descr'"),
        ("{'descr': '<f4', 'shape': (1,)}", "no 'fortran_order'"),
        ("{'descr': '<f4', 'fortran_order': False}", "no 'shape'"),
        ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", "True or False"),
        ("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", "astype(\"<f4\")"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "\"|O\" is not supported"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "records"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "a size expected"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "a size expected"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 9)}", "too large"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296,)}", "cut short"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} more", "behind the dictionary"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", "key \"x\""),
        ("{'descr", "without an end"),
    ] {
        let message = message(&file(header, &[0; 4]));
        assert!(message.contains(expected), "{header}: {message}");
    }
    assert!(message(b"PK\x03\x04 a zip file").contains("not an NPY file"));
    assert!(message(b"\x93NUMPY\x09\x00\x00\x00").contains("version 9"));
}
