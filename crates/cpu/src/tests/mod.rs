//! The executor against the reference, on hand-made plans.

mod attention;
mod convolutions;
mod elementwise;
mod kernels;
mod norms;
mod oracle;
mod patterns;
mod random;
mod session;

use std::sync::Arc;

use noyau_compile::plan::*;
use noyau_compile::{Index, View};
use noyau_tensor::{Array, DType, Scalar};

use crate::simd::Level as Simd;
use crate::{Cpu, reference, scalar};

/// A generator of test data (xorshift).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(super) fn choose<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// A word of a type: floats in -2..2, small integers.
    pub(super) fn word(&mut self, dtype: DType) -> u32 {
        match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Scalar::new((self.next() % 4_000_001) as f64 / 1e6 - 2.0, dtype).to_word(),
            DType::I32 => (self.below(41) as i32 - 20) as u32,
            DType::U32 => self.below(20) as u32,
            DType::Bool => self.below(2) as u32,
        }
    }
}

/// A plan with one kernel, built piece by piece.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) buffers: Vec<Buffer>,
    pub(super) body: Body,
}

impl Builder {
    pub(super) fn buffer(&mut self, shape: &[usize], dtype: DType) -> BufferId {
        self.buffers.push(Buffer { kind: BufferKind::Slot(self.buffers.len()), shape: shape.to_vec(), dtype });
        BufferId(self.buffers.len() - 1)
    }

    pub(super) fn operand(&mut self, shape: &[usize], dtype: DType) -> usize {
        let id = self.buffer(shape, dtype);
        self.body.operands.push(id);
        self.body.operands.len() - 1
    }

    pub(super) fn value(&mut self, instr: Instr, dtype: DType, level: Level) -> ValueId {
        self.body.values.push(Value { instr, dtype, level });
        ValueId(self.body.values.len() - 1)
    }

    /// A load of a new operand.
    pub(super) fn load(&mut self, shape: &[usize], dtype: DType, index: Index, level: Level) -> ValueId {
        let operand = self.operand(shape, dtype);
        self.value(Instr::Load { operand, index }, dtype, level)
    }

    /// A store to a new operand.
    pub(super) fn store(&mut self, value: ValueId, shape: &[usize], index: Index) -> usize {
        let operand = self.operand(shape, self.body.values[value.0].dtype);
        self.body.stores.push(Store { value, operand, index });
        operand
    }

    pub(super) fn loop_plan(self, outer: &[usize], inner: &[usize]) -> Plan {
        let kind = KernelKind::Loop(Loop { outer: outer.to_vec(), inner: inner.to_vec(), body: self.body });
        plan(self.buffers, vec![kind])
    }
}

pub(super) fn plan(buffers: Vec<Buffer>, kinds: Vec<KernelKind>) -> Plan {
    let location = std::panic::Location::caller();
    Plan {
        slots: buffers.iter().map(Buffer::len).collect(),
        buffers,
        kernels: kinds.into_iter().map(|kind| Kernel { name: "test".into(), location, kind }).collect(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

pub(super) fn view(shape: &[usize], strides: &[isize]) -> Index {
    Index::from_view(View { shape: shape.to_vec(), strides: strides.to_vec(), offset: 0, mask: Vec::new() })
}

/// Runs a plan on random data by the executor, at every instruction set, and by the reference; all buffers must agree to `tolerance`.
pub(super) fn check(plan: Plan, seed: u64, tolerance: f64, what: &str) {
    let mut random = Random(seed | 1);
    let data: Vec<Vec<u32>> = plan.buffers.iter().map(|b| (0..b.len()).map(|_| random.word(b.dtype)).collect()).collect();
    check_on(plan, &data, tolerance, what);
}

pub(super) fn check_on(plan: Plan, data: &[Vec<u32>], tolerance: f64, what: &str) {
    let mut expected = data.to_vec();
    for kernel in &plan.kernels {
        reference::run_kernel(&plan, kernel, &mut expected).unwrap_or_else(|error| panic!("{what}: {error}\n{kernel:#?}"));
    }
    let plan = Arc::new(plan);
    for level in Simd::available() {
        let mut executable = Cpu::with_level(level).load(Arc::clone(&plan), &mut |_| unreachable!()).unwrap();
        for repeat in 0..2 {
            for (i, words) in data.iter().enumerate() {
                let array = Array::from_words(plan.buffers[i].shape.clone(), plan.buffers[i].dtype, words.clone()).unwrap();
                executable.write_buffer(BufferId(i), &array).unwrap();
            }
            executable.run().unwrap();
            for (i, words) in expected.iter().enumerate() {
                let dtype = plan.buffers[i].dtype;
                let got = executable.read_buffer(BufferId(i)).unwrap();
                for (place, (&got, &right)) in got.words().iter().zip(words).enumerate() {
                    let (g, r) = (scalar::from_word(got, dtype), scalar::from_word(right, dtype));
                    let same = got == right
                        || dtype == DType::F32 && (g.is_nan() && r.is_nan() || g == r || (g - r).abs() <= tolerance * (1.0 + r.abs()));
                    assert!(
                        same,
                        "{what}, {level:?}, run {repeat}: buffer {i} {:?} at {place}: got {g}, expected {r}\n{:#?}",
                        plan.buffers[i].shape, plan.kernels[0]
                    );
                }
            }
        }
    }
}
