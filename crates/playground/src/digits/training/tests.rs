use std::rc::Rc;

use noyau_train::Device;

use super::*;
use crate::digits::{Half, SIDE};

fn images() -> Rc<Images> {
    Rc::new(Images::from_bytes(include_bytes!("../../../web/digits.bin")).expect("the shipped file is good"))
}

fn open(kind: Kind, seed: u64) -> Digits {
    pollster::block_on(Digits::open_async(images(), kind, seed, Device::cpu())).expect("the network compiles")
}

fn advance(digits: &mut Digits, units: usize) {
    pollster::block_on(digits.advance_async(units)).expect("it trains");
}

/// Trains until there is a record of a step.
fn until(digits: &mut Digits, step: u64, units: usize) -> Record {
    while digits.records().last().is_none_or(|record| record.step < step) {
        advance(digits, units);
    }
    *digits.records().last().expect("there is one")
}

#[test]
fn the_perceptron_reads_nine_of_ten_after_some_epochs() {
    let mut digits = open(Kind::Mlp, 1);
    let before = until(&mut digits, 0, 1);
    assert!(before.test_accuracy < 0.3 && before.train_loss.is_nan(), "{before:?}");
    // PyTorch with the same network, optimizer and images: 0.886 after 300 steps, 0.926 after 624.
    let after = until(&mut digits, 600, 64);
    assert!(after.test_accuracy > 0.9 && after.test_loss < 0.35 && after.train_accuracy > 0.92, "{after:?}");
    let right = digits.predictions().iter().zip(&digits.images().test.labels).filter(|(a, b)| a == b).count();
    assert_eq!(right as f64 / 1000.0, after.test_accuracy);
}

#[test]
fn the_small_cnn_learns_within_half_an_epoch() {
    let mut digits = open(Kind::Cnn, 1);
    // PyTorch: 0.90.
    let after = until(&mut digits, 160, 100);
    assert!(after.test_accuracy > 0.85, "{after:?}");
}

#[test]
fn records_are_the_same_however_the_work_is_cut() {
    let (mut whole, mut cut) = (open(Kind::Mlp, 7), open(Kind::Mlp, 7));
    // Over the end of an epoch.
    until(&mut whole, 180, 1000);
    let mut units = 1;
    while cut.records().len() < whole.records().len() {
        advance(&mut cut, units);
        units = units % 23 + 1;
    }
    let bits = |digits: &Digits, count: usize| -> Vec<[u64; 5]> {
        let bits =
            |r: &Record| [r.step, r.train_loss.to_bits(), r.train_accuracy.to_bits(), r.test_loss.to_bits(), r.test_accuracy.to_bits()];
        digits.records()[..count].iter().map(bits).collect()
    };
    let count = whole.records().len();
    assert_eq!(bits(&whole, count), bits(&cut, count));
    assert!(count > 10);

    let mut other = open(Kind::Mlp, 8);
    until(&mut other, 40, 10);
    assert_ne!(bits(&other, 2)[1..], bits(&whole, 2)[1..]);
    pollster::block_on(other.restart_async(7)).expect("it begins again");
    assert_eq!((other.step(), other.records().len()), (0, 0));
    until(&mut other, 40, 10);
    assert_eq!(bits(&other, 3), bits(&whole, 3));
}

#[test]
fn each_epoch_takes_each_image_once_at_most() {
    let mut digits = open(Kind::Mlp, 1);
    let mut orders = Vec::new();
    for _ in 0..2 {
        let order = pollster::block_on(digits.session.get_async(&digits.order)).unwrap().to_vec::<u32>().unwrap();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len() as u64, digits.steps_per_epoch() * 32);
        orders.push(order);
        let epoch = digits.steps_per_epoch();
        while digits.step() < epoch {
            advance(&mut digits, 1);
        }
    }
    assert_ne!(orders[0], orders[1]);
}

#[test]
fn an_image_is_read_with_all_that_the_layers_make_of_it() {
    for (kind, sizes) in [(Kind::Mlp, vec![(64, 1, 1)]), (Kind::Cnn, vec![(8, 24, 24), (16, 10, 10)])] {
        let mut digits = open(kind, 3);
        let stages = digits.stages();
        assert_eq!(stages.iter().map(|s| (s.count, s.height, s.width)).collect::<Vec<_>>(), sizes);
        // Unit by unit: no step follows the test.
        until(&mut digits, 60, 1);
        let mut agree = 0;
        for index in 0..50 {
            let pixels = digits.images().test.image(index).unwrap();
            let reading = pollster::block_on(digits.read_async(&pixels)).unwrap();
            assert!((reading.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert_eq!(reading.activations.len(), stages.iter().map(|s| s.values()).sum::<usize>());
            assert!(reading.activations.iter().all(|&v| v >= 0.0) && reading.activations.iter().any(|&v| v > 0.0));
            let best = (0..CLASSES).max_by(|&a, &b| reading.probabilities[a].total_cmp(&reading.probabilities[b])).unwrap();
            agree += usize::from(best == usize::from(digits.predictions()[index]));
        }
        // As the test saw them.
        assert_eq!(agree, 50);
    }
}

#[test]
fn filters_and_activations_belong_together() {
    let mut digits = open(Kind::Mlp, 3);
    let (shape, filters) = (digits.filter_shape(), pollster::block_on(digits.filters_async()).unwrap());
    assert_eq!((shape.count, shape.height, shape.width, filters.len()), (64, SIDE, SIDE, 64 * PIXELS));
    assert_eq!(pollster::block_on(digits.votes_async()).unwrap().len(), 640);
    // Biases begin at 0.
    let pixels = digits.images().test.image(5).unwrap();
    let reading = pollster::block_on(digits.read_async(&pixels)).unwrap();
    for (neuron, filter) in filters.chunks(PIXELS).enumerate() {
        let sum: f32 = filter.iter().zip(&pixels).map(|(w, x)| w * x).sum();
        assert!((sum.max(0.0) - reading.activations[neuron]).abs() < 1e-4, "{neuron}");
    }
    let mut digits = open(Kind::Cnn, 3);
    let (shape, filters) = (digits.filter_shape(), pollster::block_on(digits.filters_async()).unwrap());
    assert_eq!((shape.count, shape.height, shape.width, filters.len()), (8, 5, 5, 200));
    assert!(pollster::block_on(digits.votes_async()).unwrap().is_empty());
    let error = pollster::block_on(digits.read_async(&[0.0; 9])).unwrap_err().to_string();
    assert!(error.contains("9 values, of which 9 are finite; an image has 784"), "{error}");
}

#[test]
fn too_few_images_are_refused() {
    let half = |count: usize| Half { pixels: vec![0; count * PIXELS], labels: vec![0; count] };
    for (train, test) in [(31, 100), (32, 99)] {
        let few = Rc::new(Images { train: half(train), test: half(test) });
        let error = pollster::block_on(Digits::open_async(few, Kind::Mlp, 1, Device::cpu())).err().expect("it is refused");
        assert!(error.to_string().contains("at least 32 and 100 are needed"), "{error}");
    }
    assert!("rnn".parse::<Kind>().unwrap_err().to_string().contains("\"rnn\" is none of mlp, cnn"));
}

/// The same losses within rounding, where there is a GPU.
#[test]
fn a_gpu_learns_the_same() {
    let Some(gpu) = Device::list().first().and_then(|adapter| Device::gpu(adapter.index).ok()) else { return };
    for kind in [Kind::Mlp, Kind::Cnn] {
        let mut there = pollster::block_on(Digits::open_async(images(), kind, 5, gpu.clone())).expect("it compiles");
        let mut here = open(kind, 5);
        let (there, here) = (until(&mut there, 20, 10), until(&mut here, 20, 10));
        assert!((there.test_loss - here.test_loss).abs() < 1e-3 && (there.train_loss - here.train_loss).abs() < 1e-3, "{there:?} {here:?}");
    }
}
