//! What a device can do at most, measured without noyau. The only unsafe code of programs outside of the CPU's and the GPU's rooms: vector instructions by
//! name, and fixed shaders without bounds checks, as noyau's own run.

mod cpu;
mod gpu;

pub use cpu::instructions;

use crate::devices::Target;
use crate::figure::Figure;
use crate::measure::{Effort, Spread};
use crate::roofline::{Ceilings, Copying, Launching, mebibytes};

/// Bytes of source and target together at which copying is measured; the last is beyond the caches of most processors, and what a binding of the
/// smallest GPUs allows.
pub const FOOTPRINTS: [usize; 6] = [1 << 20, 1 << 22, 1 << 24, 1 << 25, 1 << 26, 1 << 28];

/// The ceilings of a device, and the figures that they are taken from. The ceiling is the best window: other programs only ever take away.
pub fn measure(target: &Target, effort: &Effort) -> anyhow::Result<(Ceilings, Vec<Figure>)> {
    let effort = &Effort { window: effort.window.min(0.1), warm_up: effort.warm_up.min(0.1), ..*effort };
    let measured = match &target.adapter {
        None => cpu::measure(effort),
        Some(adapter) => gpu::measure(adapter, effort)?,
    };
    Ok((measured.ceilings(), measured.figures(&target.label)))
}

/// Spreads of seconds, with what was done in them.
struct Measured {
    /// Operations a second.
    fma: Spread,
    half_fma: Option<Spread>,
    /// Bytes, and bytes a second.
    copies: Vec<(usize, Spread)>,
    /// Seconds each.
    launching: Option<[Spread; 4]>,
}

impl Measured {
    fn ceilings(&self) -> Ceilings {
        Ceilings {
            flops: self.fma.max,
            half_flops: self.half_fma.map(|s| s.max),
            copying: self.copies.iter().map(|(bytes, s)| Copying { footprint: *bytes as f64, rate: s.max }).collect(),
            launching: self.launching.map(|[dispatch, submission, round_trip, encode]| Launching {
                dispatch: dispatch.median,
                submission: submission.median,
                round_trip: round_trip.median,
                encode: encode.median,
            }),
        }
    }

    fn figures(&self, label: &str) -> Vec<Figure> {
        let mut figures = vec![Figure::new("ceiling-fma", label, self.fma.times(1e-9), "GFLOP/s")];
        figures.extend(self.half_fma.map(|s| Figure::new("ceiling-fma-f16", label, s.times(1e-9), "GFLOP/s")));
        for (bytes, spread) in &self.copies {
            let name = format!("ceiling-copy-{}", mebibytes(*bytes as f64).replace(' ', ""));
            figures.push(Figure::new(name, label, spread.times(1e-9), "GB/s"));
        }
        for (name, spread) in ["dispatch", "submission", "round-trip", "encode"].iter().zip(self.launching.iter().flatten()) {
            figures.push(Figure::new(format!("ceiling-{name}"), label, spread.times(1e6), "us"));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_look_at_the_cpu() {
        let effort = Effort { windows: 2, window: 0.001, warm_up: 0.0, processes: 1 };
        let (ceilings, figures) = measure(&Target::cpu(), &effort).unwrap();
        // Any processor of this century, in a debug build on a busy machine.
        assert!(ceilings.flops > 1e7 && ceilings.flops < 1e15, "{ceilings:?}");
        assert_eq!(ceilings.copying.len(), FOOTPRINTS.len());
        assert!(ceilings.copying.iter().all(|c| c.rate > 1e6 && c.rate < 1e14), "{ceilings:?}");
        let names: Vec<&str> = figures.iter().map(|f| f.workload.as_str()).collect();
        assert_eq!(names[..3], ["ceiling-fma", "ceiling-copy-1MiB", "ceiling-copy-4MiB"]);
        assert_eq!((figures[0].unit.as_str(), figures[1].unit.as_str()), ("GFLOP/s", "GB/s"));
    }
}
