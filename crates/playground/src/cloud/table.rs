//! Points of a table: two columns of numbers and a label.

use std::collections::BTreeSet;

use noyau_tensor::{Error, Result};

use super::{Axis, Labels, Own, Point};

/// A record and where in the text it begins.
struct Row {
    place: usize,
    x: [f64; 2],
    label: String,
}

impl Own {
    /// The points of a table in text: a header or not, two columns of numbers, and a label that names a class or is a number. Commas, semicolons (with commas in
    /// numbers, too) or tabs part the columns.
    ///
    /// Whole numbers of ten or fewer kinds are classes, as names are; other numbers are values to be learnt. Coordinates that leave -6 to 6 are scaled to the
    /// plane, values to -1 to 1.
    ///
    /// # Errors
    ///
    /// Where a line is not of this kind: the message says which and why.
    pub fn from_csv(text: &str) -> Result<Own> {
        let text = text.trim_start_matches('\u{feff}');
        let delimiter = delimiter(text);
        let (names, rows) = rows(text, delimiter)?;
        if rows.len() < 4 {
            return Err(fault(format!("there are {} points; at least 4 are needed", rows.len())));
        }
        if rows.len() > Own::MOST_POINTS {
            return Err(fault(format!("there are {} points; at most {} can be taken", rows.len(), Own::MOST_POINTS)));
        }
        let (labels, of_rows) = labels(text, &rows, &names[2], delimiter)?;
        let axes = [0, 1].map(|i| axis(rows.iter().map(|row| row.x[i]), &names[i], 6.0));
        let point = |(row, label): (&Row, f64)| {
            let x = [0, 1].map(|i| scaled(row.x[i], &axes[i], 6.0));
            Point { x, label: if let Labels::Values(axis) = &labels { scaled(label, axis, 1.0) } else { label as f32 } }
        };
        let points: Vec<Point> = rows.iter().zip(of_rows).map(point).collect();
        Own::new(&points, axes, labels)
    }
}

fn fault(message: impl Into<String>) -> Error {
    Error::argument("CSV", message)
}

/// The line, as an editor counts them, of a record that is said to begin at a place: empty lines before it seem to be a part of it.
fn line_of(text: &str, place: usize) -> usize {
    let bytes = text.as_bytes();
    let begins = (place..bytes.len()).find(|&i| !matches!(bytes[i], b'\r' | b'\n')).unwrap_or(bytes.len());
    1 + bytes[..begins].iter().filter(|&&byte| byte == b'\n').count()
}

/// What parts the columns of the first line.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    // A comma beside semicolons is a part of a number.
    [b'\t', b';', b','].into_iter().find(|&d| first.bytes().any(|byte| byte == d)).unwrap_or(b',')
}

fn number(text: &str, delimiter: u8) -> Option<f64> {
    let parsed = if delimiter == b',' { text.parse() } else { text.replace(',', ".").parse() };
    // Beyond what f32 holds nothing can be learnt.
    parsed.ok().filter(|n: &f64| n.abs() < 1e30)
}

/// The columns' names and the records.
fn rows(text: &str, delimiter: u8) -> Result<([String; 3], Vec<Row>)> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut names = [const { String::new() }; 3];
    let mut rows = Vec::new();
    let mut first = true;
    for record in reader.records() {
        let record = record.map_err(|error| fault(format!("it cannot be read: {error}")))?;
        let place = record.position().map_or(0, |position| position.byte() as usize);
        let line = || line_of(text, place);
        let fields: Vec<&str> = record.iter().collect();
        if fields.iter().all(|field| field.is_empty()) {
            continue;
        }
        let [x1, x2, label] = fields[..] else {
            let message = format!("line {}: {} columns where three are needed: two numbers and a label", line(), fields.len());
            return Err(fault(message));
        };
        let x = [number(x1, delimiter), number(x2, delimiter)];
        match x {
            [Some(x1), Some(x2)] if label.is_empty() => return Err(fault(format!("line {}: the point ({x1}, {x2}) has no label", line()))),
            [Some(x1), Some(x2)] => rows.push(Row { place, x: [x1, x2], label: label.into() }),
            [None, None] if first => names = [x1, x2, label].map(String::from),
            _ => {
                let (column, text) = if x[0].is_none() { (1, x1) } else { (2, x2) };
                let text: String = text.chars().take(40).collect();
                return Err(fault(format!("line {}: {text:?} in column {column} is no number", line())));
            }
        }
        first = false;
    }
    Ok((names, rows))
}

/// What the labels are, and each row's: its class's number, or its value.
fn labels(text: &str, rows: &[Row], name: &str, delimiter: u8) -> Result<(Labels, Vec<f64>)> {
    let names: BTreeSet<&str> = rows.iter().map(|row| &*row.label).collect();
    if names.len() == 1 {
        return Err(fault(format!("all points have the same label, {:?}: there is nothing to learn", rows[0].label)));
    }
    let numbers: Vec<Option<f64>> = rows.iter().map(|row| number(&row.label, delimiter)).collect();
    let values: Option<Vec<f64>> = numbers.iter().copied().collect();
    let few = names.len() <= Own::MOST_CLASSES;
    match values {
        Some(values) if !few || values.iter().any(|v| v.fract() != 0.0) => {
            let axis = axis(values.iter().copied(), name, 1.0);
            Ok((Labels::Values(axis), values))
        }
        None if !few => {
            let odd = numbers.iter().position(Option::is_none).filter(|_| numbers.iter().filter(|n| n.is_some()).count() * 2 > rows.len());
            Err(match odd {
                Some(i) => {
                    fault(format!("line {}: the label {:?} is no number, as the others are", line_of(text, rows[i].place), rows[i].label))
                }
                None => fault(format!(
                    "the labels have {} different names; at most {} classes can be told apart",
                    names.len(),
                    Own::MOST_CLASSES
                )),
            })
        }
        whole => {
            let mut names: Vec<&str> = names.into_iter().collect();
            if whole.is_some() {
                names.sort_by(|a, b| number(a, delimiter).unwrap_or(0.0).total_cmp(&number(b, delimiter).unwrap_or(0.0)));
            }
            let classes = rows.iter().map(|row| names.iter().position(|name| *name == row.label).unwrap_or(0) as f64).collect();
            Ok((Labels::Classes(names.into_iter().map(String::from).collect()), classes))
        }
    }
}

/// The range of some numbers that becomes `-most..=most`: as it is where they fit in and fill some of it.
fn axis(numbers: impl Iterator<Item = f64> + Clone, name: &str, most: f64) -> Axis {
    let low = numbers.clone().fold(f64::INFINITY, f64::min);
    let high = numbers.fold(f64::NEG_INFINITY, f64::max);
    let size = low.abs().max(high.abs());
    if (most / 6.0..=most).contains(&size) {
        return Axis { name: name.into(), low: -most as f32, high: most as f32 };
    }
    // Some room around coordinates, so that no point lies on the edge.
    let room = if most > 1.0 { (high - low) * 0.1 } else { 0.0 } + if high == low { 1.0 } else { 0.0 };
    Axis { name: name.into(), low: (low - room) as f32, high: (high + room) as f32 }
}

fn scaled(number: f64, axis: &Axis, most: f64) -> f32 {
    let (low, high) = (f64::from(axis.low), f64::from(axis.high));
    (((number - low) / (high - low) * 2.0 - 1.0) * most) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Own::from_csv(text).unwrap_err().to_string()
    }

    #[test]
    fn tables_of_several_kinds() {
        let own = Own::from_csv("x,y,kind\n1,2,b\n\n-3, 4.5 ,a\r\n\"5\",-1,b\n0,0,a\n").unwrap();
        assert_eq!(own.class_names().unwrap(), ["a", "b"]);
        assert_eq!(own.points()[1], Point { x: [-3.0, 4.5], label: 0.0 });
        assert_eq!((own.points().len(), &*own.axes()[1].name), (4, "y"));

        let french = Own::from_csv("\u{feff}1,5;2;10\n3;4;9\n1;1;10\n0;-2,25;9").unwrap();
        assert_eq!(french.points()[0], Point { x: [1.5, 2.0], label: 1.0 });
        assert_eq!(french.class_names().unwrap(), ["9", "10"]);

        let values = Own::from_csv("a\tb\tprice\n100\t2\t1000.5\n300\t4\t2000\n200\t1\t3000\n110\t0\t1500\n").unwrap();
        assert_eq!(values.class_names(), None);
        let label: Vec<f32> = values.points().iter().map(|p| p.label).collect();
        assert!((label[0], label[2]) == (-1.0, 1.0) && label[1].abs() < 0.01, "{label:?}");
        let x: Vec<f32> = values.points().iter().map(|p| p.x[0]).collect();
        assert!(x.iter().all(|x| x.abs() <= 5.5) && x[1] - x[0] > 8.0, "{x:?}");
        assert_eq!(values.points()[1].x[1], 4.0);
    }

    #[test]
    fn a_malformed_line_is_named_with_the_reason() {
        for (text, parts) in [
            ("1,2,a\n3,4\n5,6,b\n7,8,a", ["line 2", "2 columns where three are needed"]),
            ("x,y,l\n1,2,a\n\n3,oops,b\n5,6,b", ["line 4", "\"oops\" in column 2 is no number"]),
            ("1,2,a\n3,4,b\nNaN,4,b\n5,6,b", ["line 3", "\"NaN\" in column 1 is no number"]),
            ("1,2,a\n3,1e99,b\n5,6,b\n5,6,b", ["line 2", "\"1e99\" in column 2"]),
            ("1,2,a\n3,4,\n5,6,b\n5,6,b", ["line 2", "no label"]),
            ("1,2,a\n3,4,a\n5,6,a\n5,6,a", ["same label", "\"a\""]),
            ("1,2,a\n3,4,b", ["2 points", "at least 4"]),
            ("", ["0 points", "at least 4"]),
            ("hello", ["line 1", "1 columns"]),
            ("x,2,a\n3,4,b\n5,6,b\n5,6,b", ["line 1", "\"x\" in column 1 is no number"]),
        ] {
            let message = message(text);
            assert!(message.starts_with("CSV: ") && parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
        }
        let line = |i: usize, label: String| format!("{i},{i},{label}\n");
        let names: String = (0..20).map(|i| line(i, format!("name{i}"))).collect();
        assert!(message(&names).contains("20 different names"));
        let mostly: String = (0..20).map(|i| line(i, if i == 12 { "oops".into() } else { format!("{i}.5") })).collect();
        assert!(message(&mostly).contains("line 13: the label \"oops\" is no number"));
        let many: String = (0..5001).map(|i| line(i, (i % 2).to_string())).collect();
        assert!(message(&many).contains("5001 points"));
    }
}
