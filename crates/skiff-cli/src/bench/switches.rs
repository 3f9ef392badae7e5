//! Context switches, as the kernel counts them.

use std::{fs, path::Path};

/// How often the threads of these processes gave up a processor, or had to.
pub(crate) fn of(processes: &[u32]) -> u64 {
    processes.iter().map(|pid| of_process(*pid)).sum()
}

fn of_process(pid: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    threads.flatten().map(|thread| of_thread(&thread.path().join("status"))).sum()
}

/// A thread that has ended meanwhile counts nothing.
fn of_thread(status: &Path) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let lines = text.lines().filter(|line| line.contains("ctxt_switches:"));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_gives_up_its_processor() {
        let me = [std::process::id()];
        let before = of(&me);
        let (send, receive) = std::sync::mpsc::channel();
        let (back, answer) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            while let Ok(number) = receive.recv() {
                back.send(number).unwrap();
            }
        });
        for number in 0..100 {
            send.send(number).unwrap();
            assert_eq!(answer.recv(), Ok(number));
        }
        let between = of(&me);
        drop(send);
        other.join().unwrap();
        assert!(between > before, "{before} {between}");
        assert_eq!(of(&[u32::MAX]), 0, "no such process");
    }
}
