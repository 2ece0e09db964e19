//! What the page relies on, on the CPU, and on a GPU where `NOYAU_REQUIRE_GPUS` says that there is one.

use pollster::block_on;

use crate::{Activation, Cost, Engine, Penalty, Rule};

fn open(address: &str) -> Engine {
    let engine = block_on(Engine::open(address, "cpu")).unwrap();
    assert_eq!(engine.faults(), [] as [&str; 0], "{address}");
    engine
}

fn run(engine: &mut Engine, steps: u64) {
    assert!(block_on(engine.run(steps)).unwrap());
}

/// All weights and biases, as bits.
fn bits(engine: &mut Engine) -> Vec<u32> {
    block_on(engine.weights()).unwrap().iter().flat_map(|m| m.values.iter().map(|v| v.to_bits())).collect()
}

fn losses(engine: &mut Engine) -> [f32; 2] {
    let figures = block_on(engine.figures()).unwrap();
    [figures.train_loss, figures.test_loss]
}

/// An address whose spiral is learnt: also what the page's lesson shows.
const SPIRAL: &str = "data=spiral&features=x1,x2,sinx1,sinx2&layers=8tanh,8tanh&optimizer=adam&rate=0.01&seed=1";

#[test]
fn the_default_network_learns_the_circle() {
    let mut engine = open("seed=1");
    run(&mut engine, 20_000);
    let figures = block_on(engine.figures()).unwrap();
    assert!(figures.test_loss < 0.05, "{figures:?}");
    assert!(figures.accuracy.unwrap()[1] > 0.97, "{figures:?}");
    let counted: u32 = figures.confusion.iter().flatten().sum();
    assert_eq!(counted, 250);
    let right: u32 = (0..2).map(|i| figures.confusion[i][i]).sum();
    assert!((right as f32 / 250.0 - figures.accuracy.unwrap()[1]).abs() < 1e-6, "{figures:?}");
}

#[test]
fn a_good_network_learns_the_spiral() {
    let mut engine = open(SPIRAL);
    run(&mut engine, 20_000);
    let [_, test] = losses(&mut engine);
    assert!(test < 0.1, "{test}");
}

#[test]
fn three_classes_are_told_apart() {
    for (address, least) in [
        ("data=gaussians&classes=5&loss=cross-entropy&rate=0.1&seed=1", 0.95),
        ("data=spiral&classes=3&features=x1,x2,sinx1,sinx2&layers=8tanh,8tanh&optimizer=adam&rate=0.01&loss=cross-entropy", 0.95),
        ("data=gaussians&classes=4&rate=0.1", 0.95),
    ] {
        let mut engine = open(address);
        run(&mut engine, 10_000);
        let figures = block_on(engine.figures()).unwrap();
        assert!(figures.accuracy.unwrap()[1] > least, "{address}: {figures:?}");
    }
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
fn the_same_seed_gives_the_same_curve_whatever_the_slices() {
    let address = "data=xor&noise=20&dropout=0.2&batch=7&optimizer=momentum&seed=5";
    let (mut whole, mut sliced) = (open(address), open(address));
    run(&mut whole, 3000);
    for slice in [1, 2, 34, 35, 36, 500, 1, 391].into_iter().chain([200; 10]) {
        run(&mut sliced, slice);
        // Looking changes nothing.
        losses(&mut sliced);
    }
    assert_eq!(sliced.step(), 3000);
    assert_eq!(bits(&mut whole), bits(&mut sliced));
    assert_eq!(whole.curve(), sliced.curve());
    assert!(whole.curve().len() > 50 && whole.curve()[0].step == 0);
    let mut other = open(&address.replace("seed=5", "seed=6"));
    run(&mut other, 3000);
    assert_ne!(whole.curve(), other.curve());
}

#[test]
fn an_address_restores_the_exact_state() {
    let mut engine = open("data=gaussians&classes=3&noise=30&optimizer=adam&penalty=l1&dropout=0.1&layers=3tanh,2relu&seed=9");
    run(&mut engine, 120);
    block_on(engine.edit(0, 1, 0.75)).unwrap();
    run(&mut engine, 33);
    assert!(!block_on(engine.set("rate", "0.1")).unwrap());
    assert!(!block_on(engine.set("penaltyRate", "0.01")).unwrap());
    block_on(engine.edit(1, 0, -0.5)).unwrap();
    block_on(engine.edit(1, 0, -0.25)).unwrap();
    run(&mut engine, 400);
    assert!(!block_on(engine.set("lang", "fr")).unwrap());
    let address = engine.address();
    let mut again = open(&address);
    assert_eq!((again.step(), again.target()), (0, 553));
    run(&mut again, 100);
    run(&mut again, 453);
    assert_eq!(bits(&mut again), bits(&mut engine));
    assert_eq!(again.curve(), engine.curve());
    assert_eq!(again.address(), address);
    assert_eq!((again.rate(), again.penalty_rate()), (0.1, 0.01));
    run(&mut engine, 100);
    run(&mut again, 100);
    assert_eq!(bits(&mut again), bits(&mut engine));
    // What begins anew keeps the rates, and forgets the past.
    block_on(again.reset()).unwrap();
    assert_eq!((again.step(), again.rate(), again.address().contains("edits")), (0, 0.1, false));
}

#[test]
fn a_visitor_who_interferes_takes_over() {
    let mut engine = open("seed=2&steps=100&edits=50.0.0.3f800000");
    run(&mut engine, 30);
    block_on(engine.edit(0, 1, 2.0)).unwrap();
    run(&mut engine, 70);
    let address = engine.address();
    assert!(!address.contains("50.0.0") && address.contains("edits=30.0.1.40000000"), "{address}");
    assert!(Engine::open("seed=2&edits=5.99.0.3f800000", "cpu").pipe_faults().contains("no value 0 of parameter 99"));
}

trait Faults {
    fn pipe_faults(self) -> String;
}

impl<F: Future<Output = noyau_tensor::Result<Engine>>> Faults for F {
    fn pipe_faults(self) -> String {
        block_on(self).unwrap().faults().join("\n")
    }
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
fn every_choice_trains() {
    let mut addresses: Vec<String> = Vec::new();
    for activation in Activation::ALL {
        addresses.push(format!("data=gaussians&layers=6{0},4{0}", activation.name()));
    }
    for rule in Rule::ALL {
        let rate = if *rule == Rule::Sgd { 0.03 } else { 0.01 };
        addresses.push(format!("optimizer={}&rate={rate}", rule.name()));
    }
    for penalty in Penalty::ALL {
        addresses.push(format!("penalty={}", penalty.name()));
    }
    for cost in Cost::ALL {
        for data in ["xor", "gaussians&classes=4", "spiral&classes=3&features=x1,x2,sinx1,sinx2", "plane", "multi-gaussian"] {
            addresses.push(format!("loss={}&data={data}&rate=0.1", cost.name()));
        }
    }
    addresses.push("dropout=0.2&layers=8tanh,8tanh".into());
    addresses.push("layers=&data=gaussians".into());
    addresses.push("features=x1,x2,x1sq,x2sq,x1x2,sinx1,sinx2&layers=2sigmoid,2tanh,2relu,2leaky-relu,2gelu,2linear&optimizer=adam".into());
    for address in addresses {
        let mut engine = open(&address);
        let before = losses(&mut engine);
        run(&mut engine, 1500);
        let after = losses(&mut engine);
        assert!(after[0] < 0.98 * before[0], "{address}: {before:?} -> {after:?}");
        assert!(after.iter().all(|l| l.is_finite()), "{address}");
    }
}

#[test]
fn penalties_pull_weights_to_zero_and_rates_count_at_once() {
    let size = |engine: &mut Engine| -> f32 {
        block_on(engine.weights()).unwrap().iter().filter(|m| !m.bias).flat_map(|m| m.values.clone()).map(f32::abs).sum()
    };
    for penalty in ["l1", "l2"] {
        let mut engine = open(&format!("penalty={penalty}&penaltyRate=0"));
        run(&mut engine, 500);
        let mut free = open("seed=1");
        run(&mut free, 500);
        assert_eq!(bits(&mut engine), bits(&mut free), "a rate of 0 is no penalty");
        let before = size(&mut engine);
        block_on(engine.set("penaltyRate", "1")).unwrap();
        run(&mut engine, 500);
        assert!(size(&mut engine) < 0.2 * before, "{penalty}");
    }
    let mut engine = open("seed=1");
    block_on(engine.set("rate", "0")).unwrap();
    let before = bits(&mut engine);
    run(&mut engine, 50);
    assert_eq!(bits(&mut engine), before);
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
fn training_stops_where_it_is_told_to() {
    let mut engine = open("seed=1&stop=0.2");
    assert!(!block_on(engine.run(1_000_000)).unwrap());
    assert!(engine.stopped() && engine.step().is_multiple_of(25));
    let curve = engine.curve().to_vec();
    let last = curve.last().unwrap();
    assert!(f64::from(last.test) < 0.2 && last.step == engine.step());
    assert!(curve[..curve.len() - 1].iter().all(|r| f64::from(r.test) >= 0.2));
    // In slices, and from an address that was made later.
    let mut sliced = open("seed=1&stop=0.2");
    while block_on(sliced.run(7)).unwrap() {}
    assert_eq!(sliced.step(), engine.step());
    let mut later = open(&format!("seed=1&stop=0.2&steps={}", engine.step() + 500));
    run(&mut later, engine.step() + 500);
}

#[test]
fn own_points_train_and_travel_in_the_address() {
    let text: String = (0..60).map(|i| format!("{},{},{}\n", i % 10, i / 10, if i % 10 > i / 10 { "above" } else { "below" })).collect();
    let mut engine = open("seed=1");
    assert!(block_on(engine.set("data", "own")).unwrap_err().to_string().contains("no points"));
    block_on(engine.set_own(crate::Own::from_csv(&text).unwrap())).unwrap();
    run(&mut engine, 2000);
    assert!(block_on(engine.figures()).unwrap().accuracy.unwrap()[0] > 0.9);
    let mut again = open(&engine.address());
    run(&mut again, 2000);
    assert_eq!(bits(&mut again), bits(&mut engine));
    assert_eq!(again.cloud().classes.as_deref().unwrap(), ["above", "below"]);
    // Other data in between loses nothing.
    assert!(block_on(again.set("data", "circle")).unwrap());
    assert!(block_on(again.set("data", "own")).unwrap());
}

#[test]
fn a_long_curve_is_thinned_by_its_steps_alone() {
    let (mut whole, mut sliced) = (open("batch=100&train=20"), open("batch=100&train=20"));
    run(&mut whole, 5000);
    for _ in 0..50 {
        run(&mut sliced, 100);
    }
    assert_eq!(whole.curve(), sliced.curve());
    assert!((512..=1024).contains(&whole.curve().len()), "{}", whole.curve().len());
    let steps: Vec<u64> = whole.curve().iter().map(|r| r.step).collect();
    let stride = steps[1] - steps[0];
    assert!(stride.is_power_of_two() && steps.windows(2).all(|s| s[1] - s[0] == stride), "{steps:?}");
    let (a, b) = (block_on(whole.trail()).unwrap(), block_on(sliced.trail()).unwrap());
    assert!(a == b && (32..=64).contains(&a.steps.len()));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut engine = open("seed=1");
    run(&mut engine, 10);
    for (key, value) in [("noise", "51"), ("data", "moon"), ("layers", "9tanh"), ("rate", "-1"), ("steps", "5"), ("edits", "")] {
        let message = block_on(engine.set(key, value)).unwrap_err().to_string();
        assert!(message.starts_with(key), "{message}");
    }
    assert_eq!(engine.step(), 10);
    assert!(!block_on(engine.set("noise", "0")).unwrap(), "the same again is no change");
    assert_eq!(engine.step(), 10);
    assert!(block_on(engine.set("noise", "10")).unwrap());
    assert_eq!(engine.step(), 0);
    assert!(block_on(Engine::open("", "tpu")).err().unwrap().to_string().contains("none of auto, cpu, gpu"));
}

#[test]
fn a_gpu_does_what_the_cpu_does() {
    if std::env::var("NOYAU_REQUIRE_GPUS").is_err() {
        return;
    }
    for address in ["seed=1", "data=spiral&classes=3&features=x1,x2,sinx1,sinx2&optimizer=adam&rate=0.01&loss=cross-entropy&penalty=l2"] {
        let mut cpu = open(address);
        let mut gpu = block_on(Engine::open(address, "gpu")).unwrap();
        assert_eq!((gpu.device().name(), gpu.take_notice()), ("gpu", None));
        for engine in [&mut cpu, &mut gpu] {
            run(engine, 40);
            run(engine, 60);
            block_on(engine.edit(0, 0, 0.5)).unwrap();
            run(engine, 100);
        }
        let (a, b) = (block_on(cpu.figures()).unwrap(), block_on(gpu.figures()).unwrap());
        assert!((a.train_loss - b.train_loss).abs() < 1e-3 && (a.test_loss - b.test_loss).abs() < 1e-3, "{a:?} {b:?}");
        assert_eq!(cpu.curve().len(), gpu.curve().len());
        for (a, b) in cpu.curve().iter().zip(gpu.curve()) {
            assert!(a.step == b.step && (a.train - b.train).abs() < 1e-3, "{a:?} {b:?}");
        }
        let (a, b) = (block_on(cpu.maps(16)).unwrap(), block_on(gpu.maps(16)).unwrap());
        assert!(a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-2));
        let (a, b) = (block_on(cpu.slope(0, 1)).unwrap(), block_on(gpu.slope(0, 1)).unwrap());
        assert!((a.backpropagated - b.backpropagated).abs() < 1e-3);
        assert_eq!(block_on(gpu.surface(5, 1.0)).unwrap().losses.len(), 25);
        // The same device gives the same bits.
        let mut again = block_on(Engine::open(&gpu.address(), "gpu")).unwrap();
        run(&mut again, 200);
        assert_eq!(bits(&mut again), bits(&mut gpu));
    }
}

#[test]
fn a_lost_gpu_is_no_end() {
    use noyau_train::{Fault, Point};
    if std::env::var("NOYAU_REQUIRE_GPUS").is_err() {
        return;
    }
    let mut cpu = open("seed=4");
    let mut gpu = block_on(Engine::open("seed=4", "gpu")).unwrap();
    for engine in [&mut cpu, &mut gpu] {
        run(engine, 60);
        block_on(engine.edit(0, 0, 0.5)).unwrap();
    }
    gpu.device().inject(Fault::Lost, Point::Submit, 1);
    while gpu.device().name() == "gpu" {
        run(&mut gpu, 10);
        block_on(gpu.figures()).unwrap();
    }
    assert!(gpu.take_notice().unwrap().contains("Training goes on on the CPU"));
    assert!(gpu.step() == 0 && gpu.target() >= 60, "{} {}", gpu.step(), gpu.target());
    let target = gpu.target();
    run(&mut gpu, target);
    run(&mut cpu, target - 60);
    assert_eq!(bits(&mut gpu), bits(&mut cpu));
    assert_eq!(gpu.curve(), cpu.curve());
}

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
fn exported_code_is_the_example_that_cargo_compiles() {
    let examples = [
        (open("seed=1"), "exported_circle.rs", include_str!("../examples/exported_circle.rs")),
        (of_everything(), "exported_own.rs", include_str!("../examples/exported_own.rs")),
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

#[test]
#[ignore = "a measurement: of the device NOYAU_DEVICE"]
fn how_fast() {
    let device = std::env::var("NOYAU_DEVICE").unwrap_or("cpu".into());
    for address in ["seed=1", SPIRAL, "data=spiral&layers=8tanh,8tanh&features=x1,x2&batch=32"] {
        let mut engine = block_on(Engine::open(address, &device)).unwrap();
        run(&mut engine, 2000);
        block_on(engine.maps(50)).unwrap();
        let start = std::time::Instant::now();
        run(&mut engine, 20_000);
        block_on(engine.figures()).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let start = std::time::Instant::now();
        for _ in 0..100 {
            run(&mut engine, 1);
            block_on(engine.maps(50)).unwrap();
        }
        let frame = start.elapsed().as_secs_f64() * 10.0;
        println!(
            "{}, {address}: {:.0} steps/s, {frame:.2} ms a frame\n{}",
            engine.device().adapter(),
            20_000.0 / seconds,
            engine.launches()
        );
    }
    println!("{}", block_on(crate::speed::speed(&device, 1.0)).unwrap());
}
