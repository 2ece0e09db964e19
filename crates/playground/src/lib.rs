//! The playground's engine: a small network that learns before one's eyes, in a browser or in a test.
//!
//! In the order in which data flows: a [`Setup`] says what to learn from and with which network, and is what a shared address holds; [`cloud`] makes its points
//! (or reads one's own from a table); [`network`] makes a model of it whose every neuron can be looked at; an [`Engine`] trains it on a device and tells how it
//! does; [`slope`] and [`surface`] show its gradient and the hills that the optimizer walks down; `code` writes it down as a program for noyau. What the page sees of all this is in `page`, which exists in a
//! browser only.
//!
//! The page itself (HTML, styles, scripts) is in the folder `web`.

#![forbid(unsafe_code)]

pub mod answer;
pub mod cloud;
mod code;
pub mod digits;
mod engine;
pub mod network;
#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod page_digits;
mod setup;
pub mod slope;
pub mod speed;
pub mod surface;
#[cfg(test)]
mod tests;

pub use cloud::{Cloud, Own, Point};
pub use engine::{Engine, Figures, Matrix, Record, Trail};
pub use network::Network;
pub use setup::{Activation, Change, Cost, Data, Edit, Feature, Layer, Penalty, Rule, Running, Setup};
