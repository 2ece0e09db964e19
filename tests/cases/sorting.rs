//! Sorting: one run, several runs merged, ties, all types, and what is made of the order.

use noyau::{DType, Tensor};

use super::{Class::*, Data, List};

/// Every kind of float, with ties.
fn odd(d: &mut Data) -> Tensor {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    d.given([12], &[1.0f32, nan, -inf, 0.0, inf, nan, -0.0, 1.0, inf, -2.0, 3.4028235e38, -inf])
}

pub fn cases(list: &mut List) {
    for axis in [0, 1, 2, -1] {
        for descending in [false, true] {
            list.smooth(format!("sort on {axis}, descending {descending}"), Exact, move |d| d.distinct([3, 4, 5]).sort(axis, descending).0);
            list.value(format!("argsort on {axis}, descending {descending}"), Exact, move |d| {
                d.distinct([3, 4, 5]).argsort(axis, descending)
            });
        }
    }
    for descending in [false, true] {
        list.value(format!("argsort of equals, descending {descending}"), Exact, move |d| d.ints([3, 50], -3, 3).argsort(1, descending));
        list.value(format!("argsort of equal floats over runs, descending {descending}"), Exact, move |d| {
            d.ints([2, 300], -9, 9).to(DType::F32).argsort(1, descending)
        });
        list.value(format!("argsort of equal integers over runs, descending {descending}"), Exact, move |d| {
            d.uints([300, 2], 9).argsort(0, descending)
        });
        list.value(format!("sort of bools, descending {descending}"), Exact, move |d| d.bools([40]).sort(0, descending).0);
        list.value(format!("argsort of bools, descending {descending}"), Exact, move |d| d.bools([40]).argsort(0, descending));
        list.value(format!("sort of the ends of u32, descending {descending}"), Exact, move |d| {
            d.given([6], &[u32::MAX, 0, 7, 1 << 31, u32::MAX, 0]).argsort(0, descending)
        });
        list.value(format!("sort of the ends of i32 over runs, descending {descending}"), Exact, move |d| {
            let ends = d.given([4], &[i32::MIN, i32::MAX, 0, -1]).unsqueeze(1).repeat(&[1, 50]).reshape([200]);
            ends.argsort(0, descending)
        });
        list.value(format!("ieee: sort of odd floats, descending {descending}"), Exact, move |d| odd(d).sort(0, descending).0).ieee();
        list.value(format!("ieee: argsort of odd floats, descending {descending}"), Exact, move |d| odd(d).argsort(0, descending)).ieee();
        list.value(format!("ieee: argsort of odd floats over runs, descending {descending}"), Exact, move |d| {
            odd(d).repeat(&[30]).argsort(0, descending)
        })
        .ieee();
    }
    list.smooth("sort over two runs", Exact, |d| d.distinct([150]).sort(0, false).0);
    for n in [127, 128, 129, 256, 257, 1000, 2500] {
        list.value(format!("sort of {n}"), Exact, move |d| d.distinct([n]).sort(0, n % 2 == 0).0);
        list.value(format!("argsort of {n}"), Exact, move |d| d.floats([n]).argsort(0, n % 2 == 1));
    }
    for n in [0, 1, 2] {
        list.value(format!("sort of {n} elements"), Exact, move |d| d.distinct([3, n]).sort(1, true).0);
    }
    list.value("sort of no rows", Exact, |d| d.floats([0, 5]).sort(1, false).1);
    list.value("sort of signed zeros", Exact, |d| d.given([4], &[0.0f32, -0.0, 0.0, -0.0]).argsort(0, true));
    // Runs of which only the first are kept: with and without filling, of fewer and of more elements than a run, NaN among the last or the first.
    for (n, k) in [(129, 1), (256, 10), (257, 64), (1000, 65), (1000, 10), (2500, 300), (70, 70)] {
        for largest in [false, true] {
            list.value(format!("topk {k} of {n}, largest {largest}"), Exact, move |d| d.distinct([2, n]).topk(k, 1, largest).0);
            list.value(format!("topk {k} of {n} with equals, largest {largest}"), Exact, move |d| {
                d.ints([2, n], -9, 9).topk(k, 1, largest).1
            });
        }
        list.value(format!("kthvalue {k} of {n}"), Exact, move |d| d.distinct([n, 2]).kthvalue(k, 0).1);
    }
    for largest in [false, true] {
        list.value(format!("ieee: topk of odd floats over runs, largest {largest}"), Exact, move |d| {
            odd(d).repeat(&[30]).topk(70, 0, largest).1
        })
        .ieee();
        list.value(format!("topk 0, largest {largest}"), Exact, move |d| d.distinct([3, 200]).topk(0, 1, largest).1);
    }
    for largest in [false, true] {
        list.smooth(format!("topk, largest {largest}"), Exact, move |d| d.distinct([4, 9]).topk(3, 1, largest).0);
        list.value(format!("topk's places, largest {largest}"), Exact, move |d| d.distinct([9, 4]).topk(3, 0, largest).1);
        list.value(format!("topk of equals, largest {largest}"), Exact, move |d| d.ints([3, 20], 0, 3).topk(5, -1, largest).1);
    }
    list.value("topk of a thousand", Exact, |d| d.distinct([2, 1000]).topk(5, 1, true).1);
    list.value("topk of none and of all", Exact, |d| {
        let x = d.distinct([2, 4]);
        noyau::tensor::concat(&[&x.topk(0, 1, true).0, &x.topk(4, 1, true).0], 1)
    });
    list.smooth("kthvalue", Exact, |d| d.distinct([4, 7]).kthvalue(3, 1).0);
    list.value("kthvalue's place", Exact, |d| d.distinct([7, 4]).kthvalue(7, 0).1);
    list.smooth("median of an odd number", Exact, |d| d.distinct([3, 7]).median(1).0);
    list.smooth("median of an even number", Exact, |d| d.distinct([6, 3]).median(0).0);
    list.value("median's place", Exact, |d| d.ints([5, 8], -3, 3).median(-1).1);
    list.value("ieee: median with NaN", Exact, |d| d.given([2, 3], &[1.0f32, f32::NAN, 2.0, 5.0, f32::INFINITY, 4.0]).median(1).0).ieee();
    for q in [0.0, 0.25, 0.3, 0.5, 1.0] {
        list.smooth(format!("quantile {q}"), Rounded, move |d| d.distinct([3, 6]).quantile(q, 1));
    }
    list.value("quantile of one", Exact, |d| d.floats([3, 1]).quantile(0.4, 1));
    list.value("ieee: quantile with NaN", Exact, |d| d.given([3], &[1.0f32, f32::NAN, 2.0]).quantile(0.0, 0)).ieee();
    for right in [false, true] {
        list.value(format!("searchsorted, right {right}"), Exact, move |d| {
            let edges = d.ints([9], -4, 4).sort(0, false).0;
            edges.searchsorted(&d.ints([3, 5], -6, 6), right)
        });
        list.value(format!("searchsorted in rows, right {right}"), Exact, move |d| {
            let edges = d.ints([3, 9], -4, 4).sort(1, false).0;
            edges.searchsorted(&d.ints([3, 5], -6, 6), right)
        });
    }
    list.value("randperm is a permutation", Exact, |_| Tensor::randperm(200).sort(0, false).0);
    list.smooth("sort of what is computed", Chain, |d| (d.distinct([3, 6]).tanh() * 2.0).sort(1, false).0 * d.floats([6]));
    list.smooth("a trimmed mean", Rounded, |d| d.distinct([3, 8]).sort(1, false).0.slice(1, 2..6).mean_axes(&[1]));
}
