//! The view algebra: views composed are what their evaluations composed are, for all chains of movement ops.

use noyau::compile::{Graph, Index, View};
use noyau::cpu::evaluate;
use noyau::tensor::Op;
use noyau::{DType, Tensor};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What padding reads: no place.
const NOWHERE: f64 = u32::MAX as f64;

/// The largest space that a chain may make.
const MOST: usize = 400;

fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var("PROPTEST_CASES").is_err() {
        config.cases = 10_000;
    }
    if std::env::var("PROPTEST_RNG_SEED").is_err() {
        config.rng_seed = RngSeed::Fixed(20_241);
    }
    config
}

/// One more movement op on a tensor; whatever the numbers, it is one that fits.
fn moved(x: &Tensor, [op, detail]: [u8; 2]) -> Tensor {
    let detail = usize::from(detail);
    let rank = x.rank();
    if rank == 0 {
        return if op % 2 == 0 { x.unsqueeze(0) } else { x.expand([1 + detail % 4]) };
    }
    let axis = detail % rank;
    let size = x.shape()[axis];
    match op % 9 {
        0 => x.flip(&[axis as isize]),
        1 => x.permute(&(0..rank).map(|i| ((i + 1 + axis) % rank) as isize).collect::<Vec<_>>()),
        2 => x.transpose(axis as isize, (detail / 8 % rank) as isize),
        3 => x.slice_step(axis as isize, detail / 4 % size.., 1 + (detail / 32) as isize % 3),
        4 => {
            let widths: Vec<(usize, usize)> =
                (0..rank).map(|i| if i == axis { (detail / 4 % 3, detail / 16 % 3) } else { (0, 0) }).collect();
            // As u32 this saturates to `NOWHERE`.
            x.pad(&widths, u32::MAX as f32)
        }
        5 => {
            let mut shape = x.shape().to_vec();
            shape.insert(axis, 1 + detail / 8 % 3);
            x.unsqueeze(axis as isize).expand(shape)
        }
        6 if rank > 1 => {
            let mut shape = x.shape().to_vec();
            let at = detail % (rank - 1);
            let second = shape.remove(at + 1);
            shape[at] *= second;
            x.reshape(shape)
        }
        // One element of an axis, which goes: down to a scalar.
        7 => x.select(axis as isize, detail / 8 % size),
        _ => {
            let part = (2..=size).find(|&part| size.is_multiple_of(part)).unwrap_or(1);
            let mut shape = x.shape().to_vec();
            shape[axis] = size / part;
            shape.insert(axis + 1, part);
            x.reshape(shape)
        }
    }
}

/// The ops between `x` and the tensor that the chain ends with, last first, with the view of each.
fn views(end: &Tensor, start: &Tensor) -> Vec<View> {
    let mut views = Vec::new();
    let mut at = end.clone();
    while at.id() != start.id() {
        let from = at.inputs()[0].clone();
        views.push(View::of_op(at.op(), from.shape(), at.shape()).unwrap_or_else(|| panic!("{} is no movement", at.op())));
        at = from;
    }
    views
}

fn coordinates(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..shape.iter().product()).map(|place| digits(place, shape))
}

fn digits(place: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = place;
    let mut found: Vec<usize> = shape.iter().rev().map(|&size| (rest % size, rest /= size).0).collect();
    found.reverse();
    found
}

/// Where a chain of views leads, one view after the other.
fn walk(views: &[&View], coordinates: &[usize]) -> Option<isize> {
    let mut at = coordinates.to_vec();
    for (i, view) in views.iter().enumerate() {
        let place = view.place(&at)?;
        match views.get(i + 1) {
            None => return Some(place),
            Some(next) => at = digits(usize::try_from(place).ok()?, &next.shape),
        }
    }
    None
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_index_reads_what_the_ops_move(shape in prop::collection::vec(1usize..5, 0..4), steps in prop::collection::vec(any::<[u8; 2]>(), 1..8)) {
        let start = Tensor::arange(shape.iter().product()).reshape(shape.clone()) * 1u32;
        let mut end = start.clone();
        for step in steps {
            let next = moved(&end, step);
            prop_assert!(next.error().is_none(), "{next:?}");
            if next.numel() <= MOST {
                end = next;
            }
        }
        // What the ops really do, by the oracle.
        let graph = Graph::trace(&[], &[&end], &[]).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let no_states = |_: &noyau::tensor::State| unreachable!("there are none");
        let expected = evaluate(&graph, &[], &no_states).map_err(|e| TestCaseError::fail(e.to_string()))?.outputs.swap_remove(0);
        prop_assert_eq!(expected.dtype, DType::U32);

        let views = views(&end, &start);
        let index = views.iter().fold(Index::identity(end.shape()), |index, view| index.then(view));
        prop_assert_eq!(index.shape(), &end.shape()[..]);
        for (c, &want) in coordinates(end.shape()).zip(&expected.data) {
            let want = (want != NOWHERE).then_some(want as usize);
            prop_assert_eq!(index.place(&c), want, "at {:?} of {} made of {:?}", c, index, views);
        }
    }

    #[test]
    fn two_views_in_one_are_the_two(shape in prop::collection::vec(1usize..5, 1..4), steps in prop::collection::vec(any::<[u8; 2]>(), 2..6)) {
        let start = Tensor::zeros(shape);
        let end = steps.into_iter().fold(start.clone(), |x, step| {
            let next = moved(&x, step);
            if next.numel() <= MOST { next } else { x }
        });
        for pair in views(&end, &start).windows(2) {
            if let Some(folded) = pair[0].then(&pair[1]) {
                for c in coordinates(&pair[0].shape) {
                    prop_assert_eq!(folded.place(&c), walk(&[&pair[0], &pair[1]], &c), "at {:?} of {}, then {} of {:?}", c, pair[0], pair[1], pair[1].shape);
                }
            }
        }
    }

    #[test]
    fn a_reshaped_view_has_the_same_places(shape in prop::collection::vec(1usize..5, 1..4), step in any::<[u8; 2]>(), regroup in any::<[u8; 2]>()) {
        let end = moved(&Tensor::zeros(shape), step);
        let Some(from) = end.inputs().first() else { return Ok(()) };
        let Some(view) = View::of_op(end.op(), from.shape(), end.shape()) else { return Ok(()) };
        let other = moved(&end, [6 + regroup[0] % 2 * 2, regroup[1]]);
        let shape = match other.op() {
            Op::Reshape => other.shape().to_vec(),
            _ => return Ok(()),
        };
        if let Some(reshaped) = view.reshaped(&shape) {
            let places: Vec<_> = coordinates(&view.shape).map(|c| view.place(&c)).collect();
            let again: Vec<_> = coordinates(&shape).map(|c| reshaped.place(&c)).collect();
            prop_assert_eq!(places, again, "{} as {:?}", view, shape);
        }
    }
}
