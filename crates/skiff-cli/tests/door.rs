//! What a node that serves shows over HTTP.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Instant,
};

use common::{Cluster, PATIENCE, Server, free_address, path, said, skiff};
use skiff::{METRICS, Metric, MetricKind};

/// What comes back for these bytes, until the other side closes or says nothing more.
fn say(door: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(door).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn ask(door: &str, method: &str, path: &str) -> (u16, String) {
    let answer =
        say(door, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Three nodes, of which the first has a door.
fn cluster() -> (Cluster, String) {
    let mut cluster = Cluster::new();
    let door = free_address();
    let (dir, nodes) = (cluster.dir(0), cluster.nodes());
    let args = ["--listen", &cluster.addresses[0], "--data-dir", path(&dir), "--peers", &nodes];
    let args = [&args[..], &["--id", "n0", "--metrics", &door]].concat();
    cluster.servers[0] = Some(Server::start(&args));
    cluster.start(1);
    cluster.start(2);
    for server in cluster.servers.iter_mut().flatten() {
        server.hear("member of a cluster of 3");
    }
    (cluster, door)
}

/// The values of a metric, by its labels.
fn values(text: &str, name: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let lines = lines.filter_map(|line| line.strip_prefix('{')?.split_once("} "));
    lines.map(|(labels, value)| (labels.to_owned(), value.parse().unwrap())).collect()
}

/// All metrics, once this one is at least as large: a node may hear a little later than its client what is
/// committed.
fn metrics_with(door: &str, name: &str, least: f64) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let (code, text) = ask(door, "GET", "/metrics");
        assert_eq!(code, 200, "{text}");
        if values(&text, name).values().sum::<f64>() >= least {
            return text;
        }
        assert!(Instant::now() < end, "{name} is below {least}: {text}");
    }
}

#[test]
fn everything_that_is_measured_is_shown() {
    let (cluster, door) = cluster();
    let put = cluster.run(&["put", "key", "value"]);
    assert!(put.status.success(), "{}", said(&put));
    let text = metrics_with(&door, "skiff_commit_index", 2.0);
    let types: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| name.starts_with("skiff_"))
        .collect();
    let kind = |metric: &Metric| match metric.kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
        MetricKind::Histogram => "histogram",
    };
    let listed: BTreeMap<&str, &str> = METRICS.iter().map(|m| (m.name, kind(m))).collect();
    assert_eq!(types, listed);
    for metric in METRICS {
        for labels in values(&text, metric.name).keys() {
            for label in ["node"].iter().chain(metric.labels) {
                assert!(labels.contains(&format!("{label}=")), "{}{{{labels}}}", metric.name);
            }
        }
    }
    let of_node = "node=\"n0\"";
    assert_eq!(values(&text, "skiff_state").values().sum::<f64>(), 1.0, "{text}");
    assert!(values(&text, "skiff_commit_index")[of_node] >= 2.0, "{text}");
    metrics_with(&door, "skiff_write_seconds_count", 1.0);
    metrics_with(&door, "skiff_disk_free_bytes", 1.0);
    assert_eq!(values(&text, "skiff_peer_connected").len(), 2, "{text}");
}

#[test]
fn it_lives_without_the_others_and_is_ready_only_with_them() {
    let (mut cluster, door) = cluster();
    let put = cluster.run(&["put", "key", "value"]);
    assert!(put.status.success(), "{}", said(&put));
    assert_eq!(ask(&door, "GET", "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(ask(&door, "GET", "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(ask(&door, "HEAD", "/livez"), (200, String::new()));
    cluster.kill(1);
    cluster.kill(2);
    let (code, text) = ask(&door, "GET", "/readyz");
    assert_eq!(code, 503, "{text}");
    assert!(text.contains("no linearizable read"), "{text}");
    assert_eq!(ask(&door, "GET", "/livez"), (200, "ok\n".to_owned()));
}

#[test]
fn whatever_else_is_asked_is_answered_and_changes_nothing() {
    let (listen, door) = (free_address(), free_address());
    let mut server = Server::start(&["--dev", "--listen", &listen, "--metrics", &door]);
    server.hear("leads in term");
    server.hear(&format!("shows /metrics, /livez and /readyz at http://{door}"));
    assert_eq!(ask(&door, "GET", "/").0, 404);
    assert_eq!(ask(&door, "GET", "/metrics/x").0, 404);
    assert_eq!(ask(&door, "POST", "/metrics").0, 405);
    assert_eq!(ask(&door, "DELETE", "/livez").0, 405);
    assert!(say(&door, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(&door).unwrap();
    // It may hang up before all of it is written.
    let _refused = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _refused = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(ask(&door, "GET", "/livez"), (200, "ok\n".to_owned()));
}

/// Each line of the log says of which node it is, and where that stood.
#[test]
fn the_log_names_node_term_and_index() {
    let listen = free_address();
    let mut server =
        Server::start(&["--dev", "--listen", &listen, "--id", "solo", "--log", "info"]);
    let line = server.hear("state=leader");
    for field in ["node=\"solo\"", "term=", "index="] {
        assert!(line.contains(field), "{field} is missing in {line}");
    }
}

#[test]
fn more_connections_than_there_are_places_for_are_closed() {
    let (listen, door) = (free_address(), free_address());
    let mut server = Server::start(&["--dev", "--listen", &listen, "--metrics", &door]);
    server.hear("leads in term");
    server.hear("shows /metrics");
    let open = || {
        let stream = TcpStream::connect(&door).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let idle: Vec<TcpStream> = (0..32).map(|_| open()).collect();
    let mut one_more = open();
    // The system tells of being closed by an end, or by an error.
    assert!(matches!(one_more.read(&mut [0; 1]), Ok(0) | Err(_)));
    drop(idle);
    server.hear("leads in term");
}

#[test]
fn others_than_this_machine_are_let_in_only_if_that_is_said() {
    let (listen, door) = (free_address(), free_address());
    let port = door.rsplit_once(':').unwrap().1;
    let open = format!("0.0.0.0:{port}");
    let refused = skiff(&["serve", "--dev", "--listen", &listen, "--metrics", &open]);
    assert_eq!(refused.status.code(), Some(6), "{}", said(&refused));
    assert!(said(&refused).contains("--insecure"), "{}", said(&refused));
}

/// The page for operators lists what there is, and nothing else.
#[test]
fn each_metric_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operating.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `skiff_"));
    let listed: Vec<[String; 3]> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            [cells[1], cells[2], cells[3]].map(str::to_owned)
        })
        .collect();
    let there_is: Vec<[String; 3]> = METRICS
        .iter()
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
            let kind = format!("{:?}", metric.kind).to_lowercase();
            [format!("`{}`", metric.name), kind, labels.join(", ")]
        })
        .collect();
    assert_eq!(listed, there_is);
}
