//! A setup as a program for noyau.

use std::fmt::Write;

use crate::network::Output;
use crate::{Activation, Engine, Feature, Network, Penalty, Point, Rule, Setup};

impl Engine {
    /// A whole program that trains this network on these points, for as long as it was trained here. Given the file of [`Engine::safetensors`] it begins with those
    /// weights.
    pub fn code(&self) -> String {
        let epochs = self.step().div_ceil(self.steps_per_epoch().max(1));
        Program { engine: self, setup: self.setup(), network: self.network(), epochs: if epochs == 0 { 100 } else { epochs } }.text()
    }
}

struct Program<'a> {
    engine: &'a Engine,
    setup: &'a Setup,
    network: &'a Network,
    epochs: u64,
}

impl Program<'_> {
    fn text(&self) -> String {
        let points = &self.engine.cloud().points;
        let generated = self.generated();
        let mut out = String::from("//! A network of noyau's playground.\n//!\n");
        out.push_str("//! Given a safetensors file of the playground it begins with those weights: `cargo run --release -- playground.safetensors`.\n\n");
        out.push_str("use noyau::prelude::*;\n\n");
        if generated.is_none() {
            out.push_str(&table(points));
        }
        out.push_str("fn main() -> Result<()> {\n");
        if let Some(expression) = &generated {
            line(&mut out, "// The points: x1, x2 and what belongs to them.");
            line(&mut out, &format!("let cloud = {expression}?.packed();"));
            line(&mut out, "let places: Vec<f32> = cloud.features.to_vec()?;");
            line(&mut out, "let labels = cloud.targets.to_f64();");
            line(
                &mut out,
                "let points: Vec<[f32; 3]> = places.chunks(2).zip(labels).map(|(p, label)| [p[0], p[1], label as f32]).collect();",
            );
        } else {
            line(&mut out, "let points = &POINTS[..];");
        }
        line(&mut out, &format!("let (train, test) = points.split_at({});", self.engine.cloud().train));
        line(&mut out, "let (train, test) = (data(train)?, data(test)?);\n");
        self.model(&mut out);
        self.training(&mut out);
        out.push_str("    Ok(())\n}\n\n");
        self.data(&mut out);
        out
    }

    /// What makes the points, where that is one call.
    fn generated(&self) -> Option<String> {
        let setup = self.setup;
        let kind = setup.data.points().filter(|_| self.engine.cloud().classes.as_ref().is_none_or(|names| names.len() == 2))?;
        let count = self.engine.cloud().points.len();
        Some(format!("Points::{kind:?}.generate({count}, {:?}, {})", f64::from(setup.noise) / 100.0, setup.seed))
    }

    fn model(&self, out: &mut String) {
        let mut inputs = self.setup.features.len();
        let hidden = self.network.layers.len() - 1;
        let mut modules = Vec::new();
        for (i, layer) in self.network.layers.iter().enumerate() {
            let neurons = layer.linear.weight.shape()[0];
            modules.push(format!(".then(Linear::new({inputs}, {neurons}))"));
            modules.extend(module(layer.activation).map(|module| format!(".then({module})")));
            if i < hidden && self.setup.dropout > 0.0 {
                modules.push(format!(".then(Dropout({:?}))", self.setup.dropout));
            }
            inputs = neurons;
        }
        let whole = format!("let model = Sequential::new(){};", modules.concat());
        let broken = format!("let model = Sequential::new()\n        {};", modules.join("\n        "));
        line(out, if whole.len() + 4 <= WIDTH { &whole } else { &broken });
    }

    fn training(&self, out: &mut String) {
        let rate = self.engine.penalty_rate();
        let penalty = match self.setup.penalty {
            Penalty::None => String::new(),
            Penalty::L1 => format!(" + l1_penalty(&weights) * {:?}", rate as f32),
            Penalty::L2 => format!(" + l2_penalty(&weights) * {:?}", (rate / 2.0) as f32),
        };
        if !penalty.is_empty() {
            line(out, "// Biases may be large.");
            line(
                out,
                "let weights: Vec<(String, Param)> = model.parameters().into_iter().filter(|(name, _)| name.ends_with(\"weight\")).collect();",
            );
        }
        let mean = match self.network.output() {
            Output::Value | Output::Tanh => "((out - y).square() * 0.5).sum_axes(&[-1]).mean()",
            Output::Logit => "activation::softplus(&-(out * y)).mean()",
            Output::Logits => "-(out.log_softmax(-1) * (y * 0.5 + 0.5)).sum_axes(&[-1]).mean()",
        };
        line(out, &format!("let loss = move |out: &Tensor, y: &Tensor| {mean}{penalty};"));
        let rate = self.engine.rate();
        let optimizer = match self.setup.rule {
            Rule::Sgd => format!("Sgd::new({rate:?})"),
            Rule::Momentum => format!("Sgd::new({rate:?}).momentum(0.9)"),
            Rule::Nesterov => format!("Sgd::new({rate:?}).momentum(0.9).nesterov(true)"),
            Rule::Adam => format!("Adam::new({rate:?})"),
        };
        let seed = self.setup.seed;
        line(out, &format!("let mut trainer = Trainer::new(Device::auto()?, model).loss(loss).optimizer({optimizer}).seed({seed});"));
        line(out, "if let Some(file) = std::env::args().nth(1) {");
        line(out, "    trainer.load(file)?;");
        line(out, "}");
        line(out, &format!("trainer.fit(&train, Fit::epochs({}).batch_size({}))?;", self.epochs, self.setup.batch));
        line(out, "println!(\"mean loss of the test points: {:.4}\", trainer.evaluate(&test)?.loss);");
    }

    /// What makes a data set of points.
    fn data(&self, out: &mut String) {
        let cloud = self.engine.cloud();
        out.push_str("/// What the network sees of points, and what it is to say: a value, or -1 or 1.\n");
        out.push_str("fn data(points: &[[f32; 3]]) -> Result<Dataset> {\n");
        let features: Vec<&str> = self.setup.features.iter().map(|&f| expression(f)).collect();
        line(
            out,
            &format!("let x: Vec<f32> = points.iter().flat_map(|&[x1, x2, _]| [{}]).collect();", features.join(", "))
                .replace("x1, x2, _", &self.used()),
        );
        let outputs = cloud.outputs();
        let label = match (&cloud.classes, outputs) {
            (None, _) => "[label]".into(),
            (Some(_), 1) => "[if label > 0.5 { 1.0 } else { -1.0 }]".into(),
            (Some(_), n) => format!("(0..{n}).map(move |class| if class as f32 == label {{ 1.0 }} else {{ -1.0 }})"),
        };
        line(out, &format!("let y: Vec<f32> = points.iter().flat_map(|&[_, _, label]| {label}).collect();"));
        line(
            out,
            &format!("Dataset::new(&Array::new([points.len(), {}], &x)?, &Array::new([points.len(), {outputs}], &y)?)", features.len()),
        );
        out.push_str("}\n");
    }

    /// The pattern of a point, with names for what the features read.
    fn used(&self) -> String {
        let all: String = self.setup.features.iter().map(|&f| expression(f)).collect();
        let name = |name: &'static str| if all.contains(name) { name } else { "_" };
        format!("{}, {}, _", name("x1"), name("x2"))
    }
}

fn line(out: &mut String, text: &str) {
    // As rustfmt breaks lines.
    let text = match text.split_once(" = ") {
        Some((name, value)) if text.len() + 4 > WIDTH && !text.contains('\n') => format!("{name} =\n        {value}"),
        _ => text.into(),
    };
    // Writing to a String does not fail.
    let _ = writeln!(out, "    {text}");
}

/// The most characters of a line.
const WIDTH: usize = 140;

/// Points as an array.
fn table(points: &[Point]) -> String {
    let mut out = String::from("/// x1, x2, and the class or the value.\n#[rustfmt::skip]\n");
    let _ = writeln!(out, "const POINTS: [[f32; 3]; {}] = [", points.len());
    for row in points.chunks(6) {
        let row: Vec<String> = row.iter().map(|p| format!("[{:?}, {:?}, {:?}]", p.x[0], p.x[1], p.label)).collect();
        line(&mut out, &format!("{},", row.join(", ")));
    }
    out.push_str("];\n\n");
    out
}

fn module(activation: Activation) -> Option<&'static str> {
    match activation {
        Activation::Tanh => Some("Tanh"),
        Activation::Relu => Some("Relu"),
        Activation::Sigmoid => Some("Sigmoid"),
        Activation::Linear => None,
        Activation::Sign => Some("Sign"),
        Activation::LeakyRelu => Some("LeakyRelu(0.01)"),
        Activation::Gelu => Some("Gelu"),
    }
}

fn expression(feature: Feature) -> &'static str {
    match feature {
        Feature::X1 => "x1",
        Feature::X2 => "x2",
        Feature::X1Squared => "x1 * x1",
        Feature::X2Squared => "x2 * x2",
        Feature::Product => "x1 * x2",
        Feature::SinX1 => "x1.sin()",
        Feature::SinX2 => "x2.sin()",
    }
}
