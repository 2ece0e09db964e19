//! Pictures: an SVG file, and a chart of curves in it.

use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::coord::types::{RangedCoordf64, RangedCoordi32};
use plotters::prelude::*;

/// A part of a picture.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What is drawn first: train.
pub const BLUE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
/// What is drawn second: test.
pub const ORANGE: RGBColor = RGBColor(0xe8, 0x77, 0x22);
/// Text.
pub const INK: RGBColor = RGBColor(0x22, 0x2b, 0x36);
/// Text that matters less.
pub const GREY: RGBColor = RGBColor(0x6b, 0x75, 0x80);

/// Values by epoch, from epoch 1.
pub struct Curve<'a> {
    pub name: &'a str,
    pub color: RGBColor,
    pub values: Vec<f64>,
}

/// Draws a picture in memory, then writes it to a file.
pub fn save(path: &Path, size: (u32, u32), draw: impl FnOnce(&Area) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        area.present()?;
    }
    std::fs::write(path, svg).with_context(|| format!("{}: cannot write the picture", path.display()))
}

/// A line of text.
pub fn text(area: &Area, words: &str, at: (i32, i32), size: i32, color: &RGBColor) -> anyhow::Result<()> {
    area.draw_text(words, &("sans-serif", size).into_font().color(color), at)?;
    Ok(())
}

/// Axes to draw curves between: whole epochs, and values.
pub type Axes<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordi32, RangedCoordf64>>;

/// Axes with a title; `label` writes the numbers of the vertical one.
pub fn axes<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    epochs: Range<i32>,
    values: Range<f64>,
    label: fn(&f64) -> String,
) -> anyhow::Result<Axes<'a, 'b>> {
    text(area, title, (16, 6), 17, &INK)?;
    let labels = epochs.end.clamp(2, 10) as usize;
    let mut chart = ChartBuilder::on(area)
        .margin_top(34)
        .margin_right(18)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(epochs, values)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(0xe6, 0xe9, 0xed))
        .axis_style(RGBColor(0xb0, 0xb8, 0xc1))
        .label_style(("sans-serif", 12).into_font().color(&GREY))
        .x_labels(labels)
        .y_labels(6)
        .y_label_formatter(&label)
        .x_desc("epoch")
        .draw()?;
    Ok(chart)
}

/// A curve, as far as its values are numbers that are not below the axis, and its name for the legend.
pub fn line(axes: &mut Axes, curve: &Curve, low: f64) -> anyhow::Result<()> {
    let points: Vec<(i32, f64)> = (1..).zip(curve.values.iter().copied()).filter(|(_, v)| v.is_finite() && *v >= low).collect();
    let color = curve.color;
    axes.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
        .label(curve.name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    if points.len() < 40 {
        axes.draw_series(points.iter().map(|&at| Circle::new(at, 3, color.filled())))?;
    }
    Ok(())
}

/// The curves' names in a corner.
pub fn legend<'a, 'b: 'a>(axes: &mut Axes<'a, 'b>, corner: SeriesLabelPosition) -> anyhow::Result<()> {
    axes.configure_series_labels()
        .position(corner)
        .label_font(("sans-serif", 13).into_font().color(&INK))
        .background_style(WHITE.mix(0.85))
        .draw()?;
    Ok(())
}

/// A chart of curves by epoch; `range` is the least that the vertical axis shows, `label` writes its numbers.
pub fn curves(area: &Area, title: &str, curves: &[Curve], range: (f64, f64), label: fn(&f64) -> String) -> anyhow::Result<()> {
    let values = curves.iter().flat_map(|c| &c.values).copied().filter(|v| v.is_finite());
    let (low, high) = values.fold(range, |(low, high), v| (low.min(v), high.max(v)));
    let high = high + (high - low).max(1e-9) * 0.03;
    let epochs = curves.iter().map(|c| c.values.len()).max().unwrap_or(0).max(2) as i32;
    let mut axes = axes(area, title, 1..epochs, low..high, label)?;
    curves.iter().try_for_each(|curve| line(&mut axes, curve, low))?;
    // The names go where the curves are not: losses fall, accuracies rise.
    let rises = curves.iter().any(|c| c.values.last() > c.values.first());
    legend(&mut axes, if rises { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight })
}
