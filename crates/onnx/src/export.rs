//! Models of noyau as ONNX files.
//!
//! In the order in which data flows: `trace` writes the model's evaluation down as a graph and finds out which sizes follow the batch; `emit`
//! (with `elementwise` and `places`) writes each primitive as ONNX operations, and `patterns` knows those compositions that ONNX has as one;
//! `file` keeps names and constants. As every model is a graph of primitives, every model can be written but for what draws random numbers.
//!
//! Files are of opset 18 and hold the weights under the model's own names. f32 stays what it is; u32 becomes int64, since few runtimes compute
//! with unsigned numbers.

mod elementwise;
mod emit;
mod file;
mod patterns;
mod places;
mod trace;

use std::collections::{BTreeMap, HashMap, HashSet};
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

#[cfg(not(target_arch = "wasm32"))]
use noyau_formats::write_atomically;
use noyau_nn::{Mode, Module};
use noyau_tensor::{DType, Error, Op, Result, Shape, Tensor};
use noyau_train::Session;
use prost::Message;

use crate::proto::{ModelProto, OperatorSetIdProto};
use emit::{Emitter, unsupported};
use file::File;
use trace::Traced;

/// The version of ONNX's operations that files are of: ONNX Runtime reads it from 1.14 on.
pub const OPSET: i64 = 18;

/// The most bytes of a protobuf message.
const MOST: usize = i32::MAX as usize;

/// How a model is written as an ONNX file.
///
/// ```
/// # use noyau_onnx::export::Export; use noyau_tensor::Result;
/// # fn f(session: &noyau_train::Session, model: &dyn noyau_nn::Module) -> Result<()> {
/// let written = Export::new([1, 28, 28]).names("image", "logits").save(session, model, "mnist.onnx")?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Export {
    shape: Shape,
    dtype: DType,
    fixed: bool,
    name: String,
    input: String,
    output: String,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exported {
    /// How many operations there are of each kind.
    pub operations: BTreeMap<String, usize>,
    /// How many elements the weights have.
    pub parameters: usize,
    /// Whether the file takes batches of any size.
    pub any_batch: bool,
    /// Why the batch is of a fixed size although it was not asked for, with the line of the program.
    pub notices: Vec<String>,
}

impl Export {
    /// For a model whose input has this shape, the batch first, of f32. The size of the batch matters only where it is [fixed](Export::fixed_batch).
    pub fn new(shape: impl Into<Shape>) -> Export {
        let [name, input, output] = ["noyau", "input", "output"].map(String::from);
        Export { shape: shape.into(), dtype: DType::F32, fixed: false, name, input, output }
    }

    /// With an input of another type: `U32` for words, which ONNX gets as int64.
    pub fn dtype(mut self, dtype: DType) -> Export {
        self.dtype = dtype;
        self
    }

    /// With the batch size of the shape and no other. (By default a file takes any, where the model's graph allows it.)
    pub fn fixed_batch(mut self) -> Export {
        self.fixed = true;
        self
    }

    /// With other names for what goes in and what comes out than `input` and `output`.
    pub fn names(mut self, input: &str, output: &str) -> Export {
        (self.input, self.output) = (input.into(), output.into());
        self
    }

    /// With another name for the model than `noyau`.
    pub fn name(mut self, name: &str) -> Export {
        self.name = name.into();
        self
    }

    /// The bytes of the file: the model's evaluation, with the weights as they are on the session.
    ///
    /// # Errors
    ///
    /// What the model's `forward` gives for this input; [`Error::Argument`] when operations have no form in ONNX, all of them listed with their
    /// lines, when two weights have one name, or when the file would be larger than 2 GiB; and what reading a weight may give.
    pub async fn to_bytes_async(&self, session: &Session, model: &dyn Module) -> Result<(Vec<u8>, Exported)> {
        let forward = |x: &Tensor| model.forward(x, &Mode::eval());
        let mut written = Exported::default();
        let any = if self.fixed { Err(String::new()) } else { Traced::any_batch(&self.shape, self.dtype, &forward)? };
        let traced = match any {
            Ok(traced) => traced,
            Err(reason) => {
                if !self.fixed {
                    let size = self.shape.first().copied().unwrap_or(1);
                    written.notices.push(format!("the file takes batches of {size} only: {reason}"));
                }
                Traced::one_batch(&self.shape, self.dtype, &forward)?
            }
        };
        written.any_batch = !self.fixed && written.notices.is_empty();
        let mut refused: Vec<String> = traced.graph().nodes.iter().filter_map(unsupported).collect();
        refused.sort();
        refused.dedup();
        if !refused.is_empty() {
            return Err(Error::argument(
                "onnx export",
                format!("{} operations have no form in ONNX: {}", refused.len(), refused.join("; ")),
            ));
        }

        let mut file = File::new(&self.name, &self.input);
        let names = self.weights(session, model, &traced, &mut file, &mut written).await?;
        let Some(&root) = traced.graph().outputs.first() else { return Err(Error::Internal("a graph without a result".into())) };
        let sizes = input_sizes(&traced, &self.shape, written.any_batch);
        file.takes(self.dtype, &sizes);
        let result = Emitter::new(&traced, &mut file, &names, &self.input).write(root);
        file.gives(&result, &self.output, traced.node(root).dtype, &traced.shape(root));

        for node in &file.graph.node {
            *written.operations.entry(node.op_type.clone()).or_default() += 1;
        }
        let opset = OperatorSetIdProto { version: OPSET, ..OperatorSetIdProto::default() };
        let producer_version = env!("CARGO_PKG_VERSION").to_string();
        let model = ModelProto {
            ir_version: 8,
            producer_name: "noyau".into(),
            producer_version,
            opset_import: vec![opset],
            ..ModelProto::default()
        };
        let model = ModelProto { graph: Some(file.graph), ..model };
        if model.encoded_len() > MOST {
            let message = format!("the file would have {} bytes; a protobuf message has at most {MOST}", model.encoded_len());
            return Err(Error::argument("onnx export", message));
        }
        Ok((model.encode_to_vec(), written))
    }

    /// Writes the values of all states that the graph reads; their names.
    async fn weights(
        &self,
        session: &Session,
        model: &dyn Module,
        traced: &Traced,
        file: &mut File,
        written: &mut Exported,
    ) -> Result<HashMap<u64, String>> {
        let paths = [model.parameters(), model.buffers()].concat();
        let paths: HashMap<u64, String> = paths.into_iter().map(|(path, param)| (param.state().id(), path)).collect();
        let mut names = HashMap::new();
        let mut taken: HashSet<String> = [self.input.clone(), self.output.clone()].into();
        for node in &traced.graph().nodes {
            let Op::State(state) = &node.op else { continue };
            if names.contains_key(&state.id()) {
                continue;
            }
            let name = paths.get(&state.id()).map_or_else(|| state.name().to_string(), String::clone);
            if !taken.insert(name.clone()) {
                return Err(Error::argument(
                    "onnx export",
                    format!("two values are called `{name}`; give the parts of the model, the input and the output names of their own"),
                ));
            }
            let value = session.get_async(&noyau_tensor::Param::from_state(state.clone())).await?;
            written.parameters += value.len();
            file.parameter(&name, &value);
            names.insert(state.id(), name);
        }
        Ok(names)
    }
}

/// The sizes of the input, of which the first may follow the batch.
fn input_sizes(traced: &Traced, shape: &Shape, any_batch: bool) -> Vec<trace::Dim> {
    let given = traced.graph().nodes.iter().position(|node| matches!(node.op, Op::Input(_)));
    let mut sizes: Vec<trace::Dim> = shape.iter().map(|&size| trace::Dim::fixed(size as i64)).collect();
    match (given, sizes.first_mut()) {
        (Some(i), _) => traced.shape(noyau_compile::NodeId(i)),
        (None, Some(first)) if any_batch => {
            *first = trace::Dim { per: 1, rest: 0 };
            sizes
        }
        _ => sizes,
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Export {
    /// [`Export::to_bytes_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Export::to_bytes_async`].
    pub fn to_bytes(&self, session: &Session, model: &dyn Module) -> Result<(Vec<u8>, Exported)> {
        pollster::block_on(self.to_bytes_async(session, model))
    }

    /// Writes the file, which appears whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`Export::to_bytes_async`]; [`Error::Io`] when the file cannot be written.
    pub fn save(&self, session: &Session, model: &dyn Module, path: impl AsRef<Path>) -> Result<Exported> {
        let (bytes, written) = self.to_bytes(session, model)?;
        write_atomically(path, |writer| writer.write_all(&bytes))?;
        Ok(written)
    }
}

/// Writes a model's evaluation, with the weights as they are on the session, as an ONNX file that takes an f32 input of this shape, the batch
/// first and of any size: [`Export`] with its defaults.
///
/// # Errors
///
/// As [`Export::save`].
#[cfg(not(target_arch = "wasm32"))]
pub fn export(model: &dyn Module, session: &Session, shape: impl Into<Shape>, path: impl AsRef<Path>) -> Result<Exported> {
    Export::new(shape).save(session, model, path)
}
