//! Whole trainings: repeatable to the bit on one device, alike on all, and without a GPU object made once they are in their stride.

mod cases;
mod support;

use noyau::data::Rng;
use noyau::nn::Mode;
use noyau::prelude::*;
use support::gpus;

const BATCH: usize = 64;

/// Batches of noisy pictures of ten classes, 8 x 8, the same for every caller.
struct Digits {
    batches: Vec<(Array, Array)>,
}

impl Digits {
    fn new(batches: usize) -> Digits {
        let mut rng = Rng::new(7);
        let pictures: Vec<f32> = (0..640).map(|_| rng.uniform(0.0, 1.0) as f32).collect();
        let batches = (0..batches)
            .map(|_| {
                let labels: Vec<u32> = (0..BATCH).map(|_| rng.below(10)).collect();
                let pixels: Vec<f32> = labels
                    .iter()
                    .flat_map(|&label| pictures[label as usize * 64..][..64].to_vec())
                    .map(|pixel| pixel + 0.5 * rng.uniform(0.0, 1.0) as f32)
                    .collect();
                (Array::new([BATCH, 64], &pixels).unwrap(), Array::new([BATCH], &labels).unwrap())
            })
            .collect();
        Digits { batches }
    }
}

/// Trains a network for so many steps; returns the losses and the weights at the end.
fn train(device: &Device, seed: u64, dropout: f64, optimizer: &dyn Optimizer, digits: &Digits, steps: usize) -> (Vec<f32>, Vec<Array>) {
    let session = Session::with_seed(device.clone(), seed);
    let model = Sequential::new().then(Linear::new(64, 48)).then(Relu).then(Dropout(dropout)).then(Linear::new(48, 10));
    let parameters = model.parameters();
    session.begin(&parameters.iter().map(|(_, p)| p).collect::<Vec<_>>()).unwrap();
    let mut step = session
        .compile([Spec::f32([BATCH, 64]), Spec::u32([BATCH])], |[x, y]| {
            let loss = cross_entropy(&model.forward(&x, &Mode::train()), &y);
            Step::returns(&loss).updates(optimizer.update(&loss, &model))
        })
        .unwrap();
    let mut losses = Vec::with_capacity(steps);
    for i in 0..steps {
        let (x, y) = &digits.batches[i % digits.batches.len()];
        losses.push(step.run(&[x, y]).unwrap()[0].item());
    }
    (losses, parameters.iter().map(|(_, p)| session.get(p).unwrap()).collect())
}

fn bits(losses: &[f32]) -> Vec<u32> {
    losses.iter().map(|loss| loss.to_bits()).collect()
}

fn repeats(device: &Device, name: &str) {
    let digits = Digits::new(10);
    let run = |seed| train(device, seed, 0.3, &Adam::new(0.002), &digits, 200);
    let (first, again, other) = (run(1), run(1), run(2));
    assert_eq!(bits(&first.0), bits(&again.0), "{name}: the losses of two runs with one seed");
    assert_eq!(first.1, again.1, "{name}: the weights after two runs with one seed");
    assert_ne!(bits(&first.0), bits(&other.0), "{name}: another seed must make a difference");
    assert!(first.0[199] < 0.5 * first.0[0], "{name}: it does not learn: {} to {}", first.0[0], first.0[199]);
}

#[test]
fn the_same_seed_gives_the_same_bits_on_the_cpu() {
    repeats(&Device::cpu(), "CPU");
}

#[test]
fn the_same_seed_gives_the_same_bits_on_each_gpu() {
    gpus::every(|gpu| repeats(&gpu.device, &gpu.name));
}

/// The curves of two devices. Roundings differ, and training lets differences grow; over 100 steps at these rates they stay this small.
fn alike(expected: &[f32], found: &[f32], what: &str) {
    assert_eq!(expected.len(), found.len(), "{what}");
    for (step, (&e, &f)) in expected.iter().zip(found).enumerate() {
        assert!((e - f).abs() <= 1e-3 * e.abs(), "{what}: step {step}: {f}, on the CPU {e}");
    }
}

#[test]
fn loss_curves_agree_on_synthetic_digits() {
    let digits = Digits::new(10);
    let run = |device: &Device| {
        [train(device, 3, 0.2, &Sgd::new(0.05).momentum(0.9), &digits, 100).0, train(device, 4, 0.0, &Adam::new(0.001), &digits, 100).0]
    };
    let expected = run(&Device::cpu());
    gpus::every(|gpu| {
        for (i, (expected, found)) in expected.iter().zip(run(&gpu.device)).enumerate() {
            alike(expected, &found, &format!("{}, network {i}", gpu.name));
        }
    });
}

/// The first so many digits of MNIST's training set, from the copy in the repository.
fn mnist(count: usize) -> Dataset {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/mnist");
    Mnist::open(folder).unwrap_or_else(|e| panic!("{e}")).train.subset(0..count).unwrap()
}

#[test]
fn loss_curves_agree_on_mnist() {
    let data = mnist(640);
    // An epoch is ten steps here, ten epochs a hundred; a batch kept on the device and one sent along are the same batch.
    let run = |device: &Device, resident: bool| -> Vec<f32> {
        let model = Sequential::new().then(Flatten).then(Linear::new(784, 64)).then(Relu).then(Linear::new(64, 10));
        let mut trainer = Trainer::new(device.clone(), model).optimizer(Sgd::new(0.05).momentum(0.9)).seed(5);
        let history = trainer.fit(&data, Fit::epochs(10).batch_size(64).resident(resident)).unwrap();
        history.epochs.iter().map(|epoch| epoch.train_loss as f32).collect()
    };
    let expected = run(&Device::cpu(), false);
    assert!(expected[9] < 0.3 * expected[0], "it does not learn: {expected:?}");
    alike(&expected, &run(&Device::cpu(), true), "CPU, resident");
    gpus::every(|gpu| {
        alike(&expected, &run(&gpu.device, true), &format!("{}, resident", gpu.name));
        alike(&expected, &run(&gpu.device, false), &format!("{}, sent along", gpu.name));
    });
}

#[test]
fn a_training_in_its_stride_makes_no_gpu_object() {
    gpus::every(|gpu| {
        let session = Session::with_seed(gpu.device.clone(), 1);
        let model = Sequential::new().then(Linear::new(64, 32)).then(Tanh).then(Dropout(0.1)).then(Linear::new(32, 10));
        let optimizer = Adam::new(0.001);
        let mut step = session
            .compile([Spec::f32([BATCH, 64]), Spec::u32([BATCH])], |[x, y]| {
                let loss = cross_entropy(&model.forward(&x, &Mode::train()), &y);
                Step::returns(&loss).updates(optimizer.update(&loss, &model))
            })
            .unwrap();
        let digits = Digits::new(4);
        let mut run = |i: usize| {
            let (x, y) = &digits.batches[i % 4];
            step.launch_with(&[x, y]).unwrap();
            // Read now and then, as a training does.
            if i.is_multiple_of(50) {
                assert!(step.read(0).unwrap().item().is_finite());
            }
        };
        (0..3).for_each(&mut run);
        let before = gpu.device.objects_created();
        assert!(before > 0, "{}: nothing was counted", gpu.name);
        (3..1003).for_each(&mut run);
        gpu.device.wait().unwrap();
        assert_eq!(gpu.device.objects_created() - before, 0, "{}: objects made in 1,000 steps", gpu.name);
    });
}

#[test]
fn a_trainer_makes_no_gpu_object_after_its_first_steps() {
    let data = mnist(300);
    gpus::every(|gpu| {
        // 300 = 4 x 64 + 44: the last batch of an epoch is another step.
        let model = Sequential::new().then(Flatten).then(Linear::new(784, 16)).then(Relu).then(Linear::new(16, 10));
        let mut trainer = Trainer::new(gpu.device.clone(), model).optimizer(Adam::new(0.001)).seed(5);
        let history = trainer.fit(&data, Fit::epochs(4).batch_size(64).validate(&data)).unwrap();
        assert_eq!(history.gpu_objects_after_warmup, 0, "{}", gpu.name);
        assert_eq!(history.epochs.len(), 4);
    });
}

#[test]
fn random_draws_are_the_same_on_every_device() {
    let run = |device: &Device| -> Vec<Vec<Array>> {
        let session = Session::with_seed(device.clone(), 99);
        let step = Step::returns(&Tensor::random_bits([1000]))
            .and_returns(&Tensor::rand([7, 11]))
            .and_returns(&Tensor::bernoulli([500], 0.3))
            .and_returns(&Tensor::random_bits([1000]));
        let mut step = session.compile([], |[]| step).unwrap();
        (0..5).map(|_| step.run(&[]).unwrap()).collect()
    };
    let expected = run(&Device::cpu());
    for (i, draws) in expected.iter().enumerate() {
        assert_ne!(draws[0], draws[3], "two draws of one step are different ones");
        assert!(expected[..i].iter().all(|before| before[0] != draws[0] && before[1] != draws[1]), "each run draws anew");
        let ones = draws[2].to_f64().iter().sum::<f64>();
        // Mean 150, standard deviation 10.
        assert!((100.0..200.0).contains(&ones), "{ones} of 500 with probability 0.3");
    }
    gpus::every(|gpu| assert_eq!(run(&gpu.device), expected, "{}", gpu.name));
}
