//! Reading and adding at places that are data.

use noyau::{DType, Tensor};

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    for axis in [0, 1, 2, -1] {
        list.smooth(format!("gather on {axis}"), Exact, move |d| {
            let mut shape = [3, 4, 5];
            let place = if axis < 0 { (axis + 3) as usize } else { axis as usize };
            shape[place] = 6;
            let index = d.uints(shape, [3, 4, 5][place]);
            d.floats([3, 4, 5]).gather(axis, &index)
        });
        list.smooth(format!("scatter_add on {axis}"), Sum(6), move |d| {
            let mut shape = [3, 4, 5];
            let place = if axis < 0 { (axis + 3) as usize } else { axis as usize };
            shape[place] = 6;
            let index = d.uints(shape, [3, 4, 5][place]);
            d.positive([3, 4, 5]).scatter_add(axis, &index, &d.positive(shape))
        });
        list.smooth(format!("index_select on {axis}"), Exact, move |d| {
            let index = d.uints([7], 3);
            d.floats([3, 4, 5]).index_select(axis, &index)
        });
    }
    list.smooth("gather out of range reads 0", Exact, |d| {
        let index = d.given([2, 4], &[0u32, 3, 2, u32::MAX, 1, 4, 1 << 31, 2]);
        d.floats([2, 3]).gather(1, &index)
    });
    list.smooth("gather with negative indices reads 0", Exact, |d| {
        let index = d.given([2, 4], &[0i32, -1, 2, i32::MIN, 1, 3, -3, 2]);
        d.floats([2, 3]).gather(1, &index)
    });
    list.smooth("scatter_add out of range adds nothing", Sum(4), |d| {
        let index = d.given([2, 4], &[0i32, -1, 2, 7, 1, 1, -3, 1]);
        d.positive([2, 3]).scatter_add(1, &index, &d.positive([2, 4]))
    });
    list.smooth("everything in one place", Sum(9), |d| {
        let index = Tensor::full([9], noyau::tensor::Scalar::Uint(1));
        d.positive([3]).scatter_add(0, &index, &d.positive([9]))
    });
    list.value("gather of integers", Exact, |d| {
        let index = d.uints([2, 3], 4);
        d.ints([2, 4], -99, 99).gather(1, &index)
    });
    list.value("gather of bools", Exact, |d| {
        let index = d.uints([2, 3], 4);
        d.bools([2, 4]).gather(1, &index)
    });
    list.value("gather from nothing, and of nothing", Exact, |d| {
        let (none, some) = (d.uints([2, 0], 9), d.uints([2, 3], 9));
        d.floats([2, 4]).gather(1, &none).sum() + d.floats([2, 0]).gather(1, &some).sum()
    });
    list.smooth("gather of what is computed, at computed places", Polynomial, |d| {
        let index = (d.uints([2, 3], 2) + 1u32) % 4;
        d.floats([2, 4]).tanh().gather(1, &index) * 2.0
    });
    list.smooth("gather through a view", Exact, |d| {
        let index = d.uints([3, 2], 4).t();
        d.floats([4, 2]).t().gather(1, &index)
    });
    list.smooth("scatter_add of what is computed", Chain, |d| {
        let index = d.uints([5], 3);
        d.floats([3]).scatter_add(0, &index, &d.floats([5]).tanh()) * 2.0
    });
    list.smooth("scatter_add of an expansion", Sum(6), |d| {
        let index = d.uints([4, 6], 3);
        d.positive([4, 3]).scatter_add(1, &index, &d.positive([4, 1]).expand([4, 6]))
    });
    list.smooth("gather, then scatter_add back", Sum(6), |d| {
        let (x, index) = (d.positive([4, 3]), d.uints([6], 4));
        let rows = x.index_select(0, &index);
        Tensor::zeros([4, 3]).scatter_add(0, &index.unsqueeze(1).expand([6, 3]), &(&rows * &rows))
    })
    .twice();
    list.smooth("a class's logit", Chain, |d| {
        let labels = d.uints([4], 5);
        d.floats([4, 5]).log_softmax(1).gather(1, &labels.unsqueeze(1))
    });
    list.smooth("an embedding of repeated words", Rounded, |d| {
        let words = d.given([2, 4], &[0u32, 1, 1, 3, 3, 3, 0, 1]);
        d.floats([5, 3]).index_select(0, &words.reshape([8])).reshape([2, 4, 3]) * d.floats([3])
    });
    list.value("one_hot", Exact, |d| d.given([2, 3], &[0u32, 4, 2, 1, 5, u32::MAX]).one_hot(5));
    list.value("one_hot of i32", Exact, |d| d.given([4], &[0i32, -1, 2, 5]).one_hot(3));
    list.wide("gather of many rows", Exact, |d| {
        let index = d.uints([3000], 100);
        d.floats([100, 17]).index_select(0, &index)
    });
    list.wide("scatter_add of many rows", Sum(60), |d| {
        let index = d.uints([3000], 100).unsqueeze(1).expand([3000, 7]);
        d.positive([100, 7]).scatter_add(0, &index, &d.positive([3000, 7]))
    });
    list.value("a histogram", Exact, |d| {
        let index = d.uints([5000], 16);
        Tensor::zeros([16]).scatter_add(0, &index, &Tensor::ones([5000]))
    });
    list.value("bytes taken out of words", Exact, |d| {
        let words = d.uints([3, 2], u32::MAX);
        let shifts = Tensor::arange(4) * 8;
        words.unsqueeze(-1).shr(&shifts).logical_and(255u32).to(DType::F32).reshape([3, 8])
    });
}
