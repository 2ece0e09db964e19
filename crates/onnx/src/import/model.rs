//! The imported model.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use noyau_compile::Graph;
use noyau_cpu::Values;
use noyau_nn::{Mode, Module};
use noyau_tensor::{DType, Error, Param, Result, Shape, State, Tensor};

use super::load::{self, Program};
use super::run;
use crate::DataType;

/// A model from an ONNX file.
///
/// It is traced anew whenever it is applied to tensors, so sizes that the file leaves open may differ from call to call. The float weights are parameters under their
/// names in the file; running means and variances of batch normalisation are buffers; everything else is constant.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    program: Program,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// The type of its elements in the file; `Undefined` where the file does not say, or it is no tensor.
    pub kind: DataType,
    /// The sizes of its axes, where the file gives them.
    pub shape: Option<Vec<Dim>>,
}

/// The size of an axis of a [`Port`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this one.
    Fixed(usize),
    /// Any, but the same wherever this name stands.
    Named(String),
    /// Any.
    Any,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(size) => write!(f, "{size}"),
            Dim::Named(name) => f.write_str(name),
            Dim::Any => f.write_str("?"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind.as_str_name().to_lowercase())?;
        match &self.shape {
            Some(shape) => write!(f, "[{}]", shape.iter().map(Dim::to_string).collect::<Vec<_>>().join(", ")),
            None => Ok(()),
        }
    }
}

impl Model {
    /// Reads a file, and files beside it in which it keeps values: only such as lie in its own folder or below.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read. [`Error::Data`] when it is no ONNX model or a damaged one, when values and shapes do not fit together, when a node
    /// reads what is not there, and when it uses operations that are not supported: all of them are listed.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Ok(Model { path: path.to_path_buf(), program: load::program(path, &bytes, Some(folder))? })
    }

    /// Reads a model that is in memory already; `name` stands for the file in messages. Values in other files are an error.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] as for [`Model::open`].
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Model> {
        let path = name.as_ref();
        Ok(Model { path: path.to_path_buf(), program: load::program(path, bytes, None)? })
    }

    /// What the model is applied to, in order, without the weights.
    pub fn inputs(&self) -> &[Port] {
        &self.program.inputs
    }

    /// What the model gives, in order.
    pub fn outputs(&self) -> &[Port] {
        &self.program.outputs
    }

    /// The program that wrote the file and its version, as far as the file says.
    pub fn producer(&self) -> &str {
        &self.program.producer
    }

    /// The version of ONNX's operations that the file uses, 0 where it uses none.
    pub fn opset(&self) -> i64 {
        self.program.opsets.get("").copied().unwrap_or(0)
    }

    /// The results for `inputs`, one for each of [`Model::inputs`], as in evaluation.
    ///
    /// int64, int32 and smaller integers are I32 tensors, uint64 and uint32 U32, doubles F32. What shapes or settings depend on has to be known while the model is
    /// traced: tensors made by `Tensor::from_array` and its like are, arguments of a step are not.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] when number, types or shapes of the inputs are not what the file says, or when a node cannot be computed: it names the node.
    pub fn run_tensors(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.run_mode(inputs, &Mode::eval())
    }

    /// [`Model::run_tensors`] in a mode: in training, dropout drops and batch normalisation uses and keeps the batch's statistics, whatever the file was exported for.
    ///
    /// # Errors
    ///
    /// As for [`Model::run_tensors`].
    pub fn run_mode(&self, inputs: &[Tensor], mode: &Mode) -> Result<Vec<Tensor>> {
        for (tensor, port) in inputs.iter().zip(&self.program.inputs) {
            if let Some(error) = tensor.error() {
                return Err(Error::data(&self.path, format!("the input `{}` carries an error: {error}", port.name)));
            }
        }
        let given: Vec<(&Shape, DType)> = inputs.iter().map(|tensor| (tensor.shape(), tensor.dtype())).collect();
        self.check_inputs(&given).map_err(|message| Error::data(&self.path, message))?;
        run::run(&self.path, &self.program, inputs, mode)
    }

    /// The results for `inputs`, every operation in f64 on the host: for files whose numbers are doubles, and to see how far f32 is from them. One plain loop an
    /// operation, so slow; as in evaluation; weights are those of the file, in f32, unless they are doubles that f32 has no room for.
    ///
    /// # Errors
    ///
    /// As for [`Model::run_tensors`].
    pub fn run_f64(&self, inputs: &[Values]) -> Result<Vec<Values>> {
        let given: Vec<(&Shape, DType)> = inputs.iter().map(|values| (&values.shape, values.dtype)).collect();
        self.check_inputs(&given).map_err(|message| Error::data(&self.path, message))?;
        if let Some((port, _)) = self.program.inputs.iter().zip(inputs).find(|(_, v)| v.shape.checked_numel() != Some(v.data.len())) {
            return Err(Error::data(&self.path, format!("the input `{}` holds another number of values than its shape has", port.name)));
        }
        let (results, arguments) = run::run_f64(&self.path, &self.program, inputs.to_vec())?;
        let declared: Vec<(Shape, DType)> = arguments.iter().map(|values| (values.shape.clone(), values.dtype)).collect();
        let graph = Graph::trace(&declared, &results.iter().collect::<Vec<_>>(), &[])?;
        // What cannot be had has no values, and the oracle says so.
        let state = |state: &State| match state.initial_value(0) {
            Ok(array) => Values::from(&array),
            Err(_) => Values { shape: Shape::from([0]), dtype: state.dtype(), data: Vec::new() },
        };
        noyau_cpu::evaluate(&graph, &arguments, &state).map(|run| run.outputs)
    }

    fn check_inputs(&self, inputs: &[(&Shape, DType)]) -> Result<(), String> {
        let ports = &self.program.inputs;
        if inputs.len() != ports.len() {
            let names: Vec<String> = ports.iter().map(Port::to_string).collect();
            return Err(format!("{} inputs were given; the model takes {}: {}", inputs.len(), ports.len(), names.join(", ")));
        }
        let mut sizes: HashMap<&str, (usize, &str)> = HashMap::new();
        for ((given, dtype), port) in inputs.iter().zip(ports) {
            let wanted = super::value::dtype(port.kind).map_err(|message| format!("the input `{}`: {message}", port.name))?;
            if *dtype != wanted {
                return Err(format!("the input `{port}` needs a tensor of {wanted}, got {dtype}{given}"));
            }
            let Some(shape) = &port.shape else { continue };
            let fits = shape.len() == given.rank()
                && shape.iter().zip(given.iter()).all(|(dim, &size)| !matches!(dim, Dim::Fixed(n) if *n != size));
            if !fits {
                return Err(format!("the input `{port}` got a tensor of shape {given}"));
            }
            for (dim, &size) in shape.iter().zip(given.iter()) {
                let Dim::Named(name) = dim else { continue };
                let (other, by) = *sizes.entry(name).or_insert((size, &port.name));
                if other != size {
                    return Err(format!("the size `{name}` is {other} in the input `{by}`, but {size} in `{}`", port.name));
                }
            }
        }
        Ok(())
    }

    /// The parameter or buffer of a name.
    pub fn weight(&self, name: &str) -> Option<&Param> {
        let mut all = self.program.parameters.iter().chain(&self.program.buffers);
        all.find(|(other, _)| other == name).map(|(_, param)| param)
    }
}

impl Module for Model {
    /// For models of one input and one output; see [`Model::run_mode`] for others.
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let (inputs, outputs) = (self.program.inputs.len(), self.program.outputs.len());
        if outputs != 1 {
            let message = format!("has {inputs} inputs and {outputs} outputs; as a module it needs one of each: use Model::run_mode");
            return Tensor::invalid(Error::data(&self.path, message));
        }
        match self.run_mode(std::slice::from_ref(x), mode) {
            Ok(mut results) => results.remove(0),
            Err(error) => Tensor::invalid(error),
        }
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        self.program.parameters.clone()
    }

    fn buffers(&self) -> Vec<(String, Param)> {
        self.program.buffers.clone()
    }
}
