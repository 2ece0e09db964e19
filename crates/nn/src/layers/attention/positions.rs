//! Where a place is in its sequence, which attention by itself does not know.

use noyau_tensor::{Error, Init, Param, Tensor, concat};

use super::super::{check_float, no_parameter, parameter};
use crate::fault::{fail, finite, positive};
use crate::mixed::wide;
use crate::{Mode, Module, init};

/// Sines and cosines of each place at wavelengths from `2 pi` to `10000 * 2 pi`: `[length, dimension]`, f32. Element `2i` of place `t` is
/// `sin(t / 10000^(2i / dimension))`, element `2i + 1` the cosine.
///
/// Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.
#[track_caller]
pub fn sinusoidal_encoding(length: usize, dimension: usize) -> Tensor {
    let Some(count) = length.checked_mul(dimension).filter(|&n| n <= MOST_CONSTANTS) else {
        return fail("sinusoidal_encoding", format!("{length} places of {dimension} features are more than a constant may hold"));
    };
    let mut values = Vec::with_capacity(count);
    for place in 0..length {
        for i in 0..dimension {
            let angle = place as f64 * frequency(i / 2, dimension, 10_000.0);
            values.push(if i % 2 == 0 { angle.sin() } else { angle.cos() } as f32);
        }
    }
    Tensor::new(&values, [length, dimension])
}

/// More elements than any sequence has need of; a table beyond that is a mistake in its sizes.
const MOST_CONSTANTS: usize = 1 << 28;

/// Radians a place of the pair of features at `pair`.
fn frequency(pair: usize, dimension: usize, base: f64) -> f64 {
    base.powf(-2.0 * pair as f64 / dimension as f64)
}

/// `x` and where it is: adds [`sinusoidal_encoding`] to `[.., time, features]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SinusoidalEncoding;

impl Module for SinusoidalEncoding {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        if let Err(error) = check_float("SinusoidalEncoding", x) {
            return error;
        }
        match x.shape()[..] {
            [.., length, dimension] => wide(x) + sinusoidal_encoding(length, dimension),
            _ => fail("SinusoidalEncoding", format!("the input {} has no axes [.., time, features]", x.shape())),
        }
    }
}

/// `x` and where it is, learned: adds a vector for each place to `[.., time, features]`, of at most `count` places.
///
/// The vectors begin normally distributed with standard deviation 0.02, as in GPT-2 (Radford et al., 2019).
#[derive(Clone, Debug)]
pub struct LearnedEncoding {
    /// `[count, features]`.
    pub weight: Param,
    problem: Option<Error>,
}

impl LearnedEncoding {
    /// Vectors of `dimension` features for `count` places.
    #[track_caller]
    pub fn new(count: usize, dimension: usize) -> LearnedEncoding {
        match parameter("LearnedEncoding", "weight", [count, dimension], init::normal(0.0, 0.02)) {
            Ok(weight) => LearnedEncoding { weight, problem: None },
            Err(error) => LearnedEncoding { weight: no_parameter("weight"), problem: Some(error) },
        }
    }

    /// The layer with another initialisation of its vectors.
    #[track_caller]
    pub fn init(mut self, weight: Init) -> LearnedEncoding {
        self.weight = Param::new("weight", self.weight.shape(), weight);
        self
    }
}

impl Module for LearnedEncoding {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        if let Some(error) = &self.problem {
            return Tensor::invalid(error.clone());
        }
        if let Err(error) = check_float("LearnedEncoding", x) {
            return error;
        }
        match (&x.shape()[..], &self.weight.shape()[..]) {
            (&[.., length, found], &[count, dimension]) if length <= count && found == dimension => {
                wide(x) + self.weight.slice(0, ..length)
            }
            (_, table) => {
                let message = format!("the table of vectors is {table:?}, [places, features]; the input {} does not fit it", x.shape());
                fail("LearnedEncoding", message)
            }
        }
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        vec![("weight".into(), self.weight.clone())]
    }
}

/// Each pair of features `(i, i + features / 2)` of `[.., time, features]` turned by an angle that grows with the place, at wavelengths from `2 pi` to
/// `base * 2 pi`: products of queries and keys turned so depend on their distance only. The number of features must be even; `base` is usually 10,000.
///
/// Source: Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021, with the pairs of GPT-NeoX and Llama (halves, not
/// neighbours).
#[track_caller]
pub fn rotary(x: &Tensor, base: f64) -> Tensor {
    if let Err(error) = check_float("rotary", x) {
        return error;
    }
    if let Err(error) = positive("rotary: base", base).and_then(|()| finite("rotary: base", base)) {
        return Tensor::invalid(error);
    }
    let [.., length, dimension] = x.shape()[..] else {
        return fail("rotary", format!("the input {} has no axes [.., time, features]", x.shape()));
    };
    if dimension % 2 == 1 {
        return fail("rotary", format!("the input {} has {dimension} features; an even number is needed, which makes pairs", x.shape()));
    }
    let half = dimension / 2;
    let Some(count) = length.checked_mul(half).filter(|&n| n <= MOST_CONSTANTS) else {
        return fail("rotary", format!("the input {} needs more angles than a constant may hold", x.shape()));
    };
    let (mut cosines, mut sines) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for place in 0..length {
        for pair in 0..half {
            let (sine, cosine) = (place as f64 * frequency(pair, dimension, base)).sin_cos();
            cosines.push(cosine as f32);
            sines.push(sine as f32);
        }
    }
    let (cosines, sines) = (Tensor::new(&cosines, [length, half]), Tensor::new(&sines, [length, half]));
    let (first, second) = (x.slice(-1, ..half), x.slice(-1, half..));
    concat(&[&(&first * &cosines - &second * &sines), &(&second * &cosines + &first * &sines)], -1)
}
