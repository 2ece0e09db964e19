//! MNIST in the page: a small network learns to read digits while one watches, and then reads what one draws.
//!
//! In the order in which data flows: [`Images`] are the digits that are shipped with the page, in a compact file of our own; [`Digits`] trains a network
//! ([`Kind`]) on them, a little at a time, tests it at step counts that depend on nothing but the count, and reads a single image with all that its layers
//! make of it; [`centred`] turns a drawing into such an image, as the makers of MNIST did.

mod file;
mod network;
mod pad;
mod training;

pub use file::{Half, Images};
pub use network::{Kind, Reading, Stage};
pub use pad::centred;
pub use training::{Digits, Record};

/// Pixels along each side of an image.
pub const SIDE: usize = 28;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Classes.
pub const CLASSES: usize = 10;
