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

fn training_step(optimizer: &dyn Optimizer) -> Plan {
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
