//! Files that PyTorch wrote (`reference/torch_files.py`) in noyau's models, and noyau's files as PyTorch would have written them.
//!
//! docs/FORMATS.md shows the table of `noyau::formats::torch`, which is checked here against the names and shapes in PyTorch's files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use noyau::formats::{safetensors, torch};
use noyau::nn::*;
use noyau::train::{LoadReport, Weights, load_weights, save_weights};
use noyau::{Array, DType, Device, Param, Session, Tensor};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/torch")
}

fn file(name: &str) -> PathBuf {
    folder().join(format!("{name}.safetensors"))
}

/// PyTorch's input and result for a model or layer.
fn expected(name: &str) -> (Array, Array) {
    let mut all = safetensors::load(file("results")).expect("the file is whole").tensors;
    let mut take = |part: &str| all.remove(&format!("{name}/{part}")).unwrap_or_else(|| panic!("no {name}/{part}"));
    (take("x"), take("y"))
}

fn mlp() -> Sequential {
    let first = Sequential::new().then(Flatten).then(Linear::new(48, 32)).then(Relu);
    first.then(Linear::new(32, 16)).then(Tanh).then(Linear::new(16, 5))
}

fn cnn() -> Sequential {
    let first = Sequential::new().then(Conv2d::new(2, 6, 3).padding(1).without_bias()).then(BatchNorm2d::new(6)).then(Relu);
    let second = first.then(MaxPool2d::new(2)).then(Conv2d::new(6, 8, 3).stride(2).padding(1).groups(2)).then(Gelu);
    let third = second.then(ConvTranspose2d::new(8, 4, 2).stride(2)).then(GroupNorm::new(2, 4));
    third.then(AdaptiveAvgPool2d::new(1)).then(Flatten).then(Linear::new(4, 5))
}

/// A decoder whose memory is its input backwards.
struct Decoder<F>(F, Vec<(String, Param)>);

impl<F: Fn(&Tensor, &Tensor, &Mode) -> Tensor + Send + Sync> Module for Decoder<F> {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        (self.0)(x, &x.flip(&[1]), mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        self.1.clone()
    }
}

/// The layers of `torch_files.py`, by noyau's names.
fn layers() -> Vec<(&'static str, Box<dyn Module>)> {
    let open = AttentionMask::none;
    let encoder = TransformerEncoderLayer::new(6, 2).dim_feedforward(10).dropout(0.0);
    let second = encoder.clone().activation(Gelu).norm_first();
    let decoder = TransformerDecoderLayer::new(6, 2).dim_feedforward(10).dropout(0.0);
    let stack = TransformerDecoder::new(&decoder, 2);
    let (one, all) = (decoder.parameters(), stack.parameters());
    vec![
        ("Linear", Box::new(Linear::new(6, 3))),
        ("Conv1d", Box::new(Conv1d::new(4, 6, 3).groups(2))),
        ("Conv2d", Box::new(Conv2d::new(3, 5, [2, 3]).stride(2))),
        ("ConvTranspose1d", Box::new(ConvTranspose1d::new(4, 6, 3).stride(2).groups(2))),
        ("ConvTranspose2d", Box::new(ConvTranspose2d::new(3, 5, [2, 3]).stride(2).padding(1))),
        ("Embedding", Box::new(Embedding::new(9, 4))),
        ("BatchNorm", Box::new(BatchNorm::new(3))),
        ("LayerNorm", Box::new(LayerNorm::new([4, 6]))),
        ("GroupNorm", Box::new(GroupNorm::new(2, 4))),
        ("InstanceNorm", Box::new(InstanceNorm::new(4).affine())),
        ("RmsNorm", Box::new(RmsNorm::new([6]))),
        ("Rnn", Box::new(Rnn::new(6, 3).num_layers(2))),
        ("Lstm", Box::new(Lstm::new(6, 3).num_layers(2).bidirectional())),
        ("Gru", Box::new(Gru::new(6, 3).bidirectional())),
        ("MultiHeadAttention", Box::new(MultiHeadAttention::new(6, 2))),
        ("TransformerEncoder", Box::new(TransformerEncoder::new(&second, 2).norm(LayerNorm::new([6])))),
        ("TransformerEncoderLayer", Box::new(encoder)),
        (
            "TransformerDecoderLayer",
            Box::new(Decoder(move |x: &Tensor, m: &Tensor, mode: &Mode| decoder.run(x, m, &open(), &open(), mode), one)),
        ),
        ("TransformerDecoder", Box::new(Decoder(move |x: &Tensor, m: &Tensor, mode: &Mode| stack.run(x, m, &open(), &open(), mode), all))),
    ]
}

/// Fails where the model's result on PyTorch's input is further than 1e-5 from PyTorch's.
#[track_caller]
fn compare(session: &Session, name: &str, model: &dyn Module) {
    let (x, y) = expected(name);
    // Words are counted in whole numbers.
    let x = if x.dtype() == DType::I32 { x.to(DType::U32) } else { x };
    let found = session.eval(&model.forward(&Tensor::from(x), &Mode::eval())).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(found.shape(), y.shape(), "{name}");
    for (i, (got, want)) in found.to_f64().iter().zip(y.to_f64()).enumerate() {
        assert!((got - want).abs() <= 1e-5, "{name}: element {i} is {got}, PyTorch has {want}");
    }
}

#[test]
fn pytorchs_mlp_and_cnn_load_as_they_are() {
    for (name, model, ignored) in [("mlp", mlp(), vec![]), ("cnn", cnn(), vec!["1.num_batches_tracked".to_string()])] {
        let session = Session::new(Device::cpu());
        let report = load_weights(&session, &model, file(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let names: BTreeSet<String> = [model.parameters(), model.buffers()].concat().into_iter().map(|(name, _)| name).collect();
        assert_eq!(report.loaded.iter().cloned().collect::<BTreeSet<_>>(), names, "{name}");
        assert_eq!(report, LoadReport { loaded: report.loaded.clone(), ignored, ..LoadReport::default() }, "{name}");
        compare(&session, name, &model);
    }
}

#[test]
fn every_layer_has_pytorchs_values() {
    let session = Session::new(Device::cpu());
    for (name, layer) in layers() {
        // The file holds all layers: what the others have is not expected.
        let weights = Weights::open(file("layers")).unwrap().rename(&format!("{name}/"), "").strict(false);
        let report = weights.load(&session, &layer).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((&report.missing[..], &report.mismatched[..]), (&[][..], &[][..]), "{name}");
        assert!(report.unexpected.iter().all(|other| other.contains('/')), "{name}: {report}");
        compare(&session, name, &layer);
    }
}

/// Type and shape of each tensor, as a file's header has them.
fn header(bytes: &[u8]) -> BTreeMap<String, (String, Vec<u64>)> {
    let (length, rest) = bytes.split_first_chunk::<8>().expect("the length of the header");
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&rest[..u64::from_le_bytes(*length) as usize]).expect("JSON");
    let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__");
    let entry = |v: serde_json::Value| {
        let shape = v["shape"].as_array().expect("a shape").iter().map(|d| d.as_u64().expect("a size")).collect();
        (v["dtype"].as_str().expect("a type").to_string(), shape)
    };
    tensors.map(|(name, v)| (name, entry(v))).collect()
}

/// `load_state_dict(strict=True)` compares names and shapes; types are the same too, and so are the values.
#[test]
fn files_for_pytorch_have_its_names_shapes_types_and_values() {
    let folder = tempfile::tempdir().unwrap();
    for (name, model) in [("mlp", mlp()), ("cnn", cnn())] {
        let session = Session::new(Device::cpu());
        load_weights(&session, &model, file(name)).unwrap();
        let path = folder.path().join(name);
        save_weights(&session, &model, &path).unwrap();
        let read = |path: &Path| std::fs::read(path).unwrap();
        assert_eq!(header(&read(&path)), header(&read(&file(name))), "{name}");
        let (ours, mut theirs) = (safetensors::load(&path).unwrap(), safetensors::load(file(name)).unwrap());
        // Nobody reads the counters, and noyau does not keep them.
        theirs.tensors.iter_mut().filter(|(name, _)| torch::is_counter(name)).for_each(|(_, value)| *value = Array::scalar(0i32));
        assert_eq!(ours.tensors, theirs.tensors, "{name}");
        assert_eq!(ours.metadata["format"], "pt");
    }
}

/// The last part of a name in PyTorch's file fits a pattern of the table: `{k}` and `{i}` stand for a number, `{..}` for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('{') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    match tail.split_once('}') {
        Some(("..", "")) => !rest.is_empty(),
        Some(("k", "")) => !rest.is_empty() && rest.trim_end_matches("_reverse").bytes().all(|b| b.is_ascii_digit()),
        Some((_, after)) => {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            digits > 0 && fits(after, &rest[digits..])
        }
        None => false,
    }
}

#[test]
fn the_table_says_what_pytorchs_files_have() {
    let all = header(&std::fs::read(file("layers")).unwrap());
    for layer in torch::LAYERS.iter().filter(|layer| layer.noyau != "Sequential") {
        let prefix = format!("{}/", layer.noyau);
        let names: Vec<&str> = all.keys().filter_map(|name| name.strip_prefix(&prefix)).collect();
        assert!(!names.is_empty(), "no {} in the file", layer.noyau);
        for name in &names {
            assert!(layer.values.iter().any(|(pattern, _)| fits(pattern, name)), "the table's {} has no {name}", layer.noyau);
        }
        for (pattern, _) in layer.values {
            // Decoders of the file have no last norm.
            let there = names.iter().any(|name| fits(pattern, name)) || (layer.noyau, *pattern) == ("TransformerDecoder", "norm.{..}");
            assert!(there, "PyTorch's {} has no {pattern}: {names:?}", layer.torch);
        }
    }
    let known: BTreeSet<&str> = torch::LAYERS.iter().map(|layer| layer.noyau).collect();
    assert!(layers().iter().all(|(name, _)| known.contains(name)), "a layer is not in the table");
}

#[test]
fn the_table_of_the_docs_is_the_one_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FORMATS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- table of layers: NOYAU_BLESS=1 cargo test --test torch_names writes it -->\n", "<!-- end -->\n");
    let (before, rest) = text.split_once(begin).expect("the table's beginning");
    let (_, after) = rest.split_once(end).expect("the table's end");
    let wanted = format!("{before}{begin}{}{end}{after}", torch::markdown());
    if std::env::var_os("NOYAU_BLESS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    } else {
        assert!(text == wanted, "docs/FORMATS.md is not up to date: NOYAU_BLESS=1 cargo test --test torch_names writes it anew");
    }
}

#[track_caller]
fn refuses(weights: Weights, model: &dyn Module, parts: &[&str]) {
    let session = Session::new(Device::cpu());
    let before: Vec<Array> = model.parameters().iter().map(|(_, p)| session.get(p).unwrap()).collect();
    let message = weights.load(&session, model).expect_err("the weights do not fit").to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    let after: Vec<Array> = model.parameters().iter().map(|(_, p)| session.get(p).unwrap()).collect();
    assert_eq!(before, after, "refused weights have changed the model");
}

#[test]
fn weights_that_do_not_fit_are_refused_with_all_that_is_wrong() {
    let open = || Weights::open(file("mlp")).unwrap();
    let other = Sequential::new()
        .then(Flatten)
        .then(Linear::new(48, 32))
        .then(Relu)
        .then(Linear::new(32, 8))
        .then(Tanh)
        .then(Relu)
        .then(Linear::new(8, 5));
    let parts = [
        "mlp.safetensors: the file does not fit the model: 2 values missing in the file: 6.weight, 6.bias",
        "2 values that the model does not have: 5.bias, 5.weight",
        "2 values of another shape or type: 3.weight is f32[16, 32], the model's is f32[8, 32], 3.bias is f32[16], the model's is f32[8]",
        ".strict(false)",
    ];
    refuses(open(), &other, &parts);
    refuses(open().rename("", "model."), &mlp(), &["All names in the file begin with \"model.\": try .rename(\"model.\", \"\")"]);
    refuses(open().rename("", "model.").strict(false), &mlp(), &["nothing in the file fits the model", "6 values missing"]);
    refuses(open().rename("backbone.", ""), &mlp(), &["no tensor's name begins with \"backbone.\"", "1.bias, 1.weight, 3.bias"]);
    refuses(open().rename("3.", "1."), &mlp(), &["renaming \"3.\" to \"1.\" makes two tensors `1.bias`"]);
}

#[test]
fn what_fits_is_loaded_when_asked_for() {
    let session = Session::new(Device::cpu());
    let head =
        Sequential::new().then(Flatten).then(Linear::new(48, 32)).then(Relu).then(Linear::new(32, 16)).then(Tanh).then(Linear::new(16, 3));
    let weights = Weights::open(file("mlp")).unwrap().rename("", "a.").rename("a.", "").strict(false);
    let report = weights.load(&session, &head).unwrap();
    assert_eq!(report.loaded, ["1.weight", "1.bias", "3.weight", "3.bias"]);
    assert!(report.missing.is_empty() && report.unexpected.is_empty() && !report.is_complete());
    assert_eq!(report.mismatched.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["5.weight", "5.bias"]);
    let shown = "4 values loaded; 2 values of another shape or type: 5.weight is f32[5, 16], the model's is f32[3, 16], 5.bias is f32[5], the model's is f32[3]";
    assert_eq!(report.to_string(), shown);
    assert_eq!(session.get(&head.parameters()[0].1).unwrap(), weights.tensors()["1.weight"]);
}

#[test]
fn cumulative_batch_norms_keep_the_counter() {
    let session = Session::new(Device::cpu());
    let norm = BatchNorm::new(3).cumulative();
    let weights = Weights::open(file("layers")).unwrap().rename("BatchNorm/", "").strict(false);
    let report = weights.load(&session, &norm).unwrap();
    assert_eq!(report.loaded.len(), 5, "{report}");
    let counter = norm.num_batches_tracked.as_ref().expect("the layer counts");
    assert_eq!(session.get(counter).unwrap(), Array::scalar(7.0f32));
    let folder = tempfile::tempdir().unwrap();
    save_weights(&session, &norm, folder.path().join("n")).unwrap();
    let bytes = std::fs::read(folder.path().join("n")).unwrap();
    assert_eq!(header(&bytes)["num_batches_tracked"], ("I64".to_string(), vec![]));
    load_weights(&session, &norm, folder.path().join("n")).expect("noyau loads what it wrote");
}

#[test]
fn a_trainings_own_states_are_passed_over() {
    let session = Session::new(Device::cpu());
    let model = Linear::new(2, 1);
    let value = |name: &str, shape: &[usize]| (name.to_string(), Array::full(shape, noyau::tensor::Scalar::Float(0.5)));
    let tensors = [value("weight", &[1, 2]), value("bias", &[1]), value("optimizer.step", &[])];
    let with = |format: &str| safetensors::to_bytes(&tensors, &BTreeMap::from([("format".to_string(), format.to_string())])).unwrap();
    let report = Weights::from_bytes("f", &with("noyau")).unwrap().load(&session, &model).unwrap();
    assert_eq!(report.ignored, ["optimizer.step"]);
    assert_eq!(report.to_string(), "2 values loaded; 1 value passed over: optimizer.step");
    refuses(Weights::from_bytes("f", &with("pt")).unwrap(), &model, &["1 value that the model does not have: optimizer.step"]);
}
