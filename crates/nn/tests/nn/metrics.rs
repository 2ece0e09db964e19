//! Metrics by hand.

use noyau_nn::metrics::{accuracy, binary_correct, confusion, correct};
use noyau_tensor::Tensor;

use crate::oracle::{call, eval, message, reals, words};

#[test]
fn counts_are_those_made_by_hand() {
    // Predictions 1, 0, 2, 0.
    let logits = reals([4, 3], &[0.0, 5.0, 1.0, 3.0, -1.0, 2.0, 0.0, 0.5, 0.75, 9.0, 1.0, 1.0]);
    let mut targets = words([4], &[1, 2, 2, 0]);
    for dtype in [noyau_tensor::DType::U32, noyau_tensor::DType::I32] {
        targets.dtype = dtype;
        let found = call(&[logits.clone(), targets.clone()], |args| {
            vec![correct(&args[0], &args[1]), accuracy(&args[0], &args[1]), confusion(&args[0], &args[1])]
        });
        let found = found.unwrap();
        assert_eq!(found[..2], [[3.0], [0.75]]);
        assert_eq!(found[2], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    }
    let found = binary_correct(&Tensor::from([-1.0f32, 2.0, 0.0, 3.0]), &Tensor::from([0.0f32, 1.0, 0.0, 0.0]));
    assert_eq!(eval(&found), [3.0]);
}

#[test]
fn mistakes_are_named() {
    assert!(message(&correct(&Tensor::zeros([4, 3]), &Tensor::zeros([4]))).contains("not class indices"));
    assert!(message(&accuracy(&Tensor::zeros([4, 3]), &Tensor::from([1u32]))).contains("[4, 3]"));
    assert!(
        message(&confusion(&Tensor::zeros([4, 3, 1]), &Tensor::zeros([4, 1]).to(noyau_tensor::DType::U32))).contains("[batch, classes]")
    );
}
