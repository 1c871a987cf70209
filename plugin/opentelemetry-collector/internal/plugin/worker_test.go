package plugin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// Scenario: a batch looks at the board; before it borrows an instance, that has merged what came onto the board meanwhile.
// Guarantees: the instance is good for the batch as it is.
func TestAnInstanceThatKnowsMoreThanABatchHasSeenIsGivenNothing(t *testing.T) {
	seen := &committed{tail: [][]guest.Entry{{{Key: "a"}}}}
	// It has no instance: a merge would fail.
	worker := &worker{merged: 2}
	require.NotPanics(t, func() { assert.NoError(t, worker.catchUp(seen, time.Now())) })
	assert.EqualValues(t, 2, worker.merged)
}
