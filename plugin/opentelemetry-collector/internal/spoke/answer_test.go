package spoke

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

func TestAnAnswerOfAHubIsRead(t *testing.T) {
	state, alive, err := readAnswer(strings.NewReader(`{"version": 1, "now": "2026-03-01T10:00:00Z",
		"now_unix_nano": "1772359200000000001", "time_to_live_seconds": 900, "configuration": {"marking": "on"},
		"entries": [{"key": "k", "bytes": "e30="}], "of a later version": true}`))
	require.NoError(t, err)
	assert.Equal(t, []guest.Entry{{Key: "k", Bytes: []byte("{}")}}, state.Entries)
	assert.JSONEq(t, `{"marking": "on"}`, string(state.Configuration))
	assert.Equal(t, 15*time.Minute, alive.timeToLive)
	assert.EqualValues(t, 1772359200000000001, alive.now.UnixNano())
}

func TestAnAnswerWithoutABodySaysHowLongItHolds(t *testing.T) {
	header := http.Header{"Faultline-Time-To-Live": {"900"}, "Faultline-Now": {"1772359200000000001"}}
	alive, err := readHeaders(header)
	require.NoError(t, err)
	assert.Equal(t, 15*time.Minute, alive.timeToLive)
	for _, name := range []string{"Faultline-Time-To-Live", "Faultline-Now"} {
		without := header.Clone()
		without.Del(name)
		_, err := readHeaders(without)
		assert.Error(t, err, name)
	}
}

func TestNoHubKeepsMarksAliveForMoreThanADay(t *testing.T) {
	for seconds, expected := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 86400: 24 * time.Hour, 1e300: 24 * time.Hour} {
		alive, err := newLifetime(seconds, "1")
		require.NoError(t, err)
		assert.Equal(t, expected, alive.timeToLive)
	}
	for _, seconds := range []float64{0, -1} {
		_, err := newLifetime(seconds, "1")
		assert.Error(t, err, fmt.Sprint(seconds))
	}
}

// endless is an answer that does not end.
type endless struct{}

func (endless) Read(into []byte) (int, error) {
	for at := range into {
		into[at] = ' '
	}
	return len(into), nil
}

func TestAnAnswerThatDoesNotEndIsNotReadToItsEnd(t *testing.T) {
	_, _, err := readAnswer(endless{})
	assert.ErrorContains(t, err, "more than 67108864 bytes")
	_, _, err = readAnswer(io.LimitReader(endless{}, 10))
	assert.ErrorContains(t, err, "not what a hub says")
}
