//! Devices that are lost, have no memory left or do not come to an end: errors that say so, never a panic or an endless wait; and how a program goes on.

#[path = "support/small.rs"]
#[allow(dead_code)] // Each file of tests uses a part of it.
mod small;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use noyau::prelude::*;
use noyau::train::{Fault, Point};
use small::three_classes;

const POINTS: [Point; 5] = [Point::Create, Point::Write, Point::Submit, Point::Read, Point::Compile];

/// A step on a session of its own, from nothing to a result: makes buffers, compiles, writes, submits, reads.
fn program(device: &Device) -> Result<f32> {
    let session = Session::with_seed(device.clone(), 1);
    let weight = Param::from_array("weight", Array::new([3], &[1.0f32, 2.0, 3.0])?);
    let mut step = session.compile([Spec::f32([3])], |[x]| {
        let loss = (&x * weight.tensor()).sum();
        Step::returns(&loss).updates([(weight.clone(), weight.tensor() + 1.0)])
    })?;
    let x = Array::new([3], &[1.0f32, 10.0, 100.0])?;
    for _ in 0..3 {
        step.launch_with(&[&x])?;
    }
    step.read(0)?.try_item()
}

/// What the program gives: weights of 3, 4 and 5 at its third run.
const EXPECTED: f32 = 3.0 + 40.0 + 500.0;

/// GPU tests take turns: times that are waited for are the device's alone.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `check` for every adapter, with a way to open it anew: these tests break what they open.
fn every_adapter(mut check: impl FnMut(&str, &dyn Fn() -> Device)) {
    let _turn = turn();
    for info in Device::list() {
        check(&info.to_string(), &|| Device::gpu(info.index).expect("it opens as often as asked"));
    }
}

#[test]
fn a_loss_at_any_point_is_an_error_and_the_adapter_opens_anew() {
    every_adapter(|name, open| {
        for at in POINTS {
            let device = open();
            assert_eq!(program(&device).expect("nothing is wrong yet"), EXPECTED, "{name}");
            // A step of another length, so that something is compiled again.
            let session = Session::new(device.clone());
            let mut step = session.compile([], |[]| Step::returns(&(Tensor::arange(70) + 1u32).sum())).expect("compiles");
            device.inject(Fault::Lost, at, 0);
            let result = match at {
                Point::Compile => session.eval(&(Tensor::arange(71) * 3u32)).map(|_| 0.0),
                _ => program(&device),
            };
            let error = result.expect_err("the device is gone");
            assert!(matches!(error, Error::DeviceLost { .. }), "{name}, {at:?}: {error}");
            assert!(error.to_string().contains("last saved file"), "{name}, {at:?}: {error}");
            // It stays gone, in every call, and nothing waits.
            let again = [program(&device).err(), step.launch().err(), step.read(0).err(), device.wait().err()];
            for error in again {
                assert!(matches!(error, Some(Error::DeviceLost { .. })), "{name}, {at:?}: {error:?}");
            }
            drop((step, session, device));
            assert_eq!(program(&open()).expect("opened anew"), EXPECTED, "{name}, {at:?}");
        }
    });
}

#[test]
fn an_allocation_that_fails_is_an_error_and_the_device_goes_on() {
    every_adapter(|name, open| {
        for at in POINTS {
            let device = open();
            device.inject(Fault::OutOfMemory, at, 0);
            let error = program(&device).expect_err("no memory");
            assert!(matches!(error, Error::OutOfMemory { .. }), "{name}, {at:?}: {error}");
            assert_eq!(program(&device).expect("there is memory again"), EXPECTED, "{name}, {at:?}");
        }
        // Loading a step says what it takes and what to do.
        let device = open();
        let session = Session::new(device.clone());
        device.inject(Fault::OutOfMemory, Point::Create, 0);
        let text = session.eval(&(Tensor::arange(100_000) + 1u32)).expect_err("no memory").to_string();
        for part in ["the step takes", "activations", "the largest are", "smaller batch"] {
            assert!(text.contains(part), "{name}: `{part}` is not in: {text}");
        }
    });
}

#[test]
fn a_device_that_never_ends_is_given_up() {
    every_adapter(|name, open| {
        for (at, what) in [(Point::Submit, "run 3 of the step of"), (Point::Read, "a read of 4 bytes after run 3")] {
            let device = open();
            device.set_timeout(Duration::from_millis(200));
            device.inject(Fault::Stuck, at, 0);
            let start = Instant::now();
            let error = program(&device).expect_err("it never ends");
            let text = error.to_string();
            assert!(matches!(error, Error::Timeout { .. }), "{name}: {error}");
            for part in ["0.2 s", what, "tests/faults.rs", "NOYAU_TIMEOUT"] {
                assert!(text.contains(part), "{name}, {at:?}: `{part}` is not in: {text}");
            }
            assert!(start.elapsed() >= Duration::from_millis(190), "{name}: it was waited for");
            drop(device);
            assert!(start.elapsed() < Duration::from_secs(20), "{name}: it took {:?}", start.elapsed());
        }
    });
}

/// How long the device is kept busy, at least: far longer than it is waited for.
const BUSY: Duration = Duration::from_secs(4);

/// A step, and how often to run it to keep its device busy for [`BUSY`], however fast it is.
fn long_work(session: &Session) -> (CompiledStep, usize) {
    const PRODUCTS: usize = 16;
    let made = |products: usize| {
        let begin = Param::new("begin", [1024, 1024], Init::Full(Scalar::Float(1.0)));
        // Each sum is of 1024 numbers below 1/1024: products of products stay of ordinary size.
        let w = Tensor::arange(1024).to(DType::F32).cos().reshape([1024, 1]) * (1.0 / 1024.0) * Tensor::ones([1, 1024]);
        let end = (0..products).fold(begin.tensor().clone(), |x, _| x.matmul(&w));
        session.compile([], |[]| Step::returns(&end.sum()).updates([(begin, end)])).expect("it compiles")
    };
    let mut one = made(1);
    let mut seconds = || {
        let start = Instant::now();
        one.run(&[]).expect("nothing is wrong yet");
        start.elapsed().as_secs_f64().max(1e-6)
    };
    // The least of some: a machine that is busy with other things makes single ones look long.
    let product = (0..4).map(|_| seconds()).fold(f64::INFINITY, f64::min);
    let needed = (BUSY.as_secs_f64() / product).ceil() as usize;
    // So many take no software driver less than a second, whatever was measured.
    (made(PRODUCTS), needed.div_ceil(PRODUCTS))
}

#[test]
fn a_step_that_takes_too_long_is_given_up_and_the_program_goes_on() {
    let _turn = turn();
    let mut given_up = Vec::new();
    for info in Device::list() {
        let device = Device::gpu(info.index).expect("it opens");
        let (mut step, runs) = long_work(&Session::new(device.clone()));
        let timeout = Duration::from_millis(50);
        device.set_timeout(timeout);
        let start = Instant::now();
        // One by one, as a training does; a device that has enough to do is waited for here already.
        let launched = (0..runs).try_for_each(|_| step.launch());
        let launching = start.elapsed();
        let error = match launched.and_then(|()| step.read(0)) {
            Err(error) => error,
            // Mesa's software drivers do the work while they are handed it: nothing is left to be waited for, and there is no hold on them.
            Ok(_) => {
                assert!(launching > timeout * 2, "{info}: {runs} runs ended after {:?}, and none was given up", start.elapsed());
                continue;
            }
        };
        let (text, waited) = (error.to_string(), start.elapsed());
        assert!(matches!(error, Error::Timeout { .. }), "{info}: {text}");
        for part in ["0.05 s", "the step of", "tests/faults.rs", "NOYAU_TIMEOUT", "smaller batch"] {
            assert!(text.contains(part), "{info}: `{part}` is not in: {text}");
        }
        assert!(waited >= timeout * 9 / 10, "{info}: it gave up after {waited:?}");
        // Nothing of it is waited for: neither now nor when it is let go.
        drop((step, device));
        assert!(start.elapsed() < BUSY, "{info}: {runs} runs kept it for {:?}", start.elapsed());
        // The same adapter, opened anew while the driver may still be at it, and the CPU.
        for other in [Device::gpu(info.index).expect("it opens anew"), Device::cpu()] {
            assert_eq!(program(&other).expect("it goes on"), EXPECTED, "{info}: {other:?}");
        }
        given_up.push(info.to_string());
    }
    // A driver with a thread of its own for the work, which is among those that scripts/test installs, so that there is something to see.
    let threaded = Device::list().iter().any(|info| info.backend == "vulkan" && info.name.contains("SwiftShader"));
    assert!(!threaded || given_up.iter().any(|name| name.contains("SwiftShader")), "given up: {given_up:?}");
}

fn trainer(device: Device) -> Trainer {
    let model = Sequential::new().then(Flatten).then(Linear::new(6, 8)).then(Tanh).then(Linear::new(8, 3));
    Trainer::new(device, model).loss(cross_entropy).optimizer(Sgd::new(0.2).momentum(0.9)).seed(3)
}

#[test]
fn a_training_goes_on_elsewhere_from_its_last_file() {
    let data = three_classes();
    every_adapter(|name, open| {
        for (fault, at) in [(Fault::Lost, Point::Submit), (Fault::Lost, Point::Read), (Fault::Stuck, Point::Submit)] {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("last.safetensors");
            let device = open();
            let mut trainer = trainer(device.clone());
            trainer.fit(&data, Fit::epochs(1).batch_size(16)).expect("nothing is wrong yet");
            trainer.save(&file).expect("saved");
            let saved = std::fs::read(&file).expect("it is there");
            if fault == Fault::Stuck {
                device.set_timeout(Duration::from_millis(200));
            }
            device.inject(fault, at, 3);
            let error = trainer.fit(&data, Fit::epochs(3).batch_size(16)).expect_err("something is wrong");
            let told =
                if fault == Fault::Stuck { matches!(error, Error::Timeout { .. }) } else { matches!(error, Error::DeviceLost { .. }) };
            assert!(told, "{name}, {fault:?}, {at:?}: {error}");
            assert!(trainer.save(&file).is_err(), "{name}: what is gone cannot be saved");
            assert_eq!(std::fs::read(&file).expect("it is there"), saved, "{name}: the last file is as it was");
            for other in [Device::cpu(), open()] {
                trainer.move_to(other);
                trainer.load(&file).expect("it loads");
                let history = trainer.fit(&data, Fit::epochs(4).batch_size(16).validate(&data)).expect("it goes on");
                assert_eq!(history.last().and_then(|record| record.test_accuracy), Some(1.0), "{name}, {fault:?}, {at:?}");
            }
        }
    });
}

#[test]
fn a_step_that_no_machine_holds_is_refused_before_it_takes_memory() {
    let session = Session::new(Device::cpu());
    let weight = Param::new("the weight", [1 << 20], Init::Full(Scalar::Float(0.0)));
    let step = |[x]: [Tensor; 1]| Step::returns(&(x.reshape([1 << 20, 1 << 20]) * weight.tensor()).cumsum(1).sum());
    let spec = || [Spec::f32([1usize << 40])];
    let estimate = session.estimate(spec(), step).expect("an estimate is for any size");
    assert!(estimate.inputs == 4 << 40 && estimate.states == 4 << 20, "{estimate}");
    if Device::cpu().memory().is_none() {
        return; // This system does not tell what is free.
    }
    let error = session.compile(spec(), step).err().expect("4 TiB");
    let text = error.to_string();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{text}");
    for part in ["the step takes", "4.0 MiB of states", "argument 0, f32[1099511627776]: 4.0 TiB", "are free", "smaller batch"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(session.known_states().is_empty(), "nothing was made on the way");
}

#[test]
fn a_timeout_that_is_none_is_refused() {
    // In a process of its own: the environment is everyone's.
    if std::env::var_os("NOYAU_TIMEOUT").is_some() {
        return;
    }
    if Device::list().is_empty() {
        return;
    }
    let test = std::env::current_exe().expect("a test has a path");
    let mut child = std::process::Command::new(test);
    child.args(["--exact", "opens_the_first_adapter", "--ignored", "--nocapture"]).env("NOYAU_TIMEOUT", "soon");
    let output = child.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("NOYAU_TIMEOUT: `soon` is no number of seconds above 0"), "{text}");
}

#[test]
#[ignore = "the other half of a_timeout_that_is_none_is_refused"]
fn opens_the_first_adapter() {
    println!("{}", Device::gpu(0).expect_err("the timeout is none"));
}
