//! Lengths, distances, spread, and questions about all elements.

use noyau::tensor::{concat, stack};
use noyau::{DType, Tensor};

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    list.smooth("norm", Chain, |d| d.floats([3, 4]).norm()).twice();
    for p in [0.5, 1.0, 2.0, 3.0, -1.0, f64::INFINITY, f64::NEG_INFINITY] {
        list.smooth(format!("vector_norm {p}"), Chain, move |d| (d.distinct([3, 4]) + 0.05).vector_norm(p, &[1]));
        list.smooth(format!("vector_norm {p} over two axes, kept"), Chain, move |d| {
            (d.distinct([2, 3, 2]) + 0.05).vector_norm_keep(p, &[0, 2])
        });
        // A row of zeros has no slope, and its gradient is 0 (for the infinities: shared among equals, of sign 0).
        list.wide(format!("vector_norm {p} with zeros"), Chain, move |d| {
            d.given([3], &[0.0f32, 3.0, 4.0]).abs().vector_norm(p.max(0.5), &[0])
        });
        list.wide(format!("vector_norm {p} of nothing but zeros"), Chain, move |d| {
            d.given([2, 2], &[0.0f32; 4]).vector_norm(p.abs(), &[1])
        });
    }
    list.value("vector_norm 0", Exact, |d| d.given([2, 3], &[0.0f32, -0.0, 3.0, 4.0, 5.0, 0.0]).vector_norm(0.0, &[1]));
    list.value("norm of an empty axis", Exact, |d| d.floats([2, 0]).vector_norm(2.0, &[1]));
    list.smooth("normalize", Chain, |d| d.floats([3, 4]).normalize(2.0, 1, 1e-12)).twice();
    list.wide("normalize of zeros", Chain, |d| d.given([2, 2], &[0.0f32, 0.0, 3.0, 4.0]).normalize(2.0, 1, 1e-12));
    list.smooth("cosine_similarity", Chain, |d| d.floats([3, 4]).cosine_similarity(&d.floats([3, 4]), 1, 1e-8));
    list.smooth("cosine_similarity, broadcast", Chain, |d| d.floats([3, 1, 4]).cosine_similarity(&d.floats([2, 4]), -1, 1e-8));
    list.smooth("pairwise_distance", Chain, |d| d.floats([3, 4]).pairwise_distance(&d.floats([3, 4]), 2.0, 1e-6));
    for p in [1.0, 2.0, 3.0, f64::INFINITY] {
        list.smooth(format!("cdist {p}"), Chain, move |d| {
            let x = d.distinct([30]);
            x.slice(0, ..12).reshape([4, 3]).cdist(&x.slice(0, 12..27).reshape([5, 3]), p)
        });
    }
    list.smooth("cdist of batches", Chain, |d| d.floats([2, 3, 4]).cdist(&d.floats([5, 4]), 2.0));
    list.wide("cdist to itself", Chain, |d| {
        let x = d.floats([5, 3]);
        x.cdist(&x, 2.0)
    });
    list.smooth("std", Chain, |d| d.floats([4, 5]).std(&[1], 1));
    list.wide("std of equals", Chain, |d| d.given([2, 3], &[2.0f32, 2.0, 2.0, 1.0, 2.0, 4.0]).std(&[1], 1));
    list.smooth("var_mean", Chain, |d| {
        let (var, mean) = d.floats([4, 5]).var_mean(&[0], 0);
        var * 3.0 + mean
    });
    list.smooth("std_mean", Chain, |d| {
        let (std, mean) = d.floats([4, 5]).std_mean(&[-1], 1);
        std * 3.0 + mean
    });
    list.smooth("aminmax", Rounded, |d| {
        let (least, most) = d.distinct([4, 5]).aminmax(&[1]);
        most - least
    });
    list.smooth("logsumexp, axes removed", Chain, |d| d.floats([3, 5]).logsumexp(&[1])).twice();
    list.smooth("logsumexp over all, axes removed", Chain, |d| d.floats([3, 5]).logsumexp(&[]));
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    list.value("ieee: logsumexp of infinities", Chain, move |d| {
        d.given([4, 2], &[-inf, -inf, inf, 1.0, -inf, 2.0, inf, -inf]).logsumexp(&[1])
    })
    .ieee();
    list.value("ieee: nansum and nanmean", Rounded, move |d| {
        let x = d.given([3, 3], &[1.0f32, nan, 2.0, nan, nan, nan, 1.5, 2.5, 5.0]);
        stack(&[&x.nansum(&[1]), &x.nanmean(&[1])], 0)
    })
    .ieee();
    for axes in [&[][..], &[0], &[-1]] {
        list.value(format!("all, any and count_nonzero over {axes:?}"), Exact, move |d| {
            let x = d.ints([4, 3], -1, 2);
            let b = d.bools([4, 3]);
            let all = x.all(axes).to(DType::U32) + b.all(axes).to(DType::U32) * 10;
            all + x.any(axes).to(DType::U32) * 100 + b.any(axes).to(DType::U32) * 1000 + x.count_nonzero(axes) * 10_000
        });
    }
    list.value("all and any of nothing", Exact, |d| concat(&[&d.bools([2, 0]).all(&[1]), &d.bools([2, 0]).any(&[1])], 0));
    list.value("all and any of a scalar", Exact, |d| d.given([], &[2.0f32]).all(&[]).logical_and(d.given([], &[true]).any(&[])));
    list.value("equal", Exact, |d| {
        let x = d.ints([3, 4], 0, 9);
        x.equal(&(&x + 0)).logical_and(x.equal(&(&x + Tensor::iota([3, 4], 1).to(DType::I32))).logical_not())
    });
    list.value("isin", Exact, |d| d.ints([4, 5], -9, 9).isin(&d.ints([2, 3], -9, 9)));
    list.value("bincount", Exact, |d| d.ints([5, 20], -2, 8).bincount(6));
}
