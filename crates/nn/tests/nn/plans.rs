//! What the compiler makes of the losses and optimizers.

use noyau_compile::{Graph, Limits, Options, Plan, compile};
use noyau_nn::*;
use noyau_tensor::{DType, Tensor, grad};

fn plan(inputs: &[Tensor], outputs: &[&Tensor], updates: &[(noyau_tensor::Param, Tensor)]) -> Plan {
    let declared: Vec<_> = inputs.iter().map(|t| (t.shape().clone(), t.dtype())).collect();
    let updates: Vec<_> = updates.iter().map(|(param, next)| (param.state().clone(), next.clone())).collect();
    let graph = Graph::trace(&declared, outputs, &updates).unwrap();
    compile(&graph, Options::new(Limits::GPU)).unwrap()
}

#[test]
fn cross_entropy_and_its_gradient_are_one_pass_over_the_rows() {
    let logits = Tensor::input(0, [128, 10], DType::F32);
    let targets = Tensor::input(1, [128], DType::U32);
    let loss = cross_entropy(&logits, &targets);
    let gradient = grad(&loss, &[&logits]).remove(0);
    let plan = plan(&[logits, targets], &[&loss, &gradient], &[]);
    assert!(plan.kernels.len() <= 2, "one over the rows, one for the mean:\n{plan}");
}

pub fn training_step(optimizer: &dyn Optimizer) -> Plan {
    let model = Sequential::new().then(Flatten).then(Linear::new(784, 512)).then(Relu).then(Linear::new(512, 10));
    let x = Tensor::input(0, [128, 28, 28], DType::F32);
    let y = Tensor::input(1, [128], DType::U32);
    let loss = cross_entropy(&model.forward(&x, &Mode::train()), &y);
    let updates = optimizer.update(&loss, &model);
    plan(&[x, y], &[&loss], &updates)
}

#[test]
fn a_training_step_needs_few_kernels() {
    // Five products, two bias gradients, the rows of the loss and its mean; the updates ride on the kernels that make the gradients.
    let sgd = training_step(&Sgd::new(0.1).momentum(0.9));
    assert!(sgd.kernels.len() <= 9, "{sgd}");
    // And the two bias corrections and the counter.
    let adam = training_step(&Adam::new(0.001));
    assert!(adam.kernels.len() <= 12, "{adam}");
}

/// The kernels of a layer's values and of their gradients by input and parameters.
fn kernels(layer: &dyn Module, shape: &[usize]) -> [usize; 2] {
    let x = Tensor::input(0, shape, DType::F32);
    let mode = Mode::train();
    let y = layer.forward(&x, &mode);
    let forward = plan(std::slice::from_ref(&x), &[&y], &mode.take_updates());
    let parameters = layer.parameters();
    let wrt: Vec<&Tensor> = std::iter::once(&x).chain(parameters.iter().map(|(_, param)| param.tensor())).collect();
    let gradients = grad(&y.square().sum(), &wrt);
    let both = plan(std::slice::from_ref(&x), &gradients.iter().collect::<Vec<_>>(), &[]);
    [forward.kernels.len(), both.kernels.len()]
}

#[test]
fn layers_need_few_kernels() {
    // One pass over the rows; their gradient is another, and the parameters' two are sums over the columns.
    let [forward, gradients] = kernels(&LayerNorm::new([256]), &[64, 256]);
    assert!(forward == 1 && gradients <= 4, "{forward} and {gradients}");
    // Mean, variance, result; two sums for the input, two for the parameters.
    let [forward, gradients] = kernels(&BatchNorm::new(16), &[32, 16, 8, 8]);
    assert!(forward <= 3 && gradients <= 7, "{forward} and {gradients}");
    // Three projections at once, scores, their softmax, values, projection; no copies of heads.
    let [forward, gradients] = kernels(&MultiHeadAttention::new(32, 4).causal(), &[8, 16, 32]);
    assert!(forward <= 5 && gradients <= 18, "{forward} and {gradients}");
    // A view and a reduction; for the gradient the number of ties in each window, and a map.
    let [forward, gradients] = kernels(&MaxPool2d::new(2), &[8, 4, 16, 16]);
    assert!(forward == 1 && gradients <= 3, "{forward} and {gradients}");
    // Each step is a product and a map.
    let [forward, _] = kernels(&Lstm::new(16, 32), &[8, 10, 16]);
    assert!(forward <= 1 + 2 * 10 + 3, "{forward}");
}
