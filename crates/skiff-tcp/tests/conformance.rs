//! What every transport must do, over real sockets.

use std::sync::Arc;

use skiff_tcp::TcpTransport;
use skiff_transport::{Transport, conformance::Medium, transport_conformance};
use tokio::runtime::{Builder, Runtime};

struct Loopback(Runtime);

impl Loopback {
    fn new(workers: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build();
        Self(runtime.expect("a runtime can be had"))
    }
}

impl Medium for Loopback {
    fn transport(&self) -> Arc<dyn Transport> {
        let tcp = TcpTransport::builder()
            .runtime(self.0.handle().clone())
            .queue(4 << 20)
            .max_frame(2 << 20);
        Arc::new(tcp.build().expect("the limits are sound"))
    }

    fn listen(&self, _: &str) -> Option<String> {
        Some("127.0.0.1:0".to_owned())
    }

    fn large(&self) -> usize {
        (2 << 20) - 100
    }

    fn too_large(&self) -> Option<usize> {
        Some(2 << 20)
    }
}

mod one_worker {
    use super::*;

    transport_conformance!(Loopback::new(1));
}

mod two_workers {
    use super::*;

    transport_conformance!(Loopback::new(2));
}
