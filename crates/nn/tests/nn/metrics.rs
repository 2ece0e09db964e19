//! Metrics by hand.

use noyau_nn::metrics::*;
use noyau_tensor::Tensor;

use crate::oracle::{assert_close, call, eval, message, reals, words};

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

/// How often each class was taken for each. Class 2 is never predicted, class 3 never occurs, class 4 neither.
fn confused() -> Vec<Vec<u64>> {
    vec![vec![5, 1, 0, 1, 0], vec![2, 3, 0, 0, 0], vec![1, 1, 0, 1, 0], vec![0; 5], vec![0; 5]]
}

// y_true and y_pred spelled out from the matrix above, scikit-learn 1.9: precision_recall_fscore_support(labels=[0, 1, 2, 3, 4]), then
// average="macro", "micro", "weighted" without labels; accuracy_score, balanced_accuracy_score.
#[test]
fn scores_are_scikit_learns() {
    let scores = ClassScores::of(&confused());
    let parts = |part: fn(&Score) -> f64| scores.classes.iter().map(part).collect::<Vec<_>>();
    assert_close(&parts(|s| s.precision), &[0.625, 0.6, 0.0, 0.0, 0.0], 1e-12);
    assert_close(&parts(|s| s.recall), &[0.7142857142857143, 0.6, 0.0, 0.0, 0.0], 1e-12);
    assert_close(&parts(|s| s.f1), &[0.6666666666666666, 0.6, 0.0, 0.0, 0.0], 1e-12);
    assert_eq!(scores.support, [7, 5, 3, 0, 0]);
    let check = |score: Score, wanted: [f64; 3]| assert_close(&[score.precision, score.recall, score.f1], &wanted, 1e-12);
    check(scores.macro_average(), [0.30625, 0.32857142857142857, 0.31666666666666665]);
    check(scores.micro_average(), [0.5333333333333333; 3]);
    check(scores.weighted_average(), [0.49166666666666664, 0.5333333333333333, 0.5111111111111111]);
    assert_close(&[scores.accuracy(), scores.balanced_accuracy()], &[0.5333333333333333, 0.4380952380952381], 1e-12);
    let table = scores.to_string();
    assert!(table.contains("macro") && table.lines().count() == 1 + 4 + 3, "class 4 has no line:\n{table}");
}

#[test]
fn scores_of_nothing_are_0() {
    for confusion in [vec![], vec![vec![0; 2]; 2]] {
        let scores = ClassScores::of(&confusion);
        assert_eq!(scores.macro_average(), Score::default());
        assert_eq!(scores.weighted_average(), Score::default());
        assert_eq!((scores.accuracy(), scores.balanced_accuracy()), (0.0, 0.0));
    }
    // A ragged matrix is read as far as it goes.
    assert_eq!(ClassScores::of(&[vec![1], vec![0, 2]]).accuracy(), 1.0);
}

#[test]
fn the_target_s_rank_counts_what_is_ahead() {
    let nan = f64::NAN;
    let logits = reals(
        [6, 4],
        &[
            0.1, 0.9, 0.4, 0.2, // the target third
            2.0, 2.0, 2.0, 2.0, // equal: those before it are ahead
            nan, 1.0, 0.0, 0.5, // NaN is ahead
            nan, 1.0, 0.0, 0.5, // and ahead of a NaN is everything
            0.0, 0.0, 0.0, 9.0, // the largest
            0.0, 0.0, 0.0, 9.0, // no class
        ],
    );
    let targets = words([6], &[3, 2, 1, 0, 3, 4]);
    let found = call(&[logits, targets], |args| {
        let at = |k| top_k_correct(&args[0], &args[1], k);
        vec![
            target_ranks(&args[0], &args[1]),
            at(1),
            at(2),
            at(3),
            at(4),
            at(9),
            top_k_accuracy(&args[0], &args[1], 2),
            correct(&args[0], &args[1]),
        ]
    });
    let found = found.unwrap();
    assert_eq!(found[0], [2.0, 2.0, 1.0, 4.0, 0.0, 4.0]);
    assert_eq!(found[1..6].concat(), [1.0, 2.0, 4.0, 4.0, 4.0]);
    assert_close(&found[6], &[2.0 / 6.0], 1e-7);
    assert_eq!(found[7], found[1], "top 1 is the accuracy");
    assert!(message(&top_k_correct(&Tensor::zeros([2, 3]), &Tensor::from([0u32, 1]), 0)).contains("k is 0"));
    assert!(message(&top_k_accuracy(&Tensor::zeros([2, 3]), &Tensor::from([0u32]), 1)).contains("not class indices"));
}

// mean_absolute_error, root_mean_squared_error, r2_score of scikit-learn 1.9, for both columns and for the first.
#[test]
fn errors_of_numbers_are_scikit_learns() {
    let y = Tensor::from([[3.0f32, -0.5], [2.0, 0.5], [7.0, -1.0], [4.0, 2.0]]);
    let p = Tensor::from([[2.5f32, 0.0], [2.0, 0.25], [8.0, -1.5], [4.5, 1.0]]);
    let all = |p: &Tensor, y: &Tensor| [mae(p, y), rmse(p, y), r2_score(p, y)].map(|t| eval(&t)[0]);
    assert_close(&all(&p, &y), &[0.53125, 0.6186862178478972, 0.7976190476190477], 1e-7);
    let first = |t: &Tensor| t.slice(1, ..1).reshape([4]);
    assert_close(&all(&first(&p), &first(&y)), &[0.5, 0.6123724356957945, 0.8928571428571429], 1e-7);
    // The first column is the same in all samples: predicted exactly it scores 1, else 0.
    let y = Tensor::from([[3.0f32, 1.0], [3.0, 2.0], [3.0, 3.0]]);
    let p = Tensor::from([[3.0f32, 1.5], [3.0, 2.0], [3.0, 2.0]]);
    assert_close(&eval(&r2_score(&p, &y)), &[0.6875], 1e-7);
    assert_close(&eval(&r2_score(&(&p + Tensor::from([1.0f32, 0.0])), &y)), &[0.1875], 1e-7);
    assert!(message(&r2_score(&Tensor::zeros([2]), &Tensor::zeros([2, 1]))).contains("differ in shape"));
    assert!(message(&rmse(&Tensor::zeros([]), &Tensor::zeros([]))).contains("there must be an axis of samples"));
}
