//! Resuming with all that wraps an optimizer or changes a training on its way, all of which has states of its own.

use noyau::data::Rng;
use noyau::prelude::*;
use noyau::train::Threshold;

use crate::small::{devices, three_classes};
use crate::{EPOCHS, STEPS, fit, goes_on_from_anywhere};

/// Running statistics and random numbers.
fn model() -> Sequential {
    Sequential::new().then(Flatten).then(Linear::new(6, 8)).then(BatchNorm1d::new(8)).then(Tanh).then(Dropout(0.2)).then(Linear::new(8, 3))
}

fn rate() -> Schedule {
    Schedule::cosine(0.05, 0.001, 20)
}

type Make = fn() -> Box<dyn Optimizer>;

/// An optimizer that is wrapped is one, so that wrappers of boxes are not needed.
const WRAPPED: [(&str, Make); 3] = [
    ("averages of accumulated steps", || Box::new(Ema::new(Accumulate::new(AdamW::new(rate()).clip_norm(0.5), 4), 0.9).warm_up(0.7))),
    ("accumulated steps that are averaged within", || Box::new(Accumulate::new(Ema::new(Sgd::new(rate()).momentum(0.9), 0.8), 5))),
    ("averages", || Box::new(Ema::new(RmsProp::new(rate()), 0.9))),
];

#[test]
fn wrapped_optimizers_in_every_precision_go_on_to_the_same_bits() {
    let data: &'static Dataset = Box::leak(Box::new(three_classes()));
    let mut rng = Rng::new(23);
    for device in devices() {
        for (i, (called, optimizer)) in WRAPPED.into_iter().enumerate() {
            let precision = [DType::F16, DType::BF16, DType::F32][i];
            // A scale that is too large at first, and soon doubled again: some steps are left out.
            let scaler = || LossScaler::new().initial(16_777_216.0).growth_interval(3);
            let make = || {
                let trainer = Trainer::new(device.clone(), model()).optimizer(optimizer()).seed(7);
                trainer.precision(precision).loss_scaler(scaler())
            };
            let what = format!("{device:?}, {called}, {precision}");
            goes_on_from_anywhere(&what, &mut rng, &make, &|| fit(EPOCHS).validate(data).resident(i % 2 == 0));
        }
    }
}

#[test]
fn a_rate_that_falls_on_plateaus_and_an_early_stop_go_on_to_the_same_bits() {
    let data: &'static Dataset = Box::leak(Box::new(three_classes()));
    let mut rng = Rng::new(29);
    for device in devices() {
        let (called, optimizer) = WRAPPED[0];
        for precision in [DType::F32, DType::F16] {
            let make = || Trainer::new(device.clone(), model()).optimizer(optimizer()).seed(7).precision(precision);
            let fit = || {
                let plateau = ReduceLrOnPlateau::new("train_loss").patience(1).factor(0.5).threshold(Threshold::Absolute(0.2));
                let early = EarlyStopping::new("test_loss").patience(4).min_delta(0.15).restore_best(true);
                fit(40).validate(data).callback(plateau).callback(early)
            };
            let what = format!("{device:?}, {called}, {precision}, callbacks");
            let steps = goes_on_from_anywhere(&what, &mut rng, &make, &fit);
            assert!(steps > 3 * STEPS && steps < 40 * STEPS, "{what}: it ended after {steps} steps");
        }
    }
}

#[test]
fn the_best_weights_come_back_with_their_averages() {
    let data = three_classes();
    for device in devices() {
        let mut trainer = Trainer::new(device.clone(), model()).optimizer(Ema::new(Adam::new(0.02), 0.8)).seed(7);
        let mut early = EarlyStopping::new("test_loss").patience(3).min_delta(0.2).restore_best(true);
        let history = trainer.fit(&data, fit(40).validate(&data).callback(&mut early)).unwrap();
        assert!(history.stopped.is_some(), "{device:?}: {history:?}");
        // Validation sees averages; so must what is kept of the best epoch.
        let best = early.best().map(|(_, loss)| loss);
        assert_eq!(Some(trainer.evaluate(&data).unwrap().loss), best, "{device:?}");
        assert_ne!(history.last().and_then(|epoch| epoch.test_loss), best, "{device:?}: later epochs were others");
    }
}
