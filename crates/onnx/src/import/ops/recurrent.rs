//! RNN, GRU and LSTM: the inputs of all time steps are projected by one product, and what depends on the step before is written out for each step.

use noyau_tensor::{DType, Tensor, stack};

use super::Function;
use crate::import::call::{Call, Made};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("GRU", |c| layer(c, Cell { gates: 3, activations: &["Sigmoid", "Tanh"], next: gru })),
    ("LSTM", |c| layer(c, Cell { gates: 4, activations: &["Sigmoid", "Tanh", "Tanh"], next: lstm })),
    ("RNN", |c| layer(c, Cell { gates: 1, activations: &["Tanh"], next: rnn })),
];

/// A kind of layer.
struct Cell {
    gates: usize,
    activations: &'static [&'static str],
    /// The next states, the result first, of the projected input `[batch, gates * hidden]` and the last states.
    next: fn(&Step, &Tensor, &[Tensor]) -> Vec<Tensor>,
}

/// What the steps of one direction share.
struct Step {
    hidden: usize,
    /// `[hidden, gates * hidden]`.
    recurrent: Tensor,
    /// `[gates * hidden]`, of the recurrent product.
    bias: Option<Tensor>,
    /// Peepholes, `[3 * hidden]`.
    peepholes: Option<Tensor>,
    activations: Vec<Activation>,
    clip: Option<f32>,
    before_reset: bool,
    coupled: bool,
}

/// An activation with its settings.
#[derive(Clone)]
struct Activation(String, Option<f32>, Option<f32>);

impl Activation {
    fn apply(&self, x: &Tensor) -> Tensor {
        let Activation(name, alpha, beta) = self;
        match name.as_str() {
            "Sigmoid" => x.sigmoid(),
            "Relu" => x.relu(),
            "Affine" => x * alpha.unwrap_or(1.0) + beta.unwrap_or(0.0),
            "LeakyRelu" => x.ge(0.0).where_(x, x * alpha.unwrap_or(0.01)),
            "ThresholdedRelu" => x.threshold(alpha.unwrap_or(1.0), 0.0),
            "ScaledTanh" => (x * beta.unwrap_or(1.0)).tanh() * alpha.unwrap_or(1.0),
            "HardSigmoid" => (x * alpha.unwrap_or(0.2) + beta.unwrap_or(0.5)).clamp(0.0, 1.0),
            "Elu" => x.gt(0.0).where_(x, x.minimum(0.0).expm1() * alpha.unwrap_or(1.0)),
            "Softsign" => x.softsign(),
            "Softplus" => x.softplus_beta(1.0),
            _ => x.tanh(),
        }
    }

    const NAMES: [&'static str; 11] =
        ["Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh", "Sigmoid", "Softplus", "Softsign", "Tanh", "ThresholdedRelu"];

    /// Those that take settings take them in turn.
    const WITH: [&'static str; 6] = ["Affine", "Elu", "HardSigmoid", "LeakyRelu", "ScaledTanh", "ThresholdedRelu"];
}

impl Step {
    fn clipped(&self, x: Tensor) -> Tensor {
        self.clip.map_or(x.clone(), |most| x.clamp(-most, most))
    }

    fn product(&self, state: &Tensor) -> Tensor {
        let product = state.matmul(&self.recurrent);
        self.bias.as_ref().map_or(product.clone(), |bias| product + bias)
    }

    /// The columns of a gate.
    fn gate(&self, all: &Tensor, i: usize) -> Tensor {
        all.slice(-1, i * self.hidden..(i + 1) * self.hidden)
    }

    fn activate(&self, i: usize, x: Tensor) -> Tensor {
        self.activations[i].apply(&self.clipped(x))
    }

    /// A gate's sum with a peephole into the cell.
    fn peep(&self, x: Tensor, i: usize, cell: &Tensor) -> Tensor {
        self.peepholes.as_ref().map_or(x.clone(), |p| x + self.gate(p, i) * cell)
    }
}

fn rnn(step: &Step, input: &Tensor, states: &[Tensor]) -> Vec<Tensor> {
    vec![step.activate(0, input + step.product(&states[0]))]
}

/// Gates: update, reset, hidden.
fn gru(step: &Step, input: &Tensor, states: &[Tensor]) -> Vec<Tensor> {
    let state = &states[0];
    let product = step.product(state);
    let update = step.activate(0, step.gate(input, 0) + step.gate(&product, 0));
    let reset = step.activate(0, step.gate(input, 1) + step.gate(&product, 1));
    let inner = if step.before_reset {
        reset * step.gate(&product, 2)
    } else {
        let own = (reset * state).matmul(&step.gate(&step.recurrent, 2));
        step.bias.as_ref().map_or(own.clone(), |bias| own + step.gate(bias, 2))
    };
    let new = step.activate(1, step.gate(input, 2) + inner);
    vec![&new + update * (state - &new)]
}

/// Gates: input, output, forget, cell.
fn lstm(step: &Step, input: &Tensor, states: &[Tensor]) -> Vec<Tensor> {
    let (state, cell) = (&states[0], &states[1]);
    let all = input + step.product(state);
    let write = step.activate(0, step.peep(step.gate(&all, 0), 0, cell));
    let keep = if step.coupled { 1.0 - &write } else { step.activate(0, step.peep(step.gate(&all, 2), 2, cell)) };
    let next = keep * cell + write * step.activate(1, step.gate(&all, 3));
    let read = step.activate(0, step.peep(step.gate(&all, 1), 1, &next));
    vec![read * step.activations[2].apply(&next), next]
}

fn layer(call: &Call, cell: Cell) -> Made {
    let (x, w, r) = (call.float(0)?, call.float(1)?, call.float(2)?);
    let batch_first = call.flag("layout", false);
    let x = if batch_first && x.rank() == 3 { x.transpose(0, 1) } else { x };
    let ways: &[bool] = match call.text("direction", "forward").as_str() {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(format!("the direction {other:?} is not known")),
    };
    let ([time, batch, features], [d, rows, columns]) = (x.shape()[..].try_into(), w.shape()[..].try_into()).both()?;
    let hidden = rows / cell.gates;
    let lstm = cell.gates == 4;
    let fits = d == ways.len() && rows == hidden * cell.gates && columns == features && r.shape()[..] == [d, rows, hidden] && hidden > 0;
    if !fits || call.given("hidden_size") && call.int("hidden_size", 0) != hidden as i64 {
        return Err(format!("weights {} and {} for {} directions of inputs of {features} features", w.shape(), r.shape(), ways.len()));
    }
    let bias = checked(call, 3, &[d, 2 * rows])?;
    let lengths = checked(call, 4, &[batch])?.map(|t| t.to(DType::I32).reshape([batch, 1]));
    let initial = |i: usize| -> Result<Tensor, String> {
        let given = if call.has(i) { Some(call.float(i)?) } else { None };
        let given = given.map(|t| if batch_first && t.rank() == 3 { t.transpose(0, 1) } else { t });
        match given {
            Some(t) if t.shape()[..] == [d, batch, hidden] => Ok(t),
            Some(t) => Err(format!("operand {i} of {}, not {:?}", t.shape(), [d, batch, hidden])),
            None => Ok(Tensor::zeros([d, batch, hidden]).to(x.dtype())),
        }
    };
    let first = if lstm { vec![initial(5)?, initial(6)?] } else { vec![initial(5)?] };
    let peepholes = if lstm { checked(call, 7, &[d, 3 * hidden])? } else { None };
    let activations = activations(call, &cell, d)?;
    let clip = if call.given("clip") { Some(call.real("clip", 0.0)) } else { None };
    let (mut outputs, mut last) = (Vec::new(), vec![Vec::new(); first.len()]);
    for (way, &reverse) in ways.iter().enumerate() {
        let half = |i: usize| bias.as_ref().map(|b| b.select(0, way).slice(0, i * rows..(i + 1) * rows));
        let step = Step {
            hidden,
            recurrent: r.select(0, way).t(),
            bias: half(1),
            peepholes: peepholes.as_ref().map(|p| p.select(0, way)),
            activations: activations[way].clone(),
            clip,
            before_reset: call.flag("linear_before_reset", false),
            coupled: call.flag("input_forget", false),
        };
        let product = x.matmul(&w.select(0, way).t());
        let projected = half(0).map_or(product.clone(), |bias| product + bias);
        let mut states: Vec<Tensor> = first.iter().map(|t| t.select(0, way)).collect();
        let mut results = vec![Tensor::zeros([batch, hidden]); time];
        for i in 0..time {
            call.run.walk()?;
            let t = if reverse { time - 1 - i } else { i };
            let mut next = (cell.next)(&step, &projected.select(0, t), &states);
            let mut result = next[0].clone();
            // A sequence that is over keeps its states, and its results are 0.
            if let Some(lengths) = &lengths {
                let inside = lengths.gt(t as i32);
                next = next.iter().zip(&states).map(|(next, state)| inside.where_(next, state)).collect();
                result = inside.where_(&result, result.zeros_like());
            }
            if let Some(error) = result.error() {
                return Err(error.to_string());
            }
            results[t] = result;
            states = next;
        }
        outputs.push(results);
        last.iter_mut().zip(states).for_each(|(all, state)| all.push(state));
    }
    // [time, direction, batch, hidden], [direction, batch, hidden].
    let ways_of = |all: &[Tensor]| stack(&all.iter().collect::<Vec<_>>(), 0);
    let y = if time == 0 {
        Tensor::zeros([0, d, batch, hidden]).to(x.dtype())
    } else {
        ways_of(&outputs.iter().map(|results| ways_of(results)).collect::<Vec<_>>()).transpose(0, 1)
    };
    let turned = |t: Tensor| if batch_first { t.transpose(0, 1) } else { t };
    let y = if batch_first { y.permute(&[2, 0, 1, 3]) } else { y };
    Ok(std::iter::once(y).chain(last.iter().map(|all| turned(ways_of(all)))).map(Into::into).collect())
}

/// An operand of a shape that is known, if it is given.
fn checked(call: &Call, i: usize, shape: &[usize]) -> Result<Option<Tensor>, String> {
    match call.optional(i)? {
        Some(t) if t.shape()[..] != *shape => Err(format!("operand {i} of {}, not {shape:?}", t.shape())),
        other => Ok(other),
    }
}

/// The activations of each direction.
fn activations(call: &Call, cell: &Cell, ways: usize) -> Result<Vec<Vec<Activation>>, String> {
    let names = call.texts("activations");
    let each = cell.activations.len();
    let names: Vec<String> =
        if names.is_empty() { (0..ways * each).map(|i| cell.activations[i % each].to_string()).collect() } else { names };
    if names.len() != ways * each {
        return Err(format!("{} activations for {ways} directions of {each}", names.len()));
    }
    let (mut alphas, mut betas) =
        (call.reals("activation_alpha").unwrap_or_default().into_iter(), call.reals("activation_beta").unwrap_or_default().into_iter());
    let mut all = Vec::new();
    for name in names {
        let known = Activation::NAMES.iter().find(|known| known.eq_ignore_ascii_case(&name));
        let known = known.ok_or_else(|| format!("the activation {name:?} is not supported"))?;
        let with = Activation::WITH.contains(known);
        let second = matches!(*known, "Affine" | "HardSigmoid" | "ScaledTanh");
        all.push(Activation(known.to_string(), if with { alphas.next() } else { None }, if second { betas.next() } else { None }));
    }
    Ok(all.chunks(each).map(<[Activation]>::to_vec).collect())
}

/// Two shapes of rank 3.
trait Both {
    fn both(self) -> Result<([usize; 3], [usize; 3]), String>;
}

impl<E> Both for (Result<[usize; 3], E>, Result<[usize; 3], E>) {
    fn both(self) -> Result<([usize; 3], [usize; 3]), String> {
        match self {
            (Ok(a), Ok(b)) => Ok((a, b)),
            _ => Err("needs an input [time, batch, features] and weights [directions, gates * hidden, features]".into()),
        }
    }
}
