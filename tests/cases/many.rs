//! What goes beyond a device's counts: workgroups, bindings, loop turns. Sizes are the least that do.

use noyau::{DType, Tensor};

use super::{Class::*, Data, List};

/// The sum of tensors, pairwise.
fn tree(mut terms: Vec<Tensor>) -> Tensor {
    while terms.len() > 1 {
        terms = terms.chunks(2).map(|pair| if let [a, b] = pair { a + b } else { pair[0].clone() }).collect();
    }
    terms.swap_remove(0)
}

fn large(d: &mut Data, n: usize) -> Vec<Tensor> {
    // More than 64 KiB each: too large to share a binding.
    (0..n).map(|_| d.positive([16_500])).collect()
}

pub fn cases(list: &mut List) {
    // 65,535 workgroups of 256 make 16,776,960 elements: a row more than that takes a second dimension of the grid.
    list.value("a map of more workgroups than one dimension has", Exact, |d| {
        let n = 16_776_960 + 300;
        Tensor::arange(n).logical_and(1023u32).to(DType::F32) * d.given([1], &[0.5f32])
    });
    list.value("a sum of more workgroups than one dimension has", Exact, |d| {
        // Small whole numbers: exact in any order.
        let n = 65_535 * 256 + 700;
        (Tensor::arange(n).logical_and(3u32).to(DType::F32) * d.given([1], &[1.0f32])).reshape([4, n / 4]).sum_axes(&[0])
    });
    list.wide("70,000 short rows", Sum(3), |d| d.positive([70_000, 3]).sum_axes(&[1]));
    list.wide("70,000 products", Sum(2), |d| d.positive([70_000, 1, 2]).matmul(&d.positive([2, 2])));
    list.value("70,000 separate products", Sum(2), |d| d.positive([70_000, 1, 2]).matmul(&d.positive([70_000, 2, 1])));
    list.value("70,000 rows of 100", Exact, |_| Tensor::iota([70_000, 100], 1).sum_axes(&[1]));
    list.value("70,000 gathered rows", Exact, |d| {
        let index = d.uints([70_000], 50);
        d.floats([50, 2]).index_select(0, &index)
    });
    list.value("70,000 places to add to", Rounded, |d| {
        let index = d.uints([300], 70_000);
        Tensor::zeros([70_000]).scatter_add(0, &index, &d.positive([300]))
    });

    list.wide("a sum of a million", Sum(1_000_000), |d| d.positive([1_000_000]).sum());
    // What a driver that stops loops after 65,535 turns makes 262,132 of.
    list.value("a sum of a million ones", Exact, |d| {
        // Computed, so that nobody can tell that they are equal.
        let mask = d.given([1], &[0u32]);
        (d.given([1], &[1.0f32]) + Tensor::arange(1_000_000).logical_and(&mask).to(DType::F32)).sum()
    });
    list.wide("a mean of 1,000,003", Sum(1_000_003), |d| d.positive([1_000_003]).mean());
    list.value("a maximum of 1,000,003", Exact, |d| d.range([1_000_003], -5.0, -1.0).max(&[]));
    list.value("a minimum of 300,007 integers", Exact, |d| d.ints([300_007], i32::MIN, i32::MAX).min(&[]));
    list.value("an argmax of 300,007", Exact, |d| d.range([300_007], -5.0, -1.0).argmax(0));
    list.value("a product of 100,003", Product(100_003), |d| d.range([100_003], 0.99, 1.01).prod(&[]));
    list.wide("three long rows", Sum(100_001), |d| d.positive([3, 100_001]).sum_axes(&[1]));
    list.wide("three long columns", Sum(100_001), |d| d.positive([100_001, 3]).sum_axes(&[0]));
    list.wide("a long sum over two axes", Sum(120_000), |d| d.positive([300, 5, 400]).sum_axes(&[0, 2]));
    list.wide("a long softmax", Chain, |d| d.floats([2, 50_001]).softmax(1));
    list.wide("a long row's variance", Sum(40_000), |d| d.positive([2, 40_000]).var(&[1], 1));
    list.wide("scatter_add of very many into few", Sum(100_000), |d| {
        let index = d.uints([100_000], 3);
        d.positive([3]).scatter_add(0, &index, &d.positive([100_000]))
    });

    list.wide("a sum of 20 large parameters", Rounded, |d| tree(large(d, 20)));
    list.wide("20 large parameters in a chain", Chain, |d| {
        large(d, 20).iter().enumerate().fold(Tensor::zeros([16_500]), |sum, (i, x)| (sum * 0.5 + x * (1.0 + i as f32)).sqrt())
    });
    list.wide("12 large parameters in one row's sum", Sum(200), |d| tree(large(d, 12)).reshape([150, 110]).sum_axes(&[1]));
    list.wide("a product with ten large parameters beside it", Sum(16), |d| {
        let product = d.positive([150, 10]).matmul(&d.positive([10, 110]));
        tree(large(d, 10)).reshape([150, 110]) + product
    });
    list.value("a choice among 12 large parameters", Exact, |d| {
        let which = d.uints([16_500], 12);
        large(d, 12).iter().enumerate().fold(Tensor::zeros([16_500]), |chosen, (i, x)| which.eq(i as u32).where_(x, chosen))
    });
    list.wide("50 small parameters", Rounded, |d| tree((0..50).map(|_| d.positive([9])).collect()));
    list.value("ten large parameters joined", Exact, |d| {
        let parts = large(d, 10);
        noyau::tensor::concat(&parts.iter().collect::<Vec<_>>(), 0)
    });
    list.value("a chain of 3,000 operations", Chain, |d| {
        let x = d.range([5], 0.1, 0.2);
        (0..1500).fold(x.clone(), |y, _| y * 0.5 + &x)
    });
}
