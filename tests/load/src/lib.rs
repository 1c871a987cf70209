//! Both ends of a hop under test: [`Load`] sends OTLP requests, a [`Sink`] counts what arrives, and a [`Process`] tells what
//! the program between them took.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! use std::{sync::Arc, time::Duration};
//! use faultline_load::{Batches, Encoding, Length, Load, Protocol, Sink, SinkOptions};
//! use faultline_test_support::{Generator, Signal};
//!
//! let sink = Sink::start(SinkOptions::default())?;
//! // … start a hop that forwards to `sink.address(Protocol::Grpc)` and listens on `hop` …
//! # let hop = sink.address(Protocol::Grpc);
//! let batches = Batches::generate(&Generator::default(), Signal::Traces, 32, Protocol::Grpc, Encoding::Identity)?;
//! let outcome = Load { length: Length::Requests(100), ..Load::to(hop) }.run(Arc::new(batches))?;
//! let counts = sink.wait_for(Duration::from_secs(10), |counts| counts.accepted.items == outcome.accepted_items);
//! assert_eq!(counts.accepted.items, 51_200);
//! # Ok(())
//! # }
//! ```
//!
//! Both ends run on threads of their own, so that they serve tests with and without a runtime; neither decodes more than a
//! count needs, so that on a small machine the hop is what is measured.

mod answer;
mod batches;
mod code;
mod count;
mod encoding;
mod load;
mod outcome;
mod process;
mod protocol;
mod script;
mod sink;
mod wire;

pub use self::{
    answer::{Answer, Refusal},
    batches::Batches,
    code::Code,
    count::Tally,
    encoding::Encoding,
    load::{Length, Load, Message, Messages, Pace},
    outcome::{Latency, Outcome},
    process::{Memory, Process},
    protocol::Protocol,
    script::{Script, Step},
    sink::{Counts, Received, Sink, SinkOptions},
};
