//! Many runs at a time: the same bits as one by one, every scalar kept, on every device.

use noyau::prelude::*;

fn devices() -> Vec<Device> {
    std::iter::once(Device::cpu()).chain(Device::list().iter().map(|a| Device::gpu(a.index).unwrap())).collect()
}

/// A training step with what it is made of.
struct Training {
    session: Session,
    step: CompiledStep,
    parameters: Vec<Param>,
}

type Optimize = fn(&Tensor, &[(String, Param)]) -> Vec<(Param, Tensor)>;

fn training(device: &Device, model: Sequential, sizes: [usize; 2], optimize: Optimize) -> Training {
    let session = Session::with_seed(device.clone(), 5);
    let parameters = model.parameters();
    let arguments = [Spec::f32([32, sizes[0]]), Spec::f32([32, sizes[1]])];
    let mut step = session
        .compile(arguments, |[x, y]| {
            let loss = mse_loss(&model.forward(&x, &Mode::train()), &y);
            let count = Param::scalar("count", 0.0);
            let updates = optimize(&loss, &parameters);
            // One result more, that changes by itself; and one that is no scalar.
            Step::returns(&loss).and_returns(&(&count + 1.0)).and_returns(&y).updates(updates).updates([(count.clone(), &count + 1.0)])
        })
        .unwrap();
    let wave = |n: usize| (0..n).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<f32>>();
    step.write(0, &Array::new([32, sizes[0]], &wave(32 * sizes[0])).unwrap()).unwrap();
    step.write(1, &Array::new([32, sizes[1]], &wave(32 * sizes[1])).unwrap()).unwrap();
    Training { session, step, parameters: parameters.into_iter().map(|(_, p)| p).collect() }
}

fn sgd(loss: &Tensor, parameters: &[(String, Param)]) -> Vec<(Param, Tensor)> {
    Sgd::new(0.03).step(loss, parameters)
}

fn scheduled_adam(loss: &Tensor, parameters: &[(String, Param)]) -> Vec<(Param, Tensor)> {
    Adam::new(Schedule::cosine(0.01, 0.001, 400)).step(loss, parameters)
}

/// The playground's network.
fn tiny() -> Sequential {
    Sequential::new().then(Linear::new(2, 8)).then(Tanh).then(Linear::new(8, 8)).then(Tanh).then(Linear::new(8, 1))
}

fn random() -> Sequential {
    Sequential::new().then(Linear::new(2, 16)).then(Tanh).then(Dropout(0.3)).then(Linear::new(16, 1))
}

/// Too large for one workgroup.
fn wide() -> Sequential {
    Sequential::new().then(Linear::new(40, 700)).then(Relu).then(Linear::new(700, 30))
}

type Make = fn(&Device) -> Training;

const STEPS: [(&str, Make); 4] = [
    ("tiny", |device| training(device, tiny(), [2, 1], sgd)),
    ("random", |device| training(device, random(), [2, 1], sgd)),
    ("scheduled", |device| training(device, tiny(), [2, 1], scheduled_adam)),
    ("wide", |device| training(device, wide(), [40, 30], scheduled_adam)),
];

fn bits(array: &Array) -> Vec<u32> {
    array.words().to_vec()
}

#[test]
fn many_runs_give_the_bits_of_as_many_single_ones() {
    for device in devices() {
        for (name, make) in STEPS {
            let what = format!("{name} on {device:?}");
            let (mut single, mut many) = (make(&device), make(&device));
            let large = if name == "wide" { 21 } else { 300 };
            let mut losses = Vec::new();
            for count in [0, 1, 2, large] {
                for _ in 0..count {
                    single.step.launch().unwrap();
                    losses.push(single.step.read(0).unwrap().words()[0]);
                }
                many.step.launch_many(count).unwrap();
            }
            let kept = many.step.history(0).unwrap();
            assert_eq!(kept.shape()[..], [3 + large], "{what}");
            assert_eq!(bits(&kept), losses, "{what}");
            let counts: Vec<f32> = many.step.history(1).unwrap().to_vec().unwrap();
            assert_eq!(counts, (1..=3 + large).map(|i| i as f32).collect::<Vec<_>>(), "{what}");
            for (a, b) in single.parameters.iter().zip(&many.parameters) {
                let (a, b) = (single.session.get(a).unwrap(), many.session.get(b).unwrap());
                assert_eq!(bits(&a), bits(&b), "{what}");
            }
            // What was read is not read again; what is done one by one is not kept; and both can follow each other.
            assert_eq!(many.step.history(0).unwrap().len(), 0, "{what}");
            many.step.launch().unwrap();
            single.step.launch().unwrap();
            assert_eq!(bits(&many.step.read(0).unwrap()), bits(&single.step.read(0).unwrap()), "{what}");
            many.step.launch_many(1).unwrap();
            assert_eq!(many.step.history(1).unwrap().to_vec::<f32>().unwrap(), [(5 + large) as f32], "{what}");
            assert_eq!(many.step.read(1).unwrap().item(), (5 + large) as f32, "{what}");
        }
    }
}

#[test]
fn a_new_argument_counts_from_the_next_run_on() {
    for device in devices() {
        for (name, make) in [STEPS[0], STEPS[3]] {
            let (mut single, mut many) = (make(&device), make(&device));
            let shape = single.step.graph().inputs[1].0.clone();
            let mut losses = Vec::new();
            for round in 0..3 {
                let y = Array::full(&shape, Scalar::Float(f64::from(round)));
                single.step.write(1, &y).unwrap();
                many.step.write(1, &y).unwrap();
                for _ in 0..4 {
                    single.step.launch().unwrap();
                    losses.push(single.step.read(0).unwrap().words()[0]);
                }
                many.step.launch_many(4).unwrap();
            }
            assert_eq!(bits(&many.step.history(0).unwrap()), losses, "{name} on {device:?}");
        }
    }
}

#[test]
fn what_no_longer_fits_is_an_error_and_not_a_gap() {
    for device in devices() {
        let session = Session::new(device.clone());
        let count = Param::from_array("count", Array::scalar(0u32));
        let next = &count + 1u32;
        let mut step = session.compile([], |[]| Step::returns(&next).updates([(count.clone(), next.clone())])).unwrap();
        let expected = |from: usize, to: usize| (from as u32..=to as u32).collect::<Vec<u32>>();
        let size = CompiledStep::HISTORY;
        // Around the ring's end in several pieces.
        for (from, to) in [(0, size - 100), (size - 100, size + 50), (size + 50, 2 * size + 50)] {
            step.launch_many(to - from).unwrap();
            assert_eq!(step.history(0).unwrap().to_vec::<u32>().unwrap(), expected(from + 1, to), "{device:?}");
        }
        step.launch_many(size + 3).unwrap();
        let error = step.history(0).unwrap_err().to_string();
        assert!(error.contains("4099 runs were made") && error.contains("the last 4096 are kept"), "{error}");
        let total = 3 * size + 53;
        assert_eq!(step.history(0).unwrap().to_vec::<u32>().unwrap(), expected(total - size + 1, total), "{device:?}");
    }
}

#[test]
fn only_scalars_have_a_history() {
    for device in devices() {
        let mut tiny = STEPS[0].1(&device);
        let error = tiny.step.history(2).unwrap_err().to_string();
        assert!(error.contains("is [32, 1], only") && error.contains("of one element are kept"), "{error}");
        let error = tiny.step.history(3).unwrap_err().to_string();
        assert!(error.contains("result 3") && error.contains("the step returns 3 values"), "{error}");
        assert_eq!(tiny.step.history(0).unwrap().len(), 0);
    }
}

#[test]
fn nothing_is_made_in_steady_state() {
    for device in devices() {
        for (name, make) in STEPS {
            let mut training = make(&device);
            let runs = if name == "wide" { 3 } else { 300 };
            let mut round = |count: usize| {
                training.step.launch_many(count).unwrap();
                training.step.launch().unwrap();
                training.step.history(0).unwrap();
            };
            round(1);
            let made = device.objects_created();
            (0..5).for_each(|i| round(runs + i));
            assert_eq!(device.objects_created(), made, "{name} on {device:?}");
            let cost = training.step.host_cost();
            if device.is_cpu() {
                assert_eq!((cost.submissions, cost.dispatches), (0, 0));
            } else {
                assert!(cost.seconds > 0.0 && cost.submissions > 0, "{cost:?}");
            }
        }
    }
}

#[test]
fn a_small_step_takes_few_launches() {
    for device in devices().into_iter().filter(|d| !d.is_cpu()) {
        let mut tiny = STEPS[0].1(&device);
        assert_eq!(tiny.step.launches(), 1, "{}", tiny.step.describe());
        tiny.step.launch_many(100).unwrap();
        let cost = tiny.step.host_cost();
        // In a loop on the device; software drivers bear fewer turns of it.
        assert!(cost.submissions <= 2 && cost.dispatches <= 4, "{device:?}: {cost:?}");
    }
}

#[test]
fn checked_and_traced_runs_are_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    for device in devices() {
        for (name, make) in [STEPS[0], STEPS[1]] {
            let mut plain = make(&device);
            plain.step.launch_many(40).unwrap();
            let expected = bits(&plain.step.history(0).unwrap());

            let mut traced = make(&device);
            traced.session.trace(folder.path().join("trace.json")).unwrap();
            // The first 32 runs are traced, the others go together.
            traced.step.launch_many(40).unwrap();
            assert_eq!(bits(&traced.step.history(0).unwrap()), expected, "{name} on {device:?}");
            traced.session.finish_trace().unwrap();
        }
        let session = Session::new(device.clone());
        session.check_finite(true);
        let w = Param::scalar("w", 1.0);
        let next = &w * 1e20;
        let mut step = session.compile([], |[]| Step::returns(&next).updates([(w.clone(), next.clone())])).unwrap();
        let error = step.launch_many(5).unwrap_err();
        assert!(matches!(error, noyau::Error::NotFinite { .. }), "{error}");
        // It went well once: the second product is beyond f32.
        assert_eq!(step.history(0).unwrap().to_vec::<f32>().unwrap(), [1e20], "{device:?}");
    }
}
