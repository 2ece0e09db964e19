//! What the page is told, as JSON.

use noyau_train::Device;
use serde_json::{Value, json};

use crate::cloud::{Axis, Cloud, Labels, Own};
use crate::network::Output;
use crate::{Activation, Cost, Data, Engine, Feature, Figures, Matrix, Penalty, Rule, Setup};

/// The device in words.
pub fn device(device: &Device) -> String {
    if device.is_cpu() { "CPU".into() } else { device.adapter() }
}

/// Every choice as it is now.
pub fn setup(engine: &Engine) -> Value {
    let setup = engine.setup();
    let cloud = engine.cloud();
    let layers: Vec<Value> = setup.layers.iter().map(|l| json!({"neurons": l.neurons, "activation": l.activation.name()})).collect();
    let features: Vec<&str> = setup.features.iter().map(|f| f.name()).collect();
    let view: serde_json::Map<String, Value> = setup.view.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    json!({
        "data": setup.data.name(),
        "classes": cloud.classes.as_ref().map_or(0, |names| names.len().max(2)),
        "noise": setup.noise,
        "train": setup.train_share,
        "batch": setup.batch,
        "seed": setup.seed,
        "features": features,
        "layers": layers,
        "rate": engine.rate(),
        "optimizer": setup.rule.name(),
        "loss": setup.cost.name(),
        "penalty": setup.penalty.name(),
        "penaltyRate": engine.penalty_rate(),
        "dropout": setup.dropout,
        "stop": setup.stop_below,
        "steps": engine.step(),
        "problem": if cloud.classes.is_some() { "classification" } else { "regression" },
        "outputs": cloud.outputs(),
        "outputKind": match engine.network().output() {
            Output::Value => "value",
            Output::Tanh => "tanh",
            Output::Logit | Output::Logits => "probability",
        },
        "hasOwn": !setup.own.is_empty(),
        "axes": axes(setup),
        "view": view,
    })
}

/// What own data's coordinates and labels stand for; null for generated data.
fn axes(setup: &Setup) -> Value {
    let axis = |axis: &Axis| json!({"name": axis.name, "low": axis.low, "high": axis.high});
    if setup.data != Data::Own {
        return Value::Null;
    }
    let [x1, x2] = setup.own.axes();
    let label = match setup.own.labels() {
        Labels::Values(label) => axis(label),
        Labels::Classes(_) => Value::Null,
    };
    json!({"x1": axis(x1), "x2": axis(x2), "label": label})
}

/// What may be chosen.
pub fn choices() -> Value {
    fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
        all.iter().map(|&value| name(value)).collect()
    }
    json!({
        "data": names(Data::ALL, Data::name),
        "features": names(Feature::ALL, Feature::name),
        "activation": names(Activation::ALL, Activation::name),
        "optimizer": names(Rule::ALL, Rule::name),
        "loss": names(Cost::ALL, Cost::name),
        "penalty": names(Penalty::ALL, Penalty::name),
        "ranges": {
            "noise": [0, 50],
            "train": [10, 90],
            "batch": [1, Setup::MOST_BATCH],
            "classes": [2, Setup::MOST_CLASSES],
            "layers": [0, Setup::MOST_LAYERS],
            "neurons": [1, Setup::MOST_NEURONS],
            "rate": [0, Setup::MOST_RATE],
            "penaltyRate": [0, Setup::MOST_RATE],
            "dropout": [0, 0.9],
            "seed": [0, u32::MAX],
            "map": [1, Engine::MOST_MAP],
            "ownPoints": [4, Own::MOST_POINTS],
            "ownClasses": [2, Own::MOST_CLASSES],
        },
    })
}

/// Losses and shares. A loss that is no number is null.
pub fn figures(engine: &Engine, figures: &Figures) -> Value {
    let mut all = json!({
        "step": engine.step(),
        "epoch": engine.epoch(),
        "trainLoss": figures.train_loss,
        "testLoss": figures.test_loss,
        "stopped": engine.stopped(),
    });
    if let (Some([train, test]), Some(all)) = (figures.accuracy, all.as_object_mut()) {
        all.insert("trainAccuracy".into(), json!(train));
        all.insert("testAccuracy".into(), json!(test));
        all.insert("confusion".into(), json!(figures.confusion));
    }
    all
}

/// x1, x2, label, 0 or 1 (for testing), and so on.
pub fn points(cloud: &Cloud) -> Vec<f32> {
    let test = |i: usize| if i < cloud.train { 0.0 } else { 1.0 };
    cloud.points.iter().enumerate().flat_map(|(i, p)| [p.x[0], p.x[1], p.label, test(i)]).collect()
}

/// All weights and biases.
pub fn weights(all: &[Matrix]) -> Value {
    let one = |(parameter, m): (usize, &Matrix)| {
        let kind = if m.bias { "bias" } else { "weight" };
        json!({"parameter": parameter, "layer": m.layer, "kind": kind, "rows": m.rows, "columns": m.columns, "values": m.values})
    };
    all.iter().enumerate().map(one).collect()
}
