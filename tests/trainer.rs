//! The trainer on small data: both ways of feeding, files, and what it reports.

#[path = "support/small.rs"]
#[allow(dead_code)] // Each file of tests uses a part of it.
mod small;

use noyau::nn::metrics::ConfusionMatrix;
use noyau::prelude::*;
use small::{devices, three_classes};

fn trainer(device: Device) -> Trainer {
    let model = Sequential::new().then(Flatten).then(Linear::new(6, 8)).then(Tanh).then(Linear::new(8, 3));
    Trainer::new(device, model).loss(cross_entropy).optimizer(Sgd::new(0.2).momentum(0.9)).seed(3)
}

fn fit(trainer: &mut Trainer, resident: bool) -> History {
    let data = three_classes();
    // 90 samples in batches of 16: the last step of an epoch takes 10.
    trainer.fit(&data, Fit::epochs(4).batch_size(16).validate(&data).resident(resident)).unwrap()
}

#[test]
fn it_learns_on_every_device_fed_either_way() {
    for device in devices() {
        let sent = fit(&mut trainer(device.clone()), false);
        let kept = fit(&mut trainer(device.clone()), true);
        for (a, b) in sent.epochs.iter().zip(&kept.epochs) {
            assert!((a.train_loss - b.train_loss).abs() < 1e-4, "{device:?}: {} and {}", a.train_loss, b.train_loss);
            assert_eq!(a.test_accuracy, b.test_accuracy, "{device:?}");
        }
        assert_eq!(sent.last().unwrap().test_accuracy, Some(1.0), "{device:?}");
        assert!(sent.last().unwrap().train_loss < 0.5 * sent.epochs[0].train_loss);
        assert_eq!((sent.gpu_objects_after_warmup, kept.gpu_objects_after_warmup), (0, 0), "{device:?}");
    }
}

#[test]
fn evaluation_counts_every_sample_once() {
    let mut trainer = trainer(Device::cpu());
    fit(&mut trainer, false);
    let result = trainer.evaluate(&three_classes()).unwrap();
    assert_eq!(result.accuracy, Some(1.0));
    assert_eq!(result.confusion, [[30, 0, 0], [0, 30, 0], [0, 0, 30]]);
    assert_eq!((result.samples, &result.ranks[..]), (90, &[90, 0, 0][..]));
}

/// Deterministic numbers from -1 to 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32).map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) % 2001) as f32 / 1000.0 - 1.0).collect()
}

/// More samples than evaluation takes at a time, and a rest that is smaller.
const SAMPLES: usize = 2 * 1000 + 37;

#[test]
fn classes_are_evaluated_over_the_whole_set_sample_by_sample() {
    let (x, y): (Vec<f32>, Vec<u32>) = (numbers(SAMPLES * 6, 1), (0..SAMPLES as u32).map(|i| i * i % 11).collect());
    // The last samples, in the smaller batch, are all of one class.
    let y: Vec<u32> = y.iter().enumerate().map(|(i, &class)| if i >= 2000 { 11 } else { class }).collect();
    let data = Dataset::new(&Array::new([SAMPLES, 6], &x).unwrap(), &Array::new([SAMPLES], &y).unwrap()).unwrap();
    for device in devices() {
        let mut trainer = Trainer::new(device.clone(), Linear::new(6, 12)).seed(5);
        let found = trainer.evaluate(&data).unwrap();
        let logits = trainer.predict(&Array::new([SAMPLES, 6], &x).unwrap()).unwrap().to_f64();
        let (mut confusion, mut ranks, mut loss) = (vec![vec![0u64; 12]; 12], vec![0u64; 12], 0.0);
        for (z, &class) in logits.chunks(12).zip(&y) {
            let own = z[class as usize];
            let predicted = z.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
            confusion[class as usize][predicted] += 1;
            ranks[z.iter().filter(|&&z| z > own).count()] += 1;
            loss += z.iter().map(|z| z.exp()).sum::<f64>().ln() - own;
        }
        assert_eq!((found.samples, &found.confusion, &found.ranks), (SAMPLES as u64, &confusion, &ranks), "{device:?}");
        let right: u64 = (0..12).map(|c| confusion[c][c]).sum();
        assert_eq!(found.accuracy, Some(right as f64 / SAMPLES as f64), "{device:?}");
        assert_eq!((found.top_k(1), found.top_k(12), found.top_k(99)), (found.accuracy, Some(1.0), Some(1.0)), "{device:?}");
        assert_eq!(found.top_k(3), Some(ranks[..3].iter().sum::<u64>() as f64 / SAMPLES as f64), "{device:?}");
        assert_eq!((found.top_k(0), found.regression), (None, None));
        // Three sums of f32.
        assert!((found.loss * SAMPLES as f64 / loss - 1.0).abs() < 1e-6, "{device:?}: {} and {}", found.loss, loss / SAMPLES as f64);
        // All that is said of classes comes from the matrix.
        let scores = found.scores().unwrap();
        assert_eq!(scores.support[11], 37);
        assert_eq!(found.confusion_matrix(), Some(ConfusionMatrix::new(&confusion)));
        let text = found.to_string();
        for part in ["2037 samples, loss ", ", accuracy ", ", among the best five ", "macro", "weighted", "is, taken for", "precision"] {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
    }
}

#[test]
fn numbers_are_evaluated_over_the_whole_set_sample_by_sample() {
    let x = numbers(SAMPLES * 3, 2);
    // Far from 0, where sums of squares would drown in rounding; the second output never changes, and the last samples are outliers.
    let target = |i: usize| [1000.0 + x[3 * i] * 2.0 - x[3 * i + 1] + if i < 2000 { 0.0 } else { 50.0 }, 7.0];
    let y: Vec<f32> = (0..SAMPLES).flat_map(target).collect();
    let data = Dataset::new(&Array::new([SAMPLES, 3], &x).unwrap(), &Array::new([SAMPLES, 2], &y).unwrap()).unwrap();
    for device in devices() {
        let model = Linear::new(3, 2).bias_init(init::constant(999.0));
        let mut trainer = Trainer::new(device.clone(), model).loss(mse_loss).seed(5);
        let found = trainer.evaluate(&data).unwrap();
        let predicted = trainer.predict(&Array::new([SAMPLES, 3], &x).unwrap()).unwrap().to_f64();
        let n = SAMPLES as f64;
        let column = |values: &[f64], c: usize| -> Vec<f64> { values.iter().skip(c).step_by(2).copied().collect() };
        let y: Vec<f64> = y.iter().copied().map(f64::from).collect();
        let (mut mae, mut rmse, mut r2) = (0.0, 0.0, 0.0);
        for c in 0..2 {
            let (y, p) = (column(&y, c), column(&predicted, c));
            let mean = y.iter().sum::<f64>() / n;
            let residual: f64 = y.iter().zip(&p).map(|(y, p)| (y - p).powi(2)).sum();
            let total: f64 = y.iter().map(|y| (y - mean).powi(2)).sum();
            mae += y.iter().zip(&p).map(|(y, p)| (y - p).abs()).sum::<f64>() / n / 2.0;
            rmse += (residual / n).sqrt() / 2.0;
            r2 += if total == 0.0 { 0.0 } else { 1.0 - residual / total } / 2.0;
        }
        let scores = found.regression.unwrap();
        for (what, found, wanted) in [("mae", scores.mae, mae), ("rmse", scores.rmse, rmse), ("r2", scores.r2, r2)] {
            assert!((found / wanted - 1.0).abs() < 2e-6, "{device:?}: {what} is {found}, not {wanted}");
        }
        assert_eq!((found.accuracy, found.top_k(1), found.scores()), (None, None, None));
        let text = found.to_string();
        assert!(text.contains("mean absolute error ") && text.contains(", R2 -") && !text.contains("accuracy"), "{text}");
    }
    // Targets that never change and predictions that are exact.
    let ones = Array::full([5, 1], Scalar::Float(1.0));
    let model = Linear::new(1, 1).init(init::zeros()).bias_init(init::constant(1.0));
    let found = Trainer::new(Device::cpu(), model).loss(mse_loss).evaluate(&Dataset::new(&ones, &ones).unwrap()).unwrap();
    assert_eq!(found.regression.map(|s| (s.mae, s.rmse, s.r2)), Some((0.0, 0.0, 1.0)));
    // Something is predicted, but not the targets: a loss that makes something else of them.
    let of_sum = |out: &Tensor, y: &Tensor| (out.sum_axes(&[1]) - y.sum_axes(&[1])).square().mean();
    let found = Trainer::new(Device::cpu(), Linear::new(3, 4)).loss(of_sum).evaluate(&data).unwrap();
    assert!(found.regression.is_none() && found.loss > 1.0, "{found}");
}

#[test]
fn mistakes_in_what_was_handed_over_bare_name_the_line_that_did() {
    let data = Dataset::new(&Array::new([4, 2], &[0.5f32; 8]).unwrap(), &Array::new([4, 1], &[1.0f32; 4]).unwrap()).unwrap();
    let fit = |trainer: Trainer| {
        let mut trainer = trainer;
        trainer.fit(&data, Fit::epochs(1)).unwrap_err().to_string()
    };
    let cpu = Device::cpu;
    let is_at = |message: String, line: u32, what: &str| {
        assert!(message.contains(what) && message.contains(&format!("(tests/trainer.rs:{line})")), "line {line}: {message}");
    };
    is_at(fit(Trainer::new(cpu(), Linear::new(3, 1)).loss(mse_loss)), line!(), "the layer takes 3 features");
    is_at(fit(Trainer::new(cpu(), Linear::new(2, 5)).loss(mse_loss)), line!(), "differ in shape");
    let boxed: Box<dyn Module> = Box::new(Conv2d::new(1, 1, 3));
    is_at(fit(Trainer::new(cpu(), boxed)), line!(), "Conv2d");
    // The loss and the optimizer have lines of their own.
    let loss_from = line!() + 1;
    let trainer = Trainer::new(cpu(), Linear::new(2, 5)).loss(HuberLoss(1.0));
    is_at(fit(trainer), loss_from, "differ in shape");
    let trainer = Trainer::new(cpu(), Linear::new(2, 1)).loss(|_: &Tensor, y: &Tensor| y.square().mean());
    let from = line!() + 1;
    let trainer = trainer.optimizer(Adam::new(0.1));
    is_at(fit(trainer), from, "no gradient flows from the loss to the parameter `weight`");
    // Prediction and summaries too.
    let from = line!() + 1;
    let mut trainer = Trainer::new(cpu(), Linear::new(2, 1));
    is_at(trainer.predict(&Array::new([1, 3], &[0.0f32; 3]).unwrap()).unwrap_err().to_string(), from, "has 3 on its last axis");
    is_at(summary(&Linear::new(2, 1), [4, 3]).unwrap_err().to_string(), line!(), "has 3 on its last axis");
    // A model of one's own says itself where it is wrong.
    let from = line!() + 1;
    let own = |x: &Tensor| x.matmul(&Tensor::ones([7, 1]));
    is_at(fit(Trainer::new(cpu(), own)), from, "matmul");
}

#[test]
fn weights_and_moments_travel_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let mut first = trainer(Device::cpu());
    fit(&mut first, false);
    first.save(&file).unwrap();
    let probe = three_classes().batch(&[0, 1, 2]).unwrap().x;
    let before: Vec<f32> = first.predict(&probe).unwrap().to_vec().unwrap();

    let mut second = trainer(Device::cpu()).seed(99);
    second.load(&file).unwrap();
    assert_eq!(second.predict(&probe).unwrap().to_vec::<f32>().unwrap(), before);
    // With the moments, going on from the file is going on.
    let mut third = trainer(Device::cpu());
    third.load(&file).unwrap();
    let (a, b) = (fit(&mut first, false), fit(&mut third, false));
    let losses = |h: &History| h.epochs.iter().map(|e| e.train_loss).collect::<Vec<_>>();
    assert_eq!(losses(&a), losses(&b));
}

#[test]
fn a_regression_has_no_accuracy() {
    let x: Vec<f32> = (0..64).map(|i| i as f32 / 32.0 - 1.0).collect();
    let y: Vec<f32> = x.iter().map(|x| 3.0 * x - 1.0).collect();
    let data = Dataset::new(&Array::new([64, 1], &x).unwrap(), &Array::new([64, 1], &y).unwrap()).unwrap();
    let mut trainer = Trainer::new(Device::cpu(), Linear::new(1, 1)).loss(mse_loss).optimizer(Adam::new(0.1));
    let history = trainer.fit(&data, Fit::epochs(60).batch_size(16).validate(&data)).unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.train_accuracy, last.test_accuracy), (None, None));
    assert!(last.test_loss < Some(1e-3), "{last:?}");
    assert!(trainer.evaluate(&data).unwrap().confusion.is_empty());
}

#[test]
fn progress_reaches_the_end_of_each_epoch() {
    let mut seen = Vec::new();
    let mut epochs = Vec::new();
    let data = three_classes();
    let report = Fit::epochs(2).batch_size(16).on_progress(|p| seen.push((p.epoch, p.step, p.steps))).on_epoch(|e| epochs.push(e.epoch));
    trainer(Device::cpu()).fit(&data, report).unwrap();
    assert!(seen.contains(&(1, 6, 6)) && seen.contains(&(2, 6, 6)), "{seen:?}");
    assert_eq!(epochs, [1, 2]);
}

/// A network with random numbers of its own, and a rate that changes.
fn changing(device: Device) -> Trainer {
    let model = Sequential::new().then(Flatten).then(Linear::new(6, 8)).then(Tanh).then(Dropout(0.2)).then(Linear::new(8, 3));
    Trainer::new(device, model).loss(cross_entropy).optimizer(Adam::new(Schedule::cosine(0.02, 0.001, 100))).seed(7)
}

#[test]
fn steps_submitted_together_leave_the_bits_of_single_ones() {
    for device in devices() {
        let run = |single: bool| {
            let mut trainer = changing(device.clone());
            // A step that is checked runs by itself.
            trainer.session().unwrap().check_finite(single);
            let data = three_classes();
            let history = trainer.fit(&data, Fit::epochs(30).batch_size(16).resident(true)).unwrap();
            let probe = data.batch(&[0, 1, 2]).unwrap().x;
            let losses: Vec<u64> = history.epochs.iter().map(|e| e.train_loss.to_bits()).collect();
            (losses, trainer.predict(&probe).unwrap().words().to_vec())
        };
        assert_eq!(run(false), run(true), "{device:?}");
    }
}

#[test]
fn a_step_among_many_that_fails_is_named() {
    for device in devices() {
        // The square of what comes of sample 61 is beyond f32; in the order of the first epoch it comes at some step, which the message must name.
        let mut x = vec![0.5f32; 90 * 2];
        x[61 * 2] = 1e30;
        let y = vec![1.0f32; 90];
        let data = Dataset::new(&Array::new([90, 2], &x).unwrap(), &Array::new([90, 1], &y).unwrap()).unwrap();
        let order = Loader::new(&data, 8).unwrap().shuffle(7).order(0);
        let step = order.iter().position(|&i| i == 61).unwrap() / 8 + 1;
        for resident in [false, true] {
            let mut trainer = Trainer::new(device.clone(), Linear::new(2, 1)).loss(mse_loss).optimizer(Sgd::new(0.1)).seed(7);
            let error = trainer.fit(&data, Fit::epochs(2).batch_size(8).resident(resident)).unwrap_err().to_string();
            assert!(error.contains(&format!("at step {step} of epoch 1")), "{device:?}, resident {resident}: {error}");
        }
    }
}
