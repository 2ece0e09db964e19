//! The networks: images `[batch, height, width]` in, one number for each class out, the highest for the class that it sees.

use noyau::prelude::*;

/// A perceptron with two hidden layers.
pub fn mlp(pixels: usize, classes: usize) -> Sequential {
    Sequential::new()
        .then(Flatten)
        .then(Linear::new(pixels, 512))
        .then(Relu)
        .then(Linear::new(512, 256))
        .then(Relu)
        .then(Linear::new(256, classes))
}

/// The small network of Keras's example "Simple MNIST convnet" (Chollet, 2015), its weights begun as Keras does: 34,826 parameters for
/// MNIST.
pub fn cnn(image: &Shape, classes: usize) -> Sequential {
    // A convolution without padding takes two pixels off each axis, pooling leaves half.
    let left: usize = image.iter().map(|size| (size.saturating_sub(2) / 2).saturating_sub(2) / 2).product();
    let convolution = |inputs, outputs| Conv2d::new(inputs, outputs, 3).init(init::xavier_uniform(1.0)).bias_init(init::zeros());
    grey(image)
        .then(convolution(1, 32))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(convolution(32, 64))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .then(Dropout(0.5))
        .then(Linear::new(left * 64, classes).init(init::xavier_uniform(1.0)).bias_init(init::zeros()))
}

/// Five convolutions with batch normalisation on images that are moved a little at each step; the mean of each channel says what it has
/// found. Most of the work is done on small maps: the first pooling comes at once.
pub fn best(image: &Shape, classes: usize) -> Sequential {
    let net = grey(image).then(RandomAffine::new(10.0).translate(0.1, 0.1).scale(0.9, 1.1));
    let net = block(net, 1, 16).then(MaxPool2d::new(2));
    let net = block(block(net, 16, 32), 32, 32).then(MaxPool2d::new(2));
    block(block(net, 32, 64), 64, 64).then(GlobalAvgPool).then(Linear::new(64, classes))
}

/// Convolutions take channels, of which a grey image has one.
fn grey(image: &Shape) -> Sequential {
    Sequential::new().then(Unflatten::new(1, [1, image.first().copied().unwrap_or(0)]))
}

/// With a convolution that keeps the size, normalised. The bias is the normalisation's.
fn block(net: Sequential, inputs: usize, outputs: usize) -> Sequential {
    net.then(Conv2d::new(inputs, outputs, 3).padding(Padding::Same).without_bias()).then(BatchNorm2d::new(outputs)).then(Relu)
}
