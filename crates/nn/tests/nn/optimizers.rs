//! Optimizers against PyTorch, and their states.

use noyau_nn::*;
use noyau_tensor::{DType, Param, Tensor};

use crate::oracle::{Memory, assert_close};

/// Weights that begin at 1, -2, 0.5, and the loss `1 (w0 - 0.3)^2 + 2 (w1 - 0.1)^2 + 3 (w2 + 1)^2`.
fn problem() -> (Vec<(String, Param)>, Tensor) {
    let w = Param::from_array("w", noyau_tensor::Array::new([3], &[1.0f32, -2.0, 0.5]).unwrap());
    let target = Tensor::from([3.0f32, 1.0, -10.0]) * 0.1;
    let loss = ((&w - target).square() * Tensor::from([1.0f32, 2.0, 3.0])).sum();
    (vec![("0.weight".into(), w)], loss)
}

/// The weights after four updates.
fn four(optimizer: &dyn Optimizer) -> Vec<f64> {
    let (parameters, loss) = problem();
    let updates = optimizer.step(&loss, &parameters);
    let mut memory = Memory::default();
    (0..4).for_each(|_| memory.run(&updates).unwrap());
    memory.value(&parameters[0].1)
}

// def run(opt, clip=None, value=None, **k):
//     w = torch.tensor([1., -2., 0.5], requires_grad=True); o = opt([w], **k)
//     for i in range(4):
//         o.zero_grad(); (torch.tensor([1., 2., 3.]) * (w - torch.tensor([0.3, 0.1, -1.]))**2).sum().backward()
//         if value: torch.nn.utils.clip_grad_value_([w], value)
//         if clip: torch.nn.utils.clip_grad_norm_([w], clip)
//         o.step()
//     return w
// with torch.float64 as the default type.
#[test]
fn four_updates_are_pytorchs() {
    let check = |optimizer: &dyn Optimizer, wanted: [f64; 3]| assert_close(&four(optimizer), &wanted, 2e-8);
    check(&Sgd::new(0.1), [0.58672, -0.17216, -0.9616]);
    check(&Sgd::new(0.05).momentum(0.9), [0.45876, 0.74806, -1.9642]);
    check(&Sgd::new(0.05).momentum(0.9).nesterov(true).weight_decay(0.1), [0.330656595795, 0.802662228905, -1.61540615136]);
    check(&Sgd::new(0.1).weight_decay(0.2), [0.54192768, -0.14186944, -0.93713752]);
    check(&Sgd::new(0.1).clip_norm(1.0), [0.953002858263, -1.72523322682, 0.213159736308]);
    check(&Sgd::new(0.1).clip_value(0.5), [0.8, -1.8, 0.3]);
    check(&Sgd::new(0.1).clip_norm(4.0).clip_value(3.0), [0.612363930153, -0.903925821056, -0.596074178944]);
    check(&Adam::new(0.1), [0.607001655208, -1.60141436844, 0.102198935544]);
    check(&Adam::new(0.1).betas(0.5, 0.9).eps(1e-3).weight_decay(0.1), [0.621988096327, -1.6060445322, 0.108905318184]);
    check(&Adam::new(0.1).betas(0.0, 0.9), [0.646897958417, -1.61398772825, 0.120036248049]);
    check(&AdamW::new(0.1).weight_decay(0.2), [0.543552184436, -1.45871155088, 0.0754567184377]);
    check(&RmsProp::new(0.1), [0.309639975852, -0.121096262149, -0.975780925974]);
    let optimizer = RmsProp::new(0.1).alpha(0.9).momentum(0.5).centered(true).weight_decay(0.1);
    check(&optimizer, [0.113562105015, -0.573541078834, -0.820730210307]);
    check(&AdaGrad::new(0.1), [0.743338878512, -1.72820877292, 0.231037264246]);
    let optimizer = AdaGrad::new(0.1).initial_accumulator_value(0.5).eps(1e-3).weight_decay(0.1);
    check(&optimizer, [0.758248210913, -1.7287941037, 0.231666320092]);
}

#[test]
fn a_schedule_is_followed_update_by_update() {
    let schedule = Schedule::exponential(0.1, 0.5).warm_up(2);
    let found = four(&Sgd::new(schedule.clone()));
    let mut w = [1.0, -2.0, 0.5];
    for step in 0..4 {
        let gradient = [2.0 * (w[0] - 0.3), 4.0 * (w[1] - 0.1), 6.0 * (w[2] + 1.0)];
        (0..3).for_each(|i| w[i] -= schedule.value(step) * gradient[i]);
    }
    assert_close(&found, &w, 2e-8);
}

#[test]
fn states_are_named_made_once_and_only_when_needed() {
    let (parameters, loss) = problem();
    let names = |optimizer: &dyn Optimizer| -> Vec<String> {
        assert!(optimizer.states().is_empty());
        let first = optimizer.step(&loss, &parameters);
        let second = optimizer.step(&loss, &parameters);
        let ids = |updates: &[(Param, Tensor)]| updates.iter().map(|(p, _)| p.state().id()).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&second));
        // Every state moves: the parameter and all that the optimizer keeps.
        let mut moved: Vec<u64> = optimizer.states().iter().map(|(_, p)| p.state().id()).chain([parameters[0].1.state().id()]).collect();
        let mut updated = ids(&first);
        moved.sort_unstable();
        updated.sort_unstable();
        assert_eq!(moved, updated);
        optimizer.states().into_iter().map(|(name, _)| name).collect()
    };
    assert!(names(&Sgd::new(0.1)).is_empty());
    assert_eq!(names(&Sgd::new(0.1).momentum(0.9)), ["optimizer.momentum.0.weight"]);
    assert_eq!(names(&Sgd::new(Schedule::step(0.1, 2, 0.5))), ["optimizer.step"]);
    assert_eq!(names(&Adam::new(0.1)), ["optimizer.exp_avg.0.weight", "optimizer.exp_avg_sq.0.weight", "optimizer.step"]);
    assert_eq!(names(&RmsProp::new(0.1)), ["optimizer.square_avg.0.weight"]);
    assert_eq!(names(&AdaGrad::new(0.1)), ["optimizer.sum.0.weight"]);
    let adam = Adam::new(0.1);
    let _ = adam.step(&loss, &parameters);
    let counter = adam.states().remove(2).1;
    assert_eq!((counter.dtype(), counter.rank(), counter.name()), (DType::U32, 0, "optimizer.step"));
}

#[test]
fn a_shared_parameter_is_updated_once() {
    let (mut parameters, loss) = problem();
    parameters.push(("decoder.weight".into(), parameters[0].1.clone()));
    assert_eq!(Sgd::new(0.1).step(&loss, &parameters).len(), 1);
}

#[test]
fn a_model_can_be_trained() {
    // XOR, by a network of one hidden layer.
    let model = Sequential::new().then(Linear::new(2, 8)).then(Tanh).then(Linear::new(8, 1));
    let x = Tensor::from([[0.0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0f32], [1.0], [1.0], [0.0]]);
    let logits = model.forward(&x, &Mode::train());
    let adam: Box<dyn Optimizer> = Box::new(Adam::new(Schedule::one_cycle(0.1, 150)));
    let mut updates = adam.update(&bce_with_logits(&logits, &y), &model);
    let result = Param::new("result", [4, 1], init::zeros());
    updates.push((result.clone(), logits));
    let mut memory = Memory::default();
    (0..150).for_each(|_| memory.run(&updates).unwrap());
    let found = memory.value(&result);
    assert!(found[0] < -2.0 && found[1] > 2.0 && found[2] > 2.0 && found[3] < -2.0, "{found:?}");
}

/// What compiling a step of this optimizer says.
fn refusal(optimizer: &dyn Optimizer) -> String {
    let (parameters, loss) = problem();
    let found = Memory::default().run(&optimizer.step(&loss, &parameters)).unwrap_err().to_string();
    assert_eq!(optimizer.validate().unwrap_err().to_string(), found);
    found
}

#[test]
fn options_out_of_range_are_refused() {
    assert_eq!(refusal(&Sgd::new(f64::NAN)), "learning rate: NaN is not a positive number");
    assert_eq!(refusal(&Adam::new(-0.5)), "learning rate: -0.5 is not a positive number");
    assert_eq!(refusal(&AdamW::new(0.0)), "learning rate: 0 is not a positive number");
    assert_eq!(refusal(&Sgd::new(f32::INFINITY)), "learning rate: inf is not a finite number");
    assert!(refusal(&Sgd::new(1e-60)).contains("too small for f32"));
    assert!(refusal(&Sgd::new(1e60)).contains("too large for f32"));
    assert!(refusal(&Sgd::new(0.1).momentum(1.0)).starts_with("momentum: 1 does not lie in"));
    assert!(refusal(&Sgd::new(0.1).nesterov(true)).contains("needs a momentum above 0"));
    assert!(refusal(&Sgd::new(0.1).weight_decay(-1.0)).starts_with("weight_decay: -1"));
    assert!(refusal(&Adam::new(0.1).betas(0.9, 1.0)).starts_with("betas: the second: 1 does not lie in"));
    assert!(refusal(&AdamW::new(0.1).betas(f64::NAN, 0.9)).starts_with("betas: the first: NaN"));
    assert!(refusal(&Adam::new(0.1).eps(0.0)).starts_with("eps: 0 is not a positive number"));
    assert!(refusal(&RmsProp::new(0.1).alpha(-0.1)).starts_with("alpha"));
    assert!(refusal(&AdaGrad::new(0.1).initial_accumulator_value(f64::NAN)).starts_with("initial_accumulator_value"));
    assert!(refusal(&RmsProp::new(0.1).clip_norm(0.0)).starts_with("clip_norm"));
    assert!(refusal(&AdaGrad::new(0.1).clip_value(f64::NAN)).starts_with("clip_value"));
    assert!(refusal(&Sgd::new(Schedule::cosine(0.1, -1.0, 10))).starts_with("learning rate: minimum"));
}

#[test]
fn a_parameter_that_no_gradient_reaches_is_named_by_its_path() {
    let (mut parameters, loss) = problem();
    parameters.push(("3.bias".into(), Param::scalar("bias", 0.0)));
    let found = Memory::default().run(&Sgd::new(0.1).step(&loss, &parameters)).unwrap_err().to_string();
    assert!(found.contains("no gradient flows from the loss to the parameter `3.bias`") && found.contains("optimizers.rs"), "{found}");
    let found = Memory::default().run(&Sgd::new(0.1).step(&loss, &[])).unwrap_err().to_string();
    assert!(found.starts_with("optimizer: there are no parameters to update; give it those"), "{found}");
    let found = Memory::default().run(&Sgd::new(0.1).step(&Tensor::zeros([2]), &parameters)).unwrap_err().to_string();
    assert!(found.contains("the loss must be a scalar"), "{found}");
}

#[test]
fn an_optimizer_of_ones_own_is_a_rule() {
    struct SignDescent(noyau_nn::optim::Settings);
    impl Optimizer for SignDescent {
        fn settings(&self) -> &noyau_nn::optim::Settings {
            &self.0
        }
        fn rule(&self, parameter: &Tensor, gradient: &Tensor, update: &mut noyau_nn::optim::Update) -> Tensor {
            parameter - gradient.sign() * update.rate()
        }
    }
    assert_close(&four(&SignDescent(noyau_nn::optim::Settings::new(0.1))), &[0.6, -1.6, 0.1], 1e-7);
}

/// A factor that was not asked for is no state; one that was is saved with the others, and is 1 until someone sets it.
#[test]
fn the_rate_has_a_factor_once_it_is_asked_for() {
    let (plain, with) = (Sgd::new(0.1).momentum(0.9), Sgd::new(0.1).momentum(0.9));
    assert!(plain.settings().known_rate_factor().is_none());
    let factor = with.settings().rate_factor();
    assert_eq!(factor.state().id(), with.settings().rate_factor().state().id());
    assert_eq!(four(&plain), four(&with));
    let names = |optimizer: &Sgd| optimizer.states().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&plain), ["optimizer.momentum.0.weight"]);
    assert_eq!(names(&with), ["optimizer.rate_factor", "optimizer.momentum.0.weight"]);
}
