//! The load against the sink: what one sends the other counts, by both protocols and in every encoding.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use faultline_load::{
    Answer, Batches, Code, Counts, Encoding, Length, Load, Outcome, Pace, Protocol, Refusal, Script, Sink, SinkOptions,
    Step,
};
use faultline_test_support::{Generator, Signal};

/// Longer than anything here takes on a machine that does much else.
const LONG: Duration = Duration::from_secs(60);
/// In each request. A debug build makes and compresses them slowly.
const SPANS: u64 = 16;

fn sink() -> Sink {
    Sink::start(SinkOptions { counts_spans: true, keeps_requests: 1, ..SinkOptions::default() }).unwrap()
}

fn batches(signal: Signal, count: u64, protocol: Protocol, encoding: Encoding) -> Arc<Batches> {
    let generator = Generator { items: SPANS as usize, ..Generator::default() };
    Arc::new(Batches::generate(&generator, signal, count, protocol, encoding).unwrap())
}

/// As many requests, no two spans of which are the same.
fn send(sink: &Sink, protocol: Protocol, requests: u64, load: impl FnOnce(Load) -> Load) -> Outcome {
    let plain = Load { length: Length::Requests(requests), ..Load::to(sink.address(protocol)) };
    load(plain).run(batches(Signal::Traces, requests, protocol, Encoding::Identity)).unwrap()
}

fn answers(outcome: &Outcome) -> Vec<(Code, u64)> {
    outcome.answers.iter().map(|(code, count)| (*code, *count)).collect()
}

fn ok(protocol: Protocol) -> Code {
    match protocol {
        Protocol::Grpc => Code::Grpc(0),
        Protocol::Http => Code::Http(200),
    }
}

#[test]
fn the_sink_counts_what_the_load_sends_in_every_way() {
    let sink = sink();
    for protocol in Protocol::ALL {
        for signal in Signal::ALL {
            for encoding in Encoding::ALL {
                sink.reset();
                let load = Load { length: Length::Requests(20), ..Load::to(sink.address(protocol)) };
                let outcome = load.run(batches(signal, 8, protocol, encoding)).unwrap();
                assert!(outcome.is_clean(), "{protocol:?} {signal:?} {encoding:?}: {outcome:?}");
                assert_eq!(outcome.accepted_items, 20 * SPANS);
                assert_eq!(outcome.latency.count(), 20);
                let Counts { accepted, refused, unreadable, connections: _ } = sink.counts();
                assert_eq!((accepted.requests, accepted.items, accepted.marked), (20, 20 * SPANS, 0));
                assert_eq!((refused.requests, unreadable), (0, 0));
                let [last] = &sink.requests()[..] else { panic!("one request is kept") };
                assert_eq!((last.protocol, last.signal), (protocol, signal));
                let seeds =
                    (1..=8).map(|seed| Generator { seed, items: SPANS as usize, ..Generator::default() }.bytes(signal));
                assert!(seeds.into_iter().any(|message| message == last.message), "it is one of those that were sent");
            }
        }
    }
}

#[test]
fn marked_items_are_told_from_others_by_the_attribute_that_is_asked_for() {
    let sink = Sink::start(SinkOptions { mark: "url.path".to_owned(), ..SinkOptions::default() }).unwrap();
    send(&sink, Protocol::Grpc, 3, |load| load);
    assert_eq!(sink.counts().accepted.marked, 3 * SPANS);
}

#[test]
fn connections_are_used_again() {
    for (protocol, expected) in [(Protocol::Grpc, 3), (Protocol::Http, 6)] {
        let sink = sink();
        send(&sink, protocol, 200, |load| Load { connections: 3, in_flight: 2, ..load });
        assert_eq!(sink.counts().connections, expected, "{protocol:?}");
    }
}

#[test]
fn every_scripted_answer_is_counted_as_what_it_is() {
    for protocol in Protocol::ALL {
        let sink = sink();
        let steps: [Step; 5] = [
            Refusal::throttled(Duration::from_secs(7)).into(),
            Refusal::invalid("not like this").into(),
            Answer::AcceptPartly { rejected: 4, message: "too old".to_owned() }.into(),
            Answer::Break.into(),
            Answer::Accept.into(),
        ];
        sink.set_script(Script::cycle(steps));
        let outcome = send(&sink, protocol, 25, |load| load);
        let expected = match protocol {
            Protocol::Grpc => vec![(Code::Grpc(0), 10), (Code::Grpc(3), 5), (Code::Grpc(8), 5), (Code::Broken, 5)],
            Protocol::Http => {
                vec![(Code::Http(200), 10), (Code::Http(400), 5), (Code::Http(429), 5), (Code::Broken, 5)]
            }
        };
        assert_eq!(answers(&outcome), expected);
        assert_eq!((outcome.accepted_requests, outcome.rejected_items), (10, 20));
        assert_eq!(outcome.accepted_items, 10 * SPANS - 20);
        let counts = sink.counts();
        assert_eq!((counts.accepted.requests, counts.refused.requests), (10, 15), "{protocol:?}");
    }
}

#[test]
fn retries_deliver_every_span_once_where_nothing_is_refused_for_good() {
    for protocol in Protocol::ALL {
        let sink = sink();
        let soon = Refusal::throttled(Duration::ZERO);
        sink.set_script(Script::cycle([Step::from(soon), Answer::Break.into(), Answer::Accept.into()]));
        // One at a time: among several one could get the break again and again, and wait longer each time.
        let outcome = send(&sink, protocol, 20, |load| Load { connections: 1, in_flight: 1, retries: 2, ..load });
        assert!(outcome.is_clean(), "{outcome:?}");
        assert_eq!(
            outcome.answers.values().sum::<u64>(),
            sink.counts().accepted.requests + sink.counts().refused.requests
        );
        let spans = sink.spans();
        assert_eq!(spans.len() as u64, 20 * SPANS);
        assert!(spans.values().all(|times| *times == 1));
    }
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    for protocol in Protocol::ALL {
        let sink = sink();
        sink.set_script(Script::always(Refusal::invalid("never")));
        let outcome = send(&sink, protocol, 10, |load| Load { retries: 50, ..load });
        assert_eq!(outcome.answers.values().sum::<u64>(), 10);
        assert_eq!(sink.counts().refused.requests, 10);
    }
}

#[test]
fn the_time_to_try_again_is_kept_to() {
    for protocol in Protocol::ALL {
        let sink = sink();
        sink.set_script(Script::once([Refusal::throttled(Duration::from_secs(1))]));
        let outcome = send(&sink, protocol, 1, |load| Load { retries: 1, ..load });
        assert!(outcome.is_clean());
        assert!(outcome.elapsed >= Duration::from_secs(1), "{protocol:?} {:?}", outcome.elapsed);
    }
}

#[test]
fn an_answer_that_comes_too_late_times_out_and_is_counted_as_accepted() {
    for protocol in Protocol::ALL {
        let sink = sink();
        sink.set_script(Script::once([Step { answer: Answer::Accept, delay: LONG }]));
        let timeout = Duration::from_millis(300);
        let outcome = send(&sink, protocol, 1, |load| Load { timeout, ..load });
        assert_eq!(answers(&outcome), [(Code::TimedOut, 1)]);
        assert_eq!(sink.counts().accepted.requests, 1, "a server that is slow to answer has the request");
        let outcome = send(&sink, protocol, 1, |load| load);
        assert_eq!(answers(&outcome), [(ok(protocol), 1)], "the connection is of use again");
    }
}

#[test]
fn a_sink_that_stops_is_an_outcome_and_one_in_its_place_is_found_again() {
    for protocol in Protocol::ALL {
        let first = sink();
        let ports = Protocol::ALL.map(|protocol| first.address(protocol).port());
        assert!(send(&first, protocol, 1, |load| load).is_clean());
        let target = first.address(protocol);
        drop(first);
        let load = Load { length: Length::Requests(3), ..Load::to(target) };
        let outcome = load.run(batches(Signal::Traces, 3, protocol, Encoding::Identity)).unwrap();
        assert_eq!(answers(&outcome), [(Code::Broken, 3)]);
        let [grpc_port, http_port] = ports;
        let second = Sink::start(SinkOptions { grpc_port, http_port, ..SinkOptions::default() }).unwrap();
        let outcome = send(&second, protocol, 3, |load| Load { retries: 5, ..load });
        assert!(outcome.is_clean(), "{outcome:?}");
    }
}

#[test]
fn at_a_constant_rate_requests_are_due_at_their_time_and_waiting_counts() {
    let sink = sink();
    let paced = |load| Load { pace: Pace::PerSecond(50.0), connections: 1, in_flight: 1, ..load };
    let started = Instant::now();
    assert!(send(&sink, Protocol::Grpc, 11, paced).is_clean());
    assert!(started.elapsed() >= Duration::from_millis(200), "the last is due after 200 ms");

    // One at a time, each held for 100 ms but due every 20: the last of six has waited for all those before.
    sink.set_script(Script::always(Step { answer: Answer::Accept, delay: Duration::from_millis(100) }));
    let outcome = send(&sink, Protocol::Grpc, 6, paced);
    assert!(outcome.latency.longest() >= Duration::from_millis(500), "{:?}", outcome.latency);
}

#[test]
fn a_load_for_some_time_ends_after_it() {
    let sink = sink();
    let outcome =
        send(&sink, Protocol::Http, 32, |load| Load { length: Length::Time(Duration::from_millis(200)), ..load });
    assert!(outcome.elapsed >= Duration::from_millis(200) && outcome.elapsed < LONG);
    assert!(outcome.is_clean() && outcome.requests > 0);
    assert_eq!(outcome.answers, BTreeMap::from([(Code::Http(200), outcome.requests)]));
    assert_eq!(sink.counts().accepted.requests, outcome.requests);
}

#[test]
fn what_is_no_otlp_is_refused_for_good_without_asking_the_script() {
    for protocol in Protocol::ALL {
        let sink = sink();
        sink.set_script(Script::once([Answer::Break]));
        let cut = vec![vec![0x0a, 9, 1]];
        let messages = Batches::new(cut, Signal::Logs, 1, protocol, Encoding::Identity).unwrap();
        let load = Load { length: Length::Requests(1), ..Load::to(sink.address(protocol)) };
        let code = match protocol {
            Protocol::Grpc => Code::Grpc(3),
            Protocol::Http => Code::Http(400),
        };
        assert_eq!(answers(&load.run(Arc::new(messages)).unwrap()), [(code, 1)]);
        assert_eq!((sink.counts().unreadable, sink.counts().accepted.requests), (1, 0));
    }
}
