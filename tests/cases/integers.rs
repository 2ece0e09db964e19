//! Integers: arithmetic wraps, division by zero gives 0, nothing traps; the same bits on every device.

use noyau::Tensor;

use super::{Class::*, Data, List};

/// All pairs of some i32.
fn ints(d: &mut Data) -> (Tensor, Tensor) {
    let x = d.given([8], &[0i32, 1, -1, 7, -7, i32::MAX, i32::MIN, 65537]);
    (x.unsqueeze(1), x)
}

/// All pairs of some u32.
fn uints(d: &mut Data) -> (Tensor, Tensor) {
    let x = d.given([7], &[0u32, 1, 7, u32::MAX, 1 << 31, 65537, 12]);
    (x.unsqueeze(1), x)
}

pub fn cases(list: &mut List) {
    type Pair = fn(&Tensor, &Tensor) -> Tensor;
    let pairs: [(&str, Pair); 10] = [
        ("add", |a, b| a + b),
        ("sub", |a, b| a - b),
        ("mul", |a, b| a * b),
        ("div", |a, b| a / b),
        ("rem", |a, b| a % b),
        ("minimum", |a, b| a.minimum(b)),
        ("maximum", |a, b| a.maximum(b)),
        ("and", |a, b| a.logical_and(b)),
        ("or", |a, b| a.logical_or(b)),
        ("xor", |a, b| a.logical_xor(b)),
    ];
    for (name, pair) in pairs {
        list.value(format!("i32 {name}"), Exact, move |d| {
            let (a, b) = ints(d);
            pair(&a, &b)
        });
        list.value(format!("u32 {name}"), Exact, move |d| {
            let (a, b) = uints(d);
            pair(&a, &b)
        });
    }
    list.value("i32 shifts", Exact, |d| {
        let (a, _) = ints(d);
        let by = d.given([4], &[0i32, 1, 5, 31]);
        a.shl(&by).logical_xor(a.shr(by))
    });
    list.value("u32 shifts", Exact, |d| {
        let (a, _) = uints(d);
        let by = d.given([4], &[0u32, 1, 5, 31]);
        a.shl(&by).logical_xor(a.shr(by))
    });
    list.value("i32 neg, abs, sign", Exact, |d| {
        let (_, x) = ints(d);
        noyau::tensor::stack(&[&-&x, &x.abs(), &x.sign()], 0)
    });
    list.value("i32 relu", Exact, |d| ints(d).1.relu());
    list.value("i32 not", Exact, |d| ints(d).1.logical_not());
    list.value("u32 not", Exact, |d| uints(d).1.logical_not());
    list.value("i32 with numbers", Exact, |d| (3 - ints(d).1 * 5) / 2 + 1);
    list.value("i32 sum and product wrap", Exact, |d| {
        let (a, b) = ints(d);
        let x = a * 77773 + b;
        x.sum_axes(&[0]) + x.prod(&[1])
    });
    list.value("u32 sum and product wrap", Exact, |d| {
        let (a, b) = uints(d);
        let x = a * 77773 + b;
        x.sum_axes(&[0]) + x.prod(&[1])
    });
    list.value("i32 max and min", Exact, |d| {
        let x = d.ints([5, 9], i32::MIN, i32::MAX);
        x.max(&[1]) - x.min(&[1])
    });
    list.value("u32 max and min", Exact, |d| {
        let x = d.uints([5, 9], u32::MAX);
        x.max(&[1]) - x.min(&[1])
    });
    list.value("i32 argmax and argmin", Exact, |d| {
        let x = d.ints([5, 9], -3, 3);
        x.argmax(1) * 100 + x.argmin(1)
    });
    list.value("long i32 sum", Exact, |d| d.ints([100_003], i32::MIN, i32::MAX).sum());
    list.value("u32 sum of a wide range", Exact, |_| Tensor::arange(70_001).square().sum());
    list.value("i32 of a mask", Exact, |d| {
        let x = d.ints([4, 6], -5, 5);
        x.gt(0).where_(&x, -1).sum_axes(&[1])
    });
}
