//! A connection as long as it holds: three sockets, each with a reader and a writer, and one that
//! watches whether the other side lives.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use skiff_transport::{
    Envelope, NotSent, Signal,
    wire::{self, WireError},
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    frame::{FrameError, Frames},
    outbox::{Outbox, Progress},
    preamble::Lane,
    settings::Settings,
    socket::Socket,
};

/// A sign of life is sent, and looked for, so many times within the idle timeout.
const LOOKS: u32 = 4;

/// When one socket has ended, what is left is read for so long at most.
const LINGER: Duration = Duration::from_millis(50);

/// Where a link tells what it receives.
pub(crate) trait Receiver: Send + Sync + 'static {
    fn tell(&self, signal: Signal);

    /// The other side sent something of a kind that this version does not know.
    fn unknown(&self, error: &WireError);
}

/// Why a link ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Io(io::Error),
    Frame(FrameError),
    Envelope(WireError),
    /// The other side was not heard for the idle timeout.
    Silent,
    /// The other side took nothing for the idle timeout.
    Stalled,
    /// A part of it panicked.
    Broken,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Frame(error) => write!(f, "it sent {error}"),
            Self::Envelope(error) => write!(f, "it sent what cannot be read: {error}"),
            Self::Silent => f.write_str("nothing was heard of it for too long"),
            Self::Stalled => f.write_str("it took nothing of what waited for it for too long"),
            Self::Broken => f.write_str("a task of the connection panicked"),
        }
    }
}

/// One of the sockets.
#[derive(Debug)]
struct Strand {
    socket: Socket,
    outbox: Outbox,
    /// How many times something was read.
    heard: AtomicU64,
}

impl Strand {
    fn new(socket: Socket) -> Self {
        Self { socket, outbox: Outbox::default(), heard: AtomicU64::new(0) }
    }
}

/// The sockets of a connection, one for each lane.
#[derive(Debug)]
pub(crate) struct Link {
    strands: [Strand; Lane::ALL.len()],
}

impl Link {
    /// Of these sockets, in the order of [`Lane::ALL`].
    pub(crate) fn new(sockets: [Socket; Lane::ALL.len()]) -> Arc<Self> {
        Arc::new(Self { strands: sockets.map(Strand::new) })
    }

    const fn strand(&self, lane: Lane) -> &Strand {
        &self.strands[lane.place()]
    }

    pub(crate) fn send(&self, envelope: &Envelope, settings: &Settings) -> Result<(), NotSent> {
        self.strand(Lane::of(envelope)).outbox.send(envelope, settings)
    }

    /// Carries what is sent and received until it ends. When this returns, or is dropped, nothing
    /// is told any more.
    pub(crate) async fn run(
        self: &Arc<Self>,
        to: &Arc<impl Receiver>,
        settings: &Arc<Settings>,
    ) -> Ended {
        let mut parts = JoinSet::new();
        let greeted = CancellationToken::new();
        for lane in Lane::ALL {
            let (link, to, limit) = (self.clone(), to.clone(), settings.max_frame);
            let turn = match lane {
                Lane::Control => Turn::First(greeted.clone()),
                Lane::Bulk | Lane::Snapshots => {
                    Turn::Second(greeted.clone(), settings.idle_timeout / 2)
                }
            };
            parts.spawn(
                async move { (Part::Reader, link.strand(lane).read(&*to, limit, turn).await) },
            );
            let link = self.clone();
            parts.spawn(async move {
                let strand = link.strand(lane);
                (Part::Other, Ended::Io(strand.outbox.write_to(&strand.socket).await))
            });
        }
        let (link, settings) = (self.clone(), settings.clone());
        parts.spawn(async move { (Part::Other, link.watch(&settings).await) });
        let ended = match parts.join_next().await {
            Some(Ok((part, Ended::Io(error)))) => {
                // What the other side said last may still be there to be read.
                let ended = usize::from(part == Part::Reader);
                let readers = Lane::ALL.len() - ended;
                let _ = timeout(LINGER, readers_end(readers, &mut parts)).await;
                Ended::Io(error)
            }
            Some(Ok((_, ended))) => ended,
            _ => Ended::Broken,
        };
        parts.shutdown().await;
        ended
    }

    /// Says what is left to say and ends the sockets, whoever still holds them; one that the writer
    /// is busy with ends when the writer does.
    pub(crate) fn shut(&self) {
        for strand in &self.strands {
            if strand.outbox.last_words(&strand.socket) {
                strand.socket.shut();
            }
        }
    }

    /// Gives signs of life and looks for those of the other side. It counts its own looks and not
    /// the time: a pause of this process is no silence of the other.
    async fn watch(&self, settings: &Settings) -> Ended {
        let mut looks = tokio::time::interval(settings.idle_timeout / LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watched = self.strands.each_ref().map(Watched::new);
        loop {
            looks.tick().await;
            for one in &mut watched {
                if let Some(ended) = one.look() {
                    return ended;
                }
            }
        }
    }
}

/// The tasks of a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Reader,
    Other,
}

/// Waits until as many readers have ended.
async fn readers_end(mut readers: usize, parts: &mut JoinSet<(Part, Ended)>) {
    while readers > 0 {
        match parts.join_next().await {
            Some(Ok((Part::Reader, _))) => readers -= 1,
            Some(Ok((Part::Other, _))) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// In which order the sockets begin to tell: what is said first, who it is that speaks, goes by
/// control, and must not be overtaken.
enum Turn {
    First(CancellationToken),
    /// But it waits no longer than this.
    Second(CancellationToken, Duration),
}

impl Strand {
    async fn read(&self, to: &impl Receiver, limit: usize, turn: Turn) -> Ended {
        let mut frames = Frames::new(limit);
        let mut turn = Some(turn);
        loop {
            match self.socket.try_read(frames.room()) {
                Ok(bytes) => {
                    frames.took(bytes);
                    self.heard.fetch_add(1, Ordering::Relaxed);
                    if let Err(ended) = deliver(&mut frames, to, &mut turn).await {
                        return ended;
                    }
                    // One busy connection does not keep a worker from the others.
                    tokio::task::coop::consume_budget().await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Err(error) = self.socket.readable().await {
                        return Ended::Io(error);
                    }
                }
                Err(error) => return Ended::Io(error),
            }
        }
    }
}

/// Tells everything that has arrived as a whole; the first of it when it is its turn.
async fn deliver(
    frames: &mut Frames,
    to: &impl Receiver,
    turn: &mut Option<Turn>,
) -> Result<(), Ended> {
    while let Some(payload) = frames.next().map_err(Ended::Frame)? {
        if payload.is_empty() {
            continue;
        }
        let decoded = wire::decode(payload);
        let turn = turn.take();
        if let (Ok(_), Some(Turn::Second(other, most))) = (&decoded, &turn) {
            let _ = timeout(*most, other.cancelled()).await;
        }
        match decoded {
            Ok(envelope) => to.tell(Signal::Received(envelope)),
            Err(error) if error.is_unknown() => to.unknown(&error),
            Err(error) => return Err(Ended::Envelope(error)),
        }
        if let Some(Turn::First(other)) = turn {
            other.cancel();
        }
    }
    Ok(())
}

/// What was last seen of one socket.
struct Watched<'a> {
    strand: &'a Strand,
    heard: u64,
    quiet: u32,
    progress: Progress,
    stuck: u32,
}

impl<'a> Watched<'a> {
    fn new(strand: &'a Strand) -> Self {
        Self { strand, heard: 0, quiet: 0, progress: Progress::default(), stuck: 0 }
    }

    fn look(&mut self) -> Option<Ended> {
        let heard = self.strand.heard.load(Ordering::Relaxed);
        self.quiet = if heard == self.heard { self.quiet + 1 } else { 0 };
        self.heard = heard;
        let progress = self.strand.outbox.progress();
        let moved = progress.unsent == 0 || progress.written != self.progress.written;
        self.stuck = if moved { 0 } else { self.stuck + 1 };
        if progress.written == self.progress.written {
            self.strand.outbox.ping();
        }
        self.progress = progress;
        if self.quiet > LOOKS {
            return Some(Ended::Silent);
        }
        (self.stuck > LOOKS).then_some(Ended::Stalled)
    }
}
