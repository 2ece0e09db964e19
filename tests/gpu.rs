//! The case list on every GPU there is: each result against the oracle's.

mod cases;
mod support;

use cases::Grads;
use noyau::{Array, Param, Session};
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
            if case.ieee || !count.is_multiple_of(7) {
                return None;
            }
            let built = case.build();
            Some(compare(case, &built, by_device(&gpu.device, false, &results(&built)).map(|(values, _)| values)))
        });
    });
}

/// WGSL says nothing of NaN and infinity; noyau's functions do where a training that goes wrong must show it.
#[test]
fn what_has_no_value_is_not_a_number_on_any_gpu() {
    gpus::every(|gpu| {
        let session = Session::new(gpu.device.clone());
        let x = Param::from_array("x", Array::new([4], &[-1.5f32, -3e38, f32::NEG_INFINITY, f32::NAN]).expect("four values"));
        let half = Param::scalar("half", 0.5);
        let nans = [
            ("log", x.log()),
            ("log1p", x.log1p()),
            ("sqrt", x.sqrt()),
            ("pow", x.pow(&half)),
            ("mul", &x * 0.0 + x.sqrt()),
            ("log_softmax", x.log().log_softmax(0)),
        ];
        for (name, tensor) in nans {
            let found = session.eval(&tensor).expect("it runs").to_f64();
            assert!(found.iter().all(|v| v.is_nan()), "{}: {name}: {found:?}", gpu.name);
        }
        let zeros = Param::from_array("zeros", Array::new([2], &[0.0f32, -0.0]).expect("two values"));
        assert_eq!(session.eval(&zeros.log()).expect("it runs").to_f64(), [f64::NEG_INFINITY; 2], "{}", gpu.name);
        assert!(session.eval(&x.sum()).expect("it runs").item().is_nan(), "{}", gpu.name);
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
