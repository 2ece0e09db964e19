//! The picture: curves, confusion matrix, mistakes.

use std::path::Path;

use noyau::prelude::*;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::chart::{self, Area, BLUE, Curve, GREY, INK, ORANGE, text};
use crate::mistakes::Mistake;
use crate::report::percent;
use crate::tile;

/// Draws it all to a file.
pub fn draw(path: &Path, epochs: &[EpochRecord], evaluation: &Evaluation, mistakes: &[Mistake], device: &str) -> anyhow::Result<()> {
    chart::save(path, (1120, 950), |area| {
        let (head, rest) = area.split_vertically(66);
        let (curves, rest) = rest.split_vertically(310);
        let (left, right) = curves.split_horizontally(560);
        let (matrix, wrong) = rest.split_horizontally(560);

        let title = format!("{} of the test images read correctly", percent(evaluation.accuracy));
        text(&head, &title, (16, 12), 24, &INK)?;
        let seconds: f64 = epochs.iter().map(|e| e.seconds).sum();
        let speed = epochs.iter().map(|e| e.samples_per_second).fold(0.0, f64::max);
        let subtitle = match epochs.len() {
            0 => device.to_string(),
            1 => format!("1 epoch in {seconds:.1} s on {device}: {speed:.0} images/s"),
            n => format!("{n} epochs in {seconds:.1} s on {device}: up to {speed:.0} images/s"),
        };
        text(&head, &subtitle, (16, 44), 14, &GREY)?;

        let pair = |train: fn(&EpochRecord) -> Option<f64>, test: fn(&EpochRecord) -> Option<f64>| {
            let values = |of: fn(&EpochRecord) -> Option<f64>| epochs.iter().map(|e| of(e).unwrap_or(f64::NAN)).collect();
            [Curve { name: "train", color: BLUE, values: values(train) }, Curve { name: "test", color: ORANGE, values: values(test) }]
        };
        let losses = pair(|e| Some(e.train_loss), |e| e.test_loss);
        chart::curves(&left, "Loss", &losses, (0.0, 0.0), |v| format!("{v:.2}"))?;
        let accuracies = pair(|e| e.train_accuracy, |e| e.test_accuracy);
        chart::curves(&right, "Accuracy", &accuracies, (0.95, 1.0), |v| format!("{:.0} %", v * 100.0))?;
        draw_confusion(&matrix, &evaluation.confusion)?;
        draw_mistakes(&wrong, mistakes)
    })
}

/// A heat map: rows are what an image is, columns what it was taken for; blue is right, orange wrong.
fn draw_confusion(area: &Area, confusion: &[Vec<u64>]) -> anyhow::Result<()> {
    text(area, "Confusion matrix", (16, 6), 17, &INK)?;
    let (left, top) = (72, 58);
    let cell = (460 / confusion.len().max(1) as i32).max(1);
    let centered = |size: i32, color: &RGBColor| ("sans-serif", size).into_font().color(color).pos(Pos::new(HPos::Center, VPos::Center));
    let side = cell * confusion.len() as i32;
    area.draw_text("taken for", &centered(13, &GREY), (left + side / 2, top - 28))?;
    let sideways = centered(13, &GREY).transform(FontTransform::Rotate270);
    area.draw_text("is", &sideways, (left - 34, top + side / 2))?;
    for (actual, row) in confusion.iter().enumerate() {
        let total: u64 = row.iter().sum();
        let middle = |i: usize| i as i32 * cell + cell / 2;
        if cell >= 12 {
            let font = centered(cell.min(26) / 2, &INK);
            area.draw_text(&actual.to_string(), &font, (left - 12, top + middle(actual)))?;
            area.draw_text(&actual.to_string(), &font, (left + middle(actual), top - 10))?;
        }
        for (predicted, &count) in row.iter().enumerate() {
            let share = count as f64 / total.max(1) as f64;
            // Mistakes are few: their root shows differences that their share would not.
            let (color, strength) = if actual == predicted { (BLUE, share) } else { (ORANGE, (share * 25.0).sqrt().min(1.0)) };
            let (x, y) = (left + predicted as i32 * cell, top + actual as i32 * cell);
            let gap = i32::from(cell > 8);
            area.draw(&Rectangle::new([(x, y), (x + cell - gap, y + cell - gap)], blend(color, strength).filled()))?;
            if count > 0 && cell >= 20 {
                let ink = if strength > 0.7 { &WHITE } else { &INK };
                area.draw_text(&count.to_string(), &centered(cell / 3, ink), (x + cell / 2, y + cell / 2))?;
            }
        }
    }
    Ok(())
}

/// The surest mistakes, as images.
fn draw_mistakes(area: &Area, mistakes: &[Mistake]) -> anyhow::Result<()> {
    const TILE: usize = 84;
    let shown = mistakes.len().min(20);
    let title = match (mistakes.len(), shown) {
        (0, _) => "No mistakes".to_string(),
        (all, shown) if all > shown => format!("The surest {shown} of {all} mistakes"),
        (all, _) => format!("All {all} mistakes, the surest first"),
    };
    text(area, &title, (16, 6), 17, &INK)?;
    for (place, mistake) in mistakes.iter().take(shown).enumerate() {
        let (left, top) = (16 + (place % 5) as i32 * 106, 40 + (place / 5) as i32 * 122);
        tile::draw(area, (left, top), mistake.size, &mistake.pixels, TILE)?;
        let caption = format!("{}, taken for {}", mistake.actual, mistake.predicted);
        text(area, &caption, (left, top + TILE as i32 + 6), 12, &INK)?;
        text(area, &format!("{:.0} % sure", mistake.sureness * 100.0), (left, top + TILE as i32 + 20), 11, &GREY)?;
    }
    Ok(())
}

/// A color over white.
fn blend(color: RGBColor, strength: f64) -> RGBColor {
    let part = |c: u8| (255.0 - (255.0 - f64::from(c)) * strength).round() as u8;
    // What holds nothing is not quite white, so that the matrix shows where it ends.
    if strength <= 0.0 { RGBColor(0xf5, 0xf6, 0xf8) } else { RGBColor(part(color.0), part(color.1), part(color.2)) }
}
