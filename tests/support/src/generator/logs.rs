//! Log records.

use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
};

use super::{Generator, Random, SCOPES_PER_RESOURCE, Share, integer, scope, text};
use crate::Signal;

const SEVERITIES: [(SeverityNumber, &str); 4] = [
    (SeverityNumber::Debug, "DEBUG"),
    (SeverityNumber::Info, "INFO"),
    (SeverityNumber::Warn, "WARN"),
    (SeverityNumber::Error, "ERROR"),
];
const LOGGERS: [&str; 3] = ["com.shop.api.Access", "com.shop.payment.Gateway", "org.hibernate.SQL"];

pub(super) fn request(generator: &Generator) -> ExportLogsServiceRequest {
    let mut random = generator.random(Signal::Logs);
    let shares = generator.shares();
    let resource_logs = shares.chunks(SCOPES_PER_RESOURCE).map(|shares| {
        let resource = generator.resource(shares[0].resource, &mut random);
        ResourceLogs {
            scope_logs: shares.iter().map(|share| scope_logs(generator, share, &mut random)).collect(),
            resource: Some(resource),
            ..ResourceLogs::default()
        }
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn scope_logs(generator: &Generator, share: &Share, random: &mut Random) -> ScopeLogs {
    let log_records = (0..share.items).map(|_| log_record(generator, random)).collect();
    ScopeLogs { log_records, scope: Some(scope(share.scope)), ..ScopeLogs::default() }
}

fn log_record(generator: &Generator, random: &mut Random) -> LogRecord {
    let observed_time = generator.time(random);
    let (severity, severity_text) = random.one_of(&SEVERITIES);
    let body = format!("request {} took {:.3} ms", random.hexadecimal(8), random.measurement());
    let attributes = if random.percent(90) {
        vec![
            text("logger.name", random.one_of(&LOGGERS)),
            text("thread.name", format!("http-nio-8443-exec-{}", random.below(200))),
            integer("thread.id", random.below(400) as i64),
        ]
    } else {
        Vec::new()
    };
    LogRecord {
        time_unix_nano: if random.below(8) == 0 { 0 } else { observed_time },
        observed_time_unix_nano: observed_time,
        severity_number: severity.into(),
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        attributes,
        flags: 1,
        trace_id: random.id(16),
        span_id: random.id(8),
        ..LogRecord::default()
    }
}
