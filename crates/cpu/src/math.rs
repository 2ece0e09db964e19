//! Elementary functions in f32, without branches, so that loops over them vectorise.
//!
//! Error bounds, found over dense samples of all f32 (see the tests): `exp`, `log`, `tanh`, `erf`, `expm1`, `log1p`: 2 ulp with fused multiply-add, 3 without; `sin`, `cos`,
//! `pow`, `rsqrt`: 1.5 ulp. Zeros, denormals, infinities and NaN give what IEEE 754 and C say. Functions with a `*_special` companion need the
//! standard library's version where that says so. `FMA` tells whether multiply-add is one instruction where the code will run.
//!
//! Polynomials: Cephes (Moshier) for `exp`, `log`, `tanh`; FreeBSD's msun for `sin` and `cos`; N. Juffa's (Stack Overflow 35148198) for `erf`.

/// `a * b + c`, in one instruction where there is one.
#[inline(always)]
fn mad<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `a * b + c`, in one instruction where there is one.
#[inline(always)]
fn mad64<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Horner's rule; the highest power's coefficient first.
#[inline(always)]
fn poly<const FMA: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    let mut i = 1;
    while i < N {
        sum = mad::<FMA>(sum, x, coefficients[i]);
        i += 1;
    }
    sum
}

/// `2^n` for `n` in -126..=127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Added and taken away again, it rounds to an integer, which its low bits then hold.
const ROUND: f32 = 12_582_912.0;

/// `x = n ln 2 + r` with a small `r`: gives `n`, and `exp(r) - 1`.
#[inline(always)]
fn exp_parts<const FMA: bool>(x: f32) -> (i32, f32) {
    let t = mad::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = (t.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let k = t - ROUND;
    let r = mad::<FMA>(k, -LN2_LOW, mad::<FMA>(k, -LN2_HIGH, x));
    let p = poly::<FMA, 6>(r, [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]);
    (n, mad::<FMA>(r * r, p, r))
}

#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    // Written so that a NaN stays one.
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    let (n, p) = exp_parts::<FMA>(clamp(x, -110.0, 100.0));
    // In two steps, since 2^n may be out of range where the result is not.
    let half = n >> 1;
    (p + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

#[inline(always)]
pub(crate) fn expm1<const FMA: bool>(x: f32) -> f32 {
    let (n, p) = exp_parts::<FMA>(clamp(x, -30.0, 100.0));
    let n = if n > 128 { 128 } else { n };
    let half = power_of_two(n.wrapping_sub(1));
    let y = 2.0 * mad::<FMA>(half, p, half - 0.5);
    let y = if x > 89.0 { f32::INFINITY } else { y };
    if x.abs() < 1e-7 { x } else { y }
}

/// `log(2^e (1 + f))`, `f` in -0.29..0.42, plus a small correction.
#[inline(always)]
fn log_of_parts<const FMA: bool>(e: f32, f: f32, correction: f32) -> f32 {
    let z = f * f;
    let p = poly::<FMA, 9>(
        f,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let y = mad::<FMA>(e, LN2_LOW, f * z * p) + correction;
    mad::<FMA>(e, LN2_HIGH, f + mad::<FMA>(-0.5, z, y))
}

/// A positive normal number as exponent and `mantissa - 1`, the mantissa in sqrt(1/2)..sqrt(2).
#[inline(always)]
fn log_parts(x: f32) -> (i32, f32) {
    let bits = x.to_bits();
    let e = (bits.wrapping_sub(0x3f35_04f3) as i32) >> 23;
    (e, f32::from_bits(bits.wrapping_sub((e << 23) as u32)) - 1.0)
}

#[inline(always)]
pub(crate) fn log<const FMA: bool>(x: f32) -> f32 {
    let denormal = x < f32::MIN_POSITIVE;
    let (e, f) = log_parts(if denormal { x * 8_388_608.0 } else { x });
    let e = e as f32 - if denormal { 23.0 } else { 0.0 };
    let y = log_of_parts::<FMA>(e, f, 0.0);
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

#[inline(always)]
pub(crate) fn log1p<const FMA: bool>(x: f32) -> f32 {
    let u = 1.0 + x;
    // What rounding took from u.
    let lost = if x > 1.0 { 1.0 - (u - x) } else { x - (u - 1.0) };
    let (e, f) = log_parts(u);
    let near = x > -0.29 && x < 0.41;
    let (e, f, lost) = if near { (0.0, x, 0.0) } else { (e as f32, f, lost / u) };
    let y = log_of_parts::<FMA>(e, f, lost);
    let y = if x.abs() < 1e-7 { x } else { y };
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == -1.0 { f32::NEG_INFINITY } else { y };
    if x < -1.0 { f32::NAN } else { y }
}

#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let z = x * x;
    let p = poly::<FMA, 5>(z, [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1]);
    let near = mad::<FMA>(p * z, x, x);
    let (n, e) = exp_parts::<FMA>(clamp(2.0 * x.abs(), 0.0, 40.0));
    let s = power_of_two(n);
    let far = (1.0 - 2.0 / (mad::<FMA>(s, e, s) + 1.0)).copysign(x);
    (if x.abs() < 0.625 { near } else { far }).copysign(x)
}

#[inline(always)]
pub(crate) fn erf<const FMA: bool>(x: f32) -> f32 {
    let t = clamp(x.abs(), 0.0, 10.0);
    let s = t * t;
    let r = mad::<FMA>(-1.728_534_7e-5, t, 3.831_971_3e-4);
    let u = mad::<FMA>(-3.883_964_4e-3, t, 2.425_462_2e-2);
    let r = mad::<FMA>(r, s, u);
    let r = poly::<FMA, 4>(t, [r, -1.067_778_8e-1, -6.348_467e-1, -1.287_175_1e-1]);
    let r = mad::<FMA>(r, t, -t);
    let (n, e) = exp_parts::<FMA>(clamp(r, -60.0, 0.0));
    let scale = power_of_two(n);
    let far = (1.0 - mad::<FMA>(scale, e, scale)).copysign(x);
    let p = poly::<FMA, 6>(s, [-5.967_617e-4, 4.991_194e-3, -2.676_813_5e-2, 1.128_199_3e-1, -3.761_253_4e-1, 1.283_791_7e-1]);
    let near = mad::<FMA>(p, x, x);
    if x.abs() > 0.927_734_4 { far } else { near }
}

#[inline(always)]
pub(crate) fn rsqrt(x: f32) -> f32 {
    1.0 / x.sqrt()
}

/// `x as i32`, in a way that vectorises.
#[inline(always)]
pub(crate) fn to_i32(x: f32) -> i32 {
    let inside = if (-2_147_483_648.0..2_147_483_648.0).contains(&x) { x } else { 0.0 };
    // SAFETY: in the range of i32, and no NaN.
    let y = unsafe { inside.to_int_unchecked::<i32>() };
    let y = if x >= 2_147_483_648.0 { i32::MAX } else { y };
    if x < -2_147_483_648.0 { i32::MIN } else { y }
}

/// `x as u32`, in a way that vectorises.
#[inline(always)]
pub(crate) fn to_u32(x: f32) -> u32 {
    let inside = if (0.0..4_294_967_296.0).contains(&x) { x } else { 0.0 };
    // SAFETY: in the range of u32, and no NaN.
    let y = unsafe { inside.to_int_unchecked::<u32>() };
    if x >= 4_294_967_296.0 { u32::MAX } else { y }
}

/// The nearest f16, as the f32 of the same value; ties to even. In a way that vectorises.
#[inline(always)]
pub(crate) fn to_f16(x: f32) -> f32 {
    let bits = x.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    // 13 bits less; the carry of a mantissa goes to the exponent, as it should. What then is 65536 or more is infinite, but a NaN stays one.
    let near = (magnitude + 0xfff + (magnitude >> 13 & 1)) & !0x1fff;
    let near = if near >= 0x4780_0000 { 0x7f80_0000 } else { near };
    let near = if magnitude > 0x7f80_0000 { 0x7fc0_0000 } else { near };
    // Below 2^-14 all f16 are multiples of 2^-24, which is the distance between the f32 from a half to one.
    let small = ((f32::from_bits(magnitude) + 0.5) - 0.5).to_bits();
    let result = if magnitude < 0x3880_0000 { small } else { near };
    f32::from_bits(result | bits & 0x8000_0000)
}

/// The nearest bf16, as the f32 of the same value; ties to even. In a way that vectorises.
#[inline(always)]
pub(crate) fn to_bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    let near = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    f32::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { bits & 0x8000_0000 | 0x7fc0_0000 } else { near })
}

/// The sine of `x + quadrant * pi / 2`, computed in f64.
#[inline(always)]
fn sin_shifted<const FMA: bool>(x: f32, quadrant: u32) -> f32 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = f64::from(x);
    let t = mad64::<FMA>(x, std::f64::consts::FRAC_2_PI, ROUND);
    let q = (t.to_bits() as u32).wrapping_add(quadrant);
    let k = t - ROUND;
    // The first part has 25 bits, so that its product with k is exact.
    let r = mad64::<FMA>(k, -1.589_325_477_352_819_7e-8, mad64::<FMA>(k, -1.570_796_310_901_641_8, x));
    let z = r * r;
    let s = mad64::<FMA>(z, 2.718_311_493_989_822e-6, -1.983_933_483_609_663_2e-4);
    let s = mad64::<FMA>(z, s, 8.333_329_385_889_463e-3);
    let s = mad64::<FMA>(z, s, -0.166_666_666_416_265_24);
    let sine = mad64::<FMA>(r * z, s, r);
    let c = mad64::<FMA>(z, 2.439_044_879_627_741e-5, -1.388_676_377_460_993e-3);
    let c = mad64::<FMA>(z, c, 4.166_662_332_373_906e-2);
    let c = mad64::<FMA>(z, c, -0.499_999_997_251_031);
    let cosine = mad64::<FMA>(z, c, 1.0);
    let y = (if q & 1 == 0 { sine } else { cosine }) as f32;
    f32::from_bits(y.to_bits() ^ ((q & 2) << 30))
}

#[inline(always)]
pub(crate) fn sin<const FMA: bool>(x: f32) -> f32 {
    let y = sin_shifted::<FMA>(x, 0);
    // Keeps the sign of -0.
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub(crate) fn cos<const FMA: bool>(x: f32) -> f32 {
    sin_shifted::<FMA>(x, 1)
}

/// Where the reduction to a quadrant is not exact enough.
#[inline(always)]
pub(crate) fn sin_special(x: f32) -> bool {
    x.is_nan() || x.abs() >= 1e8
}

#[inline(always)]
pub(crate) fn pow<const FMA: bool>(x: f32, y: f32) -> f32 {
    // exp2(y * log2(|x|)) in f64.
    let bits = f64::from(x.abs()).to_bits();
    let e = (bits.wrapping_sub(0x3fe6_a09e_667f_3bcd) as i64) >> 52;
    let m = f64::from_bits(bits.wrapping_sub((e << 52) as u64));
    // The exponent, converted by way of a float's low bits (AVX2 converts no 64-bit integers).
    let e = f64::from_bits((e as u64).wrapping_add(0x4338_0000_0000_0000)) - 6_755_399_441_055_744.0;
    let e = if x == 0.0 { -1e300 } else { e };
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    const C: f64 = 2.0 * std::f64::consts::LOG2_E;
    let mut p = C / 13.0;
    p = mad64::<FMA>(p, z, C / 11.0);
    p = mad64::<FMA>(p, z, C / 9.0);
    p = mad64::<FMA>(p, z, C / 7.0);
    p = mad64::<FMA>(p, z, C / 5.0);
    p = mad64::<FMA>(p, z, C / 3.0);
    p = mad64::<FMA>(p, z, C);
    let t = f64::from(y) * mad64::<FMA>(p, s, e);
    let t = if t < -300.0 { -300.0 } else { t };
    let t = if t > 300.0 { 300.0 } else { t };
    let rounded = t + 6_755_399_441_055_744.0;
    let n = rounded.to_bits().wrapping_sub(0x4338_0000_0000_0000);
    let u = (t - (rounded - 6_755_399_441_055_744.0)) * std::f64::consts::LN_2;
    let mut q = 1.0 / 362_880.0;
    q = mad64::<FMA>(q, u, 1.0 / 40_320.0);
    q = mad64::<FMA>(q, u, 1.0 / 5_040.0);
    q = mad64::<FMA>(q, u, 1.0 / 720.0);
    q = mad64::<FMA>(q, u, 1.0 / 120.0);
    q = mad64::<FMA>(q, u, 1.0 / 24.0);
    q = mad64::<FMA>(q, u, 1.0 / 6.0);
    q = mad64::<FMA>(q, u, 0.5);
    q = mad64::<FMA>(q, u, 1.0);
    q = mad64::<FMA>(q, u, 1.0);
    let result = (q * f64::from_bits(n.wrapping_add(1023) << 52)) as f32;
    // A negative base needs a whole exponent, and is negative again if that is odd.
    let (a, h) = (y.abs(), y.abs() * 0.5);
    let whole = |v: f32| v >= 8_388_608.0 || (v + 8_388_608.0) - 8_388_608.0 == v;
    let negative = if whole(h) { result } else { -result };
    let negative = if whole(a) { negative } else { f32::NAN };
    let negative = if x == 0.0 && !whole(a) { result } else { negative };
    if x.is_sign_negative() { negative } else { result }
}

/// Whether the standard library's `powf` has to decide where this is the base or the exponent.
#[inline(always)]
pub(crate) fn pow_special(x_or_y: f32) -> bool {
    !x_or_y.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units of the last place of `right` rounded to f32.
    fn ulps(got: f32, right: f64) -> f64 {
        let rounded = right as f32;
        if got.is_nan() || rounded.is_nan() {
            return if got.is_nan() && rounded.is_nan() { 0.0 } else { f64::INFINITY };
        }
        if rounded.is_infinite() || got.is_infinite() {
            // Overflow may come a last place early or late.
            let near = |v: f32| v.abs() >= 3.402_823e38;
            return if got == rounded || near(got) && near(rounded) && got.signum() == rounded.signum() { 0.0 } else { f64::INFINITY };
        }
        let a = rounded.abs().max(f32::MIN_POSITIVE);
        let ulp = f64::from(f32::from_bits(a.to_bits() + 1)) - f64::from(a);
        (f64::from(got) - right).abs() / ulp
    }

    fn samples() -> Vec<f32> {
        let mut all: Vec<f32> = (0..=u32::MAX / 4099).map(|i| f32::from_bits(i * 4099)).collect();
        let edges = [
            0.0,
            f32::MIN_POSITIVE,
            1e-45,
            1e-40,
            f32::INFINITY,
            f32::NAN,
            88.0,
            88.72283,
            88.8,
            89.5,
            103.9,
            104.5,
            1e30,
            f32::MAX,
            1.0,
            0.5,
            0.625,
            0.927_734_4,
        ];
        for edge in edges {
            all.extend([edge, -edge]);
        }
        all.extend((-200_000..200_000).map(|i| i as f32 * 1e-3 + 1e-5));
        all.extend((-40_000..40_000).map(|i| i as f32 * 5e-5));
        all
    }

    fn worst(f: impl Fn(f32) -> f32, right: impl Fn(f64) -> f64) -> (f64, f32) {
        samples().into_iter().map(|x| (ulps(f(x), right(x.into())), x)).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
    }

    macro_rules! bounded {
        ($name:ident, $bound:expr, $plain:expr, $right:expr) => {
            #[test]
            fn $name() {
                let with = worst(super::$name::<true>, $right);
                assert!(with.0 <= $bound, "with multiply-add: {with:?}");
                let without = worst(super::$name::<false>, $right);
                assert!(without.0 <= $plain, "without multiply-add: {without:?}");
                assert_eq!(super::$name::<true>(-0.0).to_bits(), ($right(-0.0) as f32).to_bits());
            }
        };
    }

    bounded!(exp, 2.0, 3.0, f64::exp);
    bounded!(expm1, 2.0, 3.0, f64::exp_m1);
    bounded!(log, 2.0, 3.0, f64::ln);
    bounded!(log1p, 2.0, 3.0, f64::ln_1p);
    bounded!(tanh, 2.0, 3.0, f64::tanh);
    bounded!(erf, 2.0, 3.0, libm::erf);

    #[test]
    fn sine_and_cosine() {
        let or_std = |f: fn(f32) -> f32, std: fn(f32) -> f32| move |x: f32| if sin_special(x) { std(x) } else { f(x) };
        assert!(worst(or_std(sin::<true>, f32::sin), f64::sin).0 <= 1.0);
        assert!(worst(or_std(sin::<false>, f32::sin), f64::sin).0 <= 1.0);
        assert!(worst(or_std(cos::<true>, f32::cos), f64::cos).0 <= 1.0);
        assert_eq!(sin::<true>(-0.0).to_bits(), (-0f32).to_bits());
    }

    #[test]
    fn powers() {
        // Powers of signalling NaN are nobody's business.
        let xs: Vec<f32> = samples()
            .into_iter()
            .filter(|x| !x.is_nan())
            .step_by(997)
            .chain([0.0, -0.0, 1.0, -1.0, -2.0, -0.5, 1.000_001, f32::NAN])
            .collect();
        let ys = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            2.0,
            3.0,
            -3.0,
            0.5,
            -0.5,
            1.7,
            100.5,
            -77.0,
            1e10,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            16_777_215.0,
            8_388_607.5,
        ];
        for x in xs {
            for y in ys {
                let got = if pow_special(x) || pow_special(y) { x.powf(y) } else { pow::<true>(x, y) };
                let error = ulps(got, f64::from(x).powf(y.into()));
                assert!(error <= 1.0, "pow({x:?}, {y:?}) = {got:?}, off by {error} ulp");
            }
        }
    }

    #[test]
    fn conversions() {
        for x in samples() {
            assert_eq!((to_i32(x), to_u32(x)), (x as i32, x as u32), "{x:?}");
        }
    }

    /// Every f16 and bf16, the middle to the next one, and the f32 on either side of both.
    #[test]
    fn halves() {
        let of16 = |bits: u16| noyau_tensor::f16::from_bits(bits).to_f32();
        let of_bf16 = |bits: u16| noyau_tensor::bf16::from_bits(bits).to_f32();
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        for bits in 0..=u16::MAX {
            for half in [of16(bits), of_bf16(bits)] {
                for middle in [half, (half + of16(bits.wrapping_add(1))) / 2.0, (half + of_bf16(bits.wrapping_add(1))) / 2.0] {
                    for x in [middle.next_down(), middle, middle.next_up()] {
                        assert!(same(to_f16(x), noyau_tensor::f16::from_f32(x).to_f32()), "{x:?} to f16 is not {:?}", to_f16(x));
                        assert!(same(to_bf16(x), noyau_tensor::bf16::from_f32(x).to_f32()), "{x:?} to bf16 is not {:?}", to_bf16(x));
                    }
                }
            }
        }
    }

    #[test]
    fn reciprocal_root() {
        let (error, x) = worst(rsqrt, |x| 1.0 / x.sqrt());
        assert!(error <= 1.5, "rsqrt({x:?}) is off by {error} ulp");
    }
}
