//! Makes `web/digits.bin`, the digits that the page ships, of the MNIST files in `examples/data/mnist`.
//!
//!     cargo run -p noyau-playground --example digits_bin

use std::path::Path;

use noyau_playground::digits::Images;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let images = Images::of_mnist(own.join("../../examples/data/mnist"), 5000, 1000)?;
    let (file, bytes) = (own.join("web/digits.bin"), images.to_bytes());
    std::fs::write(&file, &bytes)?;
    println!("{}: {} images to train on, {} to test on, {} bytes", file.display(), images.train.len(), images.test.len(), bytes.len());
    Ok(())
}
