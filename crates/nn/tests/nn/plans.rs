//! What the compiler makes of the losses.
