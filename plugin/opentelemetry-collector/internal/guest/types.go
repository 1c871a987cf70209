package guest

// Signal is one of the three kinds of OTLP telemetry, numbered as in the contract.
type Signal uint8

// The three signals.
const (
	Traces Signal = iota
	Metrics
	Logs
)

// Signals is every signal, in the order of their numbers.
var Signals = [...]Signal{Traces, Metrics, Logs}

// String answers as the plugin's own counters write it.
func (s Signal) String() string {
	switch s {
	case Traces:
		return "traces"
	case Metrics:
		return "metrics"
	case Logs:
		return "logs"
	}
	return "unknown"
}

// ConfigFault is one fault of a configuration, or one warning about it.
type ConfigFault struct {
	// Pointer is where: a JSON Pointer (RFC 6901) into the configuration; empty for the whole document.
	Pointer string
	// Message is what is wrong, naming the culprit.
	Message string
	// Hint is what to do about it; nil where that is not known.
	Hint *string
}

// Reach says which telemetry an answer of Interest is about.
type Reach uint8

// Which telemetry would be marked.
const (
	// Nothing is marked: every batch would come back unchanged.
	Nothing Reach = iota
	// Everything may be marked.
	Everything
	// Services are marked: those that are listed.
	Services
)

// Affected is what a host must pass to the plugin at the moment. It is always a superset of what would change.
type Affected struct {
	Reach Reach
	// Services are values of service.name, compared byte for byte; empty unless Reach is Services.
	Services []string
	// EvidenceOneIn: one batch in so many is wanted whole, whatever Reach says. 0: none.
	EvidenceOneIn uint32
}

// Result is what became of a batch that was given to Process.
type Result uint8

// What became of a batch.
const (
	// Unchanged: hand on the bytes that were passed in.
	Unchanged Result = iota
	// Replaced: hand on Outcome.Bytes instead.
	Replaced
	// Refused: not readable, or over a limit; hand on the bytes that were passed in.
	Refused
)

// Outcome is the answer of Process.
type Outcome struct {
	Result Result
	// Bytes is the batch to hand on when Result is Replaced.
	Bytes []byte
	// Reason names byte offset and cause when Result is Refused.
	Reason string
}

// ValueKind tells what an attribute holds.
type ValueKind uint8

// What an attribute holds.
const (
	// Text is a string.
	Text ValueKind = iota
	// Flag is a boolean.
	Flag
	// Texts is an array of strings.
	Texts
)

// Attribute is one attribute to add.
type Attribute struct {
	// Key is its name, such as incident.id. Not empty.
	Key  string
	Kind ValueKind
	// One of these holds the value, as Kind says.
	Text  string
	Flag  bool
	Texts []string
}

// NoExemplar is the Exemplar of a mark that is for the item itself.
const NoExemplar = -1

// ItemMark is what one item gets. Positions count from 0 in the order of the batch that was passed.
type ItemMark struct {
	// Resource is the position of its ResourceSpans, ResourceLogs or ResourceMetrics.
	Resource uint32
	// Item is its position among the spans, log records or data points of that resource, over all scopes and metrics.
	Item uint32
	// Exemplar is the position of an exemplar in that data point; NoExemplar where the item itself is meant.
	Exemplar int64
	// Attributes is an index in ItemMarks.Sets.
	Attributes uint32
}

// ItemMarks is what the items of a batch get.
type ItemMarks struct {
	// Sets are attributes that go onto an item together, in this order.
	Sets [][]Attribute
	// Items are those that get one, in the order of the batch; a data point comes before its exemplars.
	Items []ItemMark
}

// Entry is one journal entry: what is stored, replicated, and given to Merge. A host interprets neither part. Equal keys
// mean equal bytes.
type Entry struct {
	// Key is unique for the content; printable ASCII, at most 1024 bytes.
	Key string
	// Bytes are at most 256 KiB.
	Bytes []byte
}

// Header is one header of a webhook. Values are bytes: HTTP does not promise UTF-8.
type Header struct {
	Name  string
	Value []byte
}

// Webhook is an HTTP request as it arrived.
type Webhook struct {
	// Method is upper case, for example POST.
	Method string
	// URL is path and query as sent.
	URL string
	// Headers are in the order received, repeated names included.
	Headers []Header
	// Body is what it was after content decoding; signatures are over these bytes.
	Body []byte
}

// Transition is what one webhook, or the passing of time, did to one incident.
type Transition struct {
	// Source is the configured source whose incident it is.
	Source string
	// Incident is "<source>:<external id>"; empty when the event was about no incident.
	Incident string
	// Kind is a word of the contract: triggered, resolved, duplicate, expired, …
	Kind string
	// From is the state before; nil when the incident was not known.
	From *string
	// To is the state after, once the entries are merged.
	To string
	// At is when it happened, in Unix nanoseconds.
	At uint64
	// Services is what it marks; empty when it marks nothing.
	Services []string
	// Reason is which field or rule decided.
	Reason string
}

// Receipt is the answer to one webhook.
type Receipt struct {
	// Status is the HTTP status of the reply.
	Status uint16
	// RetryAfterSecs is for a Retry-After header; nil when there is to be none.
	RetryAfterSecs *uint32
	// Body is JSON for the reply.
	Body string
	// Entries are to be committed before Status is sent. Empty unless Status is 202.
	Entries []Entry
	// Transitions has one for each incident that the webhook spoke of.
	Transitions []Transition
}

// Merged is what Merge did.
type Merged struct {
	// Changed is how many of the entries were new.
	Changed uint32
	// SetAside are keys of entries that were received more than an hour from now: they are not part of the state.
	SetAside []string
}

// Expiry is what Expire found: to be committed and merged like a receipt.
type Expiry struct {
	Entries     []Entry
	Transitions []Transition
}

// Extent is which part of the state is meant.
type Extent uint8

// Parts of the state.
const (
	// IncidentsOnly is what a spoke needs to mark telemetry.
	IncidentsOnly Extent = iota
	// All has also delivery digests, reported expiries, and entries of unknown kinds.
	All
)

// Window is a span of event time in which an incident marks telemetry, both ends included, in Unix nanoseconds.
type Window struct {
	From uint64
	// Until is nil while the incident is open.
	Until *uint64
}

// Incident is one incident as it stands. Times are Unix nanoseconds.
type Incident struct {
	// ID is "<source>:<external id>", the value of incident.id on telemetry.
	ID         string
	Source     string
	ExternalID string
	// Display is how people call it, for example #42; may be empty.
	Display string
	// Kind is incident, alert, deployment or experiment.
	Kind string
	// State is triggered, acknowledged, resolved, merged or expired.
	State string
	Open  bool
	// Severity is critical, high, medium, low, info or unknown.
	Severity string
	// Title may be empty.
	Title string
	// URL may be empty.
	URL     string
	Started uint64
	// Ended is nil while it is open.
	Ended *uint64
	// LeaseUntil is until when it stays open without further word from its sender; nil where nothing ends it.
	LeaseUntil *uint64
	// Windows is the event time that it marks, earliest first.
	Windows []Window
	// Services are those that it marks; "*" for all.
	Services []string
	// Reason is why it marks these services or none.
	Reason string
}

// Asked is the item that Explain is asked about.
type Asked struct {
	Service string
	// Namespace and Environment are nil where the item has none.
	Namespace, Environment *string
	// Time is the item's own, in Unix nanoseconds.
	Time uint64
}

// Explanation is whether and why one incident marks, or does not mark, one item.
type Explanation struct {
	Incident string
	Marks    bool
	Reason   string
}

// Gap is something that the configuration should name but does not.
type Gap struct {
	// Kind is incident-without-service or service-without-rule.
	Kind string
	// Subject is the incident's id, or the service.name.
	Subject string
	// Detail is what was looked for.
	Detail string
	// Suggestion is a rule for the configuration, as YAML.
	Suggestion string
	// Count is how many times it was met.
	Count uint64
}

// Label is one attribute of a counter.
type Label struct {
	Key, Value string
}

// Counter is one counter of one instance; it began at 0 with the instance.
type Counter struct {
	Name string
	// Labels are sorted by key.
	Labels []Label
	Value  uint64
}
