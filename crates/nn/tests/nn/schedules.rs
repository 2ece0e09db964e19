//! Schedules against PyTorch, and the device's expression against the host's value.

use noyau_nn::{OneCycle, Schedule};
use noyau_tensor::Tensor;

use crate::oracle::{assert_close, call, message, words};

// def sched(make, n):
//     w = torch.zeros(1, requires_grad=True); o = torch.optim.SGD([w], lr=1.); s = make(o); r = []
//     for i in range(n): r.append(o.param_groups[0]['lr']); o.step(); s.step()
//     return r
#[test]
fn host_values_are_pytorchs() {
    let check = |schedule: Schedule, wanted: &[f64]| {
        let found: Vec<f64> = (0..wanted.len() as u64).map(|step| schedule.value(step)).collect();
        assert_close(&found, wanted, 1e-11);
    };
    check(Schedule::step(1.0, 3, 0.1), &[1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01]); // StepLR(o, 3, .1)
    check(Schedule::exponential(1.0, 0.9), &[1.0, 0.9, 0.81, 0.729, 0.6561, 0.59049]); // ExponentialLR(o, .9)
    check(Schedule::linear(0.25, 1.0, 4), &[0.25, 0.4375, 0.625, 0.8125, 1.0, 1.0, 1.0]); // LinearLR(o, .25, 1., 4)
    let cosine = [1.0, 0.914057647469, 0.689057647469, 0.410942352531, 0.185942352531, 0.1];
    check(Schedule::cosine(1.0, 0.1, 5), &cosine); // CosineAnnealingLR(o, 5, .1)
    let cycle = [0.04, 0.52, 1.0, 0.950484632013, 0.81174565395, 0.611262021936, 0.388741978064, 0.18825834605, 0.0495193679865];
    check(Schedule::one_cycle(1.0, 10), &cycle); // OneCycleLR(o, 1., total_steps=10, cycle_momentum=False)
    // OneCycleLR(o, .5, total_steps=7, pct_start=.5, div_factor=10, final_div_factor=100, cycle_momentum=False)
    let cycle = [0.05, 0.205471176266, 0.457028823734, 0.475266974759, 0.305824603256, 0.0945334219858];
    check(OneCycle::new(0.5, 7).pct_start(0.5).div_factor(10.0).final_div_factor(100.0).into(), &cycle);
    // SequentialLR(o, [ConstantLR(o, .5, 100), ExponentialLR(o, .5)], [3])
    check(Schedule::constant(0.5).then(3, Schedule::exponential(1.0, 0.5)), &[0.5, 0.5, 0.5, 1.0, 0.5, 0.25, 0.125]);
    // By hand.
    check(Schedule::constant(0.8).warm_up(4), &[0.2, 0.4, 0.6, 0.8, 0.8]);
    check(Schedule::piecewise(3.0, &[(2, 2.0), (4, 1.0)]), &[3.0, 3.0, 2.0, 2.0, 1.0, 1.0]);
}

#[test]
fn the_device_follows_the_host() {
    let schedules = [
        Schedule::constant(0.3),
        Schedule::step(0.3, 3, 0.5),
        Schedule::exponential(0.3, 0.97),
        Schedule::exponential(0.3, 1.01),
        Schedule::linear(0.3, 0.0, 7),
        Schedule::cosine(0.3, 0.01, 9),
        Schedule::one_cycle(0.3, 11),
        Schedule::one_cycle(0.3, 1),
        Schedule::one_cycle(0.3, 2),
        OneCycle::new(0.3, 8).pct_start(0.0).into(),
        OneCycle::new(0.3, 8).pct_start(1.0).into(),
        Schedule::cosine(0.3, 0.0, 6).warm_up(4),
        Schedule::piecewise(0.3, &[(2, 0.2), (5, 0.1)]).then(9, Schedule::exponential(0.1, 0.5).warm_up(2)),
    ];
    for step in (0..24).chain([20_000]) {
        let rates = |arguments: &[Tensor]| schedules.iter().map(|s| s.at(&arguments[0])).collect();
        let found: Vec<f64> = call(&[words([], &[step])], rates).unwrap().into_iter().flatten().collect();
        let wanted: Vec<f64> = schedules.iter().map(|s| s.value(step.into())).collect();
        assert_close(&found, &wanted, 1e-12);
    }
    // Counts that no counter reaches are no mistake.
    let long = Schedule::cosine(0.3, 0.0, usize::MAX).warm_up(usize::MAX);
    let found = call(&[words([], &[5])], |arguments| vec![long.at(&arguments[0])]).unwrap();
    assert_close(&found[0], &[long.value(5)], 1e-12);
}

#[test]
fn numbers_out_of_range_are_refused() {
    let refused = |schedule: Schedule, wanted: &str| {
        let found = message(&schedule.at(&Tensor::from(0u32)));
        assert_eq!(found, wanted);
        assert!(schedule.value(0).is_nan());
    };
    refused(Schedule::constant(f64::NAN), "learning rate: NaN is not a positive number");
    refused(Schedule::step(0.1, 0, 0.5), "learning rate: updates between changes: 0 is too few; at least 1 is needed");
    refused(Schedule::step(0.1, 1, -0.5), "learning rate: factor: -0.5 is not a positive number");
    refused(Schedule::exponential(0.1, 0.0), "learning rate: factor: 0 is not a positive number");
    refused(Schedule::linear(0.1, -0.1, 5), "learning rate: -0.1 is negative or not a number; it must be at least 0");
    refused(Schedule::cosine(0.1, 0.0, 0), "learning rate: steps: 0 is too few; at least 1 is needed");
    refused(Schedule::one_cycle(0.1, 0), "learning rate: steps: 0 is too few; at least 1 is needed");
    refused(OneCycle::new(0.1, 5).pct_start(1.5).into(), "learning rate: pct_start: 1.5 does not lie in 0..=1");
    refused(OneCycle::new(0.1, 5).div_factor(0.0).into(), "learning rate: div_factor: 0 is not a positive number");
    refused(Schedule::constant(-1.0).warm_up(5), "learning rate: -1 is not a positive number");
    refused(Schedule::constant(1.0).warm_up(0), "learning rate: warm-up steps: 0 is too few; at least 1 is needed");
    refused(Schedule::constant(1.0).then(5, 0.0), "learning rate: 0 is not a positive number");
    assert!(message(&Schedule::constant(0.1).at(&Tensor::zeros([2]))).contains("not a scalar of u32"));
}
