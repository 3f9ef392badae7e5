//! What a command costs at least on this machine, measured in the same run.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::Path,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// As many files are synced at once as there are nodes.
const FILES: usize = 3;
/// What one small command takes in the log.
const WRITE: usize = 512;
const FILE: usize = 4 << 20;
const SYNCS: usize = 400;
const ROUND_TRIPS: usize = 2_000;
/// What a small command takes on the wire.
const FRAME: usize = 128;
const WAKES: usize = 100_000;

/// One `fdatasync` while three files are synced at once, and one round trip over loopback: what one
/// caller has to wait for at least.
pub(crate) fn of_a_durable_command(folder: &Path) -> Result<Duration, Failure> {
    Ok(of_a_sync(folder)? + of_a_round_trip()?)
}

fn of_a_sync(folder: &Path) -> Result<Duration, Failure> {
    let folder = tempfile::Builder::new().prefix("floor-").tempdir_in(folder)?;
    let files: Vec<File> = (0..FILES)
        .map(|number| zeroed(&folder.path().join(number.to_string())))
        .collect::<Result<_, _>>()?;
    let together = Barrier::new(FILES);
    let spans = thread::scope(|scope| {
        let writers: Vec<_> =
            files.iter().map(|file| scope.spawn(|| keep_syncing(file, &together))).collect();
        writers.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let mut all = Vec::new();
    for of_one in spans {
        all.extend(of_one.map_err(|_| Failure::failed("a thread that measures syncs panicked"))??);
    }
    Ok(median(all))
}

/// A file that is all zeros and all on disk: overwriting it changes nothing but its contents.
fn zeroed(path: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
    file.write_all(&vec![0; FILE])?;
    file.sync_all()?;
    Ok(file)
}

fn keep_syncing(file: &File, together: &Barrier) -> io::Result<Vec<Duration>> {
    let block = [7; WRITE];
    let mut spans = Vec::with_capacity(SYNCS);
    for number in 0..SYNCS {
        together.wait();
        let began = Instant::now();
        let written = file.write_all_at(&block, (number * WRITE) as u64);
        let synced = written.and_then(|()| file.sync_data());
        spans.push(began.elapsed());
        if synced.is_err() {
            // The others would wait for this one at the barrier; let them come to their end.
            for _ in number + 1..SYNCS {
                together.wait();
            }
            return synced.map(|()| spans);
        }
    }
    Ok(spans)
}

pub(crate) fn of_a_round_trip() -> io::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut frame = [0; FRAME];
        // Ends with the other side.
        while far.read_exact(&mut frame).and_then(|()| far.write_all(&frame)).is_ok() {}
    });
    let mut spans = Vec::with_capacity(ROUND_TRIPS);
    let mut frame = [7; FRAME];
    for _ in 0..ROUND_TRIPS {
        let began = Instant::now();
        near.write_all(&frame)?;
        near.read_exact(&mut frame)?;
        spans.push(began.elapsed());
    }
    drop(near);
    let _ended = echo.join();
    Ok(median(spans))
}

/// One task asks another and waits for its answer: what a command in memory costs at least.
pub(crate) async fn of_a_wake() -> Result<Duration, Failure> {
    let (ask, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let echo = tokio::spawn(async move {
        while let Some(answer) = asked.recv().await {
            let _gone = answer.send(());
        }
    });
    let mut spans = Vec::with_capacity(WAKES);
    for _ in 0..WAKES {
        let began = Instant::now();
        let (reply, answer) = oneshot::channel();
        ask.send(reply).map_err(Failure::failed)?;
        answer.await.map_err(Failure::failed)?;
        spans.push(began.elapsed());
    }
    drop(ask);
    echo.await.map_err(Failure::failed)?;
    Ok(median(spans))
}

fn median(mut spans: Vec<Duration>) -> Duration {
    let middle = spans.len() / 2;
    if spans.is_empty() { Duration::ZERO } else { *spans.select_nth_unstable(middle).1 }
}
