//! Running sums, products and extremes: within one chunk of 16, over several, and over chunks of chunks.

use noyau::Tensor;

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    for axis in [0, 1, 2, -1, -2] {
        list.smooth(format!("cumsum on {axis}"), Sum(5), move |d| d.positive([3, 4, 5]).cumsum(axis));
        list.smooth(format!("cumprod on {axis}"), Product(5), move |d| d.positive([3, 4, 5]).cumprod(axis));
        list.smooth(format!("cummax on {axis}"), Exact, move |d| d.distinct([3, 4, 5]).cummax(axis).0);
        list.value(format!("cummax's places on {axis}"), Exact, move |d| d.distinct([3, 4, 5]).cummax(axis).1);
        list.smooth(format!("logcumsumexp on {axis}"), Chain, move |d| d.floats([3, 4, 5]).logcumsumexp(axis));
    }
    list.smooth("cumsum, twice", Chain, |d| d.floats([2, 6]).cumsum(1).tanh()).twice();
    list.smooth("cumprod, twice", Product(4), |d| d.positive([2, 4]).cumprod(1)).twice();
    list.smooth("cumprod with a zero and negative elements", Product(5), |d| {
        d.given([3, 5], &[1.5f32, 0.0, -2.0, 0.5, 3.0, -2.0, -0.5, -1.0, 4.0, 2.0, 0.0, 1.0, 3.0, 0.0, 2.0]).cumprod(1)
    });
    list.smooth("cummin", Exact, |d| d.distinct([3, 7]).cummin(1).0);
    list.smooth("logcumsumexp, twice", Chain, |d| d.floats([6]).logcumsumexp(0)).twice();
    list.smooth("cumsum over chunks", Sum(100), |d| d.positive([2, 100]).cumsum(1));
    list.smooth("cumprod over chunks", Product(70), |d| d.range([70], 0.8, 1.25).cumprod(0));
    list.smooth("cummax over chunks", Exact, |d| d.distinct([2, 70]).cummax(1).0);
    list.smooth("cummin over chunks", Exact, |d| d.distinct([70, 2]).cummin(0).0);
    list.smooth("logcumsumexp over chunks", Chain, |d| d.floats([2, 70]).logcumsumexp(1));
    list.value("cummax's places over chunks, with equals", Exact, |d| d.ints([3, 100], -4, 4).cummax(1).1);
    list.value("cummin's places over chunks, with equals", Exact, |d| d.ints([3, 100], -4, 4).cummin(1).1);
    list.wide("cumsum over chunks of chunks", Sum(2500), |d| d.positive([2, 2500]).cumsum(1));
    list.wide("logcumsumexp over chunks of chunks", Chain, |d| d.floats([2500]).logcumsumexp(0));
    list.value("cummax over chunks of chunks", Exact, |d| d.distinct([2500]).cummax(0).0);
    list.value("cumsum of a hundred thousand", Sum(100_000), |d| d.positive([100_003]).cumsum(0));
    list.value("i32 cumsum wraps", Exact, |d| d.ints([3, 90], i32::MIN, i32::MAX).cumsum(1));
    list.value("u32 cumprod wraps", Exact, |d| d.uints([90], u32::MAX).cumprod(0));
    list.value("u32 cummax", Exact, |d| d.uints([90], u32::MAX).cummax(0).0);
    for n in [0, 1, 16, 17] {
        list.value(format!("scans of {n} elements"), Sum(66), move |d| {
            let x = d.positive([2, n]);
            x.cumsum(1) + x.cumprod(1) + x.cummax(1).0 + x.cummin(1).0
        });
    }
    list.value("scans of no rows", Exact, |d| d.floats([0, 40]).cumsum(1) + d.floats([0, 40]).cummax(1).0);
    list.wide("logcumsumexp of large numbers", Chain, |d| d.given([2, 3], &[1000.0f32, 1001.0, -1000.0, -1e4, -1e4, 1e4]).logcumsumexp(1));
    list.wide("cummax of equals goes to the last", Exact, |d| d.given([6], &[1.0f32, 3.0, 3.0, 2.0, 3.0, 1.0]).cummax(0).0);
    list.smooth("cumsum of what is computed", Chain, |d| (d.floats([40, 2]).tanh() * d.floats([2])).cumsum(0).sin());
    list.smooth("a running mean", Chain, |d| {
        let x = d.floats([3, 40]);
        x.cumsum(1) / (Tensor::arange(40) + 1).to(noyau::DType::F32)
    });
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    list.value("ieee: cumsum stays on its side of a NaN", Rounded, move |d| d.given([5], &[1.0f32, 2.0, nan, 3.0, inf]).cumsum(0)).ieee();
    list.value("ieee: cumsum of infinities", Exact, move |d| d.given([5], &[1.0f32, inf, 2.0, -inf, 3.0]).cumsum(0)).ieee();
    list.value("ieee: cummax of NaN and infinity", Exact, move |d| d.given([6], &[-inf, 2.0, inf, nan, 9.0, nan]).cummax(0).0).ieee();
    list.value("ieee: places of cummax with NaN", Exact, move |d| d.given([6], &[-inf, 2.0, inf, nan, 9.0, nan]).cummax(0).1).ieee();
    list.value("ieee: cummin from minus infinity", Exact, move |d| d.given([4], &[inf, -inf, 3.0, -inf]).cummin(0).1).ieee();
    list.value("ieee: logcumsumexp of infinities", Chain, move |d| d.given([5], &[-inf, -inf, 2.0, inf, 1.0]).logcumsumexp(0)).ieee();
}
