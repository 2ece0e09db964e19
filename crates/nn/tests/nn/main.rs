//! Layers, losses, optimizers and schedules against PyTorch's values, and gradients against finite differences, all on the f64 oracle.

mod activations;
mod augment;
mod augmentations;
mod behaviour;
mod edges;
mod golden;
mod gradients;
mod initialisers;
mod layers;
mod losses;
mod metrics;
mod misfits;
mod optimizers;
mod oracle;
mod plans;
mod schedules;
mod wrappers;
