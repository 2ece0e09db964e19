//! ONNX's own cases: every folder below NOYAU_ONNX_CASES that has a `model.onnx` and `test_data_set_*` beside it. A case that fails stops none of the others.
//!
//! `--device cpu` (the default), `gpu`, or `f64`: all operations in f64 on the host ([`Model::run_f64`]). Cases whose inputs or results are doubles are run in f64 on any
//! device, as f32 does not hold such numbers. `--table FILE` writes how many cases of each operation pass: of a model of one node its operation.
//!
//! Results are compared as ONNX's own runner does it: each value within 1e-7 + 1e-3 times the expected one, of bf16 within 2^-6 times.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use noyau_onnx::proto::{ModelProto, TensorProto};
use noyau_onnx::{DataType, Model, Values};
use noyau_tensor::{Array, DType, Tensor, bf16, f16};
use noyau_train::{Device, Session};
use prost::Message;

/// How much of the expected value a result may be off, and how much beyond that.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-7;

/// The same for bf16: two of its steps.
const RELATIVE_BF16: f64 = 1.0 / 64.0;

/// Where cases are run.
enum Place {
    Device(Device),
    F64,
}

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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1)).map(String::as_str);
    let place = match option("--device") {
        None | Some("cpu") => Place::Device(Device::cpu()),
        Some("f64") => Place::F64,
        Some("gpu") => match Device::gpu(0) {
            Ok(device) => Place::Device(device),
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(2);
            }
        },
        Some(other) => {
            eprintln!("--device {other}: cpu, gpu or f64");
            std::process::exit(2);
        }
    };
    let mut cases = Vec::new();
    find(&root, &mut cases);
    cases.sort();
    if cases.is_empty() {
        eprintln!("no folder below {} has a model.onnx", root.display());
        std::process::exit(2);
    }
    // A panic is a case's failure, told in its line.
    if option("--panics").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let mut counts: BTreeMap<PathBuf, [usize; 3]> = BTreeMap::new();
    let mut by_operation: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for case in &cases {
        let end = catch_unwind(AssertUnwindSafe(|| run(case, &place))).unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().cloned().or_else(|| cause.downcast_ref::<&str>().map(|s| s.to_string()));
            End::Failed(format!("panicked: {}", text.unwrap_or_default()))
        });
        let count = counts.entry(case.parent().unwrap_or(&root).to_path_buf()).or_default();
        let name = case.strip_prefix(&root).unwrap_or(case).display();
        if let Some(operation) = operation(case) {
            let [passed, all] = by_operation.entry(operation).or_default();
            *all += 1;
            *passed += usize::from(matches!(end, End::Passed));
        }
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
    if let Some(file) = option("--table") {
        let lines: String = by_operation.iter().map(|(op, [passed, all])| format!("{op} {passed} {all}\n")).collect();
        if let Err(error) = fs::write(file, lines) {
            eprintln!("{file}: {error}");
            std::process::exit(2);
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

/// The one operation of a case's model, if it has but one, of ONNX's own domain.
fn operation(case: &Path) -> Option<String> {
    let model = ModelProto::decode(&fs::read(case.join("model.onnx")).ok()?[..]).ok()?;
    match &model.graph?.node[..] {
        [node] if node.domain.is_empty() => Some(node.op_type.clone()),
        _ => None,
    }
}

/// Runs all sets of data of a case.
fn run(case: &Path, place: &Place) -> End {
    let model = match Model::open(case.join("model.onnx")) {
        Ok(model) => model,
        Err(error) => {
            let message = error.to_string();
            return if message.contains("support") { End::Unsupported(message) } else { End::Failed(message) };
        }
    };
    let mut sets = 0;
    while case.join(format!("test_data_set_{sets}")).is_dir() {
        if let Err(message) = set(&model, &case.join(format!("test_data_set_{sets}")), place) {
            return if message.contains("support") { End::Unsupported(message) } else { End::Failed(message) };
        }
        sets += 1;
    }
    if sets == 0 { End::Failed("has no data".into()) } else { End::Passed }
}

fn set(model: &Model, folder: &Path, place: &Place) -> Result<(), String> {
    let inputs = tensors(folder, "input")?;
    let expected = tensors(folder, "output")?;
    let double = inputs.iter().chain(&expected).any(|t| t.data_type == DataType::Double as i32);
    let results = match place {
        Place::Device(device) if !double => on_device(model, &inputs, device)?,
        _ => in_f64(model, &inputs)?,
    };
    if results.len() != expected.len() {
        return Err(format!("{} results, {} are expected", results.len(), expected.len()));
    }
    for (i, ((shape, got), stored)) in results.iter().zip(&expected).enumerate() {
        let wanted_shape: Vec<usize> = stored.dims.iter().map(|&d| d as usize).collect();
        if *shape != wanted_shape {
            return Err(format!("result {i} has the shape {shape:?}, expected {wanted_shape:?}"));
        }
        let relative = if stored.data_type == DataType::Bfloat16 as i32 { RELATIVE_BF16 } else { RELATIVE };
        for (at, (&a, &b)) in got.iter().zip(&values(stored)?).enumerate() {
            let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= ABSOLUTE + relative * b.abs();
            if !same {
                return Err(format!("result {i} is {a:e} at {at}, expected {b:e}"));
            }
        }
    }
    Ok(())
}

/// The results' shapes and numbers.
type Numbers = Vec<(Vec<usize>, Vec<f64>)>;

fn on_device(model: &Model, inputs: &[TensorProto], device: &Device) -> Result<Numbers, String> {
    let inputs = inputs.iter().map(array).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<Tensor> = inputs.into_iter().map(Tensor::from_array).collect();
    let session = Session::with_seed(device.clone(), 0);
    let mut all = Vec::new();
    for result in &model.run_tensors(&inputs).map_err(|e| e.to_string())? {
        let got = session.eval(result).map_err(|e| e.to_string())?;
        all.push((got.shape().to_vec(), numbers(&got)));
    }
    Ok(all)
}

fn in_f64(model: &Model, inputs: &[TensorProto]) -> Result<Numbers, String> {
    let inputs = inputs.iter().map(|t| {
        let shape: Vec<usize> = t.dims.iter().map(|&d| d as usize).collect();
        Ok(Values { shape: shape.into(), dtype: dtype(t)?, data: values(t)? })
    });
    let results = model.run_f64(&inputs.collect::<Result<Vec<_>, String>>()?).map_err(|e| e.to_string())?;
    Ok(results.into_iter().map(|values| (values.shape.to_vec(), values.data)).collect())
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

/// The type in which the model takes a stored tensor.
fn dtype(tensor: &TensorProto) -> Result<DType, String> {
    let kind = DataType::try_from(tensor.data_type).map_err(|e| e.to_string())?;
    Ok(kind.dtype().unwrap_or(DType::I32))
}

/// A stored tensor as the model takes it.
fn array(tensor: &TensorProto) -> Result<Array, String> {
    let all = values(tensor)?;
    let dtype = dtype(tensor)?;
    let word = |v: f64| match dtype {
        DType::Bool => Ok(u32::from(v != 0.0)),
        DType::U32 if v >= 0.0 && v <= f64::from(u32::MAX) => Ok(v as u32),
        DType::I32 if v >= f64::from(i32::MIN) && v <= f64::from(i32::MAX) => Ok(v as i32 as u32),
        DType::U32 | DType::I32 => Err(format!("the input {v} is beyond 32 bits, which is not supported")),
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
