//! Tests: attention over every form of keys and values is what its definition says, on every
//! instruction set, with the same bits alone, in company and in segments.

use crate::agreement::{Random, close};
use crate::attention::{self, BLOCK, Output, SINK, scratch_floats};
use crate::cache::Text;
use crate::coded::part_bytes;
use crate::codes::{level, put, scale_of, strip_place};
use crate::half;
use crate::kernels::{Kernels, available};
use crate::places::{Places, exact_bytes, sink_bytes};
use crate::softmax::{padded_head, state_floats, turned_block};

/// Numbers of one head of a text: a network is not needed to read pages.
struct Stored {
    bits: (usize, usize),
    pages: Vec<u8>,
    ring: Vec<u16>,
    sink: Vec<u16>,
    table: Vec<u32>,
    /// Keys and values, `[positions][head_dim]`, in half precision and as they come back from codes.
    exact: [Vec<Vec<f32>>; 2],
    coded: [Vec<Vec<f32>>; 2],
}

impl Stored {
    /// `blocks` blocks in pages of any order; the ring has those from `ring_from` on.
    fn random(random: &mut Random, kernels: &Kernels, bits: (usize, usize), dim: usize, blocks: usize) -> Self {
        let width = padded_head(dim);
        let sizes = [bits.0, bits.1].map(|bits| if bits == 16 { 0 } else { part_bytes(bits, width) });
        let page = if bits.0 == 16 { exact_bytes(width) } else { sizes[0] + sizes[1] };
        let table: Vec<u32> = (0..blocks as u32).map(|i| (i * 5 + 2) % blocks as u32).collect();
        let mut made = Self {
            bits,
            pages: vec![0x55; page * blocks],
            ring: vec![0x7E00; 4 * exact_bytes(width) / 2],
            sink: vec![0; sink_bytes(width) / 2],
            table,
            exact: [vec![], vec![]],
            coded: [vec![], vec![]],
        };
        for position in 0..blocks * BLOCK {
            let (block, row) = (position / BLOCK, position % BLOCK);
            let at = made.table[block] as usize * page;
            for part in 0..2 {
                let x: Vec<f32> = random.floats(dim).iter().map(|x| x * 3.0).collect();
                let halves: Vec<u16> = x.iter().map(|x| half::from_f32(*x)).collect();
                made.exact[part].push(halves.iter().map(|h| half::to_f32(*h)).collect());
                let lay = |to: &mut [u16], row: usize, keys: usize, rows: usize| {
                    for d in 0..dim {
                        let key = (row / 32 * width + d) * 32 + row % 32;
                        let wide = if d / 32 * 32 + 32 <= width { 32 } else { width % 32 };
                        let value = keys * width + d / 32 * 32 * rows + row * wide + d % 32;
                        to[if part == 0 { key } else { value }] = halves[d];
                    }
                };
                if bits.0 == 16 {
                    let (_, whole, _) = unsafe { made.pages[at..at + page].align_to_mut::<u16>() };
                    lay(whole, row, BLOCK, BLOCK);
                    continue;
                }
                let each = exact_bytes(width) / 2;
                lay(&mut made.ring[block % 4 * each..(block % 4 + 1) * each], row, BLOCK, BLOCK);
                if position < SINK {
                    lay(&mut made.sink, row, 32, SINK);
                }
                let (bits, quads) = if part == 0 { (bits.0, width / 4) } else { (bits.1, BLOCK / 4) };
                let mut codes = vec![0; width];
                let scale = unsafe { (kernels.encode)(x.as_ptr(), dim, bits, codes.as_mut_ptr()) };
                let to = unsafe { made.pages.as_mut_ptr().add(at + part * sizes[0]) };
                for d in 0..width {
                    let (strip, strips, quad, byte) = if part == 0 {
                        (row / 16, BLOCK / 16, d / 4, row % 16 * 4 + d % 4)
                    } else {
                        (d / 16, width / 16, row / 4, d % 16 * 4 + row % 4)
                    };
                    let (at, step) = strip_place(bits, quads, strip, strips);
                    unsafe { put((to.add(at), step), bits, quads, quad, byte, codes[d]) };
                }
                unsafe { *to.add(sizes[part] - BLOCK + row) = scale };
                let back = codes[..dim].iter().map(|code| scale_of(scale) * level(bits, *code) as f32);
                made.coded[part].push(back.collect());
            }
        }
        made
    }

    fn places(&self, ring_holds: [usize; 4]) -> Places {
        Places {
            table: self.table.as_ptr(),
            pages: self.pages.as_ptr(),
            page_bytes: self.pages.len() / self.table.len(),
            key_bits: self.bits.0,
            value_bits: self.bits.1,
            ring: self.ring.as_ptr().cast(),
            ring_holds,
            sink: self.sink.as_ptr().cast(),
        }
    }

    /// The key (0) or value (1) of a position as a token at `own` reads it.
    fn read(&self, part: usize, position: usize, own: usize, ring_holds: [usize; 4]) -> &[f32] {
        let block = position / BLOCK;
        let near = block + 1 >= own / BLOCK && ring_holds[block % 4] == block;
        let exact = self.bits.0 == 16 || position < SINK || near;
        if exact { &self.exact[part][position] } else { &self.coded[part][position] }
    }
}

/// Heads, their width, the first of five positions, window, soft cap.
type Case = (usize, usize, usize, usize, f32);

fn attention_case(kernels: &Kernels, bits: (usize, usize), (heads, dim, position, window, softcap): Case) {
    let mut random = Random(11 + dim as u64);
    let (tokens, blocks) = (5, (position + 5).div_ceil(BLOCK));
    let stored = Stored::random(&mut random, kernels, bits, dim, blocks);
    let mut ring_holds = [usize::MAX; 4];
    for block in blocks.saturating_sub(3)..blocks {
        ring_holds[block % 4] = block;
    }
    let stride = heads * dim;
    let queries: Vec<f32> = random.floats(tokens * stride).iter().map(|x| x * 3.0 / (dim as f32).sqrt()).collect();
    let job = |tokens: usize, first: usize, output: *mut f32, scratch: &mut Vec<f32>| attention::Job {
        queries: unsafe { queries.as_ptr().add(first * stride) },
        stride,
        tokens,
        heads,
        head_dim: dim,
        position: position + first,
        window,
        places: stored.places(ring_holds),
        softcap,
        scratch: scratch.as_mut_ptr(),
        result: Output::Rows(output),
    };
    let mut output = vec![f32::NAN; tokens * stride];
    let mut scratch = vec![f32::NAN; scratch_floats(tokens * heads, dim)];
    unsafe { (kernels.attend)(&job(tokens, 0, output.as_mut_ptr(), &mut scratch)) };
    let mut expected = vec![0.0; tokens * stride];
    for (row, out) in expected.chunks_mut(dim).enumerate() {
        let last = position + row / heads;
        let seen = (last + 1).saturating_sub(window)..=last;
        let scores = seen.clone().map(|p| {
            let key = stored.read(0, p, last, ring_holds);
            let s: f32 = (0..dim).map(|d| queries[row * dim + d] * key[d]).sum();
            if softcap > 0.0 { softcap * (s / softcap).tanh() } else { s }
        });
        let weights: Vec<f32> = scores.map(f32::exp).collect();
        let total: f32 = weights.iter().sum();
        for (p, weight) in seen.zip(weights) {
            for (d, out) in out.iter_mut().enumerate() {
                *out += weight / total * stored.read(1, p, last, ring_holds)[d];
            }
        }
        if bits.0 < 16 {
            let block = turned_block(dim);
            let scalar = available().last().expect("there are scalar kernels");
            unsafe { (scalar.hadamard)(out.as_mut_ptr(), dim, block) };
            out.iter_mut().for_each(|x| *x /= (block as f32).sqrt());
        }
    }
    // Queries and weights of codes are rounded to 8 bits.
    let what = format!("{} {bits:?} {dim}", kernels.name);
    close(&output, &expected, if bits.0 == 16 { 1e-4 } else { 0.1 }, &what);
    let power = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>();
    let off = power(&mut output.iter().zip(&expected).map(|(a, b)| a - b)) / power(&mut expected.iter().copied());
    assert!(off < if bits.0 == 16 { 1e-9 } else { 3e-4 }, "{what}: off by {off}");
    let mut alone = vec![f32::NAN; stride];
    for token in 0..tokens {
        unsafe { (kernels.attend)(&job(1, token, alone.as_mut_ptr(), &mut scratch)) };
        assert!(alone == output[token * stride..(token + 1) * stride], "{}: company changes bits", kernels.name);
        let segments = Text::segments(position + token, window);
        let state = state_floats(dim);
        let mut states = vec![f32::NAN; segments.len() * heads * state];
        for (i, number) in segments.clone().enumerate() {
            let mut job = job(1, token, std::ptr::null_mut(), &mut scratch);
            job.result = Output::Segment { number, states: unsafe { states.as_mut_ptr().add(i * heads * state) } };
            unsafe { (kernels.attend)(&job) };
        }
        for head in 0..heads {
            unsafe {
                let (from, to) = (states.as_mut_ptr().add(head * state), alone.as_mut_ptr().add(head * dim));
                (kernels.merge)(from, (segments.len(), heads * state), to, dim, bits.0 < 16);
            }
        }
        assert!(alone == output[token * stride..(token + 1) * stride], "{}: segments change bits", kernels.name);
    }
}

#[test]
fn attention_agrees_with_the_definition() {
    let all = usize::MAX;
    for kernels in available() {
        for case in [(1, 16, 0, all, 0.0), (3, 64, 130, all, 0.0), (4, 80, 150, 40, 0.0), (7, 24, 200, 90, 5.0)] {
            attention_case(kernels, (16, 16), case);
        }
        attention_case(kernels, (16, 16), (4, 256, 70, all, 0.0));
        for bits in [(8, 8), (6, 5), (4, 4), (4, 2)] {
            for case in [(1, 16, 0, all, 0.0), (3, 64, 318, all, 0.0), (4, 80, 330, 140, 0.0), (7, 32, 400, 390, 5.0)] {
                attention_case(kernels, bits, case);
            }
        }
        attention_case(kernels, (8, 8), (2, 96, 2 * 2048 + 126, all, 0.0));
        attention_case(kernels, (4, 4), (5, 128, 2048 + 60, 2050, 0.0));
    }
}

/// Codes and scales are the same bits on every instruction set, and so are products with them.
#[test]
fn codes_and_their_products_are_the_same_everywhere() {
    let scalar = available().last().expect("there are scalar kernels");
    for kernels in available() {
        for bits in [2, 4, 5, 6, 8] {
            let mut random = Random(3 + bits as u64);
            for dim in [16, 64, 80, 128, 256] {
                let x = random.floats(dim);
                let (mut ours, mut theirs) = (vec![0; dim], vec![0; dim]);
                unsafe {
                    let a = (kernels.encode)(x.as_ptr(), dim, bits, ours.as_mut_ptr());
                    let b = (scalar.encode)(x.as_ptr(), dim, bits, theirs.as_mut_ptr());
                    assert!(a == b && ours == theirs, "{}, {bits} bits", kernels.name);
                }
            }
        }
    }
}
