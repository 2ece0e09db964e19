//! Pictures: an SVG file, and a chart of curves in it.

use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
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

/// A chart of curves by epoch; `range` is the least that the vertical axis shows, `label` writes its numbers.
pub fn curves(area: &Area, title: &str, curves: &[Curve], range: (f64, f64), label: fn(&f64) -> String) -> anyhow::Result<()> {
    let values = curves.iter().flat_map(|c| &c.values).copied().filter(|v| v.is_finite());
    let (low, high) = values.fold(range, |(low, high), v| (low.min(v), high.max(v)));
    let high = high + (high - low).max(1e-9) * 0.03;
    let epochs = curves.iter().map(|c| c.values.len()).max().unwrap_or(0).max(2) as i32;
    text(area, title, (16, 6), 17, &INK)?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(34)
        .margin_right(18)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(1..epochs, low..high)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(0xe6, 0xe9, 0xed))
        .axis_style(RGBColor(0xb0, 0xb8, 0xc1))
        .label_style(("sans-serif", 12).into_font().color(&GREY))
        .x_labels(epochs.min(10) as usize)
        .y_labels(6)
        .y_label_formatter(&label)
        .x_desc("epoch")
        .draw()?;
    for curve in curves {
        let points: Vec<(i32, f64)> = (1..).zip(curve.values.iter().copied()).filter(|(_, v)| v.is_finite()).collect();
        let color = curve.color;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
        if points.len() <= 40 {
            chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, color.filled())))?;
        }
    }
    // The names go where the curves are not: losses fall, accuracies rise.
    let rises = curves.iter().any(|c| c.values.last() > c.values.first());
    chart
        .configure_series_labels()
        .position(if rises { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight })
        .label_font(("sans-serif", 13).into_font().color(&INK))
        .background_style(WHITE.mix(0.85))
        .draw()?;
    Ok(())
}
