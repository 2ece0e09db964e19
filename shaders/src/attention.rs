//! [`Attention`] kernels: scores, exponentials and sums of some rows at a time, none of them ever in storage.
//!
//! Three kinds of phases, of one pattern: each invocation (or a few that share the features) *owns* a row and keeps its features and sums in registers,
//! and *walks* over the rows of the other side. Forward, queries walk over keys and values, scaling what was added up where a greater score comes; the queries'
//! gradient does so with the weights made anew; keys' and values' gradients are owned by keys, which walk over queries. No atomics: the same bits each time.
//!
//! On hardware the walked rows come through workgroup memory, tile by tile, where all invocations read the same address at a time. On software
//! adapters, for which that is a detour, an invocation owns several rows and reads storage.
//!
//! Source: Dao, "FlashAttention-2", 2023, parallel over rows of queries forward and of keys backward.

mod print;

use noyau_compile::plan::{Attention, AttentionWork, BufferId, Matrix};
use noyau_tensor::{Error, Result};

use self::print::{Side, Sums};
use crate::{Layout, Phase};

/// How attention is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heads {
    /// An invocation owns `rows` rows, and reads all others straight from storage.
    Rows {
        /// Rows of an invocation.
        rows: u32,
    },
    /// A workgroup of `group` invocations, `lanes` to a row, walks over the others in tiles of `tile` rows in workgroup memory.
    Tiles {
        /// How many invocations share a row's features.
        lanes: u32,
        /// Rows of a tile, a multiple of 4.
        tile: u32,
        /// Invocations of a workgroup, a multiple of `lanes`.
        group: u32,
    },
}

/// The buffers that are read four features at a time, and best bound so.
pub fn vec4_operands(kernel: &Attention) -> Vec<BufferId> {
    let g = match &kernel.work {
        AttentionWork::Forward { .. } => None,
        AttentionWork::Backward { g, .. } => Some((g, kernel.e)),
    };
    let all = [(&kernel.q, kernel.d), (&kernel.k, kernel.d), (&kernel.v, kernel.e)];
    all.into_iter().chain(g).filter(|(matrix, features)| in_fours(matrix, *features)).map(|(matrix, _)| matrix.buffer).collect()
}

/// Whether a row's features can be read four at a time: they are neighbours, and every row begins at a multiple of 4.
fn in_fours(matrix: &Matrix, features: usize) -> bool {
    let Some(strides) = matrix.strides() else { return false };
    let fours = |n: usize| n.is_multiple_of(4);
    features.is_multiple_of(4)
        && strides.column == 1
        && fours(strides.offset)
        && fours(strides.row)
        && matrix.batch.iter().all(|digit| digit.stride % 4 == 0)
}

/// The code of attention, as functions `k<id>_<part>`: one phase forward, backward one for the queries' gradient and one for those of keys and values.
pub fn attention(id: usize, name: &str, kernel: &Attention, layout: &Layout, heads: Heads) -> Result<Vec<Phase>> {
    check(kernel)?;
    let a = kernel;
    let side = |name: &'static str, matrix, features| Side { name, matrix, features };
    let (q, k, v) = (side("q", &a.q, a.d), side("k", &a.k, a.d), side("v", &a.v, a.e));
    let phase = |part: usize, own: Vec<Side>, walked: Vec<Side>, sums: Sums| {
        print::phase(&format!("k{id}_{part}"), name, a, layout, heads, own, walked, sums)
    };
    Ok(match &a.work {
        AttentionWork::Forward { out, lse } => vec![phase(0, vec![q], vec![k, v], Sums::Means { out: *out, lse: *lse })?],
        AttentionWork::Backward { g, lse, delta, dq, dk, dv } => {
            let g = side("g", g, a.e);
            let rows = (*lse, *delta);
            let mut phases = Vec::new();
            if let Some(dq) = *dq {
                phases.push(phase(0, vec![q.clone(), g.clone()], vec![k.clone(), v.clone()], Sums::Queries { rows, dq })?);
            }
            if dk.is_some() || dv.is_some() {
                phases.push(phase(1, vec![k, v], vec![q, g], Sums::Keys { rows, dk: *dk, dv: *dv })?);
            }
            phases
        }
    })
}

/// Refuses operands whose places do not fit 32 bits.
fn check(a: &Attention) -> Result<()> {
    let reach = |m: &&Matrix| m.reach().map_or(0, |(_, most)| most.unsigned_abs());
    let most = a.matrices().iter().map(reach).max().unwrap_or(0);
    let results = a.batch as u128 * a.n.max(a.m) as u128 * a.d.max(a.e) as u128;
    if most.max(results) > u128::from(u32::MAX) {
        let Attention { batch, n, m, d, e, .. } = *a;
        return Err(Error::argument(
            "attention",
            format!("[{batch}, {n}, {d}] to [{batch}, {m}, {e}] reaches place {}, beyond the GPU's 32-bit indices", most.max(results)),
        ));
    }
    Ok(())
}
