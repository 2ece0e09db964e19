//! Numbers on the command line: what is no such number is told what would be one.

/// A whole number that is at least 0.
pub fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("a whole number from 0 on is needed, such as 5, not `{text}`"))
}

/// A whole number that is at least 1.
pub fn some(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("a whole number from 1 on is needed, such as 100, not `{text}`"))
}

/// Where random numbers come from.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}, not `{text}`", u64::MAX))
}

/// A learning rate.
pub fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|&rate| rate > 0.0 && rate.is_finite())
        .ok_or_else(|| format!("a learning rate is a positive number, such as 0.01, not `{text}`"))
}
