// Philox 4x32-10 (Salmon et al., SC 2011), counter (index, step, stream, 0), key (seed, 0); the first word of the block.
fn noyau_mulhi(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let mid = a1 * b0 + (low >> 16u);
    let cross = a0 * b1 + (mid & 0xffffu);
    return a1 * b1 + (mid >> 16u) + (cross >> 16u);
}

fn noyau_philox_round(c: vec4<u32>, k0: u32, k1: u32) -> vec4<u32> {
    return vec4<u32>(
        noyau_mulhi(0xcd9e8d57u, c.z) ^ c.y ^ k0,
        0xcd9e8d57u * c.z,
        noyau_mulhi(0xd2511f53u, c.x) ^ c.w ^ k1,
        0xd2511f53u * c.x,
    );
}

fn noyau_philox(index: u32, step: u32, stream: u32, seed: u32) -> u32 {
    var c = vec4<u32>(index, step, stream, 0u);
    c = noyau_philox_round(c, seed, 0u);
    c = noyau_philox_round(c, seed + 0x9e3779b9u, 0xbb67ae85u);
    c = noyau_philox_round(c, seed + 0x3c6ef372u, 0x76cf5d0au);
    c = noyau_philox_round(c, seed + 0xdaa66d2bu, 0x32370b8fu);
    c = noyau_philox_round(c, seed + 0x78dde6e4u, 0xed9eba14u);
    c = noyau_philox_round(c, seed + 0x1715609du, 0xa9066899u);
    c = noyau_philox_round(c, seed + 0xb54cda56u, 0x646e171eu);
    c = noyau_philox_round(c, seed + 0x5384540fu, 0x1fd5c5a3u);
    c = noyau_philox_round(c, seed + 0xf1bbcdc8u, 0xdb3d7428u);
    c = noyau_philox_round(c, seed + 0x8ff34781u, 0x96a522adu);
    return c.x;
}
