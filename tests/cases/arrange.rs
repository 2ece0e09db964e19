//! Repetition, shifting, taking apart, padding with what is there, writing at places, sequences.

use noyau::tensor::{concat, hstack, meshgrid, stack, vstack};
use noyau::{DType, Tensor};

use super::{Class::*, List};

/// Their sum with weights that tell them apart.
fn together(pieces: &[Tensor]) -> Tensor {
    let flat: Vec<Tensor> = pieces.iter().enumerate().map(|(i, p)| p.reshape([p.numel()]) * (i as f32 + 1.0)).collect();
    concat(&flat.iter().collect::<Vec<_>>(), 0)
}

pub fn cases(list: &mut List) {
    list.smooth("repeat both axes", Exact, |d| d.floats([2, 3]).repeat(&[2, 3]));
    list.smooth("repeat to new axes", Exact, |d| d.floats([2, 3]).repeat(&[2, 1, 2]));
    list.value("repeat no times", Exact, |d| d.floats([2, 3]).repeat(&[2, 0]).sum_axes(&[1]));
    list.smooth("tile the last axis", Exact, |d| d.floats([2, 3]).tile(&[2]));
    for axis in [0, 1, -1] {
        list.smooth(format!("repeat_interleave on {axis}"), Exact, move |d| d.floats([2, 3, 2]).repeat_interleave(3, axis));
    }
    for shift in [-7, -1, 0, 2, 3, 8] {
        list.smooth(format!("roll by {shift}"), Exact, move |d| d.floats([3, 4]).roll(shift, 1));
    }
    list.smooth("roll of the first axis", Exact, |d| d.floats([3, 4]).roll(1, 0));
    list.value("roll of an empty axis", Exact, |d| d.floats([0, 2]).roll(1, 0));
    list.smooth("split_sizes", Rounded, |d| together(&d.floats([6, 2]).split_sizes(&[1, 3, 0, 2], 0)));
    for count in [1, 2, 4, 9] {
        list.smooth(format!("chunk into {count}"), Rounded, move |d| together(&d.floats([2, 7]).chunk(count, 1)));
    }
    list.smooth("unbind", Rounded, |d| together(&d.floats([3, 2, 2]).unbind(1)));
    for (from, to) in [(0, 2), (2, 0), (-1, 1), (1, 1)] {
        list.smooth(format!("movedim {from} to {to}"), Exact, move |d| d.floats([2, 3, 4]).movedim(from, to));
    }
    list.smooth("swapaxes", Exact, |d| d.floats([2, 3, 4]).swapaxes(0, -1));
    list.smooth("unflatten", Exact, |d| d.floats([2, 6]).unflatten(-1, &[3, 2]).permute(&[2, 0, 1]));
    list.smooth("expand_as and reshape_as", Exact, |d| d.floats([4]).expand_as(&d.floats([2, 4]).detach()).reshape_as(&Tensor::zeros([8])));
    for turns in [-1, 0, 1, 2, 3, 5] {
        list.smooth(format!("rot90 by {turns}"), Exact, move |d| d.floats([2, 3]).rot90(turns, [0, 1]));
    }
    list.smooth("rot90 of other axes", Exact, |d| d.floats([2, 3, 4]).rot90(1, [-1, 0]));
    list.smooth("diff", Rounded, |d| d.floats([2, 5]).diff(1));
    list.value("diff of one and of none", Exact, |d| concat(&[&d.floats([2, 1]).diff(1), &d.floats([2, 0]).diff(1)], 1).sum_axes(&[1]));
    list.smooth("meshgrid", Rounded, |d| stack(&meshgrid(&[&d.floats([2]), &d.floats([3]), &d.floats([2])]).iter().collect::<Vec<_>>(), 0));
    list.smooth("hstack of matrices", Exact, |d| hstack(&[&d.floats([2, 3]), &d.floats([2, 1])]));
    list.smooth("hstack of vectors", Exact, |d| hstack(&[&d.floats([3]), &d.floats([]), &d.floats([1])]));
    list.smooth("vstack", Exact, |d| vstack(&[&d.floats([3]), &d.floats([2, 3])]));
    pads(list);
    writes(list);
    sequences(list);
}

fn pads(list: &mut List) {
    let all: [(usize, usize); 5] = [(0, 0), (1, 0), (0, 2), (2, 3), (3, 3)];
    for (before, after) in all {
        list.smooth(format!("pad_reflect ({before}, {after})"), Exact, move |d| d.floats([2, 4]).pad_reflect(&[(0, 0), (before, after)]));
        list.smooth(format!("pad_replicate ({before}, {after})"), Exact, move |d| {
            d.floats([4, 2]).pad_replicate(&[(before, after), (0, 0)])
        });
        list.smooth(format!("pad_circular ({before}, {after})"), Exact, move |d| d.floats([2, 4]).pad_circular(&[(0, 0), (before, after)]));
    }
    list.smooth("pad_reflect of images", Exact, |d| d.floats([1, 2, 3, 4]).pad_reflect(&[(0, 0), (0, 0), (1, 2), (3, 1)]));
    list.smooth("pad_replicate of images", Exact, |d| d.floats([1, 2, 3, 1]).pad_replicate(&[(0, 0), (0, 0), (4, 2), (3, 1)]));
    list.smooth("pad_circular of images", Exact, |d| d.floats([1, 2, 3, 4]).pad_circular(&[(0, 0), (0, 0), (1, 3), (4, 1)]));
    list.value("pad_reflect of integers", Exact, |d| d.ints([5], -9, 9).pad_reflect(&[(2, 4)]));
    list.smooth("a filter over a reflected signal", Sum(3), |d| {
        let x = d.positive([2, 6]).pad_reflect(&[(0, 0), (1, 1)]);
        x.slice(1, ..6) * 0.25 + x.slice(1, 1..7) * 0.5 + x.slice(1, 2..) * 0.25
    });
}

fn writes(list: &mut List) {
    for axis in [0, 1, 2, -1] {
        list.smooth(format!("scatter on {axis}"), Exact, move |d| {
            let mut shape = [3, 4, 5];
            let place = if axis < 0 { (axis + 3) as usize } else { axis as usize };
            shape[place] = 2;
            let index = d.uints(shape, [3, 4, 5][place]);
            d.floats([3, 4, 5]).scatter(axis, &index, &d.floats(shape))
        });
        list.smooth(format!("index_copy on {axis}"), Exact, move |d| {
            let mut shape = [3, 4, 5];
            let place = if axis < 0 { (axis + 3) as usize } else { axis as usize };
            shape[place] = 2;
            let index = d.uints([2], [3, 4, 5][place]);
            d.floats([3, 4, 5]).index_copy(axis, &index, &d.floats(shape))
        });
        list.smooth(format!("index_add on {axis}"), Sum(4), move |d| {
            let mut shape = [3, 4, 5];
            let place = if axis < 0 { (axis + 3) as usize } else { axis as usize };
            shape[place] = 3;
            let index = d.uints([3], [3, 4, 5][place]);
            d.positive([3, 4, 5]).index_add(axis, &index, &d.positive(shape), 0.5)
        });
    }
    list.value("scatter of integers, several for one place and outside", Exact, |d| {
        let index = d.given([2, 5], &[1i32, 3, 1, -1, 9, 0, 0, 0, 2, 2]);
        d.ints([2, 4], -9, 9).scatter(1, &index, &d.ints([2, 5], 100, 999))
    });
    list.value("scatter of bools", Exact, |d| d.bools([4]).scatter(0, &d.uints([2], 4), &d.bools([2])));
    list.value("scatter of nothing", Exact, |d| d.floats([4]).scatter(0, &d.uints([0], 4), &d.floats([0])));
    list.value("index_copy, several for one place and outside", Exact, |d| {
        let index = d.given([4], &[1u32, 7, 1, 0]);
        d.ints([3, 2], -9, 9).index_copy(0, &index, &d.ints([4, 2], 100, 999))
    });
    list.smooth("index_fill", Exact, |d| d.floats([3, 4]).index_fill(1, &Tensor::from([0u32, 3]), 2.5));
    list.smooth("take_along_dim, broadcast", Exact, |d| {
        let index = d.uints([1, 2], 4);
        d.floats([3, 4]).take_along_dim(&index, 1)
    });
    list.smooth("take", Exact, |d| {
        let index = d.uints([2, 5], 12);
        d.floats([3, 4]).take(&index)
    });
}

fn sequences(list: &mut List) {
    for (start, end, count) in [(0.0, 1.0, 5), (-3.0, 2.0, 11), (4.0, -4.0, 8), (2.0, 3.0, 1), (0.0, 1.0, 0), (0.1, 0.7, 1000)] {
        list.value(format!("linspace {start} to {end} in {count}"), Rounded, move |_| Tensor::linspace(start, end, count));
    }
    list.value("logspace", Chain, |_| Tensor::logspace(-2.0, 2.0, 5, 10.0));
    for (start, end, step) in [(0.0, 5.0, 1.0), (1.0, 2.0, 0.3), (3.0, -3.0, -2.0), (1.0, 0.0, 1.0)] {
        list.value(format!("arange_step {start} to {end} by {step}"), Rounded, move |_| Tensor::arange_step(start, end, step));
    }
    list.value("randint", Exact, |_| Tensor::randint([500], -3, 5));
    list.value("randint of all", Exact, |_| Tensor::randint([50], i32::MIN, i32::MAX));
    list.value("normal", Chain, |_| Tensor::normal([50], 3.0, 0.5));
    list.value("exponential", Chain, |_| Tensor::exponential([50], 2.0));
    list.value("rand_like and randn_like", Chain, |d| {
        let x = d.floats([4, 5]);
        x.rand_like() + x.randn_like()
    });
    list.value("categorical of certain outcomes", Exact, |_| {
        // A logit of 200 more than any other outweighs every noise.
        let classes = Tensor::arange(40) % 7u32;
        (classes.one_hot(7) * 200.0).categorical().eq(&classes).to(DType::U32).sum()
    });
}
