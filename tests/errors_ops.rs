//! Mistakes in the composed operations: each is an error with the user's line, none is a panic.

use noyau::prelude::*;
use noyau::tensor::{einsum, hstack, meshgrid, vstack};

/// The tensor's error, evaluated: must be the message, then the line on which the macro stands.
macro_rules! mistake {
    ($tensor:expr, $message:expr) => {{
        let tensor: Tensor = $tensor;
        let expected = format!("{} (tests/errors_ops.rs:{})", $message, line!());
        let found = Session::new(Device::cpu()).eval(&tensor).expect_err(&expected).to_string();
        assert_eq!(found, expected);
    }};
}

fn f32s(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape)
}

fn i32s(shape: &[usize]) -> Tensor {
    Tensor::full(shape, Scalar::Int(1))
}

fn bools(shape: &[usize]) -> Tensor {
    Tensor::full(shape, Scalar::Bool(true))
}

#[test]
#[rustfmt::skip]
fn types_that_do_not_fit() {
    type Function = fn(&Tensor) -> Tensor;
    let floats: [(&str, Function); 27] = [
        ("tan", Tensor::tan), ("atan", Tensor::atan), ("asin", Tensor::asin), ("acos", Tensor::acos), ("sinh", Tensor::sinh), ("cosh", Tensor::cosh),
        ("asinh", Tensor::asinh), ("acosh", Tensor::acosh), ("atanh", Tensor::atanh), ("exp2", Tensor::exp2), ("log2", Tensor::log2), ("log10", Tensor::log10),
        ("logit", Tensor::logit), ("sinc", Tensor::sinc), ("erfc", Tensor::erfc), ("rad2deg", Tensor::rad2deg), ("deg2rad", Tensor::deg2rad), ("trunc", Tensor::trunc),
        ("frac", Tensor::frac), ("logsigmoid", Tensor::logsigmoid), ("mish", Tensor::mish), ("softsign", Tensor::softsign), ("selu", Tensor::selu),
        ("nan_to_num", |x| x.nan_to_num(0.0)), ("logcumsumexp", |x| x.logcumsumexp(0)), ("quantile", |x| x.quantile(0.5, 0)), ("vector_norm", Tensor::norm),
    ];
    for (name, function) in floats {
        let found = Session::new(Device::cpu()).eval(&function(&i32s(&[2]))).expect_err(name).to_string();
        assert!(found.starts_with(&format!("{name}: not defined for i32; convert with .to(DType::F32) (")), "{found}");
    }
    mistake!(i32s(&[2]).erfc(), "erfc: not defined for i32; convert with .to(DType::F32)");
    mistake!(f32s(&[2]).atan2(i32s(&[2])), "atan2: not defined for i32; convert with .to(DType::F32)");
    mistake!(f32s(&[2]).remainder(i32s(&[2])), "remainder: the operands' types f32 and i32 differ; convert one with .to(DType)");
    mistake!(bools(&[2]).floor_divide(bools(&[2])), "floor_divide: not defined for bool");
    mistake!(bools(&[2]).cumsum(0), "cumsum: not defined for bool; convert with .to(DType) first");
    mistake!(bools(&[2]).cummax(0).0, "cummax: not defined for bool; convert with .to(DType) first");
    mistake!(f32s(&[2]).bincount(3), "bincount: needs integers, not f32");
    mistake!(f32s(&[2]).scatter(0, &f32s(&[2]), &f32s(&[2])), "scatter: the index is of type f32, not an integer; convert it with .to(DType::I32)");
    mistake!(f32s(&[2]).scatter(0, &i32s(&[2]), &i32s(&[2])), "scatter: a source of i32 for a tensor of f32");
    mistake!(i32s(&[2]).masked_fill(&i32s(&[2]), 1), "where: the condition is of type i32, not bool; compare it first");
    mistake!(f32s(&[3]).searchsorted(&i32s(&[2]), false), "searchsorted: places of i32[2] in f32[3]: needs one type, and axes that are equal but for the last");
    mistake!(i32s(&[1, 1, 4]).upsample_linear(8, false), "upsample_linear: not defined for i32; convert with .to(DType::F32)");
}

#[test]
#[rustfmt::skip]
fn axes_that_are_not_there() {
    mistake!(f32s(&[2, 3]).cumsum(2), "cumsum: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).cumprod(-3), "cumprod: axis -3 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).cummin(2).1, "cummin: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).sort(2, false).0, "sort: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).sort(2, false).1, "sort: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[]).argsort(0, false), "argsort: axis 0 is out of range for shape [] of rank 0: a scalar has no axes");
    mistake!(f32s(&[2, 3]).topk(1, 5, true).0, "topk: axis 5 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).median(2).0, "median: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).roll(1, 2), "roll: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).repeat_interleave(2, 2), "repeat_interleave: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).unbind(2).swap_remove(0), "unbind: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).chunk(2, 2).swap_remove(0), "chunk: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).movedim(0, 2), "movedim: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).unflatten(2, &[1]), "unflatten: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).rot90(1, [0, 2]), "rot90: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).rot90(1, [1, -1]), "rot90: axis 1 is named twice in [1, -1]; name each axis once");
    mistake!(f32s(&[2, 3]).diff(2), "diff: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).diagonal(0, 0, 2), "diagonal: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).diagonal(0, 1, -1), "diagonal: axes 1 and -1 of [2, 3] are the same");
    mistake!(f32s(&[2, 3]).tensordot(&f32s(&[3]), &[2], &[0]), "tensordot: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).tensordot(&f32s(&[3]), &[1, -1], &[0, 0]), "tensordot: axis 1 is named twice in [1, -1]; name each axis once");
    mistake!(f32s(&[2, 3]).scatter(2, &i32s(&[2, 3]), &f32s(&[2, 3])), "scatter: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).vector_norm(2.0, &[2]), "sum: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).glu(2), "glu: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).take_along_dim(&i32s(&[2, 3]), 3), "take_along_dim: axis 3 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).logsumexp(&[2]), "amax: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
}

#[test]
#[rustfmt::skip]
fn shapes_that_do_not_fit() {
    mistake!(f32s(&[2, 3]).mm(&f32s(&[3])), "mm: needs tensors of rank 2 and 2, got [2, 3] and [3]");
    mistake!(f32s(&[2, 3]).mm(&f32s(&[2, 3])), "matmul: [2, 3] x [2, 3]: inner sizes 3 and 2 differ; transpose one with .t() or reshape it");
    mistake!(f32s(&[2, 3, 4]).bmm(&f32s(&[1, 4, 5])), "bmm: [2, 3, 4] x [1, 4, 5]: batches of 2 and 1 differ");
    mistake!(f32s(&[2, 3]).mv(&f32s(&[3, 1])), "mv: needs tensors of rank 2 and 1, got [2, 3] and [3, 1]");
    mistake!(f32s(&[2]).dot(&f32s(&[3])), "dot: needs two vectors of one length, got [2] and [3]");
    mistake!(f32s(&[2]).outer(&f32s(&[3, 1])), "outer: needs two vectors, got [2] and [3, 1]");
    mistake!(f32s(&[2]).cross(&f32s(&[3]), 0), "cross: axis 0 of [2] has size 2, not 3");
    mistake!(f32s(&[2]).trace(), "trace: needs a matrix, got [2]");
    mistake!(f32s(&[2]).tril(0), "tril: needs a matrix, got [2]");
    mistake!(f32s(&[]).triu(0), "triu: needs a matrix, got []");
    mistake!(f32s(&[2, 2, 2]).diag(0), "diag: needs a vector or a matrix, got [2, 2, 2]");
    mistake!(f32s(&[]).diag_embed(0), "diag_embed: a scalar has no axis to put on a diagonal");
    mistake!(f32s(&[2, 3]).masked_fill(&bools(&[4]), 0.0), "masked_fill: a mask of [4] does not broadcast to [2, 3]");
    mistake!(f32s(&[3]).masked_fill(&bools(&[2, 3]), 0.0), "masked_fill: a mask of [2, 3] does not broadcast to [3]");
    mistake!(f32s(&[2, 3]).tensordot(&f32s(&[4]), &[1], &[0]), "tensordot: axes [1] of [2, 3] and [0] of [4]: sizes [3] and [4] differ");
    mistake!(f32s(&[2, 3]).repeat(&[2]), "repeat: 1 counts for [2, 3] of rank 2");
    mistake!(f32s(&[1 << 40]).repeat(&[1 << 40]), "repeat: the result's shape [18446744073709551615] has more elements than can be addressed");
    mistake!(f32s(&[5]).split_sizes(&[2, 2], 0).swap_remove(0), "split_sizes: sizes [2, 2] do not add up to axis 0 of [5]");
    mistake!(f32s(&[5]).chunk(0, 0).swap_remove(0), "chunk: 0 pieces");
    mistake!(f32s(&[2, 6]).unflatten(1, &[4, 2]), "unflatten: axis 1 of [2, 6] cannot become [4, 2]");
    mistake!(meshgrid(&[&f32s(&[2]), &f32s(&[2, 2])]).swap_remove(0), "meshgrid: needs tensors of rank 1, got [2, 2]");
    mistake!(vstack(&[]), "concat: needs at least one tensor");
    mistake!(hstack(&[&f32s(&[2, 2]), &f32s(&[3, 2])]), "concat: f32[2, 2] and f32[3, 2] differ in more than axis 1");
    mistake!(f32s(&[2, 4]).pad_reflect(&[(0, 0), (4, 0)]), "pad_reflect: 4 elements before and 0 after are more than axis 1 of [2, 4] can give");
    mistake!(f32s(&[2, 4]).pad_circular(&[(0, 3), (0, 0)]), "pad_circular: 0 elements before and 3 after are more than axis 0 of [2, 4] can give");
    mistake!(f32s(&[0]).pad_replicate(&[(1, 0)]), "pad_replicate: 1 elements before and 0 after are more than axis 0 of [0] can give");
    mistake!(f32s(&[2, 4]).pad_reflect(&[(1, 1)]), "pad_reflect: 1 pairs of widths for [2, 4] of rank 2");
    mistake!(f32s(&[2, 3]).scatter(1, &i32s(&[3, 1]), &f32s(&[3, 1])), "scatter: source [3, 1] and index [3, 1] must be of one shape, that of [2, 3] but for axis 1");
    mistake!(f32s(&[2, 3]).index_copy(1, &i32s(&[2]), &f32s(&[2, 3])), "index_copy: 2 indices and a source of [2, 3]: needs [2, 3] with 2 on axis 1");
    mistake!(f32s(&[2, 3]).index_add(1, &i32s(&[1, 1]), &f32s(&[2, 1]), 1.0), "index_add: the index has rank 2, not 1");
    mistake!(f32s(&[2, 3]).take_along_dim(&i32s(&[3, 3]), 1), "take_along_dim: an index of [3, 3] for [2, 3]: but for axis 1 they do not broadcast");
    mistake!(f32s(&[2, 3]).cdist(&f32s(&[2, 4]), 2.0), "cdist: [2, 3] and [2, 4]: needs rows of one length, [.., m, k] and [.., n, k]");
    mistake!(f32s(&[3]).cosine_similarity(&f32s(&[4]), 0, 1e-8), "cosine_similarity: shapes [3] and [4] do not broadcast");
    mistake!(f32s(&[3]).equal(&f32s(&[4])), "equal: shapes [3] and [4] differ");
    mistake!(f32s(&[3]).glu(0), "glu: axis 0 of [3] has no halves");
    mistake!(f32s(&[2, 3]).upsample_nearest(&[4]), "upsample_nearest: sizes [4] for [2, 3]: needs [N, C, ..] and a size for each axis after these two");
    mistake!(f32s(&[1, 2, 3]).upsample_bilinear([4, 4], false), "upsample_bilinear: sizes [4, 4] for [1, 2, 3]: needs [N, C, ..] and a size for each axis after these two");
    mistake!(f32s(&[1, 2, 3]).upsample_linear(0, true), "upsample_linear: [1, 2, 3] resized to [0]: an axis is empty");
}

#[test]
#[rustfmt::skip]
fn numbers_out_of_range() {
    mistake!(f32s(&[2, 3]).topk(4, 1, true).1, "topk: 4 elements of axis 1 of [2, 3], which has 3");
    mistake!(f32s(&[2, 3]).kthvalue(0, 1).0, "kthvalue: there is no smallest element number 0 of axis 1 of [2, 3] (they count from 1)");
    mistake!(f32s(&[2, 3]).kthvalue(4, 1).0, "kthvalue: there is no smallest element number 4 of axis 1 of [2, 3] (they count from 1)");
    mistake!(f32s(&[2, 0]).median(1).0, "median: no element to choose from: axis 1 of [2, 0] is empty; reduce axes that have elements");
    mistake!(f32s(&[3]).quantile(1.5, 0), "quantile: the 1.5-quantile of axis 0 of [3]: needs 0 <= q <= 1 and an element");
    mistake!(f32s(&[3]).vector_norm(f64::NAN, &[]), "vector_norm: p is NaN");
    mistake!(f32s(&[3]).hardtanh(1.0, 0.0), "hardtanh: the lower bound 1 is above the upper bound 0; swap them");
    mistake!(f32s(&[3]).celu(0.0), "celu: alpha 0: must be finite and not 0");
    mistake!(f32s(&[3]).softshrink(-1.0), "softshrink: lambda -1: must not be negative");
    mistake!(f32s(&[3]).softplus_beta(0.0), "softplus_beta: beta 0: must be positive and finite");
    mistake!(f32s(&[3]).round_decimals(40), "round_decimals: 40 decimals: f32 has powers of ten from -38 to 38");
    mistake!(Tensor::linspace(0.0, f64::INFINITY, 3), "linspace: from 0 to inf: both must be finite");
    mistake!(Tensor::logspace(0.0, 1.0, 3, -2.0), "logspace: base -2: must be positive and finite");
    mistake!(Tensor::arange_step(0.0, 1.0, 0.0), "arange_step: from 0 to 1 by 0: must be finite, the step not 0");
    mistake!(Tensor::randint([2], 3, 3), "randint: there is no whole number in 3..3; the end must be above the start");
    mistake!(Tensor::exponential([2], 0.0), "exponential: rate 0: must be positive and finite");
    mistake!(f32s(&[]).categorical(), "categorical: a scalar has no classes");
}

#[test]
#[rustfmt::skip]
fn equations_that_make_no_sense() {
    let (a, b) = (f32s(&[2, 3]), f32s(&[4, 5]));
    mistake!(einsum("ij,jk->ik", &[&a]), "einsum: \"ij,jk->ik\": 2 operands are named, 1 are given; give one for each part before the arrow");
    mistake!(einsum("ij,jk->ik", &[&a, &b]), "einsum: \"ij,jk->ik\": axis j has sizes 3 and 4; one name stands for one size");
    mistake!(einsum("ii->i", &[&a]), "einsum: \"ii->i\": axis i has sizes 2 and 3; one name stands for one size");
    mistake!(einsum("ijk->i", &[&a]), "einsum: \"ijk->i\": operand 0: \"ijk\" names 3 axes, [2, 3] has 2");
    mistake!(einsum("i->i", &[&a]), "einsum: \"i->i\": operand 0: \"i\" names 1 axes, [2, 3] has 2");
    mistake!(einsum("ijk...->i", &[&a]), "einsum: \"ijk...->i\": operand 0: \"ijk...\" names more axes than there are");
    mistake!(einsum("ij->ik", &[&a]), "einsum: \"ij->ik\": the result has axis k, no operand does");
    mistake!(einsum("ij->ii", &[&a]), "einsum: \"ij->ii\": the result has axis i twice");
    mistake!(einsum("i1->i", &[&a]), "einsum: \"i1->i\": operand 0: '1' is neither a letter nor part of \"...\", \",\" or \"->\"");
    mistake!(einsum("é->i", &[&a]), "einsum: \"é->i\": operand 0: 'é' is neither a letter nor part of \"...\", \",\" or \"->\"");
    mistake!(einsum("i.j->i", &[&a]), "einsum: \"i.j->i\": operand 0: '.' is neither a letter nor part of \"...\", \",\" or \"->\"");
    mistake!(einsum("......->", &[&a]), "einsum: \"......->\": operand 0: \"......\" has more than one ellipsis");
    mistake!(einsum("ij->i>", &[&a]), "einsum: \"ij->i>\": the result: '>' is neither a letter nor part of \"...\", \",\" or \"->\"");
    mistake!(einsum("...,...->...", &[&f32s(&[2, 3]), &f32s(&[4])]), "einsum: \"...,...->...\": an axis of the ellipsis has sizes 3 and 4; one name stands for one size");
    mistake!(einsum("i,i->", &[&f32s(&[2]), &i32s(&[2])]), "einsum: \"i,i->\": the operands' types f32 and i32 differ; convert one with .to(DType)");
    mistake!(einsum("i->", &[&bools(&[2])]), "einsum: \"i->\": not defined for bool; convert with .to(DType)");
    mistake!(einsum("", &[]), "einsum: \"\": 1 operands are named, 0 are given; give one for each part before the arrow");
}

/// A mistake wins over whatever is built on it, whichever operand it is.
#[test]
fn mistakes_pass_through() {
    let bad = f32s(&[2]) + f32s(&[3]);
    let good = f32s(&[2]);
    let index = i32s(&[2]);
    let built = [
        bad.tan(),
        bad.isnan(),
        bad.isfinite(),
        bad.cumsum(0),
        bad.cummax(0).1,
        bad.sort(0, false).0,
        bad.topk(1, 0, true).1,
        bad.median(0).0,
        bad.repeat(&[2]),
        bad.roll(1, 0),
        bad.unbind(0).swap_remove(0),
        bad.diag(0),
        bad.tril(0),
        bad.norm(),
        bad.normalize(2.0, 0, 1e-12),
        bad.all(&[]),
        bad.any(&[]),
        bad.pad_reflect(&[(1, 1)]),
        bad.upsample_nearest(&[3]),
        bad.glu(0),
        bad.categorical(),
        bad.rand_like(),
        bad.nan_to_num(0.0),
        bad.take(&index),
        good.atan2(&bad),
        good.remainder(&bad),
        good.hypot(&bad),
        good.lerp(&bad, 0.5),
        good.lerp(&good, &bad),
        good.dot(&bad),
        good.outer(&bad),
        good.kron(&bad),
        good.expand_as(&bad),
        good.scatter(0, &bad, &good),
        good.scatter(0, &index, &bad),
        good.index_add(0, &index, &bad, 1.0),
        good.take(&bad),
        good.isin(&bad),
        good.cosine_similarity(&bad, 0, 1e-8),
        good.cdist(&bad, 2.0),
        good.searchsorted(&bad, false),
        good.masked_fill(&bad, 0.0),
        good.clamp_min(&bad),
        good.equal(&bad),
        good.tensordot(&bad, &[0], &[0]),
        einsum("i,i->", &[&good, &bad]),
        hstack(&[&good, &bad]),
        vstack(&[&bad, &good]),
        meshgrid(&[&good, &bad]).swap_remove(0),
    ];
    let session = Session::new(Device::cpu());
    let expected = session.eval(&bad).expect_err("a mistake").to_string();
    for (i, tensor) in built.iter().enumerate() {
        assert_eq!(session.eval(tensor).expect_err("a mistake").to_string(), expected, "number {i}");
    }
}
