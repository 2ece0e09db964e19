//! Data sets that contradict themselves, loaders, and tables.

use noyau::prelude::*;

use crate::case::Section;

/// Thirty samples of two features, in three classes.
fn data() -> Dataset {
    let x: Vec<f32> = (0..60).map(|i| i as f32).collect();
    let y: Vec<u32> = (0..30).map(|i| i % 3).collect();
    Dataset::new(&Array::new([30, 2], &x).unwrap(), &Array::new([30], &y).unwrap()).unwrap()
}

pub fn datasets() -> Section {
    let cases = vec![
        bad! { "Another number of targets than of samples",
            what: "4 samples, but 3 targets", place: "Dataset::new", remedy: "every sample needs one",
            code: {
                let x = Array::full([4, 2], Scalar::Float(0.5));
                Dataset::new(&x, &Array::new([3], &[0u32, 1, 2]).unwrap())
            }
        },
        bad! { "A class that is not among the classes",
            what: "there are 3 classes", place: "sample 2 is of class 9", remedy: "0 to 2",
            code: {
                let x = Array::full([4, 2], Scalar::Float(0.5));
                Dataset::new(&x, &Array::new([4], &[0u32, 1, 9, 2]).unwrap()).unwrap().with_classes(3)
            }
        },
        bad! { "A feature that is no finite number",
            what: "NaN", place: "sample 1", remedy: "finite",
            code: {
                let x = Array::new([2, 2], &[0.0, 1.0, f32::NAN, 2.0]).unwrap();
                Dataset::new(&x, &Array::new([2], &[0u32, 1]).unwrap())
            }
        },
        bad! { "A sample that is not there",
            what: "there is no sample 31", place: "Dataset::subset", remedy: "only 0 to 29",
            code: {
                data().subset([0, 31])
            }
        },
        bad! { "A split that leaves one part empty",
            what: "a fraction of 0.001 of 30 samples leaves one part empty", place: "Dataset::split", remedy: "take one nearer to 0.5",
            code: {
                data().split(0.001, 1)
            }
        },
        bad! { "A batch of nothing",
            what: "a batch of 0 samples was asked for", place: "batch_size", remedy: "it must hold at least 1",
            code: {
                Loader::new(&data(), 0)
            }
        },
        bad! { "Points of more noise than there is room",
            what: "the noise 2", place: "Points::generate", remedy: "between 0 and 0.5",
            code: {
                Points::Spiral.generate(100, 2.0, 1)
            }
        },
        bad! { "A shape of points that nobody has drawn",
            what: "\"star\" is none of", place: "Points", remedy: "spiral",
            code: {
                "star".parse::<Points>()
            }
        },
    ];
    Section { title: "Data sets and loaders", words: "`data()` has thirty samples of two features in three classes.", cases }
}

pub fn tables() -> Section {
    let cases = vec![
        bad! { "A table that is not there",
            what: "cannot read: No such file or directory", place: "iris.csv", remedy: "check the path",
            code: {
                Csv::classes("species").read("iris.csv")
            }
        },
        bad! { "An empty file",
            what: "the file is empty", place: "empty.csv", remedy: "a header line with the names of the columns was expected",
            code: {
                std::fs::write("empty.csv", "").unwrap();
                Csv::classes("y").read("empty.csv")
            }
        },
        bad! { "A target column that the table does not have",
            what: "the header has no column \"species\"", place: "typo.csv", remedy: "it has a, b, specie",
            code: {
                std::fs::write("typo.csv", "a,b,specie\n1,2,setosa\n").unwrap();
                Csv::classes("species").read("typo.csv")
            }
        },
        bad! { "Two columns of one name",
            what: "two columns are called \"a\"", place: "twice.csv: line 1", remedy: "names must differ",
            code: {
                std::fs::write("twice.csv", "a,a,y\n1,2,no\n").unwrap();
                Csv::classes("y").read("twice.csv")
            }
        },
        bad! { "A record with a field too few",
            what: "2 fields", place: "short.csv: line 3", remedy: "the header has 3 (a, b, y)",
            code: {
                std::fs::write("short.csv", "a,b,y\n1,2,no\n3,yes\n").unwrap();
                Csv::classes("y").read("short.csv")
            }
        },
        bad! { "A field that is no number",
            what: "\"1,5\" is not a number", place: "comma.csv: line 2, column \"a\"", remedy: "such as 1.5",
            code: {
                std::fs::write("comma.csv", "a;y\n1,5;no\n").unwrap();
                Csv::classes("y").delimiter(b';').read("comma.csv")
            }
        },
        bad! { "A value that is missing",
            what: "the value is missing", place: "gap.csv: line 3, column \"b\"", remedy: "choose what stands for it with Csv::missing",
            code: {
                std::fs::write("gap.csv", "a,b,y\n1,2,no\n3,,yes\n").unwrap();
                Csv::classes("y").read("gap.csv")
            }
        },
        bad! { "A class that the training table did not have",
            what: "class \"maybe\" is none of no, yes", place: "test.csv: line 2, column \"y\"", remedy: "none of no, yes",
            code: {
                std::fs::write("test.csv", "a,y\n1,maybe\n").unwrap();
                Csv::classes("y").class_names(&["no", "yes"]).read("test.csv")
            }
        },
        bad! { "A header and nothing below it",
            what: "no record below it", place: "header.csv", remedy: "a table needs at least one",
            code: {
                std::fs::write("header.csv", "a,b,y\n").unwrap();
                Csv::classes("y").read("header.csv")
            }
        },
    ];
    Section { title: "Tables", words: "Lines are counted as an editor counts them.", cases }
}
