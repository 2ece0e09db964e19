//! What the page sees of the digits. Methods that return a promise must not be entered twice: `digits.js` calls one after the other.

use std::rc::Rc;

use noyau_tensor::Error;
use noyau_train::{Device, DeviceChoice};
use serde_json::json;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::answer;
use crate::digits::{self, Images, Kind, Stage};

type Result<T> = std::result::Result<T, JsError>;

/// A network that learns to read digits.
#[wasm_bindgen]
pub struct Digits {
    digits: digits::Digits,
    /// The hidden layers' results for the image that was read last.
    activations: Vec<f32>,
}

#[wasm_bindgen]
impl Digits {
    /// A network (`mlp`, `cnn`) before its first step, for the images of `digits.bin`. `device`: `auto`, `cpu` or `gpu`.
    pub async fn open(data: Vec<u8>, model: String, device: String, seed: u32) -> Result<Digits> {
        let images = Images::from_bytes(&data).map_err(told)?;
        let choice: DeviceChoice = device.parse().map_err(told)?;
        let device = Device::choose_async(choice).await.map_err(told)?;
        let kind: Kind = model.parse().map_err(told)?;
        let digits = digits::Digits::open_async(Rc::new(images), kind, seed.into(), device).await.map_err(told)?;
        Ok(Digits { digits, activations: Vec::new() })
    }

    /// Begins again, with the weights of a seed.
    pub async fn restart(&mut self, seed: u32) -> Result<()> {
        self.digits.restart_async(seed.into()).await.map_err(told)
    }

    /// So many units of work: steps, and parts of the tests that are due.
    pub async fn run(&mut self, units: u32) -> Result<()> {
        self.digits.advance_async(units as usize).await.map_err(told)
    }

    /// `{step, epoch, stepsPerEpoch, batch, device, deviceKind, model, words, weights, seed, trainImages, testImages, stages: [{count, height, width}],
    /// trainLoss, trainAccuracy, testLoss, testAccuracy, testedAt}`: the last five are of the last test, null before it.
    pub fn figures(&self) -> String {
        let digits = &self.digits;
        let last = digits.records().last();
        let of = |value: fn(&digits::Record) -> f64| last.map(value).filter(|v| v.is_finite());
        let stage = |s: &Stage| json!({"count": s.count, "height": s.height, "width": s.width});
        json!({
            "step": digits.step(),
            "epoch": digits.step() as f64 / digits.steps_per_epoch() as f64,
            "stepsPerEpoch": digits.steps_per_epoch(),
            "batch": digits.batch(),
            "device": answer::device(digits.device()),
            "deviceKind": digits.device().name(),
            "model": digits.kind().name(),
            "words": digits.words(),
            "weights": digits.weights(),
            "seed": digits.seed(),
            "trainImages": digits.images().train.len(),
            "testImages": digits.images().test.len(),
            "stages": digits.stages().iter().map(stage).collect::<Vec<_>>(),
            "trainLoss": of(|r| r.train_loss),
            "trainAccuracy": of(|r| r.train_accuracy),
            "testLoss": of(|r| r.test_loss),
            "testAccuracy": of(|r| r.test_accuracy),
            "testedAt": last.map(|r| r.step),
        })
        .to_string()
    }

    /// Step, train loss, train accuracy, test loss, test accuracy, for each test so far, one after the other; at step 0 nothing was trained on yet: NaN.
    pub fn curve(&self) -> Vec<f64> {
        self.digits.records().iter().flat_map(|r| [r.step as f64, r.train_loss, r.train_accuracy, r.test_loss, r.test_accuracy]).collect()
    }

    /// What the last test took each image to test on for.
    pub fn predictions(&self) -> Vec<u8> {
        self.digits.predictions().to_vec()
    }

    /// The right classes of the images to test on.
    pub fn labels(&self) -> Vec<u8> {
        self.digits.images().test.labels.clone()
    }

    /// An image to test on: 784 values from 0 to 1. Empty where there are not so many.
    pub fn image(&self, index: u32) -> Vec<f32> {
        self.digits.images().test.image(index as usize).unwrap_or_default()
    }

    /// How sure the network is of each of the ten classes for an image of 784 values from 0 to 1.
    pub async fn classify(&mut self, pixels: Vec<f32>) -> Result<Vec<f32>> {
        let reading = self.digits.read_async(&pixels).await.map_err(told)?;
        self.activations = reading.activations;
        Ok(reading.probabilities)
    }

    /// What the hidden layers made of the image that was classified last, stage by stage.
    pub fn activations(&self) -> Vec<f32> {
        self.activations.clone()
    }

    /// The shape of the first layer's filters: count, height, width.
    #[wasm_bindgen(js_name = filterShape)]
    pub fn filter_shape(&self) -> Vec<u32> {
        let shape = self.digits.filter_shape();
        [shape.count, shape.height, shape.width].map(|n| n as u32).to_vec()
    }

    /// The first layer's weights as they are now, filter by filter.
    pub async fn filters(&self) -> Result<Vec<f32>> {
        self.digits.filters_async().await.map_err(told)
    }

    /// The weights from the hidden neurons to the classes, class by class; empty for the CNN.
    pub async fn votes(&self) -> Result<Vec<f32>> {
        self.digits.votes_async().await.map_err(told)
    }

    /// A square drawing (0 empty, 1 full ink) as an image of MNIST: 784 values; empty where nothing is drawn.
    pub fn centred(ink: Vec<f32>, side: u32) -> Vec<f32> {
        digits::centred(&ink, side as usize).unwrap_or_default()
    }
}

fn told(error: Error) -> JsError {
    JsError::new(&error.to_string())
}
