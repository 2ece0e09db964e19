//! The case list on every GPU there is: each result against the oracle's.

mod cases;
mod support;

use cases::Grads;
use support::by_device;
use support::checks::{check, compare, results};
use support::gpus::{self, Gpu, Kind};

#[test]
fn census() {
    gpus::census();
}

#[test]
fn lavapipe_agrees_with_the_oracle() {
    gpus::each(Kind::Lavapipe, fused);
}

#[test]
fn swiftshader_agrees_with_the_oracle() {
    gpus::each(Kind::SwiftShader, fused);
}

#[test]
fn mesa_gl_agrees_with_the_oracle() {
    gpus::each(Kind::MesaGl, fused);
}

#[test]
fn other_gpus_agree_with_the_oracle() {
    gpus::each(Kind::Other, fused);
}

#[test]
fn unfused_agrees_with_the_oracle() {
    // One kernel an operation makes many pipelines: every seventh case, another seventh on each GPU.
    gpus::every(|gpu| {
        let mut count = gpu.kind as usize;
        check(&format!("{} unfused = oracle", gpu.name), |case| {
            count += 1;
            if case.ieee || count % 7 != 0 {
                return None;
            }
            let built = case.build();
            Some(compare(case, &built, by_device(&gpu.device, false, &results(&built)).map(|(values, _)| values)))
        });
    });
}

fn fused(gpu: &Gpu) {
    check(&format!("{} = oracle", gpu.name), |case| {
        // Where NaN or infinity occurs, WGSL says nothing.
        if case.ieee {
            return None;
        }
        let built = case.build();
        assert!(case.grads == Grads::None || !built.gradients.is_empty(), "{} asks for gradients and has none", case.name);
        Some(compare(case, &built, by_device(&gpu.device, true, &results(&built)).map(|(values, _)| values)))
    });
}
