//! What may be listened at and dialled, and what is said if not.

mod support;

use skiff_tcp::{TcpBuilder, TcpTransport};
use skiff_transport::{Accepted, Local, Transport, TransportError};
use support::runtime;

fn open(builder: TcpBuilder, listen: &str) -> Result<Option<String>, TransportError> {
    let runtime = runtime();
    let transport = builder.runtime(runtime.handle().clone()).build().expect("sound limits");
    let local = Local { listen: Some(listen.to_owned()), ..Local::default() };
    transport.open(local, Accepted::new(|_| ()))
}

fn refused(builder: TcpBuilder, listen: &str) -> String {
    open(builder, listen).expect_err("it is refused").to_string()
}

#[test]
fn port_zero_gives_the_bound_address() {
    let address = open(TcpTransport::builder(), "127.0.0.1:0").unwrap().unwrap();
    assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
}

#[test]
fn port_in_use_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(
        refused(TcpTransport::builder(), &address),
        format!(
            "cannot listen on {address}: the port is in use: stop what listens there, perhaps \
             another node with the same address, or choose another port"
        )
    );
}

#[test]
fn listening_beyond_this_machine_needs_consent() {
    let said = refused(TcpTransport::builder(), "0.0.0.0:0");
    assert!(said.starts_with("cannot listen on 0.0.0.0:0: others than this machine"), "{said}");
    assert!(said.contains("`--insecure`") && said.contains("`.insecure(true)`"), "{said}");
}

#[test]
fn address_that_nobody_can_dial_needs_another_to_give() {
    let said = refused(TcpTransport::builder().insecure(true), "0.0.0.0:0");
    assert!(said.contains("`.advertise(..)`"), "{said}");
    let given = open(TcpTransport::builder().advertise("db1.example:7000"), "127.0.0.1:0");
    assert_eq!(given.unwrap().as_deref(), Some("db1.example:7000"));
}

#[test]
fn what_is_no_address_is_not_listened_at() {
    for listen in ["", "7000", "127.0.0.1", "127.0.0.1:70000"] {
        let said = refused(TcpTransport::builder(), listen);
        assert!(said.contains("give a host and a port"), "{listen}: {said}");
    }
}

#[test]
fn what_is_no_address_is_not_dialled() {
    let runtime = runtime();
    let transport = TcpTransport::builder().runtime(runtime.handle().clone()).build().unwrap();
    for (address, reason) in [
        ("", "a host and a port are needed, as in `localhost:7000`"),
        ("somewhere", "a host and a port are needed, as in `localhost:7000`"),
        (":7000", "there is no host before the port"),
        ("host:0", "nobody can be dialled at port 0"),
        ("host:70000", "the port is not a number up to 65535"),
        ("host:http", "the port is not a number up to 65535"),
        ("::1:7000", "an IPv6 address needs brackets, as in `[::1]:7000`"),
    ] {
        let error = transport.connect(address).err().expect("it is refused");
        assert_eq!(error.to_string(), format!("`{address}` is not an address: {reason}"));
    }
    for address in ["host:7000", "127.0.0.1:7000", "[::1]:7000"] {
        assert!(transport.connect(address).is_ok(), "{address}");
    }
}

#[test]
fn without_a_runtime_it_says_what_to_do() {
    let error = TcpTransport::new().expect_err("there is none").to_string();
    assert!(error.contains("no tokio runtime here") && error.contains("`runtime`"), "{error}");
}

#[test]
fn limits_that_let_nothing_through_are_refused() {
    for builder in [
        TcpTransport::builder().max_frame(0),
        TcpTransport::builder().queue(0),
        TcpTransport::builder().connections(0),
        TcpTransport::builder().connections_per_address(0),
        TcpTransport::builder().max_frame(usize::MAX),
    ] {
        assert!(builder.build().is_err());
    }
}
