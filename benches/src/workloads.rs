//! The workloads that engines are compared by, W1 to W6: names and definitions are fixed, so that everyone's figures can stand in one table.
//!
//! | name | work | unit |
//! |---|---|---|
//! | `w1-matmul-N`, `-f16` | a product of N x N matrices | GFLOP/s = 2 N^3 / time |
//! | `w2-b128-rate`, `w2-b1024-rate` | MNIST MLP 784-512-256-10, ReLU, cross-entropy, SGD 0.05 with momentum 0.9; shuffling and batch gathering included | samples/s |
//! | `w2-b128-first-step` | a fresh process, nothing cached: model, compiling, data to the device, first step | ms |
//! | `w2-peak-memory` | the most memory of a process that trains it | MiB |
//! | `w3-b128-rate`, `w3-b128-first-step` | the same with the CNN: conv 3x3x16, conv 3x3x32 (same size, ReLU, max-pool 2), linear 1568-128-10 | |
//! | `w4-steps`, `w4-steps-loss-read` | MLP 2-8-8-1, tanh, squared loss, SGD 0.03, batch 32 on the device | steps/s |
//! | `w5-gelu` | gelu(1.5 x + 0.5), erf form, over 2^24 floats, read and written once | GB/s |
//! | `w5-sum` | the sum of 2^24 floats | GB/s |
//! | `w6-softmax`, `w6-layernorm` | rows of 4096 x 4096; of 4096 x 1024 with scale and shift; read and written once | GB/s |

use crate::kernels::{self, Kernel};
use crate::training::Network;

/// The single expressions among the workloads: W1, W5, W6.
pub fn kernels() -> Vec<Kernel> {
    let mut list = Vec::new();
    for half in [false, true] {
        for n in [256, 512, 1024, 2048, 4096, 8192] {
            let kernel = kernels::product(n, n, n, "nn", half).named(format!("w1-matmul-{n}{}", if half { "-f16" } else { "" }));
            list.push(if n > 2048 { kernel.large() } else { kernel });
        }
    }
    list.push(kernels::activation(1 << 24).named("w5-gelu"));
    list.push(kernels::sum(1 << 24).named("w5-sum"));
    list.push(kernels::softmax([4096, 4096]).named("w6-softmax"));
    list.push(kernels::layer_norm([4096, 1024]).named("w6-layernorm"));
    list
}

/// The folder of MNIST in this repository.
pub const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/mnist");

/// The trainings whose rates are workloads: W2 and W3 by batch.
pub const RATES: [(&str, Network, usize); 3] =
    [("w2-b128-rate", Network::Mlp, 128), ("w2-b1024-rate", Network::Mlp, 1024), ("w3-b128-rate", Network::Cnn, 128)];

/// First steps in a fresh process.
pub const FIRST_STEPS: [(&str, Network, usize); 2] = [("w2-b128-first-step", Network::Mlp, 128), ("w3-b128-first-step", Network::Cnn, 128)];

/// The memory of a fresh process that trains W2 at a batch of 128.
pub const PEAK_MEMORY: &str = "w2-peak-memory";

/// W4, without and with its loss read.
pub const TINY: [&str; 2] = ["w4-steps", "w4-steps-loss-read"];

/// Everything that has a name, workloads first.
pub fn names() -> Vec<String> {
    let kernels = kernels().into_iter().chain(kernels::all()).map(|k| k.name);
    let trainings = RATES.iter().chain(&FIRST_STEPS).map(|(name, ..)| *name).chain(TINY).chain([PEAK_MEMORY]).map(String::from);
    let mut names: Vec<String> = trainings.chain(kernels).collect();
    let rank = |name: &String| !(name.starts_with('w') && name.as_bytes().get(1).is_some_and(u8::is_ascii_digit));
    names.sort_by_key(|name| (rank(name), if rank(name) { String::new() } else { name[..2].to_string() }));
    names
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_of_the_shared_table_is_there_once() {
        let names = names();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        for name in [
            "w1-matmul-256",
            "w1-matmul-8192-f16",
            "w2-b128-rate",
            "w2-b128-first-step",
            "w2-b1024-rate",
            "w3-b128-rate",
            "w3-b128-first-step",
            "w4-steps",
            "w4-steps-loss-read",
            "w5-gelu",
            "w5-sum",
            "w6-softmax",
            "w6-layernorm",
        ] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        assert!(names[0].starts_with("w1-") && !names[names.len() - 1].starts_with('w'));
    }

    #[test]
    fn a_gigabyte_is_what_the_table_says() {
        let kernel = kernels().into_iter().find(|k| k.name == "w5-gelu").unwrap();
        let loaded = kernel.load(&noyau::Device::cpu()).unwrap();
        assert_eq!(loaded.cost.bytes, 8.0 * f64::from(1 << 24));
        let kernel = kernels().into_iter().find(|k| k.name == "w1-matmul-256").unwrap();
        assert_eq!(kernel.load(&noyau::Device::cpu()).unwrap().cost.flops, 2.0 * 256f64.powi(3));
    }
}
