//! The roofline plot: arithmetic done a second by arithmetic a byte, both on logarithmic axes, below the device's ceilings.

use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;

use crate::roofline::{Ceilings, mebibytes};
use crate::table;

/// A device's part of the picture.
pub struct Panel {
    /// The device.
    pub title: String,
    /// The lines.
    pub ceilings: Ceilings,
    /// The figures.
    pub points: Vec<Point>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its name.
    pub name: String,
    /// Operations a byte of least traffic.
    pub intensity: f64,
    /// Operations a second.
    pub rate: f64,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;

/// The chart's width, and that of the column of names beside it.
const WIDTH: u32 = 1000;
const NAMES: u32 = 520;
const HEIGHT: u32 = 760;
const INK: RGBColor = RGBColor(0x22, 0x2b, 0x36);
const GREY: RGBColor = RGBColor(0x6b, 0x75, 0x80);
const LINE: RGBColor = RGBColor(0xa9, 0xb4, 0xc0);
const ROOF: RGBColor = RGBColor(0xc2, 0x41, 0x0c);
const WORKLOAD: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const KERNEL: RGBColor = RGBColor(0x5b, 0x8c, 0x5a);
/// The size of names, and what a letter of them takes on average.
const FONT: i32 = 11;
const LETTER: f64 = 5.7;

/// Draws the panels one below the other.
pub fn save(path: &Path, panels: &[Panel]) -> anyhow::Result<()> {
    std::fs::write(path, draw(panels)?).with_context(|| format!("{}: cannot write the picture", path.display()))
}

fn draw(panels: &[Panel]) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH + NAMES, HEIGHT * panels.len().max(1) as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        for (part, panel) in area.split_evenly((panels.len().max(1), 1)).iter().zip(panels) {
            draw_panel(part, panel)?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn draw_panel(area: &Area, panel: &Panel) -> anyhow::Result<()> {
    let known = |p: &&Point| p.intensity > 0.0 && p.rate > 0.0 && p.intensity.is_finite() && p.rate.is_finite();
    let points: Vec<&Point> = panel.points.iter().filter(known).collect();
    let peak = panel.ceilings.half_flops.unwrap_or(0.0).max(panel.ceilings.flops);
    let fold = |start: f64, f: fn(f64, f64) -> f64, of: fn(&Point) -> f64| points.iter().map(|p| of(p)).fold(start, f);
    let x = fold(0.05, f64::min, |p| p.intensity) / 1.5..fold(300.0, f64::max, |p| p.intensity) * 4.0;
    let y = fold(peak * 1e-3, f64::min, |p| p.rate) / 2.0..fold(peak, f64::max, |p| p.rate) * 2.5;
    area.draw_text(&panel.title, &("sans-serif", 17).into_font().color(&INK), (16, 10))?;
    let (left, right) = area.split_horizontally(WIDTH);
    let mut chart = ChartBuilder::on(&left)
        .margin_top(40)
        .margin_right(16)
        .margin_bottom(6)
        .margin_left(10)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(RGBColor(0xf4, 0xf5, 0xf7))
        .bold_line_style(RGBColor(0xe6, 0xe9, 0xed))
        .axis_style(LINE)
        .label_style(("sans-serif", 12).into_font().color(&GREY))
        .x_desc("operations a byte (least traffic)")
        .y_desc("GFLOP/s")
        .x_label_formatter(&|v| format!("{v}"))
        .y_label_formatter(&|v| format!("{}", v * 1e-9))
        .draw()?;
    roofs(&mut chart, &panel.ceilings, &x, y.start)?;
    // Workloads have their names beside their points, kernels numbers, which the column explains.
    let (named, numbered): (Vec<&Point>, Vec<&Point>) = points.into_iter().partition(|p| is_workload(&p.name));
    let numbers = numbered.iter().enumerate().map(|(i, _)| (i + 1).to_string());
    let labels: Vec<String> = named.iter().map(|p| p.name.clone()).chain(numbers).collect();
    let all: Vec<&Point> = named.iter().chain(&numbered).copied().collect();
    let at: Vec<(i32, i32)> = all.iter().map(|p| chart.plotting_area().map_coordinate(&(p.intensity, p.rate))).collect();
    let (columns, rows) = chart.plotting_area().get_pixel_range();
    let base = area.get_base_pixel();
    let local = |(px, py): (i32, i32)| (px - base.0, py - base.1);
    for ((label, &at), place) in labels.iter().zip(&at).zip(place(&at, &labels, columns, rows)) {
        let (color, radius) = if is_workload(label) { (WORKLOAD, 5) } else { (KERNEL, 3) };
        area.draw(&Circle::new(local(at), radius, color.filled()))?;
        if let Some(place) = place {
            if place.1 != at.1 - FONT / 2 {
                area.draw(&PathElement::new([local(at), local((place.0 - 1, place.1 + FONT / 2))], LINE))?;
            }
            area.draw_text(label, &("sans-serif", FONT).into_font().color(&color), local(place))?;
        }
    }
    let height = HEIGHT as i32 - 60;
    let lines = (height / (FONT + 1)).max(1);
    for (i, point) in (0i32..).zip(&numbered) {
        let at = (i / lines * NAMES as i32 / 2 + 4, 40 + i % lines * (FONT + 1));
        right.draw_text(&format!("{} {}", i + 1, point.name), &("sans-serif", FONT).into_font().color(&KERNEL), at)?;
    }
    Ok(())
}

fn is_workload(name: &str) -> bool {
    name.starts_with('w') && name.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
}

/// The ceilings: a level line for each kind of arithmetic, a slope for each footprint of copying, up to the arithmetic.
fn roofs(chart: &mut Chart, ceilings: &Ceilings, x: &std::ops::Range<f64>, bottom: f64) -> anyhow::Result<()> {
    let style = |color: RGBColor| ("sans-serif", FONT + 1).into_font().color(&color);
    let Some(slowest) = ceilings.copying.last() else { return Ok(()) };
    for (name, peak) in [("FMA", Some(ceilings.flops)), ("FMA f16", ceilings.half_flops)] {
        let Some(peak) = peak else { continue };
        let from = (peak / slowest.rate).max(x.start);
        chart.draw_series(LineSeries::new([(from, peak), (x.end, peak)], ROOF.stroke_width(2)))?;
        let text = format!("{name} {} GFLOP/s", table::number(peak * 1e-9));
        let (px, py) = chart.plotting_area().map_coordinate(&(x.end, peak));
        let base = chart.plotting_area().get_base_pixel();
        let shift = (text.len() as f64 * LETTER) as i32 + 10;
        chart.plotting_area().strip_coord_spec().draw_text(&text, &style(ROOF), (px - base.0 - shift, py - base.1 - 16))?;
    }
    for copying in &ceilings.copying {
        let last = copying == slowest;
        let from = x.start.max(bottom / copying.rate);
        let ridge = ceilings.flops / copying.rate;
        if from >= ridge {
            continue;
        }
        let line = if last { ROOF.stroke_width(2) } else { LINE.stroke_width(1) };
        chart.draw_series(LineSeries::new([(from, from * copying.rate), (ridge, ceilings.flops)], line))?;
    }
    // Beside the lower ends: what each slope is.
    let fastest = ceilings.copying.iter().map(|c| format!("{} {}", mebibytes(c.footprint), table::number(c.rate * 1e-9)));
    let text = format!("copying, GB/s by footprint: {} (thick: beyond caches)", fastest.collect::<Vec<_>>().join(", "));
    chart.plotting_area().strip_coord_spec().draw_text(&text, &style(GREY), (10, 8))?;
    Ok(())
}

/// Places for names beside their points that overlap neither each other nor points, where there are such; `None` where there is no room.
fn place(at: &[(i32, i32)], names: &[String], columns: std::ops::Range<i32>, rows: std::ops::Range<i32>) -> Vec<Option<(i32, i32)>> {
    type Rect = [i32; 4];
    let overlap = |a: &Rect, b: &Rect| a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
    let mut taken: Vec<Rect> = at.iter().map(|&(x, y)| [x - 4, y - 4, x + 4, y + 4]).collect();
    let mut places = Vec::new();
    for (&(x, y), name) in at.iter().zip(names) {
        let width = (name.len() as f64 * LETTER) as i32;
        let middle = y - FONT / 2;
        // To the right, to the left, then further and further up and down.
        let near = [(x + 8, middle), (x - 8 - width, middle)];
        let far = (1..10).flat_map(|i| {
            let shift = i * (FONT + 1);
            [(x + 10, middle + shift), (x + 10, middle - shift), (x - 10 - width, middle + shift), (x - 10 - width, middle - shift)]
        });
        let rect = |&(left, top): &(i32, i32)| [left, top, left + width, top + FONT];
        let free = |place: &(i32, i32)| {
            let r = rect(place);
            let inside = r[0] >= columns.start && r[2] <= columns.end && r[1] >= rows.start && r[3] <= rows.end;
            inside && taken.iter().all(|t| !overlap(t, &r))
        };
        let found = near.into_iter().chain(far).find(free);
        taken.extend(found.as_ref().map(rect));
        places.push(found);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::Copying;

    fn panel() -> Panel {
        let copying = vec![Copying { footprint: 1e6, rate: 1e11 }, Copying { footprint: 2e8, rate: 1e10 }];
        let ceilings = Ceilings { flops: 3e11, half_flops: None, copying, launching: None };
        let point = |name: &str, intensity, rate| Point { name: name.into(), intensity, rate };
        let points = vec![
            point("w1-matmul-512", 85.0, 2e11),
            point("w5-sum", 0.25, 2e9),
            point("none", 0.0, 0.0),
            point("softmax-4x4", 0.6, f64::INFINITY),
        ];
        Panel { title: "cpu: <a & b>".into(), ceilings, points }
    }

    #[test]
    fn every_figure_that_has_both_numbers_is_drawn_with_its_name() {
        let svg = draw(&[panel(), panel()]).unwrap();
        assert_eq!(svg.matches("w1-matmul-512").count(), 2);
        assert_eq!(svg.matches("w5-sum").count(), 2);
        assert!(!svg.contains("none\n") && !svg.contains("softmax"));
        assert!(svg.contains("FMA 300.0 GFLOP/s") && svg.contains("191 MiB"), "{svg}");
        assert!(svg.contains(&format!("height=\"{}\"", 2 * HEIGHT)));
        draw(&[]).unwrap();
    }

    #[test]
    fn names_of_points_in_one_place_do_not_overlap() {
        let at = [(500, 300); 12];
        let names = ["a-kernel-of-some-name"; 12].map(String::from);
        let places: Vec<(i32, i32)> = place(&at, &names, 0..1000, 0..600).into_iter().flatten().collect();
        assert_eq!(places.len(), 12);
        for (i, a) in places.iter().enumerate() {
            for b in &places[i + 1..] {
                assert!((a.1 - b.1).abs() >= FONT || (a.0 - b.0).abs() as f64 >= names[0].len() as f64 * LETTER - 1.0, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let message = format!("{:#}", save(Path::new("/nowhere/x.svg"), &[panel()]).unwrap_err());
        assert!(message.contains("/nowhere/x.svg: cannot write the picture"), "{message}");
    }
}
