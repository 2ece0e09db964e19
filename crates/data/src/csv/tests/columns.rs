//! Kinds of columns, missing values, what is inferred, and records that are skipped.

use super::*;

fn rows(table: &Table) -> Vec<Vec<f64>> {
    let width = table.dataset.sample_shape().numel();
    table.dataset.packed().features.to_f64().chunks(width).map(<[f64]>::to_vec).collect()
}

const HOUSES: &str = "\
id,city,area,garden,heating,price
a1,Paris,70,true,gas,10
a2,Lyon,90,FALSE,oil,20
a3,Paris,,yes,gas,30
a4,Nice,50,no,,40
";

fn houses() -> Csv {
    Csv::regression("price")
        .column("city", ColumnKind::OneHot)
        .column("garden", ColumnKind::Bool)
        .column("heating", ColumnKind::OneHot)
        .column("id", ColumnKind::Ignored)
        .missing(Missing::Mean)
}

#[test]
fn kinds_of_columns() {
    let table = houses().parse("h.csv", HOUSES.as_bytes()).unwrap();
    assert_eq!(table.features, ["city=Lyon", "city=Nice", "city=Paris", "area", "garden", "heating=gas", "heating=oil"]);
    assert_eq!(
        rows(&table),
        [
            [0.0, 0.0, 1.0, 70.0, 1.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 90.0, 0.0, 0.0, 1.0],
            [0.0, 0.0, 1.0, 70.0, 1.0, 1.0, 0.0],
            // No heating is neither of the two.
            [0.0, 1.0, 0.0, 50.0, 0.0, 0.0, 0.0],
        ]
    );
    let area = &table.columns[1];
    assert_eq!((&*area.name, area.missing, area.fill), ("area", 1, Some(70.0)));
    assert_eq!(
        table.report(),
        "city: one-hot of Lyon, Nice, Paris\narea: number; 1 missing, 70 in their place\ngarden: bool\nheating: one-hot of gas, oil; 1 missing\nid: ignored"
    );
    let index = Csv::regression("price").features(&["city", "area"]).column("city", ColumnKind::Index).missing(Missing::Value(-1.0));
    let table = index.parse("h.csv", HOUSES.as_bytes()).unwrap();
    assert_eq!(rows(&table), [[2.0, 70.0], [0.0, 90.0], [2.0, -1.0], [1.0, 50.0]]);
    assert_eq!(table.columns[0].categories, ["Lyon", "Nice", "Paris"]);
}

#[test]
fn numbers_alone_are_standardised() {
    let table = houses().parse("h.csv", HOUSES.as_bytes()).unwrap();
    let standardize = table.standardize().unwrap();
    assert_eq!(standardize.mean, [0.0, 0.0, 0.0, 70.0, 0.0, 0.0, 0.0]);
    assert_eq!(standardize.std, [1.0, 1.0, 1.0, 200f32.sqrt(), 1.0, 1.0, 1.0]);
    assert_eq!(rows(&Table { dataset: standardize.apply(&table.dataset).unwrap(), ..table })[0][2..5], [1.0, 0.0, 1.0]);
}

#[test]
fn a_table_read_like_another() {
    let table = houses().parse("h.csv", HOUSES.as_bytes()).unwrap();
    let like = Csv::regression("price").like(&table);
    // Other columns in another order, nothing of Lyon; what is missing is the first table's mean.
    let other = "price,heating,area,extra,garden,city\n1,oil,,?,0,Nice\n";
    let read = like.parse("o.csv", other.as_bytes()).unwrap();
    assert_eq!(read.features, table.features);
    assert_eq!(rows(&read), [[0.0, 1.0, 0.0, 70.0, 0.0, 0.0, 1.0]]);
    let unknown = refused(&like, "price,heating,area,garden,city\n1,oil,1,0,Metz\n");
    assert!(unknown.contains("line 2, column \"city\": category \"Metz\" is none of Lyon, Nice, Paris"), "{unknown}");
    // And again from the second.
    assert_eq!(rows(&Csv::regression("price").like(&read).parse("o.csv", other.as_bytes()).unwrap()), rows(&read));
}

#[test]
fn a_bad_field_of_each_kind() {
    let strict = |name: &str, kind| Csv::regression("y").column(name, kind);
    for (csv, text, expected) in [
        (strict("x", ColumnKind::Bool), "x,y\n1,2\nmaybe,2\n", "line 3, column \"x\": \"maybe\" is neither true nor false"),
        (strict("x", ColumnKind::OneHot), "x,y\na,2\n,2\n", "line 3, column \"x\": the value is missing"),
        (strict("x", ColumnKind::Index).missing(Missing::Mean), "x,y\na,2\n,2\n", "line 3, column \"x\": the value is missing"),
        (strict("x", ColumnKind::OneHot).max_categories(1), "x,y\na,2\nb,2\n", "category \"b\" is one more than the 1 allowed"),
        (strict("z", ColumnKind::Bool), "x,y\n1,2\n", "no column \"z\", which is to be bool; it has x, y"),
        (Csv::regression("y").missing(Missing::Mean), "x,y\n,2\n,3\n", "column \"x\": all values are missing"),
        (Csv::regression("y").missing(Missing::Mean), "x,y\n1,\n", "line 2, column \"y\": the value is missing"),
        (Csv::regression("y").na_values(&["NA"]), "x,y\nNA,1\n", "line 2, column \"x\": the value is missing"),
        (Csv::regression("y").missing_in("z", Missing::Mean), "x,y\n1,1\n", "no column \"z\""),
        (Csv::regression("y").features(&["x"]).column("x", ColumnKind::Ignored), "x,y\n1,1\n", "asked for as a feature, but it is to be"),
    ] {
        let message = refused(&csv, text);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
    for csv in [Csv::regression("y").missing(Missing::Value(f32::NAN)), Csv::regression("y").features(&["x", "y"])] {
        assert!(matches!(csv.parse("t", "x,y\n1,1\n".as_bytes()), Err(Error::Argument { .. })));
    }
    // What is ignored may be anything, and need not be there.
    let table = strict("x", ColumnKind::Ignored).column("gone", ColumnKind::Ignored).parse("t", &b"x,y,z\n\xff,2,1\n"[..]).unwrap();
    assert_eq!(rows(&table), [[1.0]]);
}

#[test]
fn kinds_are_inferred() {
    let mut text = "n,flag,colour,name,empty,digit,y\n".to_string();
    for i in 0..40 {
        let colour = ["red", "blue", "green"][i % 3];
        let n = if i == 20 { "oops".to_string() } else { i.to_string() };
        text += &format!("{n},{},{colour},person {i},,{},{i}\n", ["Yes", "no"][i % 2], i % 2);
    }
    let csv = Csv::regression("y").infer().skip_bad(true);
    let table = csv.parse("t.csv", text.as_bytes()).unwrap();
    assert_eq!(table.features, ["n", "flag", "colour=blue", "colour=green", "colour=red", "digit"]);
    assert_eq!(table.dataset.len(), 39);
    assert_eq!(
        table.report(),
        "n: number (inferred: all values are numbers but 1, the first \"oops\" in line 22)\n\
         flag: bool (inferred: all values are truth values)\n\
         colour: one-hot of blue, green, red (inferred: texts, 3 different ones)\n\
         digit: number (inferred: all values are numbers)\n\
         name: ignored (inferred: texts, 40 different ones in 40 records)\n\
         empty: ignored (it has no values)\n\
         1 bad record was skipped:\n  t.csv: line 22, column \"n\": \"oops\" is not a number such as 1.5 or -2e3"
    );
    assert!(refused(&csv.clone().skip_bad(false), &text).contains("line 22, column \"n\""));
    // What is said comes before what is inferred.
    let table = csv.clone().column("name", ColumnKind::Index).column("digit", ColumnKind::Bool).parse("t.csv", text.as_bytes()).unwrap();
    assert!(table.columns.iter().any(|c| c.name == "name" && c.kind == ColumnKind::Index && c.why.is_empty()));
    assert!(refused(&csv.clone().features(&["name"]), &text).contains("column \"name\" is asked for as a feature, but inferred: texts"));
    let nothing = refused(&csv, "a,y\n,1\n,2\n");
    assert!(nothing.contains("no column for features"), "{nothing}");
}

#[test]
fn bad_records_are_skipped_and_counted() {
    let text = b"x,c\n1,a\nabc,b\n2\n3,a\n4,\n5,\xff\n,a\ninf,d\n6,e\n";
    let csv = Csv::classes("c").skip_bad(true);
    let table = csv.parse("t.csv", &text[..]).unwrap();
    assert_eq!(rows(&table), [[1.0], [3.0], [6.0]]);
    // Nothing is kept of a bad record, not even its class.
    assert_eq!((labels(&table), table.classes.join(" ")), (vec![0.0, 0.0, 1.0], "a e".to_string()));
    assert_eq!(
        table.skipped.reasons,
        [
            "t.csv: line 3, column \"x\": \"abc\" is not a number such as 1.5 or -2e3",
            "t.csv: line 4: 1 fields, but the header has 2 (x, c)",
            "t.csv: line 6, column \"c\": the value is missing; every record needs its target",
            "t.csv: line 7, column \"c\": not UTF-8 text",
            "t.csv: line 8, column \"x\": the value is missing; fill it in, or choose what stands for it with Csv::missing",
            "t.csv: line 9, column \"x\": \"inf\" is not a finite number of 32 bits",
        ]
    );
    assert_eq!(table.skipped.count, 6);
    let all = refused(&csv, "x,c\nq,a\nr,a\n");
    assert!(all.contains("all 2 records are bad, nothing is left; the first: t.csv: line 2, column \"x\": \"q\" is not a number"), "{all}");
    // A bad header is no bad record.
    assert!(refused(&csv, "x,y\n1,2\n").contains("no column \"c\""));
}

/// A column in which no two texts are the same must not make a matrix of the square of the file's size.
#[test]
fn memory_stays_in_proportion() {
    let mut text = "x,y\n".to_string();
    (0..20_000).for_each(|i| text += &format!("t{i},1\n"));
    let csv = Csv::regression("y").column("x", ColumnKind::OneHot).skip_bad(true);
    let table = csv.parse("t.csv", text.as_bytes()).unwrap();
    assert_eq!((table.dataset.len(), table.skipped.count), (256, 20_000 - 256));
}
