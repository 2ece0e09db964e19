//! The images that a model gets wrong.

use noyau::prelude::*;

/// An image that was taken for another class.
pub struct Mistake {
    /// Height and width.
    pub size: [usize; 2],
    /// Row by row, 0 to 1.
    pub pixels: Vec<f32>,
    pub actual: usize,
    pub predicted: usize,
    /// The probability that the model gave the wrong class.
    pub sureness: f64,
}

/// All mistakes on a data set, the surest first.
pub fn find(trainer: &mut Trainer, data: &Dataset) -> anyhow::Result<Vec<Mistake>> {
    let &[height, width] = &data.sample_shape()[..] else { return Ok(Vec::new()) };
    let mut mistakes = Vec::new();
    let indices: Vec<u32> = (0..data.len() as u32).collect();
    for indices in indices.chunks(1000) {
        let batch = data.batch(indices)?;
        let logits = trainer.predict(&batch.x)?.to_f64();
        let classes = logits.len() / indices.len();
        let actual: Vec<u32> = batch.y.to_vec()?;
        let pixels: Vec<f32> = batch.x.to_vec()?;
        for ((logits, &actual), pixels) in logits.chunks(classes).zip(&actual).zip(pixels.chunks(height * width)) {
            let Some((predicted, &highest)) = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else { continue };
            if predicted != actual as usize {
                // Softmax: e to the power of each output, as a share of their sum.
                let sureness = 1.0 / logits.iter().map(|z| (z - highest).exp()).sum::<f64>();
                mistakes.push(Mistake { size: [height, width], pixels: pixels.to_vec(), actual: actual as usize, predicted, sureness });
            }
        }
    }
    mistakes.sort_by(|a, b| b.sureness.total_cmp(&a.sureness));
    Ok(mistakes)
}
