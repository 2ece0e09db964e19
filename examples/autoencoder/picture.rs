//! The picture: images, what became of them, and the way from one code to another.

use std::path::Path;

use noyau::prelude::*;

use crate::chart::{self, GREY, INK, text};
use crate::tile;

/// Images in a row, their size, and the distance from one to the next.
const COLUMNS: usize = 10;
const SQUARE: usize = 84;
const STEP: i32 = 92;

/// Draws it to a file; `halves` are the trained encoder and decoder.
pub fn draw(
    path: &Path,
    code: usize,
    images: &Dataset,
    trainer: &mut Trainer,
    (encoder, decoder): &(Sequential, Sequential),
) -> anyhow::Result<()> {
    let shape = images.sample_shape();
    let (pixels, size) = (shape.numel(), [shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1)]);
    let chosen = one_of_each(images)?;
    let originals: Vec<f32> = images.batch(&chosen)?.x.to_vec()?;
    let x = Array::new([chosen.len(), pixels], &originals)?;
    let drawn: Vec<f32> = trainer.predict(&x)?.to_vec()?;

    // From the first image's code to the second's, and so on: on a line between the codes, and between the pixels for comparison.
    let session = trainer.session()?;
    let mut encode = session.compile([Spec::f32([chosen.len(), pixels])], |[x]| Step::returns(&encoder.forward(&x, &Mode::eval())))?;
    let codes: Vec<f32> = encode.run(&[&x])?[0].to_vec()?;
    let mut decode = session.compile([Spec::f32([COLUMNS, code])], |[z]| Step::returns(&decoder.forward(&z, &Mode::eval())))?;
    let mut between = |a: usize, b: usize| -> anyhow::Result<[Vec<f32>; 2]> {
        let line = |values: &[f32], width: usize| -> Vec<f32> {
            let row = |i: usize| values[i * width..][..width].iter();
            let share = |step: usize| step as f32 / (COLUMNS - 1) as f32;
            (0..COLUMNS).flat_map(|step| row(a).zip(row(b)).map(move |(a, b)| a + (b - a) * share(step))).collect()
        };
        let codes = Array::new([COLUMNS, code], &line(&codes, code))?;
        Ok([decode.run(&[&codes])?[0].to_vec()?, line(&originals, pixels)])
    };
    let last = chosen.len() - 1;
    let ([by_code, by_pixel], [again, _]) = (between(1.min(last), 7.min(last))?, between(3.min(last), 8.min(last))?);

    let rows: [(&str, &str, &[f32]); 5] = [
        ("Test images", "one of each class", &originals),
        ("Drawn from their codes", &format!("{code} numbers in place of {pixels}"), &drawn),
        ("From code to code", "in equal steps, each drawn by the decoder", &by_code),
        ("From image to image", "the same steps pixel by pixel: two digits over each other", &by_pixel),
        ("From code to code", "two others", &again),
    ];
    chart::save(path, (36 + STEP as u32 * COLUMNS as u32, 10 + 140 * rows.len() as u32), |area| {
        for (place, (title, words, images)) in rows.iter().enumerate() {
            let top = 14 + place as i32 * 140;
            text(area, title, (20, top), 17, &INK)?;
            text(area, words, (230, top + 3), 13, &GREY)?;
            for (column, image) in images.chunks(pixels).enumerate() {
                tile::draw(area, (20 + column as i32 * STEP, top + 28), size, image, SQUARE)?;
            }
        }
        Ok(())
    })
}

/// The first image of each of the first classes; where there are fewer, of those that there are.
fn one_of_each(images: &Dataset) -> anyhow::Result<Vec<u32>> {
    let labels: Vec<u32> = images.batch(&(0..images.len().min(2000) as u32).collect::<Vec<_>>())?.y.to_vec()?;
    let first = |class: u32| labels.iter().position(|&label| label == class).map(|i| i as u32);
    Ok((0..COLUMNS as u32).filter_map(first).collect())
}
