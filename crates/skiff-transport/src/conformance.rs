//! What every transport must do, as tests that a provider runs against its own.
//!
//! ```no_run
//! use std::sync::Arc;
//! use skiff_transport::{MemoryNetwork, Transport, conformance::Medium};
//!
//! struct InMemory(MemoryNetwork);
//!
//! impl Medium for InMemory {
//!     fn transport(&self) -> Arc<dyn Transport> {
//!         Arc::new(self.0.transport())
//!     }
//! }
//!
//! skiff_transport::transport_conformance!(InMemory(MemoryNetwork::new()));
//! ```

mod node;

use std::sync::Arc;

use self::node::{Link, Listens, Node, all_numbers, envelope, numbers};
use crate::transport::{NotSent, Signal, Transport};

/// What the suite asks of the transport under test.
pub trait Medium {
    /// A transport for one more node, on the same network as all others from here.
    fn transport(&self) -> Arc<dyn Transport>;

    /// Where a node of this name listens.
    fn listen(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    /// Whether what others open is accepted. If not (the original's shape), calls arrive on the
    /// connections that a node makes, and what concerns accepted connections is left out.
    fn accepts(&self) -> bool {
        true
    }

    /// How many bytes a command has that must get through.
    fn large(&self) -> usize {
        1 << 20
    }

    /// How many bytes a command has that must not be taken; `None` if there is no limit.
    fn too_large(&self) -> Option<usize> {
        None
    }
}

/// Makes a test of each rule. The argument makes a [`Medium`](crate::conformance::Medium), anew
/// for each.
#[macro_export]
macro_rules! transport_conformance {
    ($medium:expr) => {
        $crate::transport_conformance!(
            $medium;
            arrives_in_order,
            both_directions_at_once,
            answers_on_an_accepted_connection,
            connects_before_the_other_side_opens,
            goes_down_and_comes_up_again,
            comes_up_again_after_the_other_side_closed,
            close_is_final,
            full_queue_refuses_and_does_not_wait,
            two_connections_are_independent,
            large_envelope_arrives,
            inbox_may_send_and_close,
            shutdown_ends_everything,
        );
    };
    ($medium:expr; $($case:ident),* $(,)?) => {
        $(#[test]
        fn $case() {
            $crate::conformance::$case(&$medium);
        })*
    };
}

/// Two nodes, each of which has dialled the other, as nodes do.
struct Pair {
    a: Node,
    b: Node,
    a_to_b: Link,
    b_to_a: Link,
}

fn pair(medium: &dyn Medium) -> Pair {
    let (a, b) = (Node::start(medium, "a"), Node::start(medium, "b"));
    let (a_to_b, b_to_a) = (a.dial(&b.address), b.dial(&a.address));
    a.wait_up(&a_to_b);
    b.wait_up(&b_to_a);
    Pair { a, b, a_to_b, b_to_a }
}

/// Sends these numbers.
fn send_all(from: &Node, link: &Link, all: std::ops::Range<u64>) {
    all.for_each(|number| from.send(link, &envelope(number, 10)));
}

/// Waits until all these numbers have arrived, in their order.
fn expect_all(at: &Node, all: std::ops::Range<u64>) {
    let count = all.clone().count();
    let arrived = at.wait("all that was sent", |told| {
        let arrived = all_numbers(told);
        (arrived.len() >= count).then_some(arrived)
    });
    assert!(arrived.iter().copied().eq(all), "out of order: {arrived:?}");
}

/// Sends until something arrives: what is sent in the first moments of a connection may be lost.
fn expect_some(from: &Node, link: &Link, at: &Node) {
    let before = at.wait("nothing", |told| Some(all_numbers(told).len()));
    let say = || {
        from.tick();
        let _ = link.connection.send(envelope(9, 10));
    };
    at.wait_doing("anything to arrive", say, |told| {
        (all_numbers(told).len() > before).then_some(())
    });
}

/// Up and Down take turns, and everything received lies between them.
fn check_turns(signals: &[Signal]) {
    let mut up = false;
    for signal in signals {
        match signal {
            Signal::Up => assert!(!std::mem::replace(&mut up, true), "up twice: {signals:?}"),
            Signal::Down(_) => assert!(std::mem::take(&mut up), "down twice: {signals:?}"),
            Signal::Received(_) => assert!(up, "received while down: {signals:?}"),
        }
    }
}

/// What is sent on one connection arrives in its order.
pub fn arrives_in_order(medium: &dyn Medium) {
    let Pair { a, b, a_to_b, b_to_a: _kept } = pair(medium);
    send_all(&a, &a_to_b, 0..2000);
    expect_all(&b, 0..2000);
}

/// Two nodes send to each other at once, each on the connection that it made.
pub fn both_directions_at_once(medium: &dyn Medium) {
    let Pair { a, b, a_to_b, b_to_a } = pair(medium);
    std::thread::scope(|scope| {
        scope.spawn(|| send_all(&a, &a_to_b, 0..1000));
        scope.spawn(|| send_all(&b, &b_to_a, 5000..6000));
    });
    expect_all(&a, 5000..6000);
    expect_all(&b, 0..1000);
}

/// The side that accepted a connection sends on it, too.
pub fn answers_on_an_accepted_connection(medium: &dyn Medium) {
    if !medium.accepts() {
        return;
    }
    let (a, b) = (Node::start(medium, "a"), Node::start(medium, "b"));
    let a_to_b = a.dial(&b.address);
    a.wait_up(&a_to_b);
    send_all(&a, &a_to_b, 0..100);
    expect_all(&b, 0..100);
    let accepted = b.accepted(1).remove(0);
    send_all(&b, &accepted, 100..200);
    expect_all(&a, 100..200);
    check_turns(&a.told(a_to_b.number));
    check_turns(&b.told(accepted.number));
}

/// A connection to a node that is not there yet comes up once it is.
pub fn connects_before_the_other_side_opens(medium: &dyn Medium) {
    let a = Node::start(medium, "a");
    // Where the other will be.
    let address = Node::start(medium, "b").address.clone();
    let a_to_b = a.dial(&address);
    if medium.accepts() {
        assert_eq!(a_to_b.connection.send(envelope(1, 10)), Err(NotSent::Down));
        assert_eq!(a.told(a_to_b.number), []);
    }
    let b = Node::start_at(medium, "b", Some(address), Listens::Always);
    let _b_to_a = b.dial(&a.address);
    expect_some(&a, &a_to_b, &b);
    a.wait_up(&a_to_b);
    check_turns(&a.told(a_to_b.number));
}

/// The end of the other side is told, and its return.
pub fn goes_down_and_comes_up_again(medium: &dyn Medium) {
    let Pair { a, b, a_to_b, b_to_a: _kept } = pair(medium);
    expect_some(&a, &a_to_b, &b);
    let address = b.address.clone();
    drop(b);
    let say = || _ = a_to_b.connection.send(envelope(7, 10));
    let went = |told: &[(usize, Signal)]| {
        told.iter().any(|told| told.0 == a_to_b.number && matches!(told.1, Signal::Down(_)))
    };
    a.wait_doing("the connection to go down", say, |told| went(told).then_some(()));
    let b = Node::start_at(medium, "b", Some(address), Listens::Always);
    let _b_to_a = b.dial(&a.address);
    expect_some(&a, &a_to_b, &b);
    let signals = a.told(a_to_b.number);
    check_turns(&signals);
    let ups = signals.iter().filter(|signal| **signal == Signal::Up).count();
    assert!(ups >= 2, "it never came up again: {signals:?}");
}

/// A connection that the accepting side closes is dialled again.
pub fn comes_up_again_after_the_other_side_closed(medium: &dyn Medium) {
    if !medium.accepts() {
        return;
    }
    let (a, b) = (Node::start(medium, "a"), Node::start(medium, "b"));
    let a_to_b = a.dial(&b.address);
    a.wait_up(&a_to_b);
    let first = b.accepted(1).remove(0);
    first.connection.close();
    let ups = |told: &[(usize, Signal)]| told.iter().filter(|told| told.1 == Signal::Up).count();
    a.wait("the connection to come up again", |told| (ups(told) == 2).then_some(()));
    expect_some(&a, &a_to_b, &b);
    check_turns(&a.told(a_to_b.number));
    assert_eq!(first.connection.send(envelope(1, 10)), Err(NotSent::Down));
}

/// A closed connection sends nothing and tells nothing; closing it again changes nothing.
pub fn close_is_final(medium: &dyn Medium) {
    let Pair { a, b, a_to_b, b_to_a } = pair(medium);
    expect_some(&a, &a_to_b, &b);
    let other = a.dial(&b.address);
    a.wait_up(&other);
    a_to_b.connection.close();
    a_to_b.connection.close();
    assert_eq!(a_to_b.connection.send(envelope(1, 10)), Err(NotSent::Down));
    let told = a.told(a_to_b.number).len();
    if medium.accepts() {
        let accepted = b.accepted(1).remove(0);
        b.wait_for(&accepted, "the end of it", |signal| matches!(signal, Signal::Down(_)));
        assert_eq!(accepted.connection.send(envelope(2, 10)), Err(NotSent::Down));
    }
    // What was closed stays so while others come and go.
    expect_some(&a, &other, &b);
    if medium.accepts() {
        expect_some(&b, &b_to_a, &a);
    }
    assert_eq!(a.told(a_to_b.number).len(), told, "told after close");
}

/// To a side that takes nothing a bounded amount is sent, and the sender does not wait.
pub fn full_queue_refuses_and_does_not_wait(medium: &dyn Medium) {
    if !medium.accepts() {
        return;
    }
    let a = Node::start(medium, "a");
    let b = Node::start_at(medium, "b", medium.listen("b"), Listens::Never);
    let a_to_b = a.dial(&b.address);
    a.wait_up(&a_to_b);
    let mut sent = 0;
    let refused = loop {
        match a_to_b.connection.send(envelope(sent, 16 << 10)) {
            Ok(()) => sent += 1,
            Err(refused) => break refused,
        }
        assert!(sent < 100_000, "a gigabyte was taken");
    };
    assert_eq!(refused, NotSent::Full);
    assert!(sent > 0, "nothing was taken");
}

/// Two connections between the same nodes live and end on their own.
pub fn two_connections_are_independent(medium: &dyn Medium) {
    if !medium.accepts() {
        return;
    }
    let (a, b) = (Node::start(medium, "a"), Node::start(medium, "b"));
    let (first, second) = (a.dial(&b.address), a.dial(&b.address));
    a.wait_up(&first);
    a.wait_up(&second);
    send_all(&a, &first, 0..10);
    expect_all(&b, 0..10);
    first.connection.close();
    send_all(&a, &second, 10..20);
    expect_all(&b, 0..20);
    let accepted = b.accepted(2);
    let by_second = accepted.iter().map(|link| numbers(&b.told(link.number)));
    assert!(by_second.clone().any(|numbers| numbers.iter().copied().eq(10..20)), "mixed up");
}

/// An envelope near the limit arrives as it was; one beyond it is refused as such.
pub fn large_envelope_arrives(medium: &dyn Medium) {
    let Pair { a, b, a_to_b, b_to_a: _kept } = pair(medium);
    let large = envelope(3, medium.large());
    a.send(&a_to_b, &large);
    let arrived = b.wait("a large envelope", |told| {
        told.iter().find_map(|(_, signal)| match signal {
            Signal::Received(envelope) => Some(envelope.clone()),
            Signal::Up | Signal::Down(_) => None,
        })
    });
    assert!(arrived == large, "it arrived changed");
    if let Some(length) = medium.too_large() {
        let refused = a_to_b.connection.send(envelope(4, length));
        assert_eq!(refused, Err(NotSent::TooLarge));
        expect_some(&a, &a_to_b, &b);
    }
}

/// An inbox sends and closes on the very connection that tells it something.
pub fn inbox_may_send_and_close(medium: &dyn Medium) {
    let (a, b) = (Node::start(medium, "a"), Node::start(medium, "b"));
    let b_to_a = b.dial(&a.address);
    b.wait_up(&b_to_a);
    let greeting = a.dial_with(&b.address, |own, signal| match signal {
        Signal::Up => {
            for number in 0..100 {
                assert_eq!(own.send(envelope(number, 10)), Ok(()));
            }
        }
        Signal::Received(_) => own.close(),
        Signal::Down(_) => {}
    });
    expect_all(&b, 0..100);
    if medium.accepts() {
        let accepted = b.accepted(1).remove(0);
        assert_eq!(accepted.connection.send(envelope(1, 10)), Ok(()));
        b.wait_for(&accepted, "the close", |signal| matches!(signal, Signal::Down(_)));
        assert_eq!(greeting.connection.send(envelope(1, 10)), Err(NotSent::Down));
    }
}

/// After a shutdown nothing is sent, and the other side is told.
pub fn shutdown_ends_everything(medium: &dyn Medium) {
    let Pair { a, b, a_to_b, b_to_a } = pair(medium);
    expect_some(&a, &a_to_b, &b);
    a.transport.shutdown();
    let say = || _ = b_to_a.connection.send(envelope(7, 10));
    b.wait_doing("the end of the other side", say, |told| {
        told.iter()
            .any(|told| told.0 == b_to_a.number && matches!(told.1, Signal::Down(_)))
            .then_some(())
    });
    assert_eq!(a_to_b.connection.send(envelope(1, 10)), Err(NotSent::Down));
    assert!(a.transport.connect(&b.address).is_err(), "it connects after its shutdown");
}
