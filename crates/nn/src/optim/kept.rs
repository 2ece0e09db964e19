//! States that wrappers of optimizers keep: made once, found again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use noyau_tensor::{DType, Init, Param, Scalar, Shape, State};

/// A counter, and one state a parameter.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counter: Option<Param>,
    /// A parameter, its path, and the state that belongs with it, in the order in which they were made.
    pairs: Vec<(Param, String, Param)>,
    /// Positions in `pairs` by the parameter's state.
    positions: HashMap<u64, usize>,
}

impl Kept {
    /// The counter (u32, from 0), which is made here if need be.
    #[track_caller]
    pub fn counter(&self, name: &str) -> Param {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = &inner.counter {
            return counter.clone();
        }
        let counter = Param::from_state(State::new(name, Shape::scalar(), DType::U32, Init::Full(Scalar::Uint(0))));
        inner.counter = Some(counter.clone());
        counter
    }

    /// A parameter's state, of its shape and 0 at first, which is made here if need be and named `<kind>.<path>`.
    #[track_caller]
    pub fn of(&self, kind: &str, path: &str, parameter: &Param) -> Param {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = parameter.state().id();
        if let Some((_, _, state)) = inner.positions.get(&id).and_then(|&position| inner.pairs.get(position)) {
            return state.clone();
        }
        let name = format!("{kind}.{path}");
        let state = Param::new(&*name, parameter.shape(), Init::Full(Scalar::Float(0.0)));
        let position = inner.pairs.len();
        inner.positions.insert(id, position);
        inner.pairs.push((parameter.clone(), name, state.clone()));
        state
    }

    /// Each parameter with its state.
    pub fn pairs(&self) -> Vec<(Param, Param)> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.pairs.iter().map(|(parameter, _, state)| (parameter.clone(), state.clone())).collect()
    }

    /// All states with the names under which they are saved, the counter last.
    pub fn states(&self) -> Vec<(String, Param)> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = inner.pairs.iter().map(|(_, name, state)| (name.clone(), state.clone()));
        pairs.chain(inner.counter.iter().map(|counter| (counter.name().to_string(), counter.clone()))).collect()
    }
}
