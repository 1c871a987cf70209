//! Next hops that refuse, break off or are not there: what the sender hears of it, and that nothing is lost or doubled.

use std::sync::Arc;
use std::time::Duration;

use faultline_load::{
    Answer, Batches, Code, Encoding, Length, Load, Protocol, Refusal, Script, Sink, SinkOptions, Step,
};
use faultline_test_support::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use super::client::Client;
use super::servers::{Faultline, Setup};
use super::{generator, name, near, sink, spans};

const WAIT: Duration = Duration::from_secs(7);
const OK: [Code; 2] = [Code::Grpc(0), Code::Http(200)];

fn setup(sink: &Sink, far: Protocol) -> Setup {
    Setup::forwarding_to(sink.address(far), name(far))
}

/// Answers of a next hop, each to one request: what the sender hears may be repeated exactly when the next hop's answer may,
/// and then it hears the same time to come again.
fn check_refusals(far: Protocol, refusals: &[Refusal], code: impl Fn(&Refusal) -> Code) {
    let sink = sink();
    let faultline = Faultline::start(&setup(&sink, far));
    let batch = spans(2);
    for near in Protocol::ALL {
        let client = Client::of(&faultline, near);
        for refusal in refusals {
            sink.set_script(Script::once([refusal.clone()]));
            let reply = client.send(&batch);
            let what = format!("{far:?} {refusal:?} as {near:?}: {reply:?}");
            assert!(!reply.code.is_success(), "{what}");
            let is_retryable = code(refusal).is_retryable(refusal.retry_after.is_some());
            assert_eq!(reply.is_retryable(), is_retryable, "{what}");
            if is_retryable {
                assert_eq!(reply.retry_after, refusal.retry_after, "{what}");
            }
            if near == far {
                assert_eq!(reply.code, code(refusal), "{what}");
            }
        }
    }
    assert_eq!(sink.counts().accepted.requests, 0);
    assert_eq!(sink.counts().refused.requests, 2 * refusals.len() as u64, "each was sent once");
}

/// Scenario: a next hop answers with each status of gRPC, with and without a time to come again.
/// Guarantees: by either protocol the sender is told to repeat what OTLP lets be repeated and nothing else, at that time.
#[test]
fn of_statuses_of_grpc_only_the_retryable_are_handed_back_as_retryable() {
    let both = |grpc| [None, Some(WAIT)].map(|retry_after| Refusal { retry_after, ..Refusal::new(500, grpc) });
    let refusals: Vec<_> = (1..=16).flat_map(both).collect();
    check_refusals(Protocol::Grpc, &refusals, |refusal| Code::Grpc(refusal.grpc));
}

/// Scenario: the same with each status of HTTP that is an error.
#[test]
fn of_statuses_of_http_only_the_retryable_are_handed_back_as_retryable() {
    let both = |http| [None, Some(WAIT)].map(|retry_after| Refusal { retry_after, ..Refusal::new(http, 2) });
    let refusals: Vec<_> = (400..600).flat_map(both).collect();
    check_refusals(Protocol::Http, &refusals, |refusal| Code::Http(refusal.http));
}

/// A next hop breaks off its answer, takes too long, and is gone; then it is there again.
fn check_silence(far: Protocol) {
    let first_sink = sink();
    let address = first_sink.address(far);
    let [grpc_port, http_port] = Protocol::ALL.map(|protocol| first_sink.address(protocol).port());
    let forward = format!("{{ endpoint: \"http://{address}\", protocol: {}, timeout: 2s }}", name(far));
    let faultline = Faultline::start(&Setup { forward: vec![forward], ..Setup::default() });
    let clients = Protocol::ALL.map(|near| Client::of(&faultline, near));
    let batch = spans(2);
    let answers_to = |step: Step| {
        clients.each_ref().map(|client| {
            first_sink.set_script(Script::once([step.clone()]));
            client.send(&batch).code
        })
    };
    assert_eq!(answers_to(Answer::Break.into()), [Code::Grpc(14), Code::Http(503)], "it breaks off");
    let never = Step { answer: Answer::Accept, delay: Duration::from_secs(600) };
    assert_eq!(answers_to(never), [Code::Grpc(4), Code::Http(504)], "it takes too long");
    drop(first_sink);
    let answers = || clients.each_ref().map(|client| client.send(&batch).code);
    assert_eq!(answers(), [Code::Grpc(14), Code::Http(503)], "it is gone");
    let again = SinkOptions { grpc_port, http_port, ..SinkOptions::default() };
    let _sink = Sink::start(again).expect("the ports are free again");
    assert_eq!(answers(), OK, "it is there again");
}

/// Scenario: a next hop by gRPC does not answer, in one way after another.
/// Guarantees: each time the sender is told to repeat the request; at last it is taken.
#[test]
fn a_next_hop_by_grpc_that_does_not_answer_has_the_sender_repeat() {
    check_silence(Protocol::Grpc);
}

/// Scenario: the same by HTTP.
#[test]
fn a_next_hop_by_http_that_does_not_answer_has_the_sender_repeat() {
    check_silence(Protocol::Http);
}

/// Scenario: a next hop takes a part of a request, or warns.
/// Guarantees: its message comes back unchanged: the sender must not repeat.
#[test]
fn partial_success_is_handed_back_unchanged() {
    let sink = sink();
    for far in Protocol::ALL {
        let faultline = Faultline::start(&setup(&sink, far));
        for (rejected, message) in [(3, "too old"), (0, "soon too old")] {
            let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message.to_owned() };
            let said = ExportTraceServiceResponse { partial_success: Some(partial) };
            for (near, ok) in Protocol::ALL.into_iter().zip(OK) {
                sink.set_script(Script::once(
                    [Answer::AcceptPartly { rejected, message: message.to_owned() }].map(Step::from),
                ));
                let reply = Client::of(&faultline, near).send(&spans(4));
                assert_eq!(reply.code, ok);
                let heard = ExportTraceServiceResponse::decode(reply.message.clone()).expect("a response");
                assert_eq!(heard, said, "{far:?} to {near:?}");
            }
        }
    }
}

/// Scenario: a next hop refuses every other request in some way, and an exporter repeats what it may.
/// Guarantees: the next hop has taken each span exactly once.
#[test]
fn with_an_exporter_that_repeats_each_span_arrives_exactly_once() {
    const REQUESTS: u64 = 96;
    const ROUNDS: u64 = 4;
    const ITEMS: usize = 16;
    for far in Protocol::ALL {
        let sink = sink();
        let faultline = Faultline::start(&setup(&sink, far));
        for near_side in Protocol::ALL {
            sink.reset();
            let throttled = Refusal { retry_after: Some(Duration::from_secs(1)), ..Refusal::unavailable() };
            let faults = [Refusal::unavailable(), Refusal::new(502, 10), throttled, Refusal::new(504, 4)];
            let steps = faults.map(Step::from).into_iter().chain([Answer::Break.into()]);
            // Each some times, and then none: which request meets which answer is chance.
            let steps = (0..ROUNDS).flat_map(|_| steps.clone().flat_map(|step| [step, Answer::Accept.into()]));
            sink.set_script(Script::once(steps));
            let batches = Batches::generate(&generator(ITEMS), Signal::Traces, REQUESTS, near_side, Encoding::Identity);
            let load =
                Load { length: Length::Requests(REQUESTS), retries: 100, ..Load::to(near(&faultline, near_side)) };
            let outcome = load.run(Arc::new(batches.expect("batches can be made"))).expect("the load runs");
            assert!(outcome.is_clean(), "{far:?}, {near_side:?}: {outcome:?}");
            assert_eq!(sink.counts().refused.requests, 5 * ROUNDS, "{far:?}, {near_side:?}: each refusal was met");
            let spans = sink.spans();
            assert_eq!(spans.len(), REQUESTS as usize * ITEMS, "{far:?}, {near_side:?}");
            assert!(spans.values().all(|times| *times == 1), "{far:?}, {near_side:?}: a span arrived twice");
        }
    }
}
