//! Which kernels share a launch must not change what is computed: plans of random loops over slots that are used again and states that are changed in place, on
//! every adapter.

mod support;

use noyau_compile::plan::{BufferId, Instr, Level};
use noyau_compile::{Index, Plan};
use noyau_gpu::Tuning;
use noyau_tensor::{BinaryOp, DType, ReduceOp, Scalar, UnaryOp};
use support::{BodyBuilder, Builder, check, gpus, load, noise_array, of_rows, state, view};

const F: DType = DType::F32;

/// One kernel's workgroup holds this, an arena too.
const SMALL: usize = 300;
/// Too large for an arena.
const LARGE: usize = 64 * 300;

/// The sequence of Lehmer's generator with Park and Miller's later multiplier (1993).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        self.0 as usize % n
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { Some(&from[self.below(from.len())]) }
    }
}

/// `to = relu(a) * 0.5 - b`.
fn blend(builder: &mut Builder, [a, b, to]: [BufferId; 3], n: usize) {
    let mut body = BodyBuilder::default();
    let at = || Index::identity(&[n]);
    let [x, y] = [a, b].map(|id| body.load(id, at(), F, Level::Outer));
    let half = body.constant(Scalar::Float(0.5));
    let r = body.push(Instr::Unary(UnaryOp::Relu, x), F, Level::Outer);
    let h = body.push(Instr::Binary(BinaryOp::Mul, r, half), F, Level::Outer);
    let z = body.push(Instr::Binary(BinaryOp::Sub, h, y), F, Level::Outer);
    body.store(z, to, at());
    builder.looped(&format!("b{} of b{} b{}", to.0, a.0, b.0), &[n], &[], body.body);
}

/// The means of rows of a large one, as a small one; or a small one spread over the rows of a large one.
fn between(builder: &mut Builder, from: BufferId, to: BufferId, shrink: bool) {
    let mut body = BodyBuilder::default();
    if shrink {
        let x = body.load(from, Index::identity(&[SMALL, 64]), F, Level::Inner);
        let sum = body.push(Instr::Reduce(ReduceOp::Sum, x), F, Level::Outer);
        let scale = body.constant(Scalar::Float(1.0 / 64.0));
        let mean = body.push(Instr::Binary(BinaryOp::Mul, sum, scale), F, Level::Outer);
        body.store(mean, to, of_rows(&[SMALL], &[64]));
        builder.looped(&format!("b{} means b{}", to.0, from.0), &[SMALL], &[64], body.body);
    } else {
        let x = body.load(from, view(&[64, SMALL], &[0, 1], 0, &[]), F, Level::Outer);
        body.store(x, to, Index::identity(&[64, SMALL]));
        builder.looped(&format!("b{} spreads b{}", to.0, from.0), &[64, SMALL], &[], body.body);
    }
}

/// A plan of so many kernels, and its input's shape.
fn random_plan(seed: u64, kernels: usize) -> Plan {
    let mut random = Random(seed * 7919 + 1);
    let mut builder = Builder::default();
    let input = builder.input(&[LARGE], F);
    let mut states = Vec::new();
    for (i, n) in [SMALL, LARGE, SMALL, LARGE].into_iter().enumerate() {
        states.push((builder.state(&state(&format!("s{i}"), noise_array(&[n], i as u32 + 1))), n));
    }
    // Slots whose value is still wanted, and those that can be taken again: each buffer with its length.
    let mut live: Vec<(BufferId, usize)> = Vec::new();
    let mut free: Vec<(BufferId, usize)> = Vec::new();
    // Buffers and the buffer in whose slot they live.
    let mut shares: Vec<(BufferId, BufferId)> = Vec::new();
    for _ in 0..kernels {
        let readable: Vec<(BufferId, usize)> = [(input, LARGE)].iter().chain(&states).chain(&live).copied().collect();
        let n = if random.below(2) == 0 { SMALL } else { LARGE };
        let alike: Vec<BufferId> = readable.iter().filter(|r| r.1 == n).map(|r| r.0).collect();
        let (&a, &b) = (random.pick(&alike).expect("states are readable"), random.pick(&alike).expect("states are readable"));
        if random.below(3) == 0 {
            let own: Vec<BufferId> = states.iter().filter(|s| s.1 == n).map(|s| s.0).collect();
            let &to = random.pick(&own).expect("there are two of each length");
            if a != to {
                blend(&mut builder, [a, to, to], n);
                continue;
            }
        }
        let to = builder.slot(&[n], F);
        if let Some(at) = free.iter().position(|f| f.1 == n) {
            let (old, _) = free.swap_remove(at);
            shares.push((to, old));
        }
        let other: Vec<BufferId> = readable.iter().filter(|r| r.1 != n).map(|r| r.0).collect();
        match random.below(3) {
            0 => between(&mut builder, *random.pick(&other).expect("states are readable"), to, n == SMALL),
            _ => blend(&mut builder, [a, b, to], n),
        }
        live.push((to, n));
        if live.len() > 4 {
            let at = random.below(live.len());
            free.push(live.swap_remove(at));
        }
    }
    live.iter().for_each(|&(id, _)| builder.output(id));
    let mut plan = builder.finish();
    for (id, old) in shares {
        plan.buffers[id.0].kind = plan.buffers[old.0].kind.clone();
    }
    plan
}

#[test]
fn sharing_launches_changes_nothing() {
    for gpu in gpus() {
        let (mut apart, mut shared) = (0, 0);
        for seed in 0..12 {
            let plan = random_plan(seed, 24);
            let launches = |tuning: &Tuning| load(&gpu, &plan, tuning).expect("loads").executable.launches();
            apart += launches(&Tuning { merge: Some(false), ..Tuning::default() });
            shared += launches(&Tuning::default());
            check(&gpu, &plan, &[noise_array(&[LARGE], 99)], &Tuning::default(), 1e-5);
        }
        assert!(shared * 3 < apart * 2, "{}: {shared} launches instead of {apart}", gpu.info());
    }
}
