//! Loads in orders that repeat themselves: strides, repeated elements, windows, masks, backwards, up to the buffer's last word.

use noyau_tensor::{BinaryOp, ReduceOp};

use super::*;

/// A copy of a buffer's elements in the order of a view, and a sum with what lies side by side.
fn copied(view: &View) -> Plan {
    let reach = |low: bool| -> isize {
        let ends = view.shape.iter().zip(&view.strides).enumerate().map(|(i, (&size, &stride))| {
            let (from, to) = view.mask.get(i).copied().unwrap_or((0, size));
            (from as isize * stride, (to as isize - 1) * stride)
        });
        ends.map(|(a, b)| if low { a.min(b) } else { a.max(b) }).sum()
    };
    let view = View { offset: -reach(true), ..view.clone() };
    let len = (view.offset + reach(false) + 1) as usize;
    let shape = view.shape.clone();
    let mut b = Builder::default();
    let x = b.load(&[len], DType::F32, Index::from_view(view), Level::Outer);
    let y = b.load(&shape, DType::F32, Index::identity(&shape), Level::Outer);
    let sum = b.value(Instr::Binary(BinaryOp::Add, x, y), DType::F32, Level::Outer);
    b.store(sum, &shape, Index::identity(&shape));
    b.loop_plan(&shape, &[])
}

#[test]
fn orders_of_all_kinds() {
    let whole = |shape: &[usize]| shape.iter().map(|&n| (0, n)).collect::<Vec<_>>();
    for (shape, strides) in [
        // Every second element of rows, of every second row.
        (vec![6, 20, 14], vec![1120, 56, 2]),
        (vec![40, 7], vec![28, 2]),
        (vec![13, 9], vec![60, 3]),
        (vec![5, 11, 3], vec![70, 6, 2]),
        // Each element twice, each row twice.
        (vec![4, 7, 2, 9, 2], vec![63, 9, 0, 1, 0]),
        (vec![8, 15, 2], vec![15, 1, 0]),
        (vec![3, 5, 4, 6, 3], vec![30, 6, 0, 1, 0]),
        // Windows that overlap; rows that are too far apart; backwards.
        (vec![9, 12, 3], vec![14, 1, 1]),
        (vec![12, 3, 2], vec![2, 4000, 1]),
        (vec![10, 6, 5], vec![30, -5, -1]),
        (vec![7, 11, 2], vec![-22, -2, 1]),
        (vec![211, 13], vec![26, 2]),
    ] {
        let view = |mask: Vec<(usize, usize)>| View { shape: shape.clone(), strides: strides.clone(), offset: 0, mask };
        check(copied(&view(vec![])), 1, 0.0, &format!("{shape:?} by {strides:?}"));
        // Without the last coordinates, without the first, and without either.
        let last = shape.len() - 1;
        for (low, high) in [(0, 1), (1, 0), (1, 1)] {
            let mut mask = whole(&shape);
            if shape[last] > low + high {
                mask[last] = (low, shape[last] - high);
            }
            mask[0] = (low, shape[0] - high);
            check(copied(&view(mask.clone())), 2, 0.0, &format!("{shape:?} by {strides:?}, of which {mask:?}"));
        }
    }
}

#[test]
fn windows_of_a_pooling() {
    for op in [ReduceOp::Max, ReduceOp::Sum, ReduceOp::Prod] {
        for (n, h, w, kernel, step) in
            [(6, 14, 14, 2, 2), (3, 5, 30, 2, 2), (40, 3, 3, 3, 2), (2, 9, 11, 3, 1), (1, 40, 1, 5, 1), (5, 2, 33, 6, 6)]
        {
            let width = (w - 1) * step + kernel;
            let size = ((h - 1) * step + kernel) * width;
            let space = [n, h, w, kernel, kernel];
            let strides = [size, step * width, step, width, 1].map(|s| s as isize);
            let mut b = Builder::default();
            let x = b.load(&[n * size], DType::F32, view(&space, &strides), Level::Inner);
            let r = b.value(Instr::Reduce(op, x), DType::F32, Level::Outer);
            b.store(r, &[n, h, w], view(&space, &[(h * w) as isize, w as isize, 1, 0, 0]));
            check(
                b.loop_plan(&[n, h, w], &[kernel, kernel]),
                3,
                1e-6,
                &format!("{op:?} of {kernel} by {kernel}, {step} apart, {n} x {h} x {w}"),
            );
        }
    }
}
