//! ONNX's own cases, run on the CPU: every folder below NOYAU_ONNX_CASES that has a `model.onnx` and `test_data_set_*` beside it. A case that fails stops none of the others.
//!
//! Results are compared as ONNX's own runner does it: each value within 1e-7 + 1e-3 times the expected one.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use noyau_onnx::proto::TensorProto;
use noyau_onnx::{DataType, Model};
use noyau_tensor::{Array, DType, Tensor, bf16, f16};
use noyau_train::{Device, Session};
use prost::Message;

/// How much of the expected value a result may be off, and how much beyond that.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-7;

/// How a case ended.
enum End {
    Passed,
    Unsupported(String),
    Failed(String),
}

fn main() {
    let Some(root) = std::env::var_os("NOYAU_ONNX_CASES").map(PathBuf::from) else {
        eprintln!("NOYAU_ONNX_CASES names no folder; scripts/onnx_cases finds it");
        std::process::exit(2);
    };
    let mut cases = Vec::new();
    find(&root, &mut cases);
    cases.sort();
    if cases.is_empty() {
        eprintln!("no folder below {} has a model.onnx", root.display());
        std::process::exit(2);
    }
    // A panic is a case's failure, told in its line.
    std::panic::set_hook(Box::new(|_| {}));
    let mut counts: BTreeMap<PathBuf, [usize; 3]> = BTreeMap::new();
    for case in &cases {
        let end = catch_unwind(AssertUnwindSafe(|| run(case))).unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().cloned().or_else(|| cause.downcast_ref::<&str>().map(|s| s.to_string()));
            End::Failed(format!("panicked: {}", text.unwrap_or_default()))
        });
        let count = counts.entry(case.parent().unwrap_or(&root).to_path_buf()).or_default();
        let name = case.strip_prefix(&root).unwrap_or(case).display();
        match end {
            End::Passed => count[0] += 1,
            End::Failed(why) => {
                count[1] += 1;
                println!("FAILED {name}: {}", line(&why));
            }
            End::Unsupported(why) => {
                count[2] += 1;
                println!("unsupported {name}: {}", line(&why));
            }
        }
    }
    println!("{:<24} {:>6} {:>6} {:>6} {:>11}", "folder", "cases", "passed", "failed", "unsupported");
    for (folder, [passed, failed, unsupported]) in counts {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name:<24} {:>6} {passed:>6} {failed:>6} {unsupported:>11}", passed + failed + unsupported);
    }
}

/// A reason in one line.
fn line(why: &str) -> String {
    why.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The folders of cases below `folder`.
fn find(folder: &Path, cases: &mut Vec<PathBuf>) {
    if folder.join("model.onnx").is_file() {
        cases.push(folder.to_path_buf());
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            find(&entry.path(), cases);
        }
    }
}

/// Runs all sets of data of a case.
fn run(case: &Path) -> End {
    let model = match Model::open(case.join("model.onnx")) {
        Ok(model) => model,
        Err(error) => {
            let message = error.to_string();
            return if message.contains("support") { End::Unsupported(message) } else { End::Failed(message) };
        }
    };
    let mut sets = 0;
    while case.join(format!("test_data_set_{sets}")).is_dir() {
        if let Err(message) = set(&model, &case.join(format!("test_data_set_{sets}"))) {
            return if message.contains("support") { End::Unsupported(message) } else { End::Failed(message) };
        }
        sets += 1;
    }
    if sets == 0 { End::Failed("has no data".into()) } else { End::Passed }
}

fn set(model: &Model, folder: &Path) -> Result<(), String> {
    let inputs = tensors(folder, "input")?;
    let expected = tensors(folder, "output")?;
    let inputs = inputs.iter().map(array).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<Tensor> = inputs.into_iter().map(Tensor::from_array).collect();
    let results = model.run_tensors(&inputs).map_err(|e| e.to_string())?;
    if results.len() != expected.len() {
        return Err(format!("{} results, {} are expected", results.len(), expected.len()));
    }
    let session = Session::with_seed(Device::cpu(), 0);
    for (i, (result, stored)) in results.iter().zip(&expected).enumerate() {
        let got = session.eval(result).map_err(|e| e.to_string())?;
        let shape: Vec<usize> = stored.dims.iter().map(|&d| d as usize).collect();
        if got.shape().to_vec() != shape {
            return Err(format!("result {i} has the shape {:?}, expected {shape:?}", got.shape().to_vec()));
        }
        let (got, wanted) = (numbers(&got), values(stored)?);
        for (place, (&a, &b)) in got.iter().zip(&wanted).enumerate() {
            let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= ABSOLUTE + RELATIVE * b.abs();
            if !same {
                return Err(format!("result {i} is {a:e} at {place}, expected {b:e}"));
            }
        }
    }
    Ok(())
}

/// The files `input_0.pb`, `input_1.pb`, .. of a folder.
fn tensors(folder: &Path, what: &str) -> Result<Vec<TensorProto>, String> {
    let mut all = Vec::new();
    loop {
        let path = folder.join(format!("{what}_{}.pb", all.len()));
        if !path.is_file() {
            return Ok(all);
        }
        let bytes = fs::read(&path).map_err(|e| e.to_string())?;
        all.push(TensorProto::decode(&bytes[..]).map_err(|_| format!("{what}s that are no tensors are not supported"))?);
    }
}

/// The numbers that a tensor stores. Integers beyond 2^53 are not told apart.
fn values(tensor: &TensorProto) -> Result<Vec<f64>, String> {
    fn each<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        raw.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
    let kind = DataType::try_from(tensor.data_type).map_err(|e| e.to_string())?;
    let raw = &tensor.raw_data[..];
    let all: Vec<f64> = if raw.is_empty() {
        let halves = |read: fn(u16) -> f64| tensor.int32_data.iter().map(|&v| read(v as u16)).collect();
        match kind {
            DataType::Float => tensor.float_data.iter().map(|&v| v.into()).collect(),
            DataType::Double => tensor.double_data.clone(),
            DataType::Int64 => tensor.int64_data.iter().map(|&v| v as f64).collect(),
            DataType::Uint32 | DataType::Uint64 => tensor.uint64_data.iter().map(|&v| v as f64).collect(),
            DataType::Float16 => halves(|v| f16::from_bits(v).to_f64()),
            DataType::Bfloat16 => halves(|v| bf16::from_bits(v).to_f64()),
            _ => tensor.int32_data.iter().map(|&v| v.into()).collect(),
        }
    } else {
        match kind {
            DataType::Float => each(raw, |b| f32::from_le_bytes(b).into()),
            DataType::Double => each(raw, f64::from_le_bytes),
            DataType::Float16 => each(raw, |b| f16::from_le_bytes(b).to_f64()),
            DataType::Bfloat16 => each(raw, |b| bf16::from_le_bytes(b).to_f64()),
            DataType::Int8 => each(raw, |b| i8::from_le_bytes(b).into()),
            DataType::Uint8 | DataType::Bool => each(raw, |b| u8::from_le_bytes(b).into()),
            DataType::Int16 => each(raw, |b| i16::from_le_bytes(b).into()),
            DataType::Uint16 => each(raw, |b| u16::from_le_bytes(b).into()),
            DataType::Int32 => each(raw, |b| i32::from_le_bytes(b).into()),
            DataType::Uint32 => each(raw, |b| u32::from_le_bytes(b).into()),
            DataType::Int64 => each(raw, |b| i64::from_le_bytes(b) as f64),
            DataType::Uint64 => each(raw, |b| u64::from_le_bytes(b) as f64),
            other => return Err(format!("elements of type {} are not supported", other.as_str_name())),
        }
    };
    let count: i64 = tensor.dims.iter().product();
    if all.len() as i64 == count { Ok(all) } else { Err(format!("elements of type {} are not supported", kind.as_str_name())) }
}

/// A stored tensor as the model takes it.
fn array(tensor: &TensorProto) -> Result<Array, String> {
    let all = values(tensor)?;
    let dtype = match DataType::try_from(tensor.data_type).map_err(|e| e.to_string())? {
        DataType::Float | DataType::Double => DType::F32,
        DataType::Float16 => DType::F16,
        DataType::Bfloat16 => DType::BF16,
        DataType::Bool => DType::Bool,
        DataType::Uint32 | DataType::Uint64 => DType::U32,
        _ => DType::I32,
    };
    let word = |v: f64| match dtype {
        DType::Bool => Ok(u32::from(v != 0.0)),
        DType::U32 if v >= 0.0 && v <= f64::from(u32::MAX) => Ok(v as u32),
        DType::I32 if v.abs() <= f64::from(i32::MAX) => Ok(v as i32 as u32),
        DType::U32 | DType::I32 => Err(format!("the input {v} is beyond 32 bits, which is not supported")),
        _ if v.is_finite() && v.abs() > f64::from(f32::MAX) => {
            Err(format!("the input {v:e} is beyond f32; doubles are not supported as such"))
        }
        _ => Ok((v as f32).to_bits()),
    };
    let words = all.into_iter().map(word).collect::<Result<Vec<u32>, String>>()?;
    let shape: Vec<usize> = tensor.dims.iter().map(|&d| d as usize).collect();
    Array::from_words(shape, dtype, words).map_err(|e| e.to_string())
}

/// The elements of a result.
fn numbers(array: &Array) -> Vec<f64> {
    array
        .words()
        .iter()
        .map(|&word| match array.dtype() {
            DType::I32 => (word as i32).into(),
            DType::U32 | DType::Bool => word.into(),
            _ => f32::from_bits(word).into(),
        })
        .collect()
}
