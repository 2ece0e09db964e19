// Integer division and remainder: 0 for a divisor of 0, and no overflow for the least i32 by -1.
fn noyau_div_i32(a: i32, b: i32) -> i32 {
    let unusual = (b == 0) | ((b == -1) & (a == -2147483647 - 1));
    let q = a / select(b, 1, unusual);
    return select(q, 0, b == 0);
}

fn noyau_rem_i32(a: i32, b: i32) -> i32 {
    // A remainder by 0 or by -1 is 0 in any case. Not by %, which GL leaves open for negative operands.
    let unusual = (b == 0) | (b == -1);
    let divisor = select(b, 1, unusual);
    return select(a - a / divisor * divisor, 0, unusual);
}

fn noyau_div_u32(a: u32, b: u32) -> u32 {
    return select(a / select(b, 1u, b == 0u), 0u, b == 0u);
}

fn noyau_rem_u32(a: u32, b: u32) -> u32 {
    return select(a % select(b, 1u, b == 0u), 0u, b == 0u);
}
