use super::*;

const LIMITS: Limits = Limits { sessions: 2, bytes: 100 };
const TIMEOUT: u64 = 1_000;

fn begun(sessions: &mut Sessions, index: u64, at: u64) -> Option<SessionId> {
    sessions.begin(Index(index), LogTime(at), TIMEOUT, LIMITS)
}

fn run(sessions: &mut Sessions, id: SessionId, number: u64, at: u64, response: &str) -> Verdict {
    let verdict = sessions.judge(id, number, LogTime(at));
    if verdict == Verdict::Execute {
        sessions.executed(id, number, &Bytes::copy_from_slice(response.as_bytes()));
    }
    verdict
}

fn answered(response: &'static str) -> Verdict {
    Verdict::Answered(Bytes::from_static(response.as_bytes()))
}

#[test]
fn a_command_is_executed_once_and_its_response_kept_until_the_next() {
    let mut all = Sessions::default();
    let id = begun(&mut all, 5, 0).unwrap();
    assert_eq!(id, SessionId(5));
    assert_eq!(run(&mut all, id, 1, 1, "one"), Verdict::Execute);
    assert_eq!(run(&mut all, id, 1, 2, "again"), answered("one"));
    assert_eq!(run(&mut all, id, 1, 3, "again"), answered("one"));
    assert_eq!(run(&mut all, id, 3, 4, "three"), Verdict::Execute);
    assert_eq!(run(&mut all, id, 1, 5, "again"), Verdict::Acknowledged);
    assert_eq!(run(&mut all, id, 2, 6, "two"), Verdict::Acknowledged, "3 made it impossible");
    assert_eq!(run(&mut all, id, 3, 7, "again"), answered("three"));
    assert_eq!(all.bytes(), 5);
}

#[test]
fn a_session_expires_by_the_time_since_it_was_used() {
    let mut all = Sessions::default();
    let id = begun(&mut all, 5, 0).unwrap();
    assert_eq!(run(&mut all, id, 1, TIMEOUT, "one"), Verdict::Execute);
    assert_eq!(run(&mut all, id, 1, 2 * TIMEOUT, ""), answered("one"), "a retry is use");
    assert_eq!(run(&mut all, id, 2, 3 * TIMEOUT + 1, "two"), Verdict::Expired);
    assert_eq!(run(&mut all, id, 2, 0, "two"), Verdict::Expired, "it does not come back");
    assert_eq!((all.len(), all.bytes()), (0, 0));
    assert_eq!(run(&mut all, SessionId(77), 1, 0, ""), Verdict::Expired, "there was none");
}

#[test]
fn at_the_limit_new_ones_are_refused_and_none_is_evicted() {
    let mut all = Sessions::default();
    let one = begun(&mut all, 5, 0).unwrap();
    begun(&mut all, 6, 10).unwrap();
    assert_eq!(begun(&mut all, 7, TIMEOUT), None);
    assert_eq!(run(&mut all, one, 1, TIMEOUT, "one"), Verdict::Execute);
    assert_eq!(begun(&mut all, 8, TIMEOUT + 11), Some(SessionId(8)), "the second has expired");
    assert_eq!(all.len(), 2);
    all.end(one);
    all.end(one);
    assert_eq!(begun(&mut all, 9, TIMEOUT + 12), Some(SessionId(9)));
}

#[test]
fn with_too_many_bytes_nothing_is_executed_until_some_are_acknowledged() {
    let mut all = Sessions::default();
    let (one, other) = (begun(&mut all, 5, 0).unwrap(), begun(&mut all, 6, 0).unwrap());
    let large = "x".repeat(100);
    assert_eq!(run(&mut all, one, 1, 0, &large), Verdict::Execute);
    assert_eq!(run(&mut all, other, 1, 0, "y"), Verdict::Full { bytes: 100 });
    assert_eq!(run(&mut all, one, 2, 0, "z"), Verdict::Execute, "its own response gives way");
    assert_eq!(run(&mut all, other, 1, 0, "y"), Verdict::Execute, "the number is not used up");
    assert_eq!(all.bytes(), 2);
}

#[test]
fn a_response_that_is_too_long_is_lost_for_whoever_asks_again() {
    let mut all = Sessions::default();
    let id = begun(&mut all, 5, 0).unwrap();
    assert_eq!(run(&mut all, id, 1, 0, &"x".repeat(RESPONSE_MAX + 1)), Verdict::Execute);
    assert_eq!(run(&mut all, id, 1, 0, ""), Verdict::ResponseLost);
    assert_eq!(all.bytes(), 0);
}

#[test]
fn the_tables_are_the_same_after_a_journey_as_bytes() {
    let mut all = Sessions::default();
    assert_eq!(Sessions::decode(&all.encode()), Ok(all.clone()));
    assert_eq!(Sessions::decode(&[]), Ok(Sessions::default()));
    let (one, other) = (begun(&mut all, 5, 0).unwrap(), begun(&mut all, 6, 3).unwrap());
    run(&mut all, one, 1, 5, "one");
    run(&mut all, other, 4, 6, "");
    assert_eq!(all.judge(one, 2, LogTime(9)), Verdict::Execute);
    let bytes = all.encode();
    assert_eq!(Sessions::decode(&bytes), Ok(all));
    for short in 1..bytes.len() {
        assert!(Sessions::decode(&bytes[..short]).is_err(), "{short}");
    }
    let long = [&bytes[..], &[0]].concat();
    assert!(Sessions::decode(&long).is_err());
    let newer = [&[2], &bytes[1..]].concat();
    assert!(Sessions::decode(&newer).unwrap_err().reason.contains("version 2"));
}

#[test]
fn the_entries_are_what_they_were_written_as() {
    let command = Bytes::from_static(b"command");
    let entries = [
        SessionEntry::Begin { timeout: 7, limits: LIMITS },
        SessionEntry::Command { session: SessionId(5), number: 3, command },
        SessionEntry::Command { session: SessionId(5), number: 3, command: Bytes::new() },
        SessionEntry::End { session: SessionId(5) },
    ];
    let golden = [
        "01070000000000000002000000000000006400000000000000",
        "0205000000000000000300000000000000636f6d6d616e64",
        "0205000000000000000300000000000000",
        "030500000000000000",
    ];
    for (entry, golden) in entries.iter().zip(golden) {
        let bytes = entry.encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
        assert_eq!(SessionEntry::decode(&bytes).as_ref(), Ok(entry));
    }
    for bad in [&[][..], &[1], &[1; 26], &[2; 16], &[3; 10], &[9; 9]] {
        assert!(SessionEntry::decode(&Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
    }
}
