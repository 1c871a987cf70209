//! Every name of an attribute that the plugin reads or writes.

/// What the names of our attributes begin with, by default.
pub const PREFIX: &str = "incident.";

// Behind the prefix.

/// The incident that comes first: `<source>:<external id>`. An item that has it keeps ours out.
pub const ID: &str = "id";
/// All incidents of the item, most severe first; only when there are two or more.
pub const IDS: &str = "ids";
/// Whether the first incident was open when the item was marked; false on late items of a closed one.
pub const ACTIVE: &str = "active";
/// Severity of the first incident.
pub const SEVERITY: &str = "severity";
/// Link to the first incident.
pub const URL: &str = "url";

// Of deployments and experiments, as the semantic conventions name them (1.44: deployment attributes; there is no
// namespace for chaos experiments yet).

/// Id of a deployment, as its source gave it.
pub const DEPLOYMENT_ID: &str = "deployment.id";
/// Name of a deployment.
pub const DEPLOYMENT_NAME: &str = "deployment.name";
/// Environment of a deployment, and of a resource.
pub const DEPLOYMENT_ENVIRONMENT_NAME: &str = "deployment.environment.name";
/// The same before semantic conventions 1.27; still what many SDKs send.
pub const DEPLOYMENT_ENVIRONMENT: &str = "deployment.environment";
/// Id of a chaos experiment.
pub const CHAOS_EXPERIMENT_ID: &str = "chaos.experiment.id";

// Of a resource.

/// The service that a resource belongs to.
pub const SERVICE_NAME: &str = "service.name";
/// The namespace of that service.
pub const SERVICE_NAMESPACE: &str = "service.namespace";

/// Labels of an alert that name a service, in the order they are looked for.
pub const SERVICE_LABELS: [&str; 6] =
    ["service.name", "service_name", "service", "app.kubernetes.io/name", "app", "job"];
/// The label that Prometheus gives OTLP data: `namespace/name`.
pub const JOB_LABEL: &str = "job";
/// Labels of an alert that name a namespace.
pub const NAMESPACE_LABELS: [&str; 2] = ["service.namespace", "service_namespace"];
/// Labels of an alert that name an environment, in the order they are looked for.
pub const ENVIRONMENT_LABELS: [&str; 6] = [
    "deployment.environment.name",
    "deployment_environment_name",
    "deployment_environment",
    "environment",
    "env",
    "stage",
];
/// Alerts that always fire, to show that alerting works; never a reason to mark.
pub const ALWAYS_ON_ALERTS: [&str; 3] = ["Watchdog", "InfoInhibitor", "DeadMansSwitch"];
/// The header in which a generic source writes its signature, unless it is said.
pub const SIGNATURE: &str = "X-Signature";
/// The name PagerDuty gives the service of a new account: says nothing about any real service.
pub const STOCK_SERVICE: &str = "default service";
