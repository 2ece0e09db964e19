//! What the playground has to keep up for any address, and any table that a visitor brings. `crates/playground/tests/regressions.rs` runs it too.

use noyau_playground::Setup;
use noyau_playground::cloud::{Cloud, Own};

/// The first byte says what the others are: an address, or a table of one's own points. True when nothing in it is refused.
pub fn playground(bytes: &[u8]) -> bool {
    let Some((&options, content)) = bytes.split_first() else { return false };
    let Ok(text) = std::str::from_utf8(content) else { return false };
    if options & 1 == 0 { address(text) } else { table(text) }
}

fn address(text: &str) -> bool {
    let (setup, faults) = Setup::from_address(text);
    let longest = 2000 + 8 * text.len();
    assert!(faults.iter().all(|fault| !fault.is_empty() && fault.len() < longest), "{faults:?}");
    within(&setup);
    // What is shared is what was opened.
    let shared = setup.address();
    let (again, none) = Setup::from_address(&shared);
    assert!(none.is_empty(), "{shared}: {none:?}");
    assert_eq!(again.address(), shared);
    let cloud = match Cloud::new(&setup) {
        Ok(cloud) => cloud,
        // One point of one's own cannot be parted; the page says so.
        Err(error) => {
            assert!(setup.own.points().len() < 2, "{error}");
            return false;
        }
    };
    assert!(cloud.points.iter().all(|point| point.x.iter().chain([&point.label]).all(|v| v.is_finite())));
    faults.is_empty()
}

/// Every choice is one that the page could make.
fn within(setup: &Setup) {
    assert!(setup.layers.len() <= Setup::MOST_LAYERS && !setup.features.is_empty());
    assert!(setup.layers.iter().all(|layer| (1..=Setup::MOST_NEURONS).contains(&layer.neurons)));
    assert!((1..=Setup::MOST_BATCH).contains(&setup.batch) && (2..=Setup::MOST_CLASSES).contains(&setup.classes));
    assert!(setup.noise <= 50 && (10..=90).contains(&setup.train_share) && setup.steps <= Setup::MOST_STEPS);
    for rate in [setup.rate, setup.penalty_rate].into_iter().chain(setup.changes.iter().map(|change| change.value)) {
        assert!((0.0..=Setup::MOST_RATE).contains(&rate), "{rate}");
    }
    assert!(setup.edits.iter().all(|edit| edit.value.is_finite()));
    assert!(setup.own.points().len() <= Own::MOST_POINTS);
}

fn table(text: &str) -> bool {
    match Own::from_csv(text) {
        Ok(own) => {
            assert!(!own.is_empty() && own.points().len() <= Own::MOST_POINTS);
            assert!(own.points().iter().all(|p| p.x.iter().all(|v| v.abs() <= 6.0) && p.label.is_finite()));
            // An address is enough to share the points.
            assert_eq!(Own::from_address(&own.address()).expect("an address of ours").points(), own.points());
            true
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() < 2000 + 2 * text.len(), "{message}");
            false
        }
    }
}
