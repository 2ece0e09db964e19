//! Images sampled at fractional places and moved at random: against plain loops, and against what is left of a spot after it was moved.

use noyau_cpu::Values;
use noyau_nn::*;
use noyau_tensor::{DType, Tensor};

use crate::oracle::{assert_close, call, message, reals};

/// Numbers between -1 and 1 in no order.
fn scattered(n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * i * 37 + i * 11) % 199) as f64 / 99.0 - 1.0).collect()
}

/// Bilinear sampling of one channel as its definition has it: each of the four pixels around the place, if it is there.
fn sampled(image: &[f64], [height, width]: [usize; 2], [across, down]: [f64; 2], align_corners: bool) -> f64 {
    let place = |at: f64, size: usize| {
        let size = size as f64;
        if align_corners { (at + 1.0) / 2.0 * (size - 1.0) } else { ((at + 1.0) * size - 1.0) / 2.0 }
    };
    let (x, y) = (place(across, width), place(down, height));
    let mut sum = 0.0;
    for row in [y.floor(), y.floor() + 1.0] {
        for column in [x.floor(), x.floor() + 1.0] {
            if row >= 0.0 && row < height as f64 && column >= 0.0 && column < width as f64 {
                sum += (1.0 - (x - column).abs()) * (1.0 - (y - row).abs()) * image[row as usize * width + column as usize];
            }
        }
    }
    sum
}

#[test]
fn grid_sample_is_what_a_loop_gives() {
    let (batch, channels, height, width, rows, columns) = (2, 3, 4, 5, 6, 7);
    let images = scattered(batch * channels * height * width);
    // Up to twice the image away: most of one border is seen, and much of what is beyond it.
    let mut grid: Vec<f64> = scattered(batch * rows * columns * 2).iter().map(|v| v * 2.0).collect();
    // Corners, centres of pixels, just outside, and far away.
    let special = [-1.0, 1.0, -0.8, 0.8, 0.0, 1.2, -1.2, 1.25, -1.25, 1.3, -1.3, 1e6, -1e6, 1e30, -1e30];
    grid[..special.len()].copy_from_slice(&special);
    grid[special.len()..2 * special.len()].copy_from_slice(&special);
    for align in [false, true] {
        let arguments = [reals([batch, channels, height, width], &images), reals([batch, rows, columns, 2], &grid)];
        let found = call(&arguments, |t| vec![grid_sample(&t[0], &t[1], align)]).unwrap().remove(0);
        let mut wanted = Vec::new();
        for n in 0..batch {
            for c in 0..channels {
                let image = &images[(n * channels + c) * height * width..][..height * width];
                let places = grid[n * rows * columns * 2..][..rows * columns * 2].chunks(2);
                wanted.extend(places.map(|p| sampled(image, [height, width], [p[0], p[1]], align)));
            }
        }
        assert_close(&found, &wanted, 1e-6);
    }
}

fn moved(image: &Values, map: [f64; 6]) -> Vec<f64> {
    let [batch, channels, height, width] = image.shape[..] else { panic!("{} is no image", image.shape) };
    let maps: Vec<f64> = (0..batch).flat_map(|_| map).collect();
    let grid = |maps: &Tensor| affine_grid(maps, [batch, channels, height, width], false);
    call(&[image.clone(), reals([batch, 2, 3], &maps)], |t| vec![grid_sample(&t[0], &grid(&t[1]), false)]).unwrap().remove(0)
}

#[test]
fn maps_say_where_each_pixel_comes_from() {
    let image = reals([1, 1, 2, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_close(&moved(&image, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 1e-6);
    // From half a width to the right, which is two pixels; from a pixel above.
    assert_close(&moved(&image, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]), &[3.0, 4.0, 0.0, 0.0, 7.0, 8.0, 0.0, 0.0], 1e-6);
    assert_close(&moved(&image, [1.0, 0.0, 0.0, 0.0, 1.0, -1.0]), &[0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0], 1e-6);
    assert_close(&moved(&image, [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), &[4.0, 3.0, 2.0, 1.0, 8.0, 7.0, 6.0, 5.0], 1e-6);
    // A quarter turn of a square: across comes from down, and down from across the other way.
    let square = reals([1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    assert_close(&moved(&square, [0.0, 1.0, 0.0, -1.0, 0.0, 0.0]), &[3.0, 1.0, 4.0, 2.0], 1e-6);
    // The outermost centres, or the edges half a pixel beyond them.
    let grid = |align| call(&[], |_| vec![affine_grid(&Tensor::new(&[1.0f32, 0.0, 0.0, 0.0, 1.0, 0.0], [1, 2, 3]), [1, 1, 1, 2], align)]);
    assert_close(&grid(true).unwrap()[0], &[-1.0, 0.0, 1.0, 0.0], 1e-6);
    assert_close(&grid(false).unwrap()[0], &[-0.5, 0.0, 0.5, 0.0], 1e-6);
}

const BATCH: usize = 96;
const HEIGHT: usize = 41;
const WIDTH: usize = 61;

/// Where a round spot `[across, down]` of the image's centre lies after it was moved, and its brightness as a share of what it was, image by
/// image.
fn spots(augment: RandomAffine, spot: [f64; 2]) -> Vec<([f64; 2], f64)> {
    let from_centre = |pixel: usize, size: usize| pixel as f64 - (size as f64 - 1.0) / 2.0;
    let brightness = |i: usize| {
        let (x, y) = (from_centre(i % WIDTH, WIDTH), from_centre(i / WIDTH, HEIGHT));
        (-((x - spot[0]).powi(2) + (y - spot[1]).powi(2)) / 4.5).exp()
    };
    let image: Vec<f64> = (0..HEIGHT * WIDTH).map(brightness).collect();
    let images: Vec<f64> = (0..BATCH).flat_map(|_| image.clone()).collect();
    let shape = [BATCH, 1, HEIGHT, WIDTH];
    let found = call(&[reals(shape, &images)], |x| vec![augment.forward(&x[0], &Mode::train())]).unwrap().remove(0);
    let of = |image: &[f64]| {
        let mass: f64 = image.iter().sum();
        let mean = |at: &dyn Fn(usize) -> f64| image.iter().enumerate().map(|(i, v)| v * at(i)).sum::<f64>() / mass;
        ([mean(&|i| from_centre(i % WIDTH, WIDTH)), mean(&|i| from_centre(i / WIDTH, HEIGHT))], mass)
    };
    let before = of(&image).1;
    found.chunks(HEIGHT * WIDTH).map(of).map(|(at, mass)| (at, mass / before)).collect()
}

/// All values lie in the range, and some near either end, about as many above its middle as below.
#[track_caller]
fn fill(values: &[f64], low: f64, high: f64) {
    let slack = (high - low) * 0.01 + 1e-3;
    assert!(values.iter().all(|v| (low - slack..=high + slack).contains(v)), "beyond {low}..{high}: {values:?}");
    let near = (high - low) * 0.1;
    assert!(values.iter().any(|v| *v < low + near) && values.iter().any(|v| *v > high - near), "not up to {low}..{high}: {values:?}");
    let above = values.iter().filter(|v| **v > (low + high) / 2.0).count();
    assert!((BATCH / 4..=BATCH * 3 / 4).contains(&above), "{above} of {} above the middle", values.len());
}

#[test]
fn images_turn_about_their_centre() {
    // A turn keeps distances in pixels, though the image is wider than high.
    let found = spots(RandomAffine::new(50.0), [12.0, 0.0]);
    found.iter().for_each(|([x, y], mass)| assert!((x.hypot(*y) - 12.0).abs() < 0.05 && (mass - 1.0).abs() < 0.02, "{x}, {y}, {mass}"));
    fill(&found.iter().map(|([x, y], _)| y.atan2(*x).to_degrees()).collect::<Vec<_>>(), -50.0, 50.0);
}

#[test]
fn images_are_scaled_about_their_centre() {
    let found = spots(RandomAffine::new(0.0).scale(0.5, 1.5), [8.0, 6.0]);
    let factors: Vec<f64> = found.iter().map(|([x, _], _)| x / 8.0).collect();
    fill(&factors, 0.5, 1.5);
    for (([x, y], mass), factor) in found.iter().zip(&factors) {
        // Along both axes alike, so that its area has the factor twice.
        assert!((y / 6.0 - factor).abs() < 0.01 && (mass.sqrt() - factor).abs() < 0.02, "{x}, {y}, {mass}");
    }
}

#[test]
fn images_are_shifted_after_they_were_turned() {
    let found = spots(RandomAffine::new(180.0).translate(0.2, 0.1), [0.0, 0.0]);
    fill(&found.iter().map(|([x, _], _)| *x / WIDTH as f64).collect::<Vec<_>>(), -0.2, 0.2);
    fill(&found.iter().map(|([_, y], _)| *y / HEIGHT as f64).collect::<Vec<_>>(), -0.1, 0.1);
    // Otherwise a shift across would have become one down in some images.
    let found = spots(RandomAffine::new(180.0).translate(0.2, 0.0).scale(0.5, 1.0), [0.0, 0.0]);
    assert!(found.iter().all(|([_, y], _)| y.abs() < 0.02), "{found:?}");
    fill(&found.iter().map(|([x, _], _)| *x / WIDTH as f64).collect::<Vec<_>>(), -0.2, 0.2);
}

#[test]
fn nothing_moves_in_evaluation() {
    let x = Tensor::iota([2, 3, 4, 5], 3).to(DType::F32);
    let augment = RandomAffine::new(30.0).translate(0.1, 0.1).scale(0.5, 2.0);
    assert_eq!(augment.forward(&x, &Mode::eval()).id(), x.id());
    assert_eq!(RandomAffine::new(0.0).forward(&x, &Mode::train()).id(), x.id());
    assert_ne!(augment.forward(&x, &Mode::train()).id(), x.id());
    // No images are no mistake.
    let none = augment.forward(&Tensor::zeros([0, 1, 3, 3]), &Mode::train());
    assert!(none.error().is_none() && none.shape()[..] == [0, 1, 3, 3]);
}

#[test]
fn halves_are_sampled_in_f32() {
    let x = Tensor::iota([1, 1, 2, 4], 3).to(DType::F16);
    let moved = RandomAffine::new(30.0).forward(&x, &Mode::train());
    assert_eq!((moved.dtype(), &moved.shape()[..]), (DType::F32, &[1, 1, 2, 4][..]), "{moved:?}");
}

/// One row, one column, one pixel: there is nothing to divide by.
#[test]
fn images_of_one_pixel() {
    for (shape, size) in [([1, 1, 1, 1], 1), ([1, 1, 1, 3], 3), ([1, 1, 3, 1], 3)] {
        let image = reals(shape, &vec![2.0; size]);
        assert_close(&moved(&image, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), &vec![2.0; size], 1e-6);
        let found = call(&[image], |x| vec![RandomAffine::new(20.0).scale(0.9, 1.1).forward(&x[0], &Mode::train())]).unwrap();
        assert!(found[0].iter().all(|v| v.is_finite()), "{found:?}");
    }
}

#[test]
fn what_cannot_be_moved() {
    let x = Tensor::zeros([2, 1, 4, 4]);
    let says = |augment: RandomAffine, parts: &[&str]| {
        for mode in [Mode::train(), Mode::eval()] {
            let found = message(&augment.forward(&x, &mode));
            assert!(parts.iter().all(|part| found.contains(part)), "`{found}` does not say {parts:?}");
        }
    };
    says(RandomAffine::new(-1.0), &["RandomAffine: degrees", "-1 is negative"]);
    says(RandomAffine::new(f64::NAN), &["degrees", "NaN"]);
    says(RandomAffine::new(1.0).translate(0.1, 1.5), &["RandomAffine: translate", "1.5 does not lie in 0..=1"]);
    says(RandomAffine::new(1.0).scale(0.0, 1.0), &["RandomAffine: scale", "0 is not a positive number"]);
    says(RandomAffine::new(1.0).scale(1.2, 0.8), &["RandomAffine: scale", "1.2 to 0.8 is no range"]);
    says(RandomAffine::new(1.0).scale(1.0, f64::INFINITY), &["RandomAffine: scale", "inf is not a finite number"]);
    let found = message(&RandomAffine::new(1.0).forward(&Tensor::zeros([2, 4, 4]), &Mode::train()));
    assert!(
        found.contains("the images f32[2, 4, 4] are not f32[batch, channels, height, width]") && found.contains("augment.rs"),
        "{found}"
    );

    let grid = |shape: &[usize]| message(&grid_sample(&x, &Tensor::zeros(shape), false));
    assert!(grid(&[2, 4, 4]).contains("the grid [2, 4, 4] is not [batch, rows, columns, 2]"));
    assert!(grid(&[2, 4, 4, 3]).contains("the grid [2, 4, 4, 3]"));
    assert!(grid(&[3, 4, 4, 2]).contains("a grid of f32[3, 4, 4, 2] for images [2, 1, 4, 4]: needs f32[2, rows, columns, 2]"));
    assert!(message(&grid_sample(&Tensor::arange(4), &Tensor::zeros([1, 1, 1, 2]), false)).contains("u32[4]"));
    assert!(message(&grid_sample(&x, &Tensor::zeros([2, 4, 4, 2]).to(DType::I32), false)).contains("i32[2, 4, 4, 2]"));
    let maps = |shape: &[usize], size| message(&affine_grid(&Tensor::zeros(shape), size, false));
    assert!(maps(&[2, 3, 2], [2, 1, 4, 4]).contains("the maps are f32[2, 3, 2], not f32[2, 2, 3]"));
    assert!(maps(&[1, 2, 3], [1, 1, usize::MAX, 2]).contains("more pixels than can be addressed"));
    // An earlier mistake is the one to report.
    let wrong = Tensor::zeros([2]).matmul(&Tensor::zeros([3]));
    for tensor in [
        grid_sample(&wrong, &Tensor::zeros([1]), false),
        grid_sample(&x, &wrong, false),
        affine_grid(&wrong, [1, 1, 1, 1], false),
        RandomAffine::new(5.0).forward(&wrong, &Mode::train()),
    ] {
        assert!(message(&tensor).contains("matmul"), "{}", message(&tensor));
    }
}
