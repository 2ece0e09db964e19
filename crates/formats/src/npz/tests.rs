use noyau_tensor::DType;

use super::*;

fn arrays() -> Vec<(String, Array)> {
    vec![
        ("x".into(), Array::new([2, 3], &[1f32, -2.5, 0.0, 1e-30, 1e30, 6.0]).unwrap()),
        ("labels é".into(), Array::new([2], &[7u32, 0]).unwrap()),
        ("none".into(), Array::new::<f32>([3, 0], &[]).unwrap()),
    ]
}

fn message(bytes: &[u8]) -> String {
    let error = from_bytes("a.npz", bytes).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    error.to_string()
}

/// `numpy.savez_compressed(a=numpy.arange(100, dtype='u1') % 3, b=numpy.array([1, 2], dtype='i8'))`: deflated, sizes of 64 bits in local headers.
const COMPRESSED: &[u8] = include_bytes!("compressed.npz");

#[test]
fn round_trips() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    write(&path, &arrays()).unwrap();
    assert_eq!(read(&path).unwrap(), arrays());
    assert_eq!(std::fs::read(&path).unwrap(), to_bytes(&arrays()).unwrap());
    assert_eq!(from_bytes("a", &to_bytes(&[]).unwrap()).unwrap(), []);
    assert!(matches!(read(folder.path().join("no")), Err(Error::Io { .. })));
}

#[test]
fn numpys_compressed_archives() {
    let npz = Npz::from_bytes("c.npz", COMPRESSED).unwrap();
    assert_eq!(npz.names().collect::<Vec<_>>(), ["a", "b"]);
    let (shape, bytes) = npz.bytes("a").unwrap().unwrap();
    assert_eq!((&shape[..], bytes), (&[100][..], (0..100).map(|i| i % 3).collect()));
    assert_eq!(npz.array("a").unwrap().dtype(), DType::U32);
    assert_eq!(npz.bytes("b").unwrap(), None);
    assert_eq!(npz.array("b").unwrap().to_f64(), [1.0, 2.0]);
    let missing = npz.array("z").unwrap_err().to_string();
    assert!(missing.contains("there is no array \"z\"; it has a, b"), "{missing}");
}

/// Nothing of it may panic, and nothing may pass unnoticed but what is not read: dates, versions, comments.
#[test]
fn cut_and_changed_at_every_byte() {
    for good in [to_bytes(&arrays()).unwrap(), COMPRESSED.to_vec()] {
        let whole = from_bytes("a", &good).unwrap();
        for end in 0..good.len() {
            message(&good[..end]);
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x5a;
            if let Ok(found) = from_bytes("a", &bad) {
                let values = |all: &[(String, Array)]| all.iter().map(|(_, a)| a.clone()).collect::<Vec<_>>();
                assert!(found.is_empty() || values(&found) == values(&whole), "byte {at} changed values unnoticed");
            }
        }
    }
    assert!(message(b"").contains("not a ZIP archive"));
}

#[test]
fn promises_are_checked_before_memory_is_asked_for() {
    // The second size of the only entry in the list says 4 GiB less 2 bytes.
    let mut bytes = to_bytes(&arrays()[..1]).unwrap();
    let list = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[list + 10] = 8;
    bytes[list + 24..list + 28].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    assert!(message(&bytes).contains("cannot decompress to the 4294967294 promised"), "{}", message(&bytes));
    bytes[list + 20..list + 24].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    assert!(message(&bytes).contains("the entries up to x.npy take 4294967324 bytes"), "{}", message(&bytes));
    // Two entries that are the same bytes of the file.
    let one = to_bytes(&arrays()[..1]).unwrap();
    let mut twice = one[..list].to_vec();
    (0..2).for_each(|_| twice.extend(&one[list..one.len() - 22]));
    twice.extend(&one[one.len() - 22..]);
    let end = twice.len() - 22;
    twice[end + 10] = 2;
    assert!(message(&twice).contains("list of the archive's content is damaged"), "{}", message(&twice));
}

#[test]
fn a_name_that_leads_out_of_the_archive_is_only_a_name() {
    let mut bytes = to_bytes(&[("/etc/x".into(), arrays()[0].1.clone())]).unwrap();
    assert_eq!(from_bytes("a.npz", &bytes).unwrap()[0].0, "/etc/x");
    let header = bytes.windows(5).position(|w| w == b"descr").unwrap();
    bytes[header] = b'D';
    let (list, crc) = (bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap(), {
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[30 + "/etc/x.npy".len()..][..128 + 24]);
        crc.sum()
    });
    bytes[list + 16..list + 20].copy_from_slice(&crc.to_le_bytes());
    assert!(message(&bytes).starts_with("a.npz//etc/x: header"), "{}", message(&bytes));
}

#[test]
fn what_is_not_read_or_written() {
    let mut bytes = to_bytes(&arrays()[..1]).unwrap();
    let list = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[list + 10] = 12;
    assert!(message(&bytes).contains("x.npy: it is packed by method 12; only 0 (stored) and 8 (deflate)"));
    bytes[list + 8] |= 1;
    assert!(message(&bytes).contains("x.npy: it is encrypted"));
    let x = &arrays()[0].1;
    for (names, part) in [(["a", "a"], "two arrays are called \"a\""), (["a", ""], "a name of 0 bytes")] {
        let error = to_bytes(&names.map(|name| (name.to_string(), x.clone()))).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }) && error.to_string().contains(part), "{error}");
    }
}
