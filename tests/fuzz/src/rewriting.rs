//! The rewriter on arbitrary bytes.

use faultline_annotator::{
    limits,
    otlp::{Marking, Refusal, Signal, Tally},
};
use faultline_test_support::{
    opentelemetry_proto::tonic::collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    prost::Message,
    shape::{group_depth, repeats_a_time, with_library_groups_as_scopes},
};

use crate::{
    additions,
    scene::{Scene, plain_signal},
    variant::Variant,
};

/// Nobody asks for more steps than the budget holds, and a batch is refused for nothing else that `prost` reads.
const NEVER: &str = "step budget spent";

/// Whatever the bytes are: nothing panics, the step budget suffices, a result is the batch with attributes added, and
/// marking it again changes nothing.
///
/// What `prost` reads is not refused, and counts and means the same as the oracle's result; byte for byte where the batch is
/// as `prost` would write it. Three differences are known, each found without the rewriter's help: library groups, which
/// `prost` does not know, are shown to it as scope groups; groups nested deeper than [`limits::GROUP_DEPTH_MAX`] may be
/// refused, where `prost` stops at a hundred; and with a time repeated behind attributes only what holds for any bytes is
/// asked.
pub fn check(signal: Signal, input: &[u8]) {
    let Some((Variant { scene, marking }, batch)) = Variant::split(input) else { return };
    let result = scene.rewrite(signal, batch, &marking);
    let repeats = repeats_a_time(plain_signal(signal), batch);
    if let Err(refusal) = &result {
        assert_ne!(refusal.reason, NEVER);
    }
    if let Ok((Some(marked), _)) = &result {
        additions::check(&scene, signal, batch, marked);
        if !repeats {
            let (again, _) = scene.rewrite(signal, marked, &marking).expect("a result is readable");
            assert_eq!(again, None, "marking twice is marking once");
        }
    }
    if !repeats {
        check_against_oracle(&scene, &marking, signal, batch, result);
    }
}

fn check_against_oracle(
    scene: &Scene,
    marking: &Marking,
    signal: Signal,
    batch: &[u8],
    result: Result<(Option<Vec<u8>>, Tally), Refusal>,
) {
    let known = with_library_groups_as_scopes(batch);
    let Some((expected, expected_tally)) = scene.judge(signal, &known, marking) else { return };
    let (marked, tally) = match result {
        Ok(result) => result,
        // Whatever reason is given: what cannot be read is also told by what it looks like.
        Err(_) if group_depth(plain_signal(signal), batch) > limits::GROUP_DEPTH_MAX => return,
        Err(refusal) => panic!("prost reads it, but {refusal}"),
    };
    assert_eq!(tally, expected_tally);
    let canonical = written_anew(signal, &known).expect("the oracle read it");
    if canonical == batch {
        assert_eq!(marked, expected, "of a canonical batch, the same bytes");
    } else {
        let ours = with_library_groups_as_scopes(marked.as_deref().unwrap_or(batch));
        assert_eq!(written_anew(signal, &ours), Some(expected.unwrap_or(canonical)), "the same, once decoded");
    }
}

/// The batch as `prost` writes what it reads in it; none when it cannot read it.
pub(crate) fn written_anew(signal: Signal, batch: &[u8]) -> Option<Vec<u8>> {
    Some(match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(batch).ok()?.encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(batch).ok()?.encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(batch).ok()?.encode_to_vec(),
    })
}
