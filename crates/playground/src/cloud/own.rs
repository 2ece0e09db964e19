//! The visitor's own points, and how an address packs them.

use noyau_tensor::{Error, Result};

use super::Point;

/// A coordinate or a value in words of the data that it comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// The column's name; empty where it has none.
    pub name: String,
    /// What the lowest number here stands for (-6 of a coordinate, -1 of a value).
    pub low: f32,
    /// What the highest stands for (6 or 1).
    pub high: f32,
}

/// What belongs to the points.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Classes of these names.
    Classes(Vec<String>),
    /// Values, from -1 to 1.
    Values(Axis),
}

/// The visitor's own points, rounded to what an address holds of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    points: Vec<Point>,
    axes: [Axis; 2],
    labels: Labels,
}

impl Default for Own {
    fn default() -> Own {
        Own { points: Vec::new(), axes: [Own::PLAIN, Own::PLAIN], labels: Labels::Classes(Vec::new()) }
    }
}

impl Own {
    /// What fits an address with some ease.
    pub const MOST_POINTS: usize = 5000;
    /// Classes that can be told by colour.
    pub const MOST_CLASSES: usize = 10;
    /// Bytes of a name.
    const MOST_NAME: usize = 40;
    /// An axis that is the plane's own.
    const PLAIN: Axis = Axis { name: String::new(), low: -6.0, high: 6.0 };
    /// Steps of a coordinate from 0 to 1, and of a value: 16 bits reach from -6 to 6.
    const FINE: f32 = 5000.0;
    const FINE_VALUE: f32 = 30000.0;

    /// Points in the plane, and what is known of them. Coordinates are limited to -6 to 6, values to -1 to 1. Fails where a number is not finite, or there are too
    /// many points or classes.
    pub fn new(points: &[Point], axes: [Axis; 2], labels: Labels) -> Result<Own> {
        if points.len() > Own::MOST_POINTS {
            return Err(Error::argument("own data", format!("{} points are too many, {} can be taken", points.len(), Own::MOST_POINTS)));
        }
        let classes = match &labels {
            Labels::Classes(names) => Some(names.len()),
            Labels::Values(_) => None,
        };
        if classes.is_some_and(|n| n > Own::MOST_CLASSES) {
            return Err(Error::argument("own data", format!("there can be {} classes", Own::MOST_CLASSES)));
        }
        let rounded = |value: f32, most: f32, fine: f32| (value.clamp(-most, most) * fine).round() / fine;
        let point = |point: &Point| {
            if !point.x.iter().chain([&point.label]).all(|v| v.is_finite()) {
                return Err(Error::argument(
                    "own data",
                    format!("the point ({}, {}; {}) is not finite", point.x[0], point.x[1], point.label),
                ));
            }
            let label = match classes {
                Some(n) if point.label.fract() == 0.0 && (0.0..n as f32).contains(&point.label) => point.label,
                Some(n) => return Err(Error::argument("own data", format!("the class {} is none of 0 to {}", point.label, n.max(1) - 1))),
                None => rounded(point.label, 1.0, Own::FINE_VALUE),
            };
            Ok(Point { x: point.x.map(|v| rounded(v, 6.0, Own::FINE)), label })
        };
        Ok(Own { points: points.iter().map(point).collect::<Result<_>>()?, axes, labels })
    }

    /// Points drawn on the plane: x1, x2, class, and so on.
    pub fn drawn(values: &[f32]) -> Result<Own> {
        if !values.len().is_multiple_of(3) {
            return Err(Error::argument("points", format!("{} numbers are no points of x1, x2 and class", values.len())));
        }
        let points: Vec<Point> = values.chunks_exact(3).map(|p| Point { x: [p[0], p[1]], label: p[2] }).collect();
        let most = points.iter().fold(1.0f32, |most, point| most.max(point.label));
        let classes = if most.is_finite() { (most as usize).min(Own::MOST_CLASSES) + 1 } else { 2 };
        Own::new(&points, [Own::PLAIN, Own::PLAIN], Labels::Classes((0..classes).map(|class| class.to_string()).collect()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The points in their order.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The names of the classes, if there are classes.
    pub fn class_names(&self) -> Option<Vec<String>> {
        match &self.labels {
            Labels::Classes(names) => Some(names.clone()),
            Labels::Values(_) => None,
        }
    }

    /// What the coordinates stand for.
    pub fn axes(&self) -> &[Axis; 2] {
        &self.axes
    }

    /// What belongs to the points.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// As an address has them: bytes in base64 (RFC 4648, with `-` and `_`, not padded).
    pub fn address(&self) -> String {
        let mut bytes = vec![Own::VERSION];
        self.axes.iter().for_each(|axis| put_axis(&mut bytes, axis));
        match &self.labels {
            Labels::Classes(names) => {
                bytes.push(names.len() as u8);
                names.iter().for_each(|name| put_text(&mut bytes, name));
            }
            Labels::Values(axis) => {
                bytes.push(u8::MAX);
                put_axis(&mut bytes, axis);
            }
        }
        let fine = |value: f32, fine: f32| ((value * fine).round() as i16).to_le_bytes();
        for point in &self.points {
            point.x.iter().for_each(|&v| bytes.extend(fine(v, Own::FINE)));
            match &self.labels {
                Labels::Classes(_) => bytes.push(point.label as u8),
                Labels::Values(_) => bytes.extend(fine(point.label, Own::FINE_VALUE)),
            }
        }
        encoded(&bytes)
    }

    const VERSION: u8 = 1;

    /// The points of an address. Fails where it was cut short or changed.
    pub fn from_address(text: &str) -> Result<Own> {
        let damaged = || Error::argument("own", "the points in this address are damaged: was all of it copied?");
        let bytes = decoded(text).ok_or_else(damaged)?;
        let mut rest = &bytes[..];
        Own::read(&mut rest).filter(|_| rest.is_empty()).ok_or_else(damaged)?
    }

    fn read(rest: &mut &[u8]) -> Option<Result<Own>> {
        let [version] = take(rest)?;
        if version != Own::VERSION {
            return None;
        }
        let axes = [axis(rest)?, axis(rest)?];
        let [classes] = take(rest)?;
        let labels = match classes {
            u8::MAX => Labels::Values(axis(rest)?),
            _ => Labels::Classes((0..classes).map(|_| name(rest)).collect::<Option<_>>()?),
        };
        let mut points = Vec::new();
        while !rest.is_empty() {
            let mut number = |fine: f32| take(rest).map(|bytes| f32::from(i16::from_le_bytes(bytes)) / fine);
            let x = [number(Own::FINE)?, number(Own::FINE)?];
            let label = match labels {
                Labels::Values(_) => number(Own::FINE_VALUE)?,
                Labels::Classes(_) => f32::from(take::<1>(rest)?[0]),
            };
            points.push(Point { x, label });
        }
        Some(Own::new(&points, axes, labels))
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(Own::MOST_NAME);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    bytes.push(end as u8);
    bytes.extend(&text.as_bytes()[..end]);
}

fn put_axis(bytes: &mut Vec<u8>, axis: &Axis) {
    put_text(bytes, &axis.name);
    bytes.extend(axis.low.to_le_bytes());
    bytes.extend(axis.high.to_le_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn name(rest: &mut &[u8]) -> Option<String> {
    let [len] = take(rest)?;
    let (text, after) = rest.split_at_checked(len.into())?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

fn axis(rest: &mut &[u8]) -> Option<Axis> {
    Some(Axis { name: name(rest)?, low: f32::from_le_bytes(take(rest)?), high: f32::from_le_bytes(take(rest)?) })
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, i| word << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for digit in 0..=three.len() {
            out.push(DIGITS[(word >> (18 - 6 * digit)) as usize & 63].into());
        }
    }
    out
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for four in text.as_bytes().chunks(4) {
        let mut word = 0;
        for i in 0..4 {
            let digit = four.get(i).map_or(Some(0), |byte| DIGITS.iter().position(|digit| digit == byte))?;
            word = word << 6 | digit as u32;
        }
        out.extend(&word.to_be_bytes()[1..four.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_the_same_points() {
        let own = Own::drawn(&[1.0, -2.5, 0.0, 0.1234567, 6.0, 2.0, -9.0, 9.0, 1.0]).unwrap();
        assert_eq!(own.points()[1].x, [0.1234, 6.0]);
        assert_eq!(own.points()[2].x, [-6.0, 6.0]);
        assert_eq!(own.class_names().unwrap(), ["0", "1", "2"]);
        assert_eq!(Own::from_address(&own.address()).unwrap(), own);
        let values = Labels::Values(Axis { name: "prix".into(), low: 3.0, high: 900.5 });
        let axes = [Axis { name: "é".repeat(5), low: -1e30, high: 0.1 }, Own::PLAIN];
        let points: Vec<Point> = (0..100).map(|i| Point { x: [i as f32 / 17.0, -i as f32 / 23.0], label: (i as f32).sin() }).collect();
        let own = Own::new(&points, axes, values).unwrap();
        assert_eq!(Own::from_address(&own.address()).unwrap(), own);
    }

    #[test]
    fn a_damaged_address_is_told() {
        let whole = Own::drawn(&[1.0, -2.5, 0.0, 0.5, 6.0, 1.0]).unwrap().address();
        for end in 0..whole.len() {
            let cut = &whole[..end];
            // A cut between two points cannot be seen.
            if let Ok(own) = Own::from_address(cut) {
                assert!(own.points().len() < 2, "{cut}");
            }
        }
        assert!(Own::from_address("$$$$").unwrap_err().to_string().contains("damaged"));
        assert!(Own::from_address("").is_err());
    }

    #[test]
    fn points_that_make_no_sense() {
        assert!(Own::drawn(&[1.0, 2.0]).unwrap_err().to_string().contains("2 numbers"));
        assert!(Own::drawn(&[1.0, f32::NAN, 0.0]).unwrap_err().to_string().contains("not finite"));
        assert!(Own::drawn(&[1.0, 1.0, f32::INFINITY]).unwrap_err().to_string().contains("not finite"));
        assert!(Own::drawn(&[1.0, 1.0, -1.0]).unwrap_err().to_string().contains("none of 0 to 1"));
        assert!(Own::drawn(&[1.0, 1.0, 1e9]).unwrap_err().to_string().contains("10 classes"));
        assert!(Own::drawn(&vec![0.0; 3 * 5001]).unwrap_err().to_string().contains("5001 points"));
    }
}
