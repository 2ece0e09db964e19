//! What a session sees of its runs: every kernel validated, the first NaN named, a trace that tools can open, launches timed.

mod cases;
mod support;

use std::path::Path;

use noyau::prelude::*;
use noyau::{Session, Step};
use serde_json::Value;
use support::checks::{check, results};
use support::gpus::{self, Gpu};

fn validating(device: &Device) -> Session {
    let session = Session::with_seed(device.clone(), support::SEED);
    session.validate(true);
    session
}

/// A case's value and gradients in one step, each kernel checked.
fn validate(device: &Device, case: &cases::Case) -> std::result::Result<(), String> {
    let built = case.build();
    let step = results(&built).into_iter().fold(Step::default(), |step, tensor| step.and_returns(tensor));
    let mut step = validating(device).compile([], |[]| step).map_err(|e| e.to_string())?;
    step.run(&[]).map(drop).map_err(|e| e.to_string())
}

#[test]
fn the_cpu_validates() {
    check("CPU validates", |case| Some(validate(&Device::cpu(), case)));
}

/// Kernels of GPUs are right, as other tests have it, so that here no tolerance may be too narrow. Software drivers take long to compile and keep what they compiled: other
/// cases on each, one in twelve; all of them with NOYAU_CASE.
#[test]
fn gpus_validate() {
    let all = std::env::var("NOYAU_CASE").is_ok_and(|part| !part.is_empty());
    gpus::every(|gpu| {
        let mut count = gpu.kind as usize;
        check(&format!("{} validates", gpu.name), |case| {
            count += 1;
            (all || count.is_multiple_of(12)).then(|| validate(&gpu.device, case))
        });
    });
}

fn on_all(run: impl Fn(&Device)) {
    run(&Device::cpu());
    gpus::every(|Gpu { device, .. }| run(device));
}

fn data() -> Dataset {
    let x: Vec<f32> = (0..120).map(|i| (i as f32 * 0.7).sin()).collect();
    let y: Vec<u32> = (0..60).map(|i| i % 3).collect();
    Dataset::new(&Array::new([60, 2], &x).unwrap(), &Array::new([60], &y).unwrap()).unwrap().with_classes(3).unwrap()
}

fn trainer(device: &Device) -> Trainer {
    let model = Sequential::new().then(Linear::new(2, 80)).then(Tanh).then(Dropout(0.2)).then(Linear::new(80, 3));
    Trainer::new(device.clone(), model).optimizer(Adam::new(0.01)).seed(1)
}

/// Looking on changes nothing: the bits are those of an ordinary training, batches gathered on the device, dropout, uneven last batch and all.
#[test]
fn a_watched_training_is_the_same() {
    on_all(|device| {
        let train = |watch: bool| {
            let mut trainer = trainer(device);
            let session = trainer.session().unwrap();
            session.validate(watch);
            session.check_finite(watch);
            trainer.fit(&data(), Fit::epochs(2).batch_size(16).validate(&data()).resident(true)).unwrap().epochs.pop().unwrap()
        };
        let (plain, watched) = (train(false), train(true));
        assert_eq!((plain.train_loss, plain.test_loss), (watched.train_loss, watched.test_loss), "{device:?}");
    });
}

/// The kernel, the place and the operation, while everything else around it is finite.
#[test]
fn the_first_nan_is_named() {
    on_all(|device| {
        let session = Session::new(device.clone());
        session.check_finite(true);
        let x = Param::from_array("x", Array::new([2, 3], &[1.0f32, 2.0, 3.0, 4.0, -5.0, 6.0]).unwrap());
        let at = line!() + 1;
        let y = (&x * 2.0).log();
        let error = session.eval(&(&y + 1.0).sum()).map(drop).expect_err("the logarithm of -10");
        assert!(matches!(error, Error::NotFinite { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("log of f32[2, 3] was the first operation to give NaN (tests/watch.rs:{at})")),
            "{device:?}: {text}"
        );
        // Stored as it is, the place is named too.
        let text = session.eval(&y).map(drop).expect_err("as before").to_string();
        assert!(text.contains("kernel 0 of 1, ") && text.contains(&format!("(tests/watch.rs:{at})")), "{text}");
        assert!(text.contains("stored NaN in its result, f32[2, 3]: 1 of 6 elements are no numbers, the first at [1, 1]"), "{text}");
        // An overflow is infinity.
        let text = session.eval(&(&x * 1e38)).map(drop).expect_err("6e38").to_string();
        assert!(text.contains("mul of f32[2, 3] was the first operation to give a number too large for f32"), "{text}");
        // A mistake that stays inside of a kernel is none: sums are finite.
        session.eval(&x.relu().log1p().sum()).unwrap();
        session.check_finite(false);
        assert!(session.eval(&y).unwrap().to_f64()[4].is_nan());
    });
}

/// An event of a trace.
#[derive(Debug)]
struct Event {
    name: String,
    track: u64,
    start: f64,
    end: f64,
    args: Value,
}

fn events(path: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(path).unwrap();
    let trace: Value = serde_json::from_str(&text).expect("a trace is JSON");
    let all = trace["traceEvents"].as_array().expect("a list of events");
    let spans = all.iter().filter(|event| event["ph"] == "X");
    let number = |event: &Value, name: &str| event[name].as_f64().unwrap_or_else(|| panic!("{name} of {event}"));
    spans
        .map(|event| Event {
            name: event["name"].as_str().unwrap().into(),
            track: event["tid"].as_u64().unwrap(),
            start: number(event, "ts"),
            end: number(event, "ts") + number(event, "dur"),
            args: event["args"].clone(),
        })
        .collect()
}

/// Two events of a track either lie one in the other or apart.
fn check_nesting(events: &[Event], device: &Device) {
    // Times are in whole nanoseconds, written in microseconds.
    let slack = 1e-4;
    for (i, a) in events.iter().enumerate() {
        for b in events[..i].iter().filter(|b| b.track == a.track) {
            let apart = a.start >= b.end - slack || b.start >= a.end - slack;
            let inside = |a: &Event, b: &Event| a.start >= b.start - slack && a.end <= b.end + slack;
            assert!(apart || (a.track > 0 && (inside(a, b) || inside(b, a))), "{device:?}: {a:?} and {b:?}");
        }
    }
}

#[test]
fn a_trace_shows_every_kernel() {
    on_all(|device| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.json");
        let session = Session::new(device.clone());
        session.trace(&path).unwrap();
        let model = Sequential::new().then(Linear::new(30, 400)).then(Tanh).then(Linear::new(400, 5));
        let mut step = session
            .compile([Spec::f32([64, 30]), Spec::u32([64])], |[x, y]| {
                let loss = cross_entropy(&model.forward(&x, &Mode::train()), &y);
                Step::returns(&loss).updates(Sgd::new(0.1).step(&loss, &model.parameters()))
            })
            .unwrap();
        let x = Array::full([64, 30], Scalar::Float(0.3));
        let y = Array::full([64], Scalar::Uint(2));
        for _ in 0..40 {
            step.run(&[&x, &y]).unwrap();
        }
        session.finish_trace().unwrap();
        step.run(&[&x, &y]).unwrap();

        let events = events(&path);
        check_nesting(&events, device);
        let count = |name: &str| events.iter().filter(|event| event.track > 0 && event.name == name).count();
        assert_eq!((count("compile"), count("graph"), count("plan"), count("load")), (1, 1, 1, 1), "{device:?}");
        // The first 32 runs: two arguments, one result each.
        assert_eq!((count("step"), count("upload"), count("read")), (32, 64, 32), "{device:?}");
        if !device.is_cpu() {
            let counts = ["lower", "buffers", "pipelines", "bind", "submit", "wait", "read times"].map(count);
            assert_eq!(counts, [1, 1, 1, 1, 32, 32, 32], "{device:?}");
        }
        let timed = step.timings().unwrap().is_some();
        let on_device: Vec<&Event> = events.iter().filter(|event| event.track == 0).collect();
        if !timed {
            // A device without a clock shows whole steps.
            assert_eq!(on_device.len(), 32, "{device:?}");
            return;
        }
        assert_eq!(on_device.len(), 32 * step.launches(), "{device:?}");
        let mut named = Vec::new();
        for event in &on_device[..step.launches()] {
            for kernel in event.args["kernels"].as_array().unwrap() {
                let number = kernel["kernel"].as_u64().unwrap() as usize;
                assert_eq!(kernel["name"], step.plan().kernels[number].name, "{device:?}");
                assert!(event.name.contains(&step.plan().kernels[number].name) || event.name.ends_with(" more"), "{event:?}");
                assert!(kernel["line"].as_str().unwrap().contains(".rs:"), "{kernel}");
                assert!(kernel["bytes"].as_u64().unwrap() > 0 && !kernel["sizes"].as_str().unwrap().is_empty(), "{kernel}");
                named.push(number);
            }
        }
        named.dedup();
        // Kernels that share a launch side by side may come earlier than in the plan.
        named.sort();
        assert_eq!(named, (0..step.plan().kernels.len()).collect::<Vec<_>>(), "each kernel once on {device:?}");
        // 64 x 30 x 400 products and additions, and an activation for each of 64 x 400.
        let product = on_device.iter().find(|event| event.args["kernels"][0]["sizes"] == "[64, 30] x [30, 400]").expect("the first layer");
        assert!(product.args["kernels"][0]["operations"].as_u64().unwrap() >= 2 * 64 * 30 * 400 + 64 * 400, "{product:?}");
        assert!(on_device.iter().all(|event| event.end >= event.start) && product.end > product.start, "{device:?}: {product:?}");
    });
}

#[test]
fn a_trace_that_cannot_be_written_is_refused_at_once() {
    let session = Session::new(Device::cpu());
    let error = session.trace("/no/such/folder/trace.json").expect_err("there is no such folder");
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("/no/such/folder"), "{error}");
    session.finish_trace().unwrap();
}

/// The file of a run that failed is there, too.
#[test]
fn a_trace_outlives_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let x = Param::scalar("x", -1.0);
    let failed = || -> Result<()> {
        let session = Session::new(Device::cpu());
        session.trace(&path)?;
        session.eval(&x.log())?;
        session.eval(&x.reshape([7]))?;
        Ok(())
    };
    failed().expect_err("one element is not seven");
    assert!(events(&path).iter().any(|event| event.track == 0 && event.name == "log"));
}

#[test]
fn launches_are_timed() {
    on_all(|device| {
        let session = Session::new(device.clone());
        let w = Param::from_array("w", Array::full([256, 256], Scalar::Float(0.01)));
        let mut step = session.compile([], |[]| Step::default().updates([(w.clone(), w.matmul(&w).tanh())])).unwrap();
        let Some(timings) = step.timings().unwrap() else { return };
        assert_eq!(timings.len(), step.launches());
        let kernels: Vec<usize> = timings.iter().flat_map(|timing| timing.kernels.clone()).collect();
        assert_eq!(kernels, (0..step.plan().kernels.len()).collect::<Vec<_>>());
        let product = timings.iter().find(|timing| timing.name.contains("matmul")).unwrap();
        // 33 million operations: longer than a microsecond and shorter than ten seconds anywhere.
        assert!((1_000..10_000_000_000).contains(&product.nanoseconds), "{device:?}: {product:?}");
        // It has run: 256 products of 0.01 and 0.01.
        assert!((f64::from(session.get(&w).unwrap().to_f64()[0] as f32) - 0.0256f64.tanh()).abs() < 1e-6, "{device:?}");
    });
}
