//! noyau's benchmarks, shared by the roofline report (`cargo run --release -p noyau-bench`) and by criterion (`cargo bench`).
//!
//! In the order in which data flows: [`devices`] says where to measure; [`kernels`] are single expressions over sizes that matter and [`training`] whole
//! training steps, [`workloads`] those of them that have a name in the table that peers are compared by; [`cost`] counts a step's arithmetic and least
//! traffic; [`measure`] times; [`ceiling`] measures what the device can do at most, without noyau; [`roofline`] puts a figure under its ceiling;
//! [`figure`] is a line of results, [`compare`] sets two runs side by side, [`table`] and [`plot`] show them; [`options`] and [`report`] are the program.

pub mod ceiling;
pub mod check;
pub mod compare;
pub mod cost;
pub mod devices;
pub mod figure;
pub mod fresh;
pub mod kernels;
pub mod measure;
pub mod options;
pub mod plot;
pub mod report;
pub mod roofline;
pub mod table;
pub mod training;
pub mod workloads;
