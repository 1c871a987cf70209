//! What a trap costs: the marks of one batch, and nothing else.

mod manual;
mod support;

use std::sync::LazyLock;
use std::time::Duration;

use faultline::guest::{Cache, EMBEDDED, GuestBuild, Limits};
use faultline::host::{Delivery, Host, Processed, Received};
use faultline::journal::{Journal, MemoryJournal};
use faultline::plugin::{Build, Entry, Extent, Outcome, Signal, Trap, Webhook};
use faultline_annotator::entry::{DeliveryRecord, Record};
use manual::{CONFIG, NOW, open, spans_of};

/// Enough for the plugin and small batches.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;
/// More spans than fit into that at about 700 bytes each: the host cannot even pass them in.
const TOO_MANY: usize = 32_768;
/// Spans that fit, but not together with what would be made of them.
const TOO_MANY_TO_COPY: usize = 16_384;

static SMALL: LazyLock<GuestBuild> =
    LazyLock::new(|| build(Limits { memory_bytes: MEMORY_BYTES, ..Limits::default() }));

fn build(limits: Limits) -> GuestBuild {
    GuestBuild::new(EMBEDDED, limits, support::cache()).expect("the embedded component compiles")
}

fn host(build: &dyn Build) -> Host<'_, MemoryJournal> {
    match Host::new(build, CONFIG.to_owned(), MemoryJournal::default(), "test", NOW) {
        Ok((host, _warnings)) => host,
        Err(error) => panic!("the host cannot be set up: {error:?}"),
    }
}

/// A request has no length of its own: requests behind one another are one, and repeating is faster than generating.
fn spans(items: usize) -> Vec<u8> {
    let generated = items.min(512);
    spans_of("checkout", generated, 0).repeat(items / generated)
}

fn is_marked(processed: &Processed) -> bool {
    matches!(processed, Processed::Answered(Outcome::Replaced(_)))
}

fn traps<'a>(host: &mut Host<'a, MemoryJournal>, function: &str) -> u64 {
    let counters = host.counters().expect("counters can be asked for");
    let of_function = [("function".to_owned(), function.to_owned())];
    let found = counters.iter().find(|counter| counter.name == "plugin.traps" && counter.attributes == of_function);
    found.map_or(0, |counter| counter.value)
}

/// Scenario: a batch needs more memory than the plugin is given.
/// Guarantees: the batch is handed on as it came, the trap is counted and named, and the next batch is marked by a new
/// instance that has the state.
#[test]
fn a_batch_over_the_memory_limit_costs_its_own_marks_and_no_other() {
    let mut host = host(&*SMALL);
    assert_eq!(host.receive("manual", &open(), NOW).unwrap().status, 202);
    let state = host.state(Extent::All, NOW).unwrap();
    assert!(is_marked(&host.process(Signal::Traces, &spans(8), NOW).unwrap()));

    let large = spans(TOO_MANY);
    let processed = host.process(Signal::Traces, &large, NOW).unwrap();
    let Processed::Trapped(trap) = processed.clone() else {
        panic!("a batch went through {MEMORY_BYTES} bytes of memory that has no place in them: {processed:.300?}");
    };
    assert!(processed.handed_on(large.clone()) == large, "the batch is handed on as it came");
    assert_eq!(trap.call, "process");
    assert!(trap.reason.contains(&format!("over its limit of {MEMORY_BYTES}")), "{}", trap.reason);
    assert_eq!(traps(&mut host, "process"), 1);

    assert_eq!(host.state(Extent::All, NOW).unwrap(), state);
    assert!(is_marked(&host.process(Signal::Traces, &spans(8), NOW).unwrap()));
}

/// Scenario: a batch fits into the plugin's memory, but not together with what would be made of it.
/// Guarantees: it is refused with that reason; the instance lives on.
#[test]
fn a_batch_that_fits_but_not_with_its_copy_is_refused() {
    let mut host = host(&*SMALL);
    assert_eq!(host.receive("manual", &open(), NOW).unwrap().status, 202);
    let processed = host.process(Signal::Traces, &spans(TOO_MANY_TO_COPY), NOW).unwrap();
    let Processed::Answered(Outcome::Refused(reason)) = processed else { panic!("{processed:.300?}") };
    assert!(reason.contains("memory"), "{reason}");
    assert_eq!(traps(&mut host, "process"), 0);
    assert!(is_marked(&host.process(Signal::Traces, &spans(8), NOW).unwrap()));
}

/// Scenario: traps follow one another.
/// Guarantees: each is survived and counted.
#[test]
fn the_tenth_trap_is_survived_like_the_first() {
    let mut host = host(&*SMALL);
    assert_eq!(host.receive("manual", &open(), NOW).unwrap().status, 202);
    let large = spans(TOO_MANY);
    for _ in 0..10 {
        assert!(matches!(host.process(Signal::Traces, &large, NOW).unwrap(), Processed::Trapped(_)));
    }
    assert_eq!(traps(&mut host, "process"), 10);
    assert!(is_marked(&host.process(Signal::Traces, &spans(8), NOW).unwrap()));
}

/// Scenario: a batch takes far longer than `process` may.
/// Guarantees: the call is ended, the limit is named, and the host goes on.
#[test]
fn a_call_over_its_deadline_ends() {
    let hurried = build(Limits { process: Duration::from_millis(10), ..Limits::default() });
    let mut host = host(&hurried);
    assert_eq!(host.receive("manual", &open(), NOW).unwrap().status, 202);
    let large = spans(81_920);
    let processed = host.process(Signal::Traces, &large, NOW).unwrap();
    let expected = Trap { call: "process", reason: "ran longer than its limit of 10 ms".to_owned() };
    assert_eq!(processed.trouble(), Some(expected.to_string()));
    assert!(processed.handed_on(large.clone()) == large, "the batch is handed on as it came");
    assert_eq!(traps(&mut host, "process"), 1);
    assert_eq!(host.open(NOW).unwrap().len(), 1);
}

/// Scenario: the disk is full, and somebody sends a webhook that is not authentic.
/// Guarantees: the answer is 401 as ever: it stores nothing.
#[test]
fn an_answer_that_stores_nothing_does_not_depend_on_the_journal() {
    let mut host = host(&*SMALL);
    host.journal_mut().failing = true;
    let forged = Webhook { headers: Vec::new(), ..open() };
    assert_eq!(host.receive("manual", &forged, NOW).unwrap().status, 401);
    assert_eq!(host.receive("nobody", &open(), NOW).unwrap().status, 404);
}

/// Scenario: a journal with many incidents and many superseded entries, as after months.
/// Guarantees: the plugin takes it within its limits; compacting keeps what the state needs and no more.
#[test]
fn a_long_journal_is_merged_within_the_limits_and_compacted() {
    let entries: Vec<Entry> = (0..30_000_u64)
        .map(|number| {
            let delivery = DeliveryRecord {
                received: NOW + number,
                source: "manual".to_owned(),
                digest: (number % 10_000).to_string(),
            };
            let entry = faultline_annotator::entry::Entry::of(&Record::Delivery(delivery));
            Entry { key: entry.key, bytes: entry.bytes }
        })
        .collect();
    let build = build(Limits::default());
    let Ok((mut host, _)) = Host::new(&build, CONFIG.to_owned(), MemoryJournal::of(&entries), "test", NOW) else {
        panic!("the journal is within the limits")
    };
    let state = host.state(Extent::All, NOW).unwrap();
    assert_eq!(state.len(), 10_000, "of each delivery the last is kept");
    host.compact(NOW).unwrap();
    assert_eq!(host.journal().entries().unwrap(), state);
    host.restart(NOW).unwrap();
    assert_eq!(host.state(Extent::All, NOW).unwrap(), state);
}

/// Scenario: the plugin traps on a webhook.
/// Guarantees: its sender gets 503 and may try again; nothing took effect, what was there before is there still.
#[test]
fn a_trap_while_receiving_is_503_and_leaves_no_trace() {
    let mut host = host(&*SMALL);
    assert_eq!(host.receive("manual", &open(), NOW).unwrap().status, 202);
    let state = host.state(Extent::All, NOW).unwrap();
    let huge = Webhook { body: vec![b' '; 2 * MEMORY_BYTES], ..open() };
    let received = host.receive("manual", &huge, NOW).unwrap();
    assert_eq!(received.status, 503);
    assert_eq!(received.retry_after_secs, Some(30));
    assert!(received.failure.is_some_and(|failure| failure.contains("trapped in `receive`")));
    assert_eq!(host.state(Extent::All, NOW).unwrap(), state);
    assert_eq!(traps(&mut host, "receive"), 1);
}

/// Scenario: the journal refuses the entries of a webhook, then takes those of the same delivery sent again.
/// Guarantees: the first answer is 503 and leaves no trace; the second is 202 and no duplicate.
#[test]
fn a_failed_commit_leaves_no_trace() {
    let mut host = host(&*SMALL);
    let before = host.state(Extent::All, NOW).unwrap();
    host.journal_mut().failing = true;
    assert_eq!(host.receive("manual", &open(), NOW).unwrap().status, 503);
    assert_eq!(host.state(Extent::All, NOW).unwrap(), before);
    assert!(host.open(NOW).unwrap().is_empty());

    host.journal_mut().failing = false;
    let received = host.receive("manual", &open(), NOW).unwrap();
    assert_eq!(received.status, 202);
    assert_eq!(received.transitions[0].kind, "triggered");
    assert_eq!(host.open(NOW).unwrap().len(), 1);
}

/// A delivery to the manual source, as one of several that arrive together.
fn delivery(body: &str) -> Delivery {
    Delivery { source: "manual".to_owned(), webhook: manual::webhook(body) }
}

fn statuses(received: &[Received]) -> Vec<u16> {
    received.iter().map(|received| received.status).collect()
}

const OPENED: &str = r#"{"action": "open", "id": "1", "services": ["checkout"], "delivery_id": "a"}"#;
const RAISED: &str = r#"{"action": "update", "id": "1", "severity": "critical"}"#;

/// Scenario: an incident is opened, told to be worse, and opened once more, by webhooks that arrive together.
/// Guarantees: with one commit each sees what those before it did.
#[test]
fn webhooks_that_are_committed_together_are_taken_in_their_order() {
    let mut host = host(&*SMALL);
    let group = [OPENED, RAISED, OPENED].map(delivery);
    let received = host.receive_all(&group, NOW).unwrap();
    let kinds: Vec<&str> = received.iter().map(|received| received.transitions[0].kind.as_str()).collect();
    assert_eq!(kinds, ["triggered", "renewed", "duplicate"]);
    assert_eq!(host.open(NOW).unwrap()[0].severity, "critical");
}

/// Scenario: the journal refuses a group; in it are a duplicate and a webhook that is not authentic.
/// Guarantees: nobody is told that something was taken, the duplicate included; the group leaves no trace, and the same
/// webhooks sent again are taken.
#[test]
fn a_failed_commit_of_a_group_leaves_no_trace() {
    let mut host = host(&*SMALL);
    let before = host.state(Extent::All, NOW).unwrap();
    let mut group = [OPENED, RAISED, OPENED, OPENED].map(delivery);
    group[3].webhook.headers.clear();
    host.journal_mut().failing = true;
    assert_eq!(statuses(&host.receive_all(&group, NOW).unwrap()), [503, 503, 503, 401]);
    assert_eq!(host.state(Extent::All, NOW).unwrap(), before);
    assert!(host.open(NOW).unwrap().is_empty());

    host.journal_mut().failing = false;
    assert_eq!(statuses(&host.receive_all(&group, NOW).unwrap()), [202, 202, 200, 401]);
    assert_eq!(host.open(NOW).unwrap().len(), 1);
}

/// Scenario: the plugin is given less memory than it has from the start.
/// Guarantees: that is said when an instance is made, not when telemetry arrives.
#[test]
fn a_limit_below_what_the_plugin_needs_is_an_error_at_the_start() {
    let error = build(Limits { memory_bytes: 4096, ..Limits::default() }).instantiate().err();
    assert!(error.is_some_and(|error| error.to_string().contains("4096 bytes of memory")));
}

/// Scenario: the largest batch that is allowed, all of it marked.
/// Guarantees: the default limit of memory leaves room for it.
#[test]
fn the_largest_batch_fits_the_default_limit_of_memory() {
    // Time is that of the machine, which may be busy with other tests; a batch takes about a second of the five.
    let build = build(Limits { process: Duration::from_secs(60), ..Limits::default() });
    let mut host = host(&build);
    assert_eq!(host.receive("manual", &open(), NOW).unwrap().status, 202);
    let batch = spans(89_600);
    assert!(batch.len() > 48 * 1024 * 1024 && batch.len() <= 64 * 1024 * 1024, "{} bytes", batch.len());
    assert!(is_marked(&host.process(Signal::Traces, &batch, NOW).unwrap()));
}

/// Scenario: a file that is no plugin is given for one.
/// Guarantees: the error says what it is.
#[test]
fn what_is_no_component_is_named() {
    let check = |bytes: &[u8], expected: &str| {
        let error = GuestBuild::new(bytes, Limits::default(), Cache::Off).err();
        let error = error.map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(expected), "{error}");
    };
    check(b"\0asm\x01\0\0\0", "a core WebAssembly module where a WebAssembly component is wanted");
    check(b"hello", "not a WebAssembly file");
    check(b"\0asm\x0d\0\x01\0", "does not export what `faultline:incident@0.1.0` says");
}

/// Scenario: the folder of compiled components cannot be made.
/// Guarantees: the plugin works all the same.
#[test]
fn a_cache_that_cannot_be_used_is_no_fault() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let cache = Cache::Folder(file.path().join("below-a-file"));
    let build = GuestBuild::new(EMBEDDED, Limits::default(), cache).unwrap();
    assert!(build.instantiate().unwrap().counters().unwrap().is_empty());
}

/// Scenario: two webhooks are taken in together while the journal can be neither written nor read, so that the instance that is
/// ahead of the journal cannot be replaced.
/// Guarantees: nothing is answered, and nothing forgotten, by an instance without the committed state; once the journal is back,
/// everything that was committed is there, and what was not is taken in when it comes again.
#[test]
fn nothing_is_forgotten_while_a_new_instance_cannot_be_had() {
    let build = build(Limits::default());
    let mut host = host(&build);
    let committed = delivery(r#"{"action": "open", "id": "committed", "services": ["checkout"]}"#);
    assert_eq!(statuses(&host.receive_all(&[committed], NOW).unwrap()), [202]);
    let group = [
        delivery(r#"{"action": "open", "id": "first", "services": ["cart"]}"#),
        delivery(r#"{"action": "open", "id": "second", "services": ["cart"]}"#),
    ];

    host.journal_mut().failing = true;
    host.journal_mut().unreadable = true;
    assert!(host.receive_all(&group, NOW).is_err());
    assert!(host.receive_all(&group, NOW).is_err(), "an instance that is not set up answers nothing");
    assert!(host.open(NOW).is_err());
    host.journal_mut().failing = false;
    assert!(host.compact(NOW).is_err(), "the state of an empty instance takes the place of nothing");

    host.journal_mut().unreadable = false;
    host.compact(NOW).unwrap();
    let open = |host: &mut Host<'_, MemoryJournal>| -> Vec<String> {
        host.open(NOW).unwrap().into_iter().map(|incident| incident.external_id).collect()
    };
    assert_eq!(open(&mut host), ["committed"]);
    assert_eq!(statuses(&host.receive_all(&group, NOW).unwrap()), [202, 202], "they are no duplicates");
    assert_eq!(open(&mut host).len(), 3);
}
