//! Images mirrored, cropped, erased, made brighter and noisy at random: what is drawn, and what is left of the images.

use noyau_compile::{Graph, Limits, Options, compile};
use noyau_nn::*;
use noyau_tensor::{DType, Shape, Tensor};

use crate::oracle::{call, message, reals};

/// What a layer makes of the same images `[batch, channels, height, width]` with values from 0 to 1, no two of an image the same.
fn made(layer: &dyn Module, shape: [usize; 4]) -> (Vec<f64>, Vec<f64>) {
    let each = shape[1..].iter().product::<usize>();
    let images: Vec<f64> = (0..shape[0] * each).map(|i| (i % each) as f64 / each as f64).collect();
    let found = call(&[reals(shape, &images)], |x| vec![layer.forward(&x[0], &Mode::train())]).unwrap().remove(0);
    (images, found)
}

/// Within four standard deviations of what so many draws of a probability give.
#[track_caller]
fn likely(count: usize, of: usize, p: f64) {
    let (mean, deviation) = (of as f64 * p, (of as f64 * p * (1.0 - p)).sqrt());
    assert!((count as f64 - mean).abs() <= 4.0 * deviation, "{count} of {of}, about {mean} expected");
}

#[test]
fn a_flip_twice_is_the_image_again() {
    for (flip, wanted) in [
        (&RandomHorizontalFlip(1.0) as &dyn Module, [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]),
        (&RandomVerticalFlip(1.0), [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]),
    ] {
        let (images, once) = made(flip, [3, 1, 2, 3]);
        assert_eq!(once[..6].iter().map(|v| (v * 6.0).round()).collect::<Vec<_>>(), wanted);
        let twice = call(&[reals([3, 1, 2, 3], &once)], |x| vec![flip.forward(&x[0], &Mode::train())]).unwrap().remove(0);
        assert_eq!(twice, images);
    }
}

#[test]
fn each_image_has_a_draw_of_its_own() {
    let (images, found) = made(&RandomHorizontalFlip(0.25), [1000, 1, 1, 2]);
    let flipped = images.chunks(2).zip(found.chunks(2)).filter(|(a, b)| a != b).count();
    likely(flipped, 1000, 0.25);
    // Two layers of one step draw apart.
    let images = reals([64, 1, 1, 2], &images[..128]);
    let flip = |x: &[Tensor]| RandomHorizontalFlip(0.5).forward(&x[0], &Mode::train());
    let both = call(&[images], |x| vec![flip(x), flip(x)]).unwrap();
    assert_ne!(both[0], both[1]);
    // One layer at one step of one seed draws the same numbers each time it is run.
    let layer = Tensor::rand([4]);
    assert_eq!(call(&[], |_| vec![layer.clone()]).unwrap(), call(&[], |_| vec![layer.clone()]).unwrap());
}

#[test]
fn crops_are_windows_and_all_of_them_come() {
    let (_, found) = made(&RandomCrop::new([2, 2]), [900, 1, 4, 4]);
    let mut counts = [0; 9];
    for crop in found.chunks(4) {
        let first = (crop[0] * 16.0).round() as usize;
        let (top, left) = (first / 4, first % 4);
        let wanted = [first, first + 1, first + 4, first + 5].map(|i| i as f64 / 16.0);
        assert!(crop.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{crop:?}");
        counts[top * 3 + left] += 1;
    }
    counts.iter().for_each(|&count| likely(count, 900, 1.0 / 9.0));
    // What is added lies outside: as many as the shift leaves.
    let (_, found) = made(&RandomCrop::new([3, 3]).padding(1).fill(7.0), [200, 1, 3, 3]);
    let added: Vec<usize> = found.chunks(9).map(|crop| crop.iter().filter(|v| **v == 7.0).count()).collect();
    assert!(added.iter().all(|n| [0, 3, 5].contains(n)), "{added:?}");
    likely(added.iter().filter(|n| **n == 0).count(), 200, 1.0 / 9.0);
}

#[test]
fn resized_crops_stay_inside() {
    let (_, found) = made(&RandomResizedCrop::new([5, 7]).scale(0.1, 0.9), [200, 1, 6, 8]);
    // The image is a slope: so is every part of it, darker parts and lighter ones, and no zeros come in from outside.
    let spans: Vec<f64> = found.chunks(35).map(|crop| crop[34] - crop[0]).collect();
    assert!(
        found.chunks(35).all(
            |crop| crop.windows(7).step_by(7).all(|row| row.is_sorted()) && crop.iter().all(|v| (0.0..=47.0 / 48.0 + 1e-9).contains(v))
        )
    );
    assert!(spans.iter().any(|s| *s > 0.8) && spans.iter().any(|s| *s < 0.5), "{spans:?}");
    // The whole of a square at the same size is the image itself.
    let (images, found) = made(&RandomResizedCrop::new([4, 4]).scale(1.0, 1.0).ratio(1.0, 1.0), [2, 1, 4, 4]);
    assert!(images.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
}

#[test]
fn erased_parts_are_rectangles_of_the_size_asked_for() {
    let (height, width) = (20, 30);
    let (images, found) = made(&RandomErasing::new(0.5).value(9.0), [400, 1, height, width]);
    let mut erased = 0;
    for (before, after) in images.chunks(height * width).zip(found.chunks(height * width)) {
        let gone: Vec<[usize; 2]> = (0..height * width).filter(|&i| after[i] == 9.0).map(|i| [i / width, i % width]).collect();
        assert!(before.iter().zip(after).all(|(a, b)| a == b || *b == 9.0));
        if gone.is_empty() {
            continue;
        }
        erased += 1;
        let side = |axis: usize| 1 + gone.iter().map(|p| p[axis]).max().unwrap() - gone.iter().map(|p| p[axis]).min().unwrap();
        assert_eq!(side(0) * side(1), gone.len(), "no rectangle");
        let share = gone.len() as f64 / (height * width) as f64;
        // A side is rounded to whole pixels.
        assert!((0.01..=0.36).contains(&share), "{share}");
        assert!((0.2..4.5).contains(&(side(0) as f64 / side(1) as f64)), "{} x {}", side(0), side(1));
    }
    likely(erased, 400, 0.5);
}

#[test]
fn brightness_and_contrast_are_torchvisions() {
    // adjust_brightness: f x. adjust_contrast: f x + (1 - f) mean.
    let (images, found) = made(&ColorJitter::new(0.4, 0.0), [300, 1, 2, 2]);
    let factors: Vec<f64> = images.chunks(4).zip(found.chunks(4)).map(|(a, b)| b[1] / a[1]).collect();
    for (i, f) in factors.iter().enumerate() {
        assert!((0.6..=1.4).contains(f) && (found[i * 4 + 3] - (0.75 * f).min(1.0)).abs() < 1e-6);
    }
    likely(factors.iter().filter(|f| **f > 1.2).count(), 300, 0.25);
    let (images, found) = made(&ColorJitter::new(0.0, 0.3), [300, 3, 1, 2]);
    for (a, b) in images.chunks(6).zip(found.chunks(6)) {
        let grey = |i: usize| 0.2989 * a[i] + 0.587 * a[i + 2] + 0.114 * a[i + 4];
        let mean = (grey(0) + grey(1)) / 2.0;
        let f = (b[3] - b[2]) / (a[3] - a[2]);
        assert!((0.7 - 1e-6..=1.3 + 1e-6).contains(&f), "{f}");
        assert!(a.iter().zip(b).all(|(a, b)| ((f * a + (1.0 - f) * mean).clamp(0.0, 1.0) - b).abs() < 1e-6), "{b:?}");
    }
    // No factor is below 0.
    assert!(made(&ColorJitter::new(5.0, 0.0), [100, 1, 2, 2]).1.iter().all(|v| (0.0..=1.0).contains(v)));
}

#[test]
fn noise_has_its_mean_and_deviation() {
    let (images, found) = made(&GaussianNoise::new(0.5, 2.0).clip(false), [4, 1, 50, 50]);
    let noise: Vec<f64> = images.iter().zip(&found).map(|(a, b)| b - a).collect();
    let mean = noise.iter().sum::<f64>() / 1e4;
    let deviation = (noise.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
    assert!((mean - 0.5).abs() < 0.08 && (deviation - 2.0).abs() < 0.06, "{mean} {deviation}");
    let (_, clipped) = made(&GaussianNoise::new(0.0, 1.0), [4, 1, 5, 5]);
    assert!(clipped.iter().all(|v| (0.0..=1.0).contains(v)) && clipped.contains(&0.0) && clipped.contains(&1.0));
}

fn all() -> Vec<Box<dyn Module>> {
    vec![
        Box::new(RandomHorizontalFlip(0.5)),
        Box::new(RandomVerticalFlip(0.5)),
        Box::new(RandomCrop::new([4, 5]).padding(2)),
        Box::new(RandomResizedCrop::new([4, 5])),
        Box::new(RandomErasing::new(0.5)),
        Box::new(ColorJitter::new(0.5, 0.5)),
        Box::new(GaussianNoise::new(0.0, 0.1)),
    ]
}

#[test]
fn evaluation_leaves_images_as_they_are() {
    let wrong = Tensor::zeros([2]).matmul(&Tensor::zeros([3]));
    for layer in all() {
        let x = Tensor::iota([2, 3, 4, 5], 3).to(DType::F32);
        assert_eq!(layer.forward(&x, &Mode::eval()).id(), x.id());
        let trained = layer.forward(&x, &Mode::train());
        assert!(trained.id() != x.id() && trained.shape() == x.shape(), "{trained:?}");
        // No images are no mistake; what is no image is, and an earlier mistake is the one to report.
        let none = layer.forward(&Tensor::zeros([0, 3, 4, 5]), &Mode::train());
        assert!(none.error().is_none() && none.shape()[..] == [0, 3, 4, 5], "{none:?}");
        let found = message(&layer.forward(&Tensor::zeros([3, 4, 5]), &Mode::eval()));
        assert!(
            found.contains("f32[3, 4, 5] are not f32[batch, channels, height, width]") && found.contains("augmentations.rs"),
            "{found}"
        );
        assert!(message(&layer.forward(&wrong, &Mode::train())).contains("matmul"));
    }
    // Sizes that differ: the middle, or the whole made smaller.
    let x = Tensor::arange(25).to(DType::F32).reshape([1, 1, 5, 5]);
    let middle = call(&[], |_| vec![RandomCrop::new([1, 3]).padding(9).forward(&x, &Mode::eval())]).unwrap().remove(0);
    assert_eq!(middle, [11.0, 12.0, 13.0]);
    assert_eq!(RandomResizedCrop::new([2, 3]).forward(&x, &Mode::eval()).shape()[..], [1, 1, 2, 3]);
}

#[test]
fn what_cannot_be_asked_for() {
    let x = Tensor::zeros([2, 2, 4, 4]);
    let says = |layer: &dyn Module, parts: &[&str]| {
        for mode in [Mode::train(), Mode::eval()] {
            let found = message(&layer.forward(&x, &mode));
            assert!(parts.iter().all(|part| found.contains(part)), "`{found}` does not say {parts:?}");
        }
    };
    says(&RandomHorizontalFlip(1.5), &["RandomHorizontalFlip: p", "1.5 does not lie in 0..=1"]);
    says(&RandomVerticalFlip(f64::NAN), &["RandomVerticalFlip: p", "NaN"]);
    says(&RandomCrop::new([5, 4]), &["RandomCrop", "no window of 5 x 4 in images [2, 2, 4, 4]"]);
    says(&RandomCrop::new([0, 4]), &["no window of 0 x 4"]);
    says(&RandomCrop::new([4, 4]).fill(f64::INFINITY), &["RandomCrop: fill", "inf is not a finite number"]);
    says(&RandomResizedCrop::new([0, 4]), &["RandomResizedCrop: size", "0 x 4 has no pixels"]);
    says(&RandomResizedCrop::new([4, 4]).scale(0.0, 1.0), &["RandomResizedCrop: scale", "0 is not a positive number"]);
    says(&RandomResizedCrop::new([4, 4]).ratio(2.0, 1.0), &["RandomResizedCrop: ratio", "2 to 1 is no range"]);
    says(&RandomErasing::new(-0.1), &["RandomErasing: p", "-0.1 does not lie in 0..=1"]);
    says(&RandomErasing::new(0.1).scale(0.5, 2.0), &["RandomErasing: scale", "2 does not lie in 0..=1"]);
    says(&RandomErasing::new(0.1).value(f64::NAN), &["RandomErasing: value", "NaN"]);
    says(&ColorJitter::new(-1.0, 0.0), &["ColorJitter: brightness", "-1 is negative"]);
    says(&ColorJitter::new(0.0, 0.5), &["ColorJitter", "2 channels (not 1 or 3)"]);
    says(&GaussianNoise::new(0.0, -1.0), &["GaussianNoise: sigma", "-1 is negative"]);
    let huge = message(&RandomCrop::new([4, 4]).padding(usize::MAX).forward(&x, &Mode::train()));
    assert!(huge.contains("no window of 4 x 4"), "{huge}");
}

/// Flips, colours, noise and erasing are elementwise; only a mean has to be known first, and what is drawn once for an image is a small kernel of
/// its own where it takes many operations. A crop gathers from a copy with its frame; a resized one samples at places that are a product.
#[test]
fn augmentation_is_few_kernels() {
    let kernels = |layer: &dyn Module| {
        let shape = Shape::from([32, 3, 32, 32]);
        let x = Tensor::input(0, &shape, DType::F32);
        let graph = Graph::trace(&[(shape, DType::F32)], &[&layer.forward(&x, &Mode::train())], &[]).unwrap();
        let plan = compile(&graph, Options::new(Limits::GPU)).unwrap();
        (plan.kernels.len(), plan.to_string())
    };
    for (layer, most) in all().into_iter().zip([1, 1, 2, 8, 3, 2, 1]) {
        let (count, plan) = kernels(&*layer);
        assert!(count <= most, "{count} kernels, not {most}:\n{plan}");
    }
    let elementwise = Sequential::new()
        .then(RandomHorizontalFlip(0.5))
        .then(RandomVerticalFlip(0.5))
        .then(ColorJitter::new(0.4, 0.0))
        .then(GaussianNoise::new(0.0, 0.1))
        .then(RandomErasing::new(0.5));
    let (count, plan) = kernels(&elementwise);
    assert!(count <= 3, "{plan}");
}
