//! Models as PyTorch writes them, by its older exporter (`script`) and its newer one (`dynamo`): the same results, the same training, and the same again after they were
//! written by noyau. `scripts/onnx_torch.py` made the files.

use std::path::PathBuf;

use noyau_formats::npy;
use noyau_nn::{Mode, Module, cross_entropy};
use noyau_onnx::export::Export;
use noyau_onnx::{Model, Values};
use noyau_tensor::{Array, DType, Param, Tensor, grad};
use noyau_train::{Device, Session, Spec, Step};

const MODELS: [&str; 6] = ["attention", "choices", "cnn", "norms", "recurrent", "sizes"];

const EXPORTERS: [&str; 2] = ["script", "dynamo"];

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torch").join(name)
}

fn array(name: &str) -> Array {
    npy::read(file(name)).unwrap_or_else(|e| panic!("{e}"))
}

fn open(name: &str, exporter: &str) -> Model {
    Model::open(file(&format!("{name}.{exporter}.onnx"))).unwrap_or_else(|e| panic!("{e}"))
}

fn values(array: &Array) -> Vec<f64> {
    array.to_f64()
}

#[track_caller]
fn close(got: &[f64], wanted: &[f64], bound: f64, what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    let (worst, at) = got
        .iter()
        .zip(wanted)
        .map(|(a, b)| (a - b).abs() / b.abs().max(1.0))
        .zip(0..)
        .fold((0.0, 0), |best: (f64, i32), next| if next.0 > best.0 || next.0.is_nan() { next } else { best });
    assert!(worst <= bound, "{what}: off by {worst:e} at {at}: {got:?}, expected {wanted:?}");
}

#[test]
fn models_of_both_exporters_give_what_pytorch_gave() {
    let session = Session::with_seed(Device::cpu(), 0);
    for name in MODELS {
        let (x, y) = (array(&format!("{name}.x.npy")), array(&format!("{name}.y.npy")));
        for exporter in EXPORTERS {
            let model = open(name, exporter);
            let what = format!("{name}, {exporter}");
            let results = model.run_tensors(&[Tensor::from_array(x.clone())]).unwrap_or_else(|e| panic!("{e}"));
            let got = session.eval(&results[0]).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(got.shape(), y.shape(), "{what}");
            close(&values(&got), &values(&y), 1e-5, &what);
            // And in f64, of which PyTorch's f32 is as near.
            let in_f64 = model.run_f64(&[Values::from(&x)]).unwrap_or_else(|e| panic!("{what}: {e}"));
            close(&in_f64[0].data, &values(&y), 1e-5, &format!("{what}, f64"));
        }
    }
}

#[test]
fn weights_are_parameters_under_pytorchs_names() {
    for exporter in EXPORTERS {
        let mut names: Vec<String> = open("cnn", exporter).parameters().into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["first.bias", "first.weight", "out.bias", "out.weight", "second.bias", "second.weight"], "{exporter}");
    }
}

/// Five steps of gradient descent on one batch: PyTorch's losses, and its results afterwards.
#[test]
fn training_goes_on_as_in_pytorch() {
    let (x, losses, after) = (array("cnn.x.npy"), array("cnn.losses.npy"), array("cnn.after.npy"));
    let labels = Array::new([3], &[0u32, 3, 4]).unwrap();
    for exporter in EXPORTERS {
        let session = Session::with_seed(Device::cpu(), 0);
        let model = open("cnn", exporter);
        let params: Vec<Param> = model.parameters().into_iter().map(|(_, param)| param).collect();
        let mut step = session
            .compile([Spec::f32([3, 1, 14, 14]), Spec::u32([3])], |[x, labels]| {
                let loss = cross_entropy(&model.forward(&x, &Mode::train()), &labels);
                let gradients = grad(&loss, &params.iter().map(Param::tensor).collect::<Vec<_>>());
                Step::returns(&loss).updates(params.iter().zip(&gradients).map(|(p, g)| (p.clone(), p.tensor() - g * 0.1)))
            })
            .unwrap();
        let got: Vec<f64> = (0..5).map(|_| step.run(&[&x, &labels]).unwrap()[0].item().into()).collect();
        close(&got, &values(&losses), 1e-5, exporter);
        assert!(got[4] < got[0], "{got:?}");
        let y = session.eval(&model.forward(&Tensor::from_array(x.clone()), &Mode::eval())).unwrap();
        close(&values(&y), &values(&after), 1e-4, exporter);
    }
}

/// Read, written by noyau, read again: the same results.
#[test]
fn what_was_read_can_be_written_and_read_again() {
    let session = Session::with_seed(Device::cpu(), 0);
    for name in MODELS {
        for exporter in EXPORTERS {
            let (x, model) = (array(&format!("{name}.x.npy")), open(name, exporter));
            let how = Export::new(x.shape().clone()).dtype(x.dtype()).fixed_batch();
            let (bytes, _) = how.to_bytes(&session, &model).unwrap_or_else(|e| panic!("{name}, {exporter}: {e}"));
            let again = Model::from_bytes("again.onnx", &bytes).unwrap_or_else(|e| panic!("{name}, {exporter}: {e}"));
            let of = |model: &Model| {
                let x = Tensor::from_array(x.clone());
                values(&session.eval(&model.run_tensors(&[x]).unwrap_or_else(|e| panic!("{name}, {exporter}: {e}"))[0]).unwrap())
            };
            close(&of(&again), &of(&model), 1e-6, &format!("{name}, {exporter}"));
        }
    }
}

#[test]
fn inputs_are_i32_where_the_file_has_int64() {
    let model = open("attention", "script");
    let wrong = model.run_tensors(&[Tensor::zeros([2, 6])]).unwrap_err().to_string();
    assert!(wrong.contains("needs a tensor of i32, got f32[2, 6]"), "{wrong}");
    assert_eq!(model.run_tensors(&[Tensor::zeros([2, 6]).to(DType::I32)]).unwrap().len(), 1);
}
