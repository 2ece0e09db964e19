//! Writes models as ONNX files, each with an input and the result that noyau has for it, for other runtimes to be compared with: see
//! scripts/interop.
//!
//!     cargo run --release --features onnx --example interop -- FOLDER [--weights mnist.safetensors]
//!
//! Three files a model: `name.onnx`, `name.x.npy`, `name.y.npy`. With weights, as the example mnist saves them for `--model cnn`, there is `mnist`
//! too, on all images of the test set.

#[path = "../mnist/model.rs"]
mod digits;
#[path = "../resnet/model.rs"]
mod resnet;
#[path = "../transformer/model.rs"]
mod transformer;

use std::path::{Path, PathBuf};

use clap::Parser;
use noyau::formats::npy;
use noyau::onnx::export::Export;
use noyau::prelude::*;
use noyau::train::Weights;

/// Writes models as ONNX files with inputs and results.
#[derive(Parser)]
struct Options {
    /// Where to write
    folder: PathBuf,
    /// Weights of the example mnist's plain convolutional network
    #[arg(long)]
    weights: Option<PathBuf>,
    /// The folder with the four files of MNIST
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/mnist"), hide_default_value = true)]
    data: PathBuf,
}

/// A model that is a function of a tensor with parts.
struct With<F>(F, Vec<(String, Param)>);

impl<F: Fn(&Tensor, &Mode) -> Tensor + Send + Sync> Module for With<F> {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        (self.0)(x, mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        self.1.clone()
    }
}

fn with<M: Module + Clone + 'static>(layer: M, f: impl Fn(&M, &Tensor, &Mode) -> Tensor + Send + Sync + 'static) -> Box<dyn Module> {
    let parameters = layer.parameters();
    Box::new(With(move |x: &Tensor, mode: &Mode| f(&layer, x, mode), parameters))
}

/// A name, a model, the shape of its input. A model whose name begins with `words` takes indices below 20.
fn models() -> Vec<(&'static str, Box<dyn Module>, Vec<usize>)> {
    let image = Shape::from([28, 28]);
    let grey = || Sequential::new().then(Unflatten::new(1, [1, 28]));
    let convolutions = grey()
        .then(Conv2d::new(1, 6, [3, 5]).stride([2, 1]).padding([1, 2]).dilation([2, 1]))
        .then(BatchNorm2d::new(6))
        .then(Conv2d::new(6, 12, 3).groups(3).padding(Padding::Same))
        .then(LeakyRelu(0.1))
        .then(Conv2d::new(12, 12, 3).groups(12).padding(1).padding_mode(PaddingMode::Reflect))
        .then(Elu(0.7));
    let transposed = grey().then(ConvTranspose2d::new(1, 4, 3).stride(2).padding(1).output_padding(1)).then(Softplus);
    let transposed = transposed.then(ConvTranspose2d::new(4, 4, 4).stride(3).groups(2).dilation(2));
    let pooled = grey().then(MaxPool2d::new(3).stride(2).padding(1)).then(AvgPool2d::new([2, 3]).padding([1, 1]));
    let pooled = pooled
        .then(MaxPool2d::new(2).ceil_mode(true))
        .then(AvgPool2d::new(2).padding(1).count_include_pad(false))
        .then(AdaptiveAvgPool2d::new(2));
    let norms = Sequential::new().then(LayerNorm::new([12])).then(RmsNorm::new([12])).then(Linear::new(12, 8)).then(Gelu);
    let norms = norms.then(GroupNorm::new(5, 5)).then(InstanceNorm::new(5).affine()).then(Softmax(-1)).then(LogSoftmax(1));
    let encoder = TransformerEncoderLayer::new(8, 2).dim_feedforward(16).dropout(0.0);
    let causal = MultiHeadAttention::new(8, 2).causal().rotary(10_000.0);
    let table =
        Sequential::new().then(Embedding::new(20, 8)).then(TransformerEncoder::new(&encoder, 1)).then(causal).then(Linear::new(8, 20));
    let last = |x: &Tensor, _: &Mode| x.slice_step(1, .., -1).pad(&[(0, 0), (1, 2)], 0.5).cumsum(1);
    vec![
        ("mlp", Box::new(digits::mlp(784, 10)), vec![5, 28, 28]),
        ("best", Box::new(digits::best(&image, 10)), vec![4, 28, 28]),
        ("resnet20", Box::new(resnet::ResNet::new(3, 10)), vec![3, 28, 28]),
        ("transformer", Box::new(transformer::Classifier::new(28, 28, 10)), vec![3, 28, 28]),
        ("convolutions", Box::new(convolutions), vec![3, 28, 28]),
        ("transposed", Box::new(transposed), vec![2, 28, 28]),
        ("pooled", Box::new(pooled), vec![2, 28, 28]),
        ("norms", Box::new(norms), vec![4, 5, 12]),
        ("lstm", with(Lstm::new(6, 7).num_layers(2).bidirectional(), |lstm, x, mode| lstm.forward(x, mode)), vec![3, 9, 6]),
        ("gru", with(Gru::new(6, 7), |gru, x, mode| gru.run(x, None, mode).1), vec![3, 9, 6]),
        ("words", Box::new(table), vec![3, 6]),
        ("words_one_hot", Box::new(|x: &Tensor| x.one_hot(20).sum_axes(&[1])), vec![3, 6]),
        ("views", Box::new(With(last, vec![])), vec![3, 7]),
        (
            "functions",
            Box::new(|x: &Tensor| {
                (x.abs() + 0.5).log1p() + x.expm1() * x.sin() - x.erf() / (x.cos() + 2.0) + noyau::nn::activation::silu(&x.clamp(-0.5, 0.5))
            }),
            vec![3, 7],
        ),
        (
            "places",
            Box::new(|x: &Tensor| x.argmax(1).to(DType::F32).unsqueeze(1) * x.max(&[1]).unsqueeze(1) + x.sort(1, false).0),
            vec![3, 7],
        ),
    ]
}

/// Numbers between -1 and 1 that look like no pattern.
fn numbers(shape: &[usize], words: bool) -> noyau::Result<Array> {
    let count: usize = shape.iter().product();
    let mut state = 0x2545_f491u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    if words {
        return Array::new(shape, &(0..count).map(|_| next() % 20).collect::<Vec<u32>>());
    }
    Array::new(shape, &(0..count).map(|_| next() as f32 / (1u32 << 31) as f32 - 1.0).collect::<Vec<f32>>())
}

fn write(folder: &Path, name: &str, session: &Session, model: &dyn Module, x: &Array) -> anyhow::Result<()> {
    let y = session.eval(&model.forward(&Tensor::from(x.clone()), &Mode::eval()))?;
    let file = |end: &str| folder.join(format!("{name}.{end}"));
    let written = Export::new(x.shape()).dtype(x.dtype()).name(name).save(session, model, file("onnx"))?;
    npy::write(file("x.npy"), x)?;
    npy::write(file("y.npy"), &y)?;
    let count: usize = written.operations.values().sum();
    let main: Vec<String> = written.operations.iter().map(|(op, count)| format!("{op} {count}")).collect();
    println!("{name}: {count} operations ({}), {} parameters", main.join(", "), written.parameters);
    anyhow::ensure!(written.any_batch, "{name}: {}", written.notices.join("; "));
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    std::fs::create_dir_all(&options.folder)?;
    let session = Session::new(Device::cpu());
    for (name, model, shape) in models() {
        write(&options.folder, name, &session, &*model, &numbers(&shape, name.starts_with("words"))?)?;
    }
    if let Some(weights) = &options.weights {
        let mnist = Mnist::open(&options.data)?;
        let model = digits::cnn(mnist.test.sample_shape(), mnist.classes);
        Weights::open(weights)?.load(&session, &model)?;
        let all: Vec<u32> = (0..mnist.test.len() as u32).collect();
        let batch = mnist.test.batch(&all)?;
        write(&options.folder, "mnist", &session, &model, &batch.x)?;
        npy::write(options.folder.join("mnist.labels.npy"), &batch.y)?;
    }
    Ok(())
}
