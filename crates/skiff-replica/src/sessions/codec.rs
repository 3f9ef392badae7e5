//! The tables as bytes: the same tables give the same bytes on all nodes.

use std::io::Read;

use bytes::{Buf, BufMut, Bytes};
use skiff_core::LogTime;

use super::{Kept, Limits, Session, SessionId, Sessions};
use crate::machine::Malformed;

/// The format.
const VERSION: u8 = 1;
const LOST: u8 = 0;
const RESPONSE: u8 = 1;

impl Sessions {
    /// Their bytes: a version, the limits, how many there are, and each in ascending order. All numbers
    /// are little-endian.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_u8(VERSION);
        out.put_u64_le(self.limits.sessions);
        out.put_u64_le(self.limits.bytes);
        out.put_u64_le(self.sessions.len() as u64);
        for (id, session) in &self.sessions {
            for number in [id.0, session.timeout, session.used.0, session.number] {
                out.put_u64_le(number);
            }
            match &session.response {
                Kept::Lost => out.put_u8(LOST),
                Kept::Response(response) => {
                    out.put_u8(RESPONSE);
                    out.put_u64_le(response.len() as u64);
                    out.put_slice(response);
                }
            }
        }
        out.into()
    }

    /// The tables that these bytes are, all of them. No bytes at all are no sessions.
    ///
    /// # Errors
    ///
    /// If they are not exactly that, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut from = bytes;
        let version = from.try_get_u8().unwrap_or_default();
        if version != VERSION {
            return Err(Malformed::new(format!(
                "the sessions have version {version}, this version of skiff knows {VERSION}"
            )));
        }
        let all = Self::take(&mut from).filter(|_| from.is_empty());
        all.ok_or_else(|| Malformed::new("the sessions are cut short, too long or out of order"))
    }

    /// What stands before a machine's state in every snapshot but the one that a cluster begins with: how
    /// many bytes (8) the sessions have, and those.
    #[must_use]
    pub fn head(&self) -> Bytes {
        let sessions = self.encode();
        let mut out = Vec::with_capacity(8 + sessions.len());
        out.put_u64_le(sessions.len() as u64);
        out.put_slice(&sessions);
        out.into()
    }

    /// Reads the [head](Self::head) of a snapshot; what is left is the machine's.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn read_head(from: &mut dyn Read) -> Result<Self, Malformed> {
        let mut length = [0; 8];
        from.read_exact(&mut length).map_err(Malformed::new)?;
        let length = u64::from_le_bytes(length);
        let mut sessions = Vec::new();
        let read = from.take(length).read_to_end(&mut sessions).map_err(Malformed::new)?;
        if read as u64 != length {
            return Err(Malformed::new("the sessions in a snapshot are cut short"));
        }
        Self::decode(&sessions)
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut number = || from.try_get_u64_le().ok();
        let limits = Limits { sessions: number()?, bytes: number()? };
        let count = number()?;
        let mut all = Self { limits, ..Self::default() };
        for _ in 0..count {
            let (id, session) = take_session(from)?;
            if all.sessions.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return None;
            }
            all.by_age.insert((session.ends(), id));
            all.bytes += session.response.size();
            all.sessions.insert(id, session);
        }
        Some(all)
    }
}

fn take_session(from: &mut &[u8]) -> Option<(SessionId, Session)> {
    let mut number = || from.try_get_u64_le().ok();
    let (id, timeout) = (SessionId(number()?), number()?);
    let (used, last) = (LogTime(number()?), number()?);
    let response = match from.try_get_u8().ok()? {
        LOST => Kept::Lost,
        RESPONSE => {
            let length = usize::try_from(from.try_get_u64_le().ok()?).ok()?;
            let (response, rest) = from.split_at_checked(length)?;
            *from = rest;
            Kept::Response(Bytes::copy_from_slice(response))
        }
        _ => return None,
    };
    Some((id, Session { timeout, used, number: last, response }))
}
