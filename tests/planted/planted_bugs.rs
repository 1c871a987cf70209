//! A suite that cannot fail proves nothing: each claims which planted bugs it notices, and here it must.
//!
//! The suites are the annotator's own files. They run here once without a bug too, with fewer cases, so that a failure with
//! one is known to come from it.

// As the suites call it.
extern crate faultline_annotator_with_planted_bugs as faultline_annotator;

#[path = "../../plugin/annotator/tests/rewriter/against_oracle.rs"]
mod against_oracle;
#[path = "../../plugin/annotator/tests/rewriter/boundaries.rs"]
mod boundaries;
#[path = "../../plugin/annotator/tests/rewriter/cases.rs"]
mod cases;
#[path = "../../plugin/annotator/tests/rewriter/item_marks.rs"]
mod item_marks;
#[path = "../../plugin/annotator/tests/rewriter/lists_of_edits.rs"]
mod lists_of_edits;
#[path = "../../plugin/annotator/tests/rewriter/mutations.rs"]
mod mutations;
#[path = "../../plugin/annotator/tests/rewriter/pitfalls.rs"]
mod pitfalls;
#[path = "../../plugin/annotator/tests/rewriter/promises.rs"]
mod promises;
#[path = "../../plugin/annotator/tests/rewriter/requests.rs"]
mod requests;
#[path = "../../plugin/annotator/tests/rewriter/scene.rs"]
mod scene;
#[path = "../../plugin/annotator/tests/rewriter/strategies.rs"]
mod strategies;
#[path = "../../plugin/annotator/tests/rewriter/tree.rs"]
mod tree;
#[path = "../../plugin/annotator/tests/rewriter/wire_format.rs"]
mod wire_format;

use std::thread;

use faultline_annotator::otlp::planted::{Bug, choose};

/// A bug, and a test that notices it.
type Claim = (Bug, fn());

const SUITES: [(&str, &[Claim]); 6] = [
    ("against_oracle", against_oracle::CLAIMS),
    ("boundaries", boundaries::CLAIMS),
    ("item_marks", item_marks::CLAIMS),
    ("mutations", mutations::CLAIMS),
    ("pitfalls", pitfalls::CLAIMS),
    ("promises", promises::CLAIMS),
];

/// Whether `test` fails in a thread whose rewriters have `bug`.
fn is_noticed(bug: Bug, test: fn()) -> bool {
    let run = move || {
        choose(Some(bug));
        test();
    };
    thread::spawn(run).join().is_err()
}

/// Each suite's claims on one bug.
fn check(bug: Bug) {
    let claims = SUITES.iter().flat_map(|(suite, claims)| claims.iter().map(move |claim| (suite, claim)));
    let mut claimed = 0;
    for (index, (suite, (_, test))) in claims.filter(|(_, (claimed, _))| *claimed == bug).enumerate() {
        assert!(is_noticed(bug, *test), "{suite} does not notice {bug:?} where it claims to (its claim {index})");
        claimed += 1;
    }
    assert!(claimed >= 2, "{bug:?} is claimed by {claimed} tests");
}

#[test]
fn a_length_one_too_small_is_noticed() {
    check(Bug::WidenedLength);
}

#[test]
fn an_unknown_field_that_is_dropped_is_noticed() {
    check(Bug::UnknownFieldDropped);
}

#[test]
fn a_marker_that_is_ignored_is_noticed() {
    check(Bug::MarkerIgnored);
}

#[test]
fn a_last_item_that_is_skipped_is_noticed() {
    check(Bug::LastItemSkipped);
}

#[test]
fn a_wrong_time_that_is_preferred_is_noticed() {
    check(Bug::ObservedTimePreferred);
}

#[test]
fn without_a_bug_nothing_is_noticed() {
    fn passes() {
        scene::Scene::marking_all(&[]).marks();
    }
    assert!(!is_noticed(Bug::WidenedLength, passes));
}
