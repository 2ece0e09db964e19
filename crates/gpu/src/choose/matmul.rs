//! The variant of a matrix product: the rules, what hand or measurement chose instead, and what a device can run at all.

use noyau_compile::Plan;
use noyau_compile::plan::{Buffer, BufferId, BufferKind, KernelKind, Matmul};
use noyau_shaders::{Means, Tile, Variant};
use noyau_tensor::DType;

use super::{Target, Tuning};
use crate::DeviceKind;

/// What the rules for hardware take a device to be. No driver says how many processors it has or how fast its memory is; these are those of common devices, and
/// all that hangs on them is when tiles become smaller and sums are shared.
struct Scale {
    /// Workgroups that run at a time, at full speed each.
    units: f64,
    /// Multiplications of a unit in a cycle.
    rate: f64,
    /// Bytes that memory moves in a cycle.
    bytes: f64,
    /// Cycles that a further launch takes.
    launch: f64,
}

/// Tiles for hardware, and the part of a unit's rate that each reaches: what it multiplies for what it loads.
const TILES: [(u32, u32, f64); 8] =
    [(128, 128, 1.0), (128, 64, 0.9), (64, 128, 0.9), (64, 64, 0.75), (64, 32, 0.55), (32, 64, 0.55), (32, 128, 0.6), (32, 32, 0.4)];

/// How many parts a sum may be shared out in.
const PARTS: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

/// The fewest steps of a sum that a part is worth.
const SHORTEST: usize = 128;

impl Target {
    /// The variant of a product of a plan: what a caller or the environment asks for, else what was measured, else the rule.
    pub fn product(&self, plan: &Plan, kernel: &Matmul, tuning: &Tuning) -> Variant {
        let halves = is_halves(plan, kernel);
        let asked = tuning.matmul.filter(|&variant| self.can(variant, kernel, halves));
        let measured = || tuning.measured.as_ref()?.get(plan, kernel).filter(|&variant| self.can(variant, kernel, halves));
        asked.or_else(measured).unwrap_or_else(|| self.matmul(kernel, halves))
    }

    /// Adds memory for the parts of sums to a plan, if a product of it takes any: as much as the one that takes the most.
    pub fn scratch(&self, plan: &mut Plan, tuning: &Tuning) -> Option<BufferId> {
        let words = |kind: &KernelKind| match kind {
            KernelKind::Matmul(kernel) => self.product(plan, kernel, tuning).scratch_words(kernel),
            KernelKind::Loop(_) | KernelKind::Scatter(_) | KernelKind::Attention(_) => 0,
        };
        let most = plan.kernels.iter().map(|kernel| words(&kernel.kind)).max().filter(|&words| words > 0)?;
        plan.slots.push(most);
        plan.buffers.push(Buffer { kind: BufferKind::Slot(plan.slots.len() - 1), shape: vec![most], dtype: DType::F32 });
        Some(BufferId(plan.buffers.len() - 1))
    }

    /// Whether the device can compute a product so.
    pub fn can(&self, variant: Variant, kernel: &Matmul, halves: bool) -> bool {
        let bytes = variant.scratch_words(kernel) as u64 * 4;
        let is_halves = halves || !matches!(variant, Variant::Coop { .. });
        // A wide subgroup's sums are written out, all of them.
        let small = !matches!(variant, Variant::Subgroup { rows, columns } if rows * columns > 256);
        self.has(variant) && is_halves && small && bytes <= self.max_bytes && kernel.space().iter().product::<usize>() > 0
    }

    /// Whether the device has what a variant takes, for some product.
    fn has(&self, variant: Variant) -> bool {
        let means = Means { subgroup: self.subgroup, ..Means::default() };
        let subgroup = |s: u32| s >= 2 && variant.group(means).is_some_and(|group| group <= self.max_group);
        let own = match variant {
            Variant::Registers { .. } | Variant::Split { .. } | Variant::Tiled(_) | Variant::Vector { .. } => true,
            Variant::Subgroup { rows, .. } => self.subgroup.is_some_and(|s| subgroup(s) && rows.is_multiple_of(s)),
            Variant::Coop { size, .. } => self.subgroup.is_some_and(subgroup) && self.coop.contains(&size),
        };
        own && variant.shared_bytes() <= self.max_shared && variant.group(means).is_none_or(|group| group <= self.max_group)
    }

    /// The variants that the device has, a selection that covers what matters; more can be asked for by name.
    pub fn variants(&self) -> Vec<Variant> {
        let mut all = Vec::new();
        for (rows, columns) in [(1, 1), (2, 2), (4, 4), (8, 8), (2, 8)] {
            all.push(Variant::Registers { rows, columns });
        }
        for (rows, columns, lanes) in [(1, 1, 64), (2, 2, 64), (1, 1, 256), (2, 2, 256)] {
            all.push(Variant::Split { rows, columns, lanes });
        }
        for count in [1, 2, 4, 8] {
            all.push(Variant::Vector { count });
        }
        for (times, columns) in [(1, 1), (1, 2), (2, 2), (2, 4), (4, 4)] {
            all.extend(self.subgroup.map(|size| Variant::Subgroup { rows: times * size, columns }));
        }
        for (rows, columns, _) in TILES {
            let tile = Tile::new(rows, columns);
            all.extend([tile, Tile { double: true, ..tile }, Tile { depth: 8, double: true, ..tile }].map(Variant::Tiled));
        }
        for parts in [4, 16] {
            all.push(Variant::Tiled(Tile { parts, ..Tile::new(64, 64) }));
            all.push(Variant::Tiled(Tile { parts, double: true, ..Tile::new(128, 128) }));
        }
        for (size, depth) in [(8, 16), (16, 32)] {
            for (rows, columns) in [(128, 128), (128, 64), (64, 128), (64, 64), (32, 32)] {
                all.push(Variant::Coop { size, tile: Tile { depth, ..Tile::new(rows, columns) } });
            }
            all.push(Variant::Coop { size, tile: Tile { depth, parts: 4, ..Tile::new(64, 64) } });
        }
        all.retain(|&variant| self.has(variant));
        all
    }

    /// The variants of which one may be the best for a product: what tuning tries. The rule's own choice is the first.
    pub fn candidates(&self, kernel: &Matmul, halves: bool) -> Vec<Variant> {
        let rule = self.matmul(kernel, halves);
        let Matmul { m, n, k, .. } = *kernel;
        let few = m.min(n) <= 16;
        let worth = |variant: &Variant| match *variant {
            Variant::Registers { rows, columns } => (rows, columns) != (1, 1) || m.min(n) < 4,
            Variant::Split { .. } => k >= 256,
            Variant::Vector { count } => few && count as usize <= 2 * m.min(n),
            Variant::Subgroup { .. } => true,
            // A tile that is mostly outside of the product cannot be the best.
            Variant::Tiled(tile) | Variant::Coop { tile, .. } => {
                let fits = tile.rows as usize <= 2 * m && tile.columns as usize <= 2 * n;
                fits && !(self.software && matches!(variant, Variant::Tiled(_))) && k >= tile.parts as usize * SHORTEST.min(k)
            }
        };
        let others = self.variants().into_iter().filter(|v| *v != rule && worth(v) && self.can(*v, kernel, halves));
        std::iter::once(rule).chain(others).collect()
    }

    /// The rule's variant of a product.
    pub fn matmul(&self, kernel: &Matmul, halves: bool) -> Variant {
        let Matmul { m, n, k, .. } = *kernel;
        let batches: usize = kernel.batch.iter().product();
        let tiles = |rows: usize, columns: usize| batches * m.div_ceil(rows) * n.div_ceil(columns);
        if self.software {
            return self.software_matmul(m, n, k, &tiles);
        }
        let wide = |variant: Variant| self.can(variant, kernel, halves).then_some(variant);
        // Few rows or columns: what there is to do is to read the other operand, once.
        if m.min(n) <= 8 && (64..=1 << 20).contains(&k) {
            let count = m.min(n).next_power_of_two() as u32;
            if let Some(variant) = wide(Variant::Vector { count }) {
                return variant;
            }
        }
        if m.min(n) >= 16 && k >= 8 {
            let matrices = self.coop.iter().copied().max().filter(|_| halves && k >= 16);
            let coop = matrices.and_then(|size| {
                self.tile(kernel, &|tile| wide(Variant::Coop { size, tile: Tile { depth: if size == 16 { 32 } else { 16 }, ..tile } }))
            });
            // Two slices where workgroup memory has room for them, else one.
            let tiled = |tile: Tile| wide(Variant::Tiled(Tile { double: true, ..tile })).or_else(|| wide(Variant::Tiled(tile)));
            if let Some(variant) = coop.or_else(|| self.tile(kernel, &tiled)) {
                return variant;
            }
        }
        // Few results of long sums: the sums are what there is to share out.
        if (tiles(1, 1) <= 4096 && k >= 256) || k > 1 << 14 {
            let side = |size: usize| if size >= 2 && tiles(2, 2) >= 16 { 2 } else { 1 };
            return Variant::Split { rows: side(m), columns: side(n), lanes: 256 };
        }
        let side = |size: usize| {
            if size >= 4 && tiles(4, 4) >= 4096 {
                4
            } else if size >= 2 && tiles(2, 2) >= 1024 {
                2
            } else {
                1
            }
        };
        Variant::Registers { rows: side(m), columns: side(n) }
    }

    /// The tile and the number of parts that should take the least time: units are busy in whole rounds, and parts have to be written and read again.
    fn tile(&self, kernel: &Matmul, variant: &dyn Fn(Tile) -> Option<Variant>) -> Option<Variant> {
        let Matmul { m, n, k, .. } = *kernel;
        let batches: usize = kernel.batch.iter().product();
        let scale = self.scale();
        let results = (batches * m * n) as f64;
        let mut best: Option<(f64, Variant)> = None;
        for (rows, columns, reached) in TILES {
            let groups = batches * m.div_ceil(rows as usize) * n.div_ceil(columns as usize);
            for parts in PARTS.into_iter().filter(|&parts| parts == 1 || k / parts as usize >= SHORTEST) {
                let Some(variant) = variant(Tile { parts, ..Tile::new(rows, columns) }) else { continue };
                let rounds = (groups as f64 * f64::from(parts) / scale.units).ceil();
                let steps = k as f64 / f64::from(parts);
                let multiplying = rounds * f64::from(rows * columns) * steps / (scale.rate * reached);
                let adding = if parts == 1 { 0.0 } else { 8.0 * f64::from(parts) * results / scale.bytes + scale.launch };
                let time = multiplying + adding;
                if best.is_none_or(|(least, _)| time < least) {
                    best = Some((time, variant));
                }
            }
        }
        best.map(|(_, variant)| variant)
    }

    fn scale(&self) -> Scale {
        match self.kind {
            DeviceKind::Discrete => Scale { units: 128.0, rate: 128.0, bytes: 1000.0, launch: 4000.0 },
            DeviceKind::Integrated | DeviceKind::Virtual | DeviceKind::Other | DeviceKind::Software => {
                Scale { units: 16.0, rate: 128.0, bytes: 80.0, launch: 4000.0 }
            }
        }
    }

    fn software_matmul(&self, m: usize, n: usize, k: usize, tiles: &dyn Fn(usize, usize) -> usize) -> Variant {
        if (tiles(1, 1) <= 64 && k >= 256) || k > 1 << 14 {
            let side = |size: usize| if size >= 2 && tiles(2, 2) >= 16 { 2 } else { 1 };
            return Variant::Split { rows: side(m), columns: side(n), lanes: 64 };
        }
        if let Some(size @ 2..=16) = self.subgroup {
            let s = size as usize;
            // At most 64 sums an invocation: with twice as many, drivers take more than twice as long to compile, for a tenth in speed.
            let rows = if s <= 4 && m > s * 2 && tiles(s * 4, s * 4) >= 4 {
                4 * s
            } else if m > s {
                2 * s
            } else {
                s
            };
            let columns = if n > s * 2 && tiles(rows, s * 4) >= 4 {
                4
            } else if n > s {
                2
            } else {
                1
            };
            if m >= s / 2 && n >= s / 2 {
                return Variant::Subgroup { rows: rows as u32, columns };
            }
        }
        let side = |size: usize| {
            if size >= 8 && tiles(8, 8) >= 64 {
                8
            } else if size >= 4 && tiles(4, 4) >= 32 {
                4
            } else if size >= 2 && tiles(2, 2) >= 32 {
                2
            } else {
                1
            }
        };
        Variant::Registers { rows: side(m), columns: side(n) }
    }
}

/// Whether both operands are f16: what they hold fits the device's matrices as it is.
pub(crate) fn is_halves(plan: &Plan, kernel: &Matmul) -> bool {
    [&kernel.a, &kernel.b].iter().all(|matrix| plan.buffers[matrix.buffer.0].dtype == DType::F16)
}

#[cfg(test)]
mod tests {
    use noyau_compile::plan::{Body, Matrix};

    use super::*;

    fn hardware(max_shared: u32, coop: &[u32]) -> Target {
        Target {
            name: "a GPU".into(),
            software: false,
            subgroup: Some(32),
            max_bindings: 8,
            kind: DeviceKind::Discrete,
            coop: coop.to_vec(),
            max_shared,
            max_group: 1024,
            max_bytes: 1 << 31,
            singles: false,
        }
    }

    fn product(batch: usize, m: usize, n: usize, k: usize) -> Matmul {
        let matrix = |buffer, rows: usize, columns: usize| {
            Matrix::strided(BufferId(buffer), 0, &[(batch, rows * columns)], (rows, columns), (columns, 1))
        };
        Matmul { batch: vec![batch], m, n, k, a: matrix(0, m, k), b: matrix(1, k, n), body: Body::default() }
    }

    #[test]
    fn the_rules_on_hardware() {
        let name = |target: &Target, halves: bool, [m, n, k]: [usize; 3]| target.matmul(&product(1, m, n, k), halves).to_string();
        let large = hardware(48 << 10, &[16]);
        assert_eq!(name(&large, false, [4096, 4096, 4096]), "tiled-128x128-double");
        assert_eq!(name(&large, true, [4096, 4096, 4096]), "coop-16-128x128x32");
        // Too little memory for the largest tiles: not for their work.
        assert_eq!(name(&hardware(16 << 10, &[]), false, [4096, 4096, 4096]), "tiled-128x64");
        assert_eq!(name(&hardware(48 << 10, &[]), true, [4096, 4096, 4096]), "tiled-128x128-double");
        // Few rows, few columns, and both.
        assert_eq!(name(&large, false, [1, 4096, 4096]), "vector-1");
        assert_eq!(name(&large, false, [4096, 5, 4096]), "vector-8");
        assert_eq!(name(&large, false, [10, 10, 100_000]), "split-2x2-256");
        assert_eq!(name(&large, false, [2, 3, 4]), "registers-1x1");
        // A few tiles of a long sum leave most of the device idle: parts.
        let parts = |[m, n, k]: [usize; 3]| large.matmul(&product(1, m, n, k), false).parts();
        assert!(parts([128, 128, 60_000]) >= 16, "{}", parts([128, 128, 60_000]));
        assert_eq!(parts([4096, 4096, 4096]), 1);
        assert_eq!(parts([512, 512, 64]), 1);
        // Many products at once occupy it by themselves.
        assert_eq!(large.matmul(&product(256, 64, 64, 512), false).parts(), 1);
    }

    #[test]
    fn the_rules_name_only_what_the_device_has() {
        let mut targets = vec![hardware(16 << 10, &[]), hardware(48 << 10, &[16]), hardware(32 << 10, &[8])];
        targets.push(Target { subgroup: None, max_group: 256, ..hardware(16 << 10, &[16]) });
        targets.push(Target { software: true, subgroup: Some(8), ..hardware(32 << 10, &[]) });
        targets.push(Target { software: true, subgroup: None, ..hardware(16 << 10, &[]) });
        targets.push(Target { max_bytes: 1 << 16, ..hardware(48 << 10, &[16]) });
        for target in &targets {
            for halves in [false, true] {
                for m in [1, 2, 7, 16, 33, 128, 1000] {
                    for n in [1, 3, 10, 64, 257, 4096] {
                        for k in [1, 7, 64, 500, 1 << 15] {
                            let kernel = product(3, m, n, k);
                            let found = target.candidates(&kernel, halves);
                            for variant in &found {
                                assert!(target.can(*variant, &kernel, halves), "{variant} of {m} x {n} x {k} on {target:?}");
                            }
                            let distinct: std::collections::HashSet<_> = found.iter().collect();
                            assert_eq!(distinct.len(), found.len(), "{m} x {n} x {k}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_product_cannot_have_is_left_to_the_rule() {
        let target = hardware(48 << 10, &[16]);
        let buffer = |dtype| Buffer { kind: BufferKind::Input(0), shape: vec![64, 64], dtype };
        let plan = |dtype| Plan {
            buffers: vec![buffer(dtype), buffer(dtype)],
            slots: Vec::new(),
            kernels: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let asked = |name: &str, dtype| {
            let tuning = Tuning { matmul: Some(name.parse().expect(name)), ..Tuning::default() };
            target.product(&plan(dtype), &product(1, 64, 64, 64), &tuning).to_string()
        };
        let rule = target.matmul(&product(1, 64, 64, 64), false).to_string();
        assert_eq!(asked("coop-16-64x64x32", DType::F16), "coop-16-64x64x32");
        assert_eq!(asked("coop-16-64x64x32", DType::F32), rule);
        assert_eq!(asked("coop-8-64x64", DType::F32), rule);
        assert_eq!(asked("subgroup-8x1", DType::F32), rule);
        assert_eq!(asked("tiled-32x32-k4", DType::F32), "tiled-32x32-k4");
    }
}
