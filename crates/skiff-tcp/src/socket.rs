//! The one place that reads and writes sockets: where encryption will go.

use std::{future::Future, io, time::Duration};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::{
    net::{TcpStream, ToSocketAddrs},
    time::timeout,
};

use crate::{admission::Permit, preamble::PreambleError};

/// Bytes that the kernel holds without having sent them. What is beyond waits here, where it is
/// counted.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT: u32 = 128 << 10;

/// How connections are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// Not at all: anyone on the way can read and change what is said.
    #[default]
    Plain,
}

/// One socket that is connected.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// What an accepted one counts for, as long as it lives.
    _permit: Option<Permit>,
}

impl Socket {
    /// An accepted one.
    pub(crate) fn accepted(
        stream: TcpStream,
        security: Security,
        permit: Permit,
    ) -> io::Result<Self> {
        Self::new(stream, security, Some(permit))
    }

    /// Connects to `address` within `limit`.
    pub(crate) async fn dial(
        address: impl ToSocketAddrs,
        security: Security,
        limit: Duration,
    ) -> io::Result<Self> {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(stream) => Self::new(stream?, security, None),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the connect")),
        }
    }

    fn new(stream: TcpStream, security: Security, permit: Option<Permit>) -> io::Result<Self> {
        let Security::Plain = security;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_keepalive(true)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_notsent_lowat(NOT_SENT)?;
        Ok(Self { stream, _permit: permit })
    }

    /// Writes what goes at once; never waits.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    /// Reads what is there, at least one byte; never waits. An end is an error.
    pub(crate) fn try_read(&self, into: &mut BytesMut) -> io::Result<usize> {
        match self.stream.try_read_buf(into)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the other side")),
            bytes => Ok(bytes),
        }
    }

    pub(crate) fn writable(&self) -> impl Future<Output = io::Result<()>> {
        self.stream.writable()
    }

    pub(crate) fn readable(&self) -> impl Future<Output = io::Result<()>> {
        self.stream.readable()
    }

    /// Writes all of `bytes`.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.writable().await?;
            match self.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads exactly `LENGTH` bytes. Ends as soon as they do not begin as `magic`.
    pub(crate) async fn read<const LENGTH: usize>(&self, magic: &[u8]) -> io::Result<[u8; LENGTH]> {
        let mut bytes = [0; LENGTH];
        let mut read = 0;
        while read < LENGTH {
            self.readable().await?;
            match self.stream.try_read(&mut bytes[read..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let known = read.min(magic.len());
            if bytes[..known] != magic[..known] {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(bytes)
    }

    /// Waits until the other side goes away, or says something although it has to wait.
    pub(crate) async fn gone(&self) -> io::Error {
        loop {
            if let Err(error) = self.readable().await {
                return error;
            }
            match self.stream.try_read(&mut [0]) {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => return io::Error::other(PreambleError::Early),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return error,
            }
        }
    }

    /// Ends both directions now, whoever still holds the socket.
    pub(crate) fn shut(&self) {
        // It may be dead already, and then there is nothing left to end.
        let _ = SockRef::from(&self.stream).shutdown(std::net::Shutdown::Both);
    }
}
