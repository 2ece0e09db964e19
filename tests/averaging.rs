//! Accumulated gradients and averaged weights where they are used: against large batches, on devices, in a trainer.

use noyau::prelude::*;

/// Deterministic numbers from -1 to 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32).map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) % 2001) as f32 / 1000.0 - 1.0).collect()
}

fn data(samples: usize) -> Dataset {
    let classes: Vec<u32> = (0..samples as u32).map(|i| i * 7 % 5 % 3).collect();
    Dataset::new(&Array::new([samples, 6], &numbers(samples * 6, 1)).unwrap(), &Array::new([samples], &classes).unwrap()).unwrap()
}

fn net() -> Sequential {
    Sequential::new().then(Linear::new(6, 16)).then(Tanh).then(Linear::new(16, 3))
}

/// The weights after steps on batches of the samples in order.
fn trained(device: &Device, optimizer: &dyn Optimizer, batch: usize, steps: usize) -> Vec<Vec<f32>> {
    let model = net();
    let session = Session::with_seed(device.clone(), 3);
    let data = data(256);
    session.begin(&model.parameters().iter().map(|(_, p)| p).collect::<Vec<_>>()).unwrap();
    let mut step = session
        .compile([Spec::f32([batch, 6]), Spec::u32([batch])], |[x, y]| {
            let loss = cross_entropy(&model.forward(&x, &Mode::train()), &y);
            Step::returns(&loss).updates(optimizer.update(&loss, &model))
        })
        .unwrap();
    for number in 0..steps {
        let rows: Vec<u32> = (0..batch).map(|i| ((number * batch + i) % data.len()) as u32).collect();
        let batch = data.batch(&rows).unwrap();
        step.run(&[&batch.x, &batch.y]).unwrap();
    }
    model.parameters().iter().map(|(_, p)| session.get(p).unwrap().to_vec().unwrap()).collect()
}

fn check(device: &Device, called: &str) {
    let makes: [fn() -> Box<dyn Optimizer>; 3] = [
        || Box::new(Sgd::new(Schedule::cosine(0.2, 0.0, 8)).momentum(0.9).clip_norm(0.5)),
        || Box::new(AdamW::new(0.01).eps(1e-3)),
        || Box::new(Ema::new(RmsProp::new(0.01).eps(1e-3), 0.9)),
    ];
    for (i, make) in makes.iter().enumerate() {
        let whole = trained(device, &*make(), 128, 6);
        let parts = trained(device, &Accumulate::new(make(), 4), 32, 24);
        let begun = trained(device, &*make(), 128, 0);
        let off = |a: &[Vec<f32>], b: &[Vec<f32>]| a.concat().iter().zip(b.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off(&whole, &begun) > 0.01, "{called}, {i}: it learns");
        // Sums of the same gradients in another order, through six updates.
        let found = off(&whole, &parts);
        assert!(found < 1e-5, "{called}, {i}: one batch of 128 and four of 32 differ by {found:e}");
        let unfinished = trained(device, &Accumulate::new(make(), 4), 32, 23);
        assert!(off(&whole, &unfinished) > 1e-4, "{called}, {i}: the last batch is needed");
    }
}

#[test]
fn four_small_batches_are_a_large_one() {
    check(&Device::cpu(), "CPU");
}

#[test]
fn gpus_add_up_gradients_too() {
    for adapter in Device::list() {
        check(&Device::gpu(adapter.index).unwrap(), &adapter.to_string());
    }
}

#[test]
fn a_trainer_evaluates_predicts_and_saves_averages() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("averages.safetensors");
    let (train, test) = (data(96), data(60));
    let mut trainer = Trainer::new(Device::cpu(), net()).optimizer(Ema::new(Sgd::new(0.5), 0.8)).seed(1);
    let message = trainer.save_averaged(&file).unwrap_err().to_string();
    assert!(message.contains("put it into Ema::new"), "{message}");
    let history = trainer.fit(&train, Fit::epochs(3).batch_size(16).validate(&test)).unwrap();
    let evaluated = trainer.evaluate(&test).unwrap();
    assert_eq!(history.last().unwrap().test_loss, Some(evaluated.loss), "validation sees the averages");
    let x = Array::new([4, 6], &numbers(24, 9)).unwrap();
    let predicted = trainer.predict(&x).unwrap().to_vec::<f32>().unwrap();
    let session = trainer.session().unwrap();
    let weights: Vec<Array> = trainer.model().parameters().iter().map(|(_, p)| session.get(p).unwrap()).collect();
    trainer.save_averaged(&file).unwrap();

    // The file's weights are the averages: a trainer without any gives the same from it.
    let mut plain = Trainer::new(Device::cpu(), net());
    plain.load(&file).unwrap();
    assert_eq!(plain.predict(&x).unwrap().to_vec::<f32>().unwrap(), predicted);
    assert!((plain.evaluate(&test).unwrap().loss - evaluated.loss).abs() < 1e-6);
    let session = plain.session().unwrap();
    let averages: Vec<Array> = plain.model().parameters().iter().map(|(_, p)| session.get(p).unwrap()).collect();
    assert_ne!(averages, weights, "averages lag behind");

    // Loading weights makes them the averages too, until there are others.
    let other = folder.path().join("other.safetensors");
    Trainer::new(Device::cpu(), net()).seed(8).save(&other).unwrap();
    let (mut fresh, mut before) = (Trainer::new(Device::cpu(), net()), trainer);
    fresh.load(&other).unwrap();
    before.load(&other).unwrap();
    assert_eq!(before.evaluate(&test).unwrap().loss, fresh.evaluate(&test).unwrap().loss);
}

#[test]
fn a_state_read_in_place_of_another_must_be_like_it() {
    let (a, b, c) = (Param::scalar("a", 1.0), Param::scalar("b", 2.0), Param::new("c", [2], init::zeros()));
    let session = Session::new(Device::cpu());
    let mut step = session.compile([], |[]| Step::returns(&(&a * 10.0)).reading([(a.clone(), b.clone())])).unwrap();
    assert_eq!(step.run(&[]).unwrap()[0].to_vec::<f32>().unwrap(), [20.0]);
    let message = session.compile([], |[]| Step::returns(&(&a * 10.0)).reading([(a.clone(), c)])).err().unwrap().to_string();
    assert!(message.contains("`a` is f32[]") && message.contains("`c`, which is to be read in its place, is f32[2]"), "{message}");
}
