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
