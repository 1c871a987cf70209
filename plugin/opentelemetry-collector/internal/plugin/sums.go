package plugin

import (
	"maps"
	"slices"
	"strings"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// sums adds up counters of several instances, by name and labels.
type sums map[string]guest.Counter

func (s sums) add(counters []guest.Counter) {
	for _, counter := range counters {
		var name strings.Builder
		name.WriteString(counter.Name)
		for _, label := range counter.Labels {
			// Names and labels come from the program and its configuration; none holds a zero byte.
			name.WriteString("\x00" + label.Key + "\x00" + label.Value)
		}
		counter.Value += s[name.String()].Value
		s[name.String()] = counter
	}
}

// all is the sums, sorted by name and labels.
func (s sums) all() []guest.Counter {
	counters := make([]guest.Counter, 0, len(s))
	for _, name := range slices.Sorted(maps.Keys(s)) {
		counters = append(counters, s[name])
	}
	return counters
}

// gapsMax is how many gaps of each kind are listed, as the plugin does.
const gapsMax = 1000

const serviceWithoutRule = "service-without-rule"

// joined is what all instances found: every one knows the same incidents, but each has seen other telemetry.
func joined(gaps []guest.Gap) []guest.Gap {
	type subject struct{ kind, name string }
	known := make(map[subject]int, len(gaps))
	kinds := make(map[string]int)
	var all []guest.Gap
	for _, gap := range gaps {
		key := subject{gap.Kind, gap.Subject}
		at, isKnown := known[key]
		switch {
		case !isKnown && kinds[gap.Kind] >= gapsMax:
		case !isKnown:
			kinds[gap.Kind]++
			known[key] = len(all)
			all = append(all, gap)
		case gap.Kind == serviceWithoutRule:
			all[at].Count += gap.Count
		default:
			all[at].Count = max(all[at].Count, gap.Count)
		}
	}
	slices.SortStableFunc(all, func(left, right guest.Gap) int { return strings.Compare(left.Kind, right.Kind) })
	return all
}
