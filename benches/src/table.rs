//! The report's lines.

use crate::devices::Target;
use crate::figure::Figure;
use crate::roofline::{Bound, Ceilings, mebibytes};

/// A number in a few digits: 1,234,567, 123.4, 1.234.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, rest) = text.split_once('.').map_or((text, String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// A time in its own unit.
pub fn seconds(value: f64) -> String {
    match value {
        v if v >= 1.0 => format!("{} s", number(v)),
        v if v >= 1e-3 => format!("{} ms", number(v * 1e3)),
        v => format!("{} us", number(v * 1e6)),
    }
}

/// The device's ceilings in words.
pub fn ceilings(target: &Target, ceilings: &Ceilings) -> String {
    let mut text = format!("\n{}\n  ceilings: FMA {} GFLOP/s", target.describe(), number(ceilings.flops * 1e-9));
    if let Some(half) = ceilings.half_flops {
        text += &format!(", f16 {} GFLOP/s", number(half * 1e-9));
    }
    let copies: Vec<String> = ceilings.copying.iter().map(|c| format!("{} {}", mebibytes(c.footprint), number(c.rate * 1e-9))).collect();
    text += &format!("\n  copying, GB/s read and written by footprint: {}", copies.join(", "));
    if let Some(launching) = &ceilings.launching {
        text += &format!(
            "\n  a dependent dispatch {}, a submission {}, a submission waited for {}; the host's time to encode a dispatch {}",
            seconds(launching.dispatch),
            seconds(launching.submission),
            seconds(launching.round_trip),
            seconds(launching.encode)
        );
    }
    text
}

/// The columns' names.
pub fn header() -> String {
    format!(
        "  {:<44} {:>11} {:>25} {:<10} {:>10}  {:<14} {}",
        "", "median", "least .. greatest", "unit", "of ceiling", "ceiling", "device time"
    )
}

/// A figure; `device_seconds` by the device's own clock, beside its share of the ceiling.
pub fn row(figure: &Figure, bound: Option<Bound>, device_seconds: Option<f64>) -> String {
    let range = format!("{} .. {}", number(figure.min), number(figure.max));
    let share = figure.of_ceiling.map_or(String::new(), |share| format!("{} %", number(share * 100.0)));
    let limit = bound.map_or(String::new(), |b| b.limit.to_string());
    let device = match (device_seconds, bound) {
        (Some(time), Some(bound)) => format!("{} ({} %)", seconds(time), number(bound.seconds / time * 100.0)),
        (Some(time), None) => seconds(time),
        (None, _) => String::new(),
    };
    let line = format!(
        "  {:<44} {:>11} {:>25} {:<10} {:>10}  {:<14} {}",
        figure.workload,
        number(figure.median),
        range,
        figure.unit,
        share,
        limit,
        device
    );
    line.trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Spread;
    use crate::roofline::Limit;

    #[test]
    fn numbers_have_four_digits_or_all_of_the_whole_ones() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(123.46), "123.5");
        assert_eq!(number(12.346), "12.35");
        assert_eq!(number(0.0123), "0.012");
        assert_eq!(number(-1000.0), "-1,000");
        assert_eq!(number(999.0), "999.0");
    }

    #[test]
    fn times_choose_their_unit() {
        assert_eq!([2.5, 0.0123, 4.4e-6].map(seconds), ["2.500 s", "12.30 ms", "4.400 us"]);
    }

    #[test]
    fn a_row_has_what_is_known() {
        let spread = Spread { median: 150.0, min: 140.0, max: 160.0 };
        let mut figure = Figure::new("w1-matmul-512", "gpu:0", spread, "GFLOP/s");
        figure.of_ceiling = Some(0.5);
        let bound = Bound { seconds: 1e-3, limit: Limit::Arithmetic };
        let line = row(&figure, Some(bound), Some(1.6e-3));
        for part in ["w1-matmul-512", "150.0", "140.0 .. 160.0", "GFLOP/s", "50.00 %", "FMA", "1.600 ms (62.50 %)"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        figure.of_ceiling = None;
        assert!(row(&figure, None, None).ends_with("GFLOP/s"));
    }
}
