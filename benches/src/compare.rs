//! Two runs side by side: what got slower, what faster.

use std::fmt::Write;

use crate::figure::Figure;

/// A figure beside its older self.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What and where.
    pub name: String,
    /// The unit of both.
    pub unit: String,
    /// The older median.
    pub old: f64,
    /// The newer median.
    pub new: f64,
    /// How many times as good the newer is: above 1 is better, whichever way the unit goes.
    pub ratio: f64,
    /// What to call it.
    pub verdict: Verdict,
}

/// Whether a figure changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Worse by more than the factor, and no window of the one run reached what the other's did.
    Slower,
    /// Better in the same sense.
    Faster,
    /// Neither: within noise.
    Same,
}

/// The figures that are in both runs, in the newer's order. `factor` (above 1) is what counts as a change.
pub fn compare(old: &[Figure], new: &[Figure], factor: f64) -> Vec<Change> {
    let before = |figure: &Figure| {
        old.iter().find(|o| o.workload == figure.workload && o.device == figure.device && o.peer == figure.peer && o.unit == figure.unit)
    };
    new.iter().filter_map(|figure| Some(change(before(figure)?, figure, factor))).collect()
}

fn change(old: &Figure, new: &Figure, factor: f64) -> Change {
    let up = new.more_is_better();
    let ratio = if up { new.median / old.median } else { old.median / new.median };
    // One run's windows lie entirely on one side of the other's.
    let (above, below) = (new.min > old.max, new.max < old.min);
    let (better, worse) = if up { (above, below) } else { (below, above) };
    let verdict = match () {
        () if ratio * factor < 1.0 && worse => Verdict::Slower,
        () if ratio > factor && better => Verdict::Faster,
        () => Verdict::Same,
    };
    let name = format!("{} on {}", new.workload, new.device);
    Change { name, unit: new.unit.clone(), old: old.median, new: new.median, ratio, verdict }
}

/// The comparison in words, the worst first.
pub fn describe(changes: &[Change], factor: f64) -> String {
    let mut text = String::new();
    let mut of = |verdict: Verdict, word: &str| {
        let mut found: Vec<&Change> = changes.iter().filter(|c| c.verdict == verdict).collect();
        found.sort_by(|a, b| if verdict == Verdict::Slower { a.ratio.total_cmp(&b.ratio) } else { b.ratio.total_cmp(&a.ratio) });
        for c in &found {
            let _ = writeln!(text, "{word} {:<44} {:>12.4} -> {:>12.4} {:<9} {:.2} times", c.name, c.old, c.new, c.unit, c.ratio);
        }
        found.len()
    };
    let (slower, faster) = (of(Verdict::Slower, "slower"), of(Verdict::Faster, "faster"));
    let same = changes.len() - slower - faster;
    let _ = writeln!(
        text,
        "{slower} slower and {faster} faster by more than {factor} times with windows that do not overlap; {same} the same within noise"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Spread;

    fn figure(name: &str, [min, median, max]: [f64; 3], unit: &str) -> Figure {
        Figure::new(name, "cpu", Spread { median, min, max }, unit)
    }

    fn verdict(old: [f64; 3], new: [f64; 3], unit: &str) -> Verdict {
        compare(&[figure("a", old, unit)], &[figure("a", new, unit)], 1.25)[0].verdict
    }

    #[test]
    fn a_rate_that_falls_and_a_time_that_grows_are_slower() {
        assert_eq!(verdict([90.0, 100.0, 110.0], [60.0, 70.0, 80.0], "GB/s"), Verdict::Slower);
        assert_eq!(verdict([90.0, 100.0, 110.0], [60.0, 70.0, 80.0], "ms"), Verdict::Faster);
        assert_eq!(verdict([60.0, 70.0, 80.0], [90.0, 100.0, 110.0], "steps/s"), Verdict::Faster);
        assert_eq!(verdict([60.0, 70.0, 80.0], [90.0, 100.0, 110.0], "ms"), Verdict::Slower);
    }

    #[test]
    fn windows_that_overlap_and_small_changes_are_noise() {
        assert_eq!(verdict([70.0, 100.0, 110.0], [60.0, 70.0, 80.0], "GB/s"), Verdict::Same);
        assert_eq!(verdict([99.0, 100.0, 101.0], [84.0, 85.0, 86.0], "GB/s"), Verdict::Same);
        // At the factor itself.
        assert_eq!(verdict([100.0; 3], [80.0; 3], "GB/s"), Verdict::Same);
        assert_eq!(verdict([100.0; 3], [79.0; 3], "GB/s"), Verdict::Slower);
    }

    #[test]
    fn only_what_is_in_both_counts_by_name_device_and_unit() {
        let old = [figure("a", [1.0; 3], "ms"), figure("b", [1.0; 3], "ms")];
        let mut elsewhere = figure("a", [9.0; 3], "ms");
        elsewhere.device = "gpu:0".into();
        let new = [figure("c", [1.0; 3], "ms"), elsewhere, figure("b", [2.0; 3], "GB/s")];
        assert_eq!(compare(&old, &new, 1.25), []);
    }

    #[test]
    fn the_words_name_the_worst_first() {
        let old = [figure("a", [100.0; 3], "GB/s"), figure("b", [100.0; 3], "GB/s"), figure("c", [100.0; 3], "GB/s")];
        let new = [figure("a", [50.0; 3], "GB/s"), figure("b", [20.0; 3], "GB/s"), figure("c", [100.0; 3], "GB/s")];
        let text = describe(&compare(&old, &new, 1.25), 1.25);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("slower b on cpu") && lines[0].ends_with("0.20 times"), "{text}");
        assert!(lines[1].starts_with("slower a on cpu"), "{text}");
        assert!(lines[2].starts_with("2 slower and 0 faster") && lines[2].contains("1 the same"), "{text}");
    }
}
