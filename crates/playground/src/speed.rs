//! Steps a second of one small network, for comparing devices.

use noyau_gpu::Clock;
use noyau_nn::{Linear, Mode, Module, Optimizer, Sequential, Sgd, Tanh, mse_loss};
use noyau_tensor::{Array, Param, Result};
use noyau_train::{Device, Session, Step};
use serde_json::{Value, json};

use crate::answer;

/// Steps a second of the network 2-8-8-1 (tanh, squared loss, SGD at 0.03, batches of 32 that lie on the device, no loss read) on a device (`auto`, `cpu`, `gpu`),
/// measured for about so many seconds. Fails where there is no such device.
pub async fn speed(device: &str, seconds: f64) -> Result<Value> {
    let device = Device::choose_async(device.parse()?).await?;
    let session = Session::new(device.clone());
    let model = Sequential::new().then(Linear::new(2, 8)).then(Tanh).then(Linear::new(8, 8)).then(Tanh).then(Linear::new(8, 1));
    let optimizer = Sgd::new(0.03);
    let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
    let y: Vec<f32> = x.chunks(2).map(|p| (p[0] * p[1]).signum()).collect();
    let x = Param::from_array("x", Array::new([32, 2], &x)?);
    let y = Param::from_array("y", Array::new([32, 1], &y)?);
    let loss = mse_loss(&model.forward(&x, &Mode::train()), &y);
    let updates = optimizer.update(&loss, &model);
    let mut step = session.compile_async([], |[]| Step::default().updates(updates)).await?;
    // What is slow once only is over after some steps; then more and more of them, until they take long enough to be timed.
    let mut steps = 64;
    loop {
        step.launch_many_async(steps).await?;
        device.wait_async().await?;
        let clock = Clock::start();
        step.launch_many_async(steps).await?;
        device.wait_async().await?;
        let took = clock.seconds();
        if took >= seconds * 0.25 || steps >= 1 << 26 {
            return Ok(json!({"stepsPerSecond": steps as f64 / took.max(1e-9), "device": answer::device(&device)}));
        }
        steps = (steps as f64 * (seconds * 0.5 / took.max(1e-4)).clamp(2.0, 8.0)) as usize;
    }
}
