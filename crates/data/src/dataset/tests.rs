use super::*;

fn reals(shape: impl Into<Shape>, values: &[f32]) -> Array {
    Array::new(shape, values).unwrap()
}

fn labels(values: &[u32]) -> Array {
    Array::new([values.len()], values).unwrap()
}

fn refused(features: &Array, targets: &Array) -> String {
    let error = Dataset::new(features, targets).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn reals_come_back_as_they_were() {
    let data = Dataset::new(&reals([3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), &labels(&[0, 4, 1])).unwrap();
    assert_eq!((data.len(), data.classes(), data.sample_shape().to_vec()), (3, Some(5), vec![2]));
    let batch = data.batch(&[2, 0, 2]).unwrap();
    assert_eq!(batch.x, reals([3, 2], &[5.0, 6.0, 1.0, 2.0, 5.0, 6.0]));
    assert_eq!(batch.y, labels(&[1, 0, 1]));
    assert_eq!(data.get(1).unwrap(), (reals([2], &[3.0, 4.0]), Array::scalar(4u32)));
    assert_eq!(batch.len(), 3);
}

#[test]
fn bytes_are_scaled() {
    let data = Dataset::from_bytes([1, 2], vec![0, 255, 51, 102], &labels(&[0, 1])).unwrap();
    let x = data.batch(&[0, 1]).unwrap().x;
    assert_eq!((x.shape().to_vec(), x.dtype()), (vec![2, 1, 2], DType::F32));
    assert!(x.to_f64().iter().zip([0.0, 1.0, 0.2, 0.4]).all(|(a, b)| (a - b).abs() < 1e-7), "{x:?}");
    let normalized = data.normalized(0.5, 0.25).unwrap();
    let x = normalized.get(0).unwrap().0.to_vec::<f32>().unwrap();
    assert!((x[0] + 2.0).abs() < 1e-6 && (x[1] - 2.0).abs() < 1e-6, "{x:?}");
    assert!(normalized.clone().normalized(0.0, 0.0).is_err());
    assert!(normalized.normalized(f32::NAN, 1.0).is_err());
}

#[test]
fn every_byte_is_within_an_ulp_of_its_quotient() {
    for byte in 0..=255u8 {
        let (got, exact) = (Scale::BYTES.apply(byte.into()), f32::from(byte) / 255.0);
        assert!(got.to_bits().abs_diff(exact.to_bits()) <= 1 && (0.0..=1.0).contains(&got), "{byte}: {got} {exact}");
    }
}

#[test]
fn tokens_and_shaped_targets() {
    let tokens = Array::new([2, 3], &[5u32, 6, 7, 8, 9, u32::MAX]).unwrap();
    let next = Array::new([2, 3], &[6u32, 7, 8, 9, 3, 4]).unwrap();
    let data = Dataset::new(&tokens, &next).unwrap();
    let batch = data.batch(&[1]).unwrap();
    assert_eq!(batch.x, Array::new([1, 3], &[8u32, 9, u32::MAX]).unwrap());
    assert_eq!(batch.y, Array::new([1, 3], &[9u32, 3, 4]).unwrap());
    assert!(data.normalized(0.0, 1.0).is_err());
}

#[test]
fn real_targets_have_no_classes() {
    let data = Dataset::new(&reals([2], &[1.0, 2.0]), &reals([2, 1], &[0.5, -0.5])).unwrap();
    assert_eq!((data.classes(), data.sample_shape().rank(), data.target_dtype()), (None, 0, DType::F32));
    assert_eq!(data.batch(&[1]).unwrap().y, reals([1, 1], &[-0.5]));
    assert!(data.with_classes(2).is_err());
}

#[test]
fn signed_and_boolean_classes() {
    let x = reals([2, 1], &[1.0, 2.0]);
    assert_eq!(Dataset::new(&x, &Array::new([2], &[0i32, 3]).unwrap()).unwrap().classes(), Some(4));
    let data = Dataset::new(&x, &Array::new([2], &[false, true]).unwrap()).unwrap();
    assert_eq!(data.batch(&[0, 1]).unwrap().y, labels(&[0, 1]));
    assert!(refused(&x, &Array::new([2], &[0i32, -3]).unwrap()).contains("class -3 of sample 1"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = reals([2, 2], &[1.0; 4]);
    assert!(refused(&x, &labels(&[0, 1, 2])).contains("2 samples, but 3 targets"));
    assert!(refused(&reals([0, 2], &[]), &labels(&[])).contains("no samples"));
    assert!(refused(&reals([], &[1.0]), &labels(&[0])).contains("no axis"));
    assert!(refused(&reals([2, 0], &[]), &labels(&[0, 1])).contains("no values"));
    assert!(refused(&reals([2, 2], &[1.0, 1.0, 1.0, f32::NAN]), &labels(&[0, 1])).contains("value 1 of sample 1 is NaN"));
    assert!(refused(&x, &reals([2, 0], &[])).contains("targets of shape [2, 0] hold no values"));
    assert!(refused(&reals([2, 1 << 40, 1 << 40, 0], &[]), &labels(&[0, 1])).contains("no values"));
    assert!(refused(&x, &reals([2], &[0.0, f32::INFINITY])).contains("value 0 of sample 1 is inf"));
    assert!(refused(&Array::new([2], &[1i32, 2]).unwrap(), &labels(&[0, 1])).contains("not i32"));
    assert!(refused(&x, &labels(&[0, u32::MAX])).contains("out of range"));
    assert!(Dataset::from_bytes([2], vec![0; 5], &labels(&[0, 1])).unwrap_err().to_string().contains("5 bytes"));
    assert!(Dataset::from_bytes([usize::MAX, 2], vec![0; 5], &labels(&[0, 1])).is_err());
    let data = Dataset::new(&x, &labels(&[0, 2])).unwrap();
    assert!(data.clone().with_classes(2).unwrap_err().to_string().contains("sample 1 is of class 2"));
    assert!(data.clone().with_classes(0).is_err());
    assert_eq!(data.clone().with_classes(10).unwrap().classes(), Some(10));
    assert!(data.get(2).unwrap_err().to_string().contains("no sample 2, only 0 to 1"));
    assert!(data.batch(&[0, 2]).is_err());
    assert!(data.subset([2]).is_err() && data.subset([]).is_err());
}

#[test]
fn subsets_of_subsets() {
    let data = Dataset::new(&reals([4], &[0.0, 1.0, 2.0, 3.0]), &labels(&[0, 1, 2, 3])).unwrap();
    let some = data.subset([3, 1, 2]).unwrap().subset(1..3).unwrap();
    assert_eq!(some.batch(&[0, 1]).unwrap().y, labels(&[1, 2]));
    assert_eq!((some.len(), some.classes()), (2, Some(4)));
    // Only the samples that are there count.
    assert_eq!(some.with_classes(3).unwrap().classes(), Some(3));
}

#[test]
fn a_split_deals_every_sample_once() {
    let n = 101;
    let data = Dataset::new(&reals([n], &vec![0.0; n]), &labels(&(0..n as u32).collect::<Vec<_>>())).unwrap();
    let all = |d: &Dataset| (0..d.len()).map(|i| d.get(i).unwrap().1.item() as u32).collect::<Vec<_>>();
    let (train, test) = data.split(0.8, 7).unwrap();
    assert_eq!((train.len(), test.len()), (81, 20));
    let mut both = [all(&train), all(&test)].concat();
    assert_ne!(both[..5], [0, 1, 2, 3, 4]);
    both.sort_unstable();
    assert_eq!(both, (0..n as u32).collect::<Vec<_>>());
    assert_eq!(all(&data.split(0.8, 7).unwrap().0), all(&train));
    assert_ne!(all(&data.split(0.8, 8).unwrap().0), all(&train));
    for fraction in [0.0, 1.0, -0.5, f64::NAN, 0.001, 0.999] {
        assert!(data.split(fraction, 0).is_err(), "{fraction}");
    }
}
