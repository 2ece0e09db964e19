//! What holds for all programs: fused = unfused = oracle. Random ones, the same every time; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` try others.

mod cases;
mod programs;
mod support;

use noyau::tensor::gradients;
use noyau::{Array, DType, Param, Shape, Tensor};
use programs::{Program, loss_of, programs};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::agree::{GRADIENTS, VALUES, agree, agree_on, config};
use support::gpus;

fn gradients_of(program: &Program) -> Vec<Tensor> {
    let written = program.write();
    let wrt: Vec<&Tensor> = written.params.iter().map(Param::tensor).collect();
    let loss = loss_of(&written.results);
    gradients(&loss, &wrt).unwrap_or_else(|e| panic!("{e}")).into_iter().flatten().collect()
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn programs_agree(program in programs(14, false)) {
        let written = program.write();
        agree(&written.results.iter().collect::<Vec<_>>(), VALUES)?;
    }
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn gradients_of_programs_agree(program in programs(10, true)) {
        let gradients = gradients_of(&program);
        agree(&gradients.iter().collect::<Vec<_>>(), GRADIENTS)?;
    }

    #[test]
    fn broadcasting_agrees_and_follows_numpys_rule(shape in prop::collection::vec(0usize..4, 0..5), ones in any::<[u32; 2]>(), cut in 0usize..5) {
        // Two shapes that broadcast: one shape with some axes of size 1, and the second without its first axes.
        let thin = |mask: u32| shape.iter().enumerate().map(|(i, &d)| if mask >> i & 1 == 1 { 1 } else { d }).collect::<Vec<usize>>();
        let (a, b) = (thin(ones[0]), thin(ones[1])[cut.min(shape.len())..].to_vec());
        let param = |shape: &[usize], start: f32| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|i| start + i as f32 * 0.01).collect();
            Param::from_array("p", Array::new(shape, &values).expect("as many as the shape has"))
        };
        let (x, y) = (param(&a, -0.5), param(&b, 0.25));
        let sum = x.tensor() + y.tensor();
        let expected: Vec<usize> = (0..a.len()).map(|i| {
            let other = (i + b.len()).checked_sub(a.len()).map_or(1, |j| b[j]);
            if a[i] == 1 { other } else { a[i] }
        }).collect();
        prop_assert_eq!(sum.shape(), &Shape::from(expected));
        agree(&[&sum, &x.lt(&y).where_(&x, &y), &(&x * &y).sum()], VALUES)?;
    }

    #[test]
    fn integer_arithmetic_agrees(a in prop::collection::vec(any::<i32>(), 1..40), b in any::<i32>(), shift in 0u32..32) {
        let x = Param::from_array("x", Array::new([a.len()], &a).expect("as many as the shape has"));
        let other = Tensor::from(b);
        let u = x.to(DType::U32);
        agree(&[
            &(x.tensor() + &other), &(x.tensor() * &other), &(x.tensor() / &other), &(x.tensor() % &other), &(&u / other.to(DType::U32)),
            &u.shr(shift), &x.shl(Tensor::from(shift as i32)), &x.sum(), &x.prod(&[]), &x.max(&[]), &u.min(&[]), &x.to(DType::F32),
        ], 0.0)?;
    }
}

/// Some programs on each GPU as well.
#[test]
fn programs_agree_on_gpus() {
    gpus::every(|gpu| {
        let mut runner = TestRunner::new(config(24));
        let outcome = runner.run(&programs(14, false), |program| {
            let written = program.write();
            agree_on(&gpu.device, &written.results.iter().collect::<Vec<_>>(), VALUES)
        });
        outcome.unwrap_or_else(|e| panic!("{}: {e}", gpu.name));
    });
}
