//! The trainer on small data: both ways of feeding, files, and what it reports.

use noyau::prelude::*;

/// 90 samples of 2 x 3 bytes in 3 classes that can be told apart.
fn bytes() -> Dataset {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..90u32 {
        let class = i % 3;
        labels.push(class);
        pixels.extend((0..6u32).map(|p| if p % 3 == class { 200 + (i * 7 + p) % 55 } else { (i * 5 + p * 11) % 60 } as u8));
    }
    Dataset::from_bytes([2, 3], pixels, &Array::new([90], &labels).unwrap()).unwrap()
}

fn trainer(device: Device) -> Trainer {
    let model = Sequential::new().then(Flatten).then(Linear::new(6, 8)).then(Tanh).then(Linear::new(8, 3));
    Trainer::new(device, model).loss(cross_entropy).optimizer(Sgd::new(0.2).momentum(0.9)).seed(3)
}

fn fit(trainer: &mut Trainer, resident: bool) -> History {
    let data = bytes();
    // 90 samples in batches of 16: the last step of an epoch takes 10.
    trainer.fit(&data, Fit::epochs(4).batch_size(16).validate(&data).resident(resident)).unwrap()
}

fn devices() -> Vec<Device> {
    std::iter::once(Device::cpu()).chain(Device::list().iter().map(|a| Device::gpu(a.index).unwrap())).collect()
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
    let result = trainer.evaluate(&bytes()).unwrap();
    assert_eq!(result.accuracy, Some(1.0));
    assert_eq!(result.confusion, [[30, 0, 0], [0, 30, 0], [0, 0, 30]]);
}

#[test]
fn weights_and_moments_travel_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let mut first = trainer(Device::cpu());
    fit(&mut first, false);
    first.save(&file).unwrap();
    let probe = bytes().batch(&[0, 1, 2]).unwrap().x;
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
    let data = bytes();
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
            let data = bytes();
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
