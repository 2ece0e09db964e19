//! Modules one after the other.

use std::fmt;
use std::panic::Location as CallerLocation;
use std::sync::Arc;

use noyau_tensor::{Error, Location, Param, Tensor};

use crate::fault::is_ours;
use crate::module::{named, named_buffers};
use crate::{Mode, Module};

/// Modules one after the other: each takes what the one before gives.
///
/// A parameter's path begins with its module's position, from 0: `2.weight`. A mistake that comes from one of noyau's own layers is
/// reported with the position and the line of the program that added the layer.
#[derive(Clone, Default)]
pub struct Sequential {
    layers: Vec<(Arc<dyn Module>, Option<Location>)>,
    /// Each module's type, as far as it is known.
    kinds: Vec<&'static str>,
}

impl Sequential {
    /// No modules: the result is the input.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// With one more module, the last.
    #[track_caller]
    pub fn then<M: Module + 'static>(mut self, module: M) -> Sequential {
        self.kinds.push(short(std::any::type_name::<M>()));
        self.layers.push((Arc::new(module), Some(CallerLocation::caller())));
        self
    }

    /// The number of modules.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are no modules.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The module at a position, from 0.
    pub fn get(&self, position: usize) -> Option<&dyn Module> {
        self.layers.get(position).map(|(layer, _)| &**layer)
    }
}

impl FromIterator<Arc<dyn Module>> for Sequential {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Module>>>(modules: I) -> Sequential {
        let layers: Vec<_> = modules.into_iter().map(|module| (module, None)).collect();
        Sequential { kinds: vec![""; layers.len()], layers }
    }
}

impl fmt::Debug for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sequential({} modules", self.len())?;
        self.parameters().iter().try_for_each(|(path, param)| write!(f, ", {path} {}", param.shape()))?;
        f.write_str(")")
    }
}

impl Module for Sequential {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let caller = CallerLocation::caller();
        let mut result = x.clone();
        for (position, (layer, added)) in self.layers.iter().enumerate() {
            let kind = self.kinds.get(position).copied().unwrap_or_default();
            let next = mode.layer(position, kind, || apply(&**layer, &result, mode));
            result = match next.error() {
                Some(error) if result.error().is_none() => located(error, position, added.unwrap_or(caller)).unwrap_or(next),
                _ => next,
            };
        }
        result
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        self.layers.iter().enumerate().flat_map(|(position, (layer, _))| named(&position.to_string(), &**layer)).collect()
    }

    fn buffers(&self) -> Vec<(String, Param)> {
        self.layers.iter().enumerate().flat_map(|(position, (layer, _))| named_buffers(&position.to_string(), &**layer)).collect()
    }
}

/// A type's name without its modules and parameters: `Linear`, `relu`; what has none reads `function`.
fn short(name: &'static str) -> &'static str {
    let name = name.split('<').next().unwrap_or(name);
    match name.rsplit("::").next().unwrap_or(name) {
        "{{closure}}" | "" => "function",
        last => last,
    }
}

/// A layer's result. Not `#[track_caller]`: a mistake in noyau's own layers shall not point to the line that called the whole model, but to this
/// file, by which [`located`] knows it.
fn apply(layer: &dyn Module, x: &Tensor, mode: &Mode) -> Tensor {
    layer.forward(x, mode)
}

/// The mistake with the module's position and, where it points into noyau's layers, the line that added the module. `None` for kinds of errors
/// that have no place in a program.
fn located(error: &Error, position: usize, added: Location) -> Option<Tensor> {
    let Error::Expression { op, message, location } = error else { return None };
    let location = if is_ours(location.file()) { added } else { location };
    Some(Tensor::invalid(Error::Expression { op: format!("layer {position}: {op}"), message: message.clone(), location }))
}
