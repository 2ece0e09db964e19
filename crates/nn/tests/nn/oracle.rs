//! Tensors evaluated on the oracle, and what tests ask of them.

use std::collections::HashMap;

use noyau_compile::{Graph, Limits, Options, compile};
use noyau_cpu::{Values, evaluate, reference};
use noyau_tensor::{DType, Param, Result, Shape, State, Tensor, grad};

/// Real numbers of a shape.
pub fn reals(shape: impl Into<Shape>, data: &[f64]) -> Values {
    Values { shape: shape.into(), dtype: DType::F32, data: data.to_vec() }
}

/// Whole numbers of a shape, u32.
pub fn words(shape: impl Into<Shape>, data: &[u32]) -> Values {
    Values { shape: shape.into(), dtype: DType::U32, data: data.iter().map(|&v| v.into()).collect() }
}

/// The result of a function of step arguments, states at their first values with seed 0.
pub fn call(arguments: &[Values], f: impl Fn(&[Tensor]) -> Vec<Tensor>) -> Result<Vec<Vec<f64>>> {
    let inputs: Vec<Tensor> = arguments.iter().enumerate().map(|(i, v)| Tensor::input(i, &v.shape, v.dtype)).collect();
    let outputs = f(&inputs);
    let declared: Vec<(Shape, DType)> = arguments.iter().map(|v| (v.shape.clone(), v.dtype)).collect();
    let graph = Graph::trace(&declared, &outputs.iter().collect::<Vec<_>>(), &[])?;
    Ok(evaluate(&graph, arguments, &initial)?.outputs.into_iter().map(|v| v.data).collect())
}

/// The values of tensors without arguments.
pub fn eval(tensor: &Tensor) -> Vec<f64> {
    call(&[], |_| vec![tensor.clone()]).unwrap().remove(0)
}

/// A function of one argument, and the gradient of the sum of its results.
pub fn with_gradient(x: &Values, f: impl Fn(&Tensor) -> Tensor) -> (Vec<f64>, Vec<f64>) {
    let results = call(std::slice::from_ref(x), |args| {
        let y = f(&args[0]);
        let gradient = grad(&y.sum(), &[&args[0]]).remove(0);
        vec![y, gradient]
    });
    let mut results = results.unwrap();
    let gradient = results.remove(1);
    (results.remove(0), gradient)
}

/// The only value of a function of step arguments, computed from its plan with each operation rounded to f32 as on a device.
pub fn rounded(arguments: &[Values], f: &dyn Fn(&[Tensor]) -> Tensor) -> f64 {
    let inputs: Vec<Tensor> = arguments.iter().enumerate().map(|(i, v)| Tensor::input(i, &v.shape, v.dtype)).collect();
    let declared: Vec<(Shape, DType)> = arguments.iter().map(|v| (v.shape.clone(), v.dtype)).collect();
    let graph = Graph::trace(&declared, &[&f(&inputs)], &[]).unwrap();
    let plan = compile(&graph, Options::new(Limits::CPU)).unwrap();
    let mut memory = reference::allocate(&plan);
    for (id, value) in plan.inputs.iter().zip(arguments) {
        memory[id.0] = value.to_array().unwrap().words().to_vec();
    }
    plan.kernels.iter().for_each(|kernel| reference::run_kernel(&plan, kernel, &mut memory).unwrap());
    f32::from_bits(memory[plan.outputs[0].0][0]).into()
}

fn initial(state: &State) -> Values {
    Values::from(&state.initial_value(0).unwrap())
}

/// The message of the error that a tensor carries.
pub fn message(tensor: &Tensor) -> String {
    tensor.error().unwrap_or_else(|| panic!("{tensor:?} carries no error")).to_string()
}

#[track_caller]
pub fn assert_close(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{found:?} and {wanted:?} differ in number");
    for (f, w) in found.iter().zip(wanted) {
        assert!((f - w).abs() <= tolerance * (1.0 + w.abs()), "{found:?} is not {wanted:?}: {f} and {w} differ by {:e}", f - w);
    }
}

/// States as a session would keep them: each run of a step writes the next values.
#[derive(Default)]
pub struct Memory(HashMap<u64, Values>);

impl Memory {
    pub fn value(&self, param: &Param) -> Vec<f64> {
        self.read(param.state()).data
    }

    fn read(&self, state: &State) -> Values {
        self.0.get(&state.id()).cloned().unwrap_or_else(|| initial(state))
    }

    pub fn run(&mut self, updates: &[(Param, Tensor)]) -> Result<()> {
        let updates: Vec<_> = updates.iter().map(|(param, next)| (param.state().clone(), next.clone())).collect();
        let graph = Graph::trace(&[], &[], &updates)?;
        let run = evaluate(&graph, &[], &|state| self.read(state))?;
        for ((state, _), next) in updates.iter().zip(run.updates) {
            self.0.insert(state.id(), next);
        }
        Ok(())
    }
}
