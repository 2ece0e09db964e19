//! Whole networks against PyTorch's own modules in f64 (`reference/golden.py`): losses, output, every gradient, and every parameter and
//! buffer after three steps of Adam. PyTorch's values go into noyau's modules by PyTorch's names.

mod cases;
mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use noyau::compile::Graph;
use noyau::cpu::{Values, evaluate};
use noyau::nn::*;
use noyau::tensor::{State, grad};
use noyau::{Array, Device, Param, Session, Step, Tensor};
use support::gpus;
use support::reference::{self, Stored};

fn all() -> &'static BTreeMap<String, Stored> {
    static STORED: OnceLock<BTreeMap<String, Stored>> = OnceLock::new();
    STORED.get_or_init(|| reference::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/models.safetensors")))
}

fn stored(name: &str) -> &'static Stored {
    all().get(name).unwrap_or_else(|| panic!("models.safetensors has no `{name}`"))
}

fn conv_net() -> Box<dyn Module> {
    let first = Conv2d::new(2, 4, 3).padding(1);
    let convolutions = Sequential::new().then(first).then(BatchNorm::new(4)).then(Relu).then(MaxPool2d::new(2)).then(Conv2d::new(4, 5, 3));
    Box::new(convolutions.then(Flatten).then(Linear::new(20, 3)))
}

/// The last state of an LSTM of two layers, classified.
struct Recurrent {
    lstm: Lstm,
    linear: Linear,
}

impl Module for Recurrent {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let (_, (h, _)) = self.lstm.run(x, None, mode);
        self.linear.forward(&h.select(0, 1), mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        [named("lstm", &self.lstm), named("linear", &self.linear)].concat()
    }
}

/// Words to vectors, two transformer layers, the mean over words, classified.
struct Encoder {
    embedding: Embedding,
    encoder: TransformerEncoder,
    linear: Linear,
}

impl Module for Encoder {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let words = self.encoder.forward(&self.embedding.forward(x, mode), mode);
        self.linear.forward(&words.mean_axes(&[1]), mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        [named("embedding", &self.embedding), named("encoder", &self.encoder), named("linear", &self.linear)].concat()
    }
}

/// A network, what one step of its training gives and writes, and which values PyTorch has for it.
struct Training {
    /// Output, loss, and each parameter's gradient, with PyTorch's names for them.
    results: Vec<(String, Tensor)>,
    updates: Vec<(Param, Tensor)>,
    /// Parameters and buffers by name.
    values: Vec<(String, Param)>,
}

fn training(name: &str) -> Training {
    let (x, labels) = (stored(&format!("{name}/x")), stored(&format!("{name}/labels")));
    let words = |stored: &Stored| {
        let words: Vec<u32> = stored.data.iter().map(|&v| v as u32).collect();
        Tensor::new(&words, stored.shape.clone())
    };
    let (model, input): (Box<dyn Module>, Tensor) = match name {
        "cnn" => (conv_net(), Tensor::from(x.array())),
        "lstm" => (Box::new(Recurrent { lstm: Lstm::new(3, 5).num_layers(2), linear: Linear::new(5, 4) }), Tensor::from(x.array())),
        "transformer" => {
            let layer = TransformerEncoderLayer::new(8, 2).dim_feedforward(12).activation(Gelu).dropout(0.0);
            let (embedding, linear) = (Embedding::new(9, 8), Linear::new(8, 3));
            (Box::new(Encoder { embedding, encoder: TransformerEncoder::new(&layer, 2), linear }), words(x))
        }
        other => panic!("no network `{other}`"),
    };
    let mode = Mode::train();
    let output = model.forward(&input, &mode);
    let loss = cross_entropy(&output, &words(labels));
    let parameters = model.parameters();
    let wrt: Vec<&Tensor> = parameters.iter().map(|(_, p)| p.tensor()).collect();
    let gradients = grad(&loss, &wrt);
    let mut results = vec![("output".to_string(), output), ("loss".to_string(), loss.clone())];
    results.extend(parameters.iter().zip(gradients).map(|((path, _), g)| (format!("gradient/{path}"), g)));
    let mut updates = mode.take_updates();
    updates.extend(Adam::new(0.01).eps(1e-2).update(&loss, &model));
    Training { results, updates, values: [parameters, model.buffers()].concat() }
}

const STEPS: usize = 3;

/// What PyTorch has for a step's results; of the later ones only the loss.
fn expected(name: &str, result: &str, step: usize) -> Option<Stored> {
    match result {
        "loss" => Some(Stored { dtype: "F64".into(), shape: vec![], data: vec![stored(&format!("{name}/losses")).data[step]] }),
        _ if step > 0 => None,
        _ => Some(stored(&format!("{name}/{result}")).clone()),
    }
}

/// What a training gave: each step's results, and the values after the last.
struct Run {
    results: Vec<Vec<Values>>,
    values: Vec<Values>,
}

/// Fails at the first number that is further from PyTorch's than `bound`, in proportion to its tensor's largest. Gradients that are 0 but for
/// rounding (a bias before batch norm: a sum that cancels) are compared with the steepest of the network, of whose size their terms are.
#[track_caller]
fn compare(device: &str, name: &str, bound: f64, training: &Training, run: &Run) {
    let gradients = training.results.iter().filter(|(what, _)| what.starts_with("gradient/"));
    let steepest = gradients.flat_map(|(what, _)| &stored(&format!("{name}/{what}")).data).fold(0.0f64, |most, g| most.max(g.abs()));
    let check = |what: String, expected: &Stored, found: &Values| {
        assert_eq!(found.shape[..], expected.shape[..], "{device}, {name}: {what}");
        let largest = expected.data.iter().fold(0.0f64, |scale, v| scale.max(v.abs()));
        let scale = if what.starts_with("gradient/") && largest < 1e-12 * steepest { steepest } else { largest };
        for (i, (want, got)) in expected.data.iter().zip(&found.data).enumerate() {
            let off = (got - want).abs() / scale;
            // A NaN is not within any bound.
            assert!(off <= bound, "{device}, {name}: {what}[{i}] is {got:e}, PyTorch has {want:e}: off by {off:.1e}, allowed {bound:.1e}");
        }
    };
    assert_eq!(run.results.len(), STEPS);
    for (step, results) in run.results.iter().enumerate() {
        for ((what, _), found) in training.results.iter().zip(results) {
            if let Some(expected) = expected(name, what, step) {
                check(what.clone(), &expected, found);
            }
        }
    }
    for ((path, _), found) in training.values.iter().zip(&run.values) {
        check(format!("after {STEPS} steps: {path}"), stored(&format!("{name}/after/{path}")), found);
    }
}

fn by_oracle(training: &Training, name: &str) -> Run {
    let outputs: Vec<&Tensor> = training.results.iter().map(|(_, tensor)| tensor).collect();
    let updates: Vec<(Arc<State>, Tensor)> = training.updates.iter().map(|(p, next)| (Arc::clone(p.state()), next.clone())).collect();
    let graph = Graph::trace(&[], &outputs, &updates).expect("the network is sound");
    let mut now: HashMap<u64, Values> = HashMap::new();
    for (path, param) in &training.values {
        let before = stored(&format!("{name}/before/{path}"));
        now.insert(param.state().id(), before.values(param.dtype()));
    }
    let mut results = Vec::new();
    for _ in 0..STEPS {
        let initial = |state: &State| Values::from(&state.initial_value(0).expect("moments and counts begin with numbers"));
        let run = evaluate(&graph, &[], &|state| now.get(&state.id()).cloned().unwrap_or_else(|| initial(state))).expect("it runs");
        let next: Vec<(u64, Values)> = graph.updates.iter().map(|(state, _)| state.id()).zip(run.updates).collect();
        now.extend(next);
        results.push(run.outputs);
    }
    Run { results, values: training.values.iter().map(|(_, p)| now[&p.state().id()].clone()).collect() }
}

fn by_device(device: &Device, fuse: bool, training: &Training, name: &str) -> Run {
    let session = Session::with_options(device.clone(), 0, fuse);
    for (path, param) in &training.values {
        session.set(param, &stored(&format!("{name}/before/{path}")).array()).expect("PyTorch's shape is the parameter's");
    }
    let step = training.results.iter().fold(Step::default(), |step, (_, tensor)| step.and_returns(tensor));
    let mut step = session.compile([], |[]| step.updates(training.updates.clone())).expect("the network is sound");
    let values = |arrays: Vec<Array>| arrays.iter().map(Values::from).collect::<Vec<_>>();
    let results = (0..STEPS).map(|_| values(step.run(&[]).expect("it runs"))).collect();
    let params = training.values.iter();
    Run { results, values: values(params.map(|(_, p)| session.get(p).expect("it can be read")).collect()) }
}

const NETWORKS: [&str; 3] = ["cnn", "lstm", "transformer"];

#[test]
fn names_are_pytorchs() {
    for name in NETWORKS {
        let mut found: Vec<String> = training(name).values.into_iter().map(|(path, _)| path).collect();
        found.sort();
        let prefix = format!("{name}/before/");
        let wanted: Vec<&str> = all().keys().filter_map(|key| key.strip_prefix(&prefix)).collect();
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn the_oracle_trains_as_pytorch_does() {
    for name in NETWORKS {
        let training = training(name);
        // Both in f64, some thousand roundings of 1e-16 between them, which a division by a small deviation may raise.
        compare("oracle", name, 1e-11, &training, &by_oracle(&training, name));
    }
}

/// Some dozen functions in a row, forward and back, each within 32 units of rounding or less, of which most cancel. Measured: half of this.
const BOUND: f64 = 64.0 / (1 << 24) as f64;

fn check(device: &Device, called: &str, fuse: bool) {
    for name in NETWORKS {
        let training = training(name);
        compare(&format!("{called}, fused {fuse}"), name, BOUND, &training, &by_device(device, fuse, &training, name));
    }
}

#[test]
fn the_cpu_trains_as_pytorch_does() {
    check(&Device::cpu(), "CPU", true);
    check(&Device::cpu(), "CPU", false);
}

#[test]
fn gpus_train_as_pytorch_does() {
    gpus::every(|gpu| check(&gpu.device, &gpu.name, true));
}
