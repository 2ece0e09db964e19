//! A transformer encoder that classifies images by their rows.

use noyau::prelude::*;

/// The features of each row.
const WIDTH: usize = 64;

/// For grey images `[batch, rows, columns]`: each row becomes 64 features, to which its place adds its own; four layers with four heads
/// look at all rows; what they found, averaged over the rows, names the class.
pub struct Classifier {
    rows: Linear,
    places: LearnedEncoding,
    encoder: TransformerEncoder,
    last: Linear,
}

impl Classifier {
    pub fn new(rows: usize, columns: usize, classes: usize) -> Classifier {
        let layer = TransformerEncoderLayer::new(WIDTH, 4).dim_feedforward(2 * WIDTH).dropout(0.0).activation(Gelu).norm_first();
        Classifier {
            rows: Linear::new(columns, WIDTH),
            places: LearnedEncoding::new(rows, WIDTH),
            encoder: TransformerEncoder::new(&layer, 4).norm(LayerNorm::new([WIDTH])),
            last: Linear::new(WIDTH, classes),
        }
    }
}

impl Module for Classifier {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let x = self.places.forward(&self.rows.forward(x, mode), mode);
        let x = self.encoder.forward(&x, mode);
        self.last.forward(&x.mean_axes(&[1]), mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        [named("rows", &self.rows), named("places", &self.places), named("encoder", &self.encoder), named("last", &self.last)].concat()
    }
}
