//! Layers with a router: each token goes through the few experts that have the largest share of it.
//!
//! The tokens of a step are sorted by expert, so that an expert's weights are read once a chunk, and
//! only those of experts that have a token.  An expert's tokens are multiplied together, as the
//! tokens of a chunk are in a dense layer; a token's result does not depend on its neighbours.

use crate::buffer::Buffer;
use crate::error::Result;
use crate::model::{Layer, Network, Router};
use crate::pool::Worker;
use crate::stage::{Place, Product};
use crate::step::{Step, down_span};

/// Columns of the experts' sum that a thread takes at a time.
const SPAN: usize = 64;

/// One row for each expert of each token, in the order of experts, then tokens.
pub(crate) struct Order {
    /// Expert `e` has the rows `starts[e] .. starts[e + 1]`.
    starts: Buffer<u32>,
    /// Of each row.
    tokens: Buffer<u32>,
    experts: Buffer<u32>,
    /// The row of each `[token, place among its experts]`.
    rows: Buffer<u32>,
}

impl Order {
    /// Room for up to `tokens` tokens of any layer.
    pub fn new(network: &Network, tokens: usize) -> Result<Self> {
        let routers = || network.layers.iter().filter_map(|layer| Some((layer, layer.router.as_ref()?)));
        let rows = tokens * routers().map(|(_, router)| router.active).max().unwrap_or(0);
        let experts = routers().map(|(layer, _)| layer.experts.len()).max().unwrap_or(0);
        Ok(Self {
            starts: Buffer::zeroed(experts + 1)?,
            tokens: Buffer::zeroed(rows)?,
            experts: Buffer::zeroed(rows)?,
            rows: Buffer::zeroed(rows)?,
        })
    }

    /// Sorts by counting.  `chosen` has the experts of each token in `[tokens, active]`.
    ///
    /// # Safety
    /// There is room; the numbers are below `experts`; no one else uses this order.
    unsafe fn sort(&self, chosen: *const u32, tokens: usize, active: usize, experts: usize) {
        let starts = std::slice::from_raw_parts_mut(self.starts.pointer(), experts + 1);
        let chosen = std::slice::from_raw_parts(chosen, tokens * active);
        starts.fill(0);
        for &expert in chosen {
            starts[expert as usize + 1] += 1;
        }
        for e in 0..experts {
            starts[e + 1] += starts[e];
        }
        for (at, &expert) in chosen.iter().enumerate() {
            let row = starts[expert as usize];
            starts[expert as usize] += 1;
            *self.rows.pointer().add(at) = row;
            *self.tokens.pointer().add(row as usize) = (at / active) as u32;
            *self.experts.pointer().add(row as usize) = expert;
        }
        starts.copy_within(..experts, 1); // each start moved on to the next one's
        starts[0] = 0;
    }

    /// The token and the expert of a row, and its place among the rows of that expert.
    unsafe fn row(&self, row: usize) -> (usize, usize, Place) {
        let expert = *self.experts.pointer().add(row) as usize;
        let (first, tokens) = self.segment(expert);
        (*self.tokens.pointer().add(row) as usize, expert, Place { first, token: row - first, tokens })
    }

    /// The first row of an expert, and how many it has.
    unsafe fn segment(&self, expert: usize) -> (usize, usize) {
        let at = self.starts.pointer().add(expert);
        (*at as usize, (*at.add(1) - *at) as usize)
    }
}

impl Step<'_> {
    /// The MLP of a layer with a router, from the residual stream to `projected`; ends with a barrier.
    pub(crate) unsafe fn mixture(&self, layer: &Layer, router: &Router, worker: &Worker) {
        let (space, count) = (&self.workspace.routed, self.tokens.len());
        let private = &self.workspace.private[worker.index];
        let (hidden, wide) = (self.network.hidden, layer.intermediate);
        self.route(layer, router, worker);

        // Every thread sorts for itself, which saves a barrier.
        let order = &private.order;
        order.sort(space.chosen.pointer(), count, router.active, layer.experts.len());
        let rows = count * router.active;
        for row in worker.share(rows) {
            let (token, expert, place) = order.row(row);
            let (stage, x) = (&layer.experts[expert].gate_up, space.normed.pointer().add(token * hidden));
            self.prepare(stage, x, (0, stage.cols), place, &space.inputs, private);
        }
        worker.barrier();
        let (gate, up) = (space.gate.pointer(), space.up.pointer());
        for (e, expert) in layer.experts.iter().enumerate() {
            let (first, tokens) = order.segment(e);
            if tokens > 0 {
                let outputs = [gate.add(first * wide), up.add(first * wide)];
                Product {
                    kernels: self.kernels,
                    stage: &expert.gate_up,
                    inputs: &space.inputs,
                    tokens: (first, tokens),
                    outputs: &outputs,
                    unpacked: &private.unpacked,
                }
                .own(worker);
            }
        }
        worker.barrier();
        for row in worker.share(rows) {
            let (_, expert, place) = order.row(row);
            let (down, at) = (&layer.experts[expert].down, row * wide);
            let span = down_span(layer, down);
            for from in (0..wide).step_by(span) {
                let parts = (gate.add(at).cast_const(), up.add(at).cast_const());
                self.activate(layer, down, parts, (from, span), place, &space.inputs, private);
            }
        }
        worker.barrier();
        for (e, expert) in layer.experts.iter().enumerate() {
            let (first, tokens) = order.segment(e);
            if tokens > 0 {
                let output = space.made.pointer().add(first * hidden);
                Product {
                    kernels: self.kernels,
                    stage: &expert.down,
                    inputs: &space.inputs,
                    tokens: (first, tokens),
                    outputs: &[output],
                    unpacked: &private.unpacked,
                }
                .own(worker);
            }
        }
        worker.barrier();
        let spans = hidden.div_ceil(SPAN);
        for item in worker.share(count * spans) {
            let (token, from) = (item / spans, item % spans * SPAN);
            let width = SPAN.min(hidden - from);
            let to = self.workspace.projected.pointer().add(token * hidden + from);
            let sums = std::slice::from_raw_parts_mut(to, width);
            sums.fill(0.0);
            for at in token * router.active..(token + 1) * router.active {
                let (row, share) = (*order.rows.pointer().add(at) as usize, *space.shares.pointer().add(at));
                let made = std::slice::from_raw_parts(space.made.pointer().add(row * hidden + from), width);
                for (sum, value) in sums.iter_mut().zip(made) {
                    *sum += share * value;
                }
            }
        }
        worker.barrier();
    }

    /// Norms every token and chooses its experts; ends with a barrier.
    unsafe fn route(&self, layer: &Layer, router: &Router, worker: &Worker) {
        let (space, count) = (&self.workspace.routed, self.tokens.len());
        let private = &self.workspace.private[worker.index];
        let (stage, inputs, hidden) = (&router.stage, &self.workspace.stream.inputs, self.network.hidden);
        for token in worker.share(count) {
            let row = space.normed.pointer().add(token * hidden);
            self.norm(token, &layer.mlp_norm, private);
            std::ptr::copy_nonoverlapping(private.row.pointer(), row, hidden);
            let place = Place { first: 0, token, tokens: count };
            self.prepare(stage, row, (0, stage.cols), place, inputs, private);
        }
        worker.barrier();
        Product {
            kernels: self.kernels,
            stage,
            inputs,
            tokens: (0, count),
            outputs: &[space.logits.pointer()],
            unpacked: &private.unpacked,
        }
        .own(worker);
        worker.barrier();
        let experts = layer.experts.len();
        for token in worker.share(count) {
            let at = token * router.active;
            choose(
                std::slice::from_raw_parts_mut(space.logits.pointer().add(token * experts), experts),
                router.normalise,
                std::slice::from_raw_parts_mut(space.chosen.pointer().add(at), router.active),
                std::slice::from_raw_parts_mut(space.shares.pointer().add(at), router.active),
            );
        }
        worker.barrier();
    }
}

/// The experts with the largest shares, in ascending order; the first of equal ones.  `logits`
/// become the shares of all.
fn choose(logits: &mut [f32], normalise: bool, chosen: &mut [u32], shares: &mut [f32]) {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for value in logits.iter_mut() {
        *value = (*value - peak).exp();
        total += *value;
    }
    let all = logits;
    all.iter_mut().for_each(|share| *share /= total);
    for place in 0..chosen.len() {
        let (earlier, rest) = chosen.split_at_mut(place);
        let free = (0..all.len()).filter(|e| !earlier.contains(&(*e as u32)));
        // Written so that a NaN, which is larger than nothing, still leaves an expert to take.
        rest[0] = free.reduce(|best, e| if all[e] > all[best] { e } else { best }).unwrap_or(0) as u32;
    }
    chosen.sort_unstable();
    for (share, &expert) in shares.iter_mut().zip(chosen.iter()) {
        *share = all[expert as usize];
    }
    if normalise {
        let sum: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_shares_are_chosen() {
        let (mut chosen, mut shares) = ([9; 2], [0.0; 2]);
        choose(&mut [0.0, 3.0, 1.0, 2.0], false, &mut chosen, &mut shares);
        let total: f32 = [0.0f32, 3.0, 1.0, 2.0].map(f32::exp).iter().sum();
        assert_eq!(chosen, [1, 3]);
        assert!((shares[0] - 3f32.exp() / total).abs() < 1e-6 && (shares[1] - 2f32.exp() / total).abs() < 1e-6);
        choose(&mut [0.0, 3.0, 1.0, 2.0], true, &mut chosen, &mut shares);
        assert!((shares[0] + shares[1] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_first_of_equals_and_no_number_twice() {
        let (mut chosen, mut shares) = ([9; 3], [0.0; 3]);
        choose(&mut [1.0, 1.0, 1.0, 1.0], true, &mut chosen, &mut shares);
        assert_eq!(chosen, [0, 1, 2]);
        choose(&mut [f32::NAN; 4], true, &mut chosen, &mut shares);
        assert_eq!(chosen, [0, 1, 2]);
        assert!(shares[0].is_nan());
    }

    #[test]
    fn rows_are_sorted_by_expert_then_token() {
        let order = Order {
            starts: Buffer::zeroed(5).unwrap(),
            tokens: Buffer::zeroed(6).unwrap(),
            experts: Buffer::zeroed(6).unwrap(),
            rows: Buffer::zeroed(6).unwrap(),
        };
        let chosen = [1u32, 3, 0, 3, 1, 3];
        unsafe { order.sort(chosen.as_ptr(), 3, 2, 4) };
        let segments: Vec<_> = (0..4).map(|e| unsafe { order.segment(e) }).collect();
        assert_eq!(segments, [(0, 1), (1, 2), (3, 0), (3, 3)]);
        let rows: Vec<_> = (0..6).map(|row| unsafe { order.row(row) }).map(|(t, e, p)| (t, e, p.token)).collect();
        assert_eq!(rows, [(1, 0, 0), (0, 1, 0), (2, 1, 1), (0, 3, 0), (1, 3, 1), (2, 3, 2)]);
        let places: Vec<_> = (0..6).map(|at| unsafe { *order.rows.pointer().add(at) }).collect();
        assert_eq!(places, [1, 3, 0, 4, 2, 5]);
    }
}
