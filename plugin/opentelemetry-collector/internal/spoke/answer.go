package spoke

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

const (
	// answerBytesMax bounds an answer after decompression: ten thousand open incidents are about ten MiB.
	answerBytesMax = 64 << 20
	// answerVersion is what this version understands.
	answerVersion = 1
	// timeToLiveMax bounds how long marks go on without a hub, whatever it says.
	timeToLiveMax = 24 * time.Hour

	headerTimeToLive = "Faultline-Time-To-Live"
	headerNow        = "Faultline-Now"
)

// State is what a hub knows.
type State struct {
	// Configuration is a JSON object with keys of the plugin's configuration: those that decide which services an incident
	// marks, and `marking` when the hub has it off. Without secrets.
	Configuration json.RawMessage
	// Entries are the incidents.
	Entries []guest.Entry
}

// lifetime comes with every answer.
type lifetime struct {
	// timeToLive is how long what the hub said holds without further word, from the receipt of the answer.
	timeToLive time.Duration
	// now is the hub's clock.
	now time.Time
}

// answerBody is the body of a 200.
type answerBody struct {
	Version           int             `json:"version"`
	NowUnixNano       string          `json:"now_unix_nano"`
	TimeToLiveSeconds float64         `json:"time_to_live_seconds"`
	Configuration     json.RawMessage `json:"configuration"`
	Entries           []struct {
		Key   string `json:"key"`
		Bytes []byte `json:"bytes"`
	} `json:"entries"`
}

// readAnswer reads the body of a 200.
func readAnswer(body io.Reader) (State, lifetime, error) {
	text, err := io.ReadAll(io.LimitReader(body, answerBytesMax+1))
	if err != nil {
		return State{}, lifetime{}, fmt.Errorf("the answer was cut short: %w", err)
	}
	if len(text) > answerBytesMax {
		return State{}, lifetime{}, fmt.Errorf("the answer has more than %d bytes", answerBytesMax)
	}
	var read answerBody
	if err := json.Unmarshal(text, &read); err != nil {
		return State{}, lifetime{}, fmt.Errorf("the answer is not what a hub says: %w", err)
	}
	if read.Version != answerVersion {
		return State{}, lifetime{}, fmt.Errorf("the hub speaks version %d, and this Collector version %d", read.Version, answerVersion)
	}
	alive, err := newLifetime(read.TimeToLiveSeconds, read.NowUnixNano)
	if err != nil {
		return State{}, lifetime{}, err
	}
	state := State{Configuration: read.Configuration, Entries: make([]guest.Entry, 0, len(read.Entries))}
	for _, entry := range read.Entries {
		state.Entries = append(state.Entries, guest.Entry{Key: entry.Key, Bytes: entry.Bytes})
	}
	return state, alive, nil
}

// readHeaders reads what a 304 says.
func readHeaders(header http.Header) (lifetime, error) {
	seconds, err := strconv.ParseFloat(header.Get(headerTimeToLive), 64)
	if err != nil {
		return lifetime{}, fmt.Errorf("the header %s is %q and no number of seconds", headerTimeToLive, header.Get(headerTimeToLive))
	}
	return newLifetime(seconds, header.Get(headerNow))
}

func newLifetime(seconds float64, nowUnixNano string) (lifetime, error) {
	// Written so that it is false for what is not a number, too.
	if !(seconds > 0) {
		return lifetime{}, errors.New("the time to live is not greater than nothing")
	}
	nanos, err := strconv.ParseInt(nowUnixNano, 10, 64)
	if err != nil || nanos <= 0 {
		return lifetime{}, fmt.Errorf("the hub's clock is %q and no number of nanoseconds since 1970", nowUnixNano)
	}
	timeToLive := timeToLiveMax
	if seconds < timeToLiveMax.Seconds() {
		timeToLive = time.Duration(seconds * float64(time.Second))
	}
	return lifetime{timeToLive: timeToLive, now: time.Unix(0, nanos)}, nil
}
