//! Matrix products: sizes, batches, operands that are views, and what fuses with them.

use noyau::Tensor;

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    let small: [(&[usize], &[usize]); 15] = [
        (&[2, 3], &[3, 4]),
        (&[1, 1], &[1, 1]),
        (&[1, 5], &[5, 1]),
        (&[5, 1], &[1, 5]),
        (&[4], &[4]),
        (&[4], &[4, 3]),
        (&[3, 4], &[4]),
        (&[2, 3, 4], &[2, 4, 2]),
        (&[2, 3, 4], &[4, 2]),
        (&[3, 4], &[2, 4, 2]),
        (&[2, 1, 2, 3], &[3, 3, 2]),
        (&[1, 2, 3], &[2, 3, 2]),
        (&[2, 1, 1, 2, 2], &[1, 2, 1, 2, 2]),
        (&[4], &[2, 4, 3]),
        (&[2, 3, 4], &[4]),
    ];
    for (a, b) in small {
        list.smooth(format!("matmul {a:?} x {b:?}"), Sum(5), move |d| d.positive(a).matmul(&d.positive(b)));
    }
    list.smooth("matmul, twice", Sum(3), |d| d.floats([2, 3]).matmul(&d.floats([3, 2])).tanh()).twice();
    for (m, k, n) in [(0, 3, 2), (2, 0, 3), (2, 3, 0)] {
        list.value(format!("matmul [{m}, {k}] x [{k}, {n}]"), Exact, move |d| d.floats([m, k]).matmul(&d.floats([k, n])) + 1.0);
    }
    for (m, k, n) in [
        (17, 33, 65),
        (64, 64, 64),
        (65, 63, 129),
        (130, 260, 70),
        (1, 300, 200),
        (200, 300, 1),
        (33, 1000, 7),
        (100, 1, 100),
        (128, 784, 10),
    ] {
        list.wide(format!("matmul of {m} x {k} x {n}"), Sum(k), move |d| d.floats([m, k]).matmul(&d.floats([k, n])));
        list.wide(format!("transposed matmul of {m} x {k} x {n}"), Sum(k), move |d| d.floats([k, m]).t().matmul(&d.floats([n, k]).t()));
    }
    list.wide("a long inner product", Sum(20_000), |d| d.positive([3, 20_000]).matmul(&d.positive([20_000, 5])));
    list.wide("many small products", Sum(8), |d| d.floats([150, 5, 8]).matmul(&d.floats([150, 8, 3])));
    list.smooth("product with the transpose", Sum(3), |d| {
        let x = d.positive([4, 3]);
        x.matmul(&x.t())
    })
    .twice();
    list.smooth("transposed x plain", Sum(4), |d| d.positive([4, 3]).t().matmul(&d.positive([4, 2])));
    list.smooth("plain x transposed", Sum(4), |d| d.positive([3, 4]).matmul(&d.positive([2, 4]).t()));
    list.smooth("transposed x transposed", Sum(4), |d| d.positive([4, 3]).t().matmul(&d.positive([2, 4]).t()));
    list.smooth("sliced operands", Sum(4), |d| {
        d.positive([6, 5]).slice(0, 1..4).slice(1, 1..5).matmul(&d.positive([8, 3]).slice_step(0, .., 2))
    });
    list.smooth("flipped operands", Sum(4), |d| d.positive([3, 4]).flip(&[0]).matmul(&d.positive([4, 3]).flip(&[0, 1])));
    list.smooth("expanded operands", Sum(4), |d| d.positive([1, 4]).expand([3, 4]).matmul(&d.positive([4, 1]).expand([4, 2])));
    list.smooth("padded operands", Sum(5), |d| {
        d.positive([2, 3]).pad(&[(1, 0), (1, 1)], 0.0).matmul(&d.positive([4, 2]).pad(&[(0, 1), (0, 0)], 0.5))
    });
    list.smooth("permuted batches", Sum(4), |d| {
        d.positive([3, 2, 4]).permute(&[1, 0, 2]).matmul(&d.positive([4, 2, 3]).permute(&[1, 0, 2]))
    });
    list.smooth("heads", Sum(4), |d| {
        let heads = |x: Tensor| x.reshape([3, 2, 4]).permute(&[1, 0, 2]);
        heads(d.positive([3, 8])).matmul(&heads(d.positive([3, 8])).t())
    });
    list.smooth("operands that are computed", Sum(4), |d| (d.positive([3, 4]) * 2.0).matmul(&d.positive([4, 2]).sqrt()));
    list.smooth("three in a row", Chain, |d| d.positive([2, 3]).matmul(&d.positive([3, 4])).matmul(&d.positive([4, 2])));
    list.smooth("bias and activation", Chain, |d| (d.floats([4, 3]).matmul(&d.floats([3, 5])) + d.floats([5])).tanh());
    list.smooth("bias along the rows", Chain, |d| (d.floats([4, 3]).matmul(&d.floats([3, 5])) * d.floats([4, 1]) + 1.0).sin());
    list.smooth("a product's transpose used", Sum(3), |d| d.positive([4, 3]).matmul(&d.positive([3, 5])).t() + d.positive([5, 4]));
    list.smooth("a product's sum", Sum(15), |d| d.positive([4, 3]).matmul(&d.positive([3, 5])).sum_axes(&[1]));
    list.smooth("a product's softmax", Chain, |d| d.floats([4, 3]).matmul(&d.floats([3, 5])).softmax(1));
    list.smooth("two products added", Sum(7), |d| {
        d.positive([4, 3]).matmul(&d.positive([3, 2])) + d.positive([4, 4]).matmul(&d.positive([4, 2]))
    });
    list.smooth("a product used twice", Chain, |d| {
        let y = d.floats([3, 2]).matmul(&d.floats([2, 3]));
        &y * &y + y.t()
    });
    list.smooth("a product reshaped into the next", Chain, |d| {
        d.positive([4, 3]).matmul(&d.positive([3, 6])).reshape([8, 3]).matmul(&d.positive([3, 2]))
    });
    list.smooth("convolution as a product of windows", Chain, |d| {
        let (x, w) = (d.floats([2, 7]), d.floats([3, 4]));
        let windows: Vec<Tensor> = (0..3).map(|i| x.slice(1, i..i + 5)).collect();
        noyau::tensor::stack(&windows.iter().collect::<Vec<_>>(), 2).matmul(&w)
    });
}
