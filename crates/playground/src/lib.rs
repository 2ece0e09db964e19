//! The playground's engine: a small network that learns before one's eyes, in a browser or in a test.
//!
//! In the order in which data flows: a [`Setup`] says what to learn from and with which network, and is what a shared address holds; [`cloud`] makes its points
//! (or reads one's own from a table); [`network`] makes a model of it whose every neuron can be looked at; an [`Engine`] trains it on a device and tells how it
//! does; [`slope`] and [`surface`] show its gradient and the hills that the optimizer walks down. What the page sees of all this is in `page`, which exists in a
//! browser only.
//!
//! The page itself (HTML, styles, scripts) is in the folder `web`.

#![forbid(unsafe_code)]

pub mod cloud;
pub mod digits;
mod setup;

pub use setup::{Activation, Cost, Data, Feature, Layer, Penalty, Rule, Setup};
