//! What a node that serves shows over HTTP: its metrics, whether it lives, whether it is ready.
//!
//! Plain HTTP/1, read only. Connections, requests and answers are limited in number, size and time.

use std::{
    convert::Infallible,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use skiff::{Consistency, Node};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::engine::Store;
use crate::failure::{Exit, Failure};

/// So many connections at the same time; more are closed at once.
const CONNECTIONS: usize = 32;
/// A request's head comes within this span and is no larger than this, or the connection is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
const HEAD_BYTES: usize = 16 << 10;
/// A connection lives no longer than this, however busy it is.
const CONNECTION_WITHIN: Duration = Duration::from_secs(300);
/// Whether the node lives or is ready is known within this span, or it is not.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// So often what was measured is put together, also if nobody asks.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// When the system has no socket left to give.
const NO_SOCKETS: Duration = Duration::from_millis(50);
/// Where the buckets of all that takes time end, in seconds.
const BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0,
];
/// The format of the metrics.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// It listens, and has nothing to show yet.
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    metrics: PrometheusHandle,
}

impl Door {
    /// Listens, and has all that this process measures from now on kept for it.
    pub(crate) async fn open(address: &str, insecure: bool) -> Result<Self, Failure> {
        let refused = |reason: String| {
            Failure::new(Exit::Listen, format!("cannot show metrics at {address}: {reason}"))
        };
        let mut resolved = address.to_socket_addrs().map_err(|error| refused(error.to_string()))?;
        let at = resolved.next().ok_or_else(|| refused("the name stands for no address".into()))?;
        if !at.ip().is_loopback() && !insecure {
            return Err(refused(
                "others than this machine can reach it, and nobody has to prove who they are: \
                 name a loopback address, or accept the risk with `--insecure`"
                    .into(),
            ));
        }
        let listener = TcpListener::bind(at).await.map_err(|error| refused(error.to_string()))?;
        let address = listener.local_addr()?;
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)
            .map_err(Failure::failed)?
            .build_recorder();
        let metrics = recorder.handle();
        metrics::set_global_recorder(recorder)
            .map_err(|error| Failure::failed(error.to_string()))?;
        Ok(Self { listener, address, metrics })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for the node, for as long as it is polled.
    pub(crate) async fn serve<M: Store>(self, node: Node<M>) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut upkeep = interval(UPKEEP_EVERY);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = upkeep.tick() => {
                    self.metrics.run_upkeep();
                    continue;
                }
            };
            let Ok((stream, _)) = accepted else {
                sleep(NO_SOCKETS).await;
                continue;
            };
            // With no place left, the stream is closed by dropping it.
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                let (metrics, node) = (self.metrics.clone(), node.clone());
                tokio::spawn(async move {
                    converse(stream, metrics, node).await;
                    drop(place);
                });
            }
        }
    }
}

/// Answers what is asked over one connection.
async fn converse<M: Store>(stream: TcpStream, metrics: PrometheusHandle, node: Node<M>) {
    let answer = service_fn(|request| answer(request, &metrics, &node));
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer);
    match timeout(CONNECTION_WITHIN, conversation).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for metrics ended"),
    }
}

async fn answer<M: Store>(
    request: Request<Incoming>,
    metrics: &PrometheusHandle,
    node: &Node<M>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, kind, text) = match request.uri().path() {
        "/metrics" | "/livez" | "/readyz"
            if !matches!(*request.method(), Method::GET | Method::HEAD) =>
        {
            (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered here\n".to_owned())
        }
        "/metrics" => (StatusCode::OK, PROMETHEUS, metrics.render()),
        "/livez" => health(lives(node).await),
        "/readyz" => health(is_ready(node).await),
        _ => {
            let text = "there are /metrics, /livez and /readyz here\n".to_owned();
            (StatusCode::NOT_FOUND, TEXT, text)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    }
    Ok(response)
}

fn health(well: Result<(), String>) -> (StatusCode, &'static str, String) {
    match well {
        Ok(()) => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
    }
}

/// Whether the node's loop answers: it depends on nothing but the node itself.
async fn lives<M: Store>(node: &Node<M>) -> Result<(), String> {
    tokio::select! {
        biased;
        ended = node.stopped() => Err(match ended {
            Ok(()) => "the node has stopped".to_owned(),
            Err(error) => format!("the node has ended: {error}"),
        }),
        told = timeout(ANSWER_WITHIN, node.status()) => match told {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("the node did not answer within {ANSWER_WITHIN:?}")),
        },
    }
}

/// Whether the node can serve: whether a linearizable read is answered here.
async fn is_ready<M: Store>(node: &Node<M>) -> Result<(), String> {
    let read = node.read(Consistency::Linearizable, |_| ());
    match timeout(ANSWER_WITHIN, read).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("no linearizable read is served: {error}")),
        Err(_) => Err(format!("no linearizable read was served within {ANSWER_WITHIN:?}")),
    }
}
