//! The case list: what noyau can compute, one small expression each, with the data it is tried on and how exact it must be.
//!
//! One list drives every check: finite differences on the oracle, oracle = CPU executor = each GPU, fused = unfused (`tests/ops.rs`,
//! `tests/gpu.rs`). A new op needs a line here and has all of them.
#![allow(dead_code)] // Each file of tests uses a part of it.

mod arrange;
mod attention;
mod augment;
mod composite;
mod convolution;
mod data;
mod edges;
mod einsum;
mod elementwise;
mod half;
mod indexing;
mod integers;
mod layers;
mod linalg;
mod many;
mod matrices;
mod norms;
mod numbers;
mod random;
mod reduce;
mod resize;
mod scan;
mod sorting;
mod special;
mod views;

pub use data::Data;

use noyau::tensor::gradients;
use noyau::{DType, Param, Tensor};

/// How exact a result must be: see `support::tolerance` for the numbers and their reasons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Class {
    /// The oracle's value rounded to f32, bit for bit (zeros of either sign are equal): moves, choices, integers, one correctly rounded operation.
    Exact,
    /// A few additions and multiplications, which a device may fuse or reorder.
    Rounded,
    /// Divisions, square roots.
    Quotient,
    /// `exp` and its kin, of arguments up to 4 in magnitude.
    Exponential,
    /// Logarithms.
    Logarithm,
    /// Functions that noyau writes as polynomials: sine, tanh, erf.
    Polynomial,
    /// Powers of up to 2^6.
    Power,
    /// Sums of so many terms: reductions, matrix products.
    Sum(usize),
    /// Products of so many factors.
    Product(usize),
    /// Several functions one after the other, each within its own bounds: softmax, losses.
    Chain,
    /// So many roundings to f16.
    F16(usize),
    /// So many roundings to bf16.
    BF16(usize),
}

/// What is asked of a case's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grads {
    /// There is none, or none that means anything.
    None,
    /// Devices agree with the oracle; too large to be checked element by element.
    Compared,
    /// Also equal to finite differences.
    Checked,
    /// And so is the gradient of the gradient.
    Twice,
}

/// One expression.
pub struct Case {
    /// Unique.
    pub name: String,
    /// How exact values must be.
    pub class: Class,
    /// What is asked of gradients.
    pub grads: Grads,
    /// NaN or infinity occurs: IEEE says what happens on a CPU, WGSL lets a GPU assume that they do not.
    pub ieee: bool,
    build: Box<dyn Fn(&mut Data) -> Tensor + Send + Sync>,
}

/// A case's expression, built.
pub struct Built {
    /// The parameters, in the order in which the case made them.
    pub params: Vec<Param>,
    /// The value.
    pub output: Tensor,
    /// The sum of the output's elements with fixed weights, where gradients are asked for.
    pub loss: Option<Tensor>,
    /// Those weights, of the output's shape.
    pub weights: Option<Tensor>,
    /// Its gradient for each float parameter that it reaches.
    pub gradients: Vec<(Param, Tensor)>,
}

impl Case {
    /// Makes data and expression, the same every time.
    pub fn build(&self) -> Built {
        let mut data = Data::new(&self.name);
        let output = (self.build)(&mut data);
        let mut built = Built { loss: None, weights: None, gradients: Vec::new(), params: data.params().to_vec(), output };
        if self.grads == Grads::None {
            return built;
        }
        let weights = weights(&built.output, &mut data);
        let loss = (&built.output * &weights).sum();
        let floats: Vec<&Param> = built.params.iter().filter(|p| p.dtype() == DType::F32).collect();
        let wrt: Vec<&Tensor> = floats.iter().map(|p| p.tensor()).collect();
        let found = gradients(&loss, &wrt).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        built.gradients = floats.iter().zip(found).filter_map(|(&p, g)| Some((p.clone(), g?))).collect();
        built.loss = Some(loss);
        built.weights = Some(weights);
        built
    }

    /// Asks for gradients of gradients too.
    fn twice(&mut self) {
        self.grads = Grads::Twice;
    }

    /// Only where IEEE holds.
    fn ieee(&mut self) {
        self.ieee = true;
    }
}

/// The sum of a tensor's elements with weights between 0.5 and 1.5: a scalar that depends on each of them differently.
pub fn weighted(tensor: &Tensor, data: &mut Data) -> Tensor {
    (tensor * weights(tensor, data)).sum()
}

fn weights(tensor: &Tensor, data: &mut Data) -> Tensor {
    if tensor.numel() > 1 << 16 {
        // Computed, not stored: the weights shall not be what the device spends its time on.
        let weights = (Tensor::arange(tensor.numel()) % 1021u32).to(DType::F32) * (1.0 / 1024.0) + 0.5;
        return weights.reshape(tensor.shape());
    }
    data.constant(tensor.shape(), 0.5, 1.5)
}

/// The cases being collected.
#[derive(Default)]
pub struct List(Vec<Case>);

impl List {
    fn add(
        &mut self,
        name: impl Into<String>,
        class: Class,
        grads: Grads,
        build: Box<dyn Fn(&mut Data) -> Tensor + Send + Sync>,
    ) -> &mut Case {
        self.0.push(Case { name: name.into(), class, grads, ieee: false, build });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// A case that is differentiable where it is tried.
    pub fn smooth(
        &mut self,
        name: impl Into<String>,
        class: Class,
        build: impl Fn(&mut Data) -> Tensor + Send + Sync + 'static,
    ) -> &mut Case {
        self.add(name, class, Grads::Checked, Box::new(build))
    }

    /// A case whose value alone is looked at.
    pub fn value(
        &mut self,
        name: impl Into<String>,
        class: Class,
        build: impl Fn(&mut Data) -> Tensor + Send + Sync + 'static,
    ) -> &mut Case {
        self.add(name, class, Grads::None, Box::new(build))
    }

    /// A case whose gradient devices must agree on, but that has too many elements, or kinks too near, for finite differences.
    pub fn wide(
        &mut self,
        name: impl Into<String>,
        class: Class,
        build: impl Fn(&mut Data) -> Tensor + Send + Sync + 'static,
    ) -> &mut Case {
        self.add(name, class, Grads::Compared, Box::new(build))
    }
}

/// All cases; with `NOYAU_CASE` set, those whose name contains it, or one of its parts between `|`.
pub fn all() -> Vec<Case> {
    let mut list = List::default();
    elementwise::cases(&mut list);
    numbers::cases(&mut list);
    integers::cases(&mut list);
    reduce::cases(&mut list);
    views::cases(&mut list);
    linalg::cases(&mut list);
    indexing::cases(&mut list);
    random::cases(&mut list);
    composite::cases(&mut list);
    convolution::cases(&mut list);
    layers::cases(&mut list);
    attention::cases(&mut list);
    augment::cases(&mut list);
    many::cases(&mut list);
    special::cases(&mut list);
    arrange::cases(&mut list);
    matrices::cases(&mut list);
    einsum::cases(&mut list);
    norms::cases(&mut list);
    scan::cases(&mut list);
    sorting::cases(&mut list);
    resize::cases(&mut list);
    edges::cases(&mut list);
    half::cases(&mut list);
    let mut cases = list.0;
    if let Ok(part) = std::env::var("NOYAU_CASE") {
        cases.retain(|case| part.split('|').any(|part| case.name.contains(part)));
    }
    cases
}
