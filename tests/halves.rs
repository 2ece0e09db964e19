//! f16 and bf16 to the bit, on every device; mixed-precision training; what is refused.

mod cases;
mod support;

use std::collections::BTreeMap;

use noyau::prelude::*;
use noyau::tensor::{Op, State, bf16, f16};
use support::gpus;

/// Numbers and what f16 and bf16 make of them.
const ROUNDED: [(f32, f32, f32); 22] = [
    (0.0, 0.0, 0.0),
    (-0.0, -0.0, -0.0),
    (1.0, 1.0, 1.0),
    (-1.5, -1.5, -1.5),
    // Ties to even: f16's unit at 1 is 2^-10, bf16's 2^-7.
    (1.0 + 1.0 / 2048.0, 1.0, 1.0),
    (1.0 + 3.0 / 2048.0, 1.0 + 2.0 / 1024.0, 1.0),
    (1.0 + 1.0 / 256.0, 1.0 + 1.0 / 256.0, 1.0),
    (1.0 + 3.0 / 256.0, 1.0 + 3.0 / 256.0, 1.0 + 2.0 / 128.0),
    (2049.0, 2048.0, 2048.0),
    (2051.0, 2052.0, 2048.0),
    (-4097.5, -4096.0, -4096.0),
    // The end of f16's range.
    (65504.0, 65504.0, 65536.0),
    (65519.996, 65504.0, 65536.0),
    (65520.0, f32::INFINITY, 65536.0),
    (-1e6, f32::NEG_INFINITY, -999424.0),
    (f32::MAX, f32::INFINITY, f32::INFINITY),
    (f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY),
    // Below 2^-14 f16 has multiples of 2^-24: half of one goes to 0, one and a half to two.
    (6.1035156e-5, 6.1035156e-5, 6.1035156e-5),
    (5.9604645e-8, 5.9604645e-8, 5.9604645e-8),
    (2.9802322e-8, 0.0, 2.9802322e-8),
    (-8.940697e-8, -1.1920929e-7, -8.940697e-8),
    (1e-30, 0.0, 9.984021e-31),
];

fn devices() -> Vec<Device> {
    std::iter::once(Device::cpu()).chain(gpus::all().iter().map(|gpu| gpu.device.clone())).collect()
}

#[test]
fn conversions_round_to_nearest_even_on_every_device() {
    let _turn = gpus::turn();
    // In an arena, and beyond what one holds, where f16 takes two bytes; an odd number of elements.
    for count in [ROUNDED.len(), 70_001] {
        let values: Vec<f32> = ROUNDED.iter().map(|r| r.0).cycle().take(count).collect();
        let x = Param::from_array("x", Array::new([count], &values).unwrap());
        for device in devices() {
            let session = Session::new(device.clone());
            for (dtype, expected) in [(DType::F16, 1), (DType::BF16, 2)] {
                let expected: Vec<f32> = ROUNDED.iter().map(|r| if expected == 1 { r.1 } else { r.2 }).cycle().take(count).collect();
                let stored = session.eval(&x.to(dtype)).unwrap();
                let back = session.eval(&x.to(dtype).to(DType::F32)).unwrap();
                assert_eq!(stored.dtype(), dtype);
                for found in [stored, back] {
                    for (i, (word, expected)) in found.words().iter().zip(&expected).enumerate() {
                        assert_eq!(*word, expected.to_bits(), "{device:?}: {} to {dtype}: {}", values[i], f32::from_bits(*word));
                    }
                }
            }
        }
    }
}

#[test]
fn nan_stays_one() {
    let x = Param::from_array("x", Array::new([2], &[f32::NAN, 1.0]).unwrap());
    for device in devices() {
        let _turn = gpus::turn();
        for dtype in [DType::F16, DType::BF16] {
            let found = Session::new(device.clone()).eval(&x.to(dtype)).unwrap().to_f64();
            assert!(found[0].is_nan() && found[1] == 1.0, "{device:?} {dtype}: {found:?}");
        }
    }
}

#[test]
fn states_of_halves_are_kept_changed_and_read() {
    let _turn = gpus::turn();
    for device in devices() {
        for count in [7, 40_001, 70_001] {
            let values: Vec<f16> = (0..count).map(|i| f16::from_f32((i % 100) as f32 / 8.0)).collect();
            let w = Param::from_array("w", Array::new([count], &values).unwrap());
            let session = Session::new(device.clone());
            let mut step = session
                .compile([Spec::new([count], DType::F16)], |[x]| Step::returns(&w.sum().to(DType::F32)).updates([(w.clone(), &w + x)]))
                .unwrap();
            let x = Array::new([count], &vec![f16::from_f32(0.25); count]).unwrap();
            step.run(&[&x]).unwrap();
            step.run(&[&x]).unwrap();
            let found = session.get(&w).unwrap().to_vec::<f16>().unwrap();
            let expected: Vec<f16> = values.iter().map(|v| f16::from_f32(v.to_f32() + 0.5)).collect();
            assert_eq!(found, expected, "{device:?} {count}");
            session.set(&w, &x).unwrap();
            assert_eq!(session.get(&w).unwrap(), x, "{device:?} {count}");
        }
    }
}

/// Where a GPU has f16, large tensors of it take half the memory.
#[test]
fn gpus_with_f16_store_two_bytes() {
    use noyau::compile::{Graph, Options, compile};
    let _turn = gpus::turn();
    for info in Device::list() {
        let gpu = pollster::block_on(noyau::gpu::Gpu::open(info.index)).unwrap();
        let limits = gpu.limits();
        assert_eq!(limits.half_words, info.features.iter().any(|f| f == "shader_f16"), "{info}: {:?}", info.features);
        let x = Tensor::input(0, [256, 256], DType::F16);
        let product = x.matmul(&x).relu();
        let graph = Graph::trace(&[(x.shape().clone(), DType::F16)], &[&product], &[]).unwrap();
        let plan = compile(&graph, Options::new(limits)).unwrap();
        assert_eq!(plan.slots, [if limits.half_words { 1 << 15 } else { 1 << 16 }]);
        let no_states = &mut |state: &std::sync::Arc<State>| Err(Error::Internal(state.name().to_string()));
        let loaded = pollster::block_on(gpu.load(plan.into(), no_states)).unwrap();
        let texts = loaded.shader_texts().concat();
        assert_eq!(texts.contains("f16>"), limits.half_words, "{info}: {texts}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let message = |t: &Tensor| t.error().expect("refused").to_string();
    let (x, h, b) = (Tensor::zeros([2, 2]), Tensor::zeros([2, 2]).to(DType::F16), Tensor::zeros([2, 2]).to(DType::BF16));
    let w = Param::new("w", [2, 2], Init::Full(Scalar::Float(1.0)));
    for (mixed, types) in [(&w + &h, "f32 and f16"), (&h * &b, "f16 and bf16"), (&x - &b, "f32 and bf16")] {
        let text = message(&mixed);
        assert!(
            text.contains(&format!("the operands' types {types} differ; convert one with .to(DType)")) && text.contains("halves.rs"),
            "{text}"
        );
    }
    assert!(message(&w.matmul(&h)).contains("f16"), "{}", message(&w.matmul(&h)));
    assert!(message(&(&h * 1e6f32)).contains("1000000 beside a tensor of f16 is not of that type"), "{}", message(&(&h * 1e6f32)));
    // A number that the type only comes near is the nearest one.
    assert!((&h + 0.1f32).error().is_none());
    let loss = &grad(&w.to(DType::F16).sum(), &[&w])[0];
    assert!(message(loss).contains("the loss must be a scalar of f32, not f16[]; convert it with .to(DType::F32)"), "{}", message(loss));
    let odd = Linear::new(2, 2).forward(&x, &Mode::train().precision(DType::I32));
    assert!(message(&odd).contains("i32 is no float type"), "{}", message(&odd));
    let update = Session::new(Device::cpu()).compile([], |[]| Step::default().updates([(w.clone(), w.to(DType::F16))])).map(drop);
    assert!(update.unwrap_err().to_string().contains("the new value of `w` is f16[2, 2], the state is f32[2, 2]"));
}

#[test]
fn files_hold_halves() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.npy");
    let h = Array::new([3], &[f16::from_f32(0.1), f16::NEG_INFINITY, f16::MIN_POSITIVE_SUBNORMAL]).unwrap();
    noyau::formats::npy::write(&file, &h).unwrap();
    assert!(std::fs::read(&file).unwrap().windows(5).any(|w| w == b"'<f2'"));
    assert_eq!(noyau::formats::npy::read(&file).unwrap(), h);
    // NumPy has no bf16.
    let b = Array::new([2], &[bf16::from_f32(0.1), bf16::MAX]).unwrap();
    noyau::formats::npy::write(&file, &b).unwrap();
    assert_eq!(noyau::formats::npy::read(&file).unwrap(), b.to(DType::F32));
}

/// Weights saved as halves, as many published models are, are weights of an f32 model.
#[test]
fn a_file_of_halves_is_loaded_into_f32() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let tensors = [
        ("weight".to_string(), Array::new([1, 2], &[f16::from_f32(0.5), f16::from_f32(-3.0)]).unwrap()),
        ("bias".to_string(), Array::new([1], &[bf16::from_f32(1.0)]).unwrap()),
    ];
    noyau::formats::safetensors::save(&file, &tensors, &BTreeMap::new()).unwrap();
    let mut trainer = Trainer::new(Device::cpu(), Linear::new(2, 1));
    trainer.load(&file).unwrap();
    assert_eq!(trainer.predict(&Array::new([1, 2], &[2.0f32, 1.0]).unwrap()).unwrap().item(), -1.0);
}

/// Every layer with products gives halves in mixed precision, near what it gives in f32; gradients reach all f32 parameters.
#[test]
fn layers_in_mixed_precision_are_near_f32() {
    let session = Session::with_seed(Device::cpu(), 5);
    let image: Vec<f32> = (0..2 * 3 * 64).map(|i| (i as f32 * 0.37).sin()).collect();
    let image = Param::from_array("image", Array::new([2, 3, 8, 8], &image).unwrap());
    let (rows, series) = (image.reshape([48, 8]), image.reshape([2, 24, 8]).slice(1, ..6));
    let models: Vec<(&str, Box<dyn Module>, Tensor, bool)> = vec![
        ("linear", Box::new(Linear::new(8, 5)), rows.clone(), true),
        ("conv", Box::new(Sequential::new().then(Conv2d::new(3, 4, 3)).then(Relu).then(MaxPool2d::new(2))), image.tensor().clone(), true),
        ("transposed", Box::new(ConvTranspose2d::new(3, 4, 3)), image.tensor().clone(), true),
        ("activations", Box::new(Sequential::new().then(Linear::new(8, 6)).then(Gelu).then(LeakyRelu(0.1)).then(Tanh)), rows.clone(), true),
        ("batch norm", Box::new(Sequential::new().then(Conv2d::new(3, 4, 3)).then(BatchNorm2d::new(4))), image.tensor().clone(), false),
        ("layer norm", Box::new(Sequential::new().then(Linear::new(8, 6)).then(LayerNorm::new([6]))), rows.clone(), false),
        ("residual", Box::new(Residual(Linear::new(8, 8))), rows.clone(), false),
        ("attention", Box::new(MultiHeadAttention::new(8, 2).rotary(100.0)), series.clone(), true),
        ("transformer", Box::new(TransformerEncoderLayer::new(8, 2).causal()), series.clone(), false),
        ("lstm", Box::new(Lstm::new(8, 5)), series.clone(), false),
        ("gru", Box::new(Gru::new(8, 5)), series, false),
    ];
    for (name, model, x, half) in models {
        let parameters = model.parameters();
        let wrt: Vec<&Tensor> = parameters.iter().map(|(_, p)| p.tensor()).collect();
        let run = |dtype: DType| {
            let y = model.forward(&x, &Mode::eval().precision(dtype));
            assert_eq!(y.dtype(), if half { dtype } else { DType::F32 }, "{name}: {y:?}");
            let loss = mse_loss(&y, &y.detach().full_like(0.25));
            let all: Vec<Tensor> = std::iter::once(y.to(DType::F32)).chain(grad(&loss, &wrt)).collect();
            all.iter().map(|t| session.eval(t).unwrap_or_else(|e| panic!("{name} {dtype}: {e}")).to_f64()).collect::<Vec<_>>()
        };
        let exact = run(DType::F32);
        // A dozen roundings of half a unit of the largest value.
        for (dtype, tolerance) in [(DType::F16, 12.0 / 2048.0), (DType::BF16, 12.0 / 256.0)] {
            for (i, (found, exact)) in run(dtype).iter().zip(&exact).enumerate() {
                let scale = exact.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
                let off = found.iter().zip(exact).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
                assert!(off <= tolerance * scale, "{name} {dtype}, result {i}: off by {off:.2e} of {scale:.2e}");
                assert!(
                    i == 0 || found.iter().any(|x| *x != 0.0) || exact.iter().all(|x| x.abs() < 1e-6),
                    "{name} {dtype}: gradient {i} is 0"
                );
            }
        }
    }
}

/// 300 points in three arms that no straight line divides.
fn arms() -> Dataset {
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for i in 0..300u32 {
        let (arm, t) = (i % 3, (i / 3) as f32 / 100.0);
        let angle = t * 3.0 + arm as f32 * 2.094_395;
        xs.extend([t * angle.cos(), t * angle.sin()]);
        ys.push(arm);
    }
    Dataset::new(&Array::new([300, 2], &xs).unwrap(), &Array::new([300], &ys).unwrap()).unwrap()
}

fn trained(device: &Device, dtype: DType) -> (Evaluation, History, Trainer) {
    let model = Sequential::new().then(Linear::new(2, 32)).then(Tanh).then(Linear::new(32, 32)).then(Relu).then(Linear::new(32, 3));
    let mut trainer = Trainer::new(device.clone(), model).optimizer(Adam::new(0.01)).seed(1).precision(dtype);
    let history = trainer.fit(&arms(), Fit::epochs(30).batch_size(50)).unwrap();
    (trainer.evaluate(&arms()).unwrap(), history, trainer)
}

#[test]
fn training_in_mixed_precision_is_as_good_as_in_f32() {
    let _turn = gpus::turn();
    for device in devices() {
        let (exact, _, _) = trained(&device, DType::F32);
        assert!(exact.accuracy > Some(0.97), "{device:?}: {exact:?}");
        for dtype in [DType::F16, DType::BF16] {
            let (found, history, mut trainer) = trained(&device, dtype);
            assert!(found.accuracy > Some(0.95), "{device:?} {dtype}: {found:?}, f32: {exact:?}");
            assert!(found.loss < exact.loss + 0.05, "{device:?} {dtype}: {found:?}, f32: {exact:?}");
            assert_eq!(history.gpu_objects_after_warmup, 0);
            // Weights are f32, not halves that were converted: some need more digits.
            let session = trainer.session().unwrap();
            let (_, weight) = &trainer.model().parameters()[0];
            let weight = session.get(weight).unwrap();
            assert!(weight.dtype() == DType::F32 && weight != weight.to(dtype).to(DType::F32), "{dtype}");
        }
    }
}

/// A model with a state that layers note.
fn scaled_model() -> Sequential {
    Sequential::new().then(Linear::new(3, 4)).then(BatchNorm1d::new(4)).then(Linear::new(4, 2))
}

#[test]
fn a_step_that_overflows_changes_nothing_but_the_scale() {
    let _turn = gpus::turn();
    for device in devices() {
        let (model, optimizer, scaler) = (scaled_model(), Adam::new(0.01), LossScaler::new().growth_interval(3));
        let session = Session::with_seed(device.clone(), 2);
        let values: Vec<f32> = (0..24).map(|i| (i as f32 * 0.7).sin()).collect();
        let (x, y) = (Array::new([8, 3], &values).unwrap(), Array::new([8, 2], &[500f32; 16]).unwrap());
        let mut step = session
            .compile([Spec::f32([8, 3]), Spec::f32([8, 2])], |[x, y]| {
                let mode = Mode::train().precision(DType::F16);
                let loss = mse_loss(&model.forward(&x, &mode), &y);
                Step::returns(&loss).updates(scaler.step(&loss, &optimizer, &model, &mode))
            })
            .unwrap();
        let everything = [model.parameters(), model.buffers(), optimizer.states()].concat();
        let look = || everything.iter().map(|(_, p)| session.get(p).unwrap()).collect::<Vec<_>>();
        let scale = || session.get(scaler.scale()).unwrap().item();
        // The gradient of the output is about 2 * 500 / 16 times the scale: 65536 is too much for f16, and 1024 is not.
        let mut before = look();
        let mut skipped = 0;
        let mut last = scale();
        assert_eq!(last, 65536.0);
        loop {
            let loss = step.run(&[&x, &y]).unwrap()[0].item();
            assert!(loss.is_finite(), "{device:?}: {loss}");
            let (after, now) = (look(), scale());
            if now == last {
                assert!(after.iter().zip(&before).all(|(a, b)| a != b), "{device:?}: a good step changes every state");
                break;
            }
            assert_eq!((now, &after), (last / 2.0, &before), "{device:?}: a step was to be skipped");
            skipped += 1;
            (before, last) = (after, now);
        }
        assert!((3..10).contains(&skipped), "{device:?}: {skipped} steps were skipped");
        assert!(look().iter().all(|v| v.to_f64().iter().all(|x| x.is_finite())));
        // Two more good steps make three, and the scale is doubled; which is too much again.
        for expected in [1.0, 2.0, 1.0] {
            step.run(&[&x, &y]).unwrap();
            assert_eq!(scale(), last * expected, "{device:?}");
        }
    }
}

#[test]
fn scaler_options_are_checked_and_its_state_is_saved() {
    let model = scaled_model();
    let loss = model.forward(&Tensor::zeros([8, 3]), &Mode::train().precision(DType::F16)).to(DType::F32).square().mean();
    for (scaler, part) in [
        (LossScaler::new().initial(0.0), "LossScaler: scale: 0 is not a positive number"),
        (LossScaler::new().initial(f32::NAN), "LossScaler: scale: NaN is not a positive number"),
        (LossScaler::new().growth_interval(0), "LossScaler: growth interval: 0 steps"),
    ] {
        let updates = scaler.step(&loss, &Sgd::new(0.1), &model, &Mode::train());
        let found = updates.iter().find_map(|(_, t)| t.error()).expect("refused").to_string();
        assert!(found.contains(part), "{found}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let (_, _, mut first) = trained(&Device::cpu(), DType::F16);
    first.save(&file).unwrap();
    let tensors = noyau::formats::safetensors::load(&file).unwrap().tensors;
    assert_eq!(tensors["scaler.scale"].item(), 65536.0);
    // 30 epochs of 6 steps.
    assert_eq!(tensors["scaler.good_steps"], Array::scalar(180u32));
    let model = Sequential::new().then(Linear::new(2, 32)).then(Tanh).then(Linear::new(32, 32)).then(Relu).then(Linear::new(32, 3));
    let mut second = Trainer::new(Device::cpu(), model).optimizer(Adam::new(0.01)).precision(DType::F16);
    second.load(&file).unwrap();
    second.fit(&arms(), Fit::epochs(1).batch_size(50)).unwrap();
    second.save(&file).unwrap();
    assert_eq!(noyau::formats::safetensors::load(&file).unwrap().tensors["scaler.good_steps"], Array::scalar(186u32));
}

/// Sums and products of halves are made in f32 and rounded once: no operation of halves is left in a plan.
#[test]
fn plans_compute_in_f32() {
    use noyau::compile::{Graph, Limits, Options, prepare};
    let (x, w) = (Tensor::input(0, [8, 3, 8, 8], DType::F16), Tensor::input(1, [4, 3, 3, 3], DType::F16));
    let y = x.conv2d(&w, &ConvOptions::default().padding(1)).exp().sum_axes(&[0, 2]);
    let inputs = [x.shape(), w.shape()].map(|s| (s.clone(), DType::F16));
    let graph = prepare(&Graph::trace(&inputs, &[&y], &[]).unwrap(), Options::new(Limits::CPU)).unwrap();
    for node in &graph.nodes {
        let moves = node.op.is_view() || matches!(node.op, Op::Input(_) | Op::Cast(_) | Op::Full(_));
        assert!(!node.dtype.is_half() || moves, "{}\n{graph}", node.op);
    }
    let product = graph.nodes.iter().find(|n| matches!(n.op, Op::Matmul)).expect("a product");
    assert!(product.inputs.iter().all(|&id| graph.node(id).dtype == DType::F16), "it reads halves:\n{graph}");
}
