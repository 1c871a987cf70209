package guest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

var now = plugintest.Now

func TestMain(m *testing.M) { plugintest.Main(m) }

func engine(t testing.TB, module []byte, settings guest.EngineSettings) *guest.Engine {
	t.Helper()
	ctx := context.Background()
	if settings.CacheDirectory == "" {
		settings.CacheDirectory = plugintest.CacheDirectory
	}
	engine, err := guest.NewEngine(ctx, module, settings)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close(ctx)) })
	return engine
}

// instance is one that is configured.
func instance(t testing.TB, engine *guest.Engine) *guest.Instance {
	t.Helper()
	instance, err := engine.Instantiate()
	require.NoError(t, err)
	warnings, err := instance.Configure(plugintest.Config(""), "test/1")
	require.NoError(t, err)
	require.Empty(t, warnings)
	return instance
}

// unhurried is for tests of anything but deadlines: they run beside others.
var unhurried = guest.EngineSettings{Deadline: time.Minute, MemoryMiB: 64}

func open(t testing.TB, instance *guest.Instance, services ...string) guest.Receipt {
	t.Helper()
	webhook := plugintest.Open("1042", services...)
	receipt, err := instance.Receive(plugintest.Source, &webhook, now)
	require.NoError(t, err)
	merged, err := instance.Merge(receipt.Entries, now)
	require.NoError(t, err)
	require.Equal(t, uint32(len(receipt.Entries)), merged.Changed)
	return receipt
}

func encoded(t testing.TB, services ...string) []byte {
	t.Helper()
	batch, err := new(ptrace.ProtoMarshaler).MarshalTraces(plugintest.Shop{Services: services, Items: 8, At: now}.Traces())
	require.NoError(t, err)
	return batch
}

func TestAnIncidentIsReadFromAWebhookAndMarksItsService(t *testing.T) {
	instance := instance(t, engine(t, guest.Core, unhurried))
	affected, err := instance.Interest(guest.Traces, now)
	require.NoError(t, err)
	assert.Equal(t, guest.Affected{Reach: guest.Nothing, EvidenceOneIn: 64}, affected)

	receipt := open(t, instance, "checkout", "cart")
	assert.Equal(t, uint16(202), receipt.Status)
	assert.Nil(t, receipt.RetryAfterSecs)
	assert.Contains(t, receipt.Body, `"accepted"`)
	require.Len(t, receipt.Transitions, 1)
	transition := receipt.Transitions[0]
	assert.Equal(t, "manual", transition.Source)
	assert.Equal(t, "manual:1042", transition.Incident)
	assert.Equal(t, "triggered", transition.Kind)
	assert.Nil(t, transition.From)
	assert.Equal(t, "triggered", transition.To)
	assert.Equal(t, uint64(now.UnixNano()), transition.At)
	assert.Equal(t, []string{"checkout", "cart"}, transition.Services)
	assert.NotEmpty(t, transition.Reason)

	affected, err = instance.Interest(guest.Traces, now)
	require.NoError(t, err)
	assert.Equal(t, guest.Services, affected.Reach)
	assert.ElementsMatch(t, []string{"cart", "checkout"}, affected.Services)

	batch := encoded(t, "checkout", "search")
	var marks guest.ItemMarks
	require.NoError(t, instance.Marks(guest.Traces, batch, now, &marks))
	assert.Len(t, marks.Items, 4)
	for index, mark := range marks.Items {
		assert.Equal(t, guest.ItemMark{Resource: 0, Item: uint32(index), Exemplar: guest.NoExemplar}, mark)
	}
	assert.Equal(t, [][]guest.Attribute{{
		{Key: "incident.id", Text: "manual:1042"},
		{Key: "incident.active", Kind: guest.Flag, Flag: true},
		{Key: "incident.severity", Text: "critical"},
		{Key: "incident.url", Text: "https://shop.pagerduty.example/incidents/1042"},
	}}, marks.Sets)

	outcome, err := instance.Process(guest.Traces, batch, now)
	require.NoError(t, err)
	assert.Equal(t, guest.Replaced, outcome.Result)
	assert.Greater(t, len(outcome.Bytes), len(batch))
	outcome, err = instance.Process(guest.Traces, []byte{0x0a, 0xff}, now)
	require.NoError(t, err)
	assert.Equal(t, guest.Refused, outcome.Result)
	assert.Contains(t, outcome.Reason, "byte")

	var refusal *guest.Refusal
	require.ErrorAs(t, instance.Marks(guest.Traces, []byte{0x0a, 0xff}, now, &marks), &refusal)
	assert.NotErrorIs(t, refusal, guest.ErrTrapped)
}

func TestPeopleAreAnsweredAboutIncidents(t *testing.T) {
	instance := instance(t, engine(t, guest.Core, unhurried))
	open(t, instance, "checkout")
	incidents, err := instance.Open(now)
	require.NoError(t, err)
	require.Len(t, incidents, 1)
	incident := incidents[0]
	lease, started := uint64(now.Add(24*time.Hour).UnixNano()), uint64(now.UnixNano())
	assert.NotEmpty(t, incident.Reason)
	assert.Equal(t, guest.Incident{
		ID: "manual:1042", Source: "manual", ExternalID: "1042", Kind: "incident", State: "triggered", Open: true,
		Severity: "critical", URL: "https://shop.pagerduty.example/incidents/1042", Started: started, LeaseUntil: &lease,
		Windows:  []guest.Window{{From: uint64(now.Add(-5 * time.Minute).UnixNano())}},
		Services: []string{"checkout"}, Reason: incident.Reason,
	}, incident)
	found, err := instance.Find("1042", now)
	require.NoError(t, err)
	assert.Equal(t, incident, found)
	_, err = instance.Find("4711", now)
	var refusal *guest.Refusal
	require.ErrorAs(t, err, &refusal)
	assert.NotEmpty(t, refusal.Reason)

	namespace := "shop"
	explanations, err := instance.Explain(guest.Asked{Service: "checkout", Namespace: &namespace, Time: started}, now)
	require.NoError(t, err)
	require.Len(t, explanations, 1)
	assert.True(t, explanations[0].Marks)
	assert.Equal(t, "manual:1042", explanations[0].Incident)

	webhook := plugintest.Close("1042")
	receipt, err := instance.Receive(plugintest.Source, &webhook, now.Add(time.Minute))
	require.NoError(t, err)
	require.NotNil(t, receipt.Transitions[0].From)
	assert.Equal(t, "triggered", *receipt.Transitions[0].From)
	_, err = instance.Merge(receipt.Entries, now)
	require.NoError(t, err)
	found, err = instance.Find("1042", now.Add(time.Minute))
	require.NoError(t, err)
	require.NotNil(t, found.Ended)
	require.NotNil(t, found.Windows[0].Until)
	assert.Equal(t, uint64(now.Add(time.Minute).UnixNano()), *found.Ended)
}

func TestStateIsHandedOnAndMergedIntoAnother(t *testing.T) {
	engine := engine(t, guest.Core, unhurried)
	first, second := instance(t, engine), instance(t, engine)
	open(t, first, "checkout")
	state, err := first.State(guest.All)
	require.NoError(t, err)
	require.NotEmpty(t, state)
	_, err = second.Merge(state, now)
	require.NoError(t, err)
	other, err := second.State(guest.All)
	require.NoError(t, err)
	assert.Equal(t, state, other)

	ahead, err := instance(t, engine).Merge(state, now.Add(-2*time.Hour))
	require.NoError(t, err)
	assert.Zero(t, ahead.Changed)
	assert.Equal(t, state[0].Key, ahead.SetAside[0])
}

func TestALeaseThatRanOutIsReported(t *testing.T) {
	instance := instance(t, engine(t, guest.Core, unhurried))
	open(t, instance, "checkout")
	expiry, err := instance.Expire(now)
	require.NoError(t, err)
	assert.Empty(t, expiry.Entries)
	expiry, err = instance.Expire(now.Add(25 * time.Hour))
	require.NoError(t, err)
	require.Len(t, expiry.Transitions, 1)
	assert.Equal(t, "expired", expiry.Transitions[0].Kind)
	assert.NotEmpty(t, expiry.Entries)
}

func TestGapsAndCountersAreRead(t *testing.T) {
	instance := instance(t, engine(t, guest.Core, unhurried))
	open(t, instance)
	gaps, err := instance.Gaps(now)
	require.NoError(t, err)
	require.Len(t, gaps, 1)
	assert.Equal(t, "incident-without-service", gaps[0].Kind)
	assert.Equal(t, "manual:1042", gaps[0].Subject)
	counters, err := instance.Counters()
	require.NoError(t, err)
	assert.Contains(t, counters, guest.Counter{
		Name: "webhooks", Labels: []guest.Label{{Key: "source", Value: "manual"}, {Key: "status", Value: "202"}}, Value: 1,
	})
}

func TestAFaultyConfigurationIsRefusedWithAllItsFaults(t *testing.T) {
	instance := instance(t, engine(t, guest.Core, unhurried))
	_, err := instance.Configure(`{"sourcez": 1, "prefix": 2}`, "test/1")
	var faulty *guest.ConfigError
	require.ErrorAs(t, err, &faulty)
	assert.Len(t, faulty.Faults, 2)
	assert.Contains(t, err.Error(), "/sourcez: ")
	assert.NotErrorIs(t, err, guest.ErrTrapped)
	// The one before is still in force.
	open(t, instance, "checkout")
}

func TestTextThatIsNotUTF8IsNeverSent(t *testing.T) {
	instance := instance(t, engine(t, guest.Core, unhurried))
	webhook := plugintest.Open("1", "checkout")
	webhook.URL = "/\xff\xfe"
	webhook.Headers = append(webhook.Headers, guest.Header{Name: "X-\xc3", Value: []byte{0xff, 0x00}})
	receipt, err := instance.Receive("\xf0\x28\x8c\x28", &webhook, now)
	require.NoError(t, err)
	assert.Equal(t, uint16(404), receipt.Status)
}

func TestMemoryDoesNotGrowWithTheNumberOfCalls(t *testing.T) {
	instance := instance(t, engine(t, guest.Core, unhurried))
	open(t, instance, "checkout")
	batch := encoded(t, "checkout")
	var marks guest.ItemMarks
	call := func() {
		require.NoError(t, instance.Marks(guest.Traces, batch, now, &marks))
		_, err := instance.Interest(guest.Logs, now)
		require.NoError(t, err)
		_, err = instance.State(guest.All)
		require.NoError(t, err)
	}
	for range 20 {
		call()
	}
	before := instance.MemoryBytes()
	for range 500 {
		call()
	}
	assert.Equal(t, before, instance.MemoryBytes())
}

func TestWhatIsNoPluginIsNamed(t *testing.T) {
	check := func(module []byte, settings guest.EngineSettings, expected string) {
		t.Helper()
		_, err := guest.NewEngine(context.Background(), module, settings)
		require.Error(t, err)
		assert.Contains(t, err.Error(), expected)
	}
	check([]byte("hello"), unhurried, "not a WebAssembly module")
	check([]byte("\x00asm\x0d\x00\x01\x00"), unhurried, "does not begin like a core module")
	check([]byte("\x00asm\x01\x00\x00\x00"), unhurried, "does not export faultline:incident/processor@0.1.0#configure")
	imports := "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x02\x07\x01\x01a\x01b\x00\x00"
	check([]byte(imports), unhurried, "imports nothing")
	check(guest.Core, guest.EngineSettings{Deadline: time.Second}, "memory limit of 0 MiB")
	check(guest.Core, guest.EngineSettings{MemoryMiB: 64}, "deadline of 0s")
}

func TestAModuleThatIsCutOffAnywhereIsAnError(t *testing.T) {
	for length := 0; length < len(guest.Core); length += 1 + length/7 {
		_, err := guest.NewEngine(context.Background(), guest.Core[:length], unhurried)
		require.Error(t, err, "%d bytes", length)
	}
}

func TestCompiledCodeIsKeptInTheCacheDirectory(t *testing.T) {
	settings := unhurried
	settings.CacheDirectory = t.TempDir()
	for range 2 {
		open(t, instance(t, engine(t, guest.Core, settings)), "checkout")
	}
	settings.CacheDirectory = "/dev/null/below-a-file"
	_, err := guest.NewEngine(context.Background(), guest.Core, settings)
	require.Error(t, err)
	assert.True(t, strings.Contains(err.Error(), "/dev/null/below-a-file"), err)
	assert.False(t, errors.Is(err, guest.ErrTrapped))
}
