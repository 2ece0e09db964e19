//! Times: windows of many runs, synchronised at their ends only.

use std::time::Instant;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// How many windows a figure is the median of.
    pub windows: usize,
    /// How long a window lasts at least, in seconds.
    pub window: f64,
    /// How long to run before the first, in seconds.
    pub warm_up: f64,
    /// How often what a fresh process takes is measured.
    pub processes: usize,
}

impl Effort {
    /// For figures.
    pub const FULL: Effort = Effort { windows: 7, window: 0.25, warm_up: 0.3, processes: 5 };
    /// For a look.
    pub const QUICK: Effort = Effort { windows: 5, window: 0.02, warm_up: 0.02, processes: 1 };
}

/// The least, the median and the greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The value in the middle, or the mean of the two there.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of values in any order; zeros of none.
    pub fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else { return Spread { median: 0.0, min: 0.0, max: 0.0 } };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Spread { median, min, max }
    }

    /// The spread of `amount / value`, as rates are of times.
    pub fn rates(self, amount: f64) -> Spread {
        Spread { median: amount / self.median, min: amount / self.max, max: amount / self.min }
    }

    /// The spread of `value * factor`, for a positive factor.
    pub fn times(self, factor: f64) -> Spread {
        Spread { median: self.median * factor, min: self.min * factor, max: self.max * factor }
    }
}

/// Seconds a run, over several windows. `runs` does so many runs and waits for the last.
pub fn seconds<E>(effort: &Effort, mut runs: impl FnMut(usize) -> Result<(), E>) -> Result<Spread, E> {
    let mut timed = |count: usize| {
        let start = Instant::now();
        runs(count)?;
        Ok(start.elapsed().as_secs_f64().max(1e-9))
    };
    // The first run may take what later ones do not.
    timed(1)?;
    let begun = Instant::now();
    let mut count = 1;
    let one = loop {
        let time = timed(count)?;
        // Windows are sized by a piece that is long enough for the clock and for a warm cache.
        if time > effort.window / 8.0 && begun.elapsed().as_secs_f64() > effort.warm_up || time > effort.window * 2.0 {
            break time / count as f64;
        }
        if time < effort.window / 4.0 {
            count = count.saturating_mul(2).min(1 << 30);
        }
    };
    let count = ((effort.window / one).ceil() as usize).max(1);
    let mut times = Vec::with_capacity(effort.windows);
    for _ in 0..effort.windows {
        times.push(timed(count)? / count as f64);
    }
    Ok(Spread::of(&times))
}

/// The most memory that this process has had, in bytes; `None` where the system does not say.
pub fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_odd_and_even_numbers_of_values() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of(&[]).median, 0.0);
    }

    #[test]
    fn the_longest_time_is_the_lowest_rate() {
        let times = Spread { median: 2.0, min: 1.0, max: 4.0 };
        assert_eq!(times.rates(8.0), Spread { median: 4.0, min: 2.0, max: 8.0 });
        assert_eq!(times.times(3.0), Spread { median: 6.0, min: 3.0, max: 12.0 });
    }

    #[test]
    fn as_many_windows_as_asked_for_each_long_enough() {
        let effort = Effort { windows: 5, window: 0.004, warm_up: 0.0, processes: 1 };
        let mut calls = Vec::new();
        let spread = seconds::<()>(&effort, |count| {
            calls.push(count);
            std::thread::sleep(std::time::Duration::from_micros(100) * count as u32);
            Ok(())
        })
        .unwrap();
        assert!(spread.min >= 1e-4 && spread.median >= spread.min && spread.max >= spread.median);
        let last = &calls[calls.len() - 5..];
        assert!(last.iter().all(|&count| count == last[0]), "{calls:?}");
    }

    #[test]
    fn a_failure_ends_the_measurement() {
        let mut calls = 0;
        let result = seconds(&Effort::QUICK, |_| {
            calls += 1;
            Err("broken")
        });
        assert_eq!((result, calls), (Err("broken"), 1));
    }
}
