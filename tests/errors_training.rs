//! Mistakes in trainings: arguments, data, files, and losses that are no numbers. Each is an error that says what and where; none is a panic, none leaves
//! anything half done.

mod cases;
mod support;

use std::path::Path;

use noyau::formats::safetensors;
use noyau::prelude::*;
use support::gpus;

/// Two features, three classes.
fn data() -> Dataset {
    let x: Vec<f32> = (0..60).map(|i| (i as f32 * 0.7).sin()).collect();
    let y: Vec<u32> = (0..30).map(|i| i % 3).collect();
    Dataset::new(&Array::new([30, 2], &x).unwrap(), &Array::new([30], &y).unwrap()).unwrap().with_classes(3).unwrap()
}

fn model(outputs: usize) -> Sequential {
    Sequential::new().then(Linear::new(2, 5)).then(Tanh).then(Linear::new(5, outputs))
}

fn trainer(device: &Device) -> Trainer {
    Trainer::new(device.clone(), model(3)).seed(1)
}

/// What a training with one thing wrong says.
#[track_caller]
fn refusal(trainer: &mut Trainer, fit: Fit<'_>) -> String {
    trainer.fit(&data(), fit).map(drop).expect_err("something is wrong with it").to_string()
}

#[test]
fn arguments_out_of_range() {
    let cpu = Device::cpu();
    let with = |optimizer: Box<dyn Optimizer>| refusal(&mut trainer(&cpu).optimizer(optimizer), Fit::epochs(1));
    assert_eq!(
        refusal(&mut trainer(&cpu), Fit::epochs(1).batch_size(0)),
        "batch_size: a batch of 0 samples was asked for, it must hold at least 1"
    );
    assert_eq!(with(Box::new(Sgd::new(f64::NAN))), "learning rate: NaN is not a positive number");
    assert_eq!(with(Box::new(Sgd::new(-0.1))), "learning rate: -0.1 is not a positive number");
    assert_eq!(with(Box::new(Adam::new(f64::INFINITY))), "learning rate: inf is not a finite number");
    for (optimizer, what) in [
        (Box::new(Sgd::new(0.1).momentum(1.5)) as Box<dyn Optimizer>, "momentum"),
        (Box::new(Sgd::new(0.1).weight_decay(-1.0)), "weight_decay"),
        (Box::new(Sgd::new(0.1).clip_norm(0.0)), "clip_norm"),
    ] {
        let found = with(optimizer);
        assert!(found.starts_with(&format!("{what}: ")), "{found}");
    }
}

#[test]
fn models_that_do_not_fit_the_data() {
    let cpu = Device::cpu();
    let few = refusal(&mut Trainer::new(cpu.clone(), model(2)), Fit::epochs(1));
    assert_eq!(few, "model: its output for one sample is [1, 2], but the data has 3 classes: it must be [1, 3]");
    let at = line!() + 1;
    let wide = Sequential::new().then(Linear::new(7, 3));
    let found = refusal(&mut Trainer::new(cpu.clone(), wide), Fit::epochs(1));
    assert_eq!(
        found,
        format!(
            "layer 0: Linear: the layer takes 7 features and gives 3; the input [1, 2] has 2 on its last axis (tests/errors_training.rs:{at})"
        )
    );
    let unscaled = refusal(&mut Trainer::new(cpu.clone(), model(3)).loss(|out: &Tensor, _: &Tensor| out.square()), Fit::epochs(1));
    assert!(unscaled.contains("the loss must be a scalar of f32, not f32[30, 3]"), "{unscaled}");
    let frozen = refusal(&mut Trainer::new(cpu, |x: &Tensor| x.matmul(&Tensor::ones([2, 3]))), Fit::epochs(1));
    assert!(frozen.contains("no parameters"), "{frozen}");
}

#[test]
fn data_that_contradicts_itself() {
    let x = Array::full([4, 2], Scalar::Float(0.5));
    let y = |labels: &[u32]| Array::new([labels.len()], labels).unwrap();
    let refused = |result: Result<Dataset>| result.map(drop).expect_err("something is wrong with it").to_string();
    let counts = refused(Dataset::new(&x, &y(&[0, 1, 2])));
    assert!(counts.contains('4') && counts.contains('3'), "{counts}");
    let label = refused(Dataset::new(&x, &y(&[0, 1, 9, 2])).unwrap().with_classes(3));
    assert!(label.contains('9') && label.contains('3'), "{label}");
    let far = refused(data().subset([31]));
    assert_eq!(far, "Dataset::subset: there is no sample 31, only 0 to 29");
}

/// A loss that is the logarithm of a number that training makes negative.
#[test]
fn a_loss_that_is_no_number_names_its_maker() {
    let check = |device: &Device| {
        let at = line!() + 1;
        let loss = |out: &Tensor, _: &Tensor| (1.0 - out.exp().mean() * 0.5).log();
        let mut trainer = Trainer::new(device.clone(), model(3)).loss(loss).optimizer(Sgd::new(5.0)).seed(1);
        // Downhill is where the mean of the exponentials grows, past 2.
        let error = trainer.fit(&data(), Fit::epochs(200).batch_size(10)).map(drop).expect_err("a logarithm of a negative number");
        assert!(matches!(error, Error::NotFinite { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("log of f32[] was the first operation to give NaN (tests/errors_training.rs:{at})")),
            "{device:?}: {text}"
        );
        assert!(text.contains("at step ") && text.contains("of epoch "), "{text}");
    };
    check(&Device::cpu());
    gpus::every(|gpu| check(&gpu.device));
}

#[test]
fn a_rate_that_is_too_high_is_found_out() {
    let check = |device: &Device| {
        let loss = |out: &Tensor, _: &Tensor| out.square().square().sum();
        let mut trainer = Trainer::new(device.clone(), model(3)).loss(loss).optimizer(Sgd::new(1e6)).seed(1);
        let error = trainer.fit(&data(), Fit::epochs(100).batch_size(10)).map(drop).expect_err("it cannot but diverge");
        assert!(matches!(error, Error::NotFinite { .. }) && error.to_string().contains("learning rate"), "{device:?}: {error}");
    };
    check(&Device::cpu());
    gpus::every(|gpu| check(&gpu.device));
}

fn save(trainer: &mut Trainer, path: &Path) {
    trainer.fit(&data(), Fit::epochs(1).batch_size(10)).unwrap();
    trainer.save(path).unwrap();
}

#[test]
fn weights_of_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    save(&mut Trainer::new(Device::cpu(), Sequential::new().then(Linear::new(2, 4)).then(Tanh).then(Linear::new(4, 3))).seed(1), &path);
    let mut trainer = trainer(&Device::cpu());
    let error = trainer.load(&path).expect_err("sizes differ").to_string();
    assert_eq!(
        error,
        format!("{}: `0.weight` is f32[4, 2], the model's is f32[5, 2]: the file is of a model with other sizes", path.display())
    );

    let shallow = folder.path().join("shallow.safetensors");
    save(&mut Trainer::new(Device::cpu(), Sequential::new().then(Linear::new(2, 3))).seed(1), &shallow);
    let error = Trainer::new(Device::cpu(), Sequential::new().then(Relu).then(Linear::new(2, 3)))
        .load(&shallow)
        .expect_err("names differ")
        .to_string();
    assert!(error.contains("has no tensor `1.weight`, which the model needs") && error.contains("0.weight"), "{error}");

    let nothing = folder.path().join("nothing.safetensors");
    let error = trainer.load(&nothing).expect_err("there is no such file").to_string();
    assert!(error.starts_with(&format!("{}: cannot read: ", nothing.display())), "{error}");
}

/// Cut at every place that matters and a hundred that do not: never a panic, and the model stays as it was.
#[test]
fn a_checkpoint_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.safetensors");
    save(&mut trainer(&Device::cpu()).optimizer(Adam::new(0.01)), &path);
    let whole = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    assert!(safetensors::from_bytes("whole", &whole).unwrap().tensors.len() > 4, "weights and moments");

    let mut trainer = trainer(&Device::cpu());
    let before = trainer.predict(&Array::full([1, 2], Scalar::Float(0.3))).unwrap();
    let cut = folder.path().join("cut.safetensors");
    let places = (0..10)
        .chain([header / 2, header - 1, header, header + 1, whole.len() - 4, whole.len() - 1])
        .chain((0..100).map(|i| i * whole.len() / 100));
    for place in places {
        std::fs::write(&cut, &whole[..place]).unwrap();
        let error = trainer.load(&cut).expect_err("a file cut short");
        assert!(
            matches!(error, Error::Data { .. }) && error.to_string().starts_with(&cut.display().to_string()),
            "cut at {place}: {error}"
        );
    }
    // A header that promises more than there is, and bytes that are no header at all.
    let mut lies = whole.clone();
    lies[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(&cut, &lies).unwrap();
    assert!(matches!(trainer.load(&cut).expect_err("no header is that long"), Error::Data { .. }));
    std::fs::write(&cut, [b'x'; 500]).unwrap();
    assert!(matches!(trainer.load(&cut).expect_err("this is no safetensors file"), Error::Data { .. }));
    assert_eq!(trainer.predict(&Array::full([1, 2], Scalar::Float(0.3))).unwrap(), before, "a load that fails changes nothing");
    trainer.load(&path).unwrap();
    assert_ne!(trainer.predict(&Array::full([1, 2], Scalar::Float(0.3))).unwrap(), before);
}

#[test]
fn a_save_that_fails_leaves_the_last_file() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("no/such/folder/w.safetensors");
    let mut trainer = trainer(&Device::cpu());
    let error = trainer.save(&nowhere).expect_err("there is no such folder");
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("no/such/folder"), "{error}");
    // A folder stands where the file should go.
    let error = trainer.save(folder.path()).expect_err("a folder is no file").to_string();
    assert!(error.contains(&folder.path().display().to_string()) && error.contains("no ordinary file"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing half written is left behind");
}
