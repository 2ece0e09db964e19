//! PyTorch's weights: what its layers and noyau's call their values, how they lay them out, and files that PyTorch loads.
//!
//! noyau's layers have PyTorch's names, shapes and order of gates, so that a file of `safetensors.torch.save_file(model.state_dict(), file)` holds what a
//! noyau model of the same layers needs, value for value: nothing is transposed on the way. [`LAYERS`] says so for each layer; `docs/FORMATS.md` shows it as a
//! table, and a test (`tests/torch_names.rs`) checks it against files that PyTorch wrote.
//!
//! One value differs: [`COUNTER`], the number of batches that a batch norm has seen, an integer of 64 bits. PyTorch always has it; noyau has it (as f32) only
//! where it is used, in cumulative averages. Reading passes over it, and [`save`] writes it beside each running mean that has none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use noyau_tensor::{Array, DType, Result};

use crate::safetensors::{Item, bytes_as, save_as};
use crate::stored::Stored;

/// The last part of the name under which PyTorch's batch norms count the batches that they were trained on.
pub const COUNTER: &str = "num_batches_tracked";

/// The value beside which PyTorch has a [`COUNTER`].
const MEAN: &str = "running_mean";

/// A layer that both libraries have.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// noyau's name.
    pub noyau: &'static str,
    /// PyTorch's, in `torch.nn`.
    pub torch: &'static str,
    /// The values' names, the same in both, with their shapes.
    pub values: &'static [(&'static str, &'static str)],
    /// What to know when a model is written again in the other library.
    pub remark: &'static str,
}

const GATES: &[(&str, &str)] = &[
    ("weight_ih_l{k}", "`[gates * hidden, in]`"),
    ("weight_hh_l{k}", "`[gates * hidden, hidden]`"),
    ("bias_ih_l{k}", "`[gates * hidden]`"),
    ("bias_hh_l{k}", "`[gates * hidden]`"),
];

const NORMED: &[(&str, &str)] = &[("weight", "`[channels]`"), ("bias", "`[channels]`")];

/// All layers with values, and how both libraries keep them.
pub const LAYERS: &[Layer] = &[
    Layer {
        noyau: "Linear",
        torch: "Linear",
        values: &[("weight", "`[out, in]`"), ("bias", "`[out]`")],
        remark: "`y = x W^T + b` in both: the weight is not transposed in the file",
    },
    Layer {
        noyau: "Conv1d",
        torch: "Conv1d",
        values: &[("weight", "`[out, in / groups, kernel]`"), ("bias", "`[out]`")],
        remark: "the kernel is not reversed",
    },
    Layer {
        noyau: "Conv2d",
        torch: "Conv2d",
        values: &[("weight", "`[out, in / groups, height, width]`"), ("bias", "`[out]`")],
        remark: "the kernel is not reversed",
    },
    Layer {
        noyau: "ConvTranspose1d",
        torch: "ConvTranspose1d",
        values: &[("weight", "`[in, out / groups, kernel]`"), ("bias", "`[out]`")],
        remark: "",
    },
    Layer {
        noyau: "ConvTranspose2d",
        torch: "ConvTranspose2d",
        values: &[("weight", "`[in, out / groups, height, width]`"), ("bias", "`[out]`")],
        remark: "",
    },
    Layer {
        noyau: "Embedding",
        torch: "Embedding",
        values: &[("weight", "`[count, dimension]`")],
        remark: "`padding_idx` is a row like any other",
    },
    Layer {
        noyau: "BatchNorm",
        torch: "BatchNorm1d`, `2d`, `3d",
        values: &[
            ("weight", "`[channels]`"),
            ("bias", "`[channels]`"),
            ("running_mean", "`[channels]`"),
            ("running_var", "`[channels]`"),
            ("num_batches_tracked", "`[]`"),
        ],
        remark: "`num_batches_tracked`: passed over when a file is read, written as 0, except in a `cumulative()` layer, which has it",
    },
    Layer {
        noyau: "LayerNorm",
        torch: "LayerNorm",
        values: &[("weight", "`normalized_shape`"), ("bias", "`normalized_shape`")],
        remark: "",
    },
    Layer { noyau: "GroupNorm", torch: "GroupNorm", values: NORMED, remark: "" },
    Layer {
        noyau: "InstanceNorm",
        torch: "InstanceNorm1d`, `2d`, `3d",
        values: NORMED,
        remark: "with `affine=True`; `track_running_stats` is not in noyau",
    },
    Layer { noyau: "RmsNorm", torch: "RMSNorm", values: &[("weight", "`normalized_shape`")], remark: "" },
    Layer { noyau: "Rnn", torch: "RNN", values: GATES, remark: "one gate; `batch_first=True`" },
    Layer {
        noyau: "Lstm",
        torch: "LSTM",
        values: GATES,
        remark: "gates: input, forget, cell, output; both biases; `batch_first=True`; `proj_size` is not in noyau",
    },
    Layer { noyau: "Gru", torch: "GRU", values: GATES, remark: "gates: reset, update, new; both biases; `batch_first=True`" },
    Layer {
        noyau: "MultiHeadAttention",
        torch: "MultiheadAttention",
        values: &[
            ("in_proj_weight", "`[3 * embed, embed]`"),
            ("in_proj_bias", "`[3 * embed]`"),
            ("out_proj.weight", "`[embed, embed]`"),
            ("out_proj.bias", "`[embed]`"),
        ],
        remark: "queries, keys, values; with `kdim` or `vdim`: `q_proj_weight`, `k_proj_weight`, `v_proj_weight`; `batch_first=True`",
    },
    Layer {
        noyau: "TransformerEncoderLayer",
        torch: "TransformerEncoderLayer",
        values: &[
            ("self_attn.{..}", "as MultiheadAttention"),
            ("linear1.{..}", "as Linear"),
            ("linear2.{..}", "as Linear"),
            ("norm1.{..}", "as LayerNorm"),
            ("norm2.{..}", "as LayerNorm"),
        ],
        remark: "`batch_first=True`",
    },
    Layer {
        noyau: "TransformerEncoder",
        torch: "TransformerEncoder",
        values: &[("layers.{i}.{..}", "as TransformerEncoderLayer"), ("norm.{..}", "as LayerNorm")],
        remark: "",
    },
    Layer {
        noyau: "TransformerDecoderLayer",
        torch: "TransformerDecoderLayer",
        values: &[
            ("self_attn.{..}", "as MultiheadAttention"),
            ("multihead_attn.{..}", "as MultiheadAttention"),
            ("linear1.{..}", "as Linear"),
            ("linear2.{..}", "as Linear"),
            ("norm1.{..}", "as LayerNorm"),
            ("norm2.{..}", "as LayerNorm"),
            ("norm3.{..}", "as LayerNorm"),
        ],
        remark: "`batch_first=True`; always with the `tgt_mask` that hides later places",
    },
    Layer {
        noyau: "TransformerDecoder",
        torch: "TransformerDecoder",
        values: &[("layers.{i}.{..}", "as TransformerDecoderLayer"), ("norm.{..}", "as LayerNorm")],
        remark: "",
    },
    Layer {
        noyau: "Sequential",
        torch: "Sequential",
        values: &[("{i}.{..}", "as the layer at position i")],
        remark: "layers without values count too: give noyau's the same positions (`.then(Relu)`, `.then(Dropout(0.5))`)",
    },
];

/// [`LAYERS`] as a table of markdown.
pub fn markdown() -> String {
    let mut text = String::from("| noyau | `torch.nn` | Values | Remarks |\n|---|---|---|---|\n");
    for layer in LAYERS {
        let values: Vec<String> = layer.values.iter().map(|(name, shape)| format!("`{name}` {shape}")).collect();
        text += &format!("| `{}` | `{}` | {} | {} |\n", layer.noyau, layer.torch, values.join("<br>"), layer.remark);
    }
    text
}

/// Whether a value of a PyTorch model is one that a model can do without: a [`COUNTER`].
pub fn is_counter(name: &str) -> bool {
    last(name) == COUNTER
}

/// Writes a model's values to a safetensors file that PyTorch loads:
///
/// ```python
/// model.load_state_dict(safetensors.torch.load_file("model.safetensors"), strict=True)
/// ```
///
/// Names, shapes and types are those of PyTorch's `state_dict` of the same layers: beside each `running_mean` stands a [`COUNTER`], of 64 bits. The file appears whole or
/// not at all.
///
/// # Errors
///
/// As [`safetensors::save`](crate::safetensors::save).
pub fn save(path: impl AsRef<Path>, tensors: &[(String, Array)]) -> Result<()> {
    let counters = counters(tensors);
    save_as(path.as_ref(), &items(tensors, &counters), &metadata())
}

/// The bytes that [`save`] would write.
///
/// # Errors
///
/// As [`safetensors::save`](crate::safetensors::save).
pub fn to_bytes(tensors: &[(String, Array)]) -> Result<Vec<u8>> {
    let counters = counters(tensors);
    bytes_as(&items(tensors, &counters), &metadata())
}

/// The mark by which other libraries know a file of PyTorch's.
fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("format".to_string(), "pt".to_string())])
}

/// The counters that PyTorch has and the model has not.
fn counters(tensors: &[(String, Array)]) -> Vec<(String, Array)> {
    let names: BTreeSet<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    let means = names.iter().filter_map(|name| name.strip_suffix(MEAN).filter(|_| last(name) == MEAN));
    let wanted = means.map(|path| format!("{path}{COUNTER}")).filter(|name| !names.contains(name.as_str()));
    wanted.map(|name| (name, Array::scalar(0u32))).collect()
}

fn items<'a>(tensors: &'a [(String, Array)], counters: &'a [(String, Array)]) -> Vec<Item<'a>> {
    let stored = |name: &str, dtype: DType| if is_counter(name) { Stored::I64 } else { Stored::of(dtype) };
    tensors.iter().chain(counters).map(|(name, array)| (name.as_str(), array, stored(name, array.dtype()))).collect()
}

/// The part of a name after its last point.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safetensors;

    #[test]
    fn a_counter_stands_beside_each_running_mean() {
        let ones = Array::new([2], &[1.0f32; 2]).unwrap();
        let named = |name: &str| (name.to_string(), ones.clone());
        let cumulative = ("c.num_batches_tracked".to_string(), Array::scalar(3.0f32));
        let tensors = [named("running_mean"), named("a.running_mean"), named("b.xrunning_mean"), named("c.running_mean"), cumulative];
        let bytes = to_bytes(&tensors).unwrap();
        let loaded = safetensors::from_bytes("f", &bytes).unwrap();
        let names: Vec<&str> = loaded.tensors.keys().map(String::as_str).collect();
        let wanted = [
            "a.num_batches_tracked",
            "a.running_mean",
            "b.xrunning_mean",
            "c.num_batches_tracked",
            "c.running_mean",
            "num_batches_tracked",
            "running_mean",
        ];
        assert_eq!(names, wanted);
        assert_eq!(loaded.tensors["c.num_batches_tracked"], Array::scalar(3i32));
        assert_eq!(loaded.tensors["a.num_batches_tracked"], Array::scalar(0i32));
        assert_eq!(loaded.metadata["format"], "pt");
        let header = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(header.matches("\"I64\"").count(), 3, "{header}");
    }

    #[test]
    fn the_reference_reads_what_is_written() {
        let tensors = [("n.running_mean".to_string(), Array::new([3], &[1.0f32, 2.0, 3.0]).unwrap())];
        let bytes = to_bytes(&tensors).unwrap();
        let read = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let counter = read.tensor("n.num_batches_tracked").unwrap();
        assert_eq!((counter.dtype(), counter.shape(), counter.data()), (::safetensors::Dtype::I64, &[][..], &[0u8; 8][..]));
    }
}
