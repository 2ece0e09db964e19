//! Attention by its kernel, forward and backward: sizes around its blocks and tiles, masks, heads that lie apart, halves; and written out where heads are wide.

use noyau::DType;
use noyau::Tensor;
use noyau::nn::{AttentionMask, scaled_dot_product_attention};

use super::Class::*;
use super::{Data, List};

/// Queries `[.., n, d]`, keys `[.., m, d]`, values `[.., m, e]`.
fn operands(d: &mut Data, batch: &[usize], [n, m, width, e]: [usize; 4]) -> [Tensor; 3] {
    let shape = |tail: [usize; 2]| [batch, &tail].concat();
    [d.floats(shape([n, width])), d.floats(shape([m, width])), d.floats(shape([m, e]))]
}

pub fn cases(list: &mut List) {
    let attend = |list: &mut List, name: &str, batch: &'static [usize], sizes: [usize; 4], mask: fn(usize, usize) -> AttentionMask| {
        list.smooth(format!("attention: {name}"), Chain, move |d| {
            let [q, k, v] = operands(d, batch, sizes);
            scaled_dot_product_attention(&q, &k, &v, &mask(sizes[0], sizes[1]))
        });
    };
    let none = |_, _| AttentionMask::none();
    let causal = |_, _| AttentionMask::causal();
    let some = |n: usize, m: usize| {
        let (i, j) = (Tensor::iota([n, m], 0), Tensor::iota([n, m], 1));
        // To query 2 all keys are closed.
        AttentionMask::none().allowed(&((&i * 5u32 + &j * 3u32) % 4u32).ne(1u32).logical_and(i.ne(2u32)))
    };
    attend(list, "one of everything", &[], [1, 1, 1, 1], none);
    attend(list, "one query, many keys", &[2], [1, 9, 3, 2], none);
    attend(list, "many queries, one key", &[2], [9, 1, 3, 2], none);
    attend(list, "one feature", &[3], [4, 6, 1, 1], none);
    attend(list, "odd sizes", &[2], [7, 11, 5, 3], none);
    attend(list, "sizes of four", &[2, 2], [8, 4, 8, 4], none);
    attend(list, "no batch", &[], [5, 6, 4, 4], none);
    attend(list, "causal", &[2], [9, 9, 4, 4], causal);
    attend(list, "causal, fewer queries than keys", &[2], [4, 10, 5, 3], causal);
    attend(list, "causal, more queries than keys", &[2], [10, 4, 3, 5], causal);
    attend(list, "a mask that closes a query", &[2], [5, 7, 4, 3], some);
    // Enough places for a CPU to have a kernel for it.
    attend(list, "many places", &[], [37, 41, 2, 3], none);
    attend(list, "many places, causal, a mask that closes a query", &[], [41, 37, 2, 1], |n, m| {
        let (i, j) = (Tensor::iota([n, m], 0), Tensor::iota([n, m], 1));
        AttentionMask::causal().allowed(&((&i * 5u32 + &j * 3u32) % 4u32).ne(1u32).logical_and(i.ne(2u32)))
    });
    attend(list, "a mask, causal", &[2], [6, 6, 4, 4], |n, m| {
        let i = Tensor::iota([n, m], 1);
        AttentionMask::causal().forbidden(&i.eq(0u32))
    });
    list.smooth("attention: padding, a bias for each head and causal", Chain, |d| {
        let [q, k, v] = operands(d, &[2, 3], [5, 5, 4, 4]);
        let padding = Tensor::from([[0u32, 0, 0, 1, 1], [0, 0, 0, 0, 1]]).to(DType::Bool);
        let bias = d.constant([3, 1, 5], -1.0, 1.0);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::causal().padding(&padding).added(&bias))
    });
    list.smooth("attention: twice, a learned bias", Chain, |d| {
        let [q, k, v] = operands(d, &[2], [3, 4, 2, 2]);
        let bias = d.floats([3, 4]);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none().added(&bias))
    })
    .twice();
    list.smooth("attention: twice", Chain, |d| {
        let [q, k, v] = operands(d, &[2], [3, 4, 2, 3]);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none())
    })
    .twice();
    list.smooth("attention: twice, causal, a query that is closed", Chain, |d| {
        let [q, k, v] = operands(d, &[], [4, 3, 2, 2]);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::causal().allowed(&Tensor::iota([4, 3], 0).ne(2u32)))
    })
    .twice();
    list.smooth("attention: twice, of one tensor to itself", Chain, |d| {
        let x = d.floats([2, 4, 3]);
        scaled_dot_product_attention(&x, &x, &x, &AttentionMask::none())
    })
    .twice();
    list.smooth("attention: heads side by side, of one projection", Chain, |d| {
        let x = d.floats([2, 5, 3, 2, 4]);
        let part = |i: usize| x.select(2, i).transpose(1, 2);
        scaled_dot_product_attention(&part(0), &part(1), &part(2), &AttentionMask::causal()).transpose(1, 2)
    });
    list.smooth("attention: operands turned, reversed and cut", Chain, |d| {
        let (q, k, v) = (d.floats([2, 4, 5]).t(), d.floats([2, 8, 4]).flip(&[1]), d.floats([2, 17, 4]).slice_step(1, 1.., 2));
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none())
    });
    list.smooth("attention: operands that are computed", Chain, |d| {
        let [q, k, v] = operands(d, &[2], [5, 6, 4, 4]);
        scaled_dot_product_attention(&(&q * 2.0).tanh(), &k.exp(), &(&v + 1.0), &AttentionMask::none()) * q.sin()
    });
    list.smooth("attention: keys and values of all heads, a batch that broadcasts", Chain, |d| {
        let (q, k, v) = (d.floats([2, 3, 4, 5]), d.floats([3, 6, 5]), d.floats([6, 2]));
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none())
    });
    // Scores of 1e4 and more, whole numbers: exact in any order, and one weight is all there is to a query.
    list.value("attention: large scores", Chain, |d| {
        let q = d.given([4, 1], &[1e4f32, -1e4, 3e4, 0.0]);
        let k = d.given([9, 1], &[1.0f32, 2.0, 3.0, 4.0, -5.0, 0.0, -1.0, -2.0, -3.0]);
        let v = d.floats([9, 3]);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none())
    });
    list.wide("attention: greater scores come later", Sum(300), |d| {
        let [q, _, v] = operands(d, &[2], [3, 300, 2, 4]);
        let rising = (Tensor::arange(600) / 2u32).to(DType::F32).reshape([300, 2]) * 0.05;
        scaled_dot_product_attention(&(q * 2.0), &rising, &v, &AttentionMask::none())
    });
    let wide = |list: &mut List, name: &str, batch: &'static [usize], sizes: [usize; 4], mask: fn(usize, usize) -> AttentionMask| {
        list.wide(format!("attention: {name}"), Sum(sizes[1].max(sizes[0])), move |d| {
            let [q, k, v] = operands(d, batch, sizes);
            scaled_dot_product_attention(&q, &k, &v, &mask(sizes[0], sizes[1]))
        });
    };
    wide(list, "several blocks", &[2], [130, 270, 8, 12], none);
    wide(list, "several blocks, causal", &[9], [130, 130, 16, 16], causal);
    wide(list, "several blocks, masked", &[1, 2], [70, 261, 20, 4], some);
    wide(list, "heads of 32", &[2, 2], [33, 40, 32, 32], causal);
    wide(list, "heads of 64", &[2], [40, 33, 64, 64], none);
    wide(list, "heads of 66 and 50", &[2], [19, 21, 66, 50], causal);
    wide(list, "heads of 128", &[2], [17, 30, 128, 128], none);
    wide(list, "heads of 127 and 1", &[2], [9, 10, 127, 1], none);
    wide(list, "heads of 129, written out", &[2], [5, 6, 129, 130], some);
    list.value("attention: halves", F16(8), |d| {
        let [q, k, v] = operands(d, &[2], [20, 17, 8, 6]).map(|t| t.to(DType::F16));
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::causal()).to(DType::F32)
    });
    list.wide("attention: halves, their gradients", F16(24), move |d| {
        let [q, k, v] = operands(d, &[2], [20, 17, 8, 6]).map(|t| t.to(DType::F16));
        scaled_dot_product_attention(&q, &k, &v, &some(20, 17)).to(DType::F32)
    });
    list.wide("attention: bf16", BF16(24), |d| {
        let [q, k, v] = operands(d, &[2], [6, 7, 4, 4]).map(|t| t.to(DType::BF16));
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none()).to(DType::F32)
    });
}
