package plugin

import (
	"time"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// Interest is which telemetry of a signal the plugin would mark, to be looked up by many goroutines. It never changes.
type Interest struct {
	reach    guest.Reach
	services map[string]struct{}
	// asked is when it was answered.
	asked time.Time
	// EvidenceOneIn: one batch in so many is wanted whole. 0: none.
	EvidenceOneIn uint32
}

// interestHolds is for how long an answer holds, as the contract says.
const interestHolds = time.Second

func newInterest(affected guest.Affected, asked time.Time) *Interest {
	interest := &Interest{reach: affected.Reach, asked: asked, EvidenceOneIn: affected.EvidenceOneIn}
	if affected.Reach == guest.Services {
		interest.services = make(map[string]struct{}, len(affected.Services))
		for _, service := range affected.Services {
			interest.services[service] = struct{}{}
		}
	}
	return interest
}

// Nothing is whether no batch would be marked.
func (i *Interest) Nothing() bool { return i.reach == guest.Nothing }

// Concerns is whether telemetry of a service may be marked.
func (i *Interest) Concerns(service string) bool {
	switch i.reach {
	case guest.Everything:
		return true
	case guest.Services:
		_, concerned := i.services[service]
		return concerned
	}
	return false
}

// holdsAt is whether the answer still holds. A clock that was set back is a reason to ask again.
func (i *Interest) holdsAt(now time.Time) bool {
	age := now.Sub(i.asked)
	return age >= 0 && age < interestHolds
}

// outlived is the same answer, which no longer holds.
func (i *Interest) outlived() *Interest {
	outlived := *i
	outlived.asked = time.Time{}
	return &outlived
}
