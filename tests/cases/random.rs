//! Random numbers: counter-based, so the same bits on every device; what is computed from the bits by one exact operation is the same too.

use noyau::tensor::stack;
use noyau::{DType, Tensor};

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    for shape in [&[][..], &[1], &[7], &[33, 3], &[2, 3, 2, 5], &[0, 3]] {
        list.value(format!("random bits of {shape:?}"), Exact, move |_| Tensor::random_bits(shape));
    }
    list.value("random bits, many", Exact, |_| Tensor::random_bits([70_001]));
    list.value("rand", Exact, |_| Tensor::rand([500]));
    list.value("uniform", Rounded, |_| Tensor::uniform([500], -3.0, 5.0));
    // The logarithm's error counts where its argument is near 1 and the square root of it near 0.
    list.value("randn", Chain, |_| Tensor::randn([500]));
    list.value("bernoulli", Exact, |_| Tensor::bernoulli([500], 0.3));
    list.value("bernoulli of 0 and of 1", Exact, |_| stack(&[&Tensor::bernoulli([50], 0.0), &Tensor::bernoulli([50], 1.0)], 0));
    list.value("two draws differ", Exact, |_| {
        let (a, b) = (Tensor::random_bits([64]), Tensor::random_bits([64]));
        stack(&[&a, &b], 0)
    });
    list.value("a draw used twice is one draw", Exact, |_| {
        let a = Tensor::random_bits([64]);
        a.ne(&a).to(DType::F32) + a.eq(a.flip(&[0]).flip(&[0])).to(DType::F32)
    });
    list.value("a view of a draw", Exact, |_| Tensor::random_bits([6, 4]).t().slice_step(0, .., -2));
    list.smooth("dropout", Exact, |d| Tensor::bernoulli([4, 6], 0.5).where_(d.floats([4, 6]) * 2.0, 0.0));
    list.smooth("noise added", Rounded, |d| d.floats([4, 6]) * Tensor::rand([4, 6]));
}
