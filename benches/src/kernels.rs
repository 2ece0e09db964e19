//! Single expressions of every kernel family, over sizes that matter.

mod list;

pub use list::{activation, all, layer_norm, product, softmax, sum};

use anyhow::Context;
use noyau::prelude::*;

use crate::check::Check;
use crate::cost::{self, Cost};

/// What a kernel's rate is given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Arithmetic: GFLOP/s.
    Flops,
    /// Traffic: GB/s.
    Bytes,
}

/// How an operand is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Numbers from -1 to 1 without a pattern.
    Noise,
    /// Ones.
    Ones,
    /// Zeros.
    Zeros,
    /// Whole numbers below this, u32.
    Below(u32),
}

/// An operand: it lives on the device as a state does.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    shape: Vec<usize>,
    fill: Fill,
    half: bool,
}

impl Operand {
    /// An operand of f32, or of u32 when it holds whole numbers.
    pub fn new(shape: &[usize], fill: Fill) -> Operand {
        Operand { shape: shape.to_vec(), fill, half: false }
    }

    /// The operand of f16.
    pub fn half(mut self) -> Operand {
        self.half = true;
        self
    }

    /// Its values.
    pub fn values(&self) -> Result<Array> {
        let count: usize = self.shape.iter().product();
        // Weyl's sequence of the golden ratio: equally spread, and near to no power of two.
        let noise = |i: usize| ((i as u32).wrapping_mul(0x9e37_79b9) >> 8) as f32 / (1u32 << 23) as f32 - 1.0;
        let array = match self.fill {
            Fill::Below(limit) => {
                let values: Vec<u32> = (0..count).map(|i| ((i as u32).wrapping_mul(0x9e37_79b9) >> 8) % limit.max(1)).collect();
                return Array::new(&self.shape[..], &values);
            }
            Fill::Noise => Array::new(&self.shape[..], &(0..count).map(noise).collect::<Vec<f32>>())?,
            Fill::Ones => Array::full(&self.shape[..], Scalar::Float(1.0)),
            Fill::Zeros => Array::full(&self.shape[..], Scalar::Float(0.0)),
        };
        Ok(if self.half { array.to(DType::F16) } else { array })
    }
}

/// What is computed of the operands.
type Expression = Box<dyn Fn(&[Param]) -> Step>;

/// An expression to time.
pub struct Kernel {
    /// The family, a dash, and its sizes: `softmax-4096x4096`.
    pub name: String,
    /// The family: what criterion groups by.
    pub family: &'static str,
    /// What its rate is given in.
    pub rate: Rate,
    /// What its result is checked by.
    pub check: Check,
    /// Whether its products are of f16.
    pub half: bool,
    /// Only for GPUs that are no software: it would take minutes elsewhere.
    pub large: bool,
    /// Arithmetic by definition, where the plan's is not what counts.
    flops: Option<f64>,
    operands: Vec<Operand>,
    expression: Expression,
}

/// A kernel on a device.
pub struct Loaded {
    /// Its step.
    pub step: CompiledStep,
    /// The work of a run.
    pub cost: Cost,
    session: Session,
    operands: Vec<Param>,
}

impl Kernel {
    /// A kernel in GB/s that is checked against the CPU's results.
    pub fn new(
        family: &'static str,
        sizes: impl std::fmt::Display,
        operands: Vec<Operand>,
        expression: impl Fn(&[Param]) -> Step + 'static,
    ) -> Kernel {
        let sizes = sizes.to_string();
        let name = if sizes.is_empty() { family.to_string() } else { format!("{family}-{sizes}") };
        let half = operands.iter().any(|o| o.half);
        let expression = Box::new(expression);
        Kernel { name, family, rate: Rate::Bytes, check: Check::AsCpu, half, large: false, flops: None, operands, expression }
    }

    /// In GFLOP/s.
    pub fn in_flops(mut self) -> Kernel {
        self.rate = Rate::Flops;
        self
    }

    /// With so much arithmetic, whatever the plan does.
    pub fn flops(mut self, flops: f64) -> Kernel {
        self.flops = Some(flops);
        self.in_flops()
    }

    /// Checked in this way.
    pub fn checked(mut self, check: Check) -> Kernel {
        self.check = check;
        self
    }

    /// Only for GPUs that are no software.
    pub fn large(mut self) -> Kernel {
        self.large = true;
        self
    }

    /// Under another name.
    pub fn named(mut self, name: impl Into<String>) -> Kernel {
        self.name = name.into();
        self
    }

    /// Compiles it for a device.
    pub fn load(&self, device: &Device) -> anyhow::Result<Loaded> {
        self.try_load(device).with_context(|| self.name.clone())
    }

    fn try_load(&self, device: &Device) -> Result<Loaded> {
        let session = Session::new(device.clone());
        let operand = |(i, operand): (usize, &Operand)| Ok(Param::from_array(format!("operand{i}"), operand.values()?));
        let operands = self.operands.iter().enumerate().map(operand).collect::<Result<Vec<Param>>>()?;
        let step = session.compile([], |[]| (self.expression)(&operands))?;
        let mut cost = cost::of_plan(step.plan(), &device.limits());
        cost.flops = self.flops.unwrap_or(cost.flops);
        Ok(Loaded { step, cost, session, operands })
    }

    /// The work of a run on a device, without loading it there.
    pub fn cost(&self, device: &Device) -> anyhow::Result<Cost> {
        let empty = |o: &Operand| {
            let dtype = match (o.fill, o.half) {
                (Fill::Below(_), _) => DType::U32,
                (_, true) => DType::F16,
                (_, false) => DType::F32,
            };
            Param::from_state(noyau::tensor::State::new("operand", &o.shape[..], dtype, Init::Full(Scalar::new(0.0, dtype))))
        };
        let operands: Vec<Param> = self.operands.iter().map(empty).collect();
        let step = Session::new(Device::cpu()).compile([], |[]| (self.expression)(&operands)).with_context(|| self.name.clone())?;
        let cost = cost::of_plan(step.plan(), &device.limits());
        Ok(Cost { flops: self.flops.unwrap_or(cost.flops), ..cost })
    }

    /// The unit of its rate, and how much of it a run has.
    pub fn amount(&self, cost: &Cost) -> (&'static str, f64) {
        match self.rate {
            Rate::Flops => ("GFLOP/s", cost.flops * 1e-9),
            Rate::Bytes => ("GB/s", cost.bytes * 1e-9),
        }
    }

    /// The operands' values, as they were given.
    pub fn values(&self) -> Result<Vec<Array>> {
        self.operands.iter().map(Operand::values).collect()
    }
}

impl Loaded {
    /// So many runs; waits for the last.
    pub fn run(&mut self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| self.step.launch())?;
        self.session.device().wait()
    }

    /// The results of the last run, or where there are none the first operand, which an update changes.
    pub fn results(&self) -> Result<Vec<Array>> {
        let outputs = self.step.plan().outputs.len();
        match (outputs, self.operands.first()) {
            (0, Some(operand)) => Ok(vec![self.session.get(operand)?]),
            _ => (0..outputs).map(|i| self.step.read(i)).collect(),
        }
    }

    /// Seconds of a run by the device's clock, the median of some; `None` where that is the host's or there is none.
    pub fn device_seconds(&mut self, times: usize) -> Result<Option<f64>> {
        device_seconds(&mut self.step, self.session.device(), times)
    }
}

/// Seconds that a step's launches take by the device's clock: the median of so many runs. `None` on the CPU, and on a GPU that does not tell the time.
pub fn device_seconds(step: &mut CompiledStep, device: &Device, times: usize) -> Result<Option<f64>> {
    if device.is_cpu() {
        return Ok(None);
    }
    let mut seconds = Vec::with_capacity(times);
    for _ in 0..times {
        let Some(timings) = step.timings()? else { return Ok(None) };
        seconds.push(timings.iter().map(|t| t.nanoseconds as f64 * 1e-9).sum());
    }
    let median = crate::measure::Spread::of(&seconds).median;
    Ok((median > 0.0).then_some(median))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_begin_with_their_family_and_never_look_like_a_workload() {
        let kernels = all();
        let names: HashSet<&str> = kernels.iter().map(|k| k.name.as_str()).collect();
        assert_eq!(names.len(), kernels.len());
        for kernel in &kernels {
            assert!(kernel.name.starts_with(kernel.family), "{}", kernel.name);
            assert!((1..=6).all(|i| !kernel.name.contains(&format!("w{i}"))), "{}", kernel.name);
        }
    }

    #[test]
    fn every_expression_compiles_and_has_work() {
        for kernel in all().iter().chain(&crate::workloads::kernels()).filter(|k| !k.large) {
            let cost = kernel.cost(&Device::cpu()).unwrap();
            assert!(cost.bytes > 0.0 && kernel.amount(&cost).1 > 0.0, "{}: {cost:?}", kernel.name);
        }
    }

    #[test]
    fn noise_is_spread_over_its_range_and_indices_stay_below_theirs() {
        let noise = Operand::new(&[1000], Fill::Noise).values().unwrap().to_f64();
        assert!(noise.iter().all(|v| (-1.0..1.0).contains(v)));
        assert!(noise.iter().sum::<f64>().abs() < 10.0);
        let places = Operand::new(&[1000], Fill::Below(7)).values().unwrap().to_vec::<u32>().unwrap();
        assert_eq!(places.iter().collect::<HashSet<_>>().len(), 7);
    }
}
