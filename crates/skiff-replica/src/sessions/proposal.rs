//! What is to be appended for a caller, and the entries of sessions.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use skiff_core::{Input, LogTime, Token};
use skiff_transport::{Ask, SessionAsk};

use super::SessionId;
use crate::{machine::Malformed, settings::Settings};

const MILLISECOND: u64 = 1_000_000;
/// A session lives no longer than this without being used, a day: none makes way for another, so whoever
/// begins many and goes away must not keep their places for good.
const LONGEST: u64 = 24 * 3_600_000 * MILLISECOND;

/// What a caller wants appended to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// A command, as it is: tried twice, it is executed twice.
    Command(Bytes),
    /// Something of a session.
    Session(SessionAsk),
}

impl Proposal {
    /// How many bytes it has, about.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Command(command) => command.len(),
            Self::Session(SessionAsk::Command { command, .. }) => HEAD + command.len(),
            Self::Session(SessionAsk::Begin { .. } | SessionAsk::End { .. }) => HEAD,
        }
    }

    /// The machine's own part of it, if it has one.
    #[must_use]
    pub const fn command(&self) -> Option<&Bytes> {
        match self {
            Self::Command(command) | Self::Session(SessionAsk::Command { command, .. }) => {
                Some(command)
            }
            Self::Session(SessionAsk::Begin { .. } | SessionAsk::End { .. }) => None,
        }
    }
}

impl Proposal {
    /// What the leader's core is given: with what only the leader knows.
    pub(crate) fn into_input(self, token: Token, time: LogTime, settings: &Settings) -> Input {
        let ask = match self {
            Self::Command(command) => return Input::Propose { token, command, time },
            Self::Session(ask) => ask,
        };
        let entry = match ask {
            SessionAsk::Begin { timeout_ms } => SessionEntry::Begin {
                timeout: timeout_ms.saturating_mul(MILLISECOND).clamp(MILLISECOND, LONGEST),
                limits: Limits { sessions: settings.sessions_max, bytes: settings.sessions_bytes },
            },
            SessionAsk::Command { session, number, command } => {
                SessionEntry::Command { session: SessionId(session), number, command }
            }
            SessionAsk::End { session } => SessionEntry::End { session: SessionId(session) },
        };
        Input::ProposeInSession { token, content: entry.encode(), time }
    }
}

impl From<Proposal> for Ask {
    fn from(proposal: Proposal) -> Self {
        match proposal {
            Proposal::Command(command) => Self::Command(command),
            Proposal::Session(ask) => Self::Session(ask),
        }
    }
}

/// At most so many sessions, and so many bytes of responses. The leader's own stand in each entry that
/// begins a session, so that all nodes keep to the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// So many sessions.
    pub sessions: u64,
    /// So many bytes of responses.
    pub bytes: u64,
}

/// The content of an entry of the kind `session`: a number for what it is, and its parts, all
/// little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEntry {
    /// Begins a session, which this entry names.
    Begin {
        /// How long it lives without being used, in nanoseconds of the log's time.
        timeout: u64,
        /// What the leader lets there be.
        limits: Limits,
    },
    /// A command in a session.
    Command {
        /// The session.
        session: SessionId,
        /// Its number there.
        number: u64,
        /// The command.
        command: Bytes,
    },
    /// Ends a session.
    End {
        /// The session.
        session: SessionId,
    },
}

const BEGIN: u8 = 1;
const COMMAND: u8 = 2;
const END: u8 = 3;
/// What stands before a command.
const HEAD: usize = 17;

impl SessionEntry {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Begin { timeout, limits } => {
                out.put_u8(BEGIN);
                out.put_u64_le(*timeout);
                out.put_u64_le(limits.sessions);
                out.put_u64_le(limits.bytes);
            }
            Self::Command { session, number, command } => {
                out.reserve(HEAD + command.len());
                out.put_u8(COMMAND);
                out.put_u64_le(session.0);
                out.put_u64_le(*number);
                out.put_slice(command);
            }
            Self::End { session } => {
                out.put_u8(END);
                out.put_u64_le(session.0);
            }
        }
        out.freeze()
    }

    /// What these bytes are, all of them.
    ///
    /// # Errors
    ///
    /// If they are no such entry.
    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut from = bytes.clone();
        let entry = take(&mut from).ok_or_else(|| Malformed::new("a session's entry is short"))?;
        match entry {
            Some(Self::Command { session, number, .. }) => {
                Ok(Self::Command { session, number, command: from })
            }
            Some(entry) if from.is_empty() => Ok(entry),
            Some(_) => Err(Malformed::new("a session's entry is too long")),
            None => Err(Malformed::new("a session's entry is of a kind that is not known")),
        }
    }
}

/// The parts in front; nothing in `Some` if the kind is not known.
fn take(from: &mut Bytes) -> Option<Option<SessionEntry>> {
    let kind = from.try_get_u8().ok()?;
    let mut number = || from.try_get_u64_le().ok();
    Some(Some(match kind {
        BEGIN => {
            let timeout = number()?;
            let limits = Limits { sessions: number()?, bytes: number()? };
            SessionEntry::Begin { timeout, limits }
        }
        COMMAND => {
            let session = SessionId(number()?);
            SessionEntry::Command { session, number: number()?, command: Bytes::new() }
        }
        END => SessionEntry::End { session: SessionId(number()?) },
        _ => return Some(None),
    }))
}
