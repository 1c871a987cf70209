//! Data points of all five kinds of metrics.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
        HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
        exemplar, exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
        summary_data_point::ValueAtQuantile,
    },
};

use super::{Generator, Random, SCOPES_PER_RESOURCE, Share, scope, text};
use crate::Signal;

/// What all points have.
struct Common {
    attributes: Vec<KeyValue>,
    start: u64,
    time: u64,
}

/// So that batches of a few items have several kinds, and large ones not one metric for each point.
const POINTS_PER_METRIC: usize = 4;
const KINDS: usize = 5;

pub(super) fn request(generator: &Generator) -> ExportMetricsServiceRequest {
    let mut random = generator.random(Signal::Metrics);
    let shares = generator.shares();
    let resource_metrics = shares.chunks(SCOPES_PER_RESOURCE).map(|shares| {
        let resource = generator.resource(shares[0].resource, &mut random);
        ResourceMetrics {
            scope_metrics: shares.iter().map(|share| scope_metrics(generator, share, &mut random)).collect(),
            resource: Some(resource),
            ..ResourceMetrics::default()
        }
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

fn scope_metrics(generator: &Generator, share: &Share, random: &mut Random) -> ScopeMetrics {
    // The kinds go on where the scope before left off, or small batches would have gauges only.
    let first = share.resource * SCOPES_PER_RESOURCE + share.scope;
    let metrics = (0..share.items).step_by(POINTS_PER_METRIC).enumerate().map(|(index, done)| {
        let points = POINTS_PER_METRIC.min(share.items - done);
        metric(generator, first + index, points, random)
    });
    ScopeMetrics { metrics: metrics.collect(), scope: Some(scope(share.scope)), ..ScopeMetrics::default() }
}

fn metric(generator: &Generator, index: usize, points: usize, random: &mut Random) -> Metric {
    let temporality = AggregationTemporality::Cumulative.into();
    let (name, unit, data) = match index % KINDS {
        0 => ("jvm.memory.used", "By", Data::Gauge(Gauge { data_points: many(points, || number(generator, random)) })),
        1 => {
            let data_points = many(points, || number(generator, random));
            let sum = Sum { data_points, aggregation_temporality: temporality, is_monotonic: true };
            ("http.server.requests", "{request}", Data::Sum(sum))
        }
        2 => {
            let data_points = many(points, || histogram(generator, random));
            let histogram = Histogram { data_points, aggregation_temporality: temporality };
            ("http.server.request.duration", "s", Data::Histogram(histogram))
        }
        3 => {
            let data_points = many(points, || exponential_histogram(generator, random));
            let histogram = ExponentialHistogram { data_points, aggregation_temporality: temporality };
            ("db.client.operation.duration", "s", Data::ExponentialHistogram(histogram))
        }
        _ => (
            "rpc.server.duration",
            "ms",
            Data::Summary(Summary { data_points: many(points, || summary(generator, random)) }),
        ),
    };
    Metric {
        name: format!("{name}.{index}"),
        description: "Generated".to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn many<T>(points: usize, make: impl FnMut() -> T) -> Vec<T> {
    std::iter::repeat_with(make).take(points).collect()
}

fn common(generator: &Generator, random: &mut Random) -> Common {
    let attributes = if random.percent(90) {
        vec![
            text("http.request.method", random.one_of(&["GET", "POST"])),
            text("http.route", format!("/api/v1/resources/{}", random.below(30))),
            text("server.address", "shop.example.com"),
        ]
    } else {
        Vec::new()
    };
    Common { attributes, start: generator.from, time: generator.time(random) }
}

fn number(generator: &Generator, random: &mut Random) -> NumberDataPoint {
    let Common { attributes, start, time } = common(generator, random);
    // The two are encoded on different sides of the exemplars.
    let value = if random.percent(50) {
        number_data_point::Value::AsInt(random.below(1 << 40) as i64)
    } else {
        number_data_point::Value::AsDouble(random.measurement())
    };
    NumberDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        exemplars: exemplars(generator, random),
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn histogram(generator: &Generator, random: &mut Random) -> HistogramDataPoint {
    let Common { attributes, start, time } = common(generator, random);
    let bucket_counts: Vec<u64> = (0..11).map(|_| random.below(1000)).collect();
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: bucket_counts.iter().sum(),
        sum: Some(random.measurement()),
        bucket_counts,
        explicit_bounds: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
        exemplars: exemplars(generator, random),
        min: Some(0.001),
        max: Some(9.5),
        ..HistogramDataPoint::default()
    }
}

fn exponential_histogram(generator: &Generator, random: &mut Random) -> ExponentialHistogramDataPoint {
    let Common { attributes, start, time } = common(generator, random);
    let bucket_counts: Vec<u64> = (0..20).map(|_| random.below(1000)).collect();
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: bucket_counts.iter().sum(),
        sum: Some(random.measurement()),
        scale: 3,
        positive: Some(Buckets { offset: -4, bucket_counts }),
        exemplars: exemplars(generator, random),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn summary(generator: &Generator, random: &mut Random) -> SummaryDataPoint {
    let Common { attributes, start, time } = common(generator, random);
    let quantile_values =
        [0.5, 0.9, 0.99].map(|quantile| ValueAtQuantile { quantile, value: random.measurement() }).to_vec();
    SummaryDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: random.below(100_000),
        sum: random.measurement(),
        quantile_values,
        ..SummaryDataPoint::default()
    }
}

fn exemplars(generator: &Generator, random: &mut Random) -> Vec<Exemplar> {
    let count = random.below(3) as usize;
    many(count, || Exemplar {
        filtered_attributes: if random.percent(50) { vec![text("user.tier", "gold")] } else { Vec::new() },
        time_unix_nano: generator.time(random),
        span_id: random.id(8),
        trace_id: random.id(16),
        value: Some(exemplar::Value::AsDouble(random.measurement())),
    })
}
