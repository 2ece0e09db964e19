//! What the tests share: plans built by hand, a plain interpreter of them, and every adapter there is.
#![allow(dead_code)]

pub mod interpret;

use std::sync::Arc;

use noyau_compile::plan::{
    Body, Buffer, BufferId, BufferKind, Instr, Kernel, KernelKind, Level, Loop, Matmul, Matrix, Scatter, Store, Value, ValueId,
};
use noyau_compile::{Index, Plan, View};
use noyau_gpu::{Executable, Gpu, Memory, Tuning};
use noyau_tensor::{Array, DType, Init, Result, Scalar, State};
use pollster::block_on;

/// Every adapter, opened. Fewer than `NOYAU_REQUIRE_GPUS` are a failure; none at all is said aloud.
pub fn gpus() -> Vec<Gpu> {
    let infos = block_on(noyau_gpu::adapters());
    let required: usize = std::env::var("NOYAU_REQUIRE_GPUS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(infos.len() >= required, "NOYAU_REQUIRE_GPUS={required}, but there are {}: {infos:?}", infos.len());
    if infos.is_empty() {
        eprintln!("NOTHING TESTED: there is no GPU adapter");
    }
    infos.iter().map(|info| block_on(Gpu::open(info.index)).unwrap_or_else(|e| panic!("{info}: {e}"))).collect()
}

/// A plan being written by hand.
#[derive(Default)]
pub struct Builder {
    pub plan: Option<Plan>,
    buffers: Vec<Buffer>,
    slots: Vec<usize>,
    kernels: Vec<Kernel>,
    inputs: Vec<BufferId>,
    outputs: Vec<BufferId>,
}

impl Builder {
    fn buffer(&mut self, kind: BufferKind, shape: &[usize], dtype: DType) -> BufferId {
        self.buffers.push(Buffer { kind, shape: shape.to_vec(), dtype });
        BufferId(self.buffers.len() - 1)
    }

    pub fn input(&mut self, shape: &[usize], dtype: DType) -> BufferId {
        let id = self.buffer(BufferKind::Input(self.inputs.len()), shape, dtype);
        self.inputs.push(id);
        id
    }

    pub fn constant(&mut self, array: Array) -> BufferId {
        let (shape, dtype) = (array.shape().to_vec(), array.dtype());
        self.buffer(BufferKind::Constant(Arc::new(array)), &shape, dtype)
    }

    pub fn state(&mut self, state: &Arc<State>) -> BufferId {
        self.buffer(BufferKind::State(Arc::clone(state)), &state.shape().to_vec(), state.dtype())
    }

    pub fn slot(&mut self, shape: &[usize], dtype: DType) -> BufferId {
        self.slots.push(shape.iter().product());
        self.buffer(BufferKind::Slot(self.slots.len() - 1), shape, dtype)
    }

    pub fn output(&mut self, id: BufferId) {
        self.outputs.push(id);
    }

    #[track_caller]
    pub fn kernel(&mut self, name: &str, kind: KernelKind) {
        self.kernels.push(Kernel { name: name.into(), location: std::panic::Location::caller(), kind });
    }

    #[track_caller]
    pub fn looped(&mut self, name: &str, outer: &[usize], inner: &[usize], body: Body) {
        self.kernel(name, KernelKind::Loop(Loop { outer: outer.to_vec(), inner: inner.to_vec(), body }));
    }

    #[track_caller]
    pub fn scatter(&mut self, source: BufferId, index: BufferId, target: BufferId, [before, count, size, after]: [usize; 4]) {
        self.kernel("scatter", KernelKind::Scatter(Scatter { source, index, target, before, count, size, after }));
    }

    /// `target = a x b`, with each operand read transposed or not; `body` extends the product.
    #[track_caller]
    pub fn matmul(&mut self, target: BufferId, (a, ta): (BufferId, bool), (b, tb): (BufferId, bool), [batch, m, n, k]: [usize; 4]) {
        let mut body = BodyBuilder::default();
        let product = body.push(Instr::Product, DType::F32, Level::Outer);
        body.store(product, target, Index::identity(&[batch, m, n]));
        let matrix = |buffer, rows: usize, columns: usize, transposed| {
            let (row_stride, column_stride) = if transposed { (1, rows) } else { (columns, 1) };
            Matrix::strided(buffer, 0, &[(batch, rows * columns)], (rows, row_stride), (columns, column_stride))
        };
        self.kernel(
            "matmul",
            KernelKind::Matmul(Matmul { batch: vec![batch], m, n, k, a: matrix(a, m, k, ta), b: matrix(b, k, n, tb), body: body.body }),
        );
    }

    pub fn finish(self) -> Plan {
        Plan { buffers: self.buffers, slots: self.slots, kernels: self.kernels, inputs: self.inputs, outputs: self.outputs }
    }
}

/// A body being written by hand.
#[derive(Default)]
pub struct BodyBuilder {
    pub body: Body,
}

impl BodyBuilder {
    pub fn operand(&mut self, buffer: BufferId) -> usize {
        self.body.operands.iter().position(|&b| b == buffer).unwrap_or_else(|| {
            self.body.operands.push(buffer);
            self.body.operands.len() - 1
        })
    }

    pub fn push(&mut self, instr: Instr, dtype: DType, level: Level) -> ValueId {
        self.body.values.push(Value { instr, dtype, level });
        ValueId(self.body.values.len() - 1)
    }

    pub fn load(&mut self, buffer: BufferId, index: Index, dtype: DType, level: Level) -> ValueId {
        let operand = self.operand(buffer);
        self.push(Instr::Load { operand, index }, dtype, level)
    }

    pub fn constant(&mut self, value: Scalar) -> ValueId {
        self.push(Instr::Const(value), value.dtype(), Level::Outer)
    }

    pub fn store(&mut self, value: ValueId, buffer: BufferId, index: Index) {
        let operand = self.operand(buffer);
        self.body.stores.push(Store { value, operand, index });
    }
}

/// A single view.
pub fn view(shape: &[usize], strides: &[isize], offset: isize, mask: &[(usize, usize)]) -> Index {
    Index::from_view(View { shape: shape.to_vec(), strides: strides.to_vec(), offset, mask: mask.to_vec() })
}

/// The index of a space's leading axes, for a row's value: `outer` row-major, `inner` of no effect.
pub fn of_rows(outer: &[usize], inner: &[usize]) -> Index {
    let View { mut shape, mut strides, .. } = View::contiguous(outer);
    shape.extend(inner);
    strides.extend(inner.iter().map(|_| 0));
    Index::from_view(View { shape, strides, offset: 0, mask: Vec::new() })
}

/// Numbers without pattern in [-1, 1), the same every time.
pub fn noise(n: usize, seed: u32) -> Vec<f32> {
    let hash = |i: u32| {
        let mut x = i.wrapping_add(seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 15)).wrapping_mul(0xC2B2_AE35);
        x = (x ^ (x >> 13)).wrapping_mul(0x27D4_EB2F);
        x ^ (x >> 16)
    };
    (0..n as u32).map(|i| (hash(i) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

pub fn noise_array(shape: &[usize], seed: u32) -> Array {
    Array::new(shape, &noise(shape.iter().product(), seed)).expect("as many as the shape has")
}

/// A state that begins with a value.
pub fn state(name: &str, value: Array) -> Arc<State> {
    State::new(name, value.shape().clone(), value.dtype(), Init::Data(Arc::new(value)))
}

/// A plan on a device with its states' memories.
pub struct Loaded {
    pub executable: Executable,
    pub memories: Vec<(Arc<State>, Memory)>,
}

pub fn load(gpu: &Gpu, plan: &Plan, tuning: &Tuning) -> Result<Loaded> {
    let mut memories: Vec<(Arc<State>, Memory)> = Vec::new();
    let mut states = |state: &Arc<State>| {
        if let Some((_, memory)) = memories.iter().find(|(s, _)| s.id() == state.id()) {
            return Ok(memory.clone());
        }
        let memory = block_on(gpu.create(&state.initial_value(0)?))?;
        memories.push((Arc::clone(state), memory.clone()));
        Ok(memory)
    };
    let executable = block_on(gpu.load_tuned(Arc::new(plan.clone()), tuning, &mut states))?;
    Ok(Loaded { executable, memories })
}

/// Runs a plan on a device and compares every output and state with the interpreter's.
#[track_caller]
pub fn check(gpu: &Gpu, plan: &Plan, inputs: &[Array], tuning: &Tuning, tolerance: f64) {
    let expected = interpret::run(plan, inputs);
    let mut loaded = load(gpu, plan, tuning).unwrap_or_else(|e| panic!("{}: {e}", gpu.info()));
    for (i, input) in inputs.iter().enumerate() {
        loaded.executable.write(i, input).expect("the input fits");
    }
    loaded.executable.run().expect("runs");
    let context = || format!("{}\n{}", gpu.info(), loaded.executable.describe());
    for (i, id) in plan.outputs.iter().enumerate() {
        let got = block_on(loaded.executable.read(i)).unwrap_or_else(|e| panic!("{e} {}", context()));
        same(&got.to_f64(), &expected[id.0], tolerance, &format!("output {i} on {}", context()));
    }
    for (state, memory) in &loaded.memories {
        let id =
            plan.buffers.iter().position(|b| matches!(&b.kind, BufferKind::State(s) if s.id() == state.id())).expect("it is the plan's");
        let got = block_on(gpu.read(memory)).expect("reads");
        same(&got.to_f64(), &expected[id], tolerance, &format!("state {} on {}", state.name(), context()));
    }
}

#[track_caller]
pub fn same(got: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
        let close = g == e || (g - e).abs() <= tolerance * (1.0 + e.abs());
        assert!(close, "{what}: element {i} is {g}, not {e}");
    }
}
