//! The map: the plane in the colors of the network's answers, the points in those of the truth, and how it got there.

use std::path::Path;

use noyau::prelude::*;
use plotters::prelude::*;

use crate::chart::{self, BLUE, Curve, GREY, INK, ORANGE, text};

/// Orange at -1 (class 0), white at 0, blue at 1 (class 1).
fn shade(value: f64) -> RGBColor {
    let RGBColor(r, g, b) = if value < 0.0 { ORANGE } else { BLUE };
    let part = |c: u8| (255.0 - (255.0 - f64::from(c)) * value.abs().min(1.0)).round() as u8;
    RGBColor(part(r), part(g), part(b))
}

/// The network's answers as numbers from -1 to 1: of two classes, how much likelier class 1 is than class 0.
fn answers(trainer: &mut Trainer, points: &[f32]) -> noyau::Result<Vec<f64>> {
    let output = trainer.predict(&Array::new([points.len() / 2, 2], points)?)?.to_f64();
    // tanh(z / 2) is sigmoid(z) - sigmoid(-z).
    Ok(if output.len() == points.len() { output.chunks(2).map(|z| ((z[1] - z[0]) / 2.0).tanh()).collect() } else { output })
}

/// Draws it to a file.
pub fn draw(
    file: &Path,
    headline: &str,
    network: &str,
    history: &History,
    trainer: &mut Trainer,
    [train, test]: [&Dataset; 2],
) -> anyhow::Result<()> {
    const CELLS: usize = 120;
    let all = |data: &Dataset| -> anyhow::Result<Vec<(f64, f64, f64)>> {
        let batch = data.batch(&(0..data.len() as u32).collect::<Vec<_>>())?;
        let truth = |target: f64| if data.classes().is_some() { 2.0 * target - 1.0 } else { target };
        Ok(batch.x.to_f64().chunks(2).zip(batch.y.to_f64()).map(|(x, y)| (x[0], x[1], truth(y))).collect())
    };
    let (train, test) = (all(train)?, all(test)?);
    // All points have a place.
    let edge = train.iter().chain(&test).fold(6.0f64, |edge, p| edge.max(p.0.abs()).max(p.1.abs())) * 1.02;
    let at = |i: usize| -edge + 2.0 * edge * i as f64 / CELLS as f64;
    let middle = |i: usize| (at(i) + edge / CELLS as f64) as f32;
    let grid: Vec<f32> = (0..CELLS * CELLS).flat_map(|i| [middle(i % CELLS), middle(i / CELLS)]).collect();
    let answers = answers(trainer, &grid)?;

    chart::save(file, (1120, 730), |area| {
        let (head, rest) = area.split_vertically(70);
        let (left, right) = rest.split_horizontally(650);
        text(&head, headline, (16, 12), 24, &INK)?;
        text(&head, network, (16, 44), 14, &GREY)?;

        let mut map = ChartBuilder::on(&left)
            .margin_right(20)
            .x_label_area_size(34)
            .y_label_area_size(50)
            .build_cartesian_2d(-edge..edge, -edge..edge)?;
        for (y, row) in answers.chunks(CELLS).enumerate() {
            let shades: Vec<i8> = row.iter().map(|v| (v.clamp(-1.0, 1.0) * 12.0).round() as i8).collect();
            let mut x = 0;
            // Neighbours of one shade become one rectangle.
            for run in shades.chunk_by(|a, b| a == b) {
                let corners = [(at(x), at(y)), (at(x + run.len()), at(y + 1))];
                map.draw_series([Rectangle::new(corners, shade(f64::from(run[0]) / 12.0 * 0.6).filled())])?;
                x += run.len();
            }
        }
        map.configure_mesh()
            .disable_mesh()
            .x_label_formatter(&|v| format!("{v:.0}"))
            .y_label_formatter(&|v| format!("{v:.0}"))
            .x_desc("x1")
            .y_desc("x2")
            .label_style(("sans-serif", 12).into_font().color(&GREY))
            .draw()?;
        // Points to train on are filled, those to test on are rings.
        for &(x, y, truth) in &train {
            map.draw_series([Circle::new((x, y), 4, shade(truth).filled()), Circle::new((x, y), 4, WHITE.stroke_width(1))])?;
        }
        for &(x, y, truth) in &test {
            map.draw_series([Circle::new((x, y), 3, WHITE.filled()), Circle::new((x, y), 3, shade(truth).stroke_width(2))])?;
        }

        let values = |of: fn(&EpochRecord) -> Option<f64>| history.epochs.iter().map(|e| of(e).unwrap_or(f64::NAN)).collect();
        let pair = |train, test| {
            [Curve { name: "train", color: RGBColor(0x9a, 0xa4, 0xae), values: train }, Curve { name: "test", color: INK, values: test }]
        };
        let (upper, lower) = right.split_vertically(305);
        let losses = pair(values(|e| Some(e.train_loss)), values(|e| e.test_loss));
        chart::curves(&upper, "Loss", &losses, (0.0, 0.0), |v| format!("{v:.2}"))?;
        let mut below = 20;
        if history.epochs.iter().any(|e| e.test_accuracy.is_some()) {
            let accuracies = pair(values(|e| e.train_accuracy), values(|e| e.test_accuracy));
            let (chart, _) = lower.split_vertically(290);
            chart::curves(&chart, "Accuracy", &accuracies, (0.95, 1.0), |v| format!("{:.0} %", v * 100.0))?;
            below = 300;
        }
        text(&lower, "Filled points were trained on, rings are for testing.", (16, below), 13, &INK)?;
        let classes = "Orange is class 0 (or -1), blue class 1 (or 1): the points' true one,";
        text(&lower, classes, (16, below + 18), 13, &INK)?;
        text(&lower, "and behind them what the network takes them for.", (16, below + 36), 13, &INK)
    })
}
