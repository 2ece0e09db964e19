//! What the page sees of a training. Methods that return a promise must not be entered twice: `engine.js` calls one after the other.

use noyau_tensor::Error;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::cloud::Own;
use crate::{Engine, answer, speed as timed};

type Result<T> = std::result::Result<T, JsError>;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn log(message: &str);
}

/// A panic, which would be a defect, tells the console what it was before it stops the program.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
}

/// As the page shows it.
fn told(error: Error) -> JsError {
    JsError::new(&error.to_string())
}

/// A training, and all that the page wants to know of it.
#[wasm_bindgen]
pub struct Playground {
    engine: Engine,
}

#[wasm_bindgen]
impl Playground {
    /// At step 0 of what an address holds; `run` up to `target()` brings it where the address wants it.
    pub async fn open(address: String, device: String) -> Result<Playground> {
        Ok(Playground { engine: Engine::open(&address, &device).await.map_err(told)? })
    }

    /// Steps that the address asked for, or that were done before a device was lost.
    pub fn target(&self) -> f64 {
        self.engine.target() as f64
    }

    /// What in the address made no sense, a line each.
    pub fn faults(&self) -> Vec<String> {
        self.engine.faults().to_vec()
    }

    /// What happened to the device since this was last asked, if anything.
    pub fn notice(&mut self) -> Option<String> {
        self.engine.take_notice()
    }

    /// What an address holds of the present state.
    pub fn address(&self) -> String {
        self.engine.address()
    }

    /// The device in words.
    pub fn device(&self) -> String {
        answer::device(self.engine.device())
    }

    /// `cpu` or `gpu`.
    #[wasm_bindgen(js_name = deviceKind)]
    pub fn device_kind(&self) -> String {
        self.engine.device().name().into()
    }

    /// Begins again on a device: `auto`, `cpu`, `gpu`.
    #[wasm_bindgen(js_name = useDevice)]
    pub async fn use_device(&mut self, device: String) -> Result<()> {
        self.engine.use_device(&device).await.map_err(told)
    }

    /// Every choice, as JSON.
    pub fn setup(&self) -> String {
        answer::setup(&self.engine).to_string()
    }

    /// What may be chosen, as JSON.
    pub fn choices(&self) -> String {
        answer::choices().to_string()
    }

    /// Makes a choice; whether training has begun again.
    pub async fn set(&mut self, key: String, value: String) -> Result<bool> {
        self.engine.set(&key, &value).await.map_err(told)
    }

    /// The same seed again, at step 0.
    pub async fn reset(&mut self) -> Result<()> {
        self.engine.reset().await.map_err(told)
    }

    /// Another seed, at step 0.
    pub async fn regenerate(&mut self, seed: u32) -> Result<()> {
        self.engine.regenerate(seed).await.map_err(told)
    }

    /// Trains; false when the stop condition was met on the way.
    pub async fn run(&mut self, steps: f64) -> Result<bool> {
        // A number that is none becomes 0.
        self.engine.run(steps as u64).await.map_err(told)
    }

    /// Steps done.
    pub fn step(&self) -> f64 {
        self.engine.step() as f64
    }

    /// Epochs done, in parts too.
    pub fn epoch(&self) -> f64 {
        self.engine.epoch()
    }

    /// Steps of an epoch.
    #[wasm_bindgen(js_name = stepsPerEpoch)]
    pub fn steps_per_epoch(&self) -> f64 {
        self.engine.steps_per_epoch() as f64
    }

    /// Losses and shares, as JSON.
    pub async fn figures(&mut self) -> Result<String> {
        let figures = self.engine.figures().await.map_err(told)?;
        Ok(answer::figures(&self.engine, &figures).to_string())
    }

    /// Step, train loss, test loss, and so on.
    pub fn curve(&self) -> Vec<f64> {
        self.engine.curve().iter().flat_map(|r| [r.step as f64, r.train.into(), r.test.into()]).collect()
    }

    /// x1, x2, label, 0 or 1 (for testing), and so on.
    pub fn points(&self) -> Vec<f32> {
        answer::points(self.engine.cloud())
    }

    /// The names of the classes; none where values are learnt.
    #[wasm_bindgen(js_name = classNames)]
    pub fn class_names(&self) -> Vec<String> {
        self.engine.cloud().classes.clone().unwrap_or_default()
    }

    /// What each neuron gives on a grid.
    pub async fn maps(&mut self, size: usize) -> Result<Vec<f32>> {
        self.engine.maps(size).await.map_err(told)
    }

    /// All weights and biases, as JSON.
    pub async fn weights(&mut self) -> Result<String> {
        Ok(answer::weights(&self.engine.weights().await.map_err(told)?).to_string())
    }

    /// Gives a weight or a bias another value.
    pub async fn edit(&mut self, parameter: usize, index: usize, value: f32) -> Result<()> {
        self.engine.edit(parameter, index, value).await.map_err(told)
    }

    /// The slope by a weight or a bias, by trying and by back-propagation, as JSON.
    pub async fn slope(&mut self, parameter: usize, index: usize) -> Result<String> {
        Ok(self.engine.slope(parameter, index).await.map_err(told)?.json().to_string())
    }

    /// The loss over a plane through the present weights, as JSON.
    pub async fn surface(&mut self, size: usize, span: f32) -> Result<String> {
        Ok(self.engine.surface(size, span).await.map_err(told)?.json().to_string())
    }

    /// A safetensors file of the weights and biases.
    pub async fn safetensors(&mut self) -> Result<Vec<u8>> {
        self.engine.safetensors().await.map_err(told)
    }

    /// A program for noyau that trains this network.
    pub fn code(&self) -> String {
        self.engine.code()
    }

    /// Learns from a table; the message of an error names line and reason.
    #[wasm_bindgen(js_name = setCsv)]
    pub async fn set_csv(&mut self, text: String) -> Result<()> {
        let own = Own::from_csv(&text).map_err(told)?;
        self.engine.set_own(own).await.map_err(told)
    }

    /// Learns from points that were drawn: x1, x2, class, and so on.
    #[wasm_bindgen(js_name = setPoints)]
    pub async fn set_points(&mut self, values: Vec<f32>) -> Result<()> {
        let own = Own::drawn(&values).map_err(told)?;
        self.engine.set_own(own).await.map_err(told)
    }
}

/// Steps a second of the network 2-8-8-1 on a device, as JSON.
#[wasm_bindgen]
pub async fn speed(device: String, milliseconds: f64) -> Result<String> {
    Ok(timed::speed(&device, milliseconds / 1000.0).await.map_err(told)?.to_string())
}
