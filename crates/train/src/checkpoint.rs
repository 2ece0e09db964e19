//! States in files.

use std::collections::BTreeMap;
use std::path::Path;

use noyau_formats::safetensors;
use noyau_tensor::{Array, Error, Param, Result};

use crate::session::Session;

/// Writes named states, in one piece or not at all.
pub(crate) async fn save(session: &Session, states: &[(String, Param)], path: &Path) -> Result<()> {
    let mut tensors = Vec::with_capacity(states.len());
    for (name, param) in states {
        tensors.push((name.clone(), session.get_async(param).await?));
    }
    let metadata = BTreeMap::from([("format".to_string(), "noyau".to_string()), ("version".to_string(), "1".to_string())]);
    safetensors::save(path, &tensors, &metadata)
}

/// Sets all named states from a file, or none; returns what else the file holds.
pub(crate) async fn load(session: &Session, states: &[(String, Param)], path: &Path) -> Result<BTreeMap<String, Array>> {
    let mut found = safetensors::load(path)?.tensors;
    let mut values = Vec::with_capacity(states.len());
    for (name, param) in states {
        let Some(value) = found.remove(name) else {
            let there: Vec<&str> = found.keys().map(String::as_str).take(8).collect();
            return Err(Error::data(
                path,
                format!("has no tensor `{name}`, which the model needs; it has {}: is it another model's file?", there.join(", ")),
            ));
        };
        // Weights in halves, as many files have them, are weights: the model's type is what the program wrote.
        let both_real = value.dtype().is_float() && param.dtype().is_float();
        let value = if both_real { value.to(param.dtype()) } else { value };
        if value.shape() != param.shape() || value.dtype() != param.dtype() {
            let message = format!(
                "`{name}` is {}{}, the model's is {}{}: the file is of a model with other sizes",
                value.dtype(),
                value.shape(),
                param.dtype(),
                param.shape()
            );
            return Err(Error::data(path, message));
        }
        values.push(value);
    }
    for ((_, param), value) in states.iter().zip(&values) {
        session.set_async(param, value).await?;
    }
    Ok(found)
}
