//! Sums, products, extremes and what is made of them, over any axes.

use noyau::Tensor;

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    sums(list);
    extremes(list);
    made_of_them(list);
    awkward(list);
}

fn sums(list: &mut List) {
    for axes in [&[][..], &[0], &[1], &[2], &[-1], &[0, 1], &[0, 2], &[1, 2], &[2, 0, 1]] {
        list.smooth(format!("sum over {axes:?}"), Sum(60), move |d| d.positive([3, 4, 5]).sum_axes(axes));
        list.smooth(format!("mean over {axes:?}, kept"), Sum(60), move |d| d.positive([3, 4, 5]).mean_keep(axes));
    }
    list.smooth("sum", Sum(12), |d| d.positive([3, 4]).sum());
    list.smooth("sum, kept", Sum(4), |d| d.positive([3, 4]).sum_keep(&[1]));
    list.smooth("mean", Sum(12), |d| d.positive([3, 4]).mean());
    list.smooth("mean over an axis", Sum(4), |d| d.positive([3, 4]).mean_axes(&[1]));
    list.smooth("sum of squares", Sum(12), |d| d.floats([3, 4]).square().sum()).twice();
    list.smooth("prod", Product(4), |d| d.positive([3, 4]).prod(&[1])).twice();
    list.smooth("prod with a zero", Product(3), |d| d.given([3, 3], &[1.5f32, 0.0, -2.0, 0.5, 3.0, 2.0, 0.0, 0.0, 4.0]).prod(&[1]));
    list.smooth("prod over all", Product(6), |d| d.positive([2, 3]).prod(&[]));
}

fn extremes(list: &mut List) {
    for axes in [&[][..], &[0], &[1], &[-1], &[0, 2], &[1, 0]] {
        list.smooth(format!("max over {axes:?}"), Exact, move |d| d.distinct([3, 4, 5]).max(axes));
        list.smooth(format!("min over {axes:?}"), Exact, move |d| d.distinct([3, 4, 5]).min(axes));
    }
    list.smooth("max and min, kept", Exact, |d| {
        let x = d.distinct([4, 6]);
        x.max_keep(&[1]) - x.min_keep(&[0])
    });
    list.wide("max of equals", Rounded, |d| d.given([2, 4], &[1.0f32, 3.0, 3.0, 2.0, 5.0, 5.0, 5.0, 5.0]).max(&[1]));
    list.wide("min of equals", Rounded, |d| d.given([2, 4], &[1.0f32, 1.0, 3.0, 2.0, 5.0, 5.0, 5.0, 5.0]).min(&[1]));
    list.value("max of negative numbers", Exact, |d| d.range([3, 5], -9.0, -1.0).max(&[1]));
    list.value("min of positive numbers", Exact, |d| d.range([3, 5], 1.0, 9.0).min(&[1]));
    for axis in [0, 1, -1] {
        list.value(format!("argmax over {axis}"), Exact, move |d| d.distinct([3, 4, 5]).argmax(axis));
        list.value(format!("argmin over {axis}"), Exact, move |d| d.distinct([3, 4, 5]).argmin(axis));
    }
    list.value("argmax of equals is the first", Exact, |d| d.given([2, 4], &[1.0f32, 3.0, 3.0, 2.0, 5.0, 5.0, 5.0, 5.0]).argmax(1));
    list.value("argmin of equals is the first", Exact, |d| d.given([2, 4], &[2.0f32, 1.0, 3.0, 1.0, 5.0, 5.0, 5.0, 5.0]).argmin(1));
}

fn made_of_them(list: &mut List) {
    for axis in [0, 1, 2, -1] {
        list.smooth(format!("softmax over {axis}"), Chain, move |d| d.floats([2, 3, 4]).softmax(axis));
        list.smooth(format!("log_softmax over {axis}"), Chain, move |d| d.floats([2, 3, 4]).log_softmax(axis));
    }
    list.smooth("softmax of a vector, twice", Chain, |d| d.floats([6]).softmax(0)).twice();
    list.smooth("log_softmax, twice", Chain, |d| d.floats([3, 4]).log_softmax(1)).twice();
    list.wide("softmax of large numbers", Chain, |d| d.given([2, 3], &[1000.0f32, 1001.0, 999.0, -1000.0, -1e4, 1e4]).softmax(1));
    list.wide("log_softmax of large numbers", Chain, |d| d.given([2, 3], &[1000.0f32, 1001.0, 999.0, -1000.0, -1e4, 1e4]).log_softmax(1));
    list.smooth("logsumexp", Chain, |d| d.floats([3, 5]).logsumexp_keep(&[1])).twice();
    list.smooth("logsumexp over all", Chain, |d| d.floats([3, 5]).logsumexp_keep(&[]));
    list.wide("logsumexp of large numbers", Chain, |d| d.given([2, 2], &[1000.0f32, 1001.0, -1e4, -1e4]).logsumexp_keep(&[1]));
    for correction in [0, 1] {
        list.smooth(format!("var, correction {correction}"), Chain, move |d| d.floats([4, 5]).var(&[1], correction));
        list.smooth(format!("var over two axes, correction {correction}"), Chain, move |d| d.floats([3, 4, 2]).var(&[0, 2], correction));
    }
    list.smooth("normalised rows", Chain, |d| {
        let x = d.floats([3, 8]);
        let centred = &x - x.mean_keep(&[1]);
        &centred * (x.var(&[1], 0) + 1e-3).rsqrt().unsqueeze(1)
    })
    .twice();
    list.smooth("a softmax of a softmax", Chain, |d| d.floats([3, 6]).softmax(1).softmax(0));
    list.smooth("a row's sum, maximum and mean together", Chain, |d| {
        let x = d.distinct([5, 7]);
        x.sum_keep(&[1]) * x.max_keep(&[1]) + x.mean_keep(&[1]) * &x
    });
    list.smooth("sums over different axes together", Chain, |d| {
        let x = d.positive([4, 6]);
        x.sum_keep(&[0]) * x.sum_keep(&[1]) + x.sum()
    });
    list.smooth("a reduction's result used twice", Chain, |d| {
        let s = d.positive([3, 5]).sum_axes(&[1]);
        s.exp() * 0.001 + s.log() + &s * &s
    });
}

fn awkward(list: &mut List) {
    list.smooth("sum over an axis of size 1", Exact, |d| d.floats([3, 1, 2]).sum_axes(&[1]));
    list.smooth("max over an axis of size 1", Exact, |d| d.floats([3, 1, 2]).max(&[1]));
    list.value("sum over nothing", Exact, |d| d.floats([3, 0]).sum_axes(&[1]));
    list.value("prod over nothing", Exact, |d| d.floats([3, 0]).prod(&[1]));
    list.value("i32 sum over nothing", Exact, |d| d.ints([2, 0, 2], 0, 9).sum_axes(&[1]) + 5);
    list.value("sum to nothing", Exact, |d| d.floats([0, 3]).sum_axes(&[1]));
    list.value("max to nothing", Exact, |d| d.floats([0, 3]).max(&[1]));
    list.smooth("sum of a scalar", Exact, |d| d.floats([]).sum());
    list.smooth("sum over three of five axes", Sum(12), |d| d.positive([2, 3, 2, 2, 2]).sum_axes(&[0, 2, 4]));
    list.smooth("sum over every other of eight axes", Sum(16), |d| d.positive([2, 1, 2, 2, 1, 2, 2, 2]).sum_axes(&[0, 3, 5, 7]));
    list.smooth("sum of an expanded tensor", Sum(20), |d| d.positive([4, 1]).expand([3, 4, 5]).sum_axes(&[0, 2]));
    list.smooth("sum of a transposed tensor", Sum(5), |d| d.positive([4, 5]).t().sum_axes(&[0]));
    list.smooth("max of a flipped tensor", Exact, |d| d.distinct([4, 5]).flip(&[1]).max(&[1]));
    list.smooth("sum of a padded tensor", Sum(6), |d| d.positive([2, 3]).pad(&[(1, 2), (0, 4)], 0.5).sum_axes(&[1]));
    list.smooth("sum of a strided tensor", Sum(6), |d| d.positive([9, 4]).slice_step(0, 1.., 3).sum_axes(&[0]));
    list.smooth("sum of rows that are computed", Chain, |d| (d.floats([4, 1]) * d.floats([1, 6])).tanh().sum_axes(&[1]));
    list.value("argmax of what is computed", Exact, |d| (d.distinct([3, 7]) * -1.0).argmax(1));
    list.value("accuracy", Exact, |d| {
        let labels = d.uints([9], 4);
        d.distinct([9, 4]).argmax(-1).eq(labels).to(noyau::DType::F32).sum()
    });
    list.value("cumulative sum", Sum(6), |d| {
        let x = d.positive([3, 6]);
        let (row, column) = (Tensor::iota([6, 6], 0), Tensor::iota([6, 6], 1));
        x.unsqueeze(1).expand([3, 6, 6]).sum_axes(&[2]) * 0.0 + row.ge(&column).where_(x.unsqueeze(1), 0.0).sum_axes(&[2])
    });
}
