//! Clouds made from a seed: those of TensorFlow Playground, and two of them with more classes.

use std::f64::consts::TAU;

use noyau_data::{Points, Rng};
use noyau_tensor::Result;

use super::Point;
use crate::Setup;

/// As many as TensorFlow Playground makes.
const CLASSIFIED: usize = 500;
const VALUED: usize = 1200;

/// A cloud's points in random order, and the names of its classes if it has classes.
pub(super) fn points(kind: Points, setup: &Setup) -> Result<(Vec<Point>, Option<Vec<String>>)> {
    let noise = f64::from(setup.noise) / 100.0;
    let many = setup.classes > 2 && matches!(kind, Points::Gaussians | Points::Spiral);
    if many {
        let names = (0..setup.classes).map(|class| class.to_string()).collect();
        return Ok((of_many_classes(kind, setup.classes, noise, setup.seed), Some(names)));
    }
    let values = matches!(kind, Points::Plane | Points::MultiGaussian);
    let packed = kind.generate(if values { VALUED } else { CLASSIFIED }, noise, setup.seed)?.packed();
    let coordinates: Vec<f32> = packed.features.to_vec()?;
    let labels = packed.targets.to_f64();
    let points = coordinates.chunks_exact(2).zip(labels).map(|(x, label)| Point { x: [x[0], x[1]], label: label as f32 }).collect();
    // The Playground's names of its classes.
    Ok((points, (!values).then(|| vec!["-1".into(), "1".into()])))
}

/// Round clouds on a circle, or as many spiral arms: what [`Points`] makes of two.
fn of_many_classes(kind: Points, classes: usize, noise: f64, seed: u64) -> Vec<Point> {
    let mut rng = Rng::stream(seed, 0x6d61_6e79);
    let each = CLASSIFIED / classes;
    let mut points = Vec::with_capacity(each * classes);
    for class in 0..classes {
        let turn = TAU * class as f64 / classes as f64;
        for i in 0..each {
            let (x, y) = if kind == Points::Spiral {
                let along = i as f64 / each as f64;
                // Fewer turns for more arms, so that the gaps between them stay as wide.
                let angle = 1.75 * along * TAU * 2.0 / classes as f64 + turn;
                let mut stray = || rng.uniform(-1.0, 1.0) * noise;
                (5.0 * along * angle.sin() + stray(), 5.0 * along * angle.cos() + stray())
            } else {
                let variance = 0.5 + noise * 7.0;
                let centre = (3.5 * turn.sin(), 3.5 * turn.cos());
                (rng.normal(centre.0, variance), rng.normal(centre.1, variance))
            };
            points.push(Point { x: [x as f32, y as f32], label: class as f32 });
        }
    }
    rng.shuffle(&mut points);
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cloud, Data};

    #[test]
    fn as_many_classes_as_are_asked_for() {
        for data in [Data::Gaussians, Data::Spiral] {
            for classes in 2..=Setup::MOST_CLASSES {
                let setup = Setup { data, classes, noise: 20, ..Setup::default() };
                let cloud = Cloud::new(&setup).unwrap();
                assert_eq!(cloud.classes.as_ref().unwrap().len(), classes);
                assert_eq!(cloud.outputs(), if classes == 2 { 1 } else { classes });
                for class in 0..classes {
                    let count = cloud.points.iter().filter(|p| p.label == class as f32).count();
                    assert!(count.abs_diff(500 / classes) <= 1, "{data:?} {classes}: {count}");
                }
                assert_eq!(cloud, Cloud::new(&setup).unwrap());
                assert_ne!(cloud, Cloud::new(&Setup { seed: 2, ..setup }).unwrap());
            }
        }
        let cloud = Cloud::new(&Setup { data: Data::Spiral, classes: 3, ..Setup::default() }).unwrap();
        assert!(cloud.points.iter().all(|p| p.x[0].hypot(p.x[1]) <= 5.0));
        let point = |label| Point { x: [0.0; 2], label };
        assert_eq!(cloud.targets(&point(1.0)), [-1.0, 1.0, -1.0]);
    }

    #[test]
    fn what_has_no_classes_has_values() {
        for data in [Data::Plane, Data::MultiGaussian] {
            let cloud = Cloud::new(&Setup { data, classes: 4, train_share: 10, ..Setup::default() }).unwrap();
            assert_eq!((cloud.classes.is_none(), cloud.outputs(), cloud.points.len(), cloud.train), (true, 1, 1200, 120));
            assert_eq!(cloud.targets(&cloud.points[0]), [cloud.points[0].label]);
        }
        let cloud = Cloud::new(&Setup { data: Data::Circle, classes: 4, train_share: 90, ..Setup::default() }).unwrap();
        assert_eq!((cloud.classes.unwrap(), cloud.train), (vec!["-1".to_string(), "1".into()], 450));
    }
}
