//! The residual network of the paper's section on CIFAR-10.
//!
//! Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.

use noyau::nn::init::{self, Fan};
use noyau::prelude::*;

/// `6 n + 2` layers for grey images `[batch, height, width]`: a convolution, three stages of `n` blocks at 16, 32 and 64 channels, each
/// stage but the first at half the height and width, the mean of each channel, and a linear layer.
pub struct ResNet {
    first: Conv2d,
    norm: BatchNorm2d,
    blocks: Vec<Block>,
    last: Linear,
}

impl ResNet {
    /// With so many blocks a stage: 3 for ResNet-20.
    pub fn new(n: usize, classes: usize) -> ResNet {
        let mut blocks = Vec::new();
        for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
            for i in 0..n {
                let shrinks = stage > 0 && i == 0;
                blocks.push(Block::new(if shrinks { channels / 2 } else { channels }, channels));
            }
        }
        ResNet { first: convolution(1, 16), norm: BatchNorm2d::new(16), blocks, last: Linear::new(64, classes) }
    }
}

impl Module for ResNet {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let x = self.first.forward(&x.unsqueeze(1), mode);
        let x = self.norm.forward(&x, mode).relu();
        let x = self.blocks.iter().fold(x, |x, block| block.forward(&x, mode));
        self.last.forward(&x.mean_axes(&[2, 3]), mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        let blocks = self.blocks.iter().enumerate().flat_map(|(i, block)| named(&format!("blocks.{i}"), block));
        [named("first", &self.first), named("norm", &self.norm), blocks.collect(), named("last", &self.last)].concat()
    }

    fn buffers(&self) -> Vec<(String, Param)> {
        let blocks = self.blocks.iter().enumerate().flat_map(|(i, block)| named_buffers(&format!("blocks.{i}"), block));
        [named_buffers("norm", &self.norm), blocks.collect()].concat()
    }
}

/// Two convolutions, whose result is added to what they were given. More channels than before come with half the height and width.
struct Block {
    conv1: Conv2d,
    norm1: BatchNorm2d,
    conv2: Conv2d,
    norm2: BatchNorm2d,
    added: usize,
}

impl Block {
    fn new(inputs: usize, outputs: usize) -> Block {
        Block {
            conv1: convolution(inputs, outputs).stride(outputs / inputs),
            norm1: BatchNorm2d::new(outputs),
            conv2: convolution(outputs, outputs),
            norm2: BatchNorm2d::new(outputs),
            added: outputs - inputs,
        }
    }
}

impl Module for Block {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let y = self.norm1.forward(&self.conv1.forward(x, mode), mode).relu();
        let y = self.norm2.forward(&self.conv2.forward(&y, mode), mode);
        // The paper's option A: every other pixel, and zeros for the channels that are new. It has no parameters.
        let shortcut = match self.added {
            0 => x.clone(),
            n => x.slice_step(2, .., 2).slice_step(3, .., 2).pad(&[(0, 0), (n / 2, n - n / 2), (0, 0), (0, 0)], 0.0),
        };
        (y + shortcut).relu()
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        [named("conv1", &self.conv1), named("norm1", &self.norm1), named("conv2", &self.conv2), named("norm2", &self.norm2)].concat()
    }

    fn buffers(&self) -> Vec<(String, Param)> {
        [named_buffers("norm1", &self.norm1), named_buffers("norm2", &self.norm2)].concat()
    }
}

/// 3 x 3, of the same size as its input at stride 1, begun as in the paper; the bias is the normalisation's.
fn convolution(inputs: usize, outputs: usize) -> Conv2d {
    Conv2d::new(inputs, outputs, 3).padding(1).without_bias().init(init::kaiming_normal(0.0, Fan::Out))
}
