//! The core, told anything in any order: messages with absurd terms and indices, disks and machines
//! that come late, errors, crashes. It breaks no invariant, does what each of its outputs promises,
//! and ends when it was asked something.

mod life;
mod store;

use bytes::Bytes;
use skiff_core::{Fault, Input, LogTime, Token};

use self::life::Life;
use crate::{
    said::{self, Around},
    source::Source,
};

/// One decision each; more make an input slow, not better.
const STEPS: usize = 400;
const MILLISECOND: u64 = 1_000_000;

/// The life of one node, from its beginning to its end.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    let mut life = Life::begin(&mut source);
    for _ in 0..STEPS {
        if source.is_empty() || life.is_over() {
            break;
        }
        act(&mut life, &mut source);
    }
    life.end();
}

fn act(life: &mut Life, source: &mut Source<'_>) {
    match source.pick(32) {
        0..12 => hear(life, source),
        12..15 => life.due(),
        15 => life.pass(u64::from(source.byte()) * 2 * MILLISECOND),
        16..20 => life.persist(),
        20 => life.refuse(),
        21..23 => life.apply(),
        23 => life.load(source),
        24..26 => {
            let command = Bytes::copy_from_slice(source.bytes(300));
            let time = LogTime(source.number());
            life.ask(|token| Input::Propose { token, command, time });
        }
        26 if source.flag() => {
            let to = source.flag().then(|| said::node(source));
            life.ask(|token| Input::TransferLeadership { token, to });
        }
        26 => life.ask(|token| Input::Read { token }),
        27 => life.cancel(Token(u64::from(source.byte()))),
        28 => life.step(Input::Unreachable { node: said::node(source) }),
        29 => life.step(Input::SetMembership { membership: said::membership(source) }),
        30 => life.restart(),
        _ => stray(life, source),
    }
}

fn hear(life: &mut Life, source: &mut Source<'_>) {
    let from = said::node(source);
    let (message, term) = {
        let raft = life.raft();
        let (now, last) = (raft.term(), raft.last().index);
        let term_at = |index| raft.term_at(index);
        let around = Around { term: now, last, term_at: &term_at };
        let term = match source.byte() {
            0..200 => now,
            200..225 => now.next(),
            _ => skiff_core::Term(source.near(now.0)),
        };
        (said::message(source, &around), term)
    };
    life.step(Input::Message { from, term, message });
}

/// What nobody was asked for: answers about writes, loads and batches that never were.
fn stray(life: &mut Life, source: &mut Source<'_>) {
    let number = source.number();
    match source.pick(3) {
        // Only what cannot be the outstanding one: nobody lies about that.
        0 => life.step(Input::Loaded {
            load: skiff_core::LoadId((1 << 40) + number % 16),
            result: Err(skiff_core::LoadError::Failed),
        }),
        1 => life.step(Input::Fault(Fault::WriteRefused {
            write: skiff_core::WriteId((1 << 40) + number % 16),
        })),
        _ => life.step(Input::Timeout),
    }
}
