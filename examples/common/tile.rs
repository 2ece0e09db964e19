//! A grey image in a picture.

use plotters::prelude::*;

use crate::chart::Area;

/// Draws an image, row by row from 0 (black) to 1 (white), with its upper left corner at a place, in a square of so many pixels.
pub fn draw(area: &Area, (left, top): (i32, i32), [height, width]: [usize; 2], pixels: &[f32], square: usize) -> anyhow::Result<()> {
    // A pixel becomes a square of whole pixels; of an image larger than its square, some pixels are left out.
    let side = height.max(width).max(1);
    let (every, scale) = (side.div_ceil(square), (square / side).max(1));
    let extent = |pixels: usize| (pixels.div_ceil(every) * scale) as i32;
    area.draw(&Rectangle::new([(left, top), (left + extent(width), top + extent(height))], BLACK.filled()))?;
    for (y, row) in pixels.chunks(width.max(1)).step_by(every).enumerate() {
        let shades: Vec<u8> = row.iter().step_by(every).map(|&v| (v.clamp(0.0, 1.0) * 15.0).round() as u8).collect();
        let mut x = 0;
        // Neighbours of one shade become one rectangle; black is there already.
        for run in shades.chunk_by(|a, b| a == b) {
            let shade = run[0] * 17;
            let corner = |x: usize, y: usize| (left + (x * scale) as i32, top + (y * scale) as i32);
            if shade > 0 {
                let color = RGBColor(shade, shade, shade);
                area.draw(&Rectangle::new([corner(x, y), corner(x + run.len(), y + 1)], color.filled()))?;
            }
            x += run.len();
        }
    }
    Ok(())
}
