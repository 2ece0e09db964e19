//! Accumulated gradients and averaged weights against PyTorch, and what they promise of states, plans and mistakes.

use noyau_nn::*;
use noyau_tensor::{Array, DType, Param, Tensor};

use crate::oracle::{Memory, assert_close};

/// Weights that begin at 1, -2, 0.5, and the loss `1 (w0 - 0.3)^2 + 2 (w1 - 0.1)^2 + 3 (w2 + 1)^2`, times 1 in the first step, 2 in the second..
struct Problem {
    parameters: Vec<(String, Param)>,
    loss: Tensor,
    scaled: Tensor,
    step: Param,
}

fn problem() -> Problem {
    let w = Param::from_array("w", Array::new([3], &[1.0f32, -2.0, 0.5]).unwrap());
    let target = Tensor::from([3.0f32, 1.0, -10.0]) * 0.1;
    let loss = ((&w - target).square() * Tensor::from([1.0f32, 2.0, 3.0])).sum();
    let step = Param::scalar("number", 0.0);
    let scaled = &loss * (&step + 1.0);
    Problem { parameters: vec![("0.weight".into(), w)], loss, scaled, step }
}

/// The weights after some steps on the growing loss, and their averages.
fn run(optimizer: &dyn Optimizer, steps: usize) -> (Vec<f64>, Option<Vec<f64>>) {
    let problem = problem();
    let mut updates = optimizer.step(&problem.scaled, &problem.parameters);
    updates.push((problem.step.clone(), &problem.step + 1.0));
    let mut memory = Memory::default();
    (0..steps).for_each(|_| memory.run(&updates).unwrap());
    let averaged = optimizer.averaged();
    let average = averaged.first().map(|(parameter, average)| {
        assert_eq!(parameter.state().id(), problem.parameters[0].1.state().id());
        memory.value(average)
    });
    (memory.value(&problem.parameters[0].1), average)
}

// m.w is [1, -2, 0.5], loss(w) the function above; AveragedModel(m, multi_avg_fn=get_ema_multi_avg_fn(decay)), torch.float64:
//     for i in range(steps):
//         ((1 + i) * loss(m.w) / n).backward()
//         if i % n == n - 1:
//             if clip: torch.nn.utils.clip_grad_norm_([m.w], clip)
//             o.step(); o.zero_grad(); schedule.step(); average.update_parameters(m)
#[test]
fn accumulated_and_averaged_steps_are_pytorchs() {
    let adamw = || AdamW::new(0.1).weight_decay(0.2).clip_norm(1.0);
    // Three batches an update, eight batches: the last two are not applied yet.
    let weights = [0.76285768382, -1.72278695, 0.282205357101];
    let averages = [0.821428846335, -1.79139347574, 0.336102679239];
    let within = Accumulate::new(Ema::new(adamw(), 0.5), 3);
    let around = Ema::new(Accumulate::new(adamw(), 3), 0.5);
    let boxed: Box<dyn Optimizer> = Box::new(Ema::new(Box::new(Accumulate::new(adamw(), 3)) as Box<dyn Optimizer>, 0.5));
    for optimizer in [&within as &dyn Optimizer, &around, &boxed] {
        let (found, average) = run(optimizer, 8);
        assert_close(&found, &weights, 2e-8);
        assert_close(&average.unwrap(), &averages, 2e-8);
    }
    // The schedule counts updates: three of them in seven batches.
    let sgd = Sgd::new(Schedule::exponential(0.01, 0.5)).momentum(0.9);
    let (found, average) = run(&Accumulate::new(sgd, 2), 7);
    assert_close(&found, &[0.9130791625, -1.4935724, -0.0266850625], 2e-8);
    assert!(average.is_none());
}

// As above with Adam(0.1), decay 0.9, the loss without its factor, four steps.
#[test]
fn averages_are_pytorchs() {
    let problem = problem();
    let ema = Ema::new(Adam::new(0.1), 0.9);
    let updates = ema.step(&problem.loss, &problem.parameters);
    let mut memory = Memory::default();
    (0..4).for_each(|_| memory.run(&updates).unwrap());
    assert_close(&memory.value(&problem.parameters[0].1), &[0.607001655208, -1.60141436844, 0.102198935544], 2e-8);
    assert_close(&memory.value(&ema.averaged()[0].1), &[0.844903327416, -1.84410693549, 0.34422051593], 2e-8);
}

#[test]
fn a_warm_up_follows_its_formula() {
    let problem = problem();
    let power = 2.0 / 3.0;
    let ema = Ema::new(Sgd::new(0.05), 0.55).warm_up(power);
    let updates = ema.step(&problem.loss, &problem.parameters);
    let mut memory = Memory::default();
    let mut wanted = vec![0.0; 3];
    let mut bounded = 0;
    for t in 0..6 {
        memory.run(&updates).unwrap();
        let risen = 1.0 - (1.0 + f64::from(t)).powf(-power);
        bounded += u32::from(risen > 0.55);
        let decay = risen.min(0.55);
        let weights = memory.value(&problem.parameters[0].1);
        wanted.iter_mut().zip(&weights).for_each(|(a, w)| *a = decay * *a + (1.0 - decay) * w);
        assert_close(&memory.value(&ema.averaged()[0].1), &wanted, 1e-7);
    }
    assert_eq!(bounded, 3, "both branches are seen");
}

#[test]
fn between_updates_nothing_but_sums_changes() {
    let problem = problem();
    let optimizer = Accumulate::new(Adam::new(Schedule::cosine(0.1, 0.0, 10)), 3);
    let updates = optimizer.step(&problem.loss, &problem.parameters);
    let names: Vec<String> = optimizer.states().into_iter().map(|(name, _)| name).collect();
    let inner = ["optimizer.step", "optimizer.exp_avg.0.weight", "optimizer.exp_avg_sq.0.weight"];
    assert_eq!(names, [&inner[..], &["accumulate.0.weight", "accumulate.batches"]].concat());
    let mut memory = Memory::default();
    let state = |memory: &Memory, name: &str| memory.value(&optimizer.states().into_iter().find(|(n, _)| n == name).unwrap().1);
    for update in 1..=2 {
        for batch in 1..=3 {
            memory.run(&updates).unwrap();
            assert_eq!(state(&memory, "accumulate.batches"), [f64::from(batch % 3)]);
            assert_eq!(state(&memory, "optimizer.step"), [f64::from(update - i32::from(batch < 3))]);
            let empty = state(&memory, "accumulate.0.weight").iter().all(|&sum| sum == 0.0);
            assert_eq!(empty, batch == 3, "update {update}, batch {batch}");
            let moved = memory.value(&problem.parameters[0].1) != [1.0, -2.0, 0.5];
            assert_eq!(moved, update == 2 || batch == 3);
        }
    }
}

#[test]
fn wrappers_make_their_states_once() {
    let problem = problem();
    let optimizer = Ema::new(Accumulate::new(Sgd::new(0.1).momentum(0.9), 2), 0.99);
    assert!(optimizer.states().is_empty() && optimizer.averaged().is_empty());
    let ids = |updates: Vec<(Param, Tensor)>| {
        let mut ids: Vec<u64> = updates.iter().map(|(p, _)| p.state().id()).collect();
        ids.sort_unstable();
        ids
    };
    let first = ids(optimizer.step(&problem.loss, &problem.parameters));
    assert_eq!(first, ids(optimizer.step(&problem.loss, &problem.parameters)));
    let mut all: Vec<u64> = optimizer.states().iter().map(|(_, p)| p.state().id()).collect();
    all.push(problem.parameters[0].1.state().id());
    all.sort_unstable();
    assert_eq!(all, first, "each state has one next value");
    let names: Vec<String> = optimizer.states().into_iter().map(|(name, _)| name).collect();
    let wanted = ["optimizer.momentum.0.weight", "accumulate.0.weight", "accumulate.batches", "ema.0.weight", "ema.updates"];
    assert_eq!(names, wanted);
}

#[test]
fn a_shared_parameter_has_one_sum_and_one_average() {
    let mut problem = problem();
    problem.parameters.push(("decoder.weight".into(), problem.parameters[0].1.clone()));
    let optimizer = Ema::new(Accumulate::new(Sgd::new(0.1), 2), 0.5);
    let updates = optimizer.step(&problem.loss, &problem.parameters);
    assert_eq!(updates.len(), 5, "the parameter, its sum, the count of batches, its average, the count of updates");
    assert_eq!(optimizer.averaged().len(), 1);
    let mut memory = Memory::default();
    (0..2).for_each(|_| memory.run(&updates).unwrap());
    let alone = {
        let problem = self::problem();
        let updates = Sgd::new(0.1).step(&problem.loss, &problem.parameters);
        let mut memory = Memory::default();
        memory.run(&updates).unwrap();
        memory.value(&problem.parameters[0].1)
    };
    assert_close(&memory.value(&problem.parameters[0].1), &alone, 1e-12);
}

#[test]
fn one_batch_an_update_is_the_optimizer_itself() {
    let problem = problem();
    let optimizer = Accumulate::new(Sgd::new(0.1), 1);
    assert_eq!(optimizer.step(&problem.loss, &problem.parameters).len(), 1);
    assert!(optimizer.states().is_empty() && optimizer.applies().is_none());
}

/// A scaler, whose step leaves everything as it was where a gradient is not finite, around both wrappers.
#[test]
fn a_batch_that_overflows_is_left_out() {
    let w = Param::from_array("w", Array::new([1], &[2.0f32]).unwrap());
    let number = Param::scalar("number", 0.0);
    // In the second step the gradient is infinite.
    let factor = number.eq(1.0).where_(f32::INFINITY, &number + 1.0);
    let loss = (&w * factor).sum();
    struct One(Param);
    impl Module for One {
        fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
            x.clone()
        }
        fn parameters(&self) -> Vec<(String, Param)> {
            vec![("w".into(), self.0.clone())]
        }
    }
    let optimizer = Ema::new(Accumulate::new(Sgd::new(0.5), 2), 0.5);
    let scaler = LossScaler::new().initial(4.0);
    let mut updates = scaler.step(&loss, &optimizer, &One(w.clone()), &Mode::train());
    updates.push((number.clone(), &number + 1.0));
    let mut memory = Memory::default();
    let mut found = Vec::new();
    for _ in 0..3 {
        memory.run(&updates).unwrap();
        found.push((memory.value(&w)[0], memory.value(&optimizer.averaged()[0].1)[0], memory.value(scaler.scale())[0]));
    }
    // Gradients 1, infinite, 3: one update by their finite mean, 2.
    assert_eq!(found, [(2.0, 0.0, 4.0), (2.0, 0.0, 2.0), (1.0, 1.0, 2.0)]);
}

#[test]
fn options_out_of_range_are_refused() {
    let refusal = |optimizer: &dyn Optimizer| {
        let problem = problem();
        let found = Memory::default().run(&optimizer.step(&problem.loss, &problem.parameters)).unwrap_err().to_string();
        assert_eq!(optimizer.validate().unwrap_err().to_string(), found);
        found
    };
    assert_eq!(refusal(&Accumulate::new(Sgd::new(0.1), 0)), "Accumulate: batches: 0 is too few; at least 1 is needed");
    assert!(refusal(&Accumulate::new(Sgd::new(0.1), 1 << 40)).contains("1099511627776 are more than a u32 counts"));
    assert_eq!(refusal(&Ema::new(Sgd::new(0.1), 1.0)), "Ema: decay: 1 does not lie in 0 <= value < 1");
    assert!(refusal(&Ema::new(Sgd::new(0.1), f64::NAN)).starts_with("Ema: decay: NaN"));
    assert!(refusal(&Ema::new(Sgd::new(0.1), 0.9).warm_up(0.0)).starts_with("Ema: warm-up power: 0"));
    // What is wrong with the optimizer within is told first.
    assert_eq!(refusal(&Ema::new(Accumulate::new(Sgd::new(-1.0), 0), 2.0)), "learning rate: -1 is not a positive number");
}

#[test]
fn mistakes_in_the_loss_are_told_through_wrappers() {
    let make = || Ema::new(Accumulate::new(Sgd::new(0.1), 2), 0.9);
    let mut problem = problem();
    problem.parameters.push(("3.bias".into(), Param::scalar("bias", 0.0)));
    let message = |updates: &[(Param, Tensor)]| Memory::default().run(updates).unwrap_err().to_string();
    let found = message(&make().step(&problem.loss, &problem.parameters));
    assert!(found.contains("to the parameter `3.bias`") && found.contains("wrappers.rs"), "{found}");
    assert!(message(&make().step(&problem.loss, &[])).starts_with("optimizer: there are no parameters to update"));
    let one = Ok(vec![Tensor::zeros([3])]);
    assert!(message(&make().apply(one, &problem.parameters)).starts_with("optimizer: 1 gradients for 2 parameters"));
    let found = message(&make().step(&(&problem.loss + Tensor::zeros([2]).matmul(&Tensor::zeros([3]))), &problem.parameters[..1]));
    assert!(found.contains("matmul") && found.contains("wrappers.rs"), "{found}");
}

#[test]
fn wrappers_cost_no_kernel_a_parameter() {
    use crate::plans::training_step;
    let kernels = |optimizer: &dyn Optimizer| training_step(optimizer).kernels.len();
    let (sgd, adam) = (kernels(&Sgd::new(0.1).momentum(0.9)), kernels(&Adam::new(1e-3)));
    let found = [
        kernels(&Accumulate::new(Sgd::new(0.1).momentum(0.9), 4)),
        kernels(&Accumulate::new(Adam::new(1e-3), 4)),
        kernels(&Ema::new(Sgd::new(0.1).momentum(0.9), 0.99)),
        kernels(&Ema::new(Accumulate::new(Adam::new(1e-3), 4), 0.99)),
    ];
    // The counters' next values, and no more: sums, choices and averages ride on what makes the gradients.
    assert!(found[0] <= sgd + 2 && found[1] <= adam + 2 && found[2] <= sgd + 2 && found[3] <= adam + 4, "{sgd}, {adam}: {found:?}");
    println!("{sgd}, {adam}: {found:?}");
}

#[test]
fn sums_and_averages_are_f32() {
    let problem = problem();
    let optimizer = Ema::new(Accumulate::new(Sgd::new(0.1), 2), 0.9);
    let _ = optimizer.step(&problem.loss, &problem.parameters);
    for (name, state) in optimizer.states() {
        let counts = name.ends_with("batches") || name.ends_with("updates");
        assert_eq!(state.dtype(), if counts { DType::U32 } else { DType::F32 }, "{name}");
    }
}
