//! Results are checked before they are timed: a rate of wrong results is worth nothing.

use anyhow::{Context, bail, ensure};
use noyau::prelude::*;

use crate::kernels::{Kernel, Loaded};

/// What a kernel's result is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The CPU's; on the CPU itself only whether all is finite.
    AsCpu,
    /// Some elements of a product of matrices, computed in f64.
    Product {
        /// Which operands are stored transposed.
        transposed: [bool; 2],
    },
    /// So many ones.
    Sum(usize),
    /// gelu(1.5 x + 0.5) in f64.
    Gelu,
    /// Some rows in f64.
    Softmax,
    /// Some rows in f64.
    LayerNorm,
}

/// Runs a kernel once and checks what it gives.
pub fn check(kernel: &Kernel, loaded: &mut Loaded, device: &Device) -> anyhow::Result<()> {
    try_check(kernel, loaded, device).with_context(|| format!("{}: its result is not to be timed", kernel.name))
}

fn try_check(kernel: &Kernel, loaded: &mut Loaded, device: &Device) -> anyhow::Result<()> {
    loaded.run(1)?;
    let results = loaded.results()?;
    for (i, result) in results.iter().enumerate() {
        let values = result.to_f64();
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            bail!("element {at} of result {i} is {}", values[at]);
        }
    }
    if kernel.check == Check::AsCpu {
        if device.is_cpu() {
            return Ok(());
        }
        let mut reference = kernel.load(&Device::cpu())?;
        reference.run(1)?;
        for (i, (result, wanted)) in results.iter().zip(reference.results()?).enumerate() {
            agree(&result.to_f64(), &wanted.to_f64(), 1e-3).with_context(|| format!("result {i} beside the CPU's"))?;
        }
        return Ok(());
    }
    let result = results.first().context("there is no result")?.to_f64();
    let operands = kernel.values()?;
    let values = |i: usize| operands.get(i).map(Array::to_f64).with_context(|| format!("there is no operand {i}"));
    match kernel.check {
        Check::AsCpu => Ok(()),
        Check::Product { transposed } => {
            let (a, b) = (operands.first().context("no operand")?, operands.get(1).context("no second operand")?);
            product([a, b], transposed, &result, kernel.half)
        }
        Check::Sum(count) => {
            ensure!(result == [count as f64], "the sum of {count} ones is {result:?}");
            Ok(())
        }
        Check::Gelu => {
            let x = values(0)?;
            let exact = |x: &f64| {
                let y = 1.5 * x + 0.5;
                0.5 * y * (1.0 + libm::erf(y * std::f64::consts::FRAC_1_SQRT_2))
            };
            let some: Vec<usize> = samples(x.len()).collect();
            agree(&pick(&result, &some), &some.iter().map(|&i| exact(&x[i])).collect::<Vec<_>>(), 1e-4)
        }
        Check::Softmax => in_rows(&operands[0], &result, |row, _| {
            let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exp: Vec<f64> = row.iter().map(|v| (v - max).exp()).collect();
            let sum: f64 = exp.iter().sum();
            exp.iter().map(|v| v / sum).collect()
        }),
        Check::LayerNorm => {
            let (scale, shift) = (values(1)?, values(2)?);
            in_rows(&operands[0], &result, |row, columns| {
                let mean = row.iter().sum::<f64>() / columns as f64;
                let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / columns as f64;
                let by = 1.0 / (variance + 1e-5).sqrt();
                row.iter().enumerate().map(|(i, v)| (v - mean) * by * scale[i] + shift[i]).collect()
            })
        }
    }
}

/// Some dozens of places below `count`, the first and the last among them.
fn samples(count: usize) -> impl Iterator<Item = usize> {
    let step = (count / 61).max(1) | 1;
    (0..count).step_by(step).chain(count.checked_sub(1))
}

fn pick(values: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().map(|&i| values.get(i).copied().unwrap_or(f64::NAN)).collect()
}

/// Whether values agree: each to a share of itself and of the root mean square of all.
fn agree(values: &[f64], wanted: &[f64], tolerance: f64) -> anyhow::Result<()> {
    ensure!(values.len() == wanted.len(), "there are {} values, not {}", values.len(), wanted.len());
    let mean = (wanted.iter().map(|v| v * v).sum::<f64>() / wanted.len().max(1) as f64).sqrt();
    for (i, (value, wanted)) in values.iter().zip(wanted).enumerate() {
        // Written so that NaN fails.
        let near = (value - wanted).abs() <= tolerance * (wanted.abs() + mean);
        ensure!(near, "element {i} is {value}, it should be {wanted}");
    }
    Ok(())
}

fn product([a, b]: [&Array; 2], transposed: [bool; 2], result: &[f64], half: bool) -> anyhow::Result<()> {
    let shape = |x: &Array, transposed: bool| match (&x.shape()[..], transposed) {
        (&[rows, columns], false) => Ok([rows, columns]),
        (&[rows, columns], true) => Ok([columns, rows]),
        _ => bail!("{} is no matrix", x.shape()),
    };
    let ([m, k], [_, n]) = (shape(a, transposed[0])?, shape(b, transposed[1])?);
    let (a, b) = (a.to_f64(), b.to_f64());
    let (mut values, mut wanted) = (Vec::new(), Vec::new());
    for at in samples(m * n) {
        let (i, j) = (at / n, at % n);
        let left = |l: usize| if transposed[0] { a[l * m + i] } else { a[i * k + l] };
        let right = |l: usize| if transposed[1] { b[j * k + l] } else { b[l * n + j] };
        wanted.push((0..k).map(|l| left(l) * right(l)).sum());
        values.push(result.get(at).copied().unwrap_or(f64::NAN));
    }
    // A result of f16 is rounded to 11 bits.
    agree(&values, &wanted, if half { 2e-3 } else { 1e-4 })
}

/// Checks some rows of a result against what `exact` makes of the operand's.
fn in_rows(x: &Array, result: &[f64], exact: impl Fn(&[f64], usize) -> Vec<f64>) -> anyhow::Result<()> {
    let &[rows, columns] = &x.shape()[..] else { bail!("{} is no matrix", x.shape()) };
    let x = x.to_f64();
    for row in [0, rows / 3, rows / 2, rows - 1] {
        let range = row * columns..(row + 1) * columns;
        agree(result.get(range.clone()).unwrap_or_default(), &exact(&x[range], columns), 1e-4).with_context(|| format!("row {row}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Fill, Operand};

    fn failure(kernel: &Kernel) -> String {
        let device = Device::cpu();
        let mut loaded = kernel.load(&device).unwrap();
        format!("{:#}", check(kernel, &mut loaded, &device).unwrap_err())
    }

    #[test]
    fn right_results_pass() {
        let device = Device::cpu();
        for kernel in [
            crate::kernels::product(33, 17, 65, "nn", false),
            crate::kernels::product(33, 17, 65, "tt", false),
            crate::kernels::product(16, 17, 32, "nt", true),
            crate::kernels::sum(1 << 14),
            crate::kernels::activation(1 << 12),
            crate::kernels::softmax([7, 33]),
            crate::kernels::layer_norm([7, 33]),
        ] {
            check(&kernel, &mut kernel.load(&device).unwrap(), &device).unwrap();
        }
    }

    #[test]
    fn wrong_results_do_not() {
        let x = || vec![Operand::new(&[8, 8], Fill::Noise); 2];
        let wrong = |check, expression: fn(&[Param]) -> Step| Kernel::new("wrong", "", x(), expression).checked(check);
        let message = failure(&wrong(Check::Product { transposed: [false; 2] }, |x| Step::returns(&(x[0].matmul(&x[1]) * 1.01))));
        assert!(message.starts_with("wrong: its result is not to be timed: element "), "{message}");
        let message = failure(&wrong(Check::Product { transposed: [true, false] }, |x| Step::returns(&x[0].matmul(&x[1]))));
        assert!(message.contains("it should be"), "{message}");
        let message = failure(&wrong(Check::Sum(64), |x| Step::returns(&(x[0].tensor() * 0.0 + 1.0).slice(0, ..7).sum())));
        assert!(message.contains("the sum of 64 ones is [56.0]"), "{message}");
        failure(&wrong(Check::Gelu, |x| Step::returns(&noyau::nn::activation::gelu_tanh(&(x[0].tensor() * 1.5 + 0.4)))));
        let message = failure(&wrong(Check::Softmax, |x| Step::returns(&x[0].softmax(0))));
        assert!(message.contains("row 0"), "{message}");
        let message = failure(&wrong(Check::AsCpu, |x| Step::returns(&x[0].log().sqrt())));
        assert!(message.contains("of result 0 is NaN"), "{message}");
    }
}
