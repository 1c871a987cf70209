//! A server that is killed again and again while webhooks come: what was acknowledged is there afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use faultline_load::Sink;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::servers::{Faultline, Setup, http};
use super::times;

const KILLS: usize = 100;
const KILLS_SOAK: usize = 1000;
/// Senders of webhooks beside one another, so that several are committed together.
const SENDERS: usize = 4;
/// The longest that a server is let live from its first webhook on: some hundred webhooks.
const LIFE_MICROS: u64 = 120_000;
/// Of so many incidents that are opened, one is not closed: not all that is open shall fit into the limit on open ones.
const LEFT_OPEN_ONE_IN: usize = 16;
/// Each closed incident is asked for after its kill; of all of them, at the end, one of so many.
const CLOSED_ONE_IN: usize = 16;

/// What is known of an incident from answers alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The opening was acknowledged; nothing else was sent.
    Open,
    /// The close was acknowledged.
    Closed,
    /// Some request was not answered: it may have been committed or not.
    Unsure,
}

/// Scenario: webhooks open and close incidents; at a random moment the process is killed, and started again.
/// Guarantees: each incident is in the state in which it was acknowledged, after this kill and after all that follow; what was not
/// acknowledged is there or not, and stays so.
#[test]
fn what_was_acknowledged_survives_kills_at_random_moments() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        u64::try_from(since.as_nanos() & u128::from(u64::MAX)).expect("64 bits")
    });
    println!("SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let sink = Sink::start(faultline_load::SinkOptions::default()).expect("a sink starts");
    let mut faultline = Faultline::start(&Setup::forwarding_to(sink.address(faultline_load::Protocol::Grpc), "grpc"));
    let mut known = BTreeMap::new();
    let (mut acknowledged, mut unsure) = (0, 0);
    for kill in 0..times(KILLS, KILLS_SOAK) {
        let life = Duration::from_micros(random.next_u64() % LIFE_MICROS);
        let learned = live(&mut faultline, kill, life);
        faultline.start_again();
        acknowledged += learned.values().filter(|state| **state != Known::Unsure).count();
        unsure += learned.values().filter(|state| **state == Known::Unsure).count();
        check_closed(&faultline, &learned, 1);
        known.extend(learned);
        compare(&faultline, kill, &mut known);
    }
    check_closed(&faultline, &known, CLOSED_ONE_IN);
    println!("{acknowledged} acknowledged, {unsure} not answered, 0 lost");
    assert!(acknowledged > KILLS, "the kills came before anything was acknowledged");
    // Senders go on until after the kill.
    assert!(unsure > 0, "no kill cut off a request");
}

/// Sends webhooks until the server is killed, and tells what was acknowledged.
fn live(faultline: &mut Faultline, kill: usize, life: Duration) -> BTreeMap<String, Known> {
    let address = faultline.addresses().webhooks;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = &is_over;
        let send = move |sender| send_until(is_over, address, &format!("{kill}-{sender}"));
        let senders: Vec<_> = (0..SENDERS).map(|sender| scope.spawn(move || send(sender))).collect();
        thread::sleep(life);
        faultline.kill();
        is_over.store(true, Ordering::Relaxed);
        senders.into_iter().flat_map(|sender| sender.join().expect("a sender does not panic")).collect()
    })
}

fn send_until(is_over: &AtomicBool, address: SocketAddr, prefix: &str) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{prefix}-{number}");
        let state = match post(address, &json!({ "action": "open", "id": id, "services": ["checkout"] })) {
            false => Known::Unsure,
            true if number % LEFT_OPEN_ONE_IN == 0 => Known::Open,
            true if post(address, &json!({ "action": "close", "id": id })) => Known::Closed,
            true => Known::Unsure,
        };
        known.insert(id, state);
        if state == Known::Unsure {
            break;
        }
    }
    known
}

/// Whether it was acknowledged.
fn post(address: SocketAddr, body: &Value) -> bool {
    let headers = [("Authorization", "Bearer manual-token")];
    let answer = http::post(address, "/webhooks/manual", &headers, body.to_string().as_bytes());
    answer.is_ok_and(|answer| (200..300).contains(&answer.status))
}

/// Asks for closed incidents, each by itself: the list tells the open ones only.
fn check_closed(faultline: &Faultline, known: &BTreeMap<String, Known>, one_in: usize) {
    for (id, _) in known.iter().filter(|(_, state)| **state == Known::Closed).step_by(one_in) {
        let answer = faultline.admin(&format!("/v1/incidents/manual:{id}"));
        assert_eq!(answer.status, 200, "{id} is lost: {}", answer.text());
        let incident: Value = serde_json::from_slice(&answer.body).expect("an incident");
        assert_eq!(incident["state"], "resolved", "{id}");
    }
}

/// Compares what is known with what the server says, and learns from it what nobody had been told.
fn compare(faultline: &Faultline, kill: usize, known: &mut BTreeMap<String, Known>) {
    let open = faultline.open();
    let open: BTreeSet<&str> = open.iter().filter_map(|id| id.strip_prefix("manual:")).collect();
    for (id, state) in known.iter_mut() {
        match state {
            Known::Open => assert!(open.contains(id.as_str()), "after kill {kill}: {id} was opened, and is not open"),
            Known::Closed => assert!(!open.contains(id.as_str()), "after kill {kill}: {id} was closed, and is open"),
            Known::Unsure if open.contains(id.as_str()) => *state = Known::Open,
            Known::Unsure => {}
        }
    }
    // What is not open after this kill must not be after the next: whatever was committed has been seen.
    let mut unheard = open.iter().filter(|id| !known.contains_key(**id));
    assert_eq!(unheard.next(), None, "after kill {kill}: nobody opened it");
    known.retain(|_, state| *state != Known::Unsure);
}
