//! Moving elements: reshapes, permutations, slices, padding, joining, and views of views.

use noyau::Tensor;
use noyau::tensor::{concat, stack};

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    single(list);
    joined(list);
    chained(list);
    used(list);
}

fn single(list: &mut List) {
    list.smooth("reshape", Exact, |d| d.floats([3, 4]).reshape([2, 6]) * 1.0);
    list.smooth("reshape to and from a scalar", Exact, |d| d.floats([1, 1]).reshape([]).reshape([1]));
    list.smooth("flatten", Exact, |d| d.floats([2, 3, 2, 2]).flatten(1, -2));
    for axes in [[1, 0, 2], [2, 1, 0], [1, 2, 0], [-1, 0, 1]] {
        list.smooth(format!("permute {axes:?}"), Exact, move |d| d.floats([2, 3, 4]).permute(&axes));
    }
    list.smooth("permute eight axes", Exact, |d| d.floats([2, 1, 2, 1, 2, 1, 2, 2]).permute(&[7, 2, 5, 0, 3, 6, 1, 4]));
    list.smooth("transpose", Exact, |d| d.floats([2, 3, 4]).transpose(0, -1));
    list.smooth("t", Exact, |d| d.floats([2, 3, 4]).t());
    list.smooth("unsqueeze and squeeze", Exact, |d| d.floats([2, 3]).unsqueeze(1).unsqueeze(-1).squeeze(1));
    list.smooth("slice", Exact, |d| d.floats([5, 4]).slice(0, 1..4));
    list.smooth("slice to the end and from the start", Exact, |d| d.floats([5, 4]).slice(0, 2..).slice(-1, ..=2));
    list.value("slice of nothing", Exact, |d| d.floats([5, 4]).slice(0, 2..2));
    for step in [2, 3, 7, -1, -2, -3, -9] {
        list.smooth(format!("slice by {step}"), Exact, move |d| d.floats([8, 3]).slice_step(0, 1..8, step));
    }
    list.smooth("select", Exact, |d| d.floats([4, 3]).select(0, 2));
    list.smooth("flip", Exact, |d| d.floats([3, 4]).flip(&[1]));
    list.smooth("flip of two axes", Exact, |d| d.floats([3, 2, 4]).flip(&[0, -1]));
    list.smooth("pad", Exact, |d| d.floats([2, 3]).pad(&[(1, 0), (2, 3)], 0.0));
    list.smooth("pad with a value", Exact, |d| d.floats([2, 3]).pad(&[(1, 1), (0, 1)], -7.5));
    list.value("pad of nothing", Exact, |d| d.floats([0, 2]).pad(&[(1, 2), (0, 0)], 3.0));
    list.value("pad of integers", Exact, |d| d.ints([3], -9, 9).pad(&[(2, 1)], -4.0));
    list.value("views of bools", Exact, |d| d.bools([3, 4]).t().flip(&[0]).slice(1, 1..).pad(&[(1, 0), (0, 1)], 1.0));
    list.value("views of uints", Exact, |d| d.uints([3, 4], u32::MAX).t().slice_step(0, .., -2));
    list.smooth("split", Exact, |d| {
        let parts = d.floats([2, 7]).split(3, 1);
        parts[0].slice(1, ..1) * 2.0 + &parts[1].slice(1, 1..2) - &parts[2]
    });
}

fn joined(list: &mut List) {
    for axis in [0, 1, -1] {
        list.smooth(format!("concat on {axis}"), Exact, move |d| concat(&[&d.floats([2, 3, 2]), &d.floats([2, 3, 2])], axis));
    }
    list.smooth("concat of four, of different sizes", Exact, |d| {
        concat(&[&d.floats([2, 3]), &d.floats([1, 3]), &d.floats([4, 3]), &d.floats([1, 3])], 0)
    });
    list.smooth("concat with itself and its reverse", Exact, |d| {
        let x = d.floats([3, 2]);
        concat(&[&x, &x, &x.flip(&[0])], 0)
    });
    list.smooth("concat with nothing", Exact, |d| concat(&[&d.floats([2, 3]), &Tensor::zeros([2, 0]), &d.floats([2, 1])], 1));
    list.value("concat of integers", Exact, |d| concat(&[&d.ints([2], -9, 9), &d.ints([3], -9, 9)], 0));
    list.value("concat of bools", Exact, |d| concat(&[&d.bools([2]), &d.bools([3])], 0));
    list.smooth("concat of what is computed", Polynomial, |d| concat(&[&d.floats([2, 3]).tanh(), &(d.floats([2, 2]) * 3.0)], 1) * 2.0);
    for axis in [0, 1, -1] {
        list.smooth(format!("stack on {axis}"), Exact, move |d| stack(&[&d.floats([2, 3]), &d.floats([2, 3]), &d.floats([2, 3])], axis));
    }
}

fn chained(list: &mut List) {
    list.smooth("pad, then slice into the padding", Exact, |d| d.floats([3, 4]).pad(&[(2, 2), (1, 1)], 0.5).slice(0, 1..4).slice(1, ..5));
    list.smooth("pad of a pad of another value", Exact, |d| d.floats([2, 2]).pad(&[(1, 0), (0, 1)], 1.0).pad(&[(1, 1), (1, 1)], 2.0));
    list.smooth("reshape across padding", Exact, |d| d.floats([3, 3]).pad(&[(0, 1), (0, 1)], 9.0).reshape([2, 8]));
    list.smooth("padding selected, down to a scalar", Exact, |d| {
        let x = d.floats([1]);
        x.reshape([1, 1]).pad(&[(0, 0), (0, 1)], 0.5).reshape([2]).select(0, 1) + x.reshape([])
    });
    list.smooth("padded and cut back to what it was", Rounded, |d| {
        let x = (d.floats([4]) * 0.5 + 1.0).reshape([2, 2, 1]) * 0.25;
        x.unsqueeze(-1).pad(&[(0, 0), (0, 0), (0, 0), (0, 2)], 0.0).reshape([2, 2, 3]).slice(2, ..1) - x
    });
    list.smooth("reshape across a transposition", Exact, |d| d.floats([3, 4]).t().reshape([6, 2]));
    list.smooth("reshape across a flip and a step", Exact, |d| d.floats([6, 4]).flip(&[0, 1]).slice_step(0, .., 2).reshape([4, 3]));
    list.smooth("permute of a slice of an expansion", Exact, |d| d.floats([1, 4]).expand([3, 4]).slice(1, 1..3).permute(&[1, 0]));
    list.smooth("a step of a step, backwards", Exact, |d| d.floats([20]).slice_step(0, .., -2).slice_step(0, 1.., 3));
    list.smooth("repeat", Exact, |d| d.floats([2, 3]).unsqueeze(1).expand([2, 2, 3]).reshape([4, 3]));
    list.smooth("tile", Exact, |d| d.floats([2, 3]).unsqueeze(0).expand([2, 2, 3]).reshape([4, 3]));
    list.smooth("diagonal", Exact, |d| {
        // Rows of one element more than the matrix has: its diagonal is the first column.
        d.floats([4, 4]).reshape([16]).pad(&[(0, 4)], 0.0).reshape([4, 5]).t().pad(&[(0, 1), (0, 0)], 0.0).select(0, 0)
    });
    list.smooth("roll", Exact, |d| {
        let x = d.floats([7, 2]);
        concat(&[&x.slice(0, 5..), &x.slice(0, ..5)], 0)
    });
    list.smooth("windows", Exact, |d| {
        let x = d.floats([8]);
        stack(&(0..3).map(|i| x.slice(0, i..i + 6)).collect::<Vec<_>>().iter().collect::<Vec<_>>(), 1)
    });
    list.smooth("two convolutions' worth of views", Exact, |d| {
        let x = d.floats([2, 4, 4]).pad(&[(0, 0), (1, 1), (1, 1)], 0.0);
        x.slice(1, 1..5).slice_step(2, 2.., 2).permute(&[1, 0, 2]).reshape([8, 2])
    });
    list.smooth("pixel shuffle", Exact, |d| d.floats([4, 2, 3]).reshape([2, 2, 2, 3]).permute(&[2, 0, 3, 1]).reshape([4, 6]));
    list.smooth("far along and back", Exact, |d| {
        let x = d.floats([2, 3, 4]);
        x.permute(&[2, 0, 1]).reshape([8, 3]).t().flip(&[1]).reshape([3, 4, 2]).permute(&[2, 0, 1]).slice(2, 1..)
    });
}

fn used(list: &mut List) {
    list.smooth("a view of what is computed", Polynomial, |d| d.floats([3, 4]).tanh().t().flip(&[0]) * 2.0);
    list.smooth("a tensor and its transpose", Rounded, |d| {
        let x = d.floats([4, 4]);
        &x * x.t() + x
    })
    .twice();
    list.smooth("a tensor and its neighbours", Rounded, |d| {
        let x = d.floats([10]);
        x.slice(0, 2..) - x.slice(0, 1..9) * 2.0 + x.slice(0, ..8)
    });
    list.smooth("a tensor and its reverse", Rounded, |d| {
        let x = d.floats([9]);
        &x * x.flip(&[0])
    });
    list.smooth("a padded tensor in a sum", Rounded, |d| d.floats([4]).pad(&[(2, 2)], 1.0) * d.floats([8]));
    list.smooth("a sum's view in a map", Sum(4), |d| {
        let s = d.positive([3, 4]).sum_axes(&[1]);
        s.flip(&[0]).unsqueeze(1) * d.positive([3, 2])
    });
    list.smooth("steps with gaps both ways", Rounded, |d| {
        let x = d.floats([7, 7]);
        x.slice_step(0, .., 2).slice_step(1, .., 3) * x.slice_step(0, .., -2).slice_step(1, .., -3)
    });
    list.value("iota", Exact, |_| stack(&[&Tensor::iota([3, 4], 0), &Tensor::iota([3, 4], 1), &Tensor::iota([3, 4], -1)], 0));
    list.value("arange", Exact, |_| Tensor::arange(17) * 3);
    list.value("identity matrix", Exact, |_| Tensor::iota([5, 5], 0).eq(Tensor::iota([5, 5], 1)).to(noyau::DType::F32));
    list.value("views of iota", Exact, |_| Tensor::iota([4, 6], 1).t().flip(&[0]).slice(0, 1..5).pad(&[(1, 1), (0, 0)], 77.0));
}
