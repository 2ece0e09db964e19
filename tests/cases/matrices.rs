//! Products by their names, diagonals, triangles.

use noyau::Tensor;

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    list.smooth("mm", Sum(4), |d| d.positive([3, 4]).mm(&d.positive([4, 2])));
    list.smooth("bmm", Sum(4), |d| d.positive([2, 3, 4]).bmm(&d.positive([2, 4, 2])));
    list.smooth("mv", Sum(4), |d| d.positive([3, 4]).mv(&d.positive([4])));
    list.smooth("dot", Sum(5), |d| d.positive([5]).dot(&d.positive([5])));
    list.smooth("outer", Rounded, |d| d.floats([3]).outer(&d.floats([4])));
    list.smooth("kron", Rounded, |d| d.floats([2, 3]).kron(&d.floats([3, 2])));
    list.smooth("kron of other ranks", Rounded, |d| d.floats([2]).kron(&d.floats([3, 2])));
    list.smooth("cross", Rounded, |d| d.floats([4, 3]).cross(&d.floats([4, 3]), -1));
    list.smooth("cross along the first axis", Rounded, |d| d.floats([3, 2]).cross(&d.floats([3, 1]), 0));
    for (rows, columns) in [(3, 3), (2, 5), (5, 2), (1, 4)] {
        for offset in [-2, -1, 0, 1, 3] {
            list.value(format!("diagonal {offset} of [{rows}, {columns}]"), Exact, move |d| {
                d.floats([rows, columns]).diagonal(offset, 0, 1).pad(&[(1, 1)], 9.0)
            });
        }
    }
    list.smooth("diagonal above the main one", Exact, |d| d.floats([4, 5]).diagonal(1, 0, 1));
    list.smooth("diagonal of other axes", Exact, |d| d.floats([3, 2, 4]).diagonal(-1, -1, 0));
    list.value("diagonal far out", Exact, |d| d.floats([3, 4]).diagonal(7, 0, 1).sum() + d.floats([3, 4]).diagonal(-7, 0, 1).sum());
    for offset in [-2, 0, 1] {
        list.smooth(format!("diag_embed {offset}"), Exact, move |d| d.floats([2, 3]).diag_embed(offset));
        list.smooth(format!("diag of a vector {offset}"), Exact, move |d| d.floats([3]).diag(offset));
        list.smooth(format!("tril {offset}"), Exact, move |d| d.floats([2, 3, 4]).tril(offset));
        list.smooth(format!("triu {offset}"), Exact, move |d| d.floats([4, 3]).triu(offset));
        list.value(format!("tril_mask {offset}"), Exact, move |_| Tensor::tril_mask(3, 5, offset));
    }
    list.value("tril and triu far out", Exact, |d| {
        let x = d.floats([3, 4]);
        x.tril(isize::MAX) - x.triu(isize::MIN) + x.tril(isize::MIN) + x.triu(isize::MAX)
    });
    list.value("tril of integers", Exact, |d| d.ints([4, 4], -9, 9).tril(0));
    list.value("diag of a vector of one and of none", Exact, |d| d.floats([1]).diag(1).pad(&[(0, 1), (0, 1)], 1.0) + d.floats([0]).diag(3));
    list.smooth("diag of a matrix", Exact, |d| d.floats([3, 4]).diag(1));
    list.smooth("trace", Sum(3), |d| d.positive([3, 4]).trace());
    list.value("eye", Exact, |_| Tensor::eye(4));
    list.smooth("masked_fill", Exact, |d| {
        let mask = d.bools([4]);
        d.floats([3, 4]).masked_fill(&mask, -5.0)
    });
    list.smooth("causal attention", Chain, |d| {
        let (q, k, v) = (d.floats([2, 5, 3]), d.floats([2, 5, 3]), d.floats([2, 5, 3]));
        let hidden = Tensor::tril_mask(5, 5, 0).logical_not();
        q.bmm(&k.t()).masked_fill(&hidden, -1e9).softmax(-1).bmm(&v)
    });
    list.smooth("log of a triangle's determinant", Chain, |d| d.positive([4, 4]).tril(0).diagonal(0, 0, 1).log().sum());
}
