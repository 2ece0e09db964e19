//! A drawing as an image of MNIST.

use super::{PIXELS, SIDE};

/// The side of the box that a digit is made to fit.
const BOX: f64 = 20.0;
/// Where MNIST has the centre of mass, from the left and from above: they moved by whole pixels, so it lies from 14 to 15.
const MIDDLE: f64 = 14.5;

/// A square drawing (`side` x `side` values row by row, 0 is empty, 1 is full ink) as MNIST's images were made: scaled so that it just fits a box of 20 x 20
/// pixels, its proportions kept, and laid into 28 x 28 pixels so that its centre of mass is in the middle of pixel 14, counted from 0. A pixel is the mean of what it covers. Nothing drawn, or another
/// number of values, gives nothing.
///
/// Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.
pub fn centred(ink: &[f32], side: usize) -> Option<Vec<f32>> {
    if side == 0 || ink.len() != side * side {
        return None;
    }
    let full = |value: f32| if value.is_finite() { f64::from(value.clamp(0.0, 1.0)) } else { 0.0 };
    // Left, top, right, bottom; the last two are one past the end.
    let (mut bounds, mut mass, mut x, mut y) = ([side, side, 0, 0], 0.0, 0.0, 0.0);
    for (row, values) in ink.chunks_exact(side).enumerate() {
        for (column, &value) in values.iter().enumerate() {
            let value = full(value);
            // Fainter than this is the rim of a stroke, not the drawing.
            if value > 0.05 {
                bounds = [bounds[0].min(column), bounds[1].min(row), bounds[2].max(column + 1), bounds[3].max(row + 1)];
            }
            mass += value;
            x += value * (column as f64 + 0.5);
            y += value * (row as f64 + 0.5);
        }
    }
    let extent = bounds[2].saturating_sub(bounds[0]).max(bounds[3].saturating_sub(bounds[1]));
    if extent == 0 {
        return None;
    }
    // A dot is not blown up to a blot.
    let pixel = (extent as f64 / BOX).max(side as f64 / 140.0);
    let (x, y) = (x / mass, y / mass);
    let edge = |center: f64, place: usize| center + (place as f64 - MIDDLE) * pixel;
    let mut image = Vec::with_capacity(PIXELS);
    for row in 0..SIDE {
        let rows = overlaps(edge(y, row), edge(y, row + 1), side);
        for column in 0..SIDE {
            let mut sum = 0.0;
            for &(r, height) in &rows {
                for (c, width) in overlaps(edge(x, column), edge(x, column + 1), side) {
                    sum += full(ink[r * side + c]) * height * width;
                }
            }
            image.push((sum / (pixel * pixel)) as f32);
        }
    }
    Some(image)
}

/// The places that lie between two numbers, and how much of each.
fn overlaps(from: f64, to: f64, side: usize) -> Vec<(usize, f64)> {
    let (first, last) = (from.floor().max(0.0) as usize, to.ceil().clamp(0.0, side as f64) as usize);
    (first..last).map(|place| (place, to.min(place as f64 + 1.0) - from.max(place as f64))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rectangle(side: usize, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> Vec<f32> {
        (0..side * side).map(|i| if columns.contains(&(i % side)) && rows.contains(&(i / side)) { 1.0 } else { 0.0 }).collect()
    }

    fn centre(image: &[f32]) -> (f64, f64) {
        let mass: f64 = image.iter().map(|&v| f64::from(v)).sum();
        let along =
            |place: fn(usize) -> usize| image.iter().enumerate().map(|(i, &v)| f64::from(v) * (place(i) as f64 + 0.5)).sum::<f64>() / mass;
        (along(|i| i % SIDE), along(|i| i / SIDE))
    }

    #[test]
    fn a_drawing_fills_the_box_wherever_it_was_drawn() {
        // Three of its pixels make one of the image: 20 high, 9 wide, around the middle of pixel 14.
        let image = centred(&rectangle(140, 3..30, 70..130), 140).unwrap();
        let half = |i: usize| if [4, 24].contains(&(i / SIDE)) { 0.5 } else { 1.0 };
        let expected = rectangle(SIDE, 10..19, 4..25);
        for (i, (got, want)) in image.iter().zip(&expected).enumerate() {
            assert!((got - want * half(i)).abs() < 1e-5, "pixel {i}: {got}, not {}", want * half(i));
        }
        assert_eq!(centred(&rectangle(140, 90..117, 10..70), 140).unwrap(), image);
    }

    #[test]
    fn the_centre_of_mass_is_the_middle() {
        // An L, whose centre of mass is not the middle of its box.
        let mut ink = rectangle(100, 10..25, 20..80);
        rectangle(100, 10..50, 65..80).iter().zip(&mut ink).for_each(|(a, b)| *b = b.max(*a));
        let (x, y) = centre(&centred(&ink, 100).unwrap());
        assert!((x - 14.5).abs() < 0.02 && (y - 14.5).abs() < 0.02, "{x}, {y}");
    }

    #[test]
    fn digits_of_mnist_stay_where_they_are() {
        let images = super::super::Images::from_bytes(include_bytes!("../../web/digits.bin")).unwrap();
        let (mut moved, mut mass) = ([0.0; 2], 0.0);
        for index in 0..200 {
            let image = images.test.image(index).unwrap();
            let again = centred(&image, SIDE).unwrap();
            let ((x, y), (u, v)) = (centre(&image), centre(&again));
            // Theirs were moved by whole pixels.
            assert!((x - u).abs() < 0.56 && (y - v).abs() < 0.56, "{index}: {x}, {y} became {u}, {v}");
            moved = [moved[0] + (u - x) / 200.0, moved[1] + (v - y) / 200.0];
            mass += f64::from(again.iter().sum::<f32>() / image.iter().sum::<f32>()) / 200.0;
        }
        assert!(moved.iter().all(|by| by.abs() < 0.08), "{moved:?}");
        assert!((mass - 1.0).abs() < 0.03, "{mass}");
    }

    #[test]
    fn what_is_no_drawing_gives_nothing() {
        assert_eq!(centred(&[0.0; 100], 10), None);
        assert_eq!(centred(&[1.0; 99], 10), None);
        assert_eq!(centred(&[], 0), None);
        assert_eq!(centred(&[f32::NAN; 100], 10), None);
        // One point stays small.
        let dot: f32 = centred(&rectangle(140, 70..71, 70..71), 140).unwrap().iter().sum();
        assert!(dot < 2.0, "{dot}");
        assert!(centred(&[1.0; 100], 10).unwrap().iter().all(|v| (0.0..=1.0001).contains(v)));
    }
}
