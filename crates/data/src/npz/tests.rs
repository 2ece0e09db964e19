use noyau_formats::npz;
use noyau_tensor::Scalar;

use super::*;

fn file(arrays: &[(&str, &Array)]) -> Vec<u8> {
    npz::to_bytes(&arrays.iter().map(|(name, array)| ((*name).to_string(), (*array).clone())).collect::<Vec<_>>()).unwrap()
}

fn refused(options: &NpzOptions, arrays: &[(&str, &Array)]) -> String {
    let error = options.parse("set.npz", file(arrays)).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("set.npz: "), "{text}");
    text
}

#[test]
fn arrays_by_name() {
    let x = Array::new([3, 2], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let classes = Array::new([3, 1], &[2i32, 0, 1]).unwrap();
    let reals = Array::new([3, 1], &[0.5f32, -1.0, 2.0]).unwrap();
    let truths = Array::new([3], &[true, false, true]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.npz");
    std::fs::write(&path, file(&[("x", &x), ("classes", &classes), ("reals", &reals), ("truths", &truths)])).unwrap();
    let set = Dataset::from_npz(&path, "x", "classes").unwrap();
    assert_eq!((set.len(), set.classes(), set.target_shape().rank()), (3, Some(3), 0));
    assert_eq!(set.batch(&[2, 0]).unwrap().x, Array::new([2, 2], &[5f32, 6.0, 1.0, 2.0]).unwrap());
    assert_eq!(set.batch(&[2, 0]).unwrap().y, Array::new([2], &[1u32, 2]).unwrap());
    // Real targets keep their shape; a text of tokens can be the samples, and truth values either.
    let set = Dataset::from_npz(&path, "x", "reals").unwrap();
    assert_eq!((set.classes(), &set.target_shape()[..]), (None, &[1][..]));
    let set = Dataset::from_npz(&path, "classes", "truths").unwrap();
    assert_eq!((set.dtype(), set.classes(), &set.sample_shape()[..]), (DType::U32, Some(2), &[1][..]));
    let set = Dataset::from_npz(&path, "truths", "x").unwrap();
    assert_eq!((set.dtype(), set.sample_shape().rank(), &set.target_shape()[..]), (DType::F32, 0, &[2][..]));
    assert!(matches!(Dataset::from_npz(folder.path().join("no"), "x", "y"), Err(Error::Io { .. })));
    let halves = x.to(DType::F16);
    let (set, _) = Dataset::npz("x", "y").parse("h", file(&[("x", &halves), ("y", &classes)])).unwrap();
    assert_eq!(set.batch(&[0]).unwrap().x.to_f64(), [1.0, 2.0]);
}

/// `numpy.savez_compressed` of `a`, a hundred bytes: pixels, 0 to 1.
#[test]
fn bytes_are_pixels() {
    let compressed = include_bytes!("../../../formats/src/npz/compressed.npz");
    let (set, skipped) = Dataset::npz("a", "a").classes(3).parse("c.npz", &compressed[..]).unwrap();
    assert_eq!((set.len(), set.dtype(), set.classes(), skipped.count), (100, DType::F32, Some(3), 0));
    assert_eq!(set.batch(&[2]).unwrap().x.to_f64(), [f64::from(2.0f32 * (1.0 / 255.0))]);
    // Two of three records are bad, the samples of the others stay with their targets.
    let (set, skipped) = Dataset::npz("a", "a").classes(1).skip_bad(true).parse("c.npz", &compressed[..]).unwrap();
    assert_eq!((set.len(), skipped.count), (34, 66));
    assert!(set.batch(&[0, 33]).unwrap().x.to_f64().iter().all(|&v| v == 0.0));
}

#[test]
fn bad_records_are_named_or_skipped() {
    let x = Array::new([4, 2], &[1f32, 2.0, 3.0, f32::NAN, 5.0, 6.0, 7.0, 8.0]).unwrap();
    let y = Array::new([4], &[0i32, 1, -1, 2]).unwrap();
    let set = [("x", &x), ("y", &y)];
    let options = Dataset::npz("x", "y");
    assert!(refused(&options, &set).contains("value 1 of record 1 of \"x\" is NaN; only finite"));
    let good = Array::full([4, 2], Scalar::Float(0.5));
    assert!(refused(&options, &[("x", &good), ("y", &y)]).contains("record 2 of \"y\" is class -1, but classes are counted from 0"));
    let fine = y.to(DType::Bool);
    assert!(refused(&options, &[("x", &y), ("y", &fine)]).contains("record 2 of \"x\" is -1: integers are tokens, from 0 on"));
    let (read, skipped) = options.clone().skip_bad(true).parse("set.npz", file(&set)).unwrap();
    assert_eq!((read.len(), read.classes(), skipped.count), (2, Some(3), 2));
    assert_eq!(read.batch(&[0, 1]).unwrap().x.to_f64(), [1.0, 2.0, 7.0, 8.0]);
    assert_eq!(read.batch(&[0, 1]).unwrap().y.to_f64(), [0.0, 2.0]);
    assert!(skipped.reasons[1].contains("set.npz: record 2 of \"y\" is class -1"), "{skipped}");
    let (read, skipped) = options.clone().classes(2).skip_bad(true).parse("set.npz", file(&set)).unwrap();
    assert_eq!((read.len(), read.classes(), skipped.count), (1, Some(2), 3));
    assert!(skipped.reasons[2].contains("record 3 of \"y\" is class 2, but there are 2 classes"), "{skipped}");
    let bad = Array::full([4, 2], Scalar::Float(f64::INFINITY));
    assert!(refused(&options.skip_bad(true), &[("x", &bad), ("y", &y)]).contains("all 4 records are bad, nothing is left; the first: "));
}

#[test]
fn arrays_that_do_not_go_together() {
    let x = Array::full([4, 2], Scalar::Float(0.5));
    let (y, scalar, none) = (Array::full([3], Scalar::Int(1)), Array::scalar(1i32), Array::full([4, 0], Scalar::Float(0.0)));
    let options = Dataset::npz("x", "y").skip_bad(true);
    assert!(refused(&options, &[("x", &x), ("y", &y)]).contains("\"x\" holds 4 samples, but \"y\" 3 targets: every sample needs one"));
    assert!(refused(&options, &[("x", &x), ("y", &scalar)]).contains("\"y\" is a single value"));
    assert!(refused(&options, &[("x", &none), ("y", &y)]).contains("\"x\" of shape [4, 0] holds nothing to learn from"));
    assert!(refused(&options, &[("x", &x)]).contains("there is no array \"y\"; it has x"));
    let error = options.classes(3).parse("set.npz", file(&[("x", &x), ("y", &x)])).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }) && error.to_string().contains("\"y\" holds real numbers, not classes"), "{error}");
}
