//! The finder's curve as a picture.

use std::fmt::Write;
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

#[cfg(not(target_arch = "wasm32"))]
use noyau_tensor::{Error, Result};

use super::LrCurve;

/// The picture's size, and where in it the curve is drawn: left, top, right, bottom.
const SIZE: [u32; 2] = [820, 460];
const PLOT: [f64; 4] = [70.0, 92.0, 796.0, 408.0];

const BLUE: &str = "#1f6fb4";
const ORANGE: &str = "#e87722";
const GREEN: &str = "#2b8a5a";
const INK: &str = "#222b36";
const GREY: &str = "#6b7580";

impl LrCurve {
    /// The curve as an SVG picture: each batch's loss and the smoothed loss by learning rate, the rates on a logarithmic axis, with the two suggested
    /// rates marked.
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        // Writing to a string does not fail.
        let _ = self.draw(&mut svg);
        svg
    }

    /// Writes [`LrCurve::svg`] to a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be written.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        std::fs::write(path, self.svg()).map_err(|error| Error::io(path, "write", &error))
    }

    fn draw(&self, svg: &mut String) -> std::fmt::Result {
        let axes = Axes::of(self);
        let [width, height] = SIZE;
        let [left, top, right, bottom] = PLOT;
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" role=\"img\">"
        )?;
        writeln!(svg, "<title>Learning-rate range test: the loss by learning rate</title>")?;
        writeln!(svg, "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>")?;
        text(svg, [16.0, 28.0], "start", [INK, "18"], "Which learning rate? The loss while the rate rises")?;
        let steps = format!("{} steps, one batch each, from {} to {}", self.rates.len(), rate(axes.first), rate(axes.last));
        text(svg, [16.0, 48.0], "start", [GREY, "13"], &steps)?;

        for value in axes.losses() {
            let y = axes.y(value);
            writeln!(svg, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#e6e9ed\"/>")?;
            text(svg, [left - 8.0, y + 4.0], "end", [GREY, "12"], &short(value))?;
        }
        for decade in axes.decades() {
            let x = axes.x(decade);
            writeln!(svg, "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#e6e9ed\"/>")?;
            text(svg, [x, bottom + 18.0], "middle", [GREY, "12"], &rate(decade))?;
        }
        writeln!(svg, "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#b0b8c1\"/>")?;
        text(svg, [(left + right) / 2.0, bottom + 40.0], "middle", [GREY, "12"], "learning rate")?;
        text(svg, [left - 8.0, top - 12.0], "end", [GREY, "12"], "loss")?;

        writeln!(svg, "<clipPath id=\"plot\"><path d=\"M{left} {top}H{right}V{bottom}H{left}Z\"/></clipPath><g clip-path=\"url(#plot)\">")?;
        self.line(svg, &axes, &self.losses, "stroke=\"#8fb4d3\" stroke-width=\"1\"")?;
        self.line(svg, &axes, &self.smoothed, &format!("stroke=\"{BLUE}\" stroke-width=\"2.5\""))?;
        writeln!(svg, "</g>")?;

        if let Some(steepest) = self.steepest {
            self.mark(svg, &axes, steepest, 0, ORANGE, "falls fastest")?;
        }
        self.mark(svg, &axes, self.minimum_tenth, 1, GREEN, "a tenth of the least loss's")?;
        self.legend(svg)?;
        writeln!(svg, "</svg>")
    }

    fn line(&self, svg: &mut String, axes: &Axes, losses: &[f64], style: &str) -> std::fmt::Result {
        write!(svg, "<path fill=\"none\" stroke-linejoin=\"round\" {style} d=\"")?;
        for (i, (&rate, &loss)) in self.rates.iter().zip(losses).enumerate() {
            // Far outside of the plot it does not matter where, but viewers want numbers of ordinary size.
            let y = axes.y(loss).clamp(-2000.0, 4000.0);
            write!(svg, "{}{:.1} {y:.1}", if i == 0 { "M" } else { "L" }, axes.x(rate))?;
        }
        writeln!(svg, "\"/>")
    }

    /// A rate, as a line with its number above the plot, in one of two rows, and a dot on the curve where the rate was tried.
    fn mark(&self, svg: &mut String, axes: &Axes, at: f64, row: u32, color: &str, what: &str) -> std::fmt::Result {
        let [left, top, right, bottom] = PLOT;
        // A tenth of a rate may be less than the least that was tried.
        let x = axes.x(at).clamp(left, right);
        let high = top - 26.0 + 16.0 * f64::from(row);
        writeln!(svg, "<path d=\"M{x:.1} {high:.1}V{bottom}\" stroke=\"{color}\" stroke-width=\"1.5\" stroke-dasharray=\"5 4\"/>")?;
        if let Some(i) = self.rates.iter().position(|&rate| rate >= at * 0.999_999).filter(|_| at >= axes.first) {
            let y = axes.y(self.smoothed[i]).clamp(top, bottom);
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{color}\"/>")?;
        }
        let (anchor, gap) = if x > (left + right) / 2.0 { ("end", -6.0) } else { ("start", 6.0) };
        text(svg, [x + gap, high + 9.0], anchor, [color, "13"], &format!("{}: {what}", rate(at)))
    }

    fn legend(&self, svg: &mut String) -> std::fmt::Result {
        let [_, _, right, _] = PLOT;
        for (row, (color, width, what)) in [("#8fb4d3", "1", "each batch"), (BLUE, "2.5", "smoothed")].into_iter().enumerate() {
            let (x, y) = (right - 84.0, 24.0 + 18.0 * row as f64);
            writeln!(svg, "<path d=\"M{:.1} {:.1}h20\" stroke=\"{color}\" stroke-width=\"{width}\"/>", x - 26.0, y - 4.0)?;
            text(svg, [x, y], "start", [INK, "13"], what)?;
        }
        Ok(())
    }
}

/// Where values lie in the picture.
struct Axes {
    first: f64,
    last: f64,
    low: f64,
    high: f64,
}

impl Axes {
    fn of(curve: &LrCurve) -> Axes {
        let first = curve.rates.first().copied().unwrap_or(1e-3);
        // One step alone has some width too.
        let last = curve.rates.last().copied().filter(|&last| last > first).unwrap_or(first * 10.0);
        // What comes before the least loss fills most of the height. After it losses explode, and would make all else a flat line.
        let least = (0..curve.smoothed.len()).min_by(|&a, &b| curve.smoothed[a].total_cmp(&curve.smoothed[b])).unwrap_or(0);
        let before = curve.losses.iter().zip(&curve.smoothed).take(least + 1).flat_map(|(&loss, &smooth)| [loss, smooth]);
        let (low, high) = before.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low <= high { (low, high + (high - low) * 0.2) } else { (0.0, 1.0) };
        let room = ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-6);
        Axes { first, last, low: low - room, high: high + room }
    }

    fn x(&self, rate: f64) -> f64 {
        let [left, _, right, _] = PLOT;
        left + (right - left) * (rate / self.first).ln() / (self.last / self.first).ln()
    }

    fn y(&self, loss: f64) -> f64 {
        let [_, top, _, bottom] = PLOT;
        bottom - (bottom - top) * (loss - self.low) / (self.high - self.low)
    }

    /// The powers of ten, or twos and fives of them too where there are few.
    fn decades(&self) -> Vec<f64> {
        let exponents = self.first.log10().floor() as i32..=self.last.log10().ceil() as i32;
        let all = |parts: &[f64]| -> Vec<f64> {
            let values = exponents.clone().flat_map(|e| parts.iter().map(move |part| part * 10f64.powi(e)));
            values.filter(|&v| v >= self.first * 0.999 && v <= self.last * 1.001).collect()
        };
        let tens = all(&[1.0]);
        if tens.len() < 3 { all(&[1.0, 2.0, 5.0]) } else { tens }
    }

    /// About six round numbers.
    fn losses(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * power).find(|&step| step >= rough).unwrap_or(power * 10.0);
        let first = (self.low / step).ceil() as i64;
        (first..first + 12).map(|i| i as f64 * step).take_while(|&value| value <= self.high).collect()
    }
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, [color, size]: [&str; 2], words: &str) -> std::fmt::Result {
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\" font-size=\"{size}\">{words}</text>")
}

/// A rate as people write it: `0.03`, `1e-5`, two digits.
fn rate(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    if (1e-3..1e4).contains(&rounded) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// A loss on its axis, without the dust of additions.
fn short(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded == 0.0 && value != 0.0 && value.abs() > 1e-9 { format!("{value:.0e}") } else { format!("{}", rounded + 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(losses: &[f64]) -> LrCurve {
        let rates: Vec<f64> = (0..losses.len()).map(|i| 1e-5 * 10f64.powf(i as f64 / 10.0)).collect();
        let steepest = rates.get(losses.len() / 2).copied();
        let minimum_tenth = rates.last().copied().unwrap_or(1.0) / 10.0;
        LrCurve { rates, losses: losses.to_vec(), smoothed: losses.to_vec(), steepest, minimum_tenth }
    }

    #[test]
    fn the_picture_shows_curve_axes_and_both_rates() {
        let losses: Vec<f64> = (0..60).map(|i| 2.3 - 2.0 / (1.0 + (-(f64::from(i) - 35.0) / 4.0).exp())).collect();
        let svg = curve(&losses).svg();
        // Each step is a point of each of the two lines.
        assert_eq!(svg.matches('L').count(), 2 * 59 + 1, "and the title's letter");
        for part in
            ["60 steps, one batch each, from 1e-5 to 7.9", ">0.001<", ">0.1<", ">0.5<", ">0.01: falls fastest<", ">0.79: a tenth of"]
        {
            assert!(svg.contains(part), "`{part}` is not in\n{svg}");
        }
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        let number = |text: &str| text.split('"').next().and_then(|n| n.parse::<f64>().ok());
        for x in svg.split("cx=\"").skip(1).filter_map(number) {
            assert!((PLOT[0]..=PLOT[2]).contains(&x), "{x}");
        }
    }

    #[test]
    fn curves_of_one_point_of_one_value_and_with_a_peak_are_drawn() {
        for losses in [&[2.0][..], &[0.0; 20], &[1.0, 1.0, 0.9, 1e30], &[1e-12, 2e-12, 1e-12]] {
            let svg = curve(losses).svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{losses:?}\n{svg}");
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.1, 0.012_345, 1e-5, 3.456e-7, 250.0, 1e5].map(rate), ["0.1", "0.012", "1e-5", "3.5e-7", "250", "1e5"]);
        assert_eq!([0.1 + 0.2, 2.0, -0.0, 2e-7].map(short), ["0.3", "2", "0", "2e-7"]);
    }
}
