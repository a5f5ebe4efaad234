//! Tests: every instruction set that runs here agrees with the scalar one on every kernel.

use crate::elementwise::{Activation, Quantised};
use crate::formats::{FormatId, TILE, padded, row_values};
use crate::half;
use crate::kernels::{Kernels, available};
use crate::product::{Job, UNPACKED_BEYOND};

/// A small deterministic generator (xorshift).
pub(crate) struct Random(pub u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Within −1 … 1.
    fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }

    fn halves(&mut self, count: usize) -> Vec<u16> {
        (0..count).map(|_| half::from_f32(self.float())).collect()
    }
}

pub(crate) fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: {a} is not {b} at {i}");
    }
}

/// The product of one block of tokens by definition, in float64.
fn expected_product(job: &Job, format: FormatId, cols: usize, x: &[Vec<f64>]) -> Vec<f32> {
    let mut out = Vec::new();
    for token in x {
        for row in 0..job.rows {
            let mut values = vec![0.0; cols];
            let tile = unsafe { job.codes.add(row / TILE * job.tile_bytes) };
            unsafe { row_values(format, tile, row % TILE, &mut values) };
            let mut sum = 0.0;
            for (c, value) in values.iter().enumerate() {
                let scale = match format {
                    FormatId::F16 => 1.0,
                    _ => half::to_f32(unsafe {
                        *job.scales.add((row / TILE * job.groups + c / job.group) * TILE + row % TILE)
                    }),
                };
                sum += f64::from(*value) * f64::from(scale) * token[c];
            }
            out.push(sum as f32 * job.gain);
        }
    }
    out
}

/// The product, in blocks of `tokens` and, of base 3, unpacked as well, is what the definition says and, of
/// integers, to the bit what the scalar kernels make of the tokens one by one.
fn product_case(kernels: &Kernels, format: FormatId, rows: usize, cols: usize, group: usize, tokens: usize) {
    let mut random = Random(7 + cols as u64 + tokens as u64);
    let (width, tiles, tile_bytes) = (padded(cols), rows.div_ceil(TILE), format.tile_bytes(cols));
    let codes: Vec<u8> = match format {
        FormatId::F16 => random.halves(tiles * tile_bytes / 2).iter().flat_map(|h| h.to_le_bytes()).collect(),
        _ => (0..tiles * tile_bytes).map(|_| random.bits() as u8).collect(),
    };
    let groups = cols.div_ceil(group);
    let scales = random.halves(tiles * groups * TILE);
    let (mut input, mut input_scales) = (vec![0u8; tokens * width * 4], vec![0.0f32; tokens * groups]);
    let mut input_sums = vec![0i32; tokens * groups];
    let mut x = Vec::new();
    for t in 0..tokens {
        let mut row = random.floats(cols);
        row.resize(width, 0.0);
        if format == FormatId::F16 {
            for (i, v) in row.iter().enumerate() {
                input[(t * width + i) * 4..][..4].copy_from_slice(&v.to_le_bytes());
            }
            x.push(row.iter().map(|&v| f64::from(v)).collect());
            continue;
        }
        let to = unsafe {
            Quantised {
                codes: input.as_mut_ptr().cast::<i8>().add(4 * t),
                scales: input_scales.as_mut_ptr().add(t),
                sums: input_sums.as_mut_ptr().add(t),
                block: tokens,
                per_token: false,
            }
        };
        unsafe { (kernels.quantise)(row.as_ptr(), width, group, to) };
        let value = |c: usize| {
            let code = input[(c / 4 * tokens + t) * 4 + c % 4] as i8;
            f64::from(code) * f64::from(input_scales[c / group * tokens + t])
        };
        let values: Vec<f64> = (0..width).map(|c| if c < cols { value(c) } else { 0.0 }).collect();
        for (v, r) in values.iter().zip(&row) {
            assert!((*v as f32 - r).abs() <= 1.0 / 250.0, "{}: {v} stands for {r}", kernels.name);
        }
        x.push(values);
    }
    let mut output = vec![f32::NAN; tokens * rows];
    let job = Job {
        codes: codes.as_ptr(),
        tile_bytes,
        scales: scales.as_ptr(),
        groups,
        group,
        unpacked: false,
        padded: width,
        zero: format.zero(),
        rows,
        gain: 0.75,
        bias: std::ptr::null(),
        input: input.as_ptr(),
        input_scales: input_scales.as_ptr(),
        input_sums: input_sums.as_ptr(),
        output: output.as_mut_ptr(),
        stride: rows,
        first: 0,
        last: tiles,
    };
    unsafe { (kernels.product)(format, tokens, &job) };
    // Digits beyond `cols` are random here: they must have met zeros.
    let what = format!("{} {format:?} {rows}×{cols} / {group}, {tokens} tokens", kernels.name);
    let tolerance = if format == FormatId::I8 { 1e-2 } else { 1e-3 };
    close(&output, &expected_product(&job, format, cols, &x), tolerance, &what);
    if format != FormatId::F16 {
        assert_eq!(output, alone(&job, format, tokens), "{what}: other bits than the scalar kernels make");
    }
    if format.is_base3() {
        let whole = width * TILE;
        let mut digits = vec![0u8; tiles * whole + UNPACKED_BEYOND];
        for tile in 0..tiles {
            unsafe { (kernels.unpack)(format, &job, tile, digits.as_mut_ptr().add(tile * whole)) };
        }
        let mut again = vec![f32::NAN; tokens * rows];
        let unpacked =
            Job { codes: digits.as_ptr(), tile_bytes: whole, unpacked: true, output: again.as_mut_ptr(), ..job };
        unsafe { (kernels.digits)(tokens, &unpacked) };
        assert_eq!(again, output, "{what}: other bits when unpacked");
    }
}

/// The product by the scalar kernels, token by token.
fn alone(job: &Job, format: FormatId, tokens: usize) -> Vec<f32> {
    let scalar = available().find(|kernels| kernels.name == "scalar").unwrap();
    let mut out = vec![f32::NAN; tokens * job.rows];
    for t in 0..tokens {
        // Token t of what is stored as `[count, tokens, …]`.
        let quads: Vec<[u8; 4]> = (0..job.padded / 4)
            .map(|q| unsafe { job.input.add((q * tokens + t) * 4).cast::<[u8; 4]>().read_unaligned() })
            .collect();
        let scales: Vec<f32> = (0..job.groups).map(|g| unsafe { *job.input_scales.add(g * tokens + t) }).collect();
        let sums: Vec<i32> = (0..job.groups).map(|g| unsafe { *job.input_sums.add(g * tokens + t) }).collect();
        let one = Job {
            input: quads.as_ptr().cast(),
            input_scales: scales.as_ptr(),
            input_sums: sums.as_ptr(),
            output: out[t * job.rows..].as_mut_ptr(),
            ..*job
        };
        unsafe { (scalar.product)(format, 1, &one) };
    }
    out
}

#[test]
fn products_are_what_the_layout_says() {
    for kernels in available() {
        for format in FormatId::ALL {
            let largest = if format == FormatId::F16 { kernels.half_block } else { kernels.block };
            for tokens in [1, 2, 4, 8].into_iter().filter(|&n| n <= largest) {
                for (rows, cols) in [(1, 64), (17, 200), (33, 448)] {
                    product_case(kernels, format, rows, cols, 64, tokens);
                    product_case(kernels, format, rows, cols, 128, tokens);
                }
                if tokens == 1 {
                    product_case(kernels, format, 70, 12_300, 128, tokens); // long rows, in several strips
                }
                // Base 3: every length of the last run, alone and behind whole ones.
                for blocks in [1, 2, 3, 4, 5, 9, 11, 12, 13] {
                    if matches!(format, FormatId::T1B3 | FormatId::T2B3) {
                        product_case(kernels, format, 16, blocks * 64, 64, tokens);
                        product_case(kernels, format, 16, blocks * 64 - 5, 128, tokens);
                    }
                }
            }
        }
    }
}

#[test]
fn transforms_agree_with_the_definition() {
    let mut random = Random(3);
    for kernels in available() {
        for block in [2, 4, 8, 16, 64, 256] {
            let x = random.floats(2 * block);
            let mut found = x.clone();
            unsafe { (kernels.hadamard)(found.as_mut_ptr(), 2 * block, block) };
            let expected: Vec<f32> = (0..2 * block)
                .map(|i| {
                    let run = &x[i / block * block..][..block];
                    run.iter()
                        .enumerate()
                        .map(|(j, v)| if ((i % block) & j).count_ones() % 2 == 1 { -v } else { *v })
                        .sum()
                })
                .collect();
            close(&found, &expected, 1e-4, kernels.name);
        }
    }
}

#[test]
fn rows_of_any_length_agree_with_the_definition() {
    let mut random = Random(5);
    for kernels in available() {
        for count in [1, 3, 16, 37, 200] {
            let (x, y) = (random.floats(count), random.floats(count));
            let mut out = vec![f32::NAN; count];
            unsafe { (kernels.multiply)(x.as_ptr(), y.as_ptr(), out.as_mut_ptr(), count) };
            close(&out, &x.iter().zip(&y).map(|(a, b)| a * b).collect::<Vec<_>>(), 0.0, "multiply");
            let mut sum = x.clone();
            unsafe { (kernels.accumulate)(sum.as_mut_ptr(), y.as_ptr(), count) };
            close(&sum, &x.iter().zip(&y).map(|(a, b)| a + b).collect::<Vec<_>>(), 0.0, "accumulate");
            unsafe { (kernels.norm)(x.as_ptr(), y.as_ptr(), out.as_mut_ptr(), count, 1e-5) };
            let factor = 1.0 / (x.iter().map(|v| v * v).sum::<f32>() / count as f32 + 1e-5).sqrt();
            close(&out, &x.iter().zip(&y).map(|(a, b)| a * factor * b).collect::<Vec<_>>(), 1e-5, "norm");
            let wide: Vec<f32> = x.iter().map(|v| v * 30.0).collect();
            for kind in [Activation::Silu, Activation::GeluTanh, Activation::Relu2] {
                unsafe { (kernels.activate)(wide.as_ptr(), y.as_ptr(), out.as_mut_ptr(), count, kind) };
                let expected = wide.iter().zip(&y).map(|(&g, u)| {
                    let inner = 0.797_884_6 * (g + 0.044_715 * g * g * g);
                    u * match kind {
                        Activation::Silu => g / (1.0 + (-g).exp()),
                        Activation::GeluTanh => 0.5 * g * (1.0 + inner.tanh()),
                        Activation::Relu2 => g.max(0.0).powi(2),
                    }
                });
                close(&out, &expected.collect::<Vec<_>>(), 1e-5, "activate");
            }
            let mut capped = wide.clone();
            unsafe { (kernels.softcap)(capped.as_mut_ptr(), count, 20.0) };
            close(&capped, &wide.iter().map(|v| 20.0 * (v / 20.0).tanh()).collect::<Vec<_>>(), 1e-5, "softcap");
        }
    }
}
