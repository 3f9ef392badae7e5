//! Errors of write-back: the kernel takes the bytes, shows them to everyone, and cannot bring them onto
//! the medium. A file system on a loop device whose file lies on a disk that is full.

use crate::{
    history::History,
    mounted::{Mounted, PAGE, dig_holes, make_ext4},
    nodes::Nodes,
};

/// Many pages, so that what is written next cannot bring them onto the medium by accident.
const VALUE: usize = 100_000;

#[test]
fn what_write_back_lost_was_not_acknowledged_or_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name| folder.path().join(name);
    let Some(below) = Mounted::tmpfs(&at("below"), 40 << 20) else { return };
    let image = below.path().join("image");
    if !make_ext4(&image, 32 << 20) {
        return;
    }
    let Some(disk) = Mounted::image(&image, &at("disk")) else { return };
    let mut nodes = Nodes::new(1);
    nodes.keep_in(0, disk.path().join("data"));
    nodes.start(0);
    nodes.leader();
    let history = History::of_values(VALUE);
    for number in 0..3 {
        nodes.put(&history, &format!("before-{number}")).unwrap();
    }
    // A loop device takes a write of which only the beginning has room for one that went well. So the
    // next one begins where there is none.
    while !nodes.end_of_log(0).is_multiple_of(PAGE) {
        nodes.write_nothing();
    }
    // The zeros of the segment, which was all written and synced, need room again.
    disk.sync();
    dig_holes(&image);
    let ballast = below.fill_but(0);

    let error = nodes.put(&history, "lost").unwrap_err();
    assert_eq!(error.outcome(), skiff::Outcome::Unknown, "{error}");
    let server = nodes.server(0);
    server.hear("cannot sync");
    assert_eq!(server.ended().code(), Some(1));

    // As long as what is there only seems to be there, the node does not start.
    nodes.start(0);
    let server = nodes.server(0);
    server.hear("cannot write again the end of");
    assert_eq!(server.ended().code(), Some(1));

    ballast.remove();
    nodes.start(0);
    nodes.check(&history);
    let shown = nodes.keys(0);
    assert!(shown.contains(&"lost".to_owned()), "the kernel showed it: {shown:?}");
    nodes.kill(0);
    // What is read from now on is what the medium has.
    disk.unmount();
    let Some(disk) = Mounted::image(&image, &at("disk")) else { return };
    nodes.start(0);
    nodes.check(&history);
    assert_eq!(nodes.keys(0), shown);
    nodes.put(&history, "after").unwrap();
    nodes.kill(0);
    disk.unmount();
}
