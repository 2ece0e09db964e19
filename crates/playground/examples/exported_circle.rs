//! A network of noyau's playground.
//!
//! Given a safetensors file of the playground it begins with those weights: `cargo run --release -- playground.safetensors`.

use noyau::prelude::*;

fn main() -> Result<()> {
    // The points: x1, x2 and what belongs to them.
    let cloud = Points::Circle.generate(500, 0.0, 1)?.packed();
    let places: Vec<f32> = cloud.features.to_vec()?;
    let labels = cloud.targets.to_f64();
    let points: Vec<[f32; 3]> = places.chunks(2).zip(labels).map(|(p, label)| [p[0], p[1], label as f32]).collect();
    let (train, test) = points.split_at(250);
    let (train, test) = (data(train)?, data(test)?);

    let model = Sequential::new().then(Linear::new(2, 4)).then(Tanh).then(Linear::new(4, 2)).then(Tanh).then(Linear::new(2, 1)).then(Tanh);
    let loss = move |out: &Tensor, y: &Tensor| ((out - y).square() * 0.5).sum_axes(&[-1]).mean();
    let mut trainer = Trainer::new(Device::auto()?, model).loss(loss).optimizer(Sgd::new(0.03)).seed(1);
    if let Some(file) = std::env::args().nth(1) {
        trainer.load(file)?;
    }
    trainer.fit(&train, Fit::epochs(100).batch_size(10))?;
    println!("mean loss of the test points: {:.4}", trainer.evaluate(&test)?.loss);
    Ok(())
}

/// What the network sees of points, and what it is to say: a value, or -1 or 1.
fn data(points: &[[f32; 3]]) -> Result<Dataset> {
    let x: Vec<f32> = points.iter().flat_map(|&[x1, x2, _]| [x1, x2]).collect();
    let y: Vec<f32> = points.iter().flat_map(|&[_, _, label]| [if label > 0.5 { 1.0 } else { -1.0 }]).collect();
    Dataset::new(&Array::new([points.len(), 2], &x)?, &Array::new([points.len(), 1], &y)?)
}
