//! The first neuron: a weight, a loss, a slope, and what to do with it; then the oldest neuron, and what it cannot do.
//!
//!     cargo run --release --example neuron

#[path = "common/mod.rs"]
mod common;

use std::process::ExitCode;

use clap::Parser;
use noyau::nn::activation::step;
use noyau::prelude::*;

/// Teaches a neuron with one weight to double numbers, step by step, and shows what a neuron without training can and cannot compute.
#[derive(Parser)]
#[command(name = "neuron")]
struct Options {
    /// Where to compute: auto, cpu, gpu (the best one) or gpu:N (the example `devices` lists the numbers)
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
}

fn main() -> ExitCode {
    common::start(run)
}

fn run(options: Options) -> anyhow::Result<()> {
    let session = Session::new(Device::choose(options.device)?);
    say!("(computed on {})\n", session.device().adapter());
    learning(&session)?;
    logic(&session)
}

/// A neuron without bias and activation: what it gives for x is w * x.
fn learning(session: &Session) -> anyhow::Result<()> {
    let (xs, ys) = ([0.0f32, 1.0, 2.0, 3.0, 4.0], [0.0f32, 2.0, 4.0, 6.0, 8.0]);
    let w = Param::scalar("w", 3.0);
    let (x, y) = (Tensor::from(xs), Tensor::from(ys));
    let output = &w * &x;
    // Nothing is computed yet: `loss` is an expression, and so is `gradient`, which noyau derives from it.
    let loss = (&output - &y).square().sum();
    let gradient = &grad(&loss, &[&w])[0];

    say!("1. A neuron with one weight\n");
    say!(
        "The neuron multiplies its input x by its weight w. It should learn y = 2 x from five examples; its weight is 3, which is wrong:\n"
    );
    say!("{:>6} {:>8} {:>8} {:>8} {:>8}", "x", "wanted", "w * x", "error", "squared");
    for ((x, y), output) in xs.iter().zip(ys).zip(session.eval(&output)?.to_vec::<f32>()?) {
        say!("{x:>6} {y:>8} {output:>8} {:>8} {:>8}", output - y, (output - y).powi(2));
    }
    say!("\nThe sum of the squared errors is the loss: {}. Learning means: find the w that makes it small.", session.eval(&loss)?.item());

    // Compiled once, run for any w: the weight is a state that lives in the session.
    let mut loss_now = session.compile([], |[]| Step::returns(&loss))?;
    let mut loss_at = |value: f32| -> noyau::Result<f32> {
        session.set(&w, &Array::scalar(value))?;
        loss_now.run(&[])?[0].try_item()
    };
    say!("\nThe loss for other weights is a parabola; its lowest point is where the neuron is right:\n");
    for i in -2..=12 {
        let value = i as f32 * 0.5;
        let loss = loss_at(value)?;
        say!("  w {value:>4.1}  loss {loss:>6.1}  {}", "#".repeat((loss / 7.5).round() as usize));
    }

    say!("\n2. The slope\n");
    say!(
        "Which way is down? Move w a little and look how the loss changes: at w = 3 it is {:.3}, at w = 3.0001 it is {:.3}.",
        loss_at(3.0)?,
        loss_at(3.0001)?
    );
    say!("The change of the loss divided by the change of w is the slope:\n");
    say!("  {:>8} {:>14} {:>10}", "d", "loss(3 + d)", "slope");
    let at_3 = loss_at(3.0)?;
    for d in [1.0f32, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001] {
        let moved = loss_at(3.0 + d)?;
        say!("  {d:>8} {moved:>14.6} {:>10.4}", (f64::from(moved) - f64::from(at_3)) / f64::from(d));
    }
    session.set(&w, &Array::scalar(3.0f32))?;
    say!(
        "\nA large d cuts across the bend of the parabola (the slope is 60 + 30 d); a tiny d drowns in rounding, for the device's numbers (f32)"
    );
    say!("have about seven digits and the two losses agree in nearly all of them.");
    say!("The derivative needs no d at all. noyau's grad gives, exactly: {}", session.eval(gradient)?.item());
    // gradcheck computes in f64 and looks to both sides, so that its d can be small.
    let check = gradcheck(&loss, &[&w], 1e-4, 1e-6)?;
    for GradCheck { slope, .. } in check {
        say!("As a check, the slope once more with twice the digits (f64), from w - 0.0001 to w + 0.0001: {slope:.6}");
    }

    say!("\n3. Gradient descent\n");
    say!("The slope points up, so go the other way: w becomes w - rate * slope, again and again.\n");
    descend(session, &w, &loss, gradient, 0.01, 12)?;
    say!("\nAt a rate of 0.01 each step leaves 0.4 of the distance to w = 2 (the slope is 60 times that distance: 1 - 0.01 * 60 = 0.4).");
    say!(
        "A rate of 0.04 is too much: 1 - 0.04 * 60 = -1.4, so each step lands on the other side, farther away than before. It diverges:\n"
    );
    descend(session, &w, &loss, gradient, 0.04, 8)?;
    say!("\nRates below 2 / 60 = 0.0333 converge here, higher ones diverge. For a large network nobody knows that bound: one tries.");
    Ok(())
}

/// `steps` steps of gradient descent from w = 3.
fn descend(session: &Session, w: &Param, loss: &Tensor, gradient: &Tensor, rate: f32, steps: usize) -> anyhow::Result<()> {
    session.set(w, &Array::scalar(3.0f32))?;
    // One step returns w, loss and slope as they are, and then updates w: that is a whole training step, compiled once.
    let mut step = session
        .compile([], |[]| Step::returns(w).and_returns(loss).and_returns(gradient).updates([(w.clone(), w.tensor() - gradient * rate)]))?;
    say!("  {:>4} {:>10} {:>12} {:>10}", "step", "w", "loss", "slope");
    for number in 0..=steps {
        let now = step.run(&[])?;
        say!("  {number:>4} {:>10.5} {:>12.5} {:>10.4}", now[0].item(), now[1].item(), now[2].item());
    }
    Ok(())
}

/// McCulloch and Pitts' neuron of 1943: it fires (1) when the weighted sum of its inputs and its bias is at least 0, else it does not (0).
fn logic(session: &Session) -> anyhow::Result<()> {
    say!("\n4. The neuron of McCulloch and Pitts (1943)\n");
    say!("It fires (1) when w1 * x1 + w2 * x2 + b >= 0, else not (0). Weights set by hand make it compute AND and OR:\n");
    let inputs = Tensor::from([[0.0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let neuron = |inputs: &Tensor, w1: f32, w2: f32, b: f32| step(&(inputs.matmul(&Tensor::new(&[w1, w2], [2, 1])) + b));
    let and = session.eval(&neuron(&inputs, 1.0, 1.0, -1.5))?.to_vec::<f32>()?;
    let or = session.eval(&neuron(&inputs, 1.0, 1.0, -0.5))?.to_vec::<f32>()?;
    // Two layers: x1 OR x2, but not x1 AND x2.
    let hidden = concat(&[&neuron(&inputs, 1.0, 1.0, -0.5), &neuron(&inputs, -1.0, -1.0, 1.5)], 1);
    let two_layers = session.eval(&neuron(&hidden, 1.0, 1.0, -1.5))?.to_vec::<f32>()?;
    say!("  x1 x2   AND: w = (1, 1), b = -1.5   OR: w = (1, 1), b = -0.5");
    for (row, (and, or)) in and.iter().zip(&or).enumerate() {
        say!("   {}  {}   {and:>13}   {or:>25}", row / 2, row % 2);
    }

    // Every w1, w2 and b from -2 to 2 in steps of a quarter: one row of `neurons` each, all tried on all four inputs at once.
    let grid: Vec<f32> = (-8..=8).map(|i| i as f32 / 4.0).collect();
    let mut neurons = Vec::new();
    for &w1 in &grid {
        for &w2 in &grid {
            for &b in &grid {
                neurons.extend([w1, w2, b]);
            }
        }
    }
    let count = neurons.len() / 3;
    let neurons = Tensor::new(&neurons, [count, 3]);
    let outputs = step(&(neurons.slice(1, ..2).matmul(&inputs.t()) + neurons.slice(1, 2..)));
    say!("\nCan it compute XOR, one or the other but not both? Try {count} neurons (w1, w2 and b from -2 to 2) and count right answers:\n");
    for (name, wanted) in [("AND", [0.0f32, 0.0, 0.0, 1.0]), ("OR", [0.0, 1.0, 1.0, 1.0]), ("XOR", [0.0, 1.0, 1.0, 0.0])] {
        let right = outputs.eq(Tensor::from(wanted)).to(DType::F32).sum_axes(&[1]);
        let right = session.eval(&right)?.to_vec::<f32>()?;
        let best = right.iter().copied().fold(0.0, f32::max);
        say!("  {name:<4} the best has {best} of 4 right; {:>4} neurons do", right.iter().filter(|&&r| r == best).count());
    }
    say!(
        "\nNo neuron gets XOR right: a neuron parts the plane by a straight line, and no line has (0,1) and (1,0) on one side and (0,0) and"
    );
    say!("(1,1) on the other. Proof: w1 + b >= 0 and w2 + b >= 0 and b < 0 give w1 + w2 + b >= -b > 0, so it fires for (1,1) too.");
    say!("Two layers do it: OR and NOT AND, joined by AND:\n");
    say!("  x1 x2   XOR");
    for (row, xor) in two_layers.iter().enumerate() {
        say!("   {}  {}   {xor:>3}", row / 2, row % 2);
    }
    say!(
        "\nA step has no slope, so such neurons cannot learn by descent. Smooth activations can: see the example `points` with --data xor."
    );
    Ok(())
}
