//! Senders that ask for too much: bombs, bodies over the limit, drips, connections by the thousand. Each meets a limit, memory
//! stays bounded, and others are served meanwhile.

#![cfg(target_os = "linux")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faultline_load::{Batches, Code, Encoding, Length, Load, Outcome, Process, Protocol, Sink, SinkOptions};
use faultline_test_support::Signal;
use flate2::write::GzEncoder;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::client::{Client, Reply};
use super::servers::{Faultline, PATIENCE, Setup, eventually, http};
use super::{generator, near, sink, spans};

const MIB: usize = 1024 * 1024;
/// `serve.otlp.request_bytes`, by default.
const REQUEST_BYTES: usize = 64 * MIB;
const IDLE_CONNECTIONS: usize = 10_000;
/// Files that the server and the test need beside connections.
const OTHER_FILES: u64 = 500;
/// What each of the listeners that are not for telemetry takes, and more than that.
const LISTENER_CONNECTIONS: usize = 1024;
const SILENT_CONNECTIONS: usize = 1100;
/// What an idle connection may take: buffers and tables of HTTP/2 in a build that is not optimised.
const BYTES_PER_CONNECTION: u64 = 40 * 1024;

fn start(sink: &Sink, otlp: &str) -> Faultline {
    let otlp = otlp.to_owned();
    Faultline::start(&Setup { otlp, ..Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc") })
}

/// Somebody else's telemetry, by both protocols.
fn check_others_are_served(faultline: &Faultline) {
    for protocol in Protocol::ALL {
        let outcome = load(faultline, Signal::Traces, protocol);
        assert!(outcome.is_clean(), "{protocol:?}: {outcome:?}");
    }
}

fn load(faultline: &Faultline, signal: Signal, protocol: Protocol) -> Outcome {
    let batches = Batches::generate(&generator(16), signal, 4, protocol, Encoding::Identity);
    let load = Load { length: Length::Requests(64), ..Load::to(near(faultline, protocol)) };
    load.run(Arc::new(batches.expect("batches can be made"))).expect("the load runs")
}

fn resident(faultline: &Faultline) -> u64 {
    Process::of(faultline.id()).memory().expect("it runs").resident
}

fn peak(faultline: &Faultline) -> u64 {
    Process::of(faultline.id()).memory().expect("it runs").peak
}

/// Too large for good: 413, or exhausted without a time to come again.
#[track_caller]
fn is_too_large(reply: &Reply) {
    assert!(matches!(reply.code, Code::Http(413) | Code::Grpc(8)), "{reply:?}");
    assert!(!reply.is_retryable(), "{reply:?}");
}

/// A GiB of zeros, a MiB at a time: both formats let frames follow one another.
fn bomb(encoding: &str) -> Vec<u8> {
    let zeros = vec![0; MIB];
    let frame = if encoding == "gzip" {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(9));
        encoder.write_all(&zeros).and_then(|()| encoder.finish()).expect("memory takes all")
    } else {
        zstd::bulk::compress(&zeros, 1).expect("zeros can be compressed")
    };
    frame.repeat(1024)
}

/// Scenario: requests of some KiB to a MiB that are a GiB when decompressed, from several senders at once.
/// Guarantees: each is refused for good; memory stays within a few times the limit on a request; others are served.
#[test]
fn a_decompression_bomb_is_refused_in_bounded_memory() {
    let sink = sink();
    let faultline = start(&sink, "    request_bytes: 8388608\n    held_bytes: 67108864\n");
    check_others_are_served(&faultline);
    let before = resident(&faultline);
    thread::scope(|scope| {
        for protocol in Protocol::ALL {
            for encoding in ["gzip", "zstd"] {
                let faultline = &faultline;
                scope.spawn(move || {
                    let (client, bomb) = (Client::of(faultline, protocol), bomb(encoding));
                    (0..4).for_each(|_| is_too_large(&client.send_encoded(&bomb, encoding)));
                });
            }
        }
        check_others_are_served(&faultline);
    });
    let grown = peak(&faultline).saturating_sub(before);
    assert!(grown < 96 * MIB as u64, "{grown} bytes more than before, of {before}");
    check_others_are_served(&faultline);
}

/// OTLP/JSON that is one short text again and again: where it goes, what stands before the text, it, and what stands behind.
const JSON_BOMBS: [(&str, &str, &str, &str); 4] = [
    ("/v1/traces", r#"{"resourceSpans":["#, "{}", "]}"),
    ("/v1/traces", r#"{"resourceSpans":[{"scopeSpans":[{"spans":["#, "{}", "]}]}]}"),
    (
        "/v1/metrics",
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":["#,
        "1",
        "]}]}}]}]}]}",
    ),
    ("/v1/metrics", r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"#, r#""a":{"b":1}"#, "}]}]}]}"),
];

/// Scenario: JSON of a few bytes for each struct that it becomes, compressed: 8 MiB of it, which is within the limit on a
/// request, and some KiB.
/// Guarantees: the first is refused for good, the second is read; memory stays within a few times what may be held.
#[test]
fn a_bomb_of_json_is_refused_in_bounded_memory() {
    let sink = sink();
    let faultline = start(&sink, "    request_bytes: 8388608\n    held_bytes: 67108864\n");
    check_others_are_served(&faultline);
    let before = resident(&faultline);
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    for (path, begin, element, end) in JSON_BOMBS {
        for (bytes, is_read) in [(8 * MIB - 256, false), (256 * 1024, true)] {
            let elements = vec![element; bytes / (element.len() + 1)].join(",");
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(format!("{begin}{elements}{end}").as_bytes()).expect("memory takes all");
            let bomb = encoder.finish().expect("memory takes all");
            let answer = http::post(faultline.addresses().http, path, &headers, &bomb).expect("it answers");
            assert_eq!(answer.status == 413, !is_read, "{begin} {bytes}: {} {}", answer.status, answer.text());
        }
    }
    let grown = peak(&faultline).saturating_sub(before);
    println!("{grown} bytes more than before, of {before}");
    assert!(grown < 96 * MIB as u64, "{grown} bytes more than before, of {before}");
    check_others_are_served(&faultline);
}

/// A readable request of so many bytes: one span batch, and a field that nobody knows, full of zeros.
fn padded(bytes: usize) -> Bytes {
    let mut request = spans(2).to_vec();
    // Field 1000, with a length of five bytes whatever it is.
    request.extend([0xc2, 0x3e]);
    let padding = bytes - request.len() - 5;
    request.extend((0..5).map(|index| (padding >> (7 * index) & 0x7f) as u8 | if index < 4 { 0x80 } else { 0 }));
    request.resize(bytes, 0);
    request.into()
}

/// Scenario: a request of exactly as many bytes as may be, and one of a byte more.
/// Guarantees: the first arrives whole; the second is refused for good, also where its length is not announced.
#[test]
fn a_request_of_64_mib_is_taken_and_one_byte_more_is_refused() {
    let sink = Sink::start(SinkOptions::default()).expect("a sink starts");
    let faultline = start(&sink, "");
    for protocol in Protocol::ALL {
        sink.reset();
        let client = Client::of(&faultline, protocol);
        let reply = client.send(&padded(REQUEST_BYTES));
        assert!(reply.code.is_success(), "{reply:?}");
        assert_eq!(sink.counts().accepted.bytes, REQUEST_BYTES as u64, "{protocol:?}");
        is_too_large(&client.send(&padded(REQUEST_BYTES + 1)));
        is_too_large(&client.send_in_pieces(padded(REQUEST_BYTES + 1), MIB, Duration::ZERO));
        assert_eq!(sink.counts().accepted.requests, 1, "{protocol:?}");
    }
    check_others_are_served(&faultline);
}

/// Scenario: a webhook of 16 MiB, and one that is just over the limit.
/// Guarantees: both senders hear 413, though one is still writing when that is decided.
#[test]
fn a_webhook_over_its_limit_is_answered() {
    let sink = sink();
    let faultline = start(&sink, "");
    for bytes in [MIB + 1, 16 * MIB] {
        let headers = [("Authorization", "Bearer manual-token")];
        let answer = http::post(faultline.addresses().webhooks, "/webhooks/manual", &headers, &vec![b' '; bytes]);
        assert_eq!(answer.expect("an answer").status, 413);
    }
}

/// Scenario: senders that connect and say nothing, send the head of a request a byte at a time, or its body.
/// Guarantees: the first two lose their connection; the third is told to come again; others are served meanwhile.
#[test]
fn slow_senders_meet_a_limit() {
    let sink = sink();
    let faultline = start(&sink, "    receive_timeout: 1s\n    idle_timeout: 1s\n");
    thread::scope(|scope| {
        for protocol in Protocol::ALL {
            let address = near(&faultline, protocol);
            scope.spawn(move || is_closed(address, b""));
            // Of HTTP/2 each frame has a head of its own: only its preface is one that can be sent in drips.
            scope.spawn(move || {
                is_closed(
                    address,
                    match protocol {
                        Protocol::Grpc => b"PRI * HTTP/2.0\r\n",
                        Protocol::Http => {
                            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf"
                        }
                    },
                )
            });
            let client = Client::of(&faultline, protocol);
            scope.spawn(move || {
                let reply = client.send_in_pieces(spans(8), 1, Duration::from_millis(20));
                assert!(!reply.code.is_success() && reply.is_retryable(), "{reply:?}");
            });
        }
        check_others_are_served(&faultline);
    });
    assert_eq!(sink.counts().refused.requests, 0);
    check_others_are_served(&faultline);
}

/// Scenario: more connections than a listener takes, to the one that is asked for health; each says nothing, or a first letter.
/// Guarantees: they are closed before whoever asks has given up, and those that ask are answered.
#[test]
fn silent_connections_do_not_keep_out_whoever_asks_for_health() {
    let sink = sink();
    let faultline = start(&sink, "");
    let files = SILENT_CONNECTIONS as u64 + OTHER_FILES;
    if !allow_files(None, files) || !allow_files(Some(faultline.id()), files) {
        println!("skipped: {files} files are needed, and this machine lets a process have fewer (`ulimit -Hn`)");
        return;
    }
    let telemetry = faultline.addresses().telemetry;
    let silent: Vec<TcpStream> = (0..SILENT_CONNECTIONS)
        .map(|index| {
            let mut stream = TcpStream::connect(telemetry).expect("it listens");
            // HTTP/2 and a request by `POST` may begin like this.
            stream.write_all(&b"P"[..index % 2]).expect("it is taken");
            stream
        })
        .collect();
    assert_eq!(http::get(telemetry, "/livez").expect("it answers").status, 200);
    for mut stream in &silent[..LISTENER_CONNECTIONS] {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time that is not zero");
        let read = stream.read(&mut [0]);
        assert!(!read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock), "a silent connection stays open");
    }
}

/// Connects, sends a byte now and then, the last one again and again, and returns when the connection is closed.
fn is_closed(address: SocketAddr, text: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a time that is not zero");
    let (began, mut sent) = (Instant::now(), 0);
    loop {
        if let Some(byte) = text.get(sent).or(text.last()) {
            sent += 1;
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
        match stream.read(&mut [0; 1024]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        assert!(began.elapsed() < PATIENCE, "{address}: the connection stays open");
    }
}

/// Whether the other side still has the connection. Files of the server would not tell: those of others come and go.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket takes that");
    loop {
        match stream.read(&mut [0; 1024]) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// Lets a process have so many files, if it may; `None` is this one.
fn allow_files(process: Option<u32>, files: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < files) {
        return false;
    }
    if limit.current.is_none_or(|current| current >= files) {
        return true;
    }
    let id = process.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    prlimit(id, Resource::Nofile, Rlimit { current: Some(files), ..limit }).is_ok()
}

/// Scenario: ten thousand connections, half of each protocol, that have said hello and then nothing.
/// Guarantees: they stay, memory grows by a bounded part for each, others are served; when they go all is given back.
#[test]
fn ten_thousand_idle_connections_leave_room_for_others() {
    let sink = sink();
    let faultline = start(&sink, "");
    let files = IDLE_CONNECTIONS as u64 + OTHER_FILES;
    if !allow_files(None, files) || !allow_files(Some(faultline.id()), files) {
        assert!(std::env::var_os("CI").is_none(), "{files} files are needed: raise `ulimit -Hn`");
        println!("skipped: {files} files are needed, and this machine lets a process have fewer (`ulimit -Hn`)");
        return;
    }
    check_others_are_served(&faultline);
    let process = Process::of(faultline.id());
    let (memory_before, files_before) = (resident(&faultline), process.files().expect("it runs"));
    let idle: Vec<TcpStream> = (0..IDLE_CONNECTIONS)
        .map(|index| {
            let protocol = if index % 2 == 0 { Protocol::Grpc } else { Protocol::Http };
            let mut stream = TcpStream::connect(near(&faultline, protocol)).expect("it listens");
            let hello: &[u8] = match protocol {
                // The preface and empty settings.
                Protocol::Grpc => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
                Protocol::Http => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            };
            stream.write_all(hello).expect("it is taken");
            stream
        })
        .collect();
    for mut stream in &idle {
        let mut first = [0];
        stream.set_read_timeout(Some(PATIENCE)).expect("a time that is not zero");
        stream.read_exact(&mut first).expect("it says hello too");
    }
    let grown = resident(&faultline).saturating_sub(memory_before);
    println!("{} bytes for each of {IDLE_CONNECTIONS} connections", grown / IDLE_CONNECTIONS as u64);
    assert!(grown < IDLE_CONNECTIONS as u64 * BYTES_PER_CONNECTION, "{grown} bytes");
    check_others_are_served(&faultline);
    let closed = idle.iter().filter(|stream| !is_open(stream)).count();
    assert_eq!(closed, 0, "they stay");
    drop(idle);
    eventually("the connections to be given back", || {
        (process.files().expect("it runs") < files_before + 100).then_some(())
    });
}

/// Scenario: a next hop takes connections and reads nothing, and so much is held for it that a further request does not fit,
/// nor a large webhook.
/// Guarantees: these are refused for the moment, with the time to come again; small ones pass; and all is given back.
#[test]
fn what_does_not_fit_into_what_may_be_held_is_refused_for_the_moment() {
    let sink = sink();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let address = silent.local_addr().expect("it listens");
    let faultline = Faultline::start(&Setup {
        forward: vec![
            format!("{{ endpoint: \"http://{address}\", signals: [traces], timeout: 600s }}"),
            format!("{{ endpoint: \"http://{}\", signals: [logs] }}", sink.address(Protocol::Grpc)),
        ],
        otlp: "    request_bytes: 1048576\n    held_bytes: 1048576\n".to_owned(),
        ..Setup::default()
    });
    let large = spans(1000);
    assert!((600_000..1_000_000).contains(&large.len()), "{} bytes: one fits, two do not", large.len());
    let held = || faultline.metric("faultline_held_bytes", &[]);
    thread::scope(|scope| {
        let first = scope.spawn(|| Client::of(&faultline, Protocol::Grpc).send(&large));
        eventually("the first to be held", || (held() >= large.len() as f64).then_some(()));
        for near in Protocol::ALL {
            let reply = Client::of(&faultline, near).send(&large);
            assert!(matches!(reply.code, Code::Grpc(14) | Code::Http(503)), "{reply:?}");
            assert_eq!(reply.retry_after, Some(Duration::from_secs(1)), "{reply:?}");
            assert!(load(&faultline, Signal::Logs, near).is_clean());
        }
        let headers = [("Authorization", "Bearer manual-token")];
        let padding = vec![b' '; large.len()];
        let answer = http::post(faultline.addresses().webhooks, "/webhooks/manual", &headers, &padding);
        let answer = answer.expect("it answers");
        assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("30")), "{}", answer.text());
        faultline.open_incident("1", "checkout");
        // Closes connections that were not accepted, too.
        drop(silent);
        let first = first.join().expect("an answer");
        assert!(!first.code.is_success() && first.is_retryable(), "{first:?}");
    });
    eventually("all to be given back", || (held() == 0.0).then_some(()));
    let _there = Sink::start(SinkOptions { grpc_port: address.port(), ..SinkOptions::default() }).expect("it is free");
    let reply = Client::of(&faultline, Protocol::Http).send(&large);
    assert!(reply.code.is_success(), "{reply:?}");
}
