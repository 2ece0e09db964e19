//! Where a training runs, and what becomes of it when that is lost.

use noyau_tensor::{Error, Result};
use noyau_train::{Device, DeviceChoice};

/// The device of a name, and what the visitor is to be told of it.
pub(super) async fn chosen(name: &str) -> Result<(Device, Option<String>)> {
    match name {
        "cpu" => Ok((Device::cpu(), None)),
        "auto" => Ok((Device::auto_async().await?, None)),
        "gpu" => Ok(match Device::choose_async(DeviceChoice::Gpu).await {
            Ok(device) => (device, None),
            Err(error) => (Device::cpu(), Some(goes_on(&error))),
        }),
        _ => Err(Error::argument("device", format!("{name:?} is none of auto, cpu, gpu"))),
    }
}

/// What the visitor is told when the CPU has to do it.
pub(super) fn goes_on(error: &Error) -> String {
    match error {
        // What the library advises is for command lines.
        Error::Device { .. } => "There is no GPU here that can be used. Training goes on on the CPU.".into(),
        _ => format!("{error}. Training goes on on the CPU."),
    }
}

/// Whether another device may do what this one could not.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Device { .. } | Error::DeviceLost { .. } | Error::OutOfMemory { .. } | Error::Timeout { .. })
}
