//! What is seen of a training, and what is taken away of it.

use pollster::block_on;

use super::{losses, open, run};
use crate::Engine;

/// What has all that a program can have.
fn of_everything() -> Engine {
    let mut engine = open(
        "features=x1,x2,x1x2,sinx2&layers=5tanh,4leaky-relu,3linear&dropout=0.25&optimizer=adam&rate=0.01&loss=cross-entropy&penalty=l2&seed=7",
    );
    let points: Vec<f32> = (0..30).flat_map(|i| [(i as f32 * 0.7).sin() * 5.0, (i as f32 * 0.4).cos() * 5.0, (i % 3) as f32]).collect();
    block_on(engine.set_own(crate::Own::drawn(&points).unwrap())).unwrap();
    run(&mut engine, 30);
    engine
}

#[test]
fn the_page_is_told_all_choices() {
    let mut engine = open("data=plane&lang=fr&stop=0.01&layers=3relu&penalty=l1");
    run(&mut engine, 5);
    let setup = crate::answer::setup(&engine);
    let told = [
        &setup["data"],
        &setup["problem"],
        &setup["outputKind"],
        &setup["view"]["lang"],
        &setup["layers"][0]["activation"],
        &setup["penalty"],
    ];
    assert_eq!(told.map(|v| v.as_str().unwrap()), ["plane", "regression", "value", "fr", "relu", "l1"]);
    assert_eq!((setup["steps"].as_u64(), setup["stop"].as_f64(), setup["classes"].as_u64()), (Some(5), Some(0.01), Some(0)));
    assert_eq!(crate::answer::points(engine.cloud()).len(), 4 * 1200);
    let figures = block_on(engine.figures()).unwrap();
    let figures = crate::answer::figures(&engine, &figures);
    assert!(figures["trainLoss"].as_f64().unwrap() > 0.0 && figures.get("testAccuracy").is_none() && figures["step"] == 5);
    let weights = crate::answer::weights(&block_on(engine.weights()).unwrap());
    assert_eq!((&weights[0]["rows"], &weights[0]["columns"], &weights[1]["kind"]), (&3.into(), &2.into(), &"bias".into()));
    for (key, count) in [("data", 7), ("features", 7), ("activation", 7), ("optimizer", 4), ("loss", 2), ("penalty", 3)] {
        assert_eq!(crate::answer::choices()[key].as_array().unwrap().len(), count, "{key}");
    }
    let slope = block_on(engine.slope(0, 0)).unwrap().json();
    assert_eq!(slope["numerical"][1]["h"].as_f64(), Some(0.3));
}

#[test]
fn editing_a_weight_changes_the_maps() {
    let mut engine = open("seed=3");
    let before = block_on(engine.maps(20)).unwrap();
    // Two features, four and two neurons, one output.
    assert_eq!(before.len(), 9 * 400);
    assert_eq!((before[0], before[19], before[400]), (-5.7, 5.7, 5.7), "x1 grows to the right, x2 upwards");
    block_on(engine.edit(0, 0, 3.0)).unwrap();
    let after = block_on(engine.maps(20)).unwrap();
    assert_eq!(before[..800], after[..800], "the features are as they were");
    let neuron = |maps: &[f32], i: usize| maps[400 * i..400 * (i + 1)].to_vec();
    assert_ne!(neuron(&before, 2), neuron(&after, 2));
    assert_eq!(neuron(&before, 3), neuron(&after, 3), "only the first neuron of its layer");
    assert_ne!(neuron(&before, 8), neuron(&after, 8));
    // The map is what the formula says.
    let weights = block_on(engine.weights()).unwrap();
    let sum = weights[0].values[0] * -5.7 + weights[0].values[1] * 5.7 + weights[1].values[0];
    assert!((after[800] - sum.tanh()).abs() < 1e-6);
    for (message, parts) in [
        (block_on(engine.edit(99, 0, 0.0)), ["parameter", "99"]),
        (block_on(engine.edit(0, 8, 0.0)), ["index", "8 values"]),
        (block_on(engine.edit(0, 0, f32::NAN)), ["edit", "NaN"]),
        (block_on(engine.maps(0)).map(drop), ["maps", "1 to 256"]),
    ] {
        let message = message.unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn the_back_propagated_slope_is_the_numerical_one() {
    for address in [
        "seed=1",
        "data=gaussians&classes=4&noise=40&loss=cross-entropy&layers=5sigmoid,3gelu&penalty=l2&penaltyRate=0.1",
        "data=multi-gaussian&layers=4tanh&penalty=l1",
        "data=xor&loss=cross-entropy&dropout=0.5",
    ] {
        let mut engine = open(address);
        run(&mut engine, 200);
        let count = block_on(engine.weights()).unwrap().len();
        for (parameter, index) in [(0, 0), (1, 1), (count - 2, 0), (count - 1, 0)] {
            let slope = block_on(engine.slope(parameter, index)).unwrap();
            let numerical = slope.numerical.iter().find(|(h, _)| *h == 1e-2).unwrap().1;
            assert!((numerical - slope.backpropagated).abs() < 1e-3 * slope.backpropagated.abs().max(0.1), "{address}: {slope:?}");
            let middle = slope.curve[slope.curve.len() / 2];
            assert_eq!(middle.0, slope.value);
            if !address.contains("penalty") {
                assert!((middle.1 - losses(&mut engine)[0]).abs() < 1e-5);
            }
        }
    }
    let mut engine = open("seed=1");
    assert!(block_on(engine.slope(0, 100)).unwrap_err().to_string().contains("index"));
}

#[test]
fn the_surface_lies_under_the_path() {
    let mut engine = open("seed=1&data=gaussians&penalty=l2");
    run(&mut engine, 25 * 150);
    let surface = block_on(engine.surface(21, 1.0)).unwrap();
    assert_eq!(surface.losses.len(), 441);
    let here = surface.path.last().unwrap();
    assert_eq!(here[..2], [0.0, 0.0]);
    assert!((here[2] - surface.losses[220]).abs() < 1e-5, "{here:?} {}", surface.losses[220]);
    assert!(surface.explained.unwrap() > 0.8 && surface.path.len() > 30, "{surface:?}");
    assert!(surface.path[0][2] > here[2]);
    // Where the plane holds the path's place, its loss is near.
    let fresh = block_on(open("seed=1").surface(3, 1.0)).unwrap();
    assert_eq!((fresh.explained, fresh.path.len()), (None, 2));
    let message =
        block_on(engine.surface(1, 1.0)).unwrap_err().to_string() + &block_on(engine.surface(5, f32::NAN)).unwrap_err().to_string();
    assert!(message.contains("1 is no size") && message.contains("NaN is no distance"), "{message}");
}

#[test]
fn exported_code_is_the_example_that_cargo_compiles() {
    let examples = [
        (open("seed=1"), "exported_circle.rs", include_str!("../../examples/exported_circle.rs")),
        (of_everything(), "exported_own.rs", include_str!("../../examples/exported_own.rs")),
    ];
    for (engine, name, _) in &examples {
        if std::env::var("NOYAU_WRITE_EXAMPLES").is_ok() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/").to_string() + name, engine.code()).unwrap();
        }
    }
    for (engine, name, example) in examples {
        assert_eq!(engine.code(), example, "{name}: NOYAU_WRITE_EXAMPLES=1 writes it anew");
    }
    for address in [
        "data=plane&loss=cross-entropy",
        "data=spiral&classes=5&penalty=l1",
        "layers=&optimizer=nesterov",
        "loss=cross-entropy&optimizer=momentum",
    ] {
        let code = open(address).code();
        assert_eq!(code.matches('{').count(), code.matches('}').count(), "{code}");
        assert!(
            code.contains(if address.contains("layers=&") { ".then(Linear::new(2, 1))" } else { ".then(Linear::new(2, 4))" }),
            "{code}"
        );
    }
}

#[test]
fn exported_weights_load_into_the_model_of_the_exported_code() {
    use noyau_nn::{Dropout, LeakyRelu, Linear, Mode, Module, Sequential, Tanh};
    let mut engine = of_everything();
    let code = engine.code();
    let modules = "Linear::new(4, 5))\n        .then(Tanh)\n        .then(Dropout(0.25))\n        .then(Linear::new(5, 4))\n        .then(LeakyRelu(0.01))\n        .then(Dropout(0.25))\n        .then(Linear::new(4, 3))\n        .then(Dropout(0.25))\n        .then(Linear::new(3, 3));";
    assert!(code.contains(modules), "{code}");
    let hidden = Sequential::new().then(Linear::new(4, 5)).then(Tanh).then(Dropout(0.25)).then(Linear::new(5, 4)).then(LeakyRelu(0.01));
    let model = hidden.then(Dropout(0.25)).then(Linear::new(4, 3)).then(Dropout(0.25)).then(Linear::new(3, 3));
    let bytes = block_on(engine.safetensors()).unwrap();
    let session = noyau_train::Session::new(noyau_train::Device::cpu());
    let report = noyau_train::Weights::from_bytes("playground.safetensors", &bytes).unwrap().load(&session, &model).unwrap();
    assert_eq!(report.loaded.len(), 8);
    let seen = crate::network::features(&engine.setup().features, crate::network::grid(8));
    let x = noyau_tensor::Tensor::new(&seen, [64, 4]);
    let outputs = session.eval(&(model.forward(&x, &Mode::eval()).softmax(-1) * 2.0 - 1.0).t()).unwrap().to_vec::<f32>().unwrap();
    let maps = block_on(engine.maps(8)).unwrap();
    assert!(maps[maps.len() - 192..].iter().zip(&outputs).all(|(a, b)| (a - b).abs() < 1e-5));
}
