//! The point clouds of TensorFlow Playground.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use noyau_tensor::{Array, Error, Result};

use crate::{Dataset, Rng};

/// Small data sets of points in the plane, made by the rules of TensorFlow Playground (`src/dataset.ts` of
/// <https://github.com/tensorflow/playground>), from which they differ only in the random numbers and the names of the classes.
///
/// A sample is `[x, y]`, between -6 and 6 but for a few strays of [`Points::Gaussians`]. The Playground's class -1 is class 0 here, its
/// class 1 is class 1; the targets of [`Points::Plane`] and [`Points::MultiGaussian`] are real numbers from about -1 to 1, of shape `[1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Points {
    /// A disc of radius 2.5 (class 1) in a ring of radius 3.5 to 5 (class 0). Noise moves the points over the circle that parts the
    /// classes, so that some get the wrong class.
    Circle,
    /// Four squares: class 1 where x and y have the same sign, class 0 where not, with a gap along the axes. Noise works as in
    /// [`Points::Circle`].
    Xor,
    /// Two round clouds, around (2, 2) (class 1) and (-2, -2) (class 0), of variance 0.5 without noise and 4 with a noise of 0.5.
    Gaussians,
    /// Two spiral arms of one and three quarter turns out to radius 5: class 1 starts along +y, class 0 along -y. Noise moves the points.
    Spiral,
    /// Regression: `(x + y) / 10`.
    Plane,
    /// Regression: six cones of radius 2 and height 1, by turns up and down.
    MultiGaussian,
}

impl Points {
    /// All of them.
    pub const ALL: [Points; 6] = [Points::Circle, Points::Xor, Points::Gaussians, Points::Spiral, Points::Plane, Points::MultiGaussian];

    /// The name, as [`FromStr`] takes it: `circle`, `xor`, `gaussians`, `spiral`, `plane`, `multi-gaussian`.
    pub fn name(self) -> &'static str {
        match self {
            Points::Circle => "circle",
            Points::Xor => "xor",
            Points::Gaussians => "gaussians",
            Points::Spiral => "spiral",
            Points::Plane => "plane",
            Points::MultiGaussian => "multi-gaussian",
        }
    }

    /// `n` points in random order; the Playground makes 500. The same arguments make the same points (the last digits may differ between
    /// platforms, whose sines and logarithms do).
    ///
    /// Where the classes are made one after the other, class 1 has half of the points, rounded up.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when `n` is 0 or more than 2^24, or `noise` is not between 0 and 0.5.
    pub fn generate(self, n: usize, noise: f64, seed: u64) -> Result<Dataset> {
        if !(1..=1 << 24).contains(&n) {
            return Err(Error::argument("Points::generate", format!("{n} points were asked for, 1 to {} can be made", 1 << 24)));
        }
        if !(0.0..=0.5).contains(&noise) {
            return Err(Error::argument("Points::generate", format!("the noise {noise} is not between 0 and 0.5")));
        }
        let mut rng = Rng::stream(seed, self as u64);
        let mut points: Vec<Point> = match self {
            Points::Circle => circle(n, noise, &mut rng),
            Points::Xor => (0..n).map(|_| xor(noise, &mut rng)).collect(),
            Points::Gaussians => gaussians(n, noise, &mut rng),
            Points::Spiral => spiral(n, noise, &mut rng),
            Points::Plane => (0..n).map(|_| regression(noise, &mut rng, |x, y| (x + y) / 10.0)).collect(),
            Points::MultiGaussian => (0..n).map(|_| regression(noise, &mut rng, cones)).collect(),
        };
        rng.shuffle(&mut points);
        let features: Vec<f32> = points.iter().flat_map(|p| [p.x as f32, p.y as f32]).collect();
        let features = Array::new([n, 2], &features)?;
        if matches!(self, Points::Plane | Points::MultiGaussian) {
            let values: Vec<f32> = points.iter().map(|p| p.label as f32).collect();
            return Dataset::new(&features, &Array::new([n, 1], &values)?);
        }
        let classes: Vec<u32> = points.iter().map(|p| u32::from(p.label > 0.0)).collect();
        Dataset::new(&features, &Array::new([n], &classes)?)?.with_classes(2)
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Points {
    type Err = Error;

    fn from_str(name: &str) -> Result<Points> {
        Points::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Points::ALL.iter().map(|p| p.name()).collect();
            Error::argument("Points", format!("{name:?} is none of {}", names.join(", ")))
        })
    }
}

struct Point {
    x: f64,
    y: f64,
    label: f64,
}

/// The label of each of `n` points of two classes that are made one after the other, with the point's number in its class and the size
/// of that class.
fn two_classes(n: usize) -> impl Iterator<Item = (f64, usize, usize)> {
    let (first, second) = (n.div_ceil(2), n / 2);
    (0..first).map(move |i| (1.0, i, first)).chain((0..second).map(move |i| (-1.0, i, second)))
}

fn circle(n: usize, noise: f64, rng: &mut Rng) -> Vec<Point> {
    const RADIUS: f64 = 5.0;
    let point = |(inside, _, _)| {
        let r = if inside > 0.0 { rng.uniform(0.0, RADIUS * 0.5) } else { rng.uniform(RADIUS * 0.7, RADIUS) };
        let angle = rng.uniform(0.0, 2.0 * PI);
        let (x, y) = (r * angle.sin(), r * angle.cos());
        let noise_x = rng.uniform(-RADIUS, RADIUS) * noise;
        let noise_y = rng.uniform(-RADIUS, RADIUS) * noise;
        let label = if (x + noise_x).hypot(y + noise_y) < RADIUS * 0.5 { 1.0 } else { -1.0 };
        Point { x, y, label }
    };
    two_classes(n).map(point).collect()
}

fn xor(noise: f64, rng: &mut Rng) -> Point {
    const PADDING: f64 = 0.3;
    let mut coordinate = || {
        let v = rng.uniform(-5.0, 5.0);
        if v > 0.0 { v + PADDING } else { v - PADDING }
    };
    let (x, y) = (coordinate(), coordinate());
    let noise_x = rng.uniform(-5.0, 5.0) * noise;
    let noise_y = rng.uniform(-5.0, 5.0) * noise;
    let label = if (x + noise_x) * (y + noise_y) >= 0.0 { 1.0 } else { -1.0 };
    Point { x, y, label }
}

fn gaussians(n: usize, noise: f64, rng: &mut Rng) -> Vec<Point> {
    let variance = 0.5 + noise * (4.0 - 0.5) / 0.5;
    let point = |(label, _, _)| Point { x: rng.normal(2.0 * label, variance), y: rng.normal(2.0 * label, variance), label };
    two_classes(n).map(point).collect()
}

fn spiral(n: usize, noise: f64, rng: &mut Rng) -> Vec<Point> {
    let point = |(label, i, of)| {
        let along = i as f64 / of as f64;
        let r = along * 5.0;
        let t = 1.75 * along * 2.0 * PI + if label > 0.0 { 0.0 } else { PI };
        let x = r * t.sin() + rng.uniform(-1.0, 1.0) * noise;
        let y = r * t.cos() + rng.uniform(-1.0, 1.0) * noise;
        Point { x, y, label }
    };
    two_classes(n).map(point).collect()
}

fn regression(noise: f64, rng: &mut Rng, label: impl Fn(f64, f64) -> f64) -> Point {
    const RADIUS: f64 = 6.0;
    let (x, y) = (rng.uniform(-RADIUS, RADIUS), rng.uniform(-RADIUS, RADIUS));
    let noise_x = rng.uniform(-RADIUS, RADIUS) * noise;
    let noise_y = rng.uniform(-RADIUS, RADIUS) * noise;
    Point { x, y, label: label(x + noise_x, y + noise_y) }
}

fn cones(x: f64, y: f64) -> f64 {
    const CONES: [(f64, f64, f64); 6] =
        [(-4.0, 2.5, 1.0), (0.0, 2.5, -1.0), (4.0, 2.5, 1.0), (-4.0, -2.5, -1.0), (0.0, -2.5, 1.0), (4.0, -2.5, -1.0)];
    CONES.iter().fold(0.0, |highest: f64, &(cx, cy, sign)| {
        let height = sign * (1.0 - (x - cx).hypot(y - cy) / 2.0).clamp(0.0, 1.0);
        if height.abs() > highest.abs() { height } else { highest }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(data: &Dataset) -> Vec<(f32, f32, f32)> {
        let packed = data.packed();
        let xy = packed.features.to_vec::<f32>().unwrap();
        xy.chunks(2).zip(packed.targets.to_f64()).map(|(p, t)| (p[0], p[1], t as f32)).collect()
    }

    #[test]
    fn without_noise_the_classes_are_where_they_belong() {
        for (x, y, label) in points(&Points::Circle.generate(500, 0.0, 1).unwrap()) {
            let r = x.hypot(y);
            assert!(if label > 0.0 { r < 2.501 } else { (3.499..5.001).contains(&r) }, "{x} {y} {label}");
        }
        for (x, y, label) in points(&Points::Xor.generate(500, 0.0, 1).unwrap()) {
            assert!(x.abs().min(y.abs()) >= 0.3 && x.abs().max(y.abs()) <= 5.301 && (x * y > 0.0) == (label > 0.0), "{x} {y} {label}");
        }
        for (x, y, label) in points(&Points::Spiral.generate(500, 0.0, 1).unwrap()) {
            let t = x.hypot(y) / 5.0 * 3.5 * std::f32::consts::PI + if label > 0.0 { 0.0 } else { std::f32::consts::PI };
            assert!((t.sin() * x.hypot(y) - x).abs() < 1e-3 && (t.cos() * x.hypot(y) - y).abs() < 1e-3);
        }
        for (x, y, value) in points(&Points::Plane.generate(500, 0.0, 1).unwrap()) {
            assert!((value - (x + y) / 10.0).abs() < 1e-6);
        }
        let gaussians = points(&Points::Gaussians.generate(2000, 0.0, 1).unwrap());
        let mean = gaussians.iter().filter(|p| p.2 > 0.0).map(|p| p.0).sum::<f32>() / 1000.0;
        assert!((mean - 2.0).abs() < 0.1, "{mean}");
    }

    #[test]
    fn both_classes_are_there_in_equal_parts_and_mixed() {
        for kind in [Points::Circle, Points::Gaussians, Points::Spiral] {
            let data = kind.generate(201, 0.0, 3).unwrap();
            assert_eq!((data.len(), data.classes()), (201, Some(2)));
            let labels: Vec<f32> = points(&data).iter().map(|p| p.2).collect();
            assert_eq!(labels.iter().sum::<f32>(), 101.0, "{kind}");
            assert!(labels[..20].contains(&0.0) && labels[..20].contains(&1.0), "{kind}");
        }
    }

    #[test]
    fn noise_mixes_the_classes_and_keeps_to_the_range() {
        for kind in Points::ALL {
            let calm = points(&kind.generate(400, 0.0, 4).unwrap());
            let noisy = points(&kind.generate(400, 0.5, 4).unwrap());
            assert_ne!(calm, noisy, "{kind}");
            if kind != Points::Gaussians {
                assert!(noisy.iter().all(|p| p.0.abs() <= 6.0 && p.1.abs() <= 6.0), "{kind}");
            }
        }
        let circle = points(&Points::Circle.generate(400, 0.5, 4).unwrap());
        assert!(circle.iter().any(|p| p.2 == 1.0 && p.0.hypot(p.1) > 3.4));
    }

    #[test]
    fn cones_peak_at_their_tops() {
        assert_eq!(cones(-4.0, 2.5), 1.0);
        assert_eq!(cones(0.0, 2.5), -1.0);
        assert_eq!(cones(0.0, 0.0), 0.0);
        assert_eq!(cones(4.0, -1.5), -0.5);
    }

    #[test]
    fn seeds_names_and_bad_arguments() {
        for kind in Points::ALL {
            assert_eq!(kind.name().parse::<Points>().unwrap(), kind);
            let a = points(&kind.generate(50, 0.1, 7).unwrap());
            assert_eq!(a, points(&kind.generate(50, 0.1, 7).unwrap()));
            assert_ne!(a, points(&kind.generate(50, 0.1, 8).unwrap()));
            assert_eq!(kind.generate(1, 0.0, 0).unwrap().len(), 1);
            assert!(kind.generate(0, 0.0, 0).is_err() && kind.generate(usize::MAX, 0.0, 0).is_err());
            for noise in [-0.1, 0.51, f64::NAN] {
                assert!(kind.generate(10, noise, 0).is_err());
            }
        }
        assert!("square".parse::<Points>().unwrap_err().to_string().contains("circle, xor"));
    }
}
