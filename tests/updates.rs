//! Updates of states: all of them read the values from before the step, whatever the planner writes in place.

use noyau::prelude::*;

fn param(name: &str, values: &[f32], shape: &[usize]) -> Param {
    Param::from_array(name, Array::new(shape, values).unwrap())
}

/// The CPU and every GPU that a driver shows.
fn devices() -> Vec<Device> {
    std::iter::once(Device::cpu()).chain(Device::list().iter().map(|a| Device::gpu(a.index).unwrap())).collect()
}

/// Runs one step on every device, fused and not, and gives the results and the states after it.
fn run(make: impl Fn() -> (Vec<Param>, Step)) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut found = Vec::new();
    for (device, fuse) in devices().into_iter().flat_map(|d| [(d.clone(), true), (d, false)]) {
        let session = Session::with_options(device, 0, fuse);
        let (params, step) = make();
        let mut compiled = session.compile([], |[]| step).unwrap();
        let outputs: Vec<Vec<f32>> = compiled.run(&[]).unwrap().iter().map(|a| a.to_vec().unwrap()).collect();
        let states: Vec<Vec<f32>> = params.iter().map(|p| session.get(p).unwrap().to_vec().unwrap()).collect();
        found.push((outputs, states));
    }
    for other in &found[1..] {
        assert!(alike(&found[0].0, &other.0) && alike(&found[0].1, &other.1), "{:?} and {other:?} differ", found[0]);
    }
    found.swap_remove(0)
}

/// Equal but for the rounding of a division and a sum.
fn alike(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    a.iter().flatten().zip(b.iter().flatten()).all(|(x, y)| (x - y).abs() <= 1e-5 * x.abs().max(1.0))
}

#[test]
fn two_states_change_places() {
    let (_, states) = run(|| {
        let (a, b) = (param("a", &[1., 2.], &[2]), param("b", &[3., 4.], &[2]));
        (vec![a.clone(), b.clone()], Step::default().updates([(a.clone(), b.tensor().clone()), (b, a.tensor().clone())]))
    });
    assert_eq!(states, [[3., 4.], [1., 2.]]);
}

#[test]
fn a_swap_with_arithmetic() {
    let (_, states) = run(|| {
        let (a, b) = (param("a", &[1., 2.], &[2]), param("b", &[3., 4.], &[2]));
        let updates = [(a.clone(), &b * 2.0), (b.clone(), &a + 1.0)];
        (vec![a, b], Step::default().updates(updates))
    });
    assert_eq!(states, [[6., 8.], [2., 3.]]);
}

#[test]
fn the_old_value_is_returned() {
    let (outputs, states) = run(|| {
        let a = param("a", &[1., 2.], &[2]);
        let step = Step::returns(&a).and_returns(&(&a * 10.0)).updates([(a.clone(), &a + 1.0)]);
        (vec![a], step)
    });
    assert_eq!(outputs, [[1., 2.], [10., 20.]]);
    assert_eq!(states, [[2., 3.]]);
}

#[test]
fn the_new_value_is_returned_and_used() {
    let (outputs, states) = run(|| {
        let a = param("a", &[1., 2.], &[2]);
        let next = &a + 1.0;
        let step = Step::returns(&next).and_returns(&next.sum()).updates([(a.clone(), next.clone())]);
        (vec![a], step)
    });
    assert_eq!(outputs, [vec![2., 3.], vec![5.]]);
    assert_eq!(states, [[2., 3.]]);
}

#[test]
fn a_state_is_read_in_another_order_than_it_is_written() {
    let (_, states) = run(|| {
        let a = param("a", &[1., 2., 3., 4.], &[2, 2]);
        let next = &a.t() + &a;
        (vec![a.clone()], Step::default().updates([(a, next)]))
    });
    assert_eq!(states, [[2., 5., 5., 8.]]);
}

#[test]
fn a_state_is_multiplied_by_itself() {
    let (_, states) = run(|| {
        let a = param("a", &[1., 2., 3., 4.], &[2, 2]);
        let next = a.matmul(&a) - &a;
        (vec![a.clone()], Step::default().updates([(a, next)]))
    });
    assert_eq!(states, [[6., 8., 12., 18.]]);
}

#[test]
fn every_element_depends_on_all_old_ones() {
    let (_, states) = run(|| {
        let a = param("a", &[1., 2., 3.], &[3]);
        let next = &a / a.sum();
        (vec![a.clone()], Step::default().updates([(a, next)]))
    });
    for (found, want) in states[0].iter().zip([1. / 6., 2. / 6., 3. / 6.]) {
        assert!((found - want).abs() < 1e-7);
    }
}

#[test]
fn rows_are_read_again_after_a_value_of_theirs_is_known() {
    let values: Vec<f32> = (0..1200).map(|i| (i % 7) as f32).collect();
    let (outputs, states) = run(|| {
        let a = param("a", &values, &[4, 300]);
        let step = Step::returns(&(&a - a.mean_keep(&[1]))).updates([(a.clone(), &a + 1.0)]);
        (vec![a], step)
    });
    let mean = values[..300].iter().sum::<f32>() / 300.0;
    assert!((outputs[0][5] - (values[5] - mean)).abs() < 1e-5);
    assert_eq!(states[0][..4], [1., 2., 3., 4.]);
}

#[test]
fn one_value_goes_to_two_states() {
    let (_, states) = run(|| {
        let (a, b) = (param("a", &[1., 2.], &[2]), param("b", &[0., 0.], &[2]));
        let next = &a * 3.0;
        (vec![a.clone(), b.clone()], Step::default().updates([(a, next.clone()), (b, next)]))
    });
    assert_eq!(states, [[3., 6.], [3., 6.]]);
}

#[test]
fn a_state_keeps_its_value_when_it_is_updated_to_itself() {
    let (_, states) = run(|| {
        let a = param("a", &[1., 2.], &[2]);
        (vec![a.clone()], Step::default().updates([(a.clone(), a.tensor().clone())]))
    });
    assert_eq!(states, [[1., 2.]]);
}

#[test]
fn a_constant_is_written() {
    let (_, states) = run(|| {
        let a = param("a", &[1., 2.], &[2]);
        (vec![a.clone()], Step::default().updates([(a, Tensor::full([2], Scalar::Float(7.0)))]))
    });
    assert_eq!(states, [[7., 7.]]);
}

#[test]
fn updating_a_state_twice_is_refused() {
    let session = Session::new(Device::cpu());
    let a = param("a", &[1., 2.], &[2]);
    let twice = Step::default().updates([(a.clone(), &a + 1.0), (a.clone(), &a + 2.0)]);
    let message = session.compile([], |[]| twice).err().unwrap().to_string();
    assert!(message.contains("`a` is updated twice"), "{message}");
    let reshaped = Step::default().updates([(a.clone(), a.reshape([1, 2]))]);
    let message = session.compile([], |[]| reshaped).err().unwrap().to_string();
    assert!(message.contains("f32[1, 2]") && message.contains("updates.rs"), "{message}");
}
