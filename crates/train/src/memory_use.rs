//! How much memory a plan takes: known before anything is allocated.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use noyau_compile::plan::{BufferId, BufferKind, HISTORY};
use noyau_compile::{Limits, Plan};
use noyau_gpu::{ALIGNMENT, STATE_ARENA_BYTES};
use noyau_tensor::{Location, Shape};

/// How many of the largest buffers are named.
const NAMED: usize = 5;

/// How many bytes a plan's buffers take on a device.
///
/// States are the session's: steps that use the same states share them, so sums over several plans count them once too often. What drivers take for
/// themselves, and what kernels need while they run (sums in parts, operands brought together), comes on top: some megabytes, mostly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// Everything that outlives a step: parameters, running statistics, moments, counters, data kept on the device.
    pub states: u64,
    /// Those of the states that are the optimizer's (their names begin with `optimizer.`).
    pub optimizer: u64,
    /// Those that are running means of the weights: what [`Ema`](noyau_nn::Ema) keeps (`ema.`).
    pub averages: u64,
    /// Those in which gradients are added up over batches: what [`Accumulate`](noyau_nn::Accumulate) keeps (`accumulate.`).
    pub gradient_sums: u64,
    /// The step's arguments.
    pub inputs: u64,
    /// Values known when the plan was made.
    pub constants: u64,
    /// Values made by one kernel for others: activations, gradients. Those whose lives do not overlap share memory and count once.
    pub activations: u64,
    /// What the device adds: memory through which results are read, the last runs' scalars, sizes rounded up.
    pub overhead: u64,
    /// The largest buffers, largest first: what each is, and its bytes.
    pub largest: Vec<(String, u64)>,
}

impl MemoryUse {
    /// What a plan takes on a device with these limits.
    pub fn of_plan(plan: &Plan, limits: &Limits) -> MemoryUse {
        let gpu = limits.arena_bytes > 0;
        let mut sum = MemoryUse::default();
        let mut small_states = 0;
        let mut seen = HashSet::new();
        let add = |what: &mut u64, overhead: &mut u64, bytes: u64| {
            *what = what.saturating_add(bytes);
            // Small values of a GPU begin at multiples of the alignment.
            if gpu && bytes <= limits.arena_bytes as u64 {
                *overhead = overhead.saturating_add(bytes.max(4).next_multiple_of(ALIGNMENT) - bytes);
            }
        };
        let mut named: Vec<(Named, u64)> = Vec::new();
        for (i, buffer) in plan.buffers.iter().enumerate() {
            let bytes = limits.bytes(buffer) as u64;
            match &buffer.kind {
                BufferKind::Input(_) => add(&mut sum.inputs, &mut sum.overhead, bytes),
                BufferKind::Constant(_) => add(&mut sum.constants, &mut sum.overhead, bytes),
                BufferKind::State(state) => {
                    if !seen.insert(state.id()) {
                        continue;
                    }
                    sum.states = sum.states.saturating_add(bytes);
                    let whose = match state.name().split('.').next() {
                        Some("optimizer") => Some(&mut sum.optimizer),
                        Some("ema") => Some(&mut sum.averages),
                        Some("accumulate") => Some(&mut sum.gradient_sums),
                        _ => None,
                    };
                    if let Some(whose) = whose {
                        *whose = whose.saturating_add(bytes);
                    }
                    if gpu && bytes <= limits.arena_bytes as u64 {
                        small_states += bytes;
                    }
                }
                BufferKind::Slot(_) => continue,
            }
            named.push((Named::Buffer(BufferId(i)), bytes));
        }
        for (slot, &words) in plan.slots.iter().enumerate() {
            let bytes = (words as u64).saturating_mul(4);
            add(&mut sum.activations, &mut sum.overhead, bytes);
            named.push((Named::Slot(slot), bytes));
        }
        if gpu {
            // Small states lie together in arenas; see `noyau_gpu`'s memory.
            sum.overhead += small_states.next_multiple_of(STATE_ARENA_BYTES) - small_states;
            sum.overhead = sum.overhead.saturating_add(readback(plan, limits));
        }
        named.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        let writers = writers(plan);
        sum.largest = named.into_iter().take(NAMED).map(|(named, bytes)| (named.describe(plan, limits, &writers), bytes)).collect();
        sum
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        let parts = [self.states, self.inputs, self.constants, self.activations, self.overhead];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    /// The figures in one line, for messages.
    pub(crate) fn in_words(&self) -> String {
        let [total, states, optimizer, activations] = [self.total(), self.states, self.optimizer, self.activations].map(bytes_in_words);
        let arguments = bytes_in_words(self.inputs.saturating_add(self.constants).saturating_add(self.overhead));
        let largest: Vec<String> = self.largest.iter().take(3).map(|(name, bytes)| format!("{name}: {}", bytes_in_words(*bytes))).collect();
        let kept = [(self.averages, "averages of weights"), (self.gradient_sums, "added-up gradients")];
        let kept: String =
            kept.iter().filter(|(bytes, _)| *bytes > 0).map(|(bytes, what)| format!(", {} {what}", bytes_in_words(*bytes))).collect();
        format!(
            "the step takes {total}: {states} of states (of these {optimizer} the optimizer's{kept}), {activations} of activations and gradients, \
             {arguments} of arguments and the like; the largest are {}",
            largest.join("; ")
        )
    }
}

/// Buffers through which results come back, and the rings of the last runs' scalars.
fn readback(plan: &Plan, limits: &Limits) -> u64 {
    let outputs = plan.outputs.iter().filter_map(|id| plan.buffers.get(id.0));
    let scalars: HashSet<BufferId> =
        plan.outputs.iter().copied().filter(|id| plan.buffers.get(id.0).is_some_and(|b| b.len() == 1)).collect();
    let ring = HISTORY as u64 * 4;
    let largest = outputs.map(|buffer| limits.bytes(buffer) as u64).max().unwrap_or(0).max(if scalars.is_empty() { 0 } else { ring });
    let staging = largest.max(256).checked_next_power_of_two().unwrap_or(largest);
    staging.saturating_add(ring * scalars.len() as u64)
}

/// Something that takes memory, by what makes it findable.
enum Named {
    Buffer(BufferId),
    Slot(usize),
}

/// Who first writes a buffer: the kernel's name and line.
type Writers<'a> = BTreeMap<BufferId, (&'a str, Location)>;

fn writers(plan: &Plan) -> Writers<'_> {
    let mut writers = BTreeMap::new();
    for kernel in &plan.kernels {
        for id in kernel.writes() {
            writers.entry(id).or_insert((kernel.name.as_str(), kernel.location));
        }
    }
    writers
}

impl Named {
    fn describe(&self, plan: &Plan, limits: &Limits, writers: &Writers) -> String {
        let about = |id: BufferId| {
            let buffer = &plan.buffers[id.0];
            format!("{}{}", buffer.dtype, Shape::from(&buffer.shape[..]))
        };
        match self {
            Named::Buffer(id) => match &plan.buffers[id.0].kind {
                BufferKind::Input(i) => format!("argument {i}, {}", about(*id)),
                BufferKind::State(state) => format!("`{}`, {}", state.name(), about(*id)),
                BufferKind::Constant(_) | BufferKind::Slot(_) => format!("a constant, {}", about(*id)),
            },
            Named::Slot(slot) => {
                let lives_there = |kind: &BufferKind| matches!(kind, BufferKind::Slot(s) if s == slot);
                let largest = (0..plan.buffers.len())
                    .filter(|&i| lives_there(&plan.buffers[i].kind))
                    .max_by_key(|&i| limits.bytes(&plan.buffers[i]))
                    .map(BufferId);
                match largest.map(|id| (about(id), writers.get(&id))) {
                    Some((what, Some((name, line)))) => format!("the result of {name}, {what} ({}:{})", line.file(), line.line()),
                    Some((what, None)) => format!("an intermediate value, {what}"),
                    None => format!("slot {slot}"),
                }
            }
        }
    }
}

/// A number of bytes as people read it: `17 bytes`, `3.1 MiB`.
pub(crate) fn bytes_in_words(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // Rounded to one place, 1023.96 would read 1024.0.
    while value >= 1023.95 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

impl fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What only some trainings have has a line where it is something.
        let rows = [
            ("states", Some(self.states)),
            ("  the optimizer's", Some(self.optimizer)),
            ("  averages of weights", Some(self.averages).filter(|&bytes| bytes > 0)),
            ("  added-up gradients", Some(self.gradient_sums).filter(|&bytes| bytes > 0)),
            ("arguments", Some(self.inputs)),
            ("constants", Some(self.constants)),
            ("activations, gradients", Some(self.activations)),
            ("reading, rounding", Some(self.overhead)),
            ("total", Some(self.total())),
        ];
        for (name, bytes) in rows.into_iter().filter_map(|(name, bytes)| Some((name, bytes?))) {
            writeln!(f, "{name:<24} {:>12}", bytes_in_words(bytes))?;
        }
        for (i, (name, bytes)) in self.largest.iter().enumerate() {
            let end = if i + 1 == self.largest.len() { "" } else { "\n" };
            write!(f, "{}{:>12}  {name}{end}", if i == 0 { "largest:\n" } else { "" }, bytes_in_words(*bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Session, Spec, Step};
    use noyau_tensor::{Init, Param, Scalar};

    const F0: Init = Init::Full(Scalar::Float(0.0));

    #[test]
    fn each_byte_is_counted_once() {
        let weights = Param::new("weights", [300, 200], F0);
        let moment = Param::new("optimizer.momentum.weights", [300, 200], F0);
        let session = Session::new(Device::cpu());
        let found = session
            .estimate([Spec::f32([128, 300])], |[x]| {
                let hidden = x.matmul(weights.tensor());
                let loss = hidden.square().sum();
                let next = moment.tensor() * 0.9 + weights.tensor();
                Step::returns(&loss).updates([(weights.clone(), weights.tensor() - next.clone() * 0.1), (moment.clone(), next)])
            })
            .expect("it is traced");
        assert_eq!((found.states, found.optimizer), (2 * 300 * 200 * 4, 300 * 200 * 4));
        assert_eq!(found.inputs, 128 * 300 * 4);
        assert_eq!(found.overhead, 0, "the CPU adds nothing");
        // The product is stored, or summed as it is made; the loss is a slot in any case.
        assert!(found.activations >= 4 && found.activations <= 128 * 200 * 4 + 64 * 1024, "{found}");
        assert_eq!(found.total(), found.states + found.inputs + found.constants + found.activations);
        assert_eq!(found.largest[0].1, 300 * 200 * 4);
        assert!(found.largest.iter().any(|(name, _)| name == "`weights`, f32[300, 200]"), "{found}");
        assert!(found.largest.iter().any(|(name, _)| name == "argument 0, f32[128, 300]"), "{found}");
        assert!(session.known_states().is_empty(), "an estimate begins no state");
    }

    #[test]
    fn what_wrappers_of_optimizers_keep_has_lines_of_its_own() {
        let model = noyau_nn::Linear::new(30, 20);
        let weights = 4 * (30 * 20 + 20);
        let estimate = |optimizer: &dyn noyau_nn::Optimizer| {
            let trace = |[x]: [noyau_tensor::Tensor; 1]| {
                let loss = noyau_nn::Module::forward(&model, &x, &noyau_nn::Mode::train()).square().mean();
                Step::returns(&loss).updates(optimizer.update(&loss, &model))
            };
            Session::new(Device::cpu()).estimate([Spec::f32([8, 30])], trace).expect("it is traced")
        };
        let plain = estimate(&noyau_nn::Adam::new(0.1));
        assert_eq!((plain.averages, plain.gradient_sums), (0, 0));
        assert!(!plain.to_string().contains("averages"), "{plain}");
        let wrapped = estimate(&noyau_nn::Ema::new(noyau_nn::Accumulate::new(noyau_nn::Adam::new(0.1), 4), 0.9));
        // One value a parameter each, and a counter.
        assert_eq!((wrapped.averages, wrapped.gradient_sums), (weights + 4, weights + 4));
        assert_eq!(wrapped.optimizer, plain.optimizer, "two moments and a counter");
        assert_eq!(wrapped.states, plain.states + wrapped.averages + wrapped.gradient_sums);
        let (text, line) = (wrapped.to_string(), wrapped.in_words());
        assert!(text.contains("\n  averages of weights ") && text.contains("\n  added-up gradients "), "{text}");
        assert!(line.contains("KiB the optimizer's, 2.4 KiB averages of weights, 2.4 KiB added-up gradients)"), "{line}");
    }

    #[test]
    fn a_gpu_rounds_up() {
        let small = Param::new("small", [3], F0);
        let graph_of = |session: &Session| session.compile([Spec::f32([3])], |[x]| Step::returns(&(x * small.tensor()))).expect("compiles");
        let step = graph_of(&Session::new(Device::cpu()));
        let found = MemoryUse::of_plan(step.plan(), &Limits::GPU);
        assert_eq!((found.states, found.inputs, found.activations), (12, 12, 12));
        // Two small values at multiples of 256 bytes, an arena of states, the smallest buffer to read through.
        assert_eq!(found.overhead, 2 * (256 - 12) + (4 << 20) - 12 + 256);
    }

    #[test]
    fn bytes_are_written_as_people_read_them() {
        let cases = [
            (17, "17 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(bytes_in_words(bytes), text);
        }
    }
}
