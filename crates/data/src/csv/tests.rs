use noyau_tensor::Array;

use super::*;

mod columns;

fn refused(csv: &Csv, text: impl AsRef<[u8]>) -> String {
    let error = csv.parse("t.csv", text.as_ref()).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    error.to_string()
}

fn labels(table: &Table) -> Vec<f64> {
    table.dataset.packed().targets.to_f64()
}

#[test]
fn classes_by_name() {
    let text = "length, species ,width\n1,setosa,2\n3,\"iris, versicolor\",4.5\n -5e-1 ,setosa,6\n";
    let table = Csv::classes("species").parse("t.csv", text.as_bytes()).unwrap();
    assert_eq!(table.features, ["length", "width"]);
    assert_eq!(table.classes, ["iris, versicolor", "setosa"]);
    assert_eq!(labels(&table), [1.0, 0.0, 1.0]);
    assert_eq!(table.dataset.packed().features.to_f64(), [1.0, 2.0, 3.0, 4.5, -0.5, 6.0]);
    assert_eq!(table.dataset.classes(), Some(2));
    // The same numbering for another file.
    let other = Csv::classes("species").class_names(&table.classes);
    assert_eq!(labels(&other.parse("u.csv", "length,width,species\n1,2,setosa".as_bytes()).unwrap()), [1.0]);
    assert!(refused(&other, "length,width,species\n1,2,virginica").contains("line 2, column \"species\": class \"virginica\" is none of"));
}

#[test]
fn whole_numbers_are_ordered_as_numbers() {
    let table = Csv::classes("c").parse("t", "x,c\n1,10\n1,9\n1,-1\n".as_bytes()).unwrap();
    assert_eq!((labels(&table), table.classes.join(" ")), (vec![2.0, 1.0, 0.0], "-1 9 10".to_string()));
}

#[test]
fn regression_chosen_columns_and_delimiter() {
    let text = "\u{feff}price;rooms;name;area\r\n10.5;3;a;70\r\n20;4;b;90\r\n";
    let table = Csv::regression("price").features(&["area", "rooms"]).delimiter(b';').parse("t", text.as_bytes()).unwrap();
    assert_eq!(table.features, ["area", "rooms"]);
    assert_eq!(table.dataset.batch(&[1]).unwrap().x, Array::new([1, 2], &[90f32, 4.0]).unwrap());
    assert_eq!(table.dataset.batch(&[0]).unwrap().y, Array::new([1, 1], &[10.5f32]).unwrap());
    assert!(table.classes.is_empty() && table.dataset.classes().is_none());
}

#[test]
fn a_bad_field_is_named_by_line_and_column() {
    let csv = Csv::regression("y");
    for (text, expected) in [
        ("x,y\n1,2\n3,abc\n", "line 3, column \"y\": \"abc\" is not a number"),
        ("x,y\n1,2\n,5\n", "line 3, column \"x\": the value is missing"),
        ("x,y\n1,2\nNaN,5\n", "line 3, column \"x\": \"NaN\" is not a finite number"),
        ("x,y\n1e39,5\n", "line 2, column \"x\": \"1e39\" is not a finite number"),
        ("x,y\n1,2\n3\n", "line 3: 1 fields, but the header has 2 (x, y)"),
        ("x,y\n1,2,3\n", "line 2: 3 fields"),
        // Empty lines and Windows' ends of lines must not shift the count.
        ("x,y\n1,2\n\n\n3,abc\n", "line 5, column"),
        ("x,y\r\n1,2\r\n3,abc\r\n", "line 3, column"),
        ("x,y\r\n1,2\r\n\r\n3,abc\r\n", "line 4, column"),
        ("\nx,y\n1,abc\n", "line 3, column"),
        ("\u{feff}x,y\n1,2\n1,2\n1,2\n3,\n", "line 5, column"),
        ("x,y\n1,\"\n\n2\"\n3,abc\n", "line 5, column"),
        ("x,y\r1,2\r3,abc\r", "line 3, column"),
        ("x,y\n1,\"2,\n", "line 2, column \"y\""),
    ] {
        let message = refused(&csv, text);
        assert!(message.starts_with("t.csv: ") && message.contains(expected), "{text:?}: {message}");
    }
    assert!(refused(&csv, b"x,y\n1,2\n\xff,3\n").contains("line 3, column \"x\": not UTF-8"));
    assert!(refused(&Csv::classes("y"), b"x,y\n1,\xff\n").contains("line 2, column \"y\": not UTF-8"));
    let endless = format!("x,y\n1,\"2{}", "5,6\n".repeat(1000));
    assert!(refused(&csv, endless).len() < 200);
}

#[test]
fn bad_headers() {
    let csv = Csv::regression("y");
    assert!(refused(&csv, "").contains("empty"));
    assert!(refused(&csv, "x,y\n").contains("no record"));
    assert!(refused(&csv, "a,b\n1,2\n").contains("no column \"y\"; it has a, b"));
    assert!(refused(&csv, "x,x,y\n1,2,3\n").contains("two columns are called \"x\""));
    assert!(refused(&csv, "y\n1\n").contains("no column for features"));
    assert!(refused(&csv.clone().features(&["z"]), "x,y\n1,2\n").contains("no column \"z\""));
    assert!(refused(&csv, b"x,\xff\n1,2\n").contains("column 2 is not UTF-8"));
    assert!(matches!(csv.read("no/such/file.csv"), Err(Error::Io { .. })));
}

/// Found by fuzzing: the only records with a text in them were bad.
#[test]
fn texts_that_are_missing_in_all_good_records() {
    let csv = Csv::classes("y").column("a", ColumnKind::OneHot).missing(Missing::Mean).skip_bad(true);
    let message = refused(&csv, "a,y\n,no\nred\n,yes\n");
    assert!(message.contains("t.csv: ") && message.contains("all texts of \"a\" are missing in the 2 good records"), "{message}");
}
