//! The smallest shapes: axes of size 0 and of size 1 for every family of operations, with gradients where there is an element to have one.

use noyau::nn::*;
use noyau::tensor::{concat, einsum, stack};
use noyau::{ConvOptions, Tensor};

use super::{Class::*, Data, List};

type Function = fn(&mut Data) -> Tensor;

pub fn cases(list: &mut List) {
    nothing(list);
    one(list);
}

/// Each gives a tensor without elements, or one that nothing adds to.
fn nothing(list: &mut List) {
    let cases: [(&str, Function); 31] = [
        ("a map", |d| (d.floats([2, 0]) * 2.0 + d.floats([2, 1])).tanh()),
        ("a choice", |d| d.bools([0]).where_(d.floats([0]), 1.0)),
        ("softmax over rows that are not there", |d| d.floats([0, 3]).softmax(1)),
        ("log_softmax over rows that are not there", |d| d.floats([0, 3]).log_softmax(-1)),
        ("logsumexp", |d| d.floats([0, 3]).logsumexp(&[1])),
        ("var of no rows", |d| d.floats([0, 4]).var(&[1], 1)),
        ("norm of no rows", |d| d.floats([0, 4]).vector_norm(2.0, &[1])),
        ("sum of all", |d| d.floats([2, 0, 3]).sum()),
        ("sum kept", |d| d.floats([2, 0, 3]).sum_keep(&[1])),
        ("products of nothing by nothing", |d| d.floats([0, 0]).matmul(&d.floats([0, 2]))),
        ("no products", |d| d.floats([0, 2, 3]).matmul(&d.floats([3, 4]))),
        ("einsum", |d| einsum("bij,bjk->bik", &[&d.floats([0, 2, 3]), &d.floats([0, 3, 2])])),
        ("concat", |d| concat(&[&d.floats([0, 2]), &d.floats([0, 2])], 0)),
        ("stack", |d| stack(&[&d.floats([0]), &d.floats([0])], 1)),
        ("flip, permute, slice and pad beside it", |d| d.floats([3, 0]).t().flip(&[1]).slice(1, 1..).pad(&[(0, 0), (1, 1)], 2.0)),
        ("reshape", |d| d.floats([2, 0, 3]).reshape([0, 7])),
        ("repeat", |d| d.floats([0, 2]).repeat(&[3, 2])),
        ("unfold", |d| d.floats([0, 5]).unfold(1, 3, 1)),
        ("cumsum", |d| d.floats([0, 5]).cumsum(1)),
        ("sort", |d| d.floats([0, 5]).sort(1, true).0),
        ("gather", |d| d.floats([0, 5]).gather(1, &d.uints([0, 2], 5))),
        ("index_select", |d| d.floats([4, 2]).index_select(0, &d.uints([0], 4))),
        ("upsample_nearest", |d| d.floats([0, 2, 3]).upsample_nearest(&[6])),
        ("upsample_bilinear", |d| d.floats([0, 2, 3, 3]).upsample_bilinear([6, 4], false)),
        ("conv1d", |d| d.floats([0, 2, 5]).conv1d(&d.floats([3, 2, 2]), &ConvOptions::new())),
        ("conv_transpose2d", |d| d.floats([0, 2, 3, 3]).conv_transpose2d(&d.floats([2, 1, 2, 2]), &ConvOptions::new())),
        ("max pooling", |d| MaxPool2d::new(2).forward(&d.floats([0, 2, 4, 4]), &Mode::train())),
        ("mean pooling", |d| AvgPool2d::new(2).forward(&d.floats([0, 2, 4, 4]), &Mode::train())),
        ("layer norm", |d| LayerNorm::new([3]).forward(&d.floats([0, 3]), &Mode::train())),
        ("group norm", |d| GroupNorm::new(2, 4).forward(&d.floats([0, 4, 3]), &Mode::train())),
        ("attention", |d| {
            scaled_dot_product_attention(&d.floats([0, 3, 2]), &d.floats([0, 4, 2]), &d.floats([0, 4, 2]), &AttentionMask::none())
        }),
    ];
    for (name, build) in cases {
        list.wide(format!("edge: nothing: {name}"), Exact, build);
    }
    list.wide("edge: nothing: scatter_add", Exact, |d| {
        let index = d.uints([0], 4);
        d.floats([4]).scatter_add(0, &index, &d.floats([0]))
    });
    list.wide("edge: nothing: a choice of rows that goes on", Rounded, |d| {
        let index = d.uints([0], 4);
        d.floats([4, 3]).index_select(0, &index).sum_axes(&[0]) + d.floats([3])
    });
}

/// Everything of one element, or along an axis of one.
fn one(list: &mut List) {
    let cases: [(&str, Function); 26] = [
        ("softmax over one", |d| d.floats([3, 1]).softmax(1) * d.floats([3, 1])),
        ("log_softmax over one", |d| d.floats([3, 1]).log_softmax(1) + d.floats([3, 1])),
        ("logsumexp over one", |d| d.floats([3, 1]).logsumexp(&[1])),
        ("var of one", |d| d.floats([3, 1]).var(&[1], 0) + d.floats([3])),
        ("norm of one", |d| d.positive([3, 1]).vector_norm(2.0, &[1])),
        ("prod of one", |d| d.floats([3, 1]).prod(&[1])),
        ("cumsum of one", |d| d.floats([3, 1]).cumsum(1)),
        ("cumprod of one", |d| d.floats([1]).cumprod(0)),
        ("logcumsumexp of one", |d| d.floats([1, 2]).logcumsumexp(0)),
        ("sort of one", |d| d.floats([1]).sort(0, false).0),
        ("topk of one", |d| d.floats([2, 1]).topk(1, 1, true).0),
        ("gather of one", |d| {
            let index = d.uints([1, 1], 1);
            d.floats([1, 1]).gather(0, &index)
        }),
        ("scatter_add of one", |d| {
            let index = d.uints([1], 1);
            d.floats([1]).scatter_add(0, &index, &d.floats([1]))
        }),
        ("einsum of ones", |d| einsum("ij,jk->ik", &[&d.floats([1, 1]), &d.floats([1, 1])])),
        ("a product of one row and one column, in a batch of one", |d| d.floats([1, 1, 3]).matmul(&d.floats([1, 3, 1]))),
        ("unfold of one", |d| d.floats([1, 1]).unfold(1, 1, 1)),
        ("upsample_nearest from one", |d| d.floats([1, 1, 1]).upsample_nearest(&[4])),
        ("upsample_linear from one, aligned", |d| d.floats([1, 1, 1]).upsample_linear(4, true)),
        ("conv2d of one pixel to one by padding", |d| {
            d.floats([1, 1, 1, 1]).conv2d(&d.floats([1, 1, 3, 3]), &ConvOptions::new().padding(1))
        }),
        ("conv_transpose1d of one", |d| d.floats([1, 1, 1]).conv_transpose1d(&d.floats([1, 1, 3]), &ConvOptions::new().stride(4))),
        ("max pooling of one", |d| MaxPool1d::new(1).forward(&d.floats([1, 1, 1]), &Mode::train())),
        ("mean pooling of one, padded", |d| AvgPool2d::new(2).padding(1).forward(&d.floats([1, 1, 1, 1]), &Mode::train())),
        ("layer norm of one feature", |d| LayerNorm::new([1]).forward(&d.floats([3, 1]), &Mode::train()) + d.floats([3, 1])),
        ("attention to one key", |d| {
            let (q, k, v) = (d.floats([2, 3, 2]), d.floats([2, 1, 2]), d.floats([2, 1, 2]));
            scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none()) + q
        }),
        ("cross entropy of one class", |d| {
            let labels = d.uints([3], 1);
            cross_entropy(&d.floats([3, 1]), &labels) + d.floats([])
        }),
        ("a mean of one of one of one", |d| d.floats([1, 1, 1]).mean_axes(&[1]).mean_keep(&[0]).mean()),
    ];
    for (name, build) in cases {
        list.smooth(format!("edge: one: {name}"), Chain, build);
    }
    list.value("edge: one: argmax, argsort and places", Exact, |d| {
        let x = d.floats([3, 1]);
        x.argmax(1) + x.argsort(1, true).squeeze(1) + x.cummax(1).1.squeeze(1) + x.topk(1, 1, false).1.squeeze(1)
    });
    list.value("edge: one: var of one with a correction, hidden", Exact, |d| {
        // 0 / 0 is nobody's number: it must stay where it is.
        let x = d.floats([2, 1]).var(&[1], 1);
        x.isnan().where_(0.0, x)
    })
    .ieee();
}
