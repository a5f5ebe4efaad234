//! Tests: every instruction set gives the scalar one's bits in the passes of training.

use crate::abi::TzNumbers;
use crate::agreement::Random;
use crate::formats::{FormatId, TILE, padded, row_values};
use crate::half;
use crate::kernels::{Kernels, available, select};
use crate::matrix::Matrix;
use crate::numbers::Numbers;
use crate::straight::{Room, Split};
use crate::{dense, packing, product};

const SHAPES: [(usize, usize); 5] = [(1, 1), (16, 64), (19, 65), (33, 200), (18, 449)];

fn coded() -> impl Iterator<Item = FormatId> {
    FormatId::ALL.into_iter().filter(|format| *format != FormatId::F16)
}

/// An array of either kind, as bytes, and its view.
fn numbers(bytes: &mut [u8], kind: u32) -> Numbers {
    let length = bytes.len() / if kind == 0 { 4 } else { 2 };
    Numbers::new("array", &TzNumbers { data: bytes.as_mut_ptr(), length, kind }, length).unwrap()
}

fn pack(kernels: &Kernels, format: FormatId, latents: &[f32], (rows, cols): (usize, usize)) -> Vec<u8> {
    let tile_bytes = format.tile_bytes(cols);
    let mut codes = vec![0xA5; rows.div_ceil(TILE) * tile_bytes];
    let places = packing::Places::new(format, cols);
    let (to, latents) = (codes.as_mut_ptr(), latents.as_ptr());
    let job = packing::Job { format, latents, rows, cols, codes: to, tile_bytes, places: &places };
    for tile in 0..rows.div_ceil(TILE) {
        unsafe { (kernels.pack)(&job, tile) };
    }
    codes
}

fn latents(format: FormatId, rows: usize, cols: usize) -> Vec<f32> {
    let reach = format.range().1 as f32 + 1.0;
    let mut found = Random(3 + cols as u64).floats(rows * cols);
    found.iter_mut().for_each(|x| *x *= reach);
    found[0] = 0.5;
    found
}

#[test]
fn packed_latents_are_the_nearest_codes() {
    for format in coded() {
        for (rows, cols) in SHAPES {
            let latents = latents(format, rows, cols);
            let (low, high) = format.range();
            for kernels in available() {
                let codes = pack(kernels, format, &latents, (rows, cols));
                for row in 0..rows {
                    let mut found = vec![f32::NAN; cols];
                    let tile = &codes[row / TILE * format.tile_bytes(cols)..];
                    unsafe { row_values(format, tile.as_ptr(), row % TILE, &mut found) };
                    for (c, found) in found.iter().enumerate() {
                        let wanted = latents[row * cols + c].round_ties_even().clamp(low as f32, high as f32);
                        assert_eq!(*found, wanted, "{format:?}, {}: {row}, {c}", kernels.name);
                    }
                }
            }
        }
    }
}

#[test]
fn dense_weights_are_scaled_codes() {
    for format in coded() {
        for ((rows, cols), group) in SHAPES.into_iter().zip([64, 128, 64, 128, 64]) {
            let latents = latents(format, rows, cols);
            let (tiles, groups, tile_bytes) = (rows.div_ceil(TILE), cols.div_ceil(group), format.tile_bytes(cols));
            let codes = pack(select(Some("scalar")).unwrap(), format, &latents, (rows, cols));
            let scales = Random(5).floats(tiles * groups * TILE).iter().map(|x| half::from_f32(*x)).collect::<Vec<_>>();
            let matrix = Matrix {
                format,
                rows,
                cols,
                group,
                groups,
                tile_bytes,
                codes: codes.as_ptr(),
                scales: scales.as_ptr(),
                gain: 0.75,
                bias: None,
                input: 0,
            };
            let mut seen: [Option<Vec<u8>>; 2] = [None, None];
            for kernels in available() {
                for (kind, width) in [(0, 4), (1, 2)] {
                    let mut bytes = vec![0xA5u8; rows * cols * width];
                    for tile in 0..tiles {
                        let mut room = vec![0u8; padded(cols) * TILE + product::UNPACKED_BEYOND];
                        let mut job = dense::Job {
                            codes: unsafe { codes.as_ptr().add(tile * tile_bytes) },
                            slots: format.slots(),
                            lanes: TILE,
                            zero: format.zero(),
                            scales: scales.as_ptr(),
                            groups,
                            group,
                            gain: 0.75,
                            rows,
                            cols,
                            to: numbers(&mut bytes, kind),
                        };
                        unsafe {
                            if format.is_base3() {
                                let whole = product::Job::of(&matrix, 0, 0);
                                (kernels.unpack)(format, &whole, tile, room.as_mut_ptr());
                                (job.codes, job.lanes) = (room.as_ptr(), kernels.lanes);
                            }
                            (kernels.dense)(&job, tile);
                        }
                    }
                    let what = format!("{format:?} {rows} × {cols}, kind {kind}, {}", kernels.name);
                    if kind == 0 {
                        for (i, four) in bytes.chunks_exact(4).enumerate() {
                            let (row, c) = (i / cols, i % cols);
                            let (low, high) = format.range();
                            let code = latents[i].round_ties_even().clamp(low as f32, high as f32);
                            let at = (row / TILE * groups + c / group) * TILE + row % TILE;
                            let wanted = code * (half::to_f32(scales[at]) * 0.75);
                            assert_eq!(f32::from_le_bytes(four.try_into().unwrap()), wanted, "{what}: {row}, {c}");
                        }
                    }
                    let first = seen[kind as usize].get_or_insert_with(|| bytes.clone());
                    assert!(*first == bytes, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_split_gradient_has_the_same_bits_everywhere() {
    for kind in [0, 1] {
        for ((rows, cols), group) in SHAPES.into_iter().zip([128, 64, 128, 64, 128]) {
            let (own, groups) = (latents(FormatId::T1, rows, cols), cols.div_ceil(group));
            let steps = Random(9).floats(rows * groups);
            let mut bytes: Vec<u8> = Random(8).floats(rows * cols).iter().flat_map(|x| x.to_le_bytes()).collect();
            if kind == 1 {
                bytes = bytes.chunks_exact(4).flat_map(|four| [four[2], four[3]]).collect();
            }
            let gradient = numbers(&mut bytes, kind);
            let mut seen: Option<Vec<u32>> = None;
            for kernels in available() {
                let (mut to_latents, mut to_scales) = (vec![f32::NAN; rows * cols], vec![f32::NAN; rows * groups]);
                let job = Split {
                    gradient,
                    latents: own.as_ptr(),
                    steps: steps.as_ptr(),
                    to_latents: to_latents.as_mut_ptr(),
                    to_scales: to_scales.as_mut_ptr(),
                    cols,
                    group,
                    range: (-1.0, 1.0),
                    margin: 0.5,
                    gain: 0.75,
                };
                for row in 0..rows {
                    unsafe { (kernels.split)(&job, row) };
                }
                let found: Vec<u32> = to_latents.iter().chain(&to_scales).map(|x| x.to_bits()).collect();
                assert!(to_latents.iter().chain(&to_scales).all(|x| x.is_finite()));
                assert!(*seen.get_or_insert_with(|| found.clone()) == found, "{}: {rows} × {cols}", kernels.name);
            }
        }
    }
}

#[test]
fn numbers_are_widened_and_narrowed() {
    let given = Random(4).floats(77);
    for kernels in available() {
        let mut bytes = vec![0u8; 2 * 80];
        let array = numbers(&mut bytes, 1);
        let mut back = vec![f32::NAN; 77];
        unsafe {
            (kernels.narrow)(given.as_ptr(), array, 3, 77);
            (kernels.widen)(array, 3, back.as_mut_ptr(), 77);
        }
        for (back, given) in back.iter().zip(&given) {
            assert!((back - given).abs() <= given.abs() / 256.0, "{}: {back} is not {given}", kernels.name);
        }
        let mut out = vec![0u8; 4 * 130];
        let (mut codes, mut scales, mut sums) = ([0i8; 130], [0.5f32, 2.0, 1.0], [0; 3]);
        (codes[0], codes[63], codes[64]) = (-127, 3, 100);
        let (codes, scales, sums) = (codes.as_mut_ptr(), scales.as_mut_ptr(), sums.as_mut_ptr());
        let room = Room { values: back.as_mut_ptr(), codes, scales, sums };
        unsafe { (kernels.values)(&room, 64, numbers(&mut out, 0), 0, 130) };
        let value = |i: usize| f32::from_le_bytes(out[4 * i..4 * i + 4].try_into().unwrap());
        assert_eq!([value(0), value(63), value(64), value(129)], [-63.5, 1.5, 200.0, 0.0]);
    }
}
