//! Attention by several heads, with projections before and after.

use noyau_tensor::{Error, Param, Result, Tensor};

use super::super::{Linear, check_float, parameter};
use super::{AttentionMask, attend, rotary};
use crate::fault::fail;
use crate::mixed::wide;
use crate::{Mode, Module, init, named};

/// Queries, keys and values projected, split among heads, attended to, joined and projected again: `[.., time, embed_dim]`, batch first.
///
/// As a [`Module`] it is self-attention. Parameters have PyTorch's names, shapes and initialisation: the projections of queries, keys and values are one
/// `in_proj_weight` `[3 * embed_dim, embed_dim]` or, where keys or values have other widths, three matrices. PyTorch's `add_bias_kv` and
/// `add_zero_attn` are not here.
///
/// Source: Vaswani et al., "Attention is all you need", NeurIPS 2017. PyTorch's `MultiheadAttention` with `batch_first=True`.
#[derive(Clone, Debug)]
pub struct MultiHeadAttention {
    /// `in_proj_weight` alone, or `q_proj_weight`, `k_proj_weight` and `v_proj_weight`.
    pub in_proj_weight: Vec<Param>,
    /// `[3 * embed_dim]`.
    pub in_proj_bias: Option<Param>,
    /// `embed_dim` to `embed_dim`.
    pub out_proj: Linear,
    embed_dim: usize,
    num_heads: usize,
    kdim: usize,
    vdim: usize,
    dropout: f64,
    causal: bool,
    rotary: Option<f64>,
    problem: Option<Error>,
}

impl MultiHeadAttention {
    /// Attention of so many heads, each of `embed_dim / num_heads` features, which must be a whole number.
    #[track_caller]
    pub fn new(embed_dim: usize, num_heads: usize) -> MultiHeadAttention {
        let mut layer = MultiHeadAttention {
            in_proj_weight: Vec::new(),
            in_proj_bias: None,
            out_proj: Linear::new(embed_dim, embed_dim).bias_init(init::zeros()),
            embed_dim,
            num_heads,
            kdim: embed_dim,
            vdim: embed_dim,
            dropout: 0.0,
            causal: false,
            rotary: None,
            problem: None,
        };
        if num_heads == 0 || !embed_dim.is_multiple_of(num_heads) {
            let message = format!("{embed_dim} features do not divide into {num_heads} heads");
            layer.problem = Some(Error::argument("MultiHeadAttention", message));
        }
        layer.make(true);
        layer
    }

    /// Makes the projections' parameters anew.
    #[track_caller]
    fn make(&mut self, bias: bool) {
        match self.made() {
            Ok(weights) => self.in_proj_weight = weights,
            Err(error) => self.problem = Some(error),
        }
        if bias {
            match parameter("MultiHeadAttention", "in_proj_bias", [self.embed_dim.saturating_mul(3)], init::zeros()) {
                Ok(bias) => self.in_proj_bias = Some(bias),
                Err(error) => self.problem = Some(error),
            }
        }
    }

    #[track_caller]
    fn made(&self) -> Result<Vec<Param>> {
        const NAME: &str = "MultiHeadAttention";
        let embed = self.embed_dim;
        if (self.kdim, self.vdim) == (embed, embed) {
            return Ok(vec![parameter(NAME, "in_proj_weight", [embed.saturating_mul(3), embed], init::xavier_uniform(1.0))?]);
        }
        let mut weights = Vec::new();
        for (name, width) in [("q_proj_weight", embed), ("k_proj_weight", self.kdim), ("v_proj_weight", self.vdim)] {
            weights.push(parameter(NAME, name, [embed, width], init::xavier_uniform(1.0))?);
        }
        Ok(weights)
    }

    /// For keys of another number of features. Parameters are made anew.
    #[track_caller]
    pub fn kdim(mut self, features: usize) -> MultiHeadAttention {
        self.kdim = features;
        self.make(false);
        self
    }

    /// For values of another number of features. Parameters are made anew.
    #[track_caller]
    pub fn vdim(mut self, features: usize) -> MultiHeadAttention {
        self.vdim = features;
        self.make(false);
        self
    }

    /// With dropout of the weights with which values are read.
    pub fn dropout(mut self, p: f64) -> MultiHeadAttention {
        self.dropout = p;
        self
    }

    /// Without biases in any projection.
    pub fn without_bias(mut self) -> MultiHeadAttention {
        self.in_proj_bias = None;
        self.out_proj = self.out_proj.without_bias();
        self
    }

    /// Always with the mask [`AttentionMask::causal`], so that it needs none in a `Sequential`.
    pub fn causal(mut self) -> MultiHeadAttention {
        self.causal = true;
        self
    }

    /// With queries and keys of each head turned by their place: [`rotary`] with this base, usually 10,000. The features of a head must be even.
    pub fn rotary(mut self, base: f64) -> MultiHeadAttention {
        self.rotary = Some(base);
        self
    }

    /// `query` (`[.., queries, embed_dim]`), `key` (`[.., keys, kdim]`) and `value` (`[.., keys, vdim]`) to the result `[.., queries, embed_dim]` and the
    /// weights of each head before dropout, `[.., heads, queries, keys]`, which cost nothing where they are not used.
    #[track_caller]
    pub fn run(&self, query: &Tensor, key: &Tensor, value: &Tensor, mask: &AttentionMask, mode: &Mode) -> (Tensor, Tensor) {
        let [q, k, v] = match self.project(query, key, value, mode) {
            Ok(projected) => projected,
            Err(error) => return (error.clone(), error),
        };
        let (q, k, v) = (self.split(&q), self.split(&k), self.split(&v));
        let (q, k) = match self.rotary {
            Some(base) => (rotary(&wide(&q), base), rotary(&wide(&k), base)),
            None => (q, k),
        };
        let mask = mask.clone().and_causal(self.causal);
        let (result, weights) = attend(&q, &k, &v, &mask, self.dropout, mode);
        if result.error().is_some() {
            return (result.clone(), result);
        }
        // [.., heads, queries, features] back to [.., queries, heads * features].
        let joined = result.transpose(-3, -2).flatten(-2, -1);
        (self.out_proj.forward(&joined, mode), weights)
    }

    /// Queries, keys and values, projected: one product for self-attention.
    #[track_caller]
    fn project(&self, query: &Tensor, key: &Tensor, value: &Tensor, mode: &Mode) -> Result<[Tensor; 3], Tensor> {
        if let Some(error) = &self.problem {
            return Err(Tensor::invalid(error.clone()));
        }
        let embed = self.embed_dim;
        for (what, x, width) in [("query", query, embed), ("key", key, self.kdim), ("value", value, self.vdim)] {
            check_float("MultiHeadAttention", x)?;
            if x.rank() < 2 || x.shape()[x.rank() - 1] != width {
                let message = format!("the {what} is {}, not [.., time, features] with {width} features", x.shape());
                return Err(fail("MultiHeadAttention", message));
            }
        }
        let packed = match &self.in_proj_weight[..] {
            [weight] if weight.shape()[..] == [3 * embed, embed] => Some(weight),
            [q, k, v] if [q, k, v].map(|w| w.rank()) == [2; 3] => None,
            _ => return Err(fail("MultiHeadAttention", "the projections' weights have been replaced by others of wrong shapes")),
        };
        if let Some(weight) = packed.filter(|_| query.id() == key.id() && key.id() == value.id()) {
            let mut all = mode.cast(query).matmul(&mode.cast(weight).t());
            if let Some(bias) = &self.in_proj_bias {
                all = all + mode.cast(bias);
            }
            return Ok([all.slice(-1, ..embed), all.slice(-1, embed..2 * embed), all.slice(-1, 2 * embed..)]);
        }
        let mut projected = [query.clone(), key.clone(), value.clone()];
        for (i, x) in projected.iter_mut().enumerate() {
            let rows = i * embed..(i + 1) * embed;
            let weight = match packed {
                Some(weight) => weight.slice(0, rows.clone()),
                None => self.in_proj_weight[i].tensor().clone(),
            };
            *x = mode.cast(x).matmul(&mode.cast(&weight).t());
            if let Some(bias) = &self.in_proj_bias {
                *x = &*x + mode.cast(&bias.slice(0, rows));
            }
        }
        Ok(projected)
    }

    /// `[.., time, heads * features]` as `[.., heads, time, features]`.
    #[track_caller]
    fn split(&self, x: &Tensor) -> Tensor {
        if x.error().is_some() {
            return x.clone();
        }
        let mut shape = x.shape().to_vec();
        shape.pop();
        shape.extend([self.num_heads, self.embed_dim / self.num_heads]);
        x.reshape(shape).transpose(-3, -2)
    }
}

impl Module for MultiHeadAttention {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        self.run(x, x, x, &AttentionMask::none(), mode).0
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        let names: &[&str] = match self.in_proj_weight.len() {
            1 => &["in_proj_weight"],
            _ => &["q_proj_weight", "k_proj_weight", "v_proj_weight"],
        };
        let mut all: Vec<(String, Param)> = names.iter().map(|name| name.to_string()).zip(self.in_proj_weight.iter().cloned()).collect();
        all.extend(self.in_proj_bias.iter().map(|bias| ("in_proj_bias".to_string(), bias.clone())));
        all.extend(named("out_proj", &self.out_proj));
        all
    }
}
