//! Metrics as they stand, whatever they are written as.

/// Names and values, in the order of the names.
pub type Labels = Vec<(&'static str, String)>;

/// One metric.
#[derive(Clone, Debug)]
pub struct Family {
    /// Without `faultline_`, unit and `_total`.
    pub name: String,
    /// For people.
    pub help: String,
    /// What it is.
    pub kind: Kind,
    /// `seconds`, `bytes`, or nothing.
    pub unit: &'static str,
    /// Its values.
    pub points: Vec<Point>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// As it is at the moment.
    Gauge,
    /// How values are distributed.
    Histogram,
}

/// One value.
#[derive(Clone, Debug)]
pub struct Point {
    /// What it is about.
    pub labels: Labels,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Of a counter or gauge.
    Count(u64),
    /// Of a histogram.
    Distribution {
        /// Upper bounds, in the unit.
        bounds: Vec<f64>,
        /// How many were in each bucket; one more than bounds.
        counts: Vec<u64>,
        /// Of all values, in the unit.
        sum: f64,
    },
}

// === impl Family ===

impl Family {
    /// A counter.
    #[must_use]
    pub fn counter(name: impl Into<String>, help: &str, points: Vec<Point>) -> Self {
        Self { name: name.into(), help: help.to_owned(), kind: Kind::Counter, unit: "", points }
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(name: &str, unit: &'static str, help: &str, points: Vec<Point>) -> Self {
        Self { name: name.to_owned(), help: help.to_owned(), kind: Kind::Gauge, unit, points }
    }
}

// === impl Point ===

impl Point {
    /// One without labels.
    #[must_use]
    pub fn plain(value: u64) -> Vec<Self> {
        vec![Self { labels: Vec::new(), value: Value::Count(value) }]
    }
}
