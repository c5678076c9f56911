//! Frames: the one mechanism that compresses.
//!
//! Invariant: decoding never allocates more than [`MAX_RAW`] for a frame, and never yields another length than the
//! header promises.

use std::cell::RefCell;
use std::io;

use xxhash_rust::xxh3::xxh3_64;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, compress_bound, find_frame_compressed_size, get_error_name,
};

use super::id::BlobId;

/// The most bytes a frame may decode to, and so the longest blob.
pub(super) const MAX_RAW: u32 = 64 << 20;
/// The deepest chain of patches a reader follows.
pub(super) const MAX_DEPTH: u8 = 64;
/// The most blobs a frame can count.
pub(super) const MAX_BLOBS: usize = u16::MAX as usize;
/// The longest a stored frame may be: compression of noise adds a little.
pub(super) const MAX_STORED: u32 = MAX_RAW + (1 << 20);

const FIXED: usize = 16;
const BASE: usize = 32;

/// How the payload of a frame is stored. Other numbers are left for later versions.
pub(super) mod codec {
    /// The blobs themselves.
    pub(in crate::store) const RAW: u8 = 0;
    /// One zstd frame over all blobs.
    pub(in crate::store) const SOLID: u8 = 1;
    /// One zstd frame over one blob with another blob as its prefix.
    pub(in crate::store) const PATCH: u8 = 2;
}

/// What stands before the payload of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) codec: u8,
    /// How many frames must be decoded before this one.
    pub(super) depth: u8,
    pub(super) blobs: u16,
    pub(super) raw_len: u32,
    check: u64,
    /// The blob that a patch is applied to.
    pub(super) base: Option<BlobId>,
}

/// Why a frame cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame ends too early")]
    Truncated,
    #[error("a frame has the unknown codec {0}")]
    UnknownCodec(u8),
    #[error("a frame has the absurd length {0}")]
    AbsurdLength(u32),
    #[error("a frame has the absurd depth {0}")]
    AbsurdDepth(u8),
    #[error("a patch is not of one blob")]
    SharedPatch,
    #[error("the checksum of a frame does not match")]
    Checksum,
    #[error("a frame does not decompress: {0}")]
    Zstd(&'static str),
    #[error("a frame decompresses to another length than it says")]
    Length,
    #[error("a patch has no base")]
    NoBase,
}

impl FrameHeader {
    /// Splits a stored frame into header and payload, and checks the payload against the checksum.
    pub(super) fn parse(frame: &[u8]) -> Result<(Self, &[u8]), FrameError> {
        let (fixed, mut rest) = frame
            .split_first_chunk::<FIXED>()
            .ok_or(FrameError::Truncated)?;
        let [codec, depth, blobs @ .., _, _, _, _, _, _, _, _, _, _, _, _] = *fixed;
        let mut header = Self {
            codec,
            depth,
            blobs: u16::from_le_bytes(blobs),
            raw_len: u32::from_le_bytes(array(&fixed[4..8])),
            check: u64::from_le_bytes(array(&fixed[8..16])),
            base: None,
        };
        match codec {
            codec::RAW | codec::SOLID => {}
            codec::PATCH => {
                let (base, payload) = rest
                    .split_first_chunk::<BASE>()
                    .ok_or(FrameError::Truncated)?;
                header.base = Some(BlobId::from_bytes(*base));
                rest = payload;
            }
            unknown => return Err(FrameError::UnknownCodec(unknown)),
        }
        if header.raw_len > MAX_RAW {
            return Err(FrameError::AbsurdLength(header.raw_len));
        }
        if codec == codec::PATCH && header.blobs != 1 {
            return Err(FrameError::SharedPatch);
        }
        if depth > MAX_DEPTH || (depth == 0) != header.base.is_none() {
            return Err(FrameError::AbsurdDepth(depth));
        }
        if xxh3_64(rest) != header.check {
            return Err(FrameError::Checksum);
        }
        Ok((header, rest))
    }

    /// The raw bytes of the payload. `base` is the blob that the header names.
    pub(super) fn decode(
        &self,
        payload: &[u8],
        base: Option<&[u8]>,
    ) -> Result<Vec<u8>, FrameError> {
        let len = self.raw_len as usize;
        let raw = match self.codec {
            codec::RAW => payload.to_vec(),
            codec::SOLID => decompress(payload, len, None)?,
            codec::PATCH => decompress(payload, len, Some(base.ok_or(FrameError::NoBase)?))?,
            unknown => return Err(FrameError::UnknownCodec(unknown)),
        };
        if raw.len() == len {
            Ok(raw)
        } else {
            Err(FrameError::Length)
        }
    }

    pub(super) fn stored(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(FIXED + BASE + payload.len());
        frame.extend([self.codec, self.depth]);
        frame.extend(self.blobs.to_le_bytes());
        frame.extend(self.raw_len.to_le_bytes());
        frame.extend(self.check.to_le_bytes());
        if let Some(base) = &self.base {
            frame.extend(base.as_bytes());
        }
        frame.extend(payload);
        frame
    }
}

/// A frame ready to be appended to a pack.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) header: FrameHeader,
    pub(super) bytes: Vec<u8>,
}

/// Compresses frames, reusing zstd's memory.
pub(super) struct Encoder {
    solid: zstd::bulk::Compressor<'static>,
}

impl Encoder {
    pub(super) fn new() -> io::Result<Self> {
        let solid = zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
        Ok(Self { solid })
    }

    /// Encodes `blobs` blobs that lie one after the other in `raw`; as they are when zstd saves less than 3 %.
    pub(super) fn encode(&mut self, level: i32, raw: &[u8], blobs: u16) -> io::Result<Encoded> {
        self.solid.set_compression_level(level)?;
        let compressed = self.solid.compress(raw)?;
        let worth_it = compressed.len() < raw.len() - raw.len() / 32;
        let (codec, payload) = if worth_it {
            (codec::SOLID, compressed.as_slice())
        } else {
            (codec::RAW, raw)
        };
        Ok(encoded(codec, 0, blobs, raw.len(), None, payload))
    }
}

/// Encodes one blob as a patch to `base`, whose own frame has the depth before `depth`.
pub(super) fn encode_patch(
    level: i32,
    raw: &[u8],
    (base_id, base): (BlobId, &[u8]),
    depth: u8,
) -> io::Result<Encoded> {
    let window = (raw.len() + base.len())
        .next_power_of_two()
        .ilog2()
        .clamp(10, 27);
    let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    let mut payload = Vec::with_capacity(compress_bound(raw.len()));
    context
        .set_parameter(CParameter::CompressionLevel(level))
        .and_then(|_| context.set_parameter(CParameter::WindowLog(window)))
        .and_then(|_| context.ref_prefix(base))
        .and_then(|_| context.compress2(&mut payload, raw))
        .map_err(|code| io::Error::other(get_error_name(code)))?;
    Ok(encoded(
        codec::PATCH,
        depth,
        1,
        raw.len(),
        Some(base_id),
        &payload,
    ))
}

fn encoded(
    codec: u8,
    depth: u8,
    blobs: u16,
    raw_len: usize,
    base: Option<BlobId>,
    payload: &[u8],
) -> Encoded {
    let header = FrameHeader {
        codec,
        depth,
        blobs,
        raw_len: u32::try_from(raw_len).expect("blobs longer than MAX_RAW are refused"),
        check: xxh3_64(payload),
        base,
    };
    Encoded {
        header,
        bytes: header.stored(payload),
    }
}

/// Decompresses to at most `len` bytes: zstd stops with an error where the buffer ends.
pub(super) fn decompress(
    payload: &[u8],
    len: usize,
    prefix: Option<&[u8]>,
) -> Result<Vec<u8>, FrameError> {
    let zstd = |code| FrameError::Zstd(get_error_name(code));
    // zstd itself would go on with what lies behind.
    if find_frame_compressed_size(payload).map_err(zstd)? != payload.len() {
        return Err(FrameError::Zstd("there is more than one zstd frame"));
    }
    let mut raw = Vec::with_capacity(len);
    let out_of_memory = FrameError::Zstd("out of memory");
    match prefix {
        Some(prefix) if prefix.starts_with(&DICTIONARY) => {
            let mut context = DCtx::try_create().ok_or(out_of_memory)?;
            context.ref_prefix(prefix).map_err(zstd)?;
            context.decompress(&mut raw, payload).map_err(zstd)?;
        }
        // Making a context takes longer than decoding most patches. The one of the thread cannot borrow a prefix, but
        // what does not look like a dictionary is a prefix when it is given as one.
        prefix => CONTEXT.with_borrow_mut(|context| {
            let context = context.as_mut().ok_or(out_of_memory)?;
            let prefix = prefix.unwrap_or_default();
            let decoded = context.decompress_using_dict(&mut raw, payload, prefix);
            decoded.map(drop).map_err(zstd)
        })?,
    }
    Ok(raw)
}

/// How zstd knows a dictionary.
const DICTIONARY: [u8; 4] = 0xEC30_A437_u32.to_le_bytes();

thread_local! {
    static CONTEXT: RefCell<Option<DCtx<'static>>> = RefCell::new(DCtx::try_create());
}

pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cut N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_that_looks_like_a_dictionary_is_a_prefix_like_any_other() {
        let base = [&DICTIONARY[..], &text(3, 300)].concat();
        let new = [&base[..], b"and more"].concat();
        let patch = encode_patch(3, &new, (BlobId::of(&base), &base), 1).unwrap();
        assert!(patch.bytes.len() < 200);
        let (header, payload) = FrameHeader::parse(&patch.bytes).unwrap();
        assert_eq!(header.decode(payload, Some(&base)).unwrap(), new);
    }

    #[test]
    fn two_zstd_frames_are_not_one_and_a_patch_of_two_blobs_is_refused() {
        let frame = zstd::bulk::compress(b"one", 3).unwrap();
        let two = [&frame[..], &frame].concat();
        assert_eq!(decompress(&frame, 3, None).unwrap(), b"one");
        assert!(decompress(&two, 6, None).is_err());
        let base = text(1, 100);
        let mut patch = encode_patch(3, &base, (BlobId::of(b"b"), &base), 1)
            .unwrap()
            .bytes;
        patch[2] = 2;
        let refused = FrameHeader::parse(&patch).unwrap_err();
        assert!(matches!(refused, FrameError::SharedPatch));
    }

    fn text(seed: u32, lines: u32) -> Vec<u8> {
        (0..lines)
            .flat_map(|n| {
                format!("df{n} = spark.table('t{}')\n", n.wrapping_mul(seed)).into_bytes()
            })
            .collect()
    }

    fn solid(raw: &[u8]) -> Encoded {
        Encoder::new().unwrap().encode(3, raw, 1).unwrap()
    }

    #[test]
    fn text_is_compressed_and_noise_is_kept_as_it_is() {
        let raw = text(7, 300);
        let frame = solid(&raw);
        assert_eq!(frame.header.codec, codec::SOLID);
        assert!(frame.bytes.len() < raw.len() / 2);

        let mut noise = vec![0; 5000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let frame = solid(&noise);
        assert_eq!(frame.header.codec, codec::RAW);
        let (header, payload) = FrameHeader::parse(&frame.bytes).unwrap();
        assert_eq!(header.decode(payload, None).unwrap(), noise);
    }

    #[test]
    fn a_patch_is_tiny_and_needs_its_base() {
        let base = text(7, 300);
        let mut raw = base.clone();
        raw.splice(2000..2000, *b"# a new line\n");
        let frame = encode_patch(3, &raw, (BlobId::of(&base), &base), 1).unwrap();
        assert!(frame.bytes.len() < 120, "{} bytes", frame.bytes.len());
        let (header, payload) = FrameHeader::parse(&frame.bytes).unwrap();
        assert_eq!(header, frame.header);
        assert_eq!(header.decode(payload, Some(&base)).unwrap(), raw);
        assert!(matches!(
            header.decode(payload, None),
            Err(FrameError::NoBase)
        ));
    }

    #[test]
    fn a_base_that_looks_like_a_dictionary_is_still_only_bytes() {
        let mut base = 0xEC30_A437_u32.to_le_bytes().to_vec();
        base.extend(text(3, 50));
        let raw = [base.as_slice(), b"more"].concat();
        let frame = encode_patch(3, &raw, (BlobId::of(&base), &base), 1).unwrap();
        let (header, payload) = FrameHeader::parse(&frame.bytes).unwrap();
        assert_eq!(header.decode(payload, Some(&base)).unwrap(), raw);
    }

    #[test]
    fn a_bomb_is_stopped_at_the_length_it_claims() {
        let bomb = zstd::bulk::compress(&vec![0; 10 << 20], 3).unwrap();
        let frame = encoded(codec::SOLID, 0, 1, 1000, None, &bomb);
        let (header, payload) = FrameHeader::parse(&frame.bytes).unwrap();
        assert!(matches!(
            header.decode(payload, None),
            Err(FrameError::Zstd(_))
        ));
    }

    #[test]
    fn absurd_headers_are_refused() {
        let good = solid(&text(1, 50)).bytes;
        let with = |at: usize, byte: u8| {
            let mut frame = good.clone();
            frame[at] = byte;
            FrameHeader::parse(&frame).unwrap_err()
        };
        assert!(matches!(with(0, 3), FrameError::UnknownCodec(3)));
        assert!(matches!(with(1, 1), FrameError::AbsurdDepth(1)));
        assert!(matches!(with(7, 0xff), FrameError::AbsurdLength(_)));
        assert!(matches!(with(8, !good[8]), FrameError::Checksum));
        for len in 0..good.len() {
            assert!(FrameHeader::parse(&good[..len]).is_err());
        }
    }
}
