use std::io::Write;

use super::*;

/// An IDX file.
pub(crate) fn idx(code: u8, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|s| s.to_be_bytes()));
    bytes.extend(values);
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn message(bytes: &[u8]) -> String {
    let error = Idx::from_bytes("images", bytes).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.starts_with("images: "), "{message}");
    message
}

#[test]
fn every_type_and_rank_plain_and_compressed() {
    for (bytes, shape, values) in [
        (idx(0x08, &[2, 1, 2], &[0, 7, 128, 255]), vec![2, 1, 2], vec![0.0, 7.0, 128.0, 255.0]),
        (idx(0x09, &[2], &[0x80, 0x7f]), vec![2], vec![-128.0, 127.0]),
        (idx(0x0b, &[1, 1], &(-300i16).to_be_bytes()), vec![1, 1], vec![-300.0]),
        (idx(0x0c, &[1], &70_000i32.to_be_bytes()), vec![1], vec![70_000.0]),
        (idx(0x0d, &[1], &1.5f32.to_be_bytes()), vec![1], vec![1.5]),
        (idx(0x0e, &[1], &(-0.25f64).to_be_bytes()), vec![1], vec![-0.25]),
        (idx(0x08, &[], &[9]), vec![], vec![9.0]),
        (idx(0x08, &[0, 28, 28], &[]), vec![0, 28, 28], vec![]),
    ] {
        for bytes in [bytes.clone(), gzip(&bytes)] {
            let idx = Idx::from_bytes("f", &bytes).unwrap();
            assert_eq!(idx.shape(), shape);
            let array = idx.to_array().unwrap();
            assert_eq!(array.shape().to_vec(), shape);
            assert_eq!(array.to_f64(), values);
        }
    }
}

#[test]
fn the_name_does_not_decide_about_compression() {
    let folder = tempfile::tempdir().unwrap();
    let plain = idx(0x08, &[3], &[1, 2, 3]);
    for (name, bytes) in [("plain.gz", plain.clone()), ("compressed", gzip(&plain))] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(*Idx::read(&path).unwrap().values(), IdxValues::U8(vec![1, 2, 3]));
    }
    assert!(matches!(Idx::read(folder.path().join("none")), Err(Error::Io { .. })));
    assert!(Idx::read(folder.path()).is_err());
}

#[test]
fn truncated_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images");
    let plain = idx(0x0b, &[2, 3], &[5; 12]);
    let compressed = gzip(&plain);
    for bytes in [&plain, &compressed] {
        for len in 0..bytes.len() {
            message(&bytes[..len]);
            std::fs::write(&path, &bytes[..len]).unwrap();
            let error = Idx::read(&path).unwrap_err();
            assert!(matches!(&error, Error::Data { .. }) && error.to_string().contains("images"), "{error}");
        }
    }
    assert!(message(&plain[..20]).contains("promises 12 bytes of values (2 x 3) from offset 12, but the file has 20 bytes"));
    assert!(message(&plain[..6]).contains("axis 0 of 2 should end at offset 8, but the content ends at 6"));
    assert!(message(&compressed[..compressed.len() - 9]).contains("cut short"));
    // The content inside is short, the gzip stream is whole.
    assert!(message(&gzip(&plain[..20])).contains("end at offset 24, but the content ends at 20"));
}

#[test]
fn bytes_left_over() {
    let mut plain = idx(0x08, &[2], &[1, 2]);
    let mut compressed = gzip(&plain);
    plain.push(0);
    assert!(message(&plain).contains("(2) end at offset 10, but more bytes follow"));
    assert!(message(&gzip(&plain)).contains("more bytes follow"));
    compressed.extend(b"garbage behind the stream");
    assert!(message(&compressed).contains("damaged"));
}

#[test]
fn wrong_magic_and_type() {
    assert!(message(b"\x89PNG\r\n\x1a\n").contains("found 89 50 4e 47"));
    assert!(message(&idx(0x0a, &[1], &[1])).contains("element type 0x0a at offset 2"));
    assert!(message(b"").contains("the content ends at 0"));
}

#[test]
fn a_header_that_promises_too_much_is_refused_before_memory_is_asked_for() {
    let huge = idx(0x08, &[u32::MAX], &[1, 2, 3]);
    assert!(message(&huge).contains("promises 4294967295 bytes"));
    assert!(message(&gzip(&huge)).contains("cannot decompress to that"));
    let beyond = idx(0x0e, &[u32::MAX; 255], &[0; 8]);
    assert!(message(&beyond).contains("more than any memory holds"));
    assert!(message(&gzip(&beyond)).contains("more than any memory holds"));
    assert!(message(&idx(0x08, &[u32::MAX, u32::MAX, u32::MAX, 0], &[])).contains("more than any memory holds"));
}

#[test]
fn a_gzip_bomb_stops_at_what_the_header_promises() {
    let bomb = gzip(&idx(0x08, &[16], &vec![0; 64 << 20]));
    assert!(bomb.len() < 1 << 20);
    assert!(message(&bomb).contains("more bytes follow"));
}

#[test]
fn a_flipped_bit_in_a_compressed_file_is_found() {
    let compressed = gzip(&idx(0x08, &[64], &(0..64).collect::<Vec<_>>()));
    let whole = Idx::from_bytes("f", &compressed).unwrap();
    for i in 0..compressed.len() {
        let mut damaged = compressed.clone();
        damaged[i] ^= 0x10;
        // The gzip header holds bytes that mean nothing (time, system): damage there may be read, but never differently.
        if let Ok(idx) = Idx::from_bytes("f", &damaged) {
            assert_eq!(idx, whole, "byte {i}");
        }
    }
}

#[test]
fn concatenated_gzip_streams_are_one_file() {
    let plain = idx(0x08, &[4], &[1, 2, 3, 4]);
    let both = [gzip(&plain[..6]), gzip(&plain[6..])].concat();
    assert_eq!(*Idx::from_bytes("f", &both).unwrap().values(), IdxValues::U8(vec![1, 2, 3, 4]));
}
