//! A network of noyau's playground.
//!
//! Given a safetensors file of the playground it begins with those weights: `cargo run --release -- playground.safetensors`.

use noyau::prelude::*;

/// x1, x2, and the class or the value.
#[rustfmt::skip]
const POINTS: [[f32; 3]; 30] = [
    [0.084, -4.4838, 0.0], [-4.8782, -4.1954, 1.0], [4.2288, -2.5964, 0.0], [-1.9104, -4.8742, 2.0], [4.9408, -1.5366, 2.0], [1.675, -0.146, 1.0],
    [-4.4378, -4.9234, 0.0], [4.9272, 3.4836, 2.0], [0.1682, 3.0418, 0.0], [1.5954, 2.3426, 1.0], [-4.3578, -3.687, 0.0], [-1.754, -2.0808, 2.0],
    [0.2522, -0.9716, 0.0], [3.221, 4.6054, 1.0], [-1.8324, 3.8778, 2.0], [-3.1564, -4.9914, 2.0], [-4.9122, -4.7112, 1.0], [4.273, 0.4374, 0.0],
    [3.3478, 1.2562, 1.0], [-4.3984, 4.8008, 0.0], [-3.0242, -2.805, 2.0], [0.0, 5.0, 0.0], [3.4098, 1.015, 1.0], [4.953, -0.7276, 2.0],
    [3.285, -3.2682, 1.0], [4.316, 1.8118, 0.0], [-4.8958, 4.966, 1.0], [-3.0906, 4.347, 2.0], [4.9638, 2.8414, 2.0], [1.5156, -4.0554, 1.0],
];

fn main() -> Result<()> {
    let points = &POINTS[..];
    let (train, test) = points.split_at(15);
    let (train, test) = (data(train)?, data(test)?);

    let model = Sequential::new()
        .then(Linear::new(4, 5))
        .then(Tanh)
        .then(Dropout(0.25))
        .then(Linear::new(5, 4))
        .then(LeakyRelu(0.01))
        .then(Dropout(0.25))
        .then(Linear::new(4, 3))
        .then(Dropout(0.25))
        .then(Linear::new(3, 3));
    // Biases may be large.
    let weights: Vec<(String, Param)> = model.parameters().into_iter().filter(|(name, _)| name.ends_with("weight")).collect();
    let loss =
        move |out: &Tensor, y: &Tensor| -(out.log_softmax(-1) * (y * 0.5 + 0.5)).sum_axes(&[-1]).mean() + l2_penalty(&weights) * 0.0005;
    let mut trainer = Trainer::new(Device::auto()?, model).loss(loss).optimizer(Adam::new(0.01)).seed(7);
    if let Some(file) = std::env::args().nth(1) {
        trainer.load(file)?;
    }
    trainer.fit(&train, Fit::epochs(30).batch_size(10))?;
    println!("mean loss of the test points: {:.4}", trainer.evaluate(&test)?.loss);
    Ok(())
}

/// What the network sees of points, and what it is to say: a value, or -1 or 1.
fn data(points: &[[f32; 3]]) -> Result<Dataset> {
    let x: Vec<f32> = points.iter().flat_map(|&[x1, x2, _]| [x1, x2, x1 * x2, x2.sin()]).collect();
    let y: Vec<f32> =
        points.iter().flat_map(|&[_, _, label]| (0..3).map(move |class| if class as f32 == label { 1.0 } else { -1.0 })).collect();
    Dataset::new(&Array::new([points.len(), 4], &x)?, &Array::new([points.len(), 3], &y)?)
}
