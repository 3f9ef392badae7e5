//! What arrives at a socket is taken apart into frames: the same whichever way it was cut, no more
//! than arrived, in memory that does not follow what a header claims.

use bytes::Bytes;
use skiff_tcp::fuzzing::{Arriving, HEADER, frame, header};

use crate::{said, source::Source};

/// No frame may be longer.
const LIMIT: usize = 64 << 10;
/// Room that may be kept whatever arrives: what is read at once, at most.
const ROOM: usize = 256 << 10;

/// Feeds frames, whole and damaged, to the decoder, in pieces.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    let cuts: [u8; 4] = source.array();
    let sent = match source.pick(4) {
        0 => source.rest().to_vec(),
        1 => framed(&mut source),
        2 => damaged(&mut source),
        _ => envelopes(&mut source),
    };
    let whole = arrive(&sent, |_| sent.len());
    let pieces = arrive(&sent, |at| usize::from(cuts[at % cuts.len()]) + 1);
    assert_eq!(whole, pieces, "how it is cut changes what arrives");
    let payloads: Vec<u8> =
        whole.0.iter().flat_map(|payload| [&header(payload)[..], payload].concat()).collect();
    assert!(sent.starts_with(&payloads), "what came out is not what went in");
    match whole.1 {
        Some(_) => assert!(sent.len() >= payloads.len() + HEADER, "refused without a header"),
        None => assert!(sent.len() - payloads.len() < HEADER + LIMIT, "a whole frame is left"),
    }
}

/// What comes out of `sent`, cut as `piece` says, and why nothing more.
fn arrive(sent: &[u8], piece: impl Fn(usize) -> usize) -> (Vec<Bytes>, Option<String>) {
    let mut arriving = Arriving::new(LIMIT);
    let (mut payloads, mut rest, mut arrived) = (Vec::new(), sent, 0);
    for at in 0.. {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(piece(at).min(rest.len()));
        let room = arriving.take(now);
        (rest, arrived) = (later, arrived + now.len());
        // A buffer that grows may be twice as large as what is in it.
        assert!(room <= 2 * arrived + 2 * ROOM, "room for {room} bytes, {arrived} have arrived");
        loop {
            match arriving.next_payload() {
                Ok(Some(payload)) => {
                    assert!(payload.len() <= LIMIT);
                    payloads.push(payload);
                }
                Ok(None) => break,
                Err(error) => return (payloads, Some(error)),
            }
        }
    }
    (payloads, None)
}

/// Any payloads in sound frames, the last one perhaps not whole.
fn framed(source: &mut Source<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    while !source.is_empty() {
        let payload = source.bytes(LIMIT);
        out.extend(header(payload));
        out.extend(payload);
    }
    out
}

/// Sound frames in which some bytes are other ones.
fn damaged(source: &mut Source<'_>) -> Vec<u8> {
    let damage = source.list(4, |source| (source.short(), source.byte()));
    let mut out = framed(source);
    for (at, with) in damage {
        let length = out.len().max(1);
        if let Some(byte) = out.get_mut(usize::from(at) % length) {
            *byte ^= with;
        }
    }
    out
}

fn envelopes(source: &mut Source<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    while !source.is_empty() {
        if let Some(frame) = frame(&said::envelope(source), LIMIT) {
            out.extend(frame);
        }
    }
    out
}
