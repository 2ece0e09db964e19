//! What a device can do at most, and how far a figure is below it.
//!
//! Source: Williams, Waterman, Patterson, "Roofline: an insightful visual performance model for multicore architectures", CACM 2009.

use crate::cost::Cost;

/// Copying at one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copying {
    /// Bytes of source and target together.
    pub footprint: f64,
    /// Bytes read and written a second.
    pub rate: f64,
}

/// A device's ceilings, as measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceilings {
    /// Multiplications and additions of f32 a second.
    pub flops: f64,
    /// The same of f16, where the device has such arithmetic.
    pub half_flops: Option<f64>,
    /// Copying, from the smallest footprint to the largest, which is beyond all caches.
    pub copying: Vec<Copying>,
    /// What launches cost, on a GPU.
    pub launching: Option<Launching>,
}

/// What launches cost, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Launching {
    /// A kernel of one workgroup that depends on the one before, in one submission with many.
    pub dispatch: f64,
    /// A submission of one such kernel among many.
    pub submission: f64,
    /// A submission of one such kernel, waited for.
    pub round_trip: f64,
    /// The host's time to encode one of many dispatches.
    pub encode: f64,
}

/// Which ceiling a figure is under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Arithmetic of f32.
    Arithmetic,
    /// Arithmetic of f16.
    HalfArithmetic,
    /// Copying at this footprint.
    Memory(f64),
}

/// The least time that a run may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// In seconds.
    pub seconds: f64,
    /// Because of this.
    pub limit: Limit,
}

impl Ceilings {
    /// Of a device that was not measured: nothing is below them.
    pub const NONE: Ceilings = Ceilings { flops: f64::INFINITY, half_flops: None, copying: Vec::new(), launching: None };

    /// The copying that a working set is measured against: the largest that is no larger, or the smallest; or a larger one that was quicker, because then
    /// something disturbed the smaller one.
    pub fn copying_of(&self, bytes: f64) -> Option<Copying> {
        let own = self.copying.iter().rposition(|c| c.footprint <= bytes).unwrap_or(0);
        self.copying.get(own..)?.iter().copied().max_by(|a, b| a.rate.total_cmp(&b.rate))
    }

    /// The least time for some work; `half` says that its products are of f16.
    pub fn bound(&self, cost: &Cost, half: bool) -> Option<Bound> {
        let (rate, limit) = match self.half_flops {
            // Sums are of f32 either way; a device whose halves are slower multiplies f32.
            Some(rate) if half && rate > self.flops => (rate, Limit::HalfArithmetic),
            _ => (self.flops, Limit::Arithmetic),
        };
        let arithmetic = Bound { seconds: cost.flops / rate, limit };
        let memory = self.copying_of(cost.bytes).map(|c| Bound { seconds: cost.bytes / c.rate, limit: Limit::Memory(c.footprint) });
        let most = memory.filter(|m| m.seconds > arithmetic.seconds).unwrap_or(arithmetic);
        (most.seconds > 0.0).then_some(most)
    }
}

/// Bytes in words: `64 MiB`.
pub fn mebibytes(bytes: f64) -> String {
    format!("{} MiB", (bytes / f64::from(1 << 20)).round())
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Arithmetic => f.write_str("FMA"),
            Limit::HalfArithmetic => f.write_str("FMA f16"),
            Limit::Memory(bytes) => write!(f, "copy {}", mebibytes(*bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings() -> Ceilings {
        let copying = vec![Copying { footprint: 1e6, rate: 1e11 }, Copying { footprint: 1e8, rate: 1e10 }];
        Ceilings { flops: 1e12, half_flops: None, copying, launching: None }
    }

    #[test]
    fn intensity_decides_which_ceiling() {
        // The ridge lies at 100 operations a byte from memory.
        let above = Cost { flops: 101e8, bytes: 1e8 };
        let below = Cost { flops: 99e8, bytes: 1e8 };
        assert_eq!(ceilings().bound(&above, false), Some(Bound { seconds: 101e8 / 1e12, limit: Limit::Arithmetic }));
        assert_eq!(ceilings().bound(&below, false), Some(Bound { seconds: 1e-2, limit: Limit::Memory(1e8) }));
    }

    #[test]
    fn a_working_set_is_measured_against_copying_of_its_size() {
        let rate = |bytes| ceilings().copying_of(bytes).unwrap().rate;
        assert_eq!(rate(1e3), 1e11);
        assert_eq!(rate(1e6), 1e11);
        assert_eq!(rate(9.9e7), 1e11);
        assert_eq!(rate(1e8), 1e10);
        assert_eq!(rate(1e12), 1e10);
        // A small copy that was disturbed is no ceiling for what larger ones surpass.
        let disturbed = vec![Copying { footprint: 1e6, rate: 1e9 }, Copying { footprint: 1e8, rate: 1e10 }];
        let ceilings = Ceilings { copying: disturbed, ..ceilings() };
        assert_eq!(ceilings.copying_of(1e6).map(|c| c.rate), Some(1e10));
        assert_eq!(Ceilings::NONE.copying_of(1e6), None);
    }

    #[test]
    fn halves_have_a_ceiling_of_their_own_where_it_is_higher() {
        let work = Cost { flops: 1e12, bytes: 0.0 };
        let with = |half_flops| Ceilings { half_flops, ..ceilings() }.bound(&work, true).unwrap();
        assert_eq!(with(Some(2e12)), Bound { seconds: 0.5, limit: Limit::HalfArithmetic });
        assert_eq!(with(Some(5e11)), Bound { seconds: 1.0, limit: Limit::Arithmetic });
        assert_eq!(with(None), Bound { seconds: 1.0, limit: Limit::Arithmetic });
    }

    #[test]
    fn nothing_to_do_has_no_ceiling() {
        assert_eq!(ceilings().bound(&Cost { flops: 0.0, bytes: 0.0 }, false), None);
        assert_eq!(Ceilings::NONE.bound(&Cost { flops: 1.0, bytes: 1.0 }, false), None);
    }

    #[test]
    fn limits_in_words() {
        assert_eq!(Limit::Memory(67_108_864.0).to_string(), "copy 64 MiB");
        assert_eq!(Limit::Arithmetic.to_string(), "FMA");
    }
}
