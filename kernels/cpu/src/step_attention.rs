//! The attention of a step: queries, keys and values of a chunk, and who attends to what.

use crate::attention::{self, BLOCK, Output};
use crate::cache::Text;
use crate::model::Layer;
use crate::pool::Worker;
use crate::rope;
use crate::softmax::state_floats;
use crate::stage::Product;
use crate::step::Step;
use crate::workspace::{ATTENTION_ROWS, Private};

impl Step<'_> {
    /// From the prepared input to `projected`; ends with a barrier.
    pub(crate) unsafe fn attention(&self, index: usize, layer: &Layer, worker: &Worker) {
        let space = self.workspace;
        let private = &space.private[worker.index];
        let stream = self.stream(private);
        let count = self.tokens.len();
        let outputs = [space.queries.pointer(), space.keys.pointer(), space.values.pointer()];
        Product {
            kernels: self.kernels,
            stage: &layer.qkv,
            inputs: &stream.inputs,
            tokens: (0, count),
            outputs: &outputs,
            unpacked: &private.unpacked,
        }
        .share(worker);
        worker.barrier();
        let each = self.network.heads + self.network.kv_heads;
        // Values of a block share bytes: one thread writes all of a head.
        let blocks = (self.position + count).div_ceil(BLOCK) - self.position / BLOCK;
        for item in worker.share(count * each + blocks * self.network.kv_heads) {
            match item.checked_sub(count * each) {
                None => self.rotate(index, layer, item / each, item % each),
                Some(item) => self.keep_values(index, item / blocks, item % blocks),
            }
        }
        worker.barrier();
        self.attend(index, layer, private, worker);
        worker.barrier();
        for token in self.own_tokens(worker) {
            let mut row = space.attended.pointer().add(token * layer.o.cols);
            if let Some(weight) = &layer.attention_sub_norm {
                let to = private.row.pointer();
                (self.kernels.norm)(row, weight.as_ptr(), to, layer.o.cols, self.network.eps);
                row = to;
            }
            self.prepare(&layer.o, row, (0, layer.o.cols), self.place(token), &stream.inputs, private);
        }
        self.join(worker);
        Product {
            kernels: self.kernels,
            stage: &layer.o,
            inputs: &stream.inputs,
            tokens: (0, count),
            outputs: &[space.projected.pointer()],
            unpacked: &private.unpacked,
        }
        .share(worker);
        worker.barrier();
    }

    /// Norms and turns one head of one token, first the query heads, then those of keys, which go to
    /// the cache.
    unsafe fn rotate(&self, index: usize, layer: &Layer, token: usize, head: usize) {
        let (network, space) = (self.network, self.workspace);
        let dim = network.head_dim;
        let half = layer.rope.map_or(0, |rope| network.ropes[rope].frequencies.len());
        let angles = std::slice::from_raw_parts(self.angles(layer.rope.unwrap_or(0), token), 2 * half);
        let turn = |row: *mut f32, norm: &Option<Vec<f32>>| {
            if let Some(weight) = norm {
                (self.kernels.norm)(row, weight.as_ptr(), row, dim, network.eps);
            }
            rope::rotate(std::slice::from_raw_parts_mut(row, dim), &angles[..half], &angles[half..]);
        };
        if head < network.heads {
            let row = space.queries.pointer().add((token * network.heads + head) * dim);
            turn(row, &layer.q_norm);
            for d in 0..dim {
                *row.add(d) *= network.attention_scale;
            }
            self.cache.turn_query(self.kernels, row);
        } else {
            let head = head - network.heads;
            let key = space.keys.pointer().add((token * network.kv_heads + head) * dim);
            turn(key, &layer.k_norm);
            self.cache.write_key(self.kernels, index, head, self.position + token, key);
        }
    }

    /// The values of one head of those tokens that lie in the chunk's block number `block`.
    unsafe fn keep_values(&self, index: usize, head: usize, block: usize) {
        let (first, apart) = (self.position / BLOCK + block, self.network.kv_heads * self.network.head_dim);
        let from = (first * BLOCK).max(self.position);
        let to = ((first + 1) * BLOCK).min(self.position + self.tokens.len());
        let at = (from - self.position) * apart + head * self.network.head_dim;
        let values = self.workspace.values.pointer().add(at);
        self.cache.write_values(self.kernels, (index, head), from..to, values, apart);
    }

    unsafe fn attend(&self, index: usize, layer: &Layer, private: &Private, worker: &Worker) {
        let (network, space) = (self.network, self.workspace);
        let (count, dim, group) = (self.tokens.len(), network.head_dim, network.heads / network.kv_heads);
        let segments = Text::segments(self.position, layer.window);
        if count == 1 && segments.len() > 1 {
            self.attend_segments(index, layer, segments, private, worker);
            return;
        }
        // Query heads that share keys stay together, unless a single token leaves threads idle.
        let enough = |parts: &usize| count > 1 || network.kv_heads * parts >= worker.threads;
        let parts = (1..=group).filter(|parts| group.is_multiple_of(*parts)).find(enough).unwrap_or(group);
        let (heads, tokens) = (group / parts, if count == 1 { 1 } else { (ATTENTION_ROWS / group).max(1) });
        let chunks = count.div_ceil(tokens);
        for unit in (worker.index..network.kv_heads * parts * chunks).step_by(worker.threads) {
            // The last tokens see the most: they come first.
            let (chunk, part) = (chunks - 1 - unit / (network.kv_heads * parts), unit % (network.kv_heads * parts));
            let (kv_head, first) = (part / parts, chunk * tokens);
            let at = first * network.heads * dim + part * heads * dim;
            let result = Output::Rows(space.attended.pointer().add(at));
            let tokens = (first, tokens.min(count - first));
            self.attend_heads(index, layer, kv_head, (at, heads), tokens, private, result);
        }
    }

    /// One token whose keys are so many that threads share the segments of a head.
    unsafe fn attend_segments(
        &self,
        index: usize,
        layer: &Layer,
        segments: std::ops::Range<usize>,
        private: &Private,
        worker: &Worker,
    ) {
        let (network, space) = (self.network, self.workspace);
        let (dim, group) = (network.head_dim, network.heads / network.kv_heads);
        let (state, states) = (state_floats(dim), space.states.pointer());
        while let Some(units) = worker.claim(network.kv_heads * segments.len(), 1) {
            for unit in units {
                let (kv_head, segment) = (unit / segments.len(), unit % segments.len());
                let at = states.add((segment * network.heads + kv_head * group) * state);
                let result = Output::Segment { number: segments.start + segment, states: at };
                self.attend_heads(index, layer, kv_head, (kv_head * group * dim, group), (0, 1), private, result);
            }
        }
        worker.barrier();
        let turned = self.cache.memory.layout.quantised();
        for head in worker.share(network.heads) {
            let parts = (segments.len(), network.heads * state);
            (self.kernels.merge)(
                states.add(head * state),
                parts,
                space.attended.pointer().add(head * dim),
                dim,
                turned,
            );
        }
    }

    /// `heads` query heads, the first at `at`, of tokens `first .. first + tokens` against one key head.
    #[allow(clippy::too_many_arguments)]
    unsafe fn attend_heads(
        &self,
        index: usize,
        layer: &Layer,
        kv_head: usize,
        (at, heads): (usize, usize),
        (first, tokens): (usize, usize),
        private: &Private,
        result: Output,
    ) {
        let network = self.network;
        (self.kernels.attend)(&attention::Job {
            queries: self.workspace.queries.pointer().add(at),
            stride: network.heads * network.head_dim,
            tokens,
            heads,
            head_dim: network.head_dim,
            position: self.position + first,
            window: layer.window,
            places: self.cache.places(index, kv_head),
            softcap: network.attention_softcap,
            scratch: private.attention.pointer(),
            result,
        });
    }
}
